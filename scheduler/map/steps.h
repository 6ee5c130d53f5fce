/* The functions behind the transforms, by file; private to this folder. */
#ifndef SLUICE_MAP_STEPS_H
#define SLUICE_MAP_STEPS_H

#include "scheduler/map/step.h"

/* step_text.c */
step_fn step_trim, step_lower, step_upper, step_substring, step_split;
struct slice text_trim(struct slice s);

/* step_replace.c */
step_fn step_replace;
enum err_code step_replace_compile(const struct transform *t, struct step_replace **ret,
                                   struct err *err) MUST_CHECK;
void step_replace_free(struct step_replace *r);

/* step_digest.c */
step_fn step_sha256, step_md5, step_hex, step_base64;
enum err_code step_digest_need(struct step_env *env, struct err *err) MUST_CHECK;
void step_digest_free(struct step_digest *d);

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
