/* date: points in time between RFC 3339, dates and Unix time (moment.h). */
#include "scheduler/map/steps.h"

enum err_code step_date_compile(struct step *step, const struct transform *t, struct err *err)
{
    static const char *const names[] = {"rfc3339", "date", "unix", "unix_ms"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (slice_eq_str(slice_str(t->text), names[i])) {
            step->format = (enum date_format)i;
            return ERR_OK;
        }
    }
    return err_set(err, ERR_CONFIG,
                   "transform date needs one of rfc3339, date, unix, unix_ms, not '%s'",
                   t->text ? t->text : "");
}

enum err_code step_date(struct step_env *env, const struct step *step, struct value *v,
                        struct err *err)
{
    struct slice s = text_trim(value_slice(*v));
    char *out;
    size_t n;
    enum err_code rc = scratch_room(&env->scratch, MOMENT_BYTES, &out, err);
    if (!rc)
        rc = moment_text(s, step->format, out, &n, err);
    if (rc)
        return rc;
    rc = step_keep(env, v, out, n);
    if (step->format == DATE_UNIX || step->format == DATE_UNIX_MS)
        v->kind = VALUE_NUMBER;
    return rc;
}
