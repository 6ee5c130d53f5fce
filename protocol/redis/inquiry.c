#include "protocol/redis/inquiry.h"

#include "protocol/base/clock.h"
#include "protocol/base/random.h"
#include "protocol/redis/nodes.h"

#include <event2/event.h>
#include <stdlib.h>

enum {
    ANSWER_MS = 1000, /* one that is silent for so long is left */
    EVERY_MS = 1000,
    HINTS_MS = 200, /* least time between two questions that were hinted at */
    TURN = 15,      /* so many questions go to one node */
};

struct inquiry {
    struct inquiry_options opts;
    struct nodes *nodes;
    struct event *again;
    unsigned turn;
    bool seeking;     /* the owner awaits an answer */
    bool awaited;     /* replies are under way, none was bad so far */
    uint64_t epoch;   /* the highest that an answer had */
    size_t older;     /* of the round: whose answer was of an earlier epoch */
    int64_t asked_ms; /* when the round began */
};

static void ask_in(struct inquiry *q, uint64_t ms)
{
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    evtimer_add(q->again, &tv);
}

/* The jitter keeps a fleet from asking in step. */
static void ask_later(struct inquiry *q)
{
    ask_in(q, EVERY_MS - random_below(EVERY_MS / 4));
}

static void ask(struct inquiry *q, bool another)
{
    q->older = 0;
    q->asked_ms = clock_mono_ms();
    nodes_ask(q->nodes, another);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct inquiry *q = arg;
    q->turn = (q->turn + 1) % TURN;
    ask(q, q->turn == 0);
}

void inquiry_seek(struct inquiry *q)
{
    bool asked = q->awaited;
    q->seeking = true;
    q->turn = 0;
    evtimer_del(q->again);
    if (!asked)
        ask(q, true);
}

void inquiry_hint(struct inquiry *q)
{
    int64_t since = clock_mono_ms() - q->asked_ms;
    if (q->awaited || !evtimer_pending(q->again, NULL))
        return; /* a round is under way */
    ask_in(q, since < HINTS_MS ? (uint64_t)(HINTS_MS - since) : 0);
}

/* ---- answers ---- */

bool inquiry_awaits(const struct inquiry *q)
{
    return q->awaited;
}

const struct redis_node *inquiry_node(const struct inquiry *q)
{
    return nodes_at(q->nodes);
}

void inquiry_pass(struct inquiry *q, const struct err *why)
{
    const struct redis_node *n = nodes_at(q->nodes);
    struct err e = *why;
    q->awaited = false;
    err_prefix(&e, "%s %s:%u", q->opts.kind, n->host, n->port);
    nodes_pass(q->nodes, &e);
}

bool inquiry_take(struct inquiry *q, uint64_t epoch, bool *ret_sought)
{
    struct err err;
    if (epoch < q->epoch) {
        q->older++;
        err_set(&err, ERR_UNREACHABLE, "it has not heard of the latest failover");
        inquiry_pass(q, &err);
        return false;
    }
    *ret_sought = q->seeking;
    q->awaited = false;
    q->epoch = epoch;
    q->seeking = false;
    nodes_keep(q->nodes);
    ask_later(q);
    return true;
}

static void on_reached(void *ctx, struct redis *node)
{
    struct inquiry *q = ctx;
    q->awaited = true;
    q->opts.on_ask(q->opts.ctx, node);
}

static void on_none(void *ctx, const struct err *why)
{
    struct inquiry *q = ctx;
    bool sought = q->seeking;
    q->awaited = false;
    q->seeking = false;
    if (q->older)
        q->epoch = 0; /* whoever knew better is gone: next time the others are believed */
    ask_later(q);
    q->opts.on_none(q->opts.ctx, sought, why);
}

/* ---- life cycle ---- */

void inquiry_set(struct inquiry *q, const struct redis_node *nodes, size_t count)
{
    nodes_set(q->nodes, nodes, count);
}

struct inquiry *inquiry_new(struct event_base *base, const struct inquiry_options *opts)
{
    struct inquiry *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->opts = *opts;
    q->again = evtimer_new(base, on_again, q);
    q->nodes = nodes_new(base, &(struct nodes_options){.tls = opts->tls,
                                                       .user = opts->user,
                                                       .password = opts->password,
                                                       .ca_file = opts->ca_file,
                                                       .timeout_ms = ANSWER_MS,
                                                       .on_reached = on_reached,
                                                       .on_none = on_none,
                                                       .ctx = q});
    if (q->again && q->nodes)
        return q;
    inquiry_free(q);
    return NULL;
}

void inquiry_free(struct inquiry *q)
{
    if (!q)
        return;
    q->awaited = false;
    nodes_free(q->nodes);
    if (q->again)
        event_free(q->again);
    free(q);
}
