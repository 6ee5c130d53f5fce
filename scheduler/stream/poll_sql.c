#include "scheduler/stream/poll_sql.h"

#include "scheduler/source/model_text.h"
#include "scheduler/source/pg_error.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 16 << 20, TABLES_MAX = 256, DEPTH_MAX = 200, NAME_BYTES = 64 };

/* Tables, as pairs of schema and name in the form of a text array's elements. */
struct tables {
    const char *schemas[TABLES_MAX];
    const char *names[TABLES_MAX];
    size_t count;
};

static void clear(PGresult **r)
{
    PQclear(*r);
}

static void decref(json_t **j)
{
    json_decref(*j);
}

static bool failed(const PGresult *r)
{
    return PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK;
}

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "no memory for the statements");
}

/* ---- the tables ---- */

static enum err_code put_explain(PGconn *conn, const struct model *m, struct buf *out,
                                 struct err *err)
{
    CLEANUP(buf_done) struct buf relation;
    buf_init(&relation, TEXT_BYTES);
    enum err_code rc = model_text_relation(m, &relation, err);
    if (rc)
        return rc;
    const char *name = relation.len ? buf_cstr(&relation) : NULL;
    if (buf_puts(out, "EXPLAIN (VERBOSE, FORMAT JSON) "))
        return no_memory(err);
    return model_text_statement(conn, m, name, out, err);
}

/* By the extended protocol: a second statement is refused. */
static enum err_code explain(PGconn *conn, const struct model *m, PGresult **ret, struct err *err)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, TEXT_BYTES);
    enum err_code rc = put_explain(conn, m, &text, err);
    const char *sql = rc ? NULL : buf_cstr(&text);
    if (!sql)
        return rc ? rc : no_memory(err);
    CLEANUP(clear) PGresult *begun = PQexec(conn, "BEGIN READ ONLY");
    if (failed(begun))
        return pg_error_result(begun, NULL, err);
    *ret = PQexecParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0);
    if (failed(*ret))
        rc = pg_error_result(*ret, NULL, err);
    PQclear(PQexec(conn, "ROLLBACK"));
    return rc;
}

static void add_table(struct tables *t, const char *schema, const char *name)
{
    if (!schema || !name || t->count == TABLES_MAX || strncmp(schema, "pg_", 3) == 0)
        return;
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->schemas[i], schema) == 0 && strcmp(t->names[i], name) == 0)
            return;
    t->schemas[t->count] = schema;
    t->names[t->count++] = name;
}

/* Nodes of a plan, and whatever they hold. */
static void collect(const json_t *node, struct tables *t, int depth)
{
    size_t i;
    const char *key;
    json_t *value;
    if (depth == DEPTH_MAX)
        return;
    if (json_is_object(node))
        add_table(t, json_string_value(json_object_get(node, "Schema")),
                  json_string_value(json_object_get(node, "Relation Name")));
    json_array_foreach(node, i, value) collect(value, t, depth + 1);
    json_object_foreach((json_t *)(uintptr_t)node, key, value) collect(value, t, depth + 1);
}

static enum err_code put_element(const char *text, struct buf *out)
{
    enum err_code rc = buf_puts(out, out->len ? ",\"" : "{\"");
    for (; *text && !rc; text++) {
        if (*text == '"' || *text == '\\')
            rc = buf_putc(out, '\\');
        if (!rc)
            rc = buf_putc(out, *text);
    }
    return rc ? rc : buf_putc(out, '"');
}

/* Quoted names, each once; of a partition its table, since that is what statements name. */
static enum err_code name_tables(PGconn *conn, const struct tables *t, PGresult **ret,
                                 struct err *err)
{
    static const char partitions[] =
        "SELECT DISTINCT pg_catalog.quote_ident(n.nspname) || '.' ||"
        " pg_catalog.quote_ident(c.relname)"
        " FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) t (s, r)"
        " JOIN pg_catalog.pg_namespace m ON m.nspname = t.s"
        " JOIN pg_catalog.pg_class l ON l.relnamespace = m.oid AND l.relname = t.r"
        " JOIN pg_catalog.pg_class c"
        " ON c.oid = COALESCE(pg_catalog.pg_partition_root(l.oid), l.oid)"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'f') ORDER BY 1";
    CLEANUP(buf_done) struct buf schemas;
    CLEANUP(buf_done) struct buf names;
    enum err_code rc = ERR_OK;
    buf_init(&schemas, TEXT_BYTES);
    buf_init(&names, TEXT_BYTES);
    for (size_t i = 0; i < t->count && !rc; i++) {
        rc = put_element(t->schemas[i], &schemas);
        if (!rc)
            rc = put_element(t->names[i], &names);
    }
    if (rc || buf_puts(&schemas, t->count ? "}" : "{}") || buf_puts(&names, t->count ? "}" : "{}"))
        return no_memory(err);
    const char *values[] = {buf_cstr(&schemas), buf_cstr(&names)};
    if (!values[0] || !values[1])
        return no_memory(err);
    *ret = PQexecParams(conn, partitions, 2, NULL, values, NULL, NULL, 0);
    return failed(*ret) ? pg_error_result(*ret, NULL, err) : ERR_OK;
}

static enum err_code find_tables(PGconn *conn, const struct model *m, PGresult **ret,
                                 struct err *err)
{
    CLEANUP(clear) PGresult *plan = NULL;
    enum err_code rc = explain(conn, m, &plan, err);
    if (rc)
        return rc;
    struct tables tables = {.count = 0};
    CLEANUP(decref)
    json_t *root =
        PQntuples(plan) ? json_loads(PQgetvalue(plan, 0, 0), JSON_DECODE_ANY, NULL) : NULL;
    if (!root)
        return err_set(err, ERR_INVALID, "the warehouse does not say how it would read the model");
    collect(root, &tables, 0);
    return name_tables(conn, &tables, ret, err);
}

/* ---- the statements ---- */

static enum err_code put_trigger(const char *table, const char *function, struct buf *out)
{
    return buf_printf(out,
                      "create trigger %s after insert or update on %s\n"
                      "  for each statement execute procedure %s();\n",
                      function, table, function);
}

static enum err_code put_statements(const struct sync *sync, PGconn *conn, const PGresult *tables,
                                    struct buf *out)
{
    const struct schedule_stream *stream = &sync->schedule.stream;
    char channel[NAME_BYTES], function[2 * NAME_BYTES];
    snprintf(channel, sizeof channel, "%s", stream->notify ? stream->notify : sync->name);
    snprintf(function, sizeof function, "sluice_%s", channel);
    function[NAME_BYTES - 1] = '\0';
    char *name = PQescapeIdentifier(conn, function, strlen(function));
    char *literal = PQescapeLiteral(conn, channel, strlen(channel));
    enum err_code rc = name && literal ? ERR_OK : ERR_INVALID;
    if (!rc)
        rc = buf_printf(out, "-- Wakes the sync %s as soon as its tables change.\n", sync->name);
    if (!rc && !stream->notify)
        rc = buf_printf(out, "-- Its schedule needs `notify: %s` as well.\n", channel);
    if (!rc)
        rc = buf_printf(out,
                        "create function %s() returns trigger language plpgsql as $sluice$\n"
                        "begin\n  perform pg_catalog.pg_notify(%s, '');\n  return null;\n"
                        "end\n$sluice$;\n",
                        name, literal);
    for (int i = 0; i < PQntuples(tables) && !rc; i++)
        rc = put_trigger(PQgetvalue(tables, i, 0), name, out);
    if (!rc && PQntuples(tables) == 0)
        rc = buf_puts(out, "-- The model reads no table that could have a trigger.\n");
    PQfreemem(name);
    PQfreemem(literal);
    return rc;
}

enum err_code poll_feed_sql(const struct sync *sync, PGconn *conn, struct buf *out, struct err *err)
{
    CLEANUP(clear) PGresult *tables = NULL;
    enum err_code rc = find_tables(conn, sync->model, &tables, err);
    if (rc)
        return err_prefix(err, "model %s", sync->model->name);
    return put_statements(sync, conn, tables, out) ? no_memory(err) : ERR_OK;
}
