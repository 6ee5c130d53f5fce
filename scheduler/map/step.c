#include "scheduler/map/step.h"

#include "scheduler/map/steps.h"

#define KIND(k) (1u << (k))

enum {
    TEXT = KIND(VALUE_TEXT),
    NUMBER = KIND(VALUE_NUMBER),
    BOOLEAN = KIND(VALUE_TRUE) | KIND(VALUE_FALSE),
    JSON = KIND(VALUE_JSON),
};

static const struct step_kind kinds[] = {
    [TRANSFORM_TRIM] = {"trim", "text", TEXT, TEXT, step_trim},
    [TRANSFORM_LOWER] = {"lower", "text", TEXT, TEXT, step_lower},
    [TRANSFORM_UPPER] = {"upper", "text", TEXT, TEXT, step_upper},
    [TRANSFORM_SHA256] = {"sha256", "text", TEXT, TEXT, step_sha256},
    [TRANSFORM_MD5] = {"md5", "text", TEXT, TEXT, step_md5},
    [TRANSFORM_HEX] = {"hex", "text", TEXT, TEXT, step_hex},
    [TRANSFORM_BASE64] = {"base64", "text", TEXT, TEXT, step_base64},
    [TRANSFORM_TO_STRING] = {"to_string", "a value", TEXT | NUMBER | BOOLEAN | JSON, TEXT,
                             step_to_string},
    [TRANSFORM_TO_NUMBER] = {"to_number", "text or a number", TEXT | NUMBER, NUMBER,
                             step_to_number},
    [TRANSFORM_TO_BOOLEAN] = {"to_boolean", "text, a number or a boolean", TEXT | NUMBER | BOOLEAN,
                              BOOLEAN, step_to_boolean},
    [TRANSFORM_DATE] = {"date", "a date, a time, text or a number", TEXT | NUMBER, TEXT | NUMBER,
                        step_date},
    [TRANSFORM_SUBSTRING] = {"substring", "text", TEXT, TEXT, step_substring},
    [TRANSFORM_REPLACE] = {"replace", "text", TEXT, TEXT, step_replace},
    [TRANSFORM_SPLIT] = {"split", "text", TEXT, JSON, step_split},
    [TRANSFORM_JOIN] = {"join", "a JSON array", JSON, TEXT, step_join},
    [TRANSFORM_JSON] = {"json", "text that holds JSON", TEXT | JSON, JSON, step_json},
    [TRANSFORM_MAP] = {"map", "text, a number or a boolean", TEXT | NUMBER | BOOLEAN,
                       TEXT | NUMBER | BOOLEAN, step_map},
    [TRANSFORM_REMOVE_SPACES] = {"remove_spaces", "text", TEXT, TEXT, step_remove_spaces},
    [TRANSFORM_DIGITS] = {"digits", "text", TEXT, TEXT, step_digits},
    [TRANSFORM_LETTERS] = {"letters", "text", TEXT, TEXT, step_letters},
    [TRANSFORM_ASCII_LETTERS] = {"ascii_letters", "text", TEXT, TEXT, step_ascii_letters},
    [TRANSFORM_NO_PUNCTUATION] = {"no_punctuation", "text", TEXT, TEXT, step_no_punctuation},
    [TRANSFORM_STRIP_ZEROS] = {"strip_zeros", "text", TEXT, TEXT, step_strip_zeros},
    [TRANSFORM_PREFIX] = {"prefix", "text", TEXT, TEXT, step_prefix},
    [TRANSFORM_PHONE] = {"phone", "text", TEXT, TEXT, step_phone},
    [TRANSFORM_GMAIL_DOTS] = {"gmail_dots", "text", TEXT, TEXT, step_gmail_dots},
    [TRANSFORM_EMAIL] = {"email", "text", TEXT, TEXT, step_email},
    [TRANSFORM_FIRST] = {"first", "text", TEXT, TEXT, step_substring},
    [TRANSFORM_BEFORE] = {"before", "text", TEXT, TEXT, step_before},
    [TRANSFORM_PAD] = {"pad", "text", TEXT, TEXT, step_pad},
    [TRANSFORM_SHA1] = {"sha1", "text", TEXT, TEXT, step_sha1},
    [TRANSFORM_SHA512] = {"sha512", "text", TEXT, TEXT, step_sha512},
    [TRANSFORM_HASH] = {"hash", "text", TEXT, TEXT, step_hash},
    [TRANSFORM_HMAC] = {"hmac", "text", TEXT, TEXT, step_hmac},
    [TRANSFORM_EMPTY_TO_NULL] = {"empty_to_null", "text", TEXT, TEXT, step_empty_to_null},
    [TRANSFORM_COUNTRY2] = {"country2", "text", TEXT, TEXT, step_country2},
    [TRANSFORM_GENDER] = {"gender", "text", TEXT, TEXT, step_gender},
    [TRANSFORM_UNLESS_HASHED] = {"unless_hashed", "a value", TEXT | NUMBER | BOOLEAN | JSON,
                                 TEXT | NUMBER | BOOLEAN | JSON, step_unless_hashed},
};

const char *step_name(enum transform_kind kind)
{
    return kinds[kind].name;
}

static const char *kind_word(enum value_kind kind)
{
    static const char *const words[] = {
        [VALUE_NULL] = "null",       [VALUE_FALSE] = "a boolean", [VALUE_TRUE] = "a boolean",
        [VALUE_NUMBER] = "a number", [VALUE_TEXT] = "text",       [VALUE_JSON] = "JSON",
    };
    return (size_t)kind < ARRAY_LEN(words) ? words[kind] : "no value";
}

void step_env_done(struct step_env *env)
{
    scratch_done(&env->scratch);
    digester_free(env->digester);
    env->digester = NULL;
}

static enum err_code check_input(const struct step_kind *kind, const struct step_input *input,
                                 struct err *err)
{
    if (input->kinds & kind->takes)
        return ERR_OK;
    const char *hint = kind->takes == TEXT ? "; put to_string before it" : "";
    return err_set(err, ERR_CONFIG, "transform %s needs %s, which %s never is%s", kind->name,
                   kind->needs, input->what, hint);
}

static enum err_code need_separator(const struct step *step, struct err *err)
{
    return step->text.n
               ? ERR_OK
               : err_set(err, ERR_CONFIG, "transform %s needs a separator that is not empty",
                         step->kind->name);
}

static enum err_code need_digest(struct step_env *env, enum transform_kind kind, struct err *err)
{
    if (kind == TRANSFORM_SHA256 || kind == TRANSFORM_HASH)
        return digester_need(&env->digester, DIGEST_SHA256, err);
    if (kind == TRANSFORM_SHA1)
        return digester_need(&env->digester, DIGEST_SHA1, err);
    if (kind == TRANSFORM_SHA512)
        return digester_need(&env->digester, DIGEST_SHA512, err);
    return kind == TRANSFORM_MD5 ? digester_need(&env->digester, DIGEST_MD5, err) : ERR_OK;
}

static enum err_code compile_own(struct step *step, const struct transform *t, struct step_env *env,
                                 struct arena *arena, struct step_input *input, struct err *err)
{
    if (t->kind == TRANSFORM_REPLACE)
        return step_replace_compile(t, &step->replace, err);
    if (t->kind == TRANSFORM_MAP)
        return step_map_compile(step, t, arena, err);
    if (t->kind == TRANSFORM_DATE)
        return step_date_compile(step, t, err);
    if (t->kind == TRANSFORM_SPLIT || t->kind == TRANSFORM_BEFORE)
        return need_separator(step, err);
    if (t->kind == TRANSFORM_HMAC)
        return step_hmac_compile(step, t, env, arena, err);
    if (t->kind == TRANSFORM_UNLESS_HASHED)
        return step_unless_hashed_compile(step, t, env, arena, input, err);
    return need_digest(env, t->kind, err);
}

static unsigned output_kinds(const struct step *step, const struct transform *t, unsigned in)
{
    if (t->kind == TRANSFORM_MAP)
        return TEXT | (step->has_fallback ? 0 : in & step->kind->gives);
    if (t->kind == TRANSFORM_DATE)
        return step->format == DATE_UNIX || step->format == DATE_UNIX_MS ? NUMBER : TEXT;
    return step->kind->gives;
}

enum err_code step_compile(struct step *step, const struct transform *t, struct step_env *env,
                           struct arena *arena, struct step_input *input, struct err *err)
{
    ensure((size_t)t->kind < ARRAY_LEN(kinds));
    *step = (struct step){
        .kind = &kinds[t->kind],
        .of_bytes = input->is_bytes,
        .text = slice_str(t->text),
        .with = t->with,
        .from = t->from,
        .length = t->length,
    };
    enum err_code rc = check_input(step->kind, input, err);
    rc = rc ? rc : compile_own(step, t, env, arena, input, err);
    if (rc || t->kind == TRANSFORM_UNLESS_HASHED) /* which knows its output itself */
        return rc;
    input->kinds = output_kinds(step, t, input->kinds);
    /* Tables may leave a value as it is; everything else gives text of its own. */
    input->is_bytes = input->is_bytes && t->kind == TRANSFORM_MAP && !t->has_fallback;
    return ERR_OK;
}

void step_done(struct step *step)
{
    step_replace_free(step->replace);
    step->replace = NULL;
    for (size_t i = 0; i < step->inner_count; i++)
        step_done(&step->inner[i]);
    step->inner_count = 0;
}

enum err_code step_run(struct step_env *env, const struct step *step, struct value *v,
                       struct err *err)
{
    const struct step_kind *kind = step->kind;
    if (UNLIKELY(!(KIND(v->kind) & kind->takes)))
        return err_set(err, ERR_INVALID, "%s needs %s, but the value is %s", kind->name,
                       kind->needs, kind_word(v->kind));
    enum err_code rc = kind->run(env, step, v, err);
    return UNLIKELY(rc) ? err_prefix(err, "%s", kind->name) : ERR_OK;
}
