#include "scheduler/source/pg_connect.h"

#include "scheduler/source/pg_error.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECT_TIMEOUT_S = 15 };

/* A URL or key=value list; anything else would be taken for a database name and printed in
 * messages. */
static bool is_connection_string(const char *url)
{
    return strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0 ||
           strchr(url, '=');
}

/* libpq quotes a URL that it cannot read, password included: its words are not passed on. */
static enum err_code check_url(const struct source *source, const char *url, struct err *err)
{
    char *message = NULL;
    PQconninfoOption *options = is_connection_string(url) ? PQconninfoParse(url, &message) : NULL;
    bool ok = options != NULL;
    PQconninfoFree(options);
    PQfreemem(message);
    if (ok)
        return ERR_OK;
    return err_set(
        err, ERR_CONFIG,
        "source %s: url is not a connection string that libpq can read; write "
        "postgresql://user:password@host:5432/database, with special characters percent-encoded",
        source->name);
}

/*
 * Later entries win over earlier ones: defaults, then what the project says, then what must hold.
 * The first dbname is taken apart as a connection string.
 */
enum err_code pg_connect_start(const struct source *source, PGconn **ret, struct err *err)
{
    static const char *const defaults[][2] = {
        {"fallback_application_name", "sluice"},
        {"keepalives_idle", "30"},
        {"keepalives_interval", "10"},
        {"keepalives_count", "3"},
    };
    size_t n = 0, most = ARRAY_LEN(defaults) + source->param_count + 2;
    const char **names = calloc(most, sizeof *names), **values = calloc(most, sizeof *values);
    enum err_code rc =
        names && values ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for the connection");
    for (size_t i = 0; i < ARRAY_LEN(defaults) && !rc; i++, n++) {
        names[n] = defaults[i][0];
        values[n] = defaults[i][1];
    }
    for (size_t i = 0; i < source->param_count && !rc; i++) {
        if (strcmp(source->params[i].name, "url") != 0)
            continue;
        names[n] = "dbname";
        values[n++] = source->params[i].value;
        rc = check_url(source, source->params[i].value, err);
    }
    for (size_t i = 0; i < source->param_count && !rc; i++) {
        if (strcmp(source->params[i].name, "url") == 0)
            continue;
        names[n] = source->params[i].name;
        values[n++] = source->params[i].value;
    }
    if (!rc) {
        names[n] = "client_encoding";
        values[n] = "UTF8";
        *ret = PQconnectStartParams(names, values, 1);
        if (!*ret)
            rc = err_set(err, ERR_NOMEM, "no memory for the connection");
    }
    free(names);
    free(values);
    return rc;
}

/* libpq leaves its own connect_timeout, which counts per host, to whoever polls. 0 is no deadline.
 */
long pg_connect_seconds(PGconn *conn)
{
    long seconds = CONNECT_TIMEOUT_S, hosts = 1;
    PQconninfoOption *options = PQconninfo(conn);
    for (const PQconninfoOption *o = options; o && o->keyword; o++) {
        if (!o->val || !*o->val)
            continue;
        if (strcmp(o->keyword, "connect_timeout") == 0)
            seconds = strtol(o->val, NULL, 10);
        else if (strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "hostaddr") == 0)
            for (const char *comma = o->val; (comma = strchr(comma, ',')); comma++)
                hosts++;
    }
    PQconninfoFree(options);
    return seconds > 0 ? seconds * hosts : 0;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for what the handshake asks for; ERR_TIMEOUT past the deadline (0: none). */
static enum err_code wait_for(PGconn *conn, short events, int64_t deadline)
{
    struct pollfd p = {.fd = PQsocket(conn), .events = events};
    for (;;) {
        int64_t left = deadline ? deadline - now_ms() : -1;
        if (deadline && left <= 0)
            return ERR_TIMEOUT;
        int n = poll(&p, 1, (int)left);
        if (n > 0)
            return ERR_OK;
        if (n < 0 && errno != EINTR)
            return ERR_UNREACHABLE;
    }
}

static enum err_code shake_hands(PGconn *conn)
{
    if (PQstatus(conn) == CONNECTION_BAD)
        return ERR_CONFIG;
    long seconds = pg_connect_seconds(conn);
    int64_t deadline = seconds ? now_ms() + seconds * 1000 : 0;
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    enum err_code rc = ERR_OK;
    while (!rc && step != PGRES_POLLING_OK) {
        rc = wait_for(conn, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
        if (!rc)
            step = PQconnectPoll(conn);
        if (step == PGRES_POLLING_FAILED)
            rc = ERR_UNREACHABLE;
    }
    return rc;
}

static void ignore_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result;
}

enum err_code pg_connect(const struct source *source, PGconn **ret, struct err *err)
{
    PGconn *conn = NULL;
    enum err_code rc = pg_connect_start(source, &conn, err);
    if (rc)
        return rc;
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    rc = shake_hands(conn);
    if (rc) {
        rc = pg_error_connection(conn, rc, err);
        PQfinish(conn);
        return rc;
    }
    *ret = conn;
    return ERR_OK;
}
