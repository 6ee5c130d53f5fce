/* Commands against a real redis-server: order, sizes, deadlines, scripts, what a lost server does.
 */
#include "tests/harness/redis_server.h"
#include "tests/unit/redis/fixture.h"

#include "protocol/base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int start(void **state)
{
    struct redis_server *s = calloc(1, sizeof *s);
    redis_server_start(s, NULL);
    *state = s;
    return 0;
}

static int stop(void **state)
{
    redis_server_stop(*state);
    free(*state);
    return 0;
}

static void a_value_comes_back_as_it_was_set(void **state)
{
    const struct redis_server *s = *state;
    struct fixture f;
    struct answer a;
    fixture_open(&f, s->url, NULL);
    fixture_ask(&f, &a, "SET k v");
    assert_int_equal(a.type, REDIS_REPLY_STATUS);
    fixture_ask(&f, &a, "GET k");
    assert_string_equal(a.text, "v");
    fixture_ask(&f, &a, "GET nothing");
    assert_int_equal(a.type, REDIS_REPLY_NIL);
    fixture_ask(&f, &a, "INCR n");
    assert_int_equal(a.integer, 1);
    fixture_ask(&f, &a, "MGET k n nothing");
    assert_int_equal(a.type, REDIS_REPLY_ARRAY);
    assert_int_equal(a.bytes, 3);
    assert_int_equal(f.connects, 1);
    assert_int_equal(f.losses, 0);
    fixture_close(&f);
}

static void an_error_reply_is_an_error_with_the_words_of_redis(void **state)
{
    const struct redis_server *s = *state;
    struct fixture f;
    struct answer a;
    fixture_open(&f, s->url, NULL);
    fixture_ask(&f, &a, "SET k v");
    fixture_ask(&f, &a, "INCR k");
    assert_int_equal(a.err.code, ERR_REMOTE);
    assert_string_equal(a.err.text, "ERR value is not an integer or out of range");
    fixture_ask(&f, &a, "EVALSHA 0000000000000000000000000000000000000000 0");
    assert_int_equal(a.err.code, ERR_STALE);
    fixture_ask(&f, &a, "NONSENSE secret");
    assert_int_equal(a.err.code, ERR_REMOTE);
    assert_null(strstr(a.err.text, "secret"));
    fixture_ask(&f, &a, "PING");
    assert_string_equal(a.text, "PONG");
    fixture_close(&f);
}

struct sequence {
    unsigned got;
    bool in_order;
};

static void take_next(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct sequence *q = ctx;
    assert_null(err);
    q->got++;
    if (reply->integer != q->got)
        q->in_order = false;
}

static void ten_thousand_commands_in_a_row_are_answered_in_order(void **state)
{
    const struct redis_server *s = *state;
    struct fixture f;
    struct err err;
    struct sequence q = {.in_order = true};
    fixture_open(&f, s->url, NULL);
    const struct slice argv[] = {SLICE_LIT("INCR"), SLICE_LIT("n")};
    for (int i = 0; i < 10000; i++) { /* the first of them before the connection stands */
        assert_int_equal(redis_command(f.redis, argv, 2, 0, take_next, &q, &err), ERR_OK);
        if (i == 5000)
            fixture_ready(&f);
    }
    fixture_until(&f, &q.got, 10000);
    assert_true(q.in_order);
    fixture_close(&f);
}

struct blob {
    unsigned calls;
    const char *want;
    size_t n;
};

static void compare_blob(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct blob *b = ctx;
    assert_null(err);
    assert_int_equal(reply->len, b->n);
    assert_memory_equal(reply->str, b->want, b->n);
    b->calls++;
}

static void big_values_pass_whole_in_both_directions(void **state)
{
    static const size_t sizes[] = {0, 1, 4071, 4072, 16384, 65536, 131072, 700001, 9000000};
    const struct redis_server *s = *state;
    struct fixture f;
    struct err err;
    char *bytes = malloc(9000000);
    for (size_t i = 0; i < 9000000; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    fixture_open(&f, s->url, NULL);
    struct blob blobs[ARRAY_LEN(sizes)];
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) { /* all at once: they share chunks */
        blobs[i] = (struct blob){.want = bytes, .n = sizes[i]};
        const struct slice value = slice_of(bytes, sizes[i]);
        const struct slice set[] = {SLICE_LIT("SET"), SLICE_LIT("big"), value};
        const struct slice get[] = {SLICE_LIT("GET"), SLICE_LIT("big")};
        assert_int_equal(redis_command(f.redis, set, 3, 0, NULL, NULL, &err), ERR_OK);
        assert_int_equal(redis_command(f.redis, get, 2, 0, compare_blob, &blobs[i], &err), ERR_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        fixture_until(&f, &blobs[i].calls, 1);
    fixture_close(&f);
    free(bytes);
}

static void a_script_unknown_to_the_server_is_sent_once_and_answered_once(void **state)
{
    const struct redis_server *s = *state;
    struct fixture f;
    struct answer a[3] = {0}, flushed;
    struct err err;
    struct redis_script script;
    char *pad = calloc(1, 200000);
    memset(pad, 'x', 200000);
    redis_script_init(&script, "sum",
                      SLICE_LIT("return redis.call('INCRBY', KEYS[1], #ARGV[1] + ARGV[2])"));
    const struct slice argv[] = {slice_of(pad, 200000), SLICE_LIT("7")};
    const struct slice key = SLICE_LIT("sum");
    fixture_open(&f, s->url, NULL);
    for (int round = 0; round < 2; round++) {
        memset(a, 0, sizeof a);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(
                redis_eval(f.redis, &script, key, argv, 2, 0, answer_take, &a[i], &err), ERR_OK);
        for (size_t i = 0; i < 3; i++) {
            fixture_until(&f, &a[i].calls, 1);
            assert_int_equal(a[i].integer, (3 * round + (int)i + 1) * 200007);
        }
        fixture_ask(&f, &flushed, "SCRIPT FLUSH");
    }
    fixture_run(&f, 20);
    assert_int_equal(a[0].calls, 1);
    fixture_close(&f);
    free(pad);
}

static void an_error_inside_a_script_reaches_its_caller(void **state)
{
    const struct redis_server *s = *state;
    struct fixture f;
    struct answer a = {0};
    struct err err;
    struct redis_script script;
    redis_script_init(&script, "refuse", SLICE_LIT("return redis.error_reply('STALE epoch')"));
    fixture_open(&f, s->url, NULL);
    assert_int_equal(
        redis_eval(f.redis, &script, SLICE_LIT("k"), NULL, 0, 0, answer_take, &a, &err), ERR_OK);
    fixture_until(&f, &a.calls, 1);
    assert_int_equal(a.err.code, ERR_REMOTE);
    assert_string_equal(a.err.text, "STALE epoch");
    fixture_close(&f);
}

struct chain {
    struct fixture *f;
    unsigned calls;
};

static void send_again(void *ctx, const struct redisReply *reply, const struct err *err)
{
    struct chain *c = ctx;
    struct err ignored;
    const struct slice argv[] = {SLICE_LIT("PING")};
    c->calls++;
    enum err_code rc = redis_command(c->f->redis, argv, 1, 0, send_again, c, &ignored);
    if (err && err->code == ERR_STOPPED)
        assert_int_equal(rc, ERR_STOPPED);
    else
        assert_int_equal(rc, ERR_OK);
    (void)reply;
}

static void a_callback_may_give_the_next_command_even_while_the_connection_ends(void **state)
{
    const struct redis_server *s = *state;
    struct fixture f;
    struct chain c = {.f = &f};
    fixture_open(&f, s->url, NULL);
    send_again(&c, NULL, NULL);
    fixture_until(&f, &c.calls, 500);
    unsigned before = c.calls;
    redis_free(f.redis);
    f.redis = NULL;
    assert_int_equal(c.calls, before + 1);
    fixture_close(&f);
}

static void commands_that_wait_for_a_killed_server_fail_and_later_ones_reach_the_next(void **state)
{
    struct redis_server *s = *state;
    struct fixture f;
    struct answer waiting[3], later;
    fixture_open(&f, s->url, NULL);
    fixture_ready(&f);
    redis_server_signal(s, SIGSTOP);
    for (size_t i = 0; i < 3; i++)
        fixture_send(&f, &waiting[i], 0, "PING");
    fixture_run(&f, 20);
    redis_server_signal(s, SIGKILL);
    for (size_t i = 0; i < 3; i++) {
        fixture_until(&f, &waiting[i].calls, 1);
        assert_int_equal(waiting[i].err.code, ERR_UNREACHABLE);
    }
    assert_false(redis_connected(f.redis));
    assert_int_equal(f.last.code, ERR_UNREACHABLE);

    fixture_send(&f, &later, 0, "PING");
    fixture_run(&f, 120); /* some attempts in vain */
    assert_int_equal(later.calls, 0);
    redis_server_restart(s);
    fixture_until(&f, &later.calls, 1);
    assert_string_equal(later.text, "PONG");
    assert_int_equal(f.connects, 2);
    assert_int_equal(waiting[0].calls, 1);
    fixture_close(&f);
}

static void a_command_for_an_absent_server_fails_at_its_deadline_and_says_why(void **state)
{
    (void)state;
    struct fixture f;
    struct answer a, b;
    fixture_open(&f, "unix:///tmp/no-such-folder/redis.sock", NULL);
    fixture_send(&f, &b, 400, "PING");
    fixture_send(&f, &a, 150, "PING");
    int64_t began = clock_mono_ms();
    fixture_until(&f, &a.calls, 1);
    assert_in_range(clock_mono_ms() - began, 140, 1000);
    assert_int_equal(a.err.code, ERR_UNREACHABLE);
    assert_non_null(strstr(a.err.text, "No such file"));
    assert_int_equal(b.calls, 0);
    fixture_until(&f, &b.calls, 1);
    assert_int_equal(f.losses, 1); /* one reason, told once */
    fixture_close(&f);
}

static void a_late_reply_is_a_timeout_and_the_connection_is_made_again(void **state)
{
    struct redis_server *s = *state;
    struct fixture f;
    struct answer late, behind, after;
    fixture_open(&f, s->url, NULL);
    fixture_ready(&f);
    fixture_ask(&f, &after, "CLIENT PAUSE 400 ALL");
    fixture_send(&f, &late, 100, "INCR n");
    fixture_send(&f, &behind, 5000, "INCR n");
    fixture_until(&f, &late.calls, 1);
    fixture_until(&f, &behind.calls, 1);
    assert_int_equal(late.err.code, ERR_TIMEOUT);
    assert_int_equal(behind.err.code, ERR_UNREACHABLE);
    fixture_ask(&f, &after, "PING");
    assert_string_equal(after.text, "PONG");
    assert_int_equal(f.connects, 2);
    fixture_close(&f);
}

static void commands_past_the_ceiling_are_refused_until_others_are_answered(void **state)
{
    struct redis_server *s = *state;
    struct fixture f;
    struct answer a[20] = {0};
    struct err err;
    char kilobytes[10000] = {0};
    const struct slice argv[] = {SLICE_LIT("SET"), SLICE_LIT("k"), slice_of(kilobytes, 10000)};
    fixture_open(&f, s->url, &(struct redis_options){.pending_bytes = 50000});
    unsigned taken = 0;
    while (redis_command(f.redis, argv, 3, 0, answer_take, &a[taken], &err) == ERR_OK)
        assert_true(++taken < 20);
    assert_int_equal(err.code, ERR_FULL);
    assert_int_equal(taken, 4);
    for (unsigned i = 0; i < taken; i++)
        fixture_until(&f, &a[i].calls, 1);
    assert_int_equal(redis_command(f.redis, argv, 3, 0, answer_take, &a[taken], &err), ERR_OK);
    fixture_until(&f, &a[taken].calls, 1);
    fixture_close(&f);
}

static void closing_answers_everything_that_waits(void **state)
{
    struct redis_server *s = *state;
    struct fixture f;
    struct answer sent = {0}, unsent = {0};
    fixture_open(&f, s->url, NULL);
    fixture_ready(&f);
    fixture_send(&f, &sent, 0, "BLPOP nothing 5");
    fixture_run(&f, 10);
    redis_free(f.redis);
    assert_int_equal(sent.calls, 1);
    assert_int_equal(sent.err.code, ERR_STOPPED);
    event_base_free(f.base);

    fixture_open(&f, s->url, NULL);
    fixture_send(&f, &unsent, 0, "PING");
    redis_free(f.redis);
    assert_int_equal(unsent.calls, 1);
    assert_int_equal(unsent.err.code, ERR_STOPPED);
    event_base_free(f.base);
    redis_free(NULL);
}

static void a_memory_limit_of_the_server_is_told_as_full(void **state)
{
    struct redis_server *s = *state;
    struct fixture f;
    struct answer a;
    fixture_open(&f, s->url, NULL);
    fixture_ask(&f, &a, "CONFIG SET maxmemory 1");
    fixture_ask(&f, &a, "SET k v");
    assert_int_equal(a.err.code, ERR_FULL);
    fixture_close(&f);
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_value_comes_back_as_it_was_set),
        WITH_SERVER(an_error_reply_is_an_error_with_the_words_of_redis),
        WITH_SERVER(ten_thousand_commands_in_a_row_are_answered_in_order),
        WITH_SERVER(big_values_pass_whole_in_both_directions),
        WITH_SERVER(a_script_unknown_to_the_server_is_sent_once_and_answered_once),
        WITH_SERVER(an_error_inside_a_script_reaches_its_caller),
        WITH_SERVER(a_callback_may_give_the_next_command_even_while_the_connection_ends),
        WITH_SERVER(commands_that_wait_for_a_killed_server_fail_and_later_ones_reach_the_next),
        cmocka_unit_test(a_command_for_an_absent_server_fails_at_its_deadline_and_says_why),
        WITH_SERVER(a_late_reply_is_a_timeout_and_the_connection_is_made_again),
        WITH_SERVER(commands_past_the_ceiling_are_refused_until_others_are_answered),
        WITH_SERVER(closing_answers_everything_that_waits),
        WITH_SERVER(a_memory_limit_of_the_server_is_told_as_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
