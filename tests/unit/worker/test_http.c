/* Requests against a server that keeps, closes, resets, delays and overdoes it. */
#include "tests/unit/worker/http_bench.h"
#include "worker/deliver/rendered.h"

/* ---- the ordinary case ---- */

static void check_request(void *ctx, const struct http_server_request *r,
                          struct http_server_reply *ret)
{
    (void)ctx;
    char value[64];
    assert_true(slice_eq_str(r->body, "{\"a\":1}"));
    assert_memory_equal(r->head, "POST /in HTTP/1.1\r\n", 19);
    assert_true(http_server_header(r->head, "Content-Type", value, sizeof value));
    assert_string_equal(value, "application/json");
    assert_false(http_server_header(r->head, "Expect", value, sizeof value));
    assert_true(http_server_header(r->head, "Accept-Encoding", value, sizeof value));
    assert_non_null(strstr(value, "gzip"));
    assert_true(http_server_header(r->head, "User-Agent", value, sizeof value));
    assert_memory_equal(value, "sluice/", 7);
    assert_non_null(strstr(r->head, "X-Empty:"));
    ret->delay_ms = 120;
    text_reply(ret, OK_ANSWER);
}

static void connections_are_kept_and_the_window_counts_from_the_last_byte_written(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, check_request, NULL);
    for (int i = 0; i < 3; i++) {
        const struct kept *k = ask(&b, 5000);
        assert_int_equal(k->answer.status, 200);
        assert_string_equal(k->error, "");
        assert_string_equal(k->body, "{}");
        assert_true(k->answer.reached);
        assert_int_equal(k->answer.retry_after_ms, -1);
        assert_int_equal(k->answer.body_bytes_sent, 7);
        int64_t charged_before_ms = k->at_ms - k->answer.charge_at_ms;
        if (i == 0) /* opened for it: counts from the answer */
            assert_in_range(charged_before_ms, 0, 40);
        else
            assert_in_range(charged_before_ms, 100, 200);
        assert_in_range(k->answer.duration_ms, 110, 1000);
    }
    assert_int_equal(http_server_connections(b.server), 1);
    assert_int_equal(http_server_requests(b.server), 3);
    bench_close(&b);
}

static void echo_length(void *ctx, const struct http_server_request *r,
                        struct http_server_reply *ret)
{
    char *text = ctx;
    int n = snprintf(text + 64, 32, "%zu", r->body.n);
    ret->n = (size_t)snprintf(text, 64, "HTTP/1.1 201 X\r\nContent-Length: %d\r\n\r\n", n);
    memcpy(text + ret->n, text + 64, (size_t)n);
    ret->n += (size_t)n;
    ret->bytes = text;
}

static void large_bodies_arrive_whole(void **state)
{
    (void)state;
    char text[128];
    struct bench b;
    bench_open(&b, echo_length, text);
    enum { BIG = 5000000 };
    char *body = malloc(BIG);
    memset(body, 'x', BIG);
    static const size_t sizes[] = {0, 1, 65535, 65536, 200000, BIG, 3};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        send_to(&b, http_server_url(b.server), slice_of(body, sizes[i]), 5000, NULL);
        wait_all(&b);
        char expected[32];
        snprintf(expected, sizeof expected, "%zu", sizes[i]);
        assert_string_equal(b.answers[i].body, expected);
        assert_int_equal(b.answers[i].answer.status, 201);
        assert_int_equal(b.answers[i].answer.body_bytes_sent, sizes[i]);
    }
    assert_int_equal(http_server_connections(b.server), 1);
    free(body);
    bench_close(&b);
}

static void many_requests_run_at_the_same_time(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, answer_ok, NULL);
    for (int i = 0; i < ANSWERS_MAX; i++)
        send_to(&b, http_server_url(b.server), SLICE_LIT("{}"), 5000, NULL);
    wait_all(&b);
    for (int i = 0; i < ANSWERS_MAX; i++)
        assert_int_equal(b.answers[i].answer.status, 200);
    assert_int_equal(http_server_requests(b.server), ANSWERS_MAX);
    bench_close(&b);
}

/* ---- sent once ---- */

static void close_at_second(void *ctx, const struct http_server_request *r,
                            struct http_server_reply *ret)
{
    const enum http_server_after *how = ctx;
    if (r->number_here == 1)
        text_reply(ret, OK_ANSWER);
    else
        ret->after = *how;
}

static void a_request_on_a_connection_that_dies_is_not_sent_again_unseen(void **state)
{
    (void)state;
    static const enum http_server_after hows[] = {SERVER_CLOSE, SERVER_RESET};
    for (size_t i = 0; i < ARRAY_LEN(hows); i++) {
        struct bench b;
        bench_open(&b, close_at_second, (void *)(uintptr_t)&hows[i]);
        assert_int_equal(ask(&b, 5000)->answer.status, 200);
        const struct kept *k = ask(&b, 5000);
        assert_int_equal(k->answer.status, 0);
        assert_string_not_equal(k->error, "");
        assert_true(k->answer.reached);
        assert_int_equal(http_server_requests(b.server), 2);
        /* The next request finds another connection. */
        assert_int_equal(ask(&b, 5000)->answer.status, 200);
        assert_int_equal(http_server_requests(b.server), 3);
        bench_close(&b);
    }
}

static void answer_and_close(void *ctx, const struct http_server_request *r,
                             struct http_server_reply *ret)
{
    (void)ctx, (void)r;
    text_reply(ret, OK_ANSWER);
    ret->after = SERVER_CLOSE;
}

static void a_connection_that_was_closed_while_idle_costs_nothing(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, answer_and_close, NULL);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(ask(&b, 5000)->answer.status, 200);
        assert_int_equal(http_server_requests(b.server), i);
    }
    assert_int_equal(http_server_connections(b.server), 3);
    bench_close(&b);
}

/* ---- things that go wrong ---- */

static void nobody_listening_is_surely_not_reached(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, answer_ok, NULL);
    static const char *const urls[] = {"http://127.0.0.1:1/in", "http://no-such-host.invalid/in",
                                       "ftp://127.0.0.1/", "http://"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        send_to(&b, urls[i], SLICE_LIT("{}"), 5000, NULL);
        wait_all(&b);
        assert_int_equal(b.answers[i].answer.status, 0);
        assert_false(b.answers[i].answer.reached);
        assert_string_not_equal(b.answers[i].error, "");
        assert_in_range(b.answers[i].at_ms - b.answers[i].answer.charge_at_ms, 0, 50);
    }
    bench_close(&b);
}

static void stay_silent(void *ctx, const struct http_server_request *r,
                        struct http_server_reply *ret)
{
    (void)ctx, (void)r, (void)ret;
}

static void a_server_that_never_answers_meets_the_timeout(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, stay_silent, NULL);
    const struct kept *k = ask(&b, 150);
    assert_int_equal(k->answer.status, 0);
    assert_true(k->answer.reached);
    assert_in_range(k->answer.duration_ms, 140, 1500);
    assert_string_not_equal(k->error, "");
    bench_close(&b);
}

static void answer_half(void *ctx, const struct http_server_request *r,
                        struct http_server_reply *ret)
{
    (void)ctx, (void)r;
    text_reply(ret, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"errors\":[");
    ret->after = SERVER_CLOSE;
}

static void an_answer_that_breaks_off_is_not_taken_for_whole(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, answer_half, NULL);
    const struct kept *k = ask(&b, 5000);
    assert_int_equal(k->answer.status, 200);
    assert_string_not_equal(k->error, "");
    assert_true(k->answer.reached);
    bench_close(&b);
}

static void answer_much(void *ctx, const struct http_server_request *r,
                        struct http_server_reply *ret)
{
    (void)r;
    ret->bytes = ctx;
    ret->n = strlen(ctx);
}

static void an_endless_answer_is_cut(void **state)
{
    (void)state;
    enum { BIG = 3 << 20 };
    char *text = malloc(BIG + 128);
    int n = sprintf(text, "HTTP/1.1 400 X\r\nContent-Length: %d\r\n\r\n", BIG);
    memset(text + n, 'y', BIG);
    text[n + BIG] = '\0';
    struct bench b;
    bench_open(&b, answer_much, text);
    for (int i = 0; i < 2; i++) {
        const struct kept *k = ask(&b, 5000);
        assert_int_equal(k->answer.status, 400);
        assert_string_equal(k->error, "");
        assert_int_equal(k->answer.body.n, HTTP_BODY_MAX);
        assert_true(k->answer.body_cut);
    }
    bench_close(&b);
    free(text);
}

static void answer_elsewhere(void *ctx, const struct http_server_request *r,
                             struct http_server_reply *ret)
{
    (void)ctx, (void)r;
    text_reply(ret, "HTTP/1.1 307 X\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
}

static void redirects_are_reported_not_followed(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, answer_elsewhere, NULL);
    const struct kept *k = ask(&b, 5000);
    assert_int_equal(k->answer.status, 307);
    assert_string_equal(k->location, "/other");
    assert_int_equal(http_server_requests(b.server), 1);
    bench_close(&b);
}

static void answer_with_headers(void *ctx, const struct http_server_request *r,
                                struct http_server_reply *ret)
{
    (void)ctx;
    static char many[8192];
    if (r->number == 1) {
        text_reply(ret, "HTTP/1.1 100 Continue\r\nX-Early: no\r\n\r\n"
                        "HTTP/1.1 200 X\r\nX-Left: 3\r\nx-left:  4 \r\nX-None:\r\n"
                        "Content-Length: 0\r\n\r\n");
        return;
    }
    size_t n = (size_t)sprintf(many, "HTTP/1.1 200 X\r\nContent-Length: 0\r\n");
    for (int i = 0; i < HTTP_HEADERS_MAX + 20; i++)
        n += (size_t)sprintf(many + n, "X-%d: %d\r\n", i, i);
    strcpy(many + n, "\r\n");
    text_reply(ret, many);
}

static void the_final_answers_headers_are_kept_up_to_a_limit(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, answer_with_headers, NULL);
    assert_string_equal(ask(&b, 5000)->headers, "X-Left=3;x-left=4;X-None=;Content-Length=0;");
    assert_int_equal(ask(&b, 5000)->answer.header_count, HTTP_HEADERS_MAX);
    bench_close(&b);
}

static void answer_later(void *ctx, const struct http_server_request *r,
                         struct http_server_reply *ret)
{
    (void)ctx;
    static const char *const answers[] = {
        "HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        ("HTTP/1.1 503 X\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
         "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\nContent-Length: 0\r\n\r\n"),
        "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 X\r\nretry-after: soon\r\nContent-Length: 0\r\n\r\n",
    };
    text_reply(ret, answers[r->number - 1]);
}

static void retry_after_is_read_in_both_forms(void **state)
{
    (void)state;
    static const int64_t expected[] = {7000, 60000, -1, -1};
    struct bench b;
    bench_open(&b, answer_later, NULL);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_int_equal(ask(&b, 5000)->answer.retry_after_ms, expected[i]);
    bench_close(&b);
}

static void retry_after_is_seconds_or_a_date(void **state)
{
    (void)state;
    static const int64_t now_ms = 784111777000; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *text;
        int64_t ms;
    } table[] = {
        {"0", 0},
        {"1", 1000},
        {"120", 120000},
        {" 5 ", 5000},
        {"99999999999999999999", 86400000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:47 GMT", 10000},
        {"Sun, 06 Nov 1994 08:49:27 GMT", 0},
        {"Sunday, 06-Nov-94 08:50:37 GMT", 60000},
        {"Sun Nov  6 08:50:37 1994", 60000},
        {"Sun, 06 Nov 2044 08:49:37 GMT", 86400000},
        {"soon", -1},
        {"", -1},
        {"1.5", -1},
        {"-1", -1},
        {"5s", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        int64_t ms = http_retry_after_ms(table[i].text, now_ms);
        if (ms != table[i].ms)
            fail_msg("\"%s\" gives %lld ms, not %lld", table[i].text, (long long)ms,
                     (long long)table[i].ms);
    }
}

static void freeing_in_the_middle_leaks_nothing(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, stay_silent, NULL);
    for (int i = 0; i < 5; i++)
        send_to(&b, http_server_url(b.server), SLICE_LIT("{}"), 5000, NULL);
    event_base_loop(b.base, EVLOOP_ONCE);
    event_base_loop(b.base, EVLOOP_NONBLOCK);
    assert_int_equal(b.count, 0);
    bench_close(&b);
}

/* ---- methods and signatures ---- */

struct seen_request {
    char line[64];
    char length[16]; /* of the body by the header; "-": there was none */
    char authorization[512];
    char body[16];
};

static void keep_request(void *ctx, const struct http_server_request *r,
                         struct http_server_reply *ret)
{
    struct seen_request *seen = ctx;
    snprintf(seen->line, sizeof seen->line, "%.*s", (int)strcspn(r->head, "\r"), r->head);
    if (!http_server_header(r->head, "Content-Length", seen->length, sizeof seen->length))
        strcpy(seen->length, "-");
    if (!http_server_header(r->head, "Authorization", seen->authorization,
                            sizeof seen->authorization))
        strcpy(seen->authorization, "-");
    snprintf(seen->body, sizeof seen->body, "%.*s", (int)r->body.n, r->body.p);
    text_reply(ret, OK_ANSWER);
}

static void ask_with(struct bench *b, struct http_request r)
{
    struct err err;
    r.url = http_server_url(b->server);
    r.timeout_ms = 5000;
    assert_int_equal(http_send(b->http, &r, on_answer, b, &err), ERR_OK);
    b->wanted++;
    wait_all(b);
    assert_int_equal(b->answers[b->count - 1].answer.status, 200);
}

static void every_method_goes_with_and_without_a_body(void **state)
{
    (void)state;
    static const struct {
        const char *method, *body, *line, *length;
    } cases[] = {
        {NULL, "a", "POST /in HTTP/1.1", "1"},      {"GET", "", "GET /in HTTP/1.1", "-"},
        {"PUT", "abc", "PUT /in HTTP/1.1", "3"},    {"DELETE", "", "DELETE /in HTTP/1.1", "-"},
        {"PATCH", "{}", "PATCH /in HTTP/1.1", "2"}, {"DELETE", "x", "DELETE /in HTTP/1.1", "1"},
        {"PUT", "", "PUT /in HTTP/1.1", "0"},       {"GET", "", "GET /in HTTP/1.1", "-"},
        {"POST", "", "POST /in HTTP/1.1", "0"},
    };
    struct seen_request seen;
    struct bench b;
    bench_open(&b, keep_request, &seen);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ask_with(
            &b, (struct http_request){.method = cases[i].method, .body = slice_str(cases[i].body)});
        assert_string_equal(seen.line, cases[i].line);
        assert_string_equal(seen.length, cases[i].length);
        assert_string_equal(seen.body, cases[i].body);
    }
    assert_int_equal(http_server_connections(b.server), 1);
    bench_close(&b);
}

static void a_signature_is_of_its_own_request_only(void **state)
{
    (void)state;
    static const struct rendered_sigv4 keys = {"s3", "eu-central-1", "AKID", "secret"};
    struct seen_request seen;
    struct bench b;
    bench_open(&b, keep_request, &seen);
    ask_with(&b, (struct http_request){.method = "PUT", .body = SLICE_LIT("x"), .sigv4 = &keys});
    assert_memory_equal(seen.authorization, "AWS4-HMAC-SHA256 Credential=AKID/", 33);
    assert_non_null(strstr(seen.authorization, "/eu-central-1/s3/aws4_request"));
    assert_null(strstr(seen.authorization, "secret"));
    ask_with(&b, (struct http_request){.method = "PUT", .body = SLICE_LIT("x")});
    assert_string_equal(seen.authorization, "-");
    bench_close(&b);
}

static void a_get_on_a_dead_connection_is_not_repeated_silently(void **state)
{
    (void)state;
    struct bench b;
    static const enum http_server_after how = SERVER_CLOSE;
    bench_open(&b, close_at_second, (void *)(uintptr_t)&how);
    ask(&b, 5000);
    struct http_request r = {.method = "GET", .url = http_server_url(b.server), .timeout_ms = 5000};
    struct err err;
    assert_int_equal(http_send(b.http, &r, on_answer, &b, &err), ERR_OK);
    b.wanted++;
    wait_all(&b);
    assert_int_equal(b.answers[1].answer.status, 0);
    assert_true(b.answers[1].answer.reached);
    assert_int_equal(http_server_requests(b.server), 2);
    bench_close(&b);
}

static void fill_answer(void *ctx, const struct http_server_request *r,
                        struct http_server_reply *ret)
{
    (void)r;
    struct slice *bytes = ctx;
    ret->bytes = bytes->p;
    ret->n = bytes->n;
}

static void a_larger_answer_is_kept_where_the_request_asks_for_it(void **state)
{
    (void)state;
    enum { BODY = 3 << 20, HEAD = 64 };
    char *bytes = malloc(BODY + HEAD);
    size_t head = (size_t)sprintf(bytes, "HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n", (int)BODY);
    memset(bytes + head, 'x', BODY);
    struct slice answer = {bytes, head + BODY};
    struct bench b;
    bench_open(&b, fill_answer, &answer);
    ask_with(&b, (struct http_request){.answer_max = 4 << 20});
    assert_int_equal(b.answers[0].answer.body.n, BODY);
    assert_false(b.answers[0].answer.body_cut);
    ask_with(&b, (struct http_request){0});
    assert_int_equal(b.answers[1].answer.body.n, HTTP_BODY_MAX);
    assert_true(b.answers[1].answer.body_cut);
    bench_close(&b);
    free(bytes);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_kept_and_the_window_counts_from_the_last_byte_written),
        cmocka_unit_test(large_bodies_arrive_whole),
        cmocka_unit_test(many_requests_run_at_the_same_time),
        cmocka_unit_test(a_request_on_a_connection_that_dies_is_not_sent_again_unseen),
        cmocka_unit_test(a_connection_that_was_closed_while_idle_costs_nothing),
        cmocka_unit_test(nobody_listening_is_surely_not_reached),
        cmocka_unit_test(a_server_that_never_answers_meets_the_timeout),
        cmocka_unit_test(an_answer_that_breaks_off_is_not_taken_for_whole),
        cmocka_unit_test(an_endless_answer_is_cut),
        cmocka_unit_test(redirects_are_reported_not_followed),
        cmocka_unit_test(the_final_answers_headers_are_kept_up_to_a_limit),
        cmocka_unit_test(every_method_goes_with_and_without_a_body),
        cmocka_unit_test(a_signature_is_of_its_own_request_only),
        cmocka_unit_test(a_get_on_a_dead_connection_is_not_repeated_silently),
        cmocka_unit_test(a_larger_answer_is_kept_where_the_request_asks_for_it),
        cmocka_unit_test(retry_after_is_read_in_both_forms),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(freeing_in_the_middle_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
