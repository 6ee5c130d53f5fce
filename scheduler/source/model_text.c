#include "scheduler/source/model_text.h"

#include "scheduler/source/dbt.h"
#include "scheduler/source/pg_window.h"
#include "scheduler/source/sql_text.h"

#include <stdlib.h>

enum { TIMESTAMP_OID = 1114, NAME_PARTS_LIMIT = 3 };

static enum err_code put_identifier(PGconn *conn, struct slice name, struct buf *out)
{
    char *quoted = PQescapeIdentifier(conn, name.p, name.n);
    enum err_code rc = quoted ? buf_puts(out, quoted) : ERR_INVALID;
    PQfreemem(quoted);
    return rc;
}

static enum err_code put_literal(PGconn *conn, const char *text, struct buf *out)
{
    char *quoted = PQescapeLiteral(conn, text, strlen(text));
    enum err_code rc = quoted ? buf_puts(out, quoted) : ERR_INVALID;
    PQfreemem(quoted);
    return rc;
}

static enum err_code put_choice(PGconn *conn, const struct model *m, struct buf *out)
{
    enum err_code rc = buf_puts(out, "select ");
    for (size_t i = 0; i < m->column_count && !rc; i++) {
        if (i)
            rc = buf_puts(out, ", ");
        if (!rc)
            rc = put_identifier(conn, slice_str(m->columns[i]), out);
    }
    return rc ? rc : buf_puts(out, m->column_count ? " from " : "* from ");
}

static bool is_condition(const char *where)
{
    return sql_text_is_enclosed(sql_text_statement(slice_str(where)));
}

/* The condition may end in a comment. */
static enum err_code put_condition(const char *where, struct buf *out)
{
    struct slice condition = sql_text_statement(slice_str(where));
    enum err_code rc = buf_puts(out, " where (");
    if (!rc)
        rc = buf_put(out, condition.p, condition.n);
    return rc ? rc : buf_puts(out, "\n)");
}

enum err_code model_text_name(PGconn *conn, const char *table, struct buf *out)
{
    struct slice rest = slice_str(table);
    char *part = malloc(rest.n + 1);
    enum err_code rc = part ? ERR_OK : ERR_NOMEM;
    for (int parts = 0; !rc && (rest.n || parts == 0); parts++) {
        size_t n;
        if (parts == NAME_PARTS_LIMIT || !sql_text_name_part(&rest, part, &n))
            rc = ERR_CONFIG;
        if (!rc && parts)
            rc = buf_putc(out, '.');
        if (!rc)
            rc = put_identifier(conn, slice_of(part, n), out);
    }
    free(part);
    return rc;
}

static enum err_code put_table(PGconn *conn, const struct model *m, const char *table,
                               struct buf *out)
{
    enum err_code rc = put_choice(conn, m, out);
    if (!rc)
        rc = model_text_name(conn, table, out);
    return rc || !m->where ? rc : put_condition(m->where, out);
}

enum err_code model_text_relation(const struct model *model, struct buf *out, struct err *err)
{
    if (model->dbt_model)
        return dbt_relation(model->dbt_manifest, model->dbt_model, out, err);
    if (model->table && buf_puts(out, model->table))
        return err_set(err, ERR_NOMEM, "no memory for the table's name");
    return ERR_OK;
}

enum err_code model_text_statement(PGconn *conn, const struct model *model, const char *table,
                                   struct buf *out, struct err *err)
{
    if (table) {
        if (model->where && !is_condition(model->where))
            return err_set(err, ERR_CONFIG,
                           "`where` must be one condition: its parentheses do not pair, or it goes "
                           "on after a semicolon");
        enum err_code rc = put_table(conn, model, table, out);
        if (rc == ERR_NOMEM || rc == ERR_FULL)
            return err_set(err, rc, "no memory for the model's text");
        if (rc)
            return err_set(
                err, ERR_CONFIG,
                "%s is not a table's name; write schema.table, odd names in double quotes", table);
        return ERR_OK;
    }
    struct slice statement = sql_text_statement(slice_str(model->sql));
    if (!sql_text_is_query(statement))
        return err_set(err, ERR_CONFIG, "the model must be one SELECT");
    if (buf_put(out, statement.p, statement.n))
        return err_set(err, ERR_NOMEM, "no memory for the model's text");
    return ERR_OK;
}

/* oid, or below its domains, is timestamp: 1; an array of it: 2; neither: 0. */
static int zoneless(const struct types *types, Oid oid)
{
    bool array = false;
    const struct pg_type *type;
    while (oid != TIMESTAMP_OID && (type = types_find(types, oid)) &&
           (type->base || type->element)) {
        array |= type->element != 0;
        oid = type->base ? type->base : type->element;
    }
    return oid != TIMESTAMP_OID ? 0 : array ? 2 : 1;
}

/*
 * AT TIME ZONE knows no arrays. Their text form does: the zone is written behind each time of day,
 * which is how PostgreSQL reads a timestamp with its zone.
 */
static enum err_code put_zoned_array(const struct model_read *r, struct slice name, struct buf *out)
{
    enum err_code rc = buf_puts(out, "pg_catalog.regexp_replace(");
    if (!rc)
        rc = put_identifier(r->conn, name, out);
    if (!rc)
        rc = buf_puts(out,
                      "::pg_catalog.text, '(:[0-9][0-9]:[0-9][0-9]([.][0-9]+)?)', E'\\\\1 ' || ");
    if (!rc)
        rc = put_literal(r->conn, r->timezone, out);
    if (!rc)
        rc = buf_puts(out, ", 'g')::pg_catalog.timestamptz[] AS ");
    return rc ? rc : put_identifier(r->conn, name, out);
}

static enum err_code put_zoned(const struct model_read *r, struct slice name, struct buf *out)
{
    enum err_code rc = put_identifier(r->conn, name, out);
    if (!rc)
        rc = buf_puts(out, " AT TIME ZONE ");
    if (!rc)
        rc = put_literal(r->conn, r->timezone, out);
    if (!rc)
        rc = buf_puts(out, " AS ");
    return rc ? rc : put_identifier(r->conn, name, out);
}

static enum err_code put_columns(const struct model_read *r, struct buf *out)
{
    enum err_code rc = buf_puts(out, "SELECT ");
    for (int i = 0; i < PQnfields(r->described) && !rc; i++) {
        struct slice name = slice_str(PQfname(r->described, i));
        int kind = zoneless(r->types, PQftype(r->described, i));
        if (i)
            rc = buf_puts(out, ", ");
        if (!rc)
            rc = kind == 0   ? put_identifier(r->conn, name, out)
                 : kind == 1 ? put_zoned(r, name, out)
                             : put_zoned_array(r, name, out);
    }
    return rc ? rc : buf_puts(out, " FROM (");
}

static bool has_zoneless(const struct model_read *r)
{
    for (int i = 0; i < PQnfields(r->described); i++)
        if (zoneless(r->types, PQftype(r->described, i)))
            return true;
    return false;
}

bool model_text_is_zoneless(const struct types *types, Oid oid)
{
    return zoneless(types, oid) != 0;
}

static enum err_code put_rows_of(const struct model_read *read, bool zoned, struct buf *out)
{
    if (zoned)
        return put_columns(read, out);
    return read->window ? buf_puts(out, "SELECT * FROM (") : ERR_OK;
}

enum err_code model_text_read(const struct model_read *read, struct slice statement,
                              struct buf *out, size_t *ret_chars_before, struct err *err)
{
    bool zoned = read->timezone && has_zoneless(read);
    enum err_code rc = read->copy ? buf_puts(out, "COPY (") : ERR_OK;
    if (!rc)
        rc = put_rows_of(read, zoned, out);
    *ret_chars_before = sql_text_chars(buf_slice(out));
    if (!rc)
        rc = buf_put(out, statement.p, statement.n);
    if (!rc && zoned && !read->window)
        rc = buf_puts(out, "\n) AS sluice_model");
    if (!rc && read->window) {
        rc = pg_window_put_condition(read, read->window, out, err);
        if (rc)
            return rc;
    }
    if (!rc && read->copy)
        rc = buf_puts(out, "\n) TO STDOUT");
    return rc ? err_set(err, rc, "no memory for the model's text") : ERR_OK;
}
