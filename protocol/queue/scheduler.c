/* The scheduler's calls. Reads: replies. Writes: nothing of its own. A crash between two calls:
 * PROTOCOL.md. */
#include "protocol/queue/call.h"

#include "protocol/base/clock.h"
#include "protocol/queue/shared.h"
#include "protocol/wire/ordset.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- look ---- */

struct look_call {
    queue_opened_cb cb;
    void *ctx;
};

static void on_look(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct look_call call = *(struct look_call *)ctx;
    free(ctx);
    struct err own;
    struct queue_opened o = {0};
    struct reply_reader r = reply_open(reply);
    if (err || !reply_status(&r, &own)) {
        call.cb(call.ctx, NULL, err ? err : &own);
        return;
    }
    o.now_ms = reply_int(&r);
    o.fresh = reply_int(&r) != 0;
    o.same_state = reply_int(&r) != 0;
    struct slice other = reply_slice(&r);
    snprintf(o.other_state, sizeof o.other_state, "%.*s", (int)(other.n < 32 ? other.n : 32),
             other.p);
    o.permit_left_ms = reply_int(&r);
    struct slice commit = reply_slice(&r);
    char digits[24];
    snprintf(digits, sizeof digits, "%.*s", (int)(commit.n < 23 ? commit.n : 23), commit.p);
    o.commit = strtoull(digits, NULL, 10);
    o.leases = (uint64_t)reply_int(&r);
    o.lease_left_ms = reply_int(&r);
    o.restarted = reply_int(&r) != 0;
    struct slice term = reply_slice(&r), holder = reply_slice(&r);
    snprintf(digits, sizeof digits, "%.*s", (int)(term.n < 23 ? term.n : 23), term.p);
    o.term = strtoull(digits, NULL, 10);
    snprintf(o.holder, sizeof o.holder, "%.*s", (int)(holder.n < 32 ? holder.n : 32), holder.p);
    if (r.bad)
        reply_foreign(&own, "what a look sees");
    call.cb(call.ctx, r.bad ? NULL : &o, r.bad ? &own : NULL);
}

enum err_code queue_look(struct queue *q, const char *state_id, queue_opened_cb cb, void *ctx,
                         struct err *err)
{
    struct look_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    *call = (struct look_call){cb, ctx};
    struct args a;
    args_init(&a);
    args_str(&a, state_id);
    enum err_code rc = queue_eval(q, QUEUE_SCRIPT_LOOK, &a, on_look, call, err);
    args_done(&a);
    if (rc)
        free(call);
    return rc;
}

/* ---- fence, clear, open ---- */

static void close_file(FILE **f)
{
    if (*f)
        fclose(*f);
}

enum err_code queue_fence(struct queue *q, queue_done_cb cb, void *ctx, struct err *err)
{
    struct args a;
    args_init(&a);
    args_term(&a, q, true);
    enum err_code rc = queue_eval_number(q, QUEUE_SCRIPT_FENCE, &a, cb, ctx, err);
    args_done(&a);
    return rc;
}

enum err_code queue_clear(struct queue *q, queue_done_cb cb, void *ctx, struct err *err)
{
    struct args a;
    args_init(&a);
    args_term(&a, q, true);
    enum err_code rc = queue_eval_number(q, QUEUE_SCRIPT_CLEAR, &a, cb, ctx, err);
    args_done(&a);
    return rc;
}

enum err_code queue_wipe(struct queue *q, const char *state_id, uint64_t commit, bool fenced,
                         queue_done_cb cb, void *ctx, struct err *err)
{
    struct args a;
    args_init(&a);
    args_str(&a, state_id);
    args_u64(&a, commit);
    args_u64(&a, fenced);
    args_term(&a, q, false);
    enum err_code rc = queue_eval_number(q, QUEUE_SCRIPT_WIPE, &a, cb, ctx, err);
    args_done(&a);
    return rc;
}

/* This process' monotonic clock, and which start of the machine it counts from. */
static void put_clock(struct args *a)
{
    enum { BOOT_ID_BYTES = 40 };
    char *boot = arena_alloc(&a->numbers, BOOT_ID_BYTES);
    CLEANUP(close_file) FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (boot && f && fgets(boot, BOOT_ID_BYTES, f))
        boot[strcspn(boot, "\n")] = '\0';
    args_i64(a, clock_mono_ms());
    args_str(a, boot ? boot : "");
}

static void put_grants(struct args *a, const uint64_t *grants, size_t count)
{
    args_u64(a, grants ? count : 0);
    for (size_t i = 0; grants && i < count; i++)
        args_u64(a, grants[i]);
}

static void put_epoch(struct args *a, const struct queue_epoch *e)
{
    args_str(a, e->state_id);
    args_str(a, e->epoch);
    args_str(a, e->run_id);
    args_u64(a, e->permit_ms);
    put_clock(a);
    args_u64(a, e->commit);
    args_u64(a, e->concurrency);
    args_u64(a, e->slack_ms);
    args_u64(a, e->max_open);
    args_u64(a, e->limit_count);
    for (size_t i = 0; i < e->limit_count; i++) {
        args_str(a, e->limits[i].kind == RATE_RECORDS ? "records" : "requests");
        args_u64(a, e->limits[i].count);
        args_u64(a, e->limits[i].per_ms);
        args_u64(a, e->limits[i].group);
    }
    args_u64(a, e->window_count);
    for (size_t i = 0; i < e->window_count; i++) {
        args_u64(a, e->windows[i].limit);
        args_u64(a, e->windows[i].left_ms);
        args_u64(a, e->windows[i].count);
    }
    put_grants(a, e->grants, e->grant_count);
    args_u64(a, e->shared_count);
    for (size_t i = 0; i < e->shared_count; i++) {
        args_put(a, e->shared[i].name);
        args_put(a, e->shared[i].value);
        args_u64(a, e->shared[i].version);
        args_u64(a, e->shared[i].left_ms);
    }
    args_u64(a, e->closed_count);
    for (size_t i = 0; i < e->closed_count; i++) {
        args_put(a, e->closed[i].destination);
        args_u64(a, e->closed[i].left_ms);
    }
    args_u64(a, e->shared_version);
    args_u64(a, e->factor);
    args_u64(a, e->recovers_ms);
    args_u64(a, e->adds);
}

enum err_code queue_open(struct queue *q, const struct queue_epoch *e, queue_done_cb cb, void *ctx,
                         struct err *err)
{
    struct args a;
    args_init(&a);
    put_epoch(&a, e);
    args_term(&a, q, false);
    enum err_code rc = queue_eval_number(q, QUEUE_SCRIPT_OPEN, &a, cb, ctx, err);
    args_done(&a);
    return rc;
}

/* ---- permit ---- */

struct permit_call {
    queue_stats_cb cb;
    void *ctx;
};

static enum err_code read_used(struct reply_reader r, struct arena *arena, struct queue_stats *s)
{
    s->limit_count = reply_left(&r);
    uint64_t *used = arena_alloc(arena, s->limit_count * sizeof *used + 1);
    if (!used)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->limit_count; i++)
        used[i] = (uint64_t)reply_int(&r);
    s->limit_used = used;
    return r.bad ? ERR_REMOTE : ERR_OK;
}

static enum err_code read_windows(struct reply_reader r, struct arena *arena, struct queue_stats *s)
{
    s->window_count = reply_left(&r) / 3;
    struct queue_window *w = arena_alloc(arena, s->window_count * sizeof *w + 1);
    if (!w)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->window_count; i++) {
        w[i].limit = (uint32_t)reply_int(&r);
        w[i].left_ms = (uint64_t)reply_int(&r);
        w[i].count = (uint64_t)reply_int(&r);
    }
    s->windows = w;
    return r.bad ? ERR_REMOTE : ERR_OK;
}

static enum err_code read_syncs(struct reply_reader r, struct arena *arena, struct queue_stats *s)
{
    s->sync_count = reply_left(&r) / 5;
    struct queue_sync_stats *syncs = arena_alloc(arena, s->sync_count * sizeof *syncs + 1);
    if (!syncs)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->sync_count; i++) {
        syncs[i].sync = reply_slice(&r);
        syncs[i].queued = (uint64_t)reply_int(&r);
        syncs[i].parked = (uint64_t)reply_int(&r);
        syncs[i].leased = (uint64_t)reply_int(&r);
        syncs[i].bytes = (uint64_t)reply_int(&r);
    }
    s->syncs = syncs;
    return r.bad ? ERR_REMOTE : ERR_OK;
}

static enum err_code read_closed(struct reply_reader r, struct arena *arena, struct queue_stats *s)
{
    s->closed_count = reply_left(&r) / 2;
    struct queue_closed *closed = arena_alloc(arena, s->closed_count * sizeof *closed + 1);
    if (!closed)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->closed_count; i++) {
        closed[i].destination = reply_slice(&r);
        closed[i].left_ms = (uint64_t)reply_int(&r);
    }
    s->closed = closed;
    return r.bad ? ERR_REMOTE : ERR_OK;
}

static enum err_code read_stats(struct reply_reader *r, struct arena *arena, struct queue_stats *s,
                                struct err *err)
{
    if (!reply_status(r, err))
        return err->code;
    s->now_ms = reply_int(r);
    s->throttled_left_ms = reply_int(r);
    s->throttled_for_ms = reply_int(r);
    s->factor = (double)reply_int(r) / 1000;
    enum err_code rc = read_used(reply_array(r), arena, s);
    if (!rc)
        rc = read_windows(reply_array(r), arena, s);
    if (!rc)
        rc = read_syncs(reply_array(r), arena, s);
    s->shared_version = (uint64_t)reply_int(r);
    s->leases_lost = (uint64_t)reply_int(r);
    s->unwatched = reply_int(r) != 0;
    if (!rc)
        rc = read_closed(reply_array(r), arena, s);
    s->recovers_ms = (uint64_t)reply_int(r);
    if (rc == ERR_NOMEM)
        return err_set(err, ERR_NOMEM, "no memory for the queue's statistics");
    return rc || r->bad ? reply_foreign(err, "statistics") : ERR_OK;
}

static void on_permit(void *ctx, const struct redisReply *reply, const struct err *err)
{
    enum { STATS_MAX_BYTES = 64 << 20 };
    struct permit_call call = *(struct permit_call *)ctx;
    free(ctx);
    struct err own;
    struct queue_stats stats = {0};
    CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, STATS_MAX_BYTES);
    struct reply_reader r = reply_open(reply);
    if (!err && read_stats(&r, &arena, &stats, &own))
        err = &own;
    call.cb(call.ctx, err ? NULL : &stats, err);
}

enum err_code queue_permit(struct queue *q, const char *epoch, uint64_t permit_ms, uint64_t commit,
                           const uint64_t *grants, size_t grant_count, queue_stats_cb cb, void *ctx,
                           struct err *err)
{
    struct permit_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    *call = (struct permit_call){cb, ctx};
    struct args a;
    args_init(&a);
    args_str(&a, epoch);
    args_u64(&a, permit_ms);
    put_clock(&a);
    args_u64(&a, commit);
    put_grants(&a, grants, grant_count);
    enum err_code rc = queue_eval(q, QUEUE_SCRIPT_PERMIT, &a, on_permit, call, err);
    args_done(&a);
    if (rc)
        free(call);
    return rc;
}

/* ---- enqueue ---- */

static enum err_code put_batch(struct args *a, const struct queue_batch *b, struct err *err)
{
    char *part = arena_alloc(&a->numbers, BATCH_PART_ID_BYTES);
    if (!part)
        return err_set(err, ERR_NOMEM, "no memory for a batch");
    if (batch_part_id(b->id, b->ordset, part, BATCH_PART_ID_BYTES))
        return err_set(err, ERR_BUG, "a batch id of %zu bytes is too long", b->id.n);
    args_u64(a, b->number);
    args_put(a, b->id);
    args_str(a, part);
    args_put(a, b->lane);
    args_put(a, b->ordset);
    args_u64(a, b->records);
    args_put(a, b->payload);
    args_u64(a, b->group);
    args_u64(a, b->costs);
    args_u64(a, b->jobless);
    return ERR_OK;
}

enum err_code queue_enqueue(struct queue *q, const char *epoch, const struct queue_sync *sync,
                            const struct queue_batch *batches, size_t count, queue_done_cb cb,
                            void *ctx, struct err *err)
{
    if (count > QUEUE_ENQUEUE_MAX)
        return err_set(err, ERR_BUG, "%zu batches in one call, at most %d", count,
                       QUEUE_ENQUEUE_MAX);
    CLEANUP(args_done) struct args a;
    args_init(&a);
    args_str(&a, epoch);
    args_str(&a, sync->sync);
    args_str(&a, sync->run);
    args_str(&a, sync->destination);
    args_str(&a, sync->fingerprint);
    args_u64(&a, sync->weight);
    args_u64(&a, sync->cap_bytes);
    args_u64(&a, count);
    for (size_t i = 0; i < count; i++) {
        enum err_code rc = put_batch(&a, &batches[i], err);
        if (rc)
            return rc;
    }
    return queue_eval_number(q, QUEUE_SCRIPT_ENQUEUE, &a, cb, ctx, err);
}

/* ---- control, reap, trim, audit ---- */

static const char *control_word(enum queue_control what)
{
    switch (what) {
    case QUEUE_PAUSE_SYNC:
        return "pause_sync";
    case QUEUE_RESUME_SYNC:
        return "resume_sync";
    case QUEUE_PAUSE_DESTINATION:
        return "pause_destination";
    case QUEUE_RESUME_DESTINATION:
        return "resume_destination";
    case QUEUE_CANCEL_SYNC:
        return "cancel_sync";
    case QUEUE_FAIL_SYNC:
        return "fail_sync";
    case QUEUE_FORGET_SYNC:
        return "forget_sync";
    }
    ensure(false);
}

enum err_code queue_control(struct queue *q, const char *epoch, enum queue_control what,
                            const char *name, queue_done_cb cb, void *ctx, struct err *err)
{
    struct args a;
    args_init(&a);
    args_str(&a, epoch);
    args_str(&a, control_word(what));
    args_str(&a, name);
    enum err_code rc = queue_eval_number(q, QUEUE_SCRIPT_CONTROL, &a, cb, ctx, err);
    args_done(&a);
    return rc;
}

enum err_code queue_reap(struct queue *q, const char *worker_prefix, bool all, queue_done_cb cb,
                         void *ctx, struct err *err)
{
    struct args a;
    args_init(&a);
    args_str(&a, worker_prefix);
    args_u64(&a, all);
    args_term(&a, q, true);
    enum err_code rc = queue_eval_number(q, QUEUE_SCRIPT_REAP, &a, cb, ctx, err);
    args_done(&a);
    return rc;
}

enum err_code queue_trim(struct queue *q, const char *epoch, const char *position, queue_done_cb cb,
                         void *ctx, struct err *err)
{
    struct args a;
    args_init(&a);
    args_str(&a, epoch);
    args_str(&a, position);
    enum err_code rc = queue_eval_number(q, QUEUE_SCRIPT_TRIM, &a, cb, ctx, err);
    args_done(&a);
    return rc;
}

struct audit_call {
    queue_done_cb cb;
    void *ctx;
};

static void on_audit(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct audit_call call = *(struct audit_call *)ctx;
    free(ctx);
    struct err own;
    int64_t number = 0;
    struct reply_reader r = reply_open(reply);
    if (!err && !reply_status(&r, &own)) {
        err = &own;
    } else if (!err) {
        number = reply_int(&r);
        struct slice words = reply_slice(&r);
        if (r.bad)
            reply_foreign(&own, "an audit");
        else if (number > 0)
            err_set(&own, ERR_BUG, "%.*s", (int)words.n, words.p);
        err = r.bad || number > 0 ? &own : NULL;
    }
    call.cb(call.ctx, number, err);
}

enum err_code queue_audit(struct queue *q, queue_done_cb cb, void *ctx, struct err *err)
{
    struct audit_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    *call = (struct audit_call){cb, ctx};
    struct args a;
    args_init(&a);
    enum err_code rc = queue_eval(q, QUEUE_SCRIPT_AUDIT, &a, on_audit, call, err);
    args_done(&a);
    if (rc)
        free(call);
    return rc;
}
