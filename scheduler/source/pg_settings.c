#include "scheduler/source/pg_settings.h"

#include <stdio.h>
#include <string.h>

enum {
    VERSION_EXACT_FLOATS = 120000, /* from there on 1 gives the shortest exact text */
    VERSION_JIT = 110000,
    VERSION_PLAN_CACHE_MODE = 120000,
    SETTINGS_MAX = 16,
};

struct setting {
    const char *name;
    const char *value; /* as a literal */
};

struct settings_list {
    struct setting items[SETTINGS_MAX];
    size_t count;
    char timeout[32];
};

static void add(struct settings_list *list, const char *name, const char *value)
{
    ensure(list->count < SETTINGS_MAX);
    list->items[list->count++] = (struct setting){name, value};
}

static void collect(PGconn *conn, const struct source *source, enum pg_settings level,
                    struct settings_list *list)
{
    int version = PQserverVersion(conn);
    add(list, "DateStyle", "'ISO'");
    add(list, "TimeZone", "'UTC'");
    add(list, "extra_float_digits", version < VERSION_EXACT_FLOATS ? "'2'" : "'1'");
    if (level <= PG_SETTINGS_PORTABLE) {
        add(list, "IntervalStyle", "'postgres'");
        add(list, "bytea_output", "'hex'");
        add(list, "standard_conforming_strings", "'on'");
    }
    if (level == PG_SETTINGS_ALL && version >= PG_VERSION_NOTICES_CLOSE)
        add(list, "client_connection_check_interval", "'1s'");
    /* Bytes without a known encoding cannot become UTF-8: they come as they are, each value judged
     * by itself. */
    const char *encoding = PQparameterStatus(conn, "server_encoding");
    if (encoding && strcmp(encoding, "SQL_ASCII") == 0)
        add(list, "client_encoding", "'SQL_ASCII'");
    if (source->statement_timeout_ms) {
        snprintf(list->timeout, sizeof list->timeout, "'%llu'",
                 (unsigned long long)source->statement_timeout_ms);
        add(list, "statement_timeout", list->timeout);
    }
}

enum err_code pg_settings_put(PGconn *conn, const struct source *source, enum pg_settings level,
                              struct buf *out)
{
    struct settings_list list = {0};
    enum err_code rc = ERR_OK;
    collect(conn, source, level, &list);
    for (size_t i = 0; i < list.count && !rc; i++)
        rc = buf_printf(out, "SET LOCAL %s = %s; ", list.items[i].name, list.items[i].value);
    return rc;
}

enum err_code pg_settings_put_select(PGconn *conn, const struct source *source,
                                     enum pg_settings level, bool many_keys, struct buf *out)
{
    struct settings_list list = {0};
    enum err_code rc = ERR_OK;
    int version = PQserverVersion(conn);
    collect(conn, source, level, &list);
    /* Compiling a plan takes longer than a few keys. */
    if (version >= VERSION_JIT)
        add(&list, "jit", "'off'");
    if (many_keys && version >= VERSION_PLAN_CACHE_MODE)
        add(&list, "plan_cache_mode", "'force_custom_plan'");
    for (size_t i = 0; i < list.count && !rc; i++)
        rc = buf_printf(out, "%s pg_catalog.set_config('%s', %s, true)", i ? "," : "SELECT",
                        list.items[i].name, list.items[i].value);
    return rc;
}
