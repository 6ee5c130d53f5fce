/*
 * How many batches a second go through claim and settle with empty payloads: pipelined workers on
 * one connection against a redis-server of its own, once without limits and once with two.
 *
 *     queue_bench [batches] [workers]
 */
#include "protocol/base/clock.h"
#include "protocol/queue/queue.h"
#include "tests/harness/redis_server.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEASE_MS = 40000, PERMIT_MS = 3600000 };

static const char EPOCH[] = "11111111111111111111111111111111";
static const struct queue_ability ABLE[] = {{"crm", "f1"}};

struct run;

/* One claim after the other, each with the settle of the one before. */
struct chain {
    struct run *run;
    char name[24];
    uint64_t token;
};

struct run {
    struct event_base *base;
    struct queue *q;
    struct chain *chains;
    size_t workers;
    size_t batches;
    size_t published;
    size_t settled;
    size_t idle;
};

static void stop_on(const struct err *err)
{
    if (!err)
        return;
    fprintf(stderr, "queue_bench: %s\n", err->text);
    exit(1);
}

static void on_done(void *ctx, int64_t number, const struct err *err)
{
    struct run *r = ctx;
    stop_on(err);
    r->published += (size_t)number;
    event_base_loopbreak(r->base);
}

static void on_settled(void *ctx, int64_t number, const struct err *err)
{
    struct chain *c = ctx;
    stop_on(err);
    c->run->settled += (size_t)number;
}

static void on_claimed(void *ctx, const struct queue_claimed *got, const struct err *err);

static struct queue_claim next_claim(struct chain *c)
{
    return (struct queue_claim){.worker = c->name,
                                .token = ++c->token,
                                .lease_ms = LEASE_MS,
                                .abilities = ABLE,
                                .ability_count = 1};
}

static void on_claimed(void *ctx, const struct queue_claimed *got, const struct err *err)
{
    struct chain *c = ctx;
    struct err own;
    stop_on(err);
    if (!got->got) {
        if (++c->run->idle == c->run->workers)
            event_base_loopbreak(c->run->base);
        return;
    }
    struct queue_settle s = {.epoch = slice_str(EPOCH),
                             .worker = c->name,
                             .token = c->token,
                             .kind = SETTLE_DONE,
                             .charge_age_ms = 5,
                             .result = SLICE_LIT("result")};
    struct queue_claim claim = next_claim(c);
    if (queue_settle(c->run->q, &s, on_settled, &claim, on_claimed, c, &own))
        stop_on(&own);
}

static void open_epoch(struct run *r, const struct rate_limit *limits, size_t limit_count)
{
    struct err err;
    struct queue_epoch e = {.state_id = EPOCH,
                            .epoch = EPOCH,
                            .permit_ms = PERMIT_MS,
                            .limits = limits,
                            .limit_count = limit_count,
                            .concurrency = (uint32_t)r->workers,
                            .slack_ms = 20};
    if (queue_open(r->q, &e, on_done, r, &err))
        stop_on(&err);
    event_base_dispatch(r->base);
}

static void publish(struct run *r)
{
    static const struct queue_sync sync = {.sync = "customers",
                                           .run = "r1",
                                           .destination = "crm",
                                           .fingerprint = "f1",
                                           .weight = 1,
                                           .cap_bytes = 1 << 30};
    r->published = 0;
    while (r->published < r->batches) {
        struct err err;
        struct queue_batch b[QUEUE_ENQUEUE_MAX];
        char ids[QUEUE_ENQUEUE_MAX][32];
        size_t n = 0;
        for (; n < QUEUE_ENQUEUE_MAX && r->published + n < r->batches; n++) {
            snprintf(ids[n], sizeof ids[n], "r1-%zu", r->published + n + 1);
            b[n] = (struct queue_batch){
                .number = r->published + n + 1, .id = slice_str(ids[n]), .records = 500};
        }
        if (queue_enqueue(r->q, EPOCH, &sync, b, n, on_done, r, &err))
            stop_on(&err);
        event_base_dispatch(r->base);
    }
}

static double work(struct run *r)
{
    int64_t begin = clock_mono_ms();
    r->settled = r->idle = 0;
    for (size_t i = 0; i < r->workers; i++) {
        struct err err;
        struct chain *c = &r->chains[i];
        c->run = r;
        snprintf(c->name, sizeof c->name, "w%zu", i);
        struct queue_claim claim = next_claim(c);
        if (queue_claim(r->q, &claim, on_claimed, c, &err))
            stop_on(&err);
    }
    event_base_dispatch(r->base);
    return (double)(clock_mono_ms() - begin) / 1000;
}

/* Processor seconds that the server has used so far. */
static double server_cpu(const struct redis_server *server)
{
    redisReply *info = redis_server_ask(server, "INFO", "cpu", NULL);
    double seconds = 0;
    for (const char *p = info->str; p && (p = strstr(p, "used_cpu_")); p++) {
        bool own = strncmp(p, "used_cpu_sys:", 13) == 0 || strncmp(p, "used_cpu_user:", 14) == 0;
        seconds += own ? strtod(strchr(p, ':') + 1, NULL) : 0;
    }
    freeReplyObject(info);
    return seconds;
}

static void measure(size_t batches, size_t workers, const struct rate_limit *limits,
                    size_t limit_count)
{
    struct redis_server server;
    struct redis_url url;
    struct redis_options options = {0};
    struct err err;
    redis_server_start(&server, NULL);
    struct run r = {.base = event_base_new(), .workers = workers, .batches = batches};
    if (redis_url_parse(server.url, &url, &err))
        stop_on(&err);
    struct redis *redis = redis_new(r.base, &url, &options);
    r.q = queue_new(redis, "crm");
    r.chains = calloc(workers, sizeof *r.chains);
    if (!redis || !r.q || !r.chains)
        abort();
    open_epoch(&r, limits, limit_count);
    r.published = 0;
    publish(&r);
    double cpu = server_cpu(&server);
    double seconds = work(&r);
    cpu = server_cpu(&server) - cpu;
    printf(
        "%zu batches, %zu workers, %zu limits: %.0f batches/s, Redis %.1f us of processor each\n",
        r.settled, workers, limit_count, (double)r.settled / seconds,
        cpu * 1e6 / (double)r.settled);
    redis_free(redis);
    queue_free(r.q);
    free(r.chains);
    event_base_free(r.base);
    redis_server_stop(&server);
}

int main(int argc, char **argv)
{
    static const struct rate_limit limits[] = {{RATE_REQUESTS, 100000000, 1000, 0},
                                               {RATE_RECORDS, 100000000000, 86400000, 0}};
    size_t batches = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    size_t workers = argc > 2 ? strtoul(argv[2], NULL, 10) : 64;
    signal(SIGPIPE, SIG_IGN);
    measure(batches, workers, NULL, 0);
    measure(batches, workers, limits, 2);
    return 0;
}
