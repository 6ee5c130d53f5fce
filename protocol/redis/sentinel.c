#include "protocol/redis/sentinel.h"

#include "protocol/base/random.h"
#include "protocol/redis/nodes.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MS = 1000, /* a sentinel that is silent for so long is left */
    WATCH_MS = 1000,
    TURN = 15, /* so many questions go to one sentinel */
};

struct sentinel {
    struct sentinel_options opts;
    const struct redis_url *url;
    struct nodes *nodes;
    struct event *watch;
    unsigned turn;
    bool seeking;              /* the owner awaits an answer */
    bool awaited;              /* two replies are under way, none was bad so far */
    struct redis_node primary; /* of the latest answer; port 0: none yet */
    uint64_t epoch;            /* the highest that an answer had */
    struct redis_node heard;   /* the answer's first half */
    size_t strangers;          /* of the round: sentinels that do not know the name */
    size_t older;              /* of the round: whose answer was of an earlier epoch */
};

/* The jitter keeps a fleet from asking in step. */
static void watch_on(struct sentinel *s)
{
    uint64_t ms = WATCH_MS - random_below(WATCH_MS / 4);
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    evtimer_add(s->watch, &tv);
}

/* ---- an answer ---- */

static void pass(struct sentinel *s, const struct err *why)
{
    const struct redis_node *n = nodes_at(s->nodes);
    struct err e = *why;
    s->awaited = false;
    err_prefix(&e, "sentinel %s:%u", n->host, n->port);
    nodes_pass(s->nodes, &e);
}

static void take(struct sentinel *s, uint64_t epoch)
{
    struct err err;
    s->awaited = false;
    if (epoch < s->epoch) {
        s->older++;
        err_set(&err, ERR_UNREACHABLE, "it has not heard of the latest failover");
        pass(s, &err);
        return;
    }
    bool news = strcmp(s->heard.host, s->primary.host) != 0 || s->heard.port != s->primary.port;
    bool sought = s->seeking;
    s->epoch = epoch;
    s->primary = s->heard;
    s->seeking = false;
    nodes_keep(s->nodes);
    watch_on(s);
    if (news || sought)
        s->opts.on_primary(s->opts.ctx, &s->primary);
}

static void stranger(struct sentinel *s)
{
    struct err err;
    s->strangers++;
    err_set(&err, ERR_UNREACHABLE, "it knows no primary of the name %s", s->url->primary);
    pass(s, &err);
}

static void foreign(struct sentinel *s)
{
    struct err err;
    err_set(&err, ERR_UNREACHABLE, "its answer is not that of a sentinel");
    pass(s, &err);
}

/* An error of the connection, or of the sentinel: a server that is none does not know the command.
 */
static void failed(struct sentinel *s, const struct err *err)
{
    if (strncmp(err->text, "ERR No such master", 18) == 0)
        stranger(s);
    else
        pass(s, err);
}

/* [host, port], or nil. */
static void on_address(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct sentinel *s = ctx;
    if (!s->awaited)
        return;
    if (err) {
        failed(s, err);
        return;
    }
    if (reply->type == REDIS_REPLY_NIL) {
        stranger(s);
        return;
    }
    bool pair = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                reply->element[0]->type == REDIS_REPLY_STRING &&
                reply->element[1]->type == REDIS_REPLY_STRING;
    long port = pair ? strtol(reply->element[1]->str, NULL, 10) : 0;
    int n = pair ? snprintf(s->heard.host, sizeof s->heard.host, "%s", reply->element[0]->str) : 0;
    if (n <= 0 || (size_t)n >= sizeof s->heard.host || port < 1 || port > 65535)
        foreign(s);
    else
        s->heard.port = (uint16_t)port;
}

/* [name, value, name, value …], of which the epoch counts. */
static void on_epoch(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct sentinel *s = ctx;
    if (!s->awaited)
        return;
    if (err) {
        failed(s, err);
        return;
    }
    size_t n = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    for (size_t i = 0; i + 1 < n; i += 2) {
        const struct redisReply *name = reply->element[i], *value = reply->element[i + 1];
        if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
            strcmp(name->str, "config-epoch") == 0) {
            take(s, strtoull(value->str, NULL, 10));
            return;
        }
    }
    foreign(s);
}

/* ---- asking ---- */

static void on_reached(void *ctx, struct redis *node)
{
    struct sentinel *s = ctx;
    struct err err;
    const struct slice name = slice_str(s->url->primary);
    const struct slice address[] = {SLICE_LIT("SENTINEL"), SLICE_LIT("GET-MASTER-ADDR-BY-NAME"),
                                    name};
    const struct slice about[] = {SLICE_LIT("SENTINEL"), SLICE_LIT("MASTER"), name};
    s->awaited = true;
    if (redis_command(node, address, ARRAY_LEN(address), 0, on_address, s, &err) ||
        redis_command(node, about, ARRAY_LEN(about), 0, on_epoch, s, &err))
        pass(s, &err);
}

static void on_none(void *ctx, const struct err *why)
{
    struct sentinel *s = ctx;
    struct err err = *why;
    s->awaited = false;
    if (s->older)
        s->epoch = 0; /* whoever knew better is gone: next time the others are believed */
    watch_on(s);
    if (!s->seeking)
        return; /* the present primary is as good as before */
    s->seeking = false;
    if (s->strangers == s->url->node_count)
        err_set(&err, ERR_CONFIG, "none of its sentinels knows a primary of the name %s",
                s->url->primary);
    else if (err_class(err.code) != ERR_CLASS_STOP)
        err_prefix(&err, "no sentinel names the primary");
    s->opts.on_none(s->opts.ctx, &err);
}

static void ask(struct sentinel *s, bool another)
{
    s->strangers = s->older = 0;
    nodes_ask(s->nodes, another);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct sentinel *s = arg;
    s->turn = (s->turn + 1) % TURN;
    ask(s, s->turn == 0);
}

void sentinel_seek(struct sentinel *s)
{
    bool asked = s->awaited;
    s->seeking = true;
    s->turn = 0;
    evtimer_del(s->watch);
    if (!asked)
        ask(s, true);
}

/* ---- life cycle ---- */

struct sentinel *sentinel_new(struct event_base *base, const struct redis_url *url,
                              const struct sentinel_options *opts)
{
    struct sentinel *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->opts = *opts;
    s->url = url;
    s->watch = evtimer_new(base, on_watch, s);
    s->nodes = nodes_new(base, &(struct nodes_options){.tls = url->tls,
                                                       .user = url->sentinel_user,
                                                       .password = url->sentinel_password,
                                                       .ca_file = opts->ca_file,
                                                       .timeout_ms = ANSWER_MS,
                                                       .on_reached = on_reached,
                                                       .on_none = on_none,
                                                       .ctx = s});
    if (!s->watch || !s->nodes) {
        sentinel_free(s);
        return NULL;
    }
    nodes_set(s->nodes, url->nodes, url->node_count);
    return s;
}

void sentinel_free(struct sentinel *s)
{
    if (!s)
        return;
    s->awaited = false;
    nodes_free(s->nodes);
    if (s->watch)
        event_free(s->watch);
    free(s);
}
