/* email, gmail_dots, gender: what is written in many ways, in one. What cannot be one becomes NULL:
 * it is no reason to hold back the rest of the row. */
#include "scheduler/map/steps.h"

#include <strings.h>

/* One @ with something on both sides, and no white space. */
static bool is_address(struct slice s)
{
    const char *at = s.n ? memchr(s.p, '@', s.n) : NULL;
    if (!at || at == s.p || at == s.p + s.n - 1)
        return false;
    if (memchr(at + 1, '@', (size_t)(s.p + s.n - at - 1)))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (text_space_at(slice_of(s.p + i, s.n - i)))
            return false;
    return true;
}

enum err_code step_email(struct step_env *env, const struct step *step, struct value *v,
                         struct err *err)
{
    struct slice s = text_trim(value_slice(*v));
    if (!is_address(s)) {
        *v = (struct value){.kind = VALUE_NULL};
        return ERR_OK;
    }
    *v = value_of(VALUE_TEXT, s);
    return step_lower(env, step, v, err);
}

static bool is_gmail(struct slice domain)
{
    static const struct slice domains[] = {{"gmail.com", 9}, {"googlemail.com", 14}};
    for (size_t i = 0; i < ARRAY_LEN(domains); i++)
        if (domain.n == domains[i].n && strncasecmp(domain.p, domains[i].p, domain.n) == 0)
            return true;
    return false;
}

enum err_code step_gmail_dots(struct step_env *env, const struct step *step, struct value *v,
                              struct err *err)
{
    (void)step;
    const char *at = v->n ? memrchr(v->p, '@', v->n) : NULL;
    if (!at)
        return ERR_OK;
    const char *end = v->p + v->n;
    if (!is_gmail(slice_of(at + 1, (size_t)(end - at - 1))) ||
        !memchr(v->p, '.', (size_t)(at - v->p)))
        return ERR_OK;
    char *out;
    enum err_code rc = scratch_room(&env->scratch, v->n, &out, err);
    if (rc)
        return rc;
    char *o = out;
    for (const char *p = v->p; p < at; p++)
        if (*p != '.')
            *o++ = *p;
    o = mempcpy(o, at, (size_t)(end - at));
    return step_keep(env, v, out, (size_t)(o - out));
}

enum err_code step_gender(struct step_env *env, const struct step *step, struct value *v,
                          struct err *err)
{
    static const struct {
        const char *word, *gender;
    } words[] = {{"m", "m"}, {"male", "m"},   {"man", "m"},
                 {"f", "f"}, {"female", "f"}, {"woman", "f"}};
    (void)env, (void)step, (void)err;
    struct slice s = text_trim(value_slice(*v));
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (s.n == strlen(words[i].word) && strncasecmp(s.p, words[i].word, s.n) == 0) {
            *v = value_of(VALUE_TEXT, slice_str(words[i].gender));
            return ERR_OK;
        }
    }
    *v = (struct value){.kind = VALUE_NULL};
    return ERR_OK;
}
