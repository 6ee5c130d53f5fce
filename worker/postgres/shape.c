#include "worker/postgres/shape.h"

char shape_op(enum record_op op)
{
    static const char letters[] = {[OP_UPSERT] = 'p', [OP_INSERT] = 'i', [OP_UPDATE] = 'u',
                                   [OP_DELETE] = 'd', [OP_CLEAR] = 'c',  [OP_APPEND] = 'i'};
    return (size_t)op < sizeof letters ? letters[op] : '?';
}

static enum err_code take_keys(struct arena *a, const struct batch_head *head, struct shape *s)
{
    const char **keys = arena_alloc(a, (head->key_count + 1) * sizeof *keys);
    if (!keys)
        return ERR_NOMEM;
    for (size_t i = 0; i < head->key_count; i++)
        if (!(keys[i] = arena_str(a, head->key_names[i])))
            return ERR_NOMEM;
    s->keys = keys;
    s->key_count = head->key_count;
    return ERR_OK;
}

static enum err_code take_fields(struct arena *a, const struct batch_head *head, struct shape *s,
                                 struct err *err)
{
    const char **fields = arena_alloc(a, (head->field_count + 1) * sizeof *fields);
    uint8_t *policies = arena_alloc(a, head->field_count + 1);
    if (!fields || !policies)
        return ERR_NOMEM;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field_path *path = &head->fields[i];
        if (path->count != 1)
            return err_set(err, ERR_CONFIG,
                           "field %.*s.… is nested, and a column is not: map it to one name, with "
                           "\\. for a dot",
                           (int)path->names[0].n, path->names[0].p);
        if (!(fields[i] = arena_str(a, path->names[0])))
            return ERR_NOMEM;
        policies[i] = head->policies ? head->policies[i] : POLICY_OVERWRITE;
    }
    s->fields = fields;
    s->field_count = head->field_count;
    s->policies = policies;
    return ERR_OK;
}

enum err_code shape_make(struct arena *a, const struct batch_head *head, struct shape *ret_shape,
                         struct err *err)
{
    struct shape s = {.newest = head->newest_field};
    if (head->key_count == 0)
        return err_set(err, ERR_CONFIG, "a table needs a key: set identify_by");
    if (head->field_count + head->key_count > POSTGRES_COLUMNS_MAX)
        return err_set(err, ERR_CONFIG, "a table has at most %d columns", POSTGRES_COLUMNS_MAX);
    s.table = arena_str(a, head->object);
    enum err_code rc = s.table ? take_keys(a, head, &s) : ERR_NOMEM;
    if (!rc)
        rc = take_fields(a, head, &s, err);
    if (rc == ERR_NOMEM)
        return err_set(err, rc, "no memory for the columns of a batch");
    if (!rc)
        *ret_shape = s;
    return rc;
}
