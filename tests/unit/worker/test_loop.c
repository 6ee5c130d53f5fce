/* The built worker against real Redis and a server that misbehaves: every record gets exactly one
 * verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <signal.h>

#include "protocol/base/clock.h"
#include "tests/harness/fault_proxy.h"
#include "tests/unit/worker/lab.h"

#define QUICK ", retry: {attempts: 3, base: 10ms, max: 50ms}"
#define ANSWER(status, length, body)                                                               \
    "HTTP/1.1 " status " X\r\nContent-Length: " length "\r\n\r\n" body

static void reply_text(struct http_server_reply *ret, const char *text)
{
    ret->bytes = text;
    ret->n = strlen(text);
}

static bool holds(const struct http_server_request *r, const char *text)
{
    return memmem(r->body.p, r->body.n, text, strlen(text)) != NULL;
}

static void accept_all(void *ctx, const struct http_server_request *r,
                       struct http_server_reply *ret)
{
    (void)ctx, (void)r;
    reply_text(ret, ANSWER("200", "2", "{}"));
}

static void assert_all(const struct lab *l, uint64_t batch, enum verdict verdict)
{
    for (uint32_t i = 0; i < l->sizes[batch]; i++)
        if (lab_record(l, batch, i)->verdict != verdict)
            fail_msg("record %u: verdict %d, not %d", i, lab_record(l, batch, i)->verdict, verdict);
}

static void everything_accepted_is_reported_once(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, "", accept_all, NULL);
    lab_worker(&l, "w");
    for (int i = 1; i <= 30; i++)
        lab_enqueue(&l, 20);
    lab_wait_settled(&l, 600);
    for (uint64_t b = 1; b <= 30; b++)
        assert_all(&l, b, VERDICT_OK);
    assert_int_equal(http_server_requests(l.http), 30);
    assert_int_equal(l.requests, 30);
    assert_int_equal(l.retries, 0);
    assert_int_equal(lab_leases(&l), 0);
    lab_close(&l);
}

static void refuse_13(void *ctx, const struct http_server_request *r, struct http_server_reply *ret)
{
    (void)ctx;
    if (holds(r, "\"key\":{\"id\":1013}") || holds(r, "\"key\":{\"id\":1014}"))
        reply_text(ret, ANSWER("400", "28", "{\"message\":\"invalid record\"}"));
    else
        reply_text(ret, ANSWER("204", "0", ""));
}

static void bad_records_are_found_by_halving_and_only_they_are_refused(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, QUICK, refuse_13, NULL);
    uint64_t batch = lab_enqueue(&l, 64);
    lab_worker(&l, "w");
    lab_wait_settled(&l, 64);
    for (uint32_t i = 0; i < 64; i++) {
        const struct lab_record *r = lab_record(&l, batch, i);
        bool bad = i == 13 || i == 14;
        assert_int_equal(r->verdict, bad ? VERDICT_REJECTED : VERDICT_OK);
        assert_int_equal(r->single, bad);
        if (bad)
            assert_string_equal(r->words, "HTTP 400: invalid record");
    }
    assert_int_equal(l.requests, http_server_requests(l.http));
    assert_in_range(l.requests, 13, 25);
    lab_close(&l);
}

static void fail_then_list(void *ctx, const struct http_server_request *r,
                           struct http_server_reply *ret)
{
    (void)ctx;
    char attempt[32];
    snprintf(attempt, sizeof attempt, "\"attempt\":%u,", r->number);
    assert_true(holds(r, attempt));
    if (r->number == 1)
        reply_text(ret, ANSWER("500", "0", ""));
    else if (r->number == 2) /* 1 is busy, 3 refused, the others are fine */
        reply_text(ret,
                   ANSWER("200", "96",
                          "{\"errors\":[{\"index\":3,\"message\":\"no\"},"
                          "{\"index\":1,\"message\":\"busy\",\"retryable\":true}          ]}   "));
    else
        reply_text(
            ret, ANSWER("200", "52", "{\"errors\":[{\"index\":0,\"retryable\":true}]}           "));
}

static void only_open_records_are_tried_again_until_attempts_are_used_up(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, QUICK, fail_then_list, NULL);
    uint64_t batch = lab_enqueue(&l, 5);
    lab_worker(&l, "w");
    lab_wait_settled(&l, 5);
    static const enum verdict expected[] = {VERDICT_OK, VERDICT_FAILED, VERDICT_OK,
                                            VERDICT_REJECTED, VERDICT_OK};
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(lab_record(&l, batch, i)->verdict, expected[i]);
    /* The first attempt said nothing sure about it, and no later one did. */
    assert_true(lab_record(&l, batch, 1)->doubt);
    assert_string_equal(lab_record(&l, batch, 3)->words, "no");
    assert_int_equal(l.requests, 3);
    assert_int_equal(l.retries, 2);
    lab_close(&l);
}

static void answer_nonsense(void *ctx, const struct http_server_request *r,
                            struct http_server_reply *ret)
{
    (void)ctx, (void)r;
    reply_text(ret, ANSWER("200", "24", "{\"errors\":[{\"index\":7}]}"));
}

static void an_answer_that_names_no_record_counts_for_nothing(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, QUICK, answer_nonsense, NULL);
    uint64_t batch = lab_enqueue(&l, 5);
    lab_worker(&l, "w");
    lab_wait_settled(&l, 5);
    assert_all(&l, batch, VERDICT_FAILED);
    assert_true(lab_record(&l, batch, 0)->doubt);
    assert_int_equal(l.requests, 3);
    assert_int_equal(l.bugs, 3);
    lab_close(&l);
}

static void throttle_first(void *ctx, const struct http_server_request *r,
                           struct http_server_reply *ret)
{
    int64_t *times = ctx;
    times[r->number] = clock_mono_ms();
    if (r->number == 1)
        reply_text(ret, "HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
    else
        reply_text(ret, ANSWER("200", "2", "{}"));
}

static void a_throttled_destination_is_left_alone_and_it_is_no_attempt(void **state)
{
    (void)state;
    struct lab l;
    int64_t times[8] = {0};
    lab_open(&l, ", concurrency: 1, retry: {attempts: 1}", throttle_first, times);
    lab_enqueue(&l, 3);
    lab_enqueue(&l, 3);
    lab_worker(&l, "w");
    lab_wait_settled(&l, 6);
    assert_all(&l, 1, VERDICT_OK);
    assert_all(&l, 2, VERDICT_OK);
    assert_in_range(times[2] - times[1], 1000, 2500);
    assert_int_equal(http_server_requests(l.http), 3);
    lab_close(&l);
}

static void deny(void *ctx, const struct http_server_request *r, struct http_server_reply *ret)
{
    (void)ctx, (void)r;
    reply_text(ret, ANSWER("401", "25", "{\"error\":\"invalid token\"}"));
}

static void wrong_credentials_stop_the_run_in_the_remotes_words(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, ", concurrency: 1", deny, NULL);
    uint64_t batch = lab_enqueue(&l, 4);
    lab_enqueue(&l, 4);
    lab_enqueue(&l, 4);
    lab_worker(&l, "w");
    lab_wait_settled(&l, 4);
    assert_all(&l, batch, VERDICT_CANCELLED);
    assert_false(lab_record(&l, batch, 0)->doubt);
    assert_string_equal(lab_record(&l, batch, 0)->words, "HTTP 401: invalid token");
    assert_int_equal(l.stops, 1);
    assert_int_equal(http_server_requests(l.http), 1);
    lab_close(&l);
}

static void accept_slowly(void *ctx, const struct http_server_request *r,
                          struct http_server_reply *ret)
{
    accept_all(ctx, r, ret);
    ret->delay_ms = 400;
}

static void a_worker_told_to_stop_finishes_what_is_in_flight(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, ", concurrency: 1", accept_slowly, NULL);
    lab_enqueue(&l, 2);
    lab_enqueue(&l, 2);
    int worker = lab_worker(&l, "w");
    lab_wait_requests(&l, 1);
    lab_signal(&l, worker, SIGTERM);
    assert_int_equal(lab_join(&l, worker), 0);
    lab_wait_settled(&l, 2);
    assert_all(&l, 1, VERDICT_OK);
    assert_int_equal(http_server_requests(l.http), 1);
    assert_int_equal(lab_leases(&l), 0);
    /* Another one goes on where it stopped. */
    worker = lab_worker(&l, "v");
    lab_wait_settled(&l, 4);
    lab_signal(&l, worker, SIGINT);
    assert_int_equal(lab_join(&l, worker), 0);
    lab_close(&l);
}

static void stay_silent(void *ctx, const struct http_server_request *r,
                        struct http_server_reply *ret)
{
    (void)ctx, (void)r, (void)ret;
}

static void a_second_signal_ends_a_worker_that_waits_for_an_answer(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, "", stay_silent, NULL);
    lab_enqueue(&l, 2);
    int worker = lab_worker(&l, "w");
    lab_wait_requests(&l, 1);
    lab_signal(&l, worker, SIGTERM);
    lab_signal(&l, worker, SIGINT);
    assert_int_equal(lab_join(&l, worker), 0);
    assert_int_equal(lab_leases(&l), 1);
    lab_close(&l);
}

static void want_new_header(void *ctx, const struct http_server_request *r,
                            struct http_server_reply *ret)
{
    char value[8] = "";
    if (r->number > 1)
        assert_true(http_server_header(r->head, "X-New", value, sizeof value));
    accept_all(ctx, r, ret);
}

static void another_configuration_is_waited_for_and_read(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, "", want_new_header, NULL);
    lab_worker(&l, "w");
    lab_enqueue(&l, 2);
    lab_wait_settled(&l, 2);
    /* The worker finds out by itself that its own configuration is not the batch's. */
    lab_reconfigure(&l, ", headers: {X-New: yes}");
    lab_enqueue(&l, 2);
    lab_wait_settled(&l, 4);
    assert_all(&l, 2, VERDICT_OK);
    lab_close(&l);
}

struct keys {
    char key[2][128];
};

static void keep_key(void *ctx, const struct http_server_request *r, struct http_server_reply *ret)
{
    struct keys *k = ctx;
    if (r->number <= 2)
        assert_true(http_server_header(r->head, "Idempotency-Key", k->key[r->number - 1],
                                       sizeof k->key[0]));
    if (r->number == 1)
        return; /* silence: its worker will be gone */
    accept_all(NULL, r, ret);
}

static void the_batch_of_a_killed_worker_is_delivered_by_another_under_the_same_key(void **state)
{
    (void)state;
    struct lab l;
    struct keys keys = {0};
    lab_open(&l, "", keep_key, &keys);
    uint64_t batch = lab_enqueue(&l, 3);
    int first = lab_worker(&l, "dead");
    lab_wait_requests(&l, 1);
    lab_signal(&l, first, SIGKILL);
    assert_int_equal(lab_join(&l, first), 128 + SIGKILL);
    assert_int_equal(lab_leases(&l), 1);
    lab_worker(&l, "alive");
    lab_reap(&l, "dead");
    lab_wait_settled(&l, 3);
    assert_all(&l, batch, VERDICT_OK);
    assert_string_equal(keys.key[0], keys.key[1]);
    assert_int_equal(l.retries, 1);
    lab_close(&l);
}

static void drop_first(void *ctx, const struct http_server_request *r,
                       struct http_server_reply *ret)
{
    if (r->number <= 2)
        ret->after = SERVER_RESET;
    else
        accept_all(ctx, r, ret);
}

static void a_lost_answer_is_asked_for_again(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, QUICK, drop_first, NULL);
    uint64_t batch = lab_enqueue(&l, 3);
    lab_worker(&l, "w");
    lab_wait_settled(&l, 3);
    assert_all(&l, batch, VERDICT_OK);
    assert_int_equal(http_server_requests(l.http), 3);
    assert_int_equal(l.requests, 3);
    lab_close(&l);
}

static void redis_that_cannot_be_reached_ends_the_start(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, "", accept_all, NULL);
    redis_server_signal(&l.server, SIGSTOP);
    int worker = lab_worker(&l, "w");
    assert_int_equal(lab_join(&l, worker), 69);
    redis_server_signal(&l.server, SIGCONT);
    lab_close(&l);
}

/* ---- a connection to Redis that breaks all the time ---- */

static void break_redis(void *ctx, const struct http_server_request *r,
                        struct http_server_reply *ret)
{
    accept_all(NULL, r, ret);
    ret->delay_ms = r->number % 5;
    if (r->number % 4)
        return;
    fault_proxy_say(ctx, "rst");
    fault_proxy_say(ctx, "ok");
}

static void replies_lost_on_the_way_neither_lose_nor_repeat_a_request(void **state)
{
    (void)state;
    struct lab l;
    struct fault_proxy proxy;
    lab_open(&l, "", break_redis, &proxy);
    fault_proxy_start(&proxy, "0", l.server.socket);
    snprintf(l.workers_redis, sizeof l.workers_redis, "redis://127.0.0.1:%u", proxy.port);
    for (int i = 1; i <= 40; i++)
        lab_enqueue(&l, 3);
    lab_worker(&l, "w");
    lab_worker(&l, "v");
    lab_wait_settled(&l, 120);
    assert_int_equal(http_server_requests(l.http), 40);
    assert_int_equal(l.requests, 40);
    assert_int_equal(lab_leases(&l), 0);
    fault_proxy_stop(&proxy);
    lab_close(&l);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_accepted_is_reported_once),
        cmocka_unit_test(bad_records_are_found_by_halving_and_only_they_are_refused),
        cmocka_unit_test(only_open_records_are_tried_again_until_attempts_are_used_up),
        cmocka_unit_test(an_answer_that_names_no_record_counts_for_nothing),
        cmocka_unit_test(a_throttled_destination_is_left_alone_and_it_is_no_attempt),
        cmocka_unit_test(wrong_credentials_stop_the_run_in_the_remotes_words),
        cmocka_unit_test(a_worker_told_to_stop_finishes_what_is_in_flight),
        cmocka_unit_test(a_second_signal_ends_a_worker_that_waits_for_an_answer),
        cmocka_unit_test(another_configuration_is_waited_for_and_read),
        cmocka_unit_test(the_batch_of_a_killed_worker_is_delivered_by_another_under_the_same_key),
        cmocka_unit_test(a_lost_answer_is_asked_for_again),
        cmocka_unit_test(replies_lost_on_the_way_neither_lose_nor_repeat_a_request),
        cmocka_unit_test(redis_that_cannot_be_reached_ends_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
