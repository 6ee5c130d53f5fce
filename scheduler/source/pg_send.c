/*
 * What a read's steps send.
 *
 * Reads the read's settings and texts, gives them to libpq. Invariant: the model is sent by itself
 * (prepare) before it is sent inside anything else.
 */
#include "scheduler/source/pg_read.h"

enum { VERSION_EXACT_FLOATS = 120000 }; /* from there on 1 gives the shortest exact text */

int pg_send_begin(struct pg_read *r)
{
    return PQsendQuery(pg_link_conn(r->link),
                       r->plain_begin
                           ? "BEGIN READ ONLY"
                           : "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
}

int pg_send_settings(struct pg_read *r)
{
    int version = PQserverVersion(pg_link_conn(r->link));
    if (version < PG_VERSION_REDSHIFT_ENDS)
        r->settings = PG_SETTINGS_LEAST;
    buf_reset(&r->sent);
    enum err_code rc = buf_printf(&r->sent,
                                  "SET LOCAL DateStyle = 'ISO'; SET LOCAL TimeZone = 'UTC'; "
                                  "SET LOCAL extra_float_digits = %d; ",
                                  version < VERSION_EXACT_FLOATS ? 2 : 1);
    if (!rc && r->settings <= PG_SETTINGS_PORTABLE)
        rc = buf_puts(&r->sent,
                      "SET LOCAL IntervalStyle = 'postgres'; SET LOCAL bytea_output = 'hex'; "
                      "SET LOCAL standard_conforming_strings = on; ");
    if (!rc && r->settings == PG_SETTINGS_ALL && version >= PG_VERSION_NOTICES_CLOSE)
        rc = buf_puts(&r->sent, "SET LOCAL client_connection_check_interval = '1s'; ");
    /* Bytes without a known encoding cannot become UTF-8: they come as they are, each value judged
     * by itself. */
    const char *encoding = PQparameterStatus(pg_link_conn(r->link), "server_encoding");
    if (!rc && encoding && strcmp(encoding, "SQL_ASCII") == 0)
        rc = buf_puts(&r->sent, "SET LOCAL client_encoding = 'SQL_ASCII'; ");
    if (!rc && r->model->source->statement_timeout_ms)
        rc = buf_printf(&r->sent, "SET LOCAL statement_timeout = %llu; ",
                        (unsigned long long)r->model->source->statement_timeout_ms);
    const char *sql = rc ? NULL : buf_cstr(&r->sent);
    return sql ? PQsendQuery(pg_link_conn(r->link), sql) : 0;
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
