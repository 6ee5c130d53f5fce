/* A queue in a real redis-server, and what the callbacks of its calls saw. */
#ifndef SLUICE_TESTS_QUEUE_BENCH_H
#define SLUICE_TESTS_QUEUE_BENCH_H

#include "tests/unit/redis/fixture.h"

#include "protocol/queue/queue.h"
#include "tests/harness/redis_server.h"

#include <stdio.h>
#include <string.h>

enum { LEASE_MS = 40000, PERMIT_MS = 10000 };

static const char STATE[] = "0123456789abcdef0123456789abcdef";
static const char EPOCH[] = "11111111111111111111111111111111";
static const char RESULT[] = "a result";

/* What the callbacks of one call saw. Slices are copied. */
struct seen {
    unsigned calls;
    unsigned claims;
    int64_t number;
    struct err err;
    struct err claim_err;
    struct queue_opened opened;
    struct queue_claimed claimed;
    char epoch[64], batch[64], part[64], ordset[64], sync[64], destination[64], payload[64];
    struct queue_stats stats;
    struct queue_sync_stats sync_stats;
    struct queue_window window;
    uint64_t used;
    size_t results;
    char position[64];
    char body[64];
    char woken[64];
};

struct bench {
    struct redis_server server;
    struct fixture f;
    struct queue *q;
    struct seen seen;
    struct err err;
};

static inline void keep(char *out, struct slice s)
{
    snprintf(out, 64, "%.*s", (int)s.n, s.p);
}

static inline void note(struct seen *s, const struct err *err)
{
    s->calls++;
    s->err = err ? *err : (struct err){0};
}

static inline void on_done(void *ctx, int64_t number, const struct err *err)
{
    struct seen *s = ctx;
    note(s, err);
    s->number = number;
}

static inline void on_opened(void *ctx, const struct queue_opened *o, const struct err *err)
{
    struct seen *s = ctx;
    assert_true((o != NULL) != (err != NULL));
    note(s, err);
    if (o)
        s->opened = *o;
}

static inline void on_stats(void *ctx, const struct queue_stats *stats, const struct err *err)
{
    struct seen *s = ctx;
    assert_true((stats != NULL) != (err != NULL));
    note(s, err);
    if (!stats)
        return;
    s->stats = *stats;
    if (stats->sync_count) {
        s->sync_stats = stats->syncs[0];
        keep(s->sync, stats->syncs[0].sync);
    }
    if (stats->window_count)
        s->window = stats->windows[0];
    s->used = stats->limit_count ? stats->limit_used[0] : 0;
}

static inline void on_claimed(void *ctx, const struct queue_claimed *c, const struct err *err)
{
    struct seen *s = ctx;
    assert_true((c != NULL) != (err != NULL));
    s->claims++;
    s->claim_err = err ? *err : (struct err){0};
    if (!c)
        return;
    s->claimed = *c;
    keep(s->epoch, c->epoch);
    keep(s->batch, c->batch);
    keep(s->part, c->part);
    keep(s->ordset, c->ordset);
    keep(s->sync, c->sync);
    keep(s->destination, c->destination);
    keep(s->payload, c->payload);
}

static inline void on_results(void *ctx, const struct queue_result *results, size_t count,
                              const struct err *err)
{
    struct seen *s = ctx;
    note(s, err);
    s->results = count;
    if (!count)
        return;
    keep(s->position, results[count - 1].stream_id);
    keep(s->batch, results[0].batch);
    keep(s->sync, results[0].sync);
    keep(s->body, results[0].body);
}

static inline void on_woken(void *ctx, struct slice quota, const struct err *err)
{
    struct seen *s = ctx;
    note(s, err);
    keep(s->woken, quota);
}

/* Waits for the answer of the call that was just made. */
static inline void answered(struct bench *b, enum err_code rc)
{
    assert_int_equal(rc, ERR_OK);
    fixture_until(&b->f, &b->seen.calls, 1);
    b->seen.calls = 0;
}

static inline int64_t number(struct bench *b, enum err_code rc)
{
    answered(b, rc);
    if (b->seen.err.code)
        fail_msg("%s", b->seen.err.text);
    return b->seen.number;
}

static inline enum err_code refused(struct bench *b, enum err_code rc)
{
    answered(b, rc);
    assert_int_not_equal(b->seen.err.text[0], '\0');
    return b->seen.err.code;
}

#define number(b, call) number((b), call)

static inline void open_epoch(struct bench *b, const struct rate_limit *limits, size_t limit_count)
{
    struct queue_epoch e = {
        .state_id = STATE,
        .epoch = EPOCH,
        .permit_ms = PERMIT_MS,
        .commit = 7,
        .limits = limits,
        .limit_count = limit_count,
        .concurrency = 4,
        .slack_ms = 20,
    };
    assert_true(number(b, queue_open(b->q, &e, on_done, &b->seen, &b->err)) > 0);
}

static const struct queue_sync SYNC = {.sync = "customers",
                                       .run = "r1",
                                       .destination = "crm",
                                       .fingerprint = "f1",
                                       .weight = 1,
                                       .cap_bytes = 100};

static inline struct queue_batch batch(uint64_t n, const char *id, uint32_t records,
                                       const char *payload)
{
    return (struct queue_batch){
        .number = n, .id = slice_str(id), .records = records, .payload = slice_str(payload)};
}

static inline void enqueue_one(struct bench *b, uint64_t n, const char *id)
{
    struct queue_batch one = batch(n, id, 3, "payload");
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &SYNC, &one, 1, on_done, &b->seen, &b->err)), 1);
}

static const struct queue_ability ABLE[] = {{"crm", "f1"}};

static inline struct queue_claim claim_of(uint64_t token)
{
    return (struct queue_claim){.worker = "w1",
                                .token = token,
                                .lease_ms = LEASE_MS,
                                .abilities = ABLE,
                                .ability_count = ARRAY_LEN(ABLE)};
}

static inline void claim(struct bench *b, const struct queue_claim *c)
{
    b->seen.claims = 0;
    assert_int_equal(queue_claim(b->q, c, on_claimed, &b->seen, &b->err), ERR_OK);
    fixture_until(&b->f, &b->seen.claims, 1);
    if (b->seen.claim_err.code)
        fail_msg("%s", b->seen.claim_err.text);
}

static inline struct queue_settle settle_of(uint64_t token, enum settle_kind kind)
{
    return (struct queue_settle){.epoch = slice_str(EPOCH),
                                 .worker = "w1",
                                 .token = token,
                                 .kind = kind,
                                 .result = slice_str(RESULT)};
}

static inline int64_t settle(struct bench *b, const struct queue_settle *s)
{
    return number(b, queue_settle(b->q, s, on_done, NULL, NULL, &b->seen, &b->err));
}

static inline void audit(struct bench *b)
{
    assert_int_equal(number(b, queue_audit(b->q, on_done, &b->seen, &b->err)), 0);
}

static inline int setup(void **state)
{
    struct bench *b = test_calloc(1, sizeof *b);
    redis_server_start(&b->server, NULL);
    fixture_open(&b->f, b->server.url, NULL);
    fixture_ready(&b->f);
    b->q = queue_new(b->f.redis, "crm");
    assert_non_null(b->q);
    *state = b;
    return 0;
}

static inline int teardown(void **state)
{
    struct bench *b = *state;
    fixture_close(&b->f);
    queue_free(b->q);
    redis_server_stop(&b->server);
    test_free(b);
    return 0;
}

#endif
