#include "scheduler/api/connections.h"

#include "protocol/base/clock.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { SWEEP_MS = 250, ROOM_PART = 8 };

struct connection {
    struct bufferevent *bev;
    int64_t since_ms; /* of its last whole request, or of its beginning */
    bool streams;
    bool shut; /* will end as soon as evhttp notices */
};

struct connections {
    struct event *sweep;
    struct evconnlistener *listener;
    size_t max;
    int idle_ms;
    bool resting; /* the listener */
    size_t count;
    struct connection items[CONNECTIONS_MAX];
};

/* evhttp takes its callbacks off when it frees a bufferevent. */
static bool is_freed(struct bufferevent *bev)
{
    bufferevent_data_cb reads, writes;
    bufferevent_event_cb events;
    void *arg;
    bufferevent_getcb(bev, &reads, &writes, &events, &arg);
    return !reads && !writes && !events && !arg;
}

/* evhttp reads an end and frees the connection. */
static void shut(struct connection *at)
{
    evutil_socket_t fd = bufferevent_getfd(at->bev);
    at->shut = true;
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
}

static void sweep(struct connections *c)
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < c->count;) {
        struct connection *at = &c->items[i];
        if (is_freed(at->bev)) {
            bufferevent_decref(at->bev);
            *at = c->items[--c->count];
            continue;
        }
        if (!at->streams && !at->shut && now - at->since_ms > c->idle_ms)
            shut(at);
        i++;
    }
    if (c->resting && c->count < c->max) {
        c->resting = false;
        evconnlistener_enable(c->listener);
    }
    if (!c->count)
        event_del(c->sweep);
}

static void on_sweep(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    sweep(ctx);
}

static int longest_first(const void *a, const void *b)
{
    const struct connection *x = a, *y = b;
    return x->since_ms < y->since_ms ? -1 : x->since_ms > y->since_ms ? 1 : 0;
}

/* Every place is taken: the longest idle go, and the listener waits for them. */
static void make_room(struct connections *c)
{
    size_t wanted = c->max / ROOM_PART + 1;
    qsort(c->items, c->count, sizeof *c->items, longest_first);
    for (size_t i = 0; i < c->count && wanted; i++)
        if (!c->items[i].streams) {
            if (!c->items[i].shut)
                shut(&c->items[i]);
            wanted--;
        }
    c->resting = true;
    evconnlistener_disable(c->listener);
}

struct bufferevent *connections_make(struct event_base *base, void *connections)
{
    struct connections *c = connections;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!bev || c->count == CONNECTIONS_MAX)
        return bev; /* cannot be: the listener rests at max */
    bufferevent_incref(bev);
    c->items[c->count++] = (struct connection){.bev = bev, .since_ms = clock_mono_ms()};
    if (c->count >= c->max)
        make_room(c);
    const struct timeval period = {.tv_usec = SWEEP_MS * 1000};
    if (!event_pending(c->sweep, EV_TIMEOUT, NULL))
        event_add(c->sweep, &period);
    return bev;
}

void connections_asked(struct connections *c, struct bufferevent *bev, bool streams)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->items[i].bev == bev) {
            c->items[i].since_ms = clock_mono_ms();
            c->items[i].streams = streams;
            return;
        }
}

size_t connections_count(const struct connections *c)
{
    return c->count;
}

enum err_code connections_new(struct event_base *base, struct evconnlistener *listener, size_t max,
                              int idle_ms, struct connections **ret, struct err *err)
{
    struct connections *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(err, ERR_NOMEM, "api: no memory");
    c->sweep = event_new(base, -1, EV_PERSIST, on_sweep, c);
    if (!c->sweep) {
        free(c);
        return err_set(err, ERR_NOMEM, "api: no memory");
    }
    c->listener = listener;
    c->max = max < CONNECTIONS_MAX ? max : CONNECTIONS_MAX;
    c->idle_ms = idle_ms;
    *ret = c;
    return ERR_OK;
}

void connections_free(struct connections *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        bufferevent_decref(c->items[i].bev);
    event_free(c->sweep);
    free(c);
}
