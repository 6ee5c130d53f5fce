/* json, join: text that becomes embedded JSON, and a JSON array that becomes text. */
#include "scheduler/map/steps.h"

#include "protocol/base/json.h"
#include "scheduler/map/json_scan.h"

enum err_code step_json(struct step_env *env, const struct step *step, struct value *v,
                        struct err *err)
{
    (void)step;
    if (v->kind == VALUE_JSON)
        return ERR_OK;
    const char *reason;
    if (!json_scan_document(value_slice(*v), &reason))
        return err_set(err, ERR_INVALID, "the text is not JSON: %s", reason);
    char *room;
    enum err_code rc = scratch_room(&env->scratch, v->n, &room, err);
    if (rc)
        return rc;
    struct buf out = {.p = room, .cap = v->n, .max = v->n};
    rc = json_put_compact(&out, value_slice(*v));
    if (rc)
        return err_set(err, rc, "the JSON does not fit");
    rc = step_keep(env, v, out.p, out.len);
    v->kind = VALUE_JSON;
    return rc;
}

/* Appends what one item of an array is as text; strings lose their quotes. */
static enum err_code put_item(char **o, struct slice item, struct err *err)
{
    if (item.p[0] != '"') {
        *o = mempcpy(*o, item.p, item.n);
        return ERR_OK;
    }
    size_t n;
    const char *reason = json_unescape(item, *o, &n);
    if (reason)
        return err_set(err, ERR_INVALID, "%s", reason);
    *o += n;
    return ERR_OK;
}

static size_t count_commas(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == ',';
    return n;
}

static enum err_code join_items(struct json_scan *scan, struct slice separator, char **o,
                                struct err *err)
{
    bool first = true;
    if (json_scan_char(scan, ']'))
        return ERR_OK;
    do {
        struct slice item;
        if (!json_scan_value(scan, &item))
            return err_set(err, ERR_INVALID, "the array is not JSON: %s", scan->reason);
        if (slice_eq(item, SLICE_LIT("null")))
            continue;
        if (!first && separator.n)
            *o = mempcpy(*o, separator.p, separator.n);
        first = false;
        enum err_code rc = put_item(o, item, err);
        if (rc)
            return rc;
    } while (json_scan_char(scan, ','));
    return json_scan_char(scan, ']') ? ERR_OK : err_set(err, ERR_INVALID, "the array does not end");
}

enum err_code step_join(struct step_env *env, const struct step *step, struct value *v,
                        struct err *err)
{
    struct json_scan scan = {.p = v->p, .end = v->p + v->n};
    if (!v->n || !json_scan_char(&scan, '['))
        return err_set(err, ERR_INVALID, "the JSON is not an array");
    size_t bound = v->n + count_commas(value_slice(*v)) * step->text.n;
    char *room;
    enum err_code rc = scratch_room(&env->scratch, bound, &room, err);
    if (rc)
        return rc;
    char *end = room;
    rc = join_items(&scan, step->text, &end, err);
    return rc ? rc : step_keep(env, v, room, (size_t)(end - room));
}
