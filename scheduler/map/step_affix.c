/* prefix, before, pad, empty_to_null: what stands at the ends of a text. Empty text stays empty:
 * there is nothing to put a prefix to. */
#include "scheduler/map/steps.h"

enum err_code step_prefix(struct step_env *env, const struct step *step, struct value *v,
                          struct err *err)
{
    size_t n = step->text.n;
    if (!v->n || (v->n >= n && memcmp(v->p, step->text.p, n) == 0))
        return ERR_OK;
    char *out;
    enum err_code rc = scratch_room(&env->scratch, n + v->n, &out, err);
    if (rc)
        return rc;
    memcpy(mempcpy(out, step->text.p, n), v->p, v->n);
    return step_keep(env, v, out, n + v->n);
}

enum err_code step_before(struct step_env *env, const struct step *step, struct value *v,
                          struct err *err)
{
    (void)env, (void)err;
    const char *found = v->n ? memmem(v->p, v->n, step->text.p, step->text.n) : NULL;
    if (found)
        v->n = (uint32_t)(found - v->p);
    return ERR_OK;
}

enum err_code step_pad(struct step_env *env, const struct step *step, struct value *v,
                       struct err *err)
{
    size_t chars = text_chars(value_slice(*v)), wanted = (size_t)step->length;
    if (!v->n || chars >= wanted)
        return ERR_OK;
    struct slice with = slice_str(step->with);
    size_t n = (wanted - chars) * with.n + v->n;
    char *out;
    enum err_code rc = scratch_room(&env->scratch, n, &out, err);
    if (rc)
        return rc;
    char *o = out;
    for (; chars < wanted; chars++)
        o = mempcpy(o, with.p, with.n);
    memcpy(o, v->p, v->n);
    return step_keep(env, v, out, n);
}

enum err_code step_empty_to_null(struct step_env *env, const struct step *step, struct value *v,
                                 struct err *err)
{
    (void)env, (void)step, (void)err;
    if (!v->n)
        *v = (struct value){.kind = VALUE_NULL};
    return ERR_OK;
}
