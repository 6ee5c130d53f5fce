#include "scheduler/stream/replication_words.h"

#include "scheduler/source/sql_text.h"

#include <stdio.h>
#include <stdlib.h>

enum { VERSION_EXACT_FLOATS = 120000, NAME_PARTS_LIMIT = 3 };

const char replication_words_timeout[] =
    "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'";

uint64_t replication_lsn(const char *text)
{
    char *end;
    uint64_t high = strtoull(text, &end, 16);
    if (*end != '/' || high > UINT32_MAX)
        return 0;
    return high << 32 | (strtoull(end + 1, NULL, 16) & UINT32_MAX);
}

const char *replication_lsn_text(uint64_t lsn, char out[LSN_TEXT_BYTES])
{
    snprintf(out, LSN_TEXT_BYTES, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
    return out;
}

static enum err_code put_quoted(struct buf *out, struct slice text, char quote)
{
    enum err_code rc = buf_putc(out, quote);
    for (size_t i = 0; i < text.n && !rc; i++) {
        rc = text.p[i] == quote ? buf_putc(out, quote) : ERR_OK;
        if (!rc)
            rc = buf_putc(out, text.p[i]);
    }
    return rc ? rc : buf_putc(out, quote);
}

enum err_code sql_put_identifier(struct buf *out, struct slice name)
{
    return put_quoted(out, name, '"');
}

enum err_code sql_put_literal(struct buf *out, struct slice text)
{
    return put_quoted(out, text, '\'');
}

enum err_code sql_put_table(struct buf *out, const char *table)
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
            rc = sql_put_identifier(out, slice_of(part, n));
    }
    free(part);
    return rc;
}

enum err_code replication_words_settings(struct buf *out, PGconn *conn)
{
    const char *encoding = PQparameterStatus(conn, "server_encoding");
    enum err_code rc =
        buf_printf(out,
                   "SET DateStyle = 'ISO'; SET TimeZone = 'UTC'; SET extra_float_digits = %d; "
                   "SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; "
                   "SET standard_conforming_strings = on; ",
                   PQserverVersion(conn) < VERSION_EXACT_FLOATS ? 2 : 1);
    if (!rc && encoding && strcmp(encoding, "SQL_ASCII") == 0)
        rc = buf_puts(out, "SET client_encoding = 'SQL_ASCII'; ");
    /* A snapshot is kept as long as the model is read, and making a slot waits for others. */
    if (!rc)
        rc = buf_puts(out, "SELECT pg_catalog.set_config(name, '0', false) FROM "
                           "pg_catalog.pg_settings WHERE name IN "
                           "('idle_in_transaction_session_timeout', 'idle_session_timeout', "
                           "'statement_timeout', 'lock_timeout')");
    return rc;
}

enum err_code replication_words_create(struct buf *out, const char *slot)
{
    enum err_code rc = buf_puts(out, "CREATE_REPLICATION_SLOT ");
    if (!rc)
        rc = sql_put_identifier(out, slice_str(slot));
    return rc ? rc : buf_puts(out, " LOGICAL pgoutput EXPORT_SNAPSHOT");
}

/* The publication is an identifier inside a literal. */
enum err_code replication_words_begin(struct buf *out, const char *slot, const char *publication,
                                      uint64_t lsn)
{
    char at[LSN_TEXT_BYTES];
    struct buf name;
    buf_init(&name, 4096);
    enum err_code rc = sql_put_identifier(&name, slice_str(publication));
    if (!rc)
        rc = buf_puts(out, "START_REPLICATION SLOT ");
    if (!rc)
        rc = sql_put_identifier(out, slice_str(slot));
    if (!rc)
        rc = buf_printf(out, " LOGICAL %s (proto_version '1', publication_names ",
                        replication_lsn_text(lsn, at));
    if (!rc)
        rc = sql_put_literal(out, buf_slice(&name));
    buf_done(&name);
    return rc ? rc : buf_putc(out, ')');
}
