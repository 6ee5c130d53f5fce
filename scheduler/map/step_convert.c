/* to_string, to_number, to_boolean, map: from one kind of value to another. */
#include "scheduler/map/steps.h"

#include "protocol/base/json.h"

#include <stdlib.h>
#include <strings.h>

struct slice value_text(struct value v)
{
    switch (v.kind) {
    case VALUE_FALSE:
        return SLICE_LIT("false");
    case VALUE_TRUE:
        return SLICE_LIT("true");
    case VALUE_NUMBER:
    case VALUE_TEXT:
    case VALUE_JSON:
        return value_slice(v);
    case VALUE_NULL:
    case VALUE_ABSENT:
    case VALUE_BAD:
        break;
    }
    return SLICE_LIT("");
}

enum err_code step_to_string(struct step_env *env, const struct step *step, struct value *v,
                             struct err *err)
{
    (void)env, (void)step, (void)err;
    *v = value_of(VALUE_TEXT, value_text(*v));
    return ERR_OK;
}

static size_t leading_zeros(struct slice digits)
{
    size_t n = 0;
    while (n + 1 < digits.n && digits.p[n] == '0' && digits.p[n + 1] >= '0' &&
           digits.p[n + 1] <= '9')
        n++;
    return n;
}

enum err_code step_to_number(struct step_env *env, const struct step *step, struct value *v,
                             struct err *err)
{
    (void)step;
    if (v->kind == VALUE_NUMBER)
        return ERR_OK;
    struct slice s = text_trim(value_slice(*v));
    bool minus = s.n && s.p[0] == '-';
    if (s.n && (minus || s.p[0] == '+'))
        s = slice_of(s.p + 1, s.n - 1);
    size_t zeros = leading_zeros(s);
    s = slice_of(s.n ? s.p + zeros : "", s.n - zeros);
    if (!s.n || s.p[0] == '-' || !json_is_number(s))
        return err_set(err, ERR_INVALID, "the text is not a number");
    if (minus) {
        char *out;
        enum err_code rc = scratch_room(&env->scratch, s.n + 1, &out, err);
        if (rc)
            return rc;
        out[0] = '-';
        memcpy(out + 1, s.p, s.n);
        scratch_keep(&env->scratch, s.n + 1);
        s = slice_of(out, s.n + 1);
    }
    *v = value_of(VALUE_NUMBER, s);
    return ERR_OK;
}

enum err_code step_to_boolean(struct step_env *env, const struct step *step, struct value *v,
                              struct err *err)
{
    static const char *const words[] = {"true",  "t", "yes", "y", "on",  "1",
                                        "false", "f", "no",  "n", "off", "0"};
    (void)env, (void)step;
    if (v->kind == VALUE_TRUE || v->kind == VALUE_FALSE)
        return ERR_OK;
    struct slice s = text_trim(value_slice(*v));
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (s.n == strlen(words[i]) && strncasecmp(s.p, words[i], s.n) == 0) {
            *v = (struct value){.kind = i < ARRAY_LEN(words) / 2 ? VALUE_TRUE : VALUE_FALSE};
            return ERR_OK;
        }
    }
    return err_set(err, ERR_INVALID,
                   "the value is none of true, false, t, f, yes, no, y, n, on, off, 1, 0");
}

static int slice_compare(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_entries(const void *a, const void *b)
{
    const struct step_table_entry *x = a, *y = b;
    return slice_compare(x->from, y->from);
}

static struct value table_value(const char *text, bool is_null)
{
    return is_null || !text ? (struct value){.kind = VALUE_NULL}
                            : value_of(VALUE_TEXT, slice_str(text));
}

enum err_code step_map_compile(struct step *step, const struct transform *t, struct arena *arena,
                               struct err *err)
{
    step->has_fallback = t->has_fallback;
    step->fallback = table_value(t->fallback, false);
    step->table_count = t->table_count;
    step->table = arena_alloc(arena, t->table_count * sizeof *step->table);
    if (!step->table)
        return err_set(err, ERR_NOMEM, "no memory for a map table");
    for (size_t i = 0; i < t->table_count; i++)
        step->table[i] = (struct step_table_entry){
            slice_str(t->table[i].from), table_value(t->table[i].to, t->table[i].to_null)};
    qsort(step->table, step->table_count, sizeof *step->table, compare_entries);
    for (size_t i = 1; i < step->table_count; i++)
        if (slice_eq(step->table[i].from, step->table[i - 1].from))
            return err_set(err, ERR_CONFIG, "transform map has two entries for '%s'",
                           step->table[i].from.p);
    return ERR_OK;
}

enum err_code step_map(struct step_env *env, const struct step *step, struct value *v,
                       struct err *err)
{
    (void)env, (void)err;
    const struct step_table_entry *found = NULL;
    struct step_table_entry wanted = {.from = value_text(*v)};
    if (step->table_count)
        found =
            bsearch(&wanted, step->table, step->table_count, sizeof *step->table, compare_entries);
    if (found)
        *v = found->to;
    else if (step->has_fallback)
        *v = step->fallback;
    return ERR_OK;
}
