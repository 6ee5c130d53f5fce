/* Damaged replies: whatever Redis answers, every callback comes exactly once and nothing is read
 * that is not there. */
#include "protocol/queue/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <hiredis/hiredis.h>

/* ---- this test's Redis: keeps the callback for the answer ---- */

static redis_cb waiting;
static void *waiting_ctx;

enum err_code redis_eval(struct redis *r, const struct redis_script *s, struct slice key,
                         const struct slice *argv, size_t argc, uint64_t deadline_ms, redis_cb cb,
                         void *ctx, struct err *err)
{
    (void)r, (void)s, (void)key, (void)argv, (void)argc, (void)deadline_ms, (void)err;
    waiting = cb;
    waiting_ctx = ctx;
    return ERR_OK;
}

enum err_code redis_command(struct redis *r, const struct slice *argv, size_t argc,
                            uint64_t deadline_ms, redis_cb cb, void *ctx, struct err *err)
{
    return redis_eval(r, NULL, argv[0], argv, argc, deadline_ms, cb, ctx, err);
}

/* No queue here is a fleet's. */
struct redis *redis_fleet_at(const struct redis_fleet *f, const char *member, const char *quota)
{
    (void)f, (void)member, (void)quota;
    return NULL;
}

const char *redis_fleet_wake_of(const struct redis_fleet *f, const char *member, const char *quota)
{
    (void)f, (void)member, (void)quota;
    return "";
}

void redis_fleet_note(struct redis_fleet *f, const struct err *err)
{
    (void)f, (void)err;
}

/* ---- calls ---- */

static unsigned answers;
static bool failed;

static void answer(bool has_value, const struct err *err)
{
    assert_true(has_value == (err == NULL));
    if (err)
        assert_true(err->code != ERR_OK && err->text[0]);
    answers++;
    failed = failed || err;
}

static void on_done(void *ctx, int64_t number, const struct err *err)
{
    (void)ctx, (void)number;
    answer(err == NULL, err);
}

static void on_opened(void *ctx, const struct queue_opened *o, const struct err *err)
{
    (void)ctx;
    answer(o, err);
}

/* Reads every byte it is given, for the sanitizer. */
static size_t touch(struct slice s)
{
    size_t sum = 0;
    for (size_t i = 0; i < s.n; i++)
        sum += (unsigned char)s.p[i];
    return sum;
}

static volatile size_t sink;

static void on_stats(void *ctx, const struct queue_stats *s, const struct err *err)
{
    (void)ctx;
    answer(s, err);
    for (size_t i = 0; s && i < s->sync_count; i++)
        sink += touch(s->syncs[i].sync) + s->syncs[i].bytes;
    for (size_t i = 0; s && i < s->window_count; i++)
        sink += s->windows[i].count;
    for (size_t i = 0; s && i < s->limit_count; i++)
        sink += s->limit_used[i];
}

static void on_claimed(void *ctx, const struct queue_claimed *c, const struct err *err)
{
    (void)ctx;
    answer(c, err);
    if (c && c->got)
        sink += touch(c->payload) + touch(c->epoch) + touch(c->part) + touch(c->progress);
}

static void on_results(void *ctx, const struct queue_result *r, size_t count, const struct err *err)
{
    (void)ctx;
    answer(err == NULL, err);
    for (size_t i = 0; i < count; i++)
        sink += touch(r[i].stream_id) + touch(r[i].batch) + touch(r[i].sync) + touch(r[i].body);
}

static void on_woken(void *ctx, struct slice quota, const struct err *err)
{
    (void)ctx;
    answer(err == NULL, err);
    sink += touch(quota);
}

static void on_shared(void *ctx, const struct queue_shared *s, const struct err *err)
{
    (void)ctx;
    answer(s, err);
    if (s)
        sink += touch(s->value) + touch(s->holder) + s->version;
}

static void on_all(void *ctx, const struct queue_shared_value *values, size_t count,
                   uint64_t version, const struct err *err)
{
    (void)ctx;
    answer(err == NULL, err);
    for (size_t i = 0; i < count; i++)
        sink += touch(values[i].name) + touch(values[i].value) + version;
}

static const struct queue_claim CLAIM = {.worker = "w", .token = 1};
static const struct queue_settle SETTLE = {.worker = "w", .token = 1};

static enum err_code call_look(struct queue *q, struct err *e)
{
    return queue_look(q, "s", on_opened, NULL, e);
}
static enum err_code call_fence(struct queue *q, struct err *e)
{
    return queue_fence(q, on_done, NULL, e);
}
static enum err_code call_permit(struct queue *q, struct err *e)
{
    return queue_permit(q, "e", 1, 1, NULL, 0, on_stats, NULL, e);
}
static enum err_code call_claim(struct queue *q, struct err *e)
{
    return queue_claim(q, &CLAIM, on_claimed, NULL, e);
}
static enum err_code call_settle(struct queue *q, struct err *e)
{
    return queue_settle(q, &SETTLE, on_done, &CLAIM, on_claimed, NULL, e);
}
static enum err_code call_results(struct queue *q, struct err *e)
{
    return queue_results(q, "", 1, 0, on_results, NULL, e);
}
static enum err_code call_audit(struct queue *q, struct err *e)
{
    return queue_audit(q, on_done, NULL, e);
}
static enum err_code call_lock(struct queue *q, struct err *e)
{
    return queue_shared_lock(q, slice_str("token"), "w", 1, on_shared, NULL, e);
}
static enum err_code call_all(struct queue *q, struct err *e)
{
    return queue_shared_all(q, on_all, NULL, e);
}
static enum err_code call_wait(struct queue *q, struct err *e)
{
    (void)q;
    return queue_wait(NULL, "sluice:wake", 1, on_woken, NULL, e);
}

#define BATCH                                                                                      \
    "*14\r\n:1\r\n:1\r\n$1\r\ne\r\n$1\r\nr\r\n$1\r\np\r\n$0\r\n\r\n$1\r\ns\r\n$1\r\nd\r\n$"        \
    "3\r\npay\r\n:3\r\n:0\r\n:0\r\n:1\r\n$2\r\ngo\r\n"

static const struct {
    const char *name;
    enum err_code (*call)(struct queue *q, struct err *e);
    unsigned answers;
    const char *reply;
} calls[] = {
    {"look", call_look, 1,
     "*12\r\n:1\r\n:5\r\n:0\r\n:1\r\n$0\r\n\r\n:5\r\n$1\r\n7\r\n:0\r\n:0\r\n:0\r\n$1\r\n3\r\n$"
     "1\r\nh\r\n"},
    {"fence", call_fence, 1, "*2\r\n:1\r\n:3\r\n"},
    {"permit", call_permit, 1,
     "*13\r\n:1\r\n:5\r\n:0\r\n:0\r\n:1000\r\n*2\r\n:1\r\n:2\r\n*3\r\n:0\r\n:5\r\n:1\r\n*5\r\n$"
     "1\r\ns\r\n:1\r\n:2\r\n:3\r\n:4\r\n:9\r\n:2\r\n:1\r\n*2\r\n$1\r\nd\r\n:7\r\n:8\r\n"},
    {"claim", call_claim, 1, BATCH},
    {"no claim", call_claim, 1, "*5\r\n:1\r\n:0\r\n:-1\r\n:0\r\n:0\r\n"},
    {"settle", call_settle, 2, "*3\r\n:1\r\n:1\r\n" BATCH},
    {"results", call_results, 1,
     "*1\r\n*2\r\n$1\r\nk\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*6\r\n$1\r\nb\r\n$1\r\nx\r\n$1\r\ns\r\n$"
     "1\r\ny\r\n$1\r\nv\r\n$1\r\nz\r\n"},
    {"audit", call_audit, 1, "*3\r\n:1\r\n:0\r\n$0\r\n\r\n"},
    {"lock", call_lock, 1, "*7\r\n:1\r\n:0\r\n:5\r\n$1\r\nv\r\n:-1\r\n$1\r\nw\r\n:3\r\n"},
    {"all", call_all, 1, "*3\r\n:1\r\n:5\r\n*4\r\n$1\r\nn\r\n$1\r\nv\r\n:5\r\n:0\r\n"},
    {"wait", call_wait, 1, "*2\r\n$1\r\nk\r\n$1\r\nq\r\n"},
};

static redisReply *parse(const char *text)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static void run(struct queue *q, size_t i, const redisReply *reply)
{
    struct err err;
    answers = 0;
    failed = false;
    assert_int_equal(calls[i].call(q, &err), ERR_OK);
    waiting(waiting_ctx, reply, NULL);
    if (answers != calls[i].answers)
        fail_msg("%s: %u answers", calls[i].name, answers);
}

static size_t count_nodes(const redisReply *r)
{
    size_t n = 1;
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
        n += count_nodes(r->element[i]);
    return n;
}

/* The n-th node in the order of a walk; *n is counted down. */
static redisReply *node_at(redisReply *r, size_t *n)
{
    if (*n == 0)
        return r;
    --*n;
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++) {
        redisReply *found = node_at(r->element[i], n);
        if (found)
            return found;
    }
    return NULL;
}

/* Runs the call with node n shown as another type; the reply is whole again afterwards. */
static void run_retyped(struct queue *q, size_t i, redisReply *reply, size_t n)
{
    static const int types[] = {REDIS_REPLY_NIL, REDIS_REPLY_INTEGER, REDIS_REPLY_STATUS,
                                REDIS_REPLY_ERROR};
    redisReply *node = node_at(reply, &n);
    redisReply whole = *node;
    for (size_t k = 0; k < ARRAY_LEN(types); k++) {
        node->type = types[k];
        run(q, i, reply);
        *node = whole;
    }
    if (whole.type == REDIS_REPLY_ARRAY) {
        for (node->elements = 0; node->elements < whole.elements; node->elements++)
            run(q, i, reply);
        *node = whole;
    }
}

static void a_whole_reply_is_understood(void **state)
{
    (void)state;
    struct queue *q = queue_new(NULL, "crm");
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        redisReply *reply = parse(calls[i].reply);
        run(q, i, reply);
        if (failed)
            fail_msg("%s was not understood", calls[i].name);
        freeReplyObject(reply);
    }
    queue_free(q);
}

static void a_damaged_reply_is_an_error_and_never_more(void **state)
{
    (void)state;
    struct queue *q = queue_new(NULL, "crm");
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        redisReply *reply = parse(calls[i].reply);
        size_t nodes = count_nodes(reply);
        for (size_t n = 0; n < nodes; n++)
            run_retyped(q, i, reply, n);
        const size_t whole = reply->elements;
        reply->elements = 0;
        run(q, i, reply);
        assert_true(failed);
        reply->elements = whole;
        freeReplyObject(reply);
    }
    queue_free(q);
}

static void a_lost_connection_reaches_every_callback(void **state)
{
    (void)state;
    struct queue *q = queue_new(NULL, "crm");
    struct err err, lost;
    err_set(&lost, ERR_UNREACHABLE, "gone");
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        answers = 0;
        assert_int_equal(calls[i].call(q, &err), ERR_OK);
        waiting(waiting_ctx, NULL, &lost);
        assert_int_equal(answers, calls[i].answers);
    }
    queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_reply_is_understood),
        cmocka_unit_test(a_damaged_reply_is_an_error_and_never_more),
        cmocka_unit_test(a_lost_connection_reaches_every_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
