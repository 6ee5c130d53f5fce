/* The functions behind the transforms, by file; private to this folder. */
#ifndef SLUICE_MAP_STEPS_H
#define SLUICE_MAP_STEPS_H

#include "scheduler/map/step.h"

/* step_text.c */
step_fn step_trim, step_lower, step_upper, step_substring, step_split;
struct slice text_trim(struct slice s);
/** Bytes of the white-space character (Unicode) that s, not empty, begins with; 0: it is none. */
size_t text_space_at(struct slice s);
size_t text_chars(struct slice s);

/* step_filter.c */
step_fn step_remove_spaces, step_digits, step_letters, step_ascii_letters, step_no_punctuation,
    step_strip_zeros;

/* step_affix.c */
step_fn step_prefix, step_before, step_pad, step_empty_to_null;

/* step_contact.c */
step_fn step_email, step_gmail_dots, step_gender;

/* step_phone.c */
step_fn step_phone;

/* step_country.c */
step_fn step_country2;

/* step_replace.c */
step_fn step_replace;
enum err_code step_replace_compile(const struct transform *t, struct step_replace **ret,
                                   struct err *err) MUST_CHECK;
void step_replace_free(struct step_replace *r);

/* step_digest.c */
step_fn step_sha256, step_sha1, step_sha512, step_md5, step_hex, step_base64;
/** The bytes that are meant: the text's own, or those that its base64 stands for. */
enum err_code step_bytes(struct step_env *env, const struct step *step, const struct value *v,
                         struct slice *ret, struct err *err) MUST_CHECK;
/** Makes *v the hex digest of bytes. */
enum err_code step_digest_of(struct step_env *env, struct value *v, enum digest_algorithm algorithm,
                             struct slice bytes, struct err *err) MUST_CHECK;

/* step_hash.c */
step_fn step_hash, step_hmac, step_unless_hashed;
enum err_code step_hmac_compile(struct step *step, const struct transform *t, struct step_env *env,
                                struct arena *arena, struct err *err) MUST_CHECK;
enum err_code step_unless_hashed_compile(struct step *step, const struct transform *t,
                                         struct step_env *env, struct arena *arena,
                                         struct step_input *input, struct err *err) MUST_CHECK;

/* step_convert.c */
step_fn step_to_string, step_to_number, step_to_boolean, step_map;
enum err_code step_map_compile(struct step *step, const struct transform *t, struct arena *arena,
                               struct err *err) MUST_CHECK;
/** The text form of a value in templates and tables; empty for NULL. */
struct slice value_text(struct value v);

/* step_date.c */
step_fn step_date;
enum err_code step_date_compile(struct step *step, const struct transform *t,
                                struct err *err) MUST_CHECK;

/* step_json.c */
step_fn step_json, step_join;

/** Makes *v text of n bytes that were written to the room taken last. */
static inline enum err_code step_keep(struct step_env *env, struct value *v, char *p, size_t n)
{
    scratch_keep(&env->scratch, n);
    *v = (struct value){VALUE_TEXT, (uint32_t)n, p};
    return ERR_OK;
}

#endif
