#include "protocol/queue/call.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_BYTES = 24, NUMBERS_MAX_BYTES = 64 << 20 };

/* The statuses of prelude.lua. */
enum status {
    STATUS_OK = 1,
    STATUS_STALE = -1,
    STATUS_FENCED = -2,
    STATUS_UNPERMITTED = -3,
    STATUS_BUSY = -4,
    STATUS_STOPPED = -5,
    STATUS_BAD = -6,
    STATUS_RESTARTED = -7,
    STATUS_FULL = -8,
    STATUS_SUPERSEDED = -9,
};

static struct queue *make(const char *quota)
{
    struct queue *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->quota = strdup(quota);
    if (!q->quota || asprintf(&q->key, "sluice:{%s}", quota) < 0) {
        q->key = NULL;
        queue_free(q);
        return NULL;
    }
    return q;
}

struct queue *queue_new(struct redis *redis, const char *quota)
{
    struct queue *q = make(quota);
    if (q)
        q->redis = redis;
    return q;
}

struct queue *queue_new_at(struct redis_fleet *fleet, const char *member, const char *quota)
{
    struct queue *q = make(quota);
    if (!q)
        return NULL;
    q->fleet = fleet;
    q->member = strdup(member);
    if (q->member)
        return q;
    queue_free(q);
    return NULL;
}

enum err_code queue_move(struct queue *q, const char *member, struct err *err)
{
    char *copy = strdup(member);
    ensure(q->fleet);
    if (!copy)
        return err_set(err, ERR_NOMEM, "quota %s: no memory", q->quota);
    free(q->member);
    q->member = copy;
    return ERR_OK;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    free(q->member);
    free(q->quota);
    free(q->key);
    free(q);
}

const char *queue_member(const struct queue *q)
{
    return q->member;
}

struct redis *queue_redis(const struct queue *q)
{
    return q->fleet ? redis_fleet_at(q->fleet, q->member, q->quota) : q->redis;
}

const char *queue_quota(const struct queue *q)
{
    return q->quota;
}

/* ---- arguments ---- */

void args_init(struct args *a)
{
    a->v = a->few;
    a->n = 0;
    a->cap = ARGS_FEW;
    a->failed = false;
    arena_init(&a->numbers, NUMBERS_MAX_BYTES);
    args_str(a, "");
}

void args_done(struct args *a)
{
    if (a->v != a->few)
        free(a->v);
    arena_done(&a->numbers);
}

static bool args_grow(struct args *a)
{
    size_t cap = a->cap * 2;
    struct slice *v = a->v == a->few ? malloc(cap * sizeof *v) : realloc(a->v, cap * sizeof *v);
    if (!v)
        return false;
    if (a->v == a->few)
        memcpy(v, a->few, sizeof a->few);
    a->v = v;
    a->cap = cap;
    return true;
}

void args_put(struct args *a, struct slice s)
{
    if (a->failed || (a->n == a->cap && !args_grow(a))) {
        a->failed = true;
        return;
    }
    a->v[a->n++] = s.p ? s : SLICE_LIT("");
}

void args_str(struct args *a, const char *s)
{
    args_put(a, slice_str(s));
}

void args_u64(struct args *a, uint64_t n)
{
    char *text = arena_alloc(&a->numbers, NUMBER_BYTES);
    if (!text) {
        a->failed = true;
        return;
    }
    int len = snprintf(text, NUMBER_BYTES, "%" PRIu64, n);
    args_put(a, slice_of(text, (size_t)len));
}

void args_i64(struct args *a, int64_t n)
{
    ensure(n >= 0);
    args_u64(a, (uint64_t)n);
}

void args_term(struct args *a, const struct queue *q, bool with_state)
{
    const struct queue_term *t = &q->term;
    if (!t->number)
        return;
    if (with_state)
        args_str(a, t->state_id);
    args_u64(a, t->number);
    args_str(a, t->holder);
}

void queue_set_term(struct queue *q, const struct queue_term *term)
{
    q->term = *term;
}

const struct queue_term *queue_term_of(const struct queue *q)
{
    return &q->term;
}

/* ---- calls ---- */

/* A call through a fleet, which is told where a quota turned out not to be. */
struct fleet_call {
    struct redis_fleet *fleet;
    redis_cb cb;
    void *ctx;
};

static void on_fleet_reply(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct fleet_call call = *(struct fleet_call *)ctx;
    free(ctx);
    if (err)
        redis_fleet_note(call.fleet, err);
    if (call.cb)
        call.cb(call.ctx, reply, err);
}

/* What to send to, and with what: through a fleet the reply is looked at on its way. */
static enum err_code route(struct queue *q, redis_cb *cb, void **ctx, struct redis **ret_redis,
                           struct err *err)
{
    *ret_redis = queue_redis(q);
    if (!q->fleet)
        return ERR_OK;
    if (!*ret_redis)
        return err_set(err, ERR_UNREACHABLE, "quota %s: no server of Redis %s has it now", q->quota,
                       q->member);
    struct fleet_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    *call = (struct fleet_call){q->fleet, *cb, *ctx};
    *cb = on_fleet_reply;
    *ctx = call;
    return ERR_OK;
}

enum err_code queue_command(struct queue *q, const struct slice *argv, size_t argc,
                            uint64_t deadline_ms, redis_cb cb, void *ctx, struct err *err)
{
    struct redis *redis;
    enum err_code rc = route(q, &cb, &ctx, &redis, err);
    if (rc)
        return rc;
    rc = redis_command(redis, argv, argc, deadline_ms, cb, ctx, err);
    if (rc && q->fleet)
        free(ctx);
    return rc;
}

enum err_code queue_eval(struct queue *q, enum queue_script script, struct args *a, redis_cb cb,
                         void *ctx, struct err *err)
{
    struct redis *redis;
    if (a->failed)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    enum err_code rc = route(q, &cb, &ctx, &redis, err);
    if (rc)
        return rc;
    rc = redis_eval(redis, &queue_scripts[script], slice_str(q->key), a->v, a->n, 0, cb, ctx, err);
    if (rc && q->fleet)
        free(ctx);
    return rc;
}

struct number_call {
    queue_done_cb cb;
    void *ctx;
};

static void on_number(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct number_call call = *(struct number_call *)ctx;
    free(ctx);
    struct err own;
    int64_t number = 0;
    if (!err) {
        struct reply_reader r = reply_open(reply);
        if (reply_status(&r, &own))
            number = reply_int(&r);
        else
            err = &own;
        if (!err && r.bad) {
            reply_foreign(&own, "a number");
            err = &own;
        }
    }
    if (call.cb)
        call.cb(call.ctx, err ? 0 : number, err);
}

enum err_code queue_eval_number(struct queue *q, enum queue_script script, struct args *a,
                                queue_done_cb cb, void *ctx, struct err *err)
{
    struct number_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    *call = (struct number_call){cb, ctx};
    enum err_code rc = queue_eval(q, script, a, on_number, call, err);
    if (rc)
        free(call);
    return rc;
}

enum err_code queue_refusal(struct err *err, int64_t status)
{
    switch (status) {
    case STATUS_STALE:
        return err_set(err, ERR_STALE,
                       "Redis has no such epoch: it was emptied, restarted or taken over");
    case STATUS_FENCED:
        return err_set(err, ERR_STALE, "the queue is fenced: a scheduler is taking it over");
    case STATUS_UNPERMITTED:
        return err_set(err, ERR_BUSY, "no permit vouches for the clock: wait for the next one");
    case STATUS_RESTARTED:
        return err_set(err, ERR_STALE, "Redis was restarted or replaced since the epoch began");
    case STATUS_BUSY:
        return err_set(err, ERR_BUSY, "the queue still holds what must be gone first");
    case STATUS_STOPPED:
        return err_set(err, ERR_STOPPED, "the sync was stopped");
    case STATUS_FULL:
        return err_set(err, ERR_FULL, "the quota shares as many values as it may");
    case STATUS_SUPERSEDED:
        return err_set(err, ERR_STALE, "another scheduler took over this state, or a copy of it");
    case STATUS_BAD:
        return err_set(err, ERR_BUG, "the queue refused a call that makes no sense");
    default:
        return err_set(err, ERR_REMOTE, "Redis answered with an unknown status %" PRId64, status);
    }
}

/* ---- replies ---- */

struct reply_reader reply_open(const struct redisReply *reply)
{
    bool array = reply && reply->type == REDIS_REPLY_ARRAY;
    return (struct reply_reader){.array = array ? reply : NULL, .bad = !array};
}

static const struct redisReply *reply_next(struct reply_reader *r, int type)
{
    if (r->bad || r->at >= r->array->elements || r->array->element[r->at]->type != type) {
        r->bad = true;
        return NULL;
    }
    return r->array->element[r->at++];
}

int64_t reply_int(struct reply_reader *r)
{
    const struct redisReply *e = reply_next(r, REDIS_REPLY_INTEGER);
    return e ? e->integer : 0;
}

struct slice reply_slice(struct reply_reader *r)
{
    const struct redisReply *e = reply_next(r, REDIS_REPLY_STRING);
    return e ? slice_of(e->str, (size_t)e->len) : SLICE_LIT("");
}

struct reply_reader reply_array(struct reply_reader *r)
{
    const struct redisReply *e = reply_next(r, REDIS_REPLY_ARRAY);
    return reply_open(e);
}

bool reply_null(struct reply_reader *r)
{
    if (r->bad || r->at >= r->array->elements || r->array->element[r->at]->type != REDIS_REPLY_NIL)
        return false;
    r->at++;
    return true;
}

size_t reply_left(const struct reply_reader *r)
{
    return r->bad ? 0 : r->array->elements - r->at;
}

bool reply_status(struct reply_reader *r, struct err *err)
{
    int64_t status = reply_int(r);
    if (r->bad)
        reply_foreign(err, "a status");
    else if (status != STATUS_OK)
        queue_refusal(err, status);
    return !r->bad && status == STATUS_OK;
}

enum err_code reply_foreign(struct err *err, const char *what)
{
    return err_set(err, ERR_REMOTE, "Redis answered a script with something that is not %s", what);
}
