#include "protocol/redis/nodes.h"

#include "protocol/base/random.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct nodes {
    struct event_base *base;
    struct nodes_options opts;
    struct redis_node list[REDIS_NODES_MAX];
    size_t count;
    size_t at;            /* in list: the one asked last */
    size_t left;          /* of the round: how many may still be asked after this one */
    bool asking;          /* a round is under way */
    bool useless;         /* the connection is to be dropped */
    struct redis *node;   /* NULL: none */
    struct event *step;   /* leaves the callbacks of the connection that it may drop */
    struct event *expiry; /* of reaching one */
    struct err worst;     /* of the round; code 0: none yet */
};

static void soon(struct nodes *n)
{
    evtimer_add(n->step, &(struct timeval){0});
}

/* A wrong password tells more than a node that is away. */
static void note(struct nodes *n, const struct err *why)
{
    if (n->worst.code == ERR_OK || err_class(n->worst.code) != ERR_CLASS_STOP)
        n->worst = *why;
}

static void drop(struct nodes *n)
{
    struct redis *node = n->node;
    n->node = NULL;
    n->useless = false;
    evtimer_del(n->expiry);
    redis_free(node);
}

void nodes_pass(struct nodes *n, const struct err *why)
{
    n->useless = true;
    if (n->asking)
        note(n, why);
    soon(n);
}

void nodes_keep(struct nodes *n)
{
    n->asking = false;
}

/* ---- one node ---- */

static void on_state(void *ctx, bool connected, const struct err *err)
{
    struct nodes *n = ctx;
    if (n->useless)
        return;
    evtimer_del(n->expiry);
    if (!connected)
        nodes_pass(n, err);
    else if (n->asking)
        n->opts.on_reached(n->opts.ctx, n->node);
}

static void on_expiry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct nodes *n = arg;
    struct err err;
    err_set(&err, ERR_UNREACHABLE, "%s:%u: not reached within %llu ms", n->list[n->at].host,
            n->list[n->at].port, (unsigned long long)n->opts.timeout_ms);
    nodes_pass(n, &err);
}

static bool connect_to(struct nodes *n, const struct redis_node *to)
{
    struct redis_url url = {.tls = n->opts.tls, .port = to->port};
    struct redis_options o = {.ca_file = n->opts.ca_file,
                              .connect_timeout_ms = n->opts.timeout_ms,
                              .command_timeout_ms = n->opts.timeout_ms,
                              .any_policy = true,
                              .on_state = on_state,
                              .ctx = n};
    memcpy(url.host, to->host, sizeof url.host);
    snprintf(url.user, sizeof url.user, "%s", n->opts.user);
    snprintf(url.password, sizeof url.password, "%s", n->opts.password);
    n->node = redis_new(n->base, &url, &o);
    explicit_bzero(&url, sizeof url);
    return n->node != NULL;
}

/* ---- the round ---- */

static void open_next(struct nodes *n)
{
    struct err err;
    uint64_t ms = n->opts.timeout_ms;
    n->at = (n->at + 1) % n->count;
    n->left--;
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    if (connect_to(n, &n->list[n->at])) {
        evtimer_add(n->expiry, &tv);
        return;
    }
    err_set(&err, ERR_NOMEM, "out of memory");
    nodes_pass(n, &err);
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct nodes *n = arg;
    if (n->useless)
        drop(n);
    if (!n->asking)
        return;
    if (n->node && redis_connected(n->node)) {
        n->opts.on_reached(n->opts.ctx, n->node);
    } else if (n->left > 0) {
        drop(n);
        open_next(n);
    } else {
        struct err err = n->worst;
        drop(n);
        n->asking = false;
        n->opts.on_none(n->opts.ctx, &err);
    }
}

void nodes_ask(struct nodes *n, bool another)
{
    if (n->asking || n->count == 0)
        return;
    n->asking = true;
    n->worst.code = ERR_OK;
    n->left = n->count;
    n->useless |= another;
    soon(n);
}

const struct redis_node *nodes_at(const struct nodes *n)
{
    return &n->list[n->at];
}

/* ---- life cycle ---- */

void nodes_set(struct nodes *n, const struct redis_node *list, size_t count)
{
    const struct redis_node at = n->list[n->at];
    n->count = count < REDIS_NODES_MAX ? count : REDIS_NODES_MAX;
    memcpy(n->list, list, n->count * sizeof *list);
    n->at = n->count ? (size_t)random_below(n->count) : 0;
    for (size_t i = 0; n->node && i < n->count; i++)
        if (n->list[i].port == at.port && strcmp(n->list[i].host, at.host) == 0)
            n->at = i;
    n->left = n->left < n->count ? n->left : n->count;
}

struct nodes *nodes_new(struct event_base *base, const struct nodes_options *opts)
{
    struct nodes *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->base = base;
    n->opts = *opts;
    n->step = evtimer_new(base, on_step, n);
    n->expiry = evtimer_new(base, on_expiry, n);
    if (n->step && n->expiry)
        return n;
    nodes_free(n);
    return NULL;
}

void nodes_free(struct nodes *n)
{
    if (!n)
        return;
    n->useless = true; /* nothing of the connection is news any more */
    if (n->expiry)
        drop(n);
    if (n->step)
        event_free(n->step);
    if (n->expiry)
        event_free(n->expiry);
    free(n);
}
