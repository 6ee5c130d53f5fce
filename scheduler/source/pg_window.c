#include "scheduler/source/pg_window.h"

#include <inttypes.h>
#include <stdlib.h>

enum { VERSION_SNAPSHOTS = 130000 };

static enum err_code put_literal(PGconn *conn, const char *text, struct buf *out)
{
    char *quoted = PQescapeLiteral(conn, text, strlen(text));
    enum err_code rc = quoted ? buf_puts(out, quoted) : ERR_INVALID;
    PQfreemem(quoted);
    return rc;
}

static enum err_code put_name(PGconn *conn, const char *name, struct buf *out)
{
    char *quoted = PQescapeIdentifier(conn, name, strlen(name));
    enum err_code rc = quoted ? buf_puts(out, quoted) : ERR_INVALID;
    PQfreemem(quoted);
    return rc;
}

/* ---- the condition ---- */

static enum err_code find_cursor(const struct model_read *r, const char *cursor, Oid *ret,
                                 struct err *err)
{
    for (int i = 0; i < PQnfields(r->described); i++)
        if (strcmp(PQfname(r->described, i), cursor) == 0) {
            *ret = PQftype(r->described, i);
            return ERR_OK;
        }
    return err_set(err, ERR_CONFIG, "the cursor %s is not one of the model's columns", cursor);
}

static enum err_code put_time(const struct model_read *r, const struct window_options *w,
                              const char *type, bool zoned, struct buf *out)
{
    enum err_code rc = buf_puts(out, "(");
    if (!rc)
        rc = put_literal(r->conn, w->from, out);
    if (!rc)
        rc = buf_printf(out, "::pg_catalog.%s", type);
    if (!rc && zoned)
        rc = buf_puts(out, " AT TIME ZONE ");
    if (!rc && zoned)
        rc = put_literal(r->conn, r->timezone, out);
    return rc ? rc : buf_printf(out, " - interval '%" PRIu64 " milliseconds')", w->overlap_ms);
}

/* As the column itself has it, so that its index serves. */
static enum err_code put_from(const struct model_read *r, const struct window_options *w, Oid oid,
                              struct buf *out)
{
    enum column_type type = types_column(r->types, oid);
    if (type == COLUMN_TIMESTAMP && !model_text_is_zoneless(r->types, oid))
        return put_time(r, w, "timestamptz", false, out);
    if (type == COLUMN_TIMESTAMP)
        return put_time(r, w, r->timezone ? "timestamptz" : "timestamp", r->timezone != NULL, out);
    if (type != COLUMN_DATE)
        return put_literal(r->conn, w->from, out);
    enum err_code rc = put_time(r, w, "date", false, out);
    return rc ? rc : buf_puts(out, "::pg_catalog.date");
}

static bool has_order(enum column_type type)
{
    return type == COLUMN_TIMESTAMP || type == COLUMN_DATE || type == COLUMN_INT ||
           type == COLUMN_NUMERIC || type == COLUMN_FLOAT;
}

static enum err_code put_where(const struct model_read *r, const struct window_options *w, Oid oid,
                               struct buf *out)
{
    bool from = w->part == WINDOW_ROWS && w->from;
    if (w->part == WINDOW_NOTHING)
        return buf_puts(out, "\n) AS sluice_model WHERE false");
    enum err_code rc = buf_puts(out, "\n) AS sluice_model WHERE sluice_model.");
    if (!rc)
        rc = put_name(r->conn, w->cursor, out);
    if (!rc)
        rc = buf_puts(out, from ? " >= " : " IS NOT NULL");
    if (!rc && from)
        rc = put_from(r, w, oid, out);
    if (!rc)
        rc = buf_puts(out, " ORDER BY sluice_model.");
    if (!rc)
        rc = put_name(r->conn, w->cursor, out);
    return rc || w->part != WINDOW_TOP ? rc : buf_puts(out, " DESC LIMIT 1");
}

enum err_code pg_window_put_condition(const struct model_read *r, const struct window_options *w,
                                      struct buf *out, struct err *err)
{
    Oid oid = InvalidOid;
    enum err_code rc = find_cursor(r, w->cursor, &oid, err);
    if (rc)
        return rc;
    if (!has_order(types_column(r->types, oid)))
        return err_set(err, ERR_CONFIG,
                       "the cursor %s is %s; it must be a time, a date or a number", w->cursor,
                       types_find(r->types, oid)->name);
    rc = put_where(r, w, oid, out);
    return rc ? err_set(err, rc, "no memory for the model's text") : ERR_OK;
}

/* ---- transactions ---- */

/*
 * Each open transaction holds a lock on a number of its own, from its beginning on: also one that
 * has not written yet, but has taken its time or the next number of a sequence. Sluice's own reads
 * write nothing; autovacuum and other workers have no user.
 */
static const char open_from[] =
    " FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'virtualxid' AND l.virtualtransaction IS NOT NULL"
    " AND a.datname = pg_catalog.current_database() AND a.usesysid IS NOT NULL"
    " AND a.pid <> pg_catalog.pg_backend_pid()"
    " AND (a.application_name = 'sluice' AND a.usename = CURRENT_USER) IS NOT TRUE";

static const char *snapshot_call(PGconn *conn, const char *new_words, const char *old_words)
{
    return PQserverVersion(conn) >= VERSION_SNAPSHOTS ? new_words : old_words;
}

enum err_code pg_window_put_ended(PGconn *conn, const struct window_options *w, struct buf *out)
{
    const char *xmin = snapshot_call(
        conn, "pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::numeric",
        "pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot())::numeric");
    enum err_code rc = buf_printf(out, "SELECT %s >= ", xmin);
    if (!rc)
        rc = put_literal(conn, w->earlier.xmax, out);
    if (!rc)
        rc =
            buf_printf(out, "::numeric AND NOT EXISTS (SELECT 1%s AND l.virtualtransaction = ANY (",
                       open_from);
    if (!rc)
        rc = put_literal(conn, w->earlier.running, out);
    return rc ? rc : buf_puts(out, "::pg_catalog.text[]))");
}

enum err_code pg_window_put_open(PGconn *conn, struct buf *out)
{
    const char *xmax =
        snapshot_call(conn, "pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())",
                      "pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())");
    /* The clock is not ahead of a transaction that begins when the list is made. */
    return buf_printf(
        out,
        "SELECT %s, pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC',"
        " 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
        " (SELECT COALESCE(pg_catalog.array_agg(DISTINCT l.virtualtransaction), '{}')%s)",
        xmax, open_from);
}

bool pg_window_is_ended(const PGresult *answer)
{
    return PQntuples(answer) == 1 && PQgetvalue(answer, 0, 0)[0] == 't';
}

enum err_code pg_window_take_open(const PGresult *answer, struct window_place *ret, struct err *err)
{
    if (PQntuples(answer) != 1 || PQnfields(answer) != 3)
        return err_set(err, ERR_INVALID, "the warehouse does not say which transactions are open");
    ret->known = true;
    ret->open.xmax = PQgetvalue(answer, 0, 0);
    ret->now = PQgetvalue(answer, 0, 1);
    ret->open.running = PQgetvalue(answer, 0, 2);
    return ERR_OK;
}
