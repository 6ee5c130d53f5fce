#include "scheduler/stream/poll_listen.h"

#include "scheduler/source/pg_error.h"
#include "scheduler/source/pg_link.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AGAIN_FIRST_MS = 100, AGAIN_MOST_MS = 30000, TROUBLE_BYTES = 200 };

struct poll_listen {
    struct event_base *base;
    const struct source *source;
    const char *channel;
    void (*on_notify)(void *ctx);
    void *ctx;
    struct pg_link *link;
    struct event *again;
    uint64_t again_ms;
    bool listening;
    char trouble[TROUBLE_BYTES];
};

static void lose(struct poll_listen *l, const struct err *why)
{
    pg_link_close(l->link, false);
    l->link = NULL;
    l->listening = false;
    snprintf(l->trouble, sizeof l->trouble, "%.*s", TROUBLE_BYTES - 1, why->text);
    struct timeval after = {(time_t)(l->again_ms / 1000), (suseconds_t)(l->again_ms % 1000 * 1000)};
    evtimer_add(l->again, &after);
    l->again_ms = l->again_ms * 2 < AGAIN_MOST_MS ? l->again_ms * 2 : AGAIN_MOST_MS;
}

static void lose_by(struct poll_listen *l, const PGresult *result)
{
    struct err err;
    pg_error_result(result, NULL, &err);
    lose(l, &err);
}

static void on_refused(void *ctx, const struct err *err)
{
    lose(ctx, err);
}

static void on_open(void *ctx)
{
    struct poll_listen *l = ctx;
    char sql[256];
    PGconn *conn = pg_link_conn(l->link);
    char *name = PQescapeIdentifier(conn, l->channel, strlen(l->channel));
    int n = name ? snprintf(sql, sizeof sql, "LISTEN %s", name) : -1;
    PQfreemem(name);
    if (n > 0 && (size_t)n < sizeof sql && PQsendQuery(conn, sql)) {
        pg_link_sent(l->link);
        return;
    }
    struct err err;
    err_set(&err, ERR_CONFIG, "%s is not a channel to listen on", l->channel);
    lose(l, &err);
}

/* The answer to LISTEN. False: it is not whole, or the connection was given up. */
static bool take_answer(struct poll_listen *l)
{
    PGconn *conn = pg_link_conn(l->link);
    while (pg_link_lost(l->link) || !PQisBusy(conn)) {
        PGresult *result = PQgetResult(conn);
        if (!result && !pg_link_lost(l->link)) {
            l->listening = true;
            l->again_ms = AGAIN_FIRST_MS;
            l->trouble[0] = '\0';
            return true;
        }
        bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
        if (!ok)
            lose_by(l, result);
        PQclear(result);
        if (!ok)
            return false;
    }
    return false;
}

static void on_input(void *ctx)
{
    struct poll_listen *l = ctx;
    bool begins = !l->listening;
    if (begins && !take_answer(l))
        return;
    PGnotify *notify;
    PGconn *conn = pg_link_conn(l->link);
    bool told = begins; /* what was notified before is not told */
    while ((notify = PQnotifies(conn))) {
        told = true;
        PQfreemem(notify);
    }
    if (pg_link_lost(l->link))
        lose_by(l, NULL);
    if (told)
        l->on_notify(l->ctx);
}

static void open_link(struct poll_listen *l)
{
    const struct pg_link_events events = {on_open, on_refused, on_input, l};
    struct err err;
    if (pg_link_open(l->base, l->source, &events, &l->link, &err))
        lose(l, &err);
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    open_link(ctx);
}

enum err_code poll_listen_new(struct event_base *base, const struct source *source,
                              const char *channel, void (*on_notify)(void *ctx), void *ctx,
                              struct poll_listen **ret_listen, struct err *err)
{
    struct poll_listen *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(err, ERR_NOMEM, "no memory to listen");
    *l = (struct poll_listen){.base = base,
                              .source = source,
                              .channel = channel,
                              .on_notify = on_notify,
                              .ctx = ctx,
                              .again_ms = AGAIN_FIRST_MS};
    l->again = evtimer_new(base, on_again, l);
    if (!l->again) {
        free(l);
        return err_set(err, ERR_NOMEM, "no memory to listen");
    }
    snprintf(l->trouble, sizeof l->trouble, "not connected yet");
    open_link(l);
    *ret_listen = l;
    return ERR_OK;
}

const char *poll_listen_trouble(const struct poll_listen *l)
{
    return l->trouble;
}

void poll_listen_free(struct poll_listen *l)
{
    if (!l)
        return;
    pg_link_close(l->link, false);
    event_free(l->again);
    free(l);
}
