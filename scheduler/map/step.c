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
    step_digest_free(env->digest);
    env->digest = NULL;
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

static enum err_code compile_own(struct step *step, const struct transform *t, struct step_env *env,
                                 struct arena *arena, struct err *err)
{
    if (t->kind == TRANSFORM_REPLACE)
        return step_replace_compile(t, &step->replace, err);
    if (t->kind == TRANSFORM_MAP)
        return step_map_compile(step, t, arena, err);
    if (t->kind == TRANSFORM_DATE)
        return step_date_compile(step, t, err);
    if (t->kind == TRANSFORM_SHA256 || t->kind == TRANSFORM_MD5)
        return step_digest_need(env, err);
    if (t->kind == TRANSFORM_SPLIT && !step->text.n)
        return err_set(err, ERR_CONFIG, "transform split needs a separator that is not empty");
    return ERR_OK;
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
    rc = rc ? rc : compile_own(step, t, env, arena, err);
    if (rc)
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
