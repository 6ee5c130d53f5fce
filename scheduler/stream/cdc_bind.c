/*
 * Which column of a table, as the server describes it, is which of the model.
 *
 * Reads Relation messages. The description is that of the moment of the change, the model's that of
 * now: where they differ, the table as it is now decides whether the rows can still be asked for,
 * or the model itself is another one.
 */
#include "scheduler/stream/cdc_private.h"

#include "scheduler/stream/replication_words.h"

#include <stdlib.h>

enum { OIDS_MAX = COLUMN_LIMIT + KEY_VALUES_MAX, TYPES_ENOUGH_BYTES = 4 << 20 };

static void unbind(struct cdc_table *t)
{
    row_decoder_done(&t->rows);
    row_decoder_done(&t->key);
    t->bound = false;
}

void cdc_unbind(struct cdc_feed *f)
{
    for (size_t i = 0; i < f->table_count; i++)
        unbind(&f->tables[i]);
    f->types_failed = false;
    f->shape = SHAPE_UNKNOWN;
}

/* column_count: there is none. */
static uint16_t find(const struct pgoutput_message *m, const char *name)
{
    uint16_t i = 0;
    while (i < m->column_count && strcmp(m->columns[i].name, name) != 0)
        i++;
    return i;
}

static void bind_keys(const struct cdc_feed *f, struct cdc_table *t,
                      const struct pgoutput_message *m)
{
    t->usable = t->identity = true;
    for (size_t k = 0; k < f->sync->model->primary_key_count; k++) {
        uint16_t at = find(m, t->keys[k]);
        t->usable &= at < m->column_count;
        t->identity &= at < m->column_count && m->columns[at].key;
        t->key_at[k] = at;
    }
    t->identity &= t->usable;
}

/* The type below its domains, as the model's description names it. */
static bool same_type(const struct types *types, Oid oid, const char *name)
{
    const struct pg_type *type = types_find(types, oid);
    for (int i = 0; type && type->base && i < 16; i++)
        type = types_find(types, type->base);
    return type && strcmp(type->name, name) == 0;
}

/* All columns of the model are there; for a model of the whole table, no others. */
static bool bind_columns(struct cdc_feed *f, struct cdc_table *t, const struct pgoutput_message *m)
{
    bool same = f->sync->model->column_count || m->column_count == f->column_count;
    for (size_t i = 0; i < f->column_count && same; i++) {
        t->columns[i] = find(m, f->columns[i].name);
        same = t->columns[i] < m->column_count;
    }
    return same;
}

static bool same_types(const struct cdc_feed *f, const struct cdc_table *t,
                       const struct pgoutput_message *m)
{
    for (size_t i = 0; i < f->column_count; i++)
        if (!same_type(&f->types, m->columns[t->columns[i]].type, f->columns[i].type_name))
            return false;
    return true;
}

/* Types of the key, then of the row. */
static size_t list_oids(const struct cdc_feed *f, const struct cdc_table *t,
                        const struct pgoutput_message *m, bool rows, Oid *oids)
{
    size_t n = 0;
    for (size_t k = 0; k < f->sync->model->primary_key_count && t->usable; k++)
        oids[n++] = m->columns[t->key_at[k]].type;
    for (size_t i = 0; i < f->column_count && rows; i++)
        oids[n++] = m->columns[t->columns[i]].type;
    return n;
}

static enum err_code make_decoders(struct cdc_feed *f, struct cdc_table *t, const Oid *oids,
                                   size_t n, struct err *err)
{
    size_t keys = t->usable ? f->sync->model->primary_key_count : 0;
    enum err_code rc = ERR_OK;
    if (keys)
        rc = row_decoder_init(&t->key, &f->types, oids, keys, err);
    if (!rc && !t->by_key && n > keys)
        rc = row_decoder_init(&t->rows, &f->types, oids + keys, n - keys, err);
    return rc;
}

static struct cdc_table *table_of(struct cdc_feed *f, const struct pgoutput_message *m)
{
    for (size_t i = 0; i < f->table_count; i++) {
        struct cdc_table *t = &f->tables[i];
        bool named = strcmp(t->schema, m->schema) == 0 && strcmp(t->name, m->table) == 0;
        if (named != (t->oid == m->relation))
            cdc_want(f, JOB_FIT); /* made anew, or renamed */
        if (t->oid == m->relation)
            return t;
    }
    return NULL;
}

static enum replication_taken finish(struct cdc_feed *f, struct cdc_table *t,
                                     const struct pgoutput_message *m)
{
    struct err err;
    Oid oids[OIDS_MAX];
    size_t n = list_oids(f, t, m, !t->by_key, oids);
    f->shape = SHAPE_UNKNOWN;
    f->types_failed = false;
    if (make_decoders(f, t, oids, n, &err)) {
        cdc_fail(f, &err);
        return REPLICATION_STOP;
    }
    t->bound = true;
    return REPLICATION_TAKEN;
}

/* Asks for types that are not known yet. Those that are gone make a key unusable. */
static enum replication_taken know_types(struct cdc_feed *f, struct cdc_table *t,
                                         const struct pgoutput_message *m, bool *rows)
{
    struct err err;
    Oid oids[OIDS_MAX];
    size_t n = list_oids(f, t, m, *rows, oids);
    if (types_query(&f->types, oids, n, &f->types_sql, &err)) {
        cdc_fail(f, &err);
        return REPLICATION_STOP;
    }
    if (!f->types_sql.len)
        return REPLICATION_TAKEN;
    if (!f->types_failed) {
        cdc_want(f, JOB_TYPES);
        return REPLICATION_HELD;
    }
    if (*rows) {
        *rows = false;
        return know_types(f, t, m, rows);
    }
    t->usable = t->identity = false;
    return REPLICATION_TAKEN;
}

/* Every description takes a little of what the types have: before it is used up all begins anew. */
static bool make_room(struct cdc_feed *f)
{
    struct err err;
    if (f->types.arena.used < TYPES_ENOUGH_BYTES)
        return true;
    if (f->table_count == 1) {
        types_done(&f->types);
        types_init(&f->types);
        return true;
    }
    err_set(&err, ERR_FULL, "the tables were described too often for one connection");
    cdc_lose(f, &err);
    return false;
}

enum replication_taken cdc_bind(struct cdc_feed *f, const struct pgoutput_message *m)
{
    struct cdc_table *t = table_of(f, m);
    if (!t)
        return REPLICATION_TAKEN;
    unbind(t);
    if (!make_room(f))
        return REPLICATION_STOP;
    bind_keys(f, t, m);
    bool told = !f->keys_only && !t->guarded, rows = told && bind_columns(f, t, m);
    enum replication_taken taken = know_types(f, t, m, &rows);
    if (taken != REPLICATION_TAKEN)
        return taken;
    rows = rows && same_types(f, t, m);
    if (!rows && told && f->shape == SHAPE_UNKNOWN) {
        cdc_want(f, JOB_SHAPE);
        return REPLICATION_HELD;
    }
    if (!rows && f->shape == SHAPE_DIFFERS)
        taken = cdc_needs_read(f, ERR_STALE, "the columns of table %s.%s have changed", m->schema,
                               m->table);
    if (taken != REPLICATION_TAKEN)
        return taken;
    t->by_key = !rows;
    t->most = m->column_count;
    return finish(f, t, m);
}

/* ---- the table as it is now ---- */

enum err_code cdc_shape_sql(struct cdc_feed *f, struct buf *out)
{
    const struct model *model = f->sync->model;
    enum err_code rc = buf_puts(out, "SELECT ");
    for (size_t i = 0; i < model->column_count && !rc; i++) {
        rc = i ? buf_putc(out, ',') : ERR_OK;
        if (!rc)
            rc = sql_put_identifier(out, slice_str(model->columns[i]));
    }
    if (!rc)
        rc = buf_puts(out, model->column_count ? " FROM " : "* FROM ");
    if (!rc)
        rc = sql_put_table(out, model->table);
    return rc ? rc : buf_puts(out, " LIMIT 0");
}

static bool agrees(const struct cdc_feed *f, const PGresult *result)
{
    if ((size_t)PQnfields(result) != f->column_count)
        return false;
    for (int i = 0; i < PQnfields(result); i++)
        if (strcmp(PQfname(result, i), f->columns[i].name) != 0 ||
            !same_type(&f->types, PQftype(result, i), f->columns[i].type_name))
            return false;
    return true;
}

bool cdc_shape_answer(struct cdc_feed *f, const PGresult *result)
{
    struct err err;
    Oid oids[COLUMN_LIMIT];
    size_t n = (size_t)PQnfields(result);
    for (size_t i = 0; i < n && i < COLUMN_LIMIT; i++)
        oids[i] = PQftype(result, (int)i);
    if (n > COLUMN_LIMIT || types_query(&f->types, oids, n, &f->types_sql, &err)) {
        f->shape = SHAPE_DIFFERS;
    } else if (f->types_sql.len && !f->types_failed) {
        cdc_want(f, JOB_TYPES); /* and then the table is looked at again */
        return false;
    } else {
        f->shape = agrees(f, result) ? SHAPE_AGREES : SHAPE_DIFFERS;
    }
    return true;
}
