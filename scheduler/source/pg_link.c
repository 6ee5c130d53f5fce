#include "scheduler/source/pg_link.h"

#include "protocol/base/buf.h"
#include "scheduler/source/pg_error.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_TIMEOUT_S = 15 };

struct pg_link {
    struct event_base *base;
    PGconn *conn;
    struct event *read;  /* while opening: whatever the handshake waits for, once */
    struct event *write; /* NULL while opening */
    struct event *timer; /* while opening the deadline, afterwards the next turn */
    struct pg_link_events events;
    bool paused;
    bool lost;
};

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
static enum err_code connect_start(const struct source *source, PGconn **ret, struct err *err)
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
static long connect_seconds(PGconn *conn)
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

static void ignore_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result;
}

static void on_open_step(evutil_socket_t fd, short what, void *ctx);
static void on_read(evutil_socket_t fd, short what, void *ctx);
static void on_write(evutil_socket_t fd, short what, void *ctx);
static void on_timer(evutil_socket_t fd, short what, void *ctx);

static void refuse(struct pg_link *link, enum err_code code)
{
    struct err err;
    pg_error_connection(link->conn, code, &err);
    link->events.on_refused(link->events.ctx, &err);
}

/* The socket may be another one after each step of the handshake. */
static bool wait_for(struct pg_link *link, short what)
{
    if (link->read)
        event_free(link->read);
    link->read = event_new(link->base, PQsocket(link->conn), what, on_open_step, link);
    return link->read && event_add(link->read, NULL) == 0;
}

static bool become_open(struct pg_link *link)
{
    int fd = PQsocket(link->conn);
    event_free(link->read);
    event_del(link->timer);
    link->read = event_new(link->base, fd, EV_READ | EV_PERSIST, on_read, link);
    link->write = event_new(link->base, fd, EV_WRITE, on_write, link);
    return link->read && link->write && event_add(link->read, NULL) == 0 &&
           PQsetnonblocking(link->conn, 1) == 0;
}

static void on_open_step(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct pg_link *link = ctx;
    bool ok = true;
    switch (PQconnectPoll(link->conn)) {
    case PGRES_POLLING_READING:
        ok = wait_for(link, EV_READ);
        break;
    case PGRES_POLLING_WRITING:
        ok = wait_for(link, EV_WRITE);
        break;
    case PGRES_POLLING_OK:
        ok = become_open(link);
        if (ok)
            link->events.on_open(link->events.ctx);
        break;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
    default:
        refuse(link, ERR_UNREACHABLE);
        return;
    }
    if (!ok)
        refuse(link, ERR_NOMEM);
}

static void lose(struct pg_link *link)
{
    link->lost = true;
    event_del(link->read);
    event_del(link->write);
}

static void flush(struct pg_link *link)
{
    if (link->lost)
        return;
    int left = PQflush(link->conn);
    if (left > 0) {
        event_add(link->write, NULL);
    } else if (left < 0) {
        lose(link);
        pg_link_again(link);
    }
}

void pg_link_read(struct pg_link *link)
{
    if (!link->lost && !PQconsumeInput(link->conn))
        lose(link);
}

static void on_read(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct pg_link *link = ctx;
    pg_link_read(link);
    flush(link);
    link->events.on_input(link->events.ctx);
}

static void on_write(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flush(ctx);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct pg_link *link = ctx;
    if (!link->write)
        refuse(link, ERR_TIMEOUT);
    else if (!link->paused)
        on_read(0, 0, link);
}

enum err_code pg_link_open(struct event_base *base, const struct source *source,
                           const struct pg_link_events *events, struct pg_link **ret_link,
                           struct err *err)
{
    struct pg_link *link = calloc(1, sizeof *link);
    if (!link)
        return err_set(err, ERR_NOMEM, "no memory for the connection");
    link->base = base;
    link->events = *events;
    enum err_code rc = connect_start(source, &link->conn, err);
    if (rc)
        goto out;
    PQsetNoticeReceiver(link->conn, ignore_notice, NULL);
    rc = ERR_NOMEM;
    link->timer = evtimer_new(base, on_timer, link);
    if (!link->timer)
        goto out;
    if (PQstatus(link->conn) == CONNECTION_BAD) {
        rc = pg_error_connection(link->conn, ERR_CONFIG, err);
        goto out;
    }
    struct timeval deadline = {connect_seconds(link->conn), 0};
    if ((deadline.tv_sec && evtimer_add(link->timer, &deadline)) || !wait_for(link, EV_WRITE))
        goto out;
    *ret_link = link;
    return ERR_OK;
out:
    if (rc == ERR_NOMEM)
        err_set(err, rc, "no memory for the connection");
    pg_link_close(link, false);
    return rc;
}

static void ask_to_cancel(PGconn *conn)
{
    char ignored[256];
    PGcancel *cancel = PQgetCancel(conn);
    if (cancel)
        PQcancel(cancel, ignored, sizeof ignored);
    PQfreeCancel(cancel);
}

void pg_link_close(struct pg_link *link, bool cancel)
{
    if (!link)
        return;
    if (cancel && !link->lost && link->conn)
        ask_to_cancel(link->conn);
    if (link->read)
        event_free(link->read);
    if (link->write)
        event_free(link->write);
    if (link->timer)
        event_free(link->timer);
    PQfinish(link->conn);
    free(link);
}

PGconn *pg_link_conn(struct pg_link *link)
{
    return link->conn;
}

bool pg_link_lost(const struct pg_link *link)
{
    return link->lost;
}

void pg_link_sent(struct pg_link *link)
{
    flush(link);
}

void pg_link_pause(struct pg_link *link)
{
    link->paused = true;
    event_del(link->read);
}

void pg_link_again(struct pg_link *link)
{
    static const struct timeval now = {0, 0};
    evtimer_add(link->timer, &now);
}

void pg_link_resume(struct pg_link *link)
{
    link->paused = false;
    if (!link->lost)
        event_add(link->read, NULL);
    pg_link_again(link);
}
