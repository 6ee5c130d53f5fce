/* The results stream and the wake list: plain commands, no script. A crash here changes nothing. */
#include "protocol/queue/call.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WAKE_ENTRIES_MAX = 64,
    PATIENCE_MS = 10000, /* beyond the time a blocking command waits by itself */
};

static const char WAKE_KEY[] = "sluice:wake";

/* ---- results ---- */

struct results_call {
    queue_results_cb cb;
    void *ctx;
};

static struct queue_result read_result(struct reply_reader *entries)
{
    struct reply_reader entry = reply_array(entries);
    struct queue_result out = {.stream_id = reply_slice(&entry)};
    struct reply_reader fields = reply_array(&entry);
    bool named = slice_eq_str(reply_slice(&fields), "b");
    out.batch = reply_slice(&fields);
    named = named && slice_eq_str(reply_slice(&fields), "s");
    out.sync = reply_slice(&fields);
    named = named && slice_eq_str(reply_slice(&fields), "v");
    out.body = reply_slice(&fields);
    if (!named || fields.bad || entry.bad)
        entries->bad = true;
    return out;
}

static void on_results(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct results_call call = *(struct results_call *)ctx;
    free(ctx);
    struct err own;
    if (err || reply->type == REDIS_REPLY_NIL) {
        call.cb(call.ctx, NULL, 0, err);
        return;
    }
    struct reply_reader streams = reply_open(reply);
    struct reply_reader stream = reply_array(&streams);
    reply_slice(&stream);
    struct reply_reader entries = reply_array(&stream);
    size_t count = reply_left(&entries);
    struct queue_result *results = calloc(count ? count : 1, sizeof *results);
    for (size_t i = 0; results && i < count && !entries.bad; i++)
        results[i] = read_result(&entries);
    if (!results)
        err_set(&own, ERR_NOMEM, "no memory for %zu results", count);
    else if (streams.bad || stream.bad || entries.bad)
        reply_foreign(&own, "results");
    bool fine = results && !streams.bad && !stream.bad && !entries.bad;
    call.cb(call.ctx, fine ? results : NULL, fine ? count : 0, fine ? NULL : &own);
    free(results);
}

static struct slice number_text(char *out, size_t n, uint64_t value)
{
    int len = snprintf(out, n, "%" PRIu64, value);
    return slice_of(out, (size_t)len);
}

enum err_code queue_results(struct queue *q, const char *after, uint32_t count, uint64_t block_ms,
                            queue_results_cb cb, void *ctx, struct err *err)
{
    char key[QUEUE_NAME_MAX + 32], count_text[24], block_text[24];
    int key_bytes = snprintf(key, sizeof key, "%s:results", q->key);
    if (key_bytes < 0 || (size_t)key_bytes >= sizeof key)
        return err_set(err, ERR_BUG, "quota name of more than %d bytes", QUEUE_NAME_MAX);
    struct slice argv[9];
    size_t n = 0;
    argv[n++] = SLICE_LIT("XREAD");
    argv[n++] = SLICE_LIT("COUNT");
    argv[n++] = number_text(count_text, sizeof count_text, count);
    if (block_ms) {
        argv[n++] = SLICE_LIT("BLOCK");
        argv[n++] = number_text(block_text, sizeof block_text, block_ms);
    }
    argv[n++] = SLICE_LIT("STREAMS");
    argv[n++] = slice_of(key, (size_t)key_bytes);
    argv[n++] = after && *after ? slice_str(after) : SLICE_LIT("0-0");
    struct results_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "quota %s: no memory for a call", q->quota);
    *call = (struct results_call){cb, ctx};
    enum err_code rc = queue_command(q, argv, n, block_ms + PATIENCE_MS, on_results, call, err);
    if (rc)
        free(call);
    return rc;
}

/* ---- wake list ---- */

enum err_code queue_wake(struct queue *q, struct err *err)
{
    char last[24];
    const char *key = q->fleet ? redis_fleet_wake_of(q->fleet, q->member, q->quota) : WAKE_KEY;
    snprintf(last, sizeof last, "-%d", WAKE_ENTRIES_MAX);
    const struct slice push[] = {SLICE_LIT("RPUSH"), slice_str(key), slice_str(q->quota)};
    const struct slice trim[] = {SLICE_LIT("LTRIM"), slice_str(key), slice_str(last),
                                 SLICE_LIT("-1")};
    enum err_code rc = queue_command(q, push, ARRAY_LEN(push), 0, NULL, NULL, err);
    return rc ? rc : queue_command(q, trim, ARRAY_LEN(trim), 0, NULL, NULL, err);
}

struct wait_call {
    queue_woken_cb cb;
    void *ctx;
};

static void on_woken(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct wait_call call = *(struct wait_call *)ctx;
    free(ctx);
    struct err own;
    struct slice quota = SLICE_LIT("");
    if (!err && reply->type != REDIS_REPLY_NIL) {
        struct reply_reader r = reply_open(reply);
        reply_slice(&r);
        quota = reply_slice(&r);
        if (r.bad) {
            reply_foreign(&own, "a name from the wake list");
            err = &own;
        }
    }
    call.cb(call.ctx, quota, err);
}

enum err_code queue_wait(struct redis *redis, const char *wake_key, uint64_t wait_ms,
                         queue_woken_cb cb, void *ctx, struct err *err)
{
    /* 0 would wait for ever. */
    uint64_t ms = wait_ms ? wait_ms : 1;
    char seconds[40];
    int n = snprintf(seconds, sizeof seconds, "%" PRIu64 ".%03" PRIu64, ms / 1000, ms % 1000);
    const struct slice argv[] = {SLICE_LIT("BLPOP"), slice_str(wake_key),
                                 slice_of(seconds, (size_t)n)};
    struct wait_call *call = malloc(sizeof *call);
    if (!call)
        return err_set(err, ERR_NOMEM, "no memory for a call");
    *call = (struct wait_call){cb, ctx};
    enum err_code rc =
        redis_command(redis, argv, ARRAY_LEN(argv), ms + PATIENCE_MS, on_woken, call, err);
    if (rc)
        free(call);
    return rc;
}
