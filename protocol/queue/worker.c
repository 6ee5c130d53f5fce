/* The worker's calls: claim, settle, beat. Reads: replies. A crash between two calls: PROTOCOL.md.
 */
#include "protocol/queue/call.h"

#include "protocol/base/clock.h"

#include <stdlib.h>

static const uint64_t TOKEN_MAX = (UINT64_C(1) << 53) - 1; /* the scripts' numbers are doubles */

/* ---- claim ---- */

static void read_batch(struct reply_reader *r, struct queue_claimed *c)
{
    c->epoch = reply_slice(r);
    c->batch = reply_slice(r);
    c->part = reply_slice(r);
    c->ordset = reply_slice(r);
    c->sync = reply_slice(r);
    c->destination = reply_slice(r);
    c->payload = reply_slice(r);
    c->records = (uint32_t)reply_int(r);
    c->attempts = (uint32_t)reply_int(r);
    c->kills = (uint32_t)reply_int(r);
    c->unsure = reply_int(r) != 0;
    c->progress = reply_slice(r);
}

/* {status below zero} | {1, 1, batch…} | {1, 0, wait_ms, mismatch, stale} */
static enum err_code read_claim(struct reply_reader *r, struct queue_claimed *c, struct err *err)
{
    if (!reply_status(r, err)) {
        bool refused = !r->bad && (err->code == ERR_STALE || err->code == ERR_BUSY);
        c->refused = refused;
        c->wait_ms = -1;
        return refused ? ERR_OK : err->code;
    }
    c->got = reply_int(r) != 0;
    if (c->got) {
        read_batch(r, c);
    } else {
        c->wait_ms = reply_int(r);
        c->mismatch = reply_int(r) != 0;
        c->stale = reply_int(r) != 0;
    }
    return r->bad ? reply_foreign(err, "a claim") : ERR_OK;
}

static void put_claim(struct args *a, const struct queue_claim *c)
{
    args_str(a, c->worker);
    args_u64(a, c->token);
    args_u64(a, c->lease_ms);
    args_i64(a, clock_mono_ms());
    args_u64(a, c->ability_count);
    for (size_t i = 0; i < c->ability_count; i++) {
        args_str(a, c->abilities[i].destination);
        args_str(a, c->abilities[i].fingerprint);
    }
}

static enum err_code check_token(uint64_t token, struct err *err)
{
    return token <= TOKEN_MAX ? ERR_OK : err_set(err, ERR_BUG, "a claim token above 2^53");
}

struct worker_call {
    queue_done_cb settled;
    queue_claimed_cb claimed;
    void *ctx;
};

static void on_claim(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct worker_call call = *(struct worker_call *)ctx;
    free(ctx);
    struct err own;
    struct queue_claimed c = {0};
    struct reply_reader r = reply_open(reply);
    if (!err && read_claim(&r, &c, &own))
        err = &own;
    call.claimed(call.ctx, err ? NULL : &c, err);
}

enum err_code queue_claim(struct queue *q, const struct queue_claim *c, queue_claimed_cb cb,
                          void *ctx, struct err *err)
{
    enum err_code rc = check_token(c->token, err);
    if (rc)
        return rc;
    struct worker_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    *call = (struct worker_call){.claimed = cb, .ctx = ctx};
    struct args a;
    args_init(&a);
    put_claim(&a, c);
    rc = queue_eval(q, QUEUE_SCRIPT_CLAIM, &a, on_claim, call, err);
    args_done(&a);
    if (rc)
        free(call);
    return rc;
}

/* ---- settle ---- */

static const char *settle_word(enum settle_kind kind)
{
    switch (kind) {
    case SETTLE_DONE:
        return "done";
    case SETTLE_STOP:
        return "stop";
    case SETTLE_RETRY:
        return "retry";
    case SETTLE_THROTTLE:
        return "throttle";
    case SETTLE_SPLIT:
        return "split";
    case SETTLE_RELEASE:
        return "release";
    case SETTLE_CONTINUE:
        return "continue";
    }
    ensure(false);
}

/* Batches of one request, which are the most, spare themselves these words. */
static bool is_step(const struct queue_settle *s)
{
    return s->progress.n || s->next_group || s->next_records || s->open || s->uncharge_records ||
           s->pause_ms || s->hold_ms;
}

static void put_step(struct args *a, const struct queue_settle *s)
{
    args_u64(a, is_step(s));
    if (!is_step(s))
        return;
    args_put(a, s->progress);
    args_u64(a, s->next_group);
    args_u64(a, s->next_records);
    args_u64(a, s->open);
    args_u64(a, s->uncharge_records);
    args_u64(a, s->pause_ms);
    args_u64(a, s->hold_ms);
}

static void put_settle(struct args *a, const struct queue_settle *s)
{
    args_put(a, s->epoch);
    args_str(a, s->worker);
    args_u64(a, s->token);
    args_str(a, settle_word(s->kind));
    args_u64(a, s->delay_ms);
    args_u64(a, s->unsure);
    args_u64(a, s->charge_age_ms);
    args_u64(a, s->keep_throttle);
    args_put(a, s->result);
    args_u64(a, s->part_count);
    for (size_t i = 0; i < s->part_count; i++) {
        args_put(a, s->parts[i].part);
        args_put(a, s->parts[i].ordset);
        args_put(a, s->parts[i].payload);
        args_u64(a, s->parts[i].records);
    }
    put_step(a, s);
}

/* {1, settled, null | claim} */
static void on_settle(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct worker_call call = *(struct worker_call *)ctx;
    free(ctx);
    struct err own;
    const struct err *claim_err = err;
    struct queue_claimed c = {0};
    struct reply_reader r = reply_open(reply);
    int64_t settled = 0;
    if (!err && reply_status(&r, &own)) {
        settled = reply_int(&r);
        if (r.bad)
            reply_foreign(&own, "a settlement");
    }
    if (!err && (r.bad || settled < 0 || reply_left(&r) != 1))
        claim_err = err = &own;
    struct err claim_own;
    if (!err && call.claimed) {
        struct reply_reader claim = reply_array(&r);
        if (read_claim(&claim, &c, &claim_own))
            claim_err = &claim_own;
    }
    if (call.settled)
        call.settled(call.ctx, err ? 0 : settled, err);
    if (call.claimed)
        call.claimed(call.ctx, claim_err ? NULL : &c, claim_err);
}

enum err_code queue_settle(struct queue *q, const struct queue_settle *s, queue_done_cb cb,
                           const struct queue_claim *claim, queue_claimed_cb claimed_cb, void *ctx,
                           struct err *err)
{
    enum err_code rc = check_token(claim ? claim->token : 0, err);
    if (!rc && s->progress.n > QUEUE_PROGRESS_MAX)
        rc = err_set(err, ERR_BUG, "progress of %zu bytes", s->progress.n);
    if (rc)
        return rc;
    struct worker_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    *call = (struct worker_call){.settled = cb, .claimed = claim ? claimed_cb : NULL, .ctx = ctx};
    struct args a;
    args_init(&a);
    put_settle(&a, s);
    if (claim)
        put_claim(&a, claim);
    rc = queue_eval(q, QUEUE_SCRIPT_SETTLE, &a, on_settle, call, err);
    args_done(&a);
    if (rc)
        free(call);
    return rc;
}

/* ---- beat ---- */

enum err_code queue_beat(struct queue *q, const char *worker, const uint64_t *tokens, size_t count,
                         uint64_t lease_ms, queue_done_cb cb, void *ctx, struct err *err)
{
    struct args a;
    args_init(&a);
    args_str(&a, worker);
    args_u64(&a, lease_ms);
    for (size_t i = 0; i < count; i++)
        args_u64(&a, tokens[i]);
    enum err_code rc = queue_eval_number(q, QUEUE_SCRIPT_BEAT, &a, cb, ctx, err);
    args_done(&a);
    return rc;
}
