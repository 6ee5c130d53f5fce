#include "scheduler/source/pg_shape.h"

#include "scheduler/source/dbt.h"
#include "scheduler/source/model_text.h"
#include "scheduler/source/pg_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHAPE_TEXT_BYTES_MAX = 16 << 20 };

static const char key_query[] =
    "select a.attname from (select i.* from pg_catalog.pg_index i"
    " where i.indrelid = $1::pg_catalog.regclass and i.indisvalid and (i.indisprimary or"
    " (i.indisunique and i.indpred is null and i.indexprs is null and not exists"
    " (select from pg_catalog.pg_attribute n where n.attrelid = i.indrelid"
    " and n.attnum = any(i.indkey::int2[]) and not n.attnotnull)))"
    " order by i.indisprimary desc, i.indnkeyatts, i.indexrelid limit 1) i"
    " cross join lateral unnest(i.indkey::int2[]) with ordinality k(number, place)"
    " join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number"
    " where k.place <= i.indnkeyatts order by k.place";

static const char tables_query[] =
    "select case n.nspname when 'public' then '' else pg_catalog.quote_ident(n.nspname) || '.' end"
    " || pg_catalog.quote_ident(c.relname) from pg_catalog.pg_class c"
    " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
    " where c.relkind in ('r', 'v', 'm', 'p', 'f') and n.nspname <> 'information_schema'"
    " and n.nspname !~ '^pg_' and pg_catalog.has_table_privilege(c.oid, 'SELECT')"
    " and pg_catalog.has_schema_privilege(n.oid, 'USAGE') order by 1";

void pg_shape_done(struct pg_shape *shape)
{
    arena_done(&shape->arena);
}

/* ---- statements in a transaction of their own ---- */

static bool failed(const PGresult *r)
{
    return PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK;
}

static void clear(PGresult **r)
{
    PQclear(*r);
}

static enum err_code command(PGconn *conn, const char *sql, struct err *err)
{
    CLEANUP(clear) PGresult *r = PQexec(conn, sql);
    return failed(r) ? pg_error_result(r, NULL, err) : ERR_OK;
}

static enum err_code begin(PGconn *conn, struct err *err)
{
    return command(conn, "BEGIN READ ONLY", err);
}

/* The connection may be lost by now: whoever asks next is told. */
static void leave(PGconn *conn)
{
    PQclear(PQexec(conn, "ROLLBACK"));
}

/* ---- the statement ---- */

static enum err_code statement_of(PGconn *conn, const struct model *model, struct buf *out,
                                  struct err *err)
{
    CLEANUP(buf_done) struct buf relation;
    buf_init(&relation, SHAPE_TEXT_BYTES_MAX);
    const char *table = model->table;
    enum err_code rc = ERR_OK;
    if (model->dbt_model) {
        rc = dbt_relation(model->dbt_manifest, model->dbt_model, &relation, err);
        table = rc ? NULL : buf_cstr(&relation);
        if (!rc && !table)
            rc = err_set(err, ERR_NOMEM, "no memory for the model's text");
    }
    return rc ? rc : model_text_statement(conn, model, table, out, err);
}

static enum err_code keep_name(struct arena *arena, const char **list, size_t *count,
                               const char *name, struct err *err)
{
    list[*count] = arena_str(arena, slice_str(name));
    if (!list[*count])
        return err_set(err, ERR_NOMEM, "no memory for names");
    ++*count;
    return ERR_OK;
}

static enum err_code take_columns(const PGresult *r, struct pg_shape *shape, struct err *err)
{
    size_t n = (size_t)PQnfields(r);
    if (PQnparams(r) > 0)
        return err_set(err, ERR_CONFIG, "the model holds a parameter ($1); write the value itself");
    if (n == 0)
        return err_set(err, ERR_CONFIG, "the model gives no columns; it must be one SELECT");
    shape->columns = arena_alloc(&shape->arena, n * sizeof *shape->columns);
    enum err_code rc = shape->columns ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for columns");
    for (int i = 0; i < (int)n && !rc; i++)
        rc = keep_name(&shape->arena, shape->columns, &shape->column_count, PQfname(r, i), err);
    return rc;
}

static enum err_code describe(PGconn *conn, struct buf *text, struct pg_shape *shape,
                              struct err *err)
{
    const char *sql = buf_cstr(text);
    if (!sql)
        return err_set(err, ERR_NOMEM, "no memory for the model's text");
    CLEANUP(clear) PGresult *prepared = PQprepare(conn, "", sql, 0, NULL);
    struct pg_statement_place place = {buf_slice(text), 0};
    if (failed(prepared))
        return pg_error_result(prepared, &place, err);
    CLEANUP(clear) PGresult *described = PQdescribePrepared(conn, "");
    return failed(described) ? pg_error_result(described, NULL, err)
                             : take_columns(described, shape, err);
}

enum err_code pg_shape_columns(PGconn *conn, const struct model *model, struct pg_shape *ret,
                               struct err *err)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, SHAPE_TEXT_BYTES_MAX);
    *ret = (struct pg_shape){0};
    arena_init(&ret->arena, 1 << 20);
    enum err_code rc = statement_of(conn, model, &text, err);
    if (!rc)
        rc = begin(conn, err);
    if (!rc) {
        rc = describe(conn, &text, ret, err);
        leave(conn);
    }
    return rc;
}

/* One text parameter or none; the answer's first column is given. */
static enum err_code ask(PGconn *conn, const char *sql, const char *parameter, PGresult **ret,
                         struct err *err)
{
    enum err_code rc = begin(conn, err);
    if (rc)
        return rc;
    *ret = PQexecParams(conn, sql, parameter ? 1 : 0, NULL, &parameter, NULL, NULL, 0);
    if (failed(*ret))
        rc = pg_error_result(*ret, NULL, err);
    leave(conn);
    return rc;
}

/* The relation's name in a form that means the same to regclass as to the statement. */
static enum err_code relation_of(PGconn *conn, const struct model *model, struct buf *out,
                                 struct err *err)
{
    enum err_code rc = model_text_name(conn, model->table, out);
    if (rc == ERR_CONFIG)
        return err_set(err, rc,
                       "%s is not a table's name; write schema.table, odd names in double quotes",
                       model->table);
    return rc ? err_set(err, rc, "no memory for the table's name") : ERR_OK;
}

enum err_code pg_shape_key(PGconn *conn, const struct model *model, struct pg_shape *shape,
                           struct err *err)
{
    CLEANUP(buf_done) struct buf relation;
    CLEANUP(clear) PGresult *r = NULL;
    buf_init(&relation, SHAPE_TEXT_BYTES_MAX);
    if (!model->table)
        return ERR_OK;
    enum err_code rc = relation_of(conn, model, &relation, err);
    const char *name = rc ? NULL : buf_cstr(&relation);
    if (!name)
        return rc ? rc : err_set(err, ERR_NOMEM, "no memory for the table's name");
    rc = ask(conn, key_query, name, &r, err);
    if (rc)
        return rc == ERR_SQL ? ERR_OK : rc; /* it speaks the protocol, but has not these catalogs */
    int n = PQntuples(r);
    shape->key = arena_alloc(&shape->arena, ((size_t)n + 1) * sizeof *shape->key);
    if (!shape->key)
        return err_set(err, ERR_NOMEM, "no memory for the key");
    for (int i = 0; i < n && !rc; i++)
        rc = keep_name(&shape->arena, shape->key, &shape->key_count, PQgetvalue(r, i, 0), err);
    return rc;
}

enum err_code pg_shape_readable(PGconn *conn, const struct model *model, struct err *err)
{
    /* VERBOSE keeps a statement in parentheses from being taken for options. */
    static const char before[] = "EXPLAIN VERBOSE ";
    CLEANUP(buf_done) struct buf statement;
    CLEANUP(buf_done) struct buf text;
    CLEANUP(clear) PGresult *r = NULL;
    buf_init(&statement, SHAPE_TEXT_BYTES_MAX);
    buf_init(&text, SHAPE_TEXT_BYTES_MAX);
    enum err_code rc = statement_of(conn, model, &statement, err);
    if (rc)
        return rc;
    if (buf_puts(&text, before) || buf_put(&text, statement.p, statement.len) || !buf_cstr(&text))
        return err_set(err, ERR_NOMEM, "no memory for the model's text");
    return ask(conn, text.p, NULL, &r, err);
}

enum err_code pg_shape_tables(PGconn *conn, struct arena *arena, size_t limit, const char ***ret,
                              size_t *ret_count, struct err *err)
{
    CLEANUP(clear) PGresult *r = NULL;
    *ret_count = 0;
    enum err_code rc = ask(conn, tables_query, NULL, &r, err);
    if (rc)
        return rc == ERR_SQL ? ERR_OK : rc;
    size_t n = (size_t)PQntuples(r) < limit ? (size_t)PQntuples(r) : limit;
    *ret = arena_alloc(arena, (n + 1) * sizeof **ret);
    if (!*ret)
        return err_set(err, ERR_NOMEM, "no memory for the names of tables");
    for (int i = 0; i < (int)n && !rc; i++)
        rc = keep_name(arena, *ret, ret_count, PQgetvalue(r, i, 0), err);
    return rc;
}
