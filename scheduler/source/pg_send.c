/*
 * What a read's steps send.
 *
 * Reads the read's settings and texts, gives them to libpq. Invariant: the model is sent by itself
 * (prepare) before it is sent inside anything else.
 */
#include "scheduler/source/pg_read.h"

#include "scheduler/source/pg_window.h"

int pg_send_begin(struct pg_read *r)
{
    return PQsendQuery(pg_link_conn(r->link),
                       r->plain_begin
                           ? "BEGIN READ ONLY"
                           : "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
}

/* Before any other statement, and in a transaction that can repeat its reads. */
int pg_send_at(struct pg_read *r)
{
    PGconn *conn = pg_link_conn(r->link);
    char *name = PQescapeLiteral(conn, r->at, strlen(r->at));
    buf_reset(&r->sent);
    enum err_code rc = name ? buf_printf(&r->sent, "SET TRANSACTION SNAPSHOT %s", name) : ERR_NOMEM;
    PQfreemem(name);
    const char *sql = rc ? NULL : buf_cstr(&r->sent);
    return sql ? PQsendQuery(conn, sql) : 0;
}

int pg_send_settings(struct pg_read *r)
{
    PGconn *conn = pg_link_conn(r->link);
    if (PQserverVersion(conn) < PG_VERSION_REDSHIFT_ENDS)
        r->settings = PG_SETTINGS_LEAST;
    buf_reset(&r->sent);
    enum err_code rc = pg_settings_put(conn, r->model->source, r->settings, &r->sent);
    const char *sql = rc ? NULL : buf_cstr(&r->sent);
    return sql ? PQsendQuery(conn, sql) : 0;
}

int pg_send_ended_yet(struct pg_read *r)
{
    buf_reset(&r->sent);
    return pg_window_put_ended(pg_link_conn(r->link), &r->window, &r->sent) ? 0 : pg_send_sent(r);
}

int pg_send_snapshot(struct pg_read *r)
{
    buf_reset(&r->sent);
    return pg_window_put_open(pg_link_conn(r->link), &r->sent) ? 0 : pg_send_sent(r);
}

/* By itself: text that only means something inside COPY (…) is refused here, before it can. */
int pg_send_prepare(struct pg_read *r)
{
    const char *sql = buf_cstr(&r->text);
    return sql ? PQsendPrepare(pg_link_conn(r->link), "", sql, 0, NULL) : 0;
}

int pg_send_describe(struct pg_read *r)
{
    return PQsendDescribePrepared(pg_link_conn(r->link), "");
}

/* r->sent holds the query already. */
int pg_send_sent(struct pg_read *r)
{
    const char *sql = buf_cstr(&r->sent);
    return sql ? PQsendQueryParams(pg_link_conn(r->link), sql, 0, NULL, NULL, NULL, NULL, 0) : 0;
}

int pg_send_rows(struct pg_read *r)
{
    return pg_send_sent(r) && (r->copy || PQsetSingleRowMode(pg_link_conn(r->link)));
}

int pg_send_rollback(struct pg_read *r)
{
    return PQsendQuery(pg_link_conn(r->link), "ROLLBACK");
}
