/* Shared values. Reads: replies. Writes: nothing of its own. A crash between two calls:
 * PROTOCOL.md.
 */
#include "protocol/queue/shared.h"

#include "protocol/queue/call.h"

#include <stdlib.h>

enum { ALL_MAX_BYTES = 1 << 20 }; /* of the list; the values stay in the reply */

/* ---- one value ---- */

struct shared_call {
    queue_shared_cb cb;
    void *ctx;
};

/* {1, granted, version, value, left_ms, holder, holder_left_ms} */
static void on_shared(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct shared_call call = *(struct shared_call *)ctx;
    free(ctx);
    struct err own;
    struct queue_shared found = {0};
    struct reply_reader r = reply_open(reply);
    if (!err && !reply_status(&r, &own))
        err = &own;
    if (!err) {
        found.granted = reply_int(&r) != 0;
        found.version = (uint64_t)reply_int(&r);
        found.value = reply_slice(&r);
        found.left_ms = reply_int(&r);
        found.holder = reply_slice(&r);
        found.holder_left_ms = reply_int(&r);
        if (r.bad) {
            reply_foreign(&own, "a shared value");
            err = &own;
        }
    }
    call.cb(call.ctx, err ? NULL : &found, err);
}

static enum err_code start(struct args *a, const char *op, struct slice name, struct err *err)
{
    if (!name.n || name.n > QUEUE_NAME_MAX)
        return err_set(err, ERR_BUG, "a shared value with a name of %zu bytes", name.n);
    args_str(a, op);
    args_put(a, name);
    return ERR_OK;
}

static enum err_code eval(struct queue *q, struct args *a, queue_shared_cb cb, void *ctx,
                          struct err *err)
{
    struct shared_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    *call = (struct shared_call){cb, ctx};
    enum err_code rc = queue_eval(q, QUEUE_SCRIPT_SHARED, a, on_shared, call, err);
    if (rc)
        free(call);
    return rc;
}

enum err_code queue_shared_get(struct queue *q, struct slice name, queue_shared_cb cb, void *ctx,
                               struct err *err)
{
    CLEANUP(args_done) struct args a;
    args_init(&a);
    enum err_code rc = start(&a, "get", name, err);
    return rc ? rc : eval(q, &a, cb, ctx, err);
}

enum err_code queue_shared_lock(struct queue *q, struct slice name, const char *holder,
                                uint64_t ttl_ms, queue_shared_cb cb, void *ctx, struct err *err)
{
    CLEANUP(args_done) struct args a;
    args_init(&a);
    enum err_code rc = start(&a, "lock", name, err);
    if (rc)
        return rc;
    args_str(&a, holder);
    args_u64(&a, ttl_ms);
    return eval(q, &a, cb, ctx, err);
}

enum err_code queue_shared_put(struct queue *q, const struct queue_shared_put *put,
                               queue_shared_cb cb, void *ctx, struct err *err)
{
    CLEANUP(args_done) struct args a;
    args_init(&a);
    enum err_code rc = start(&a, "put", put->name, err);
    if (!rc && put->value.n > QUEUE_SHARED_VALUE_MAX)
        rc = err_set(err, ERR_BUG, "a shared value of %zu bytes", put->value.n);
    if (rc)
        return rc;
    args_str(&a, put->holder ? put->holder : "");
    if (put->version == UINT64_MAX)
        args_str(&a, "");
    else
        args_u64(&a, put->version);
    args_put(&a, put->value);
    args_u64(&a, put->expire_ms);
    args_u64(&a, put->durable);
    return eval(q, &a, cb, ctx, err);
}

enum err_code queue_shared_unlock(struct queue *q, struct slice name, const char *holder,
                                  queue_shared_cb cb, void *ctx, struct err *err)
{
    CLEANUP(args_done) struct args a;
    args_init(&a);
    enum err_code rc = start(&a, "unlock", name, err);
    if (rc)
        return rc;
    args_str(&a, holder);
    return eval(q, &a, cb, ctx, err);
}

/* ---- the durable ones ---- */

struct all_call {
    queue_shared_all_cb cb;
    void *ctx;
};

/* {1, version, {name, value, version, left_ms, …}} */
static enum err_code read_all(struct reply_reader *r, struct arena *arena, uint64_t *ret_version,
                              struct queue_shared_value **ret_values, size_t *ret_count,
                              struct err *err)
{
    if (!reply_status(r, err))
        return err->code;
    *ret_version = (uint64_t)reply_int(r);
    struct reply_reader list = reply_array(r);
    size_t count = reply_left(&list) / 4;
    struct queue_shared_value *values = arena_alloc(arena, count * sizeof *values + 1);
    if (!values)
        return err_set(err, ERR_NOMEM, "no memory for %zu shared values", count);
    for (size_t i = 0; i < count; i++) {
        values[i].name = reply_slice(&list);
        values[i].value = reply_slice(&list);
        values[i].version = (uint64_t)reply_int(&list);
        values[i].left_ms = (uint64_t)reply_int(&list);
    }
    *ret_values = values;
    *ret_count = count;
    return r->bad || list.bad ? reply_foreign(err, "shared values") : ERR_OK;
}

static void on_all(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct all_call call = *(struct all_call *)ctx;
    free(ctx);
    struct err own;
    CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, ALL_MAX_BYTES);
    struct queue_shared_value *values = NULL;
    size_t count = 0;
    uint64_t version = 0;
    struct reply_reader r = reply_open(reply);
    if (!err && read_all(&r, &arena, &version, &values, &count, &own))
        err = &own;
    call.cb(call.ctx, err ? NULL : values, err ? 0 : count, err ? 0 : version, err);
}

enum err_code queue_shared_all(struct queue *q, queue_shared_all_cb cb, void *ctx, struct err *err)
{
    struct all_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    *call = (struct all_call){cb, ctx};
    CLEANUP(args_done) struct args a;
    args_init(&a);
    args_str(&a, "all");
    args_str(&a, "");
    enum err_code rc = queue_eval(q, QUEUE_SCRIPT_SHARED, &a, on_all, call, err);
    if (rc)
        free(call);
    return rc;
}
