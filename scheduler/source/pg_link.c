#include "scheduler/source/pg_link.h"

#include "scheduler/source/pg_connect.h"
#include "scheduler/source/pg_error.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

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
    enum err_code rc = pg_connect_start(source, &link->conn, err);
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
    struct timeval deadline = {pg_connect_seconds(link->conn), 0};
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
