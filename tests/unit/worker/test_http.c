/* Requests against a server that keeps, closes, resets, delays and overdoes it; TLS and HTTP/2 by
 * nghttpd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/unit/worker/http_server.h"
#include "worker/deliver/http.h"

enum { DEADLINE_S = 8, ANSWERS_MAX = 64, KEPT_BYTES = 64 };

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

struct kept {
    struct http_answer answer;
    char error[256];
    char body[KEPT_BYTES + 1];
    char location[256];
    int64_t at_ms;
};

struct bench {
    struct event_base *base;
    struct http *http;
    struct http_server *server;
    struct kept answers[ANSWERS_MAX];
    unsigned count;
    unsigned wanted;
    bool late;
};

static void on_answer(void *ctx, const struct http_answer *a)
{
    struct bench *b = ctx;
    struct kept *k = &b->answers[b->count++];
    k->answer = *a;
    k->at_ms = clock_mono_ms();
    snprintf(k->error, sizeof k->error, "%s", a->error ? a->error : "");
    snprintf(k->location, sizeof k->location, "%s", a->location ? a->location : "");
    snprintf(k->body, sizeof k->body, "%.*s",
             (int)(a->body.n < KEPT_BYTES ? a->body.n : KEPT_BYTES), a->body.n ? a->body.p : "");
    if (b->count == b->wanted)
        event_base_loopbreak(b->base);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct bench *b = ctx;
    b->late = true;
    event_base_loopbreak(b->base);
}

static void bench_open(struct bench *b, http_server_cb cb, void *ctx)
{
    *b = (struct bench){.base = event_base_new()};
    b->http = http_new(b->base, 16);
    b->server = http_server_new(b->base, cb, ctx);
    assert_non_null(b->http);
}

static void bench_close(struct bench *b)
{
    http_free(b->http);
    http_server_free(b->server);
    event_base_free(b->base);
}

static void send_to(struct bench *b, const char *url, struct slice body, uint64_t timeout_ms,
                    const char *ca)
{
    static const char *const headers[] = {"Content-Type: application/json", "X-Empty;"};
    struct http_request r = {url, headers, 2, body, timeout_ms, ca};
    struct err err;
    assert_int_equal(http_send(b->http, &r, on_answer, b, &err), ERR_OK);
    b->wanted++;
}

static void wait_all(struct bench *b)
{
    struct event *deadline = evtimer_new(b->base, on_deadline, b);
    struct timeval tv = {DEADLINE_S, 0};
    event_add(deadline, &tv);
    if (b->count < b->wanted)
        event_base_dispatch(b->base);
    event_free(deadline);
    assert_false(b->late);
}

static const struct kept *ask(struct bench *b, uint64_t timeout_ms)
{
    send_to(b, http_server_url(b->server), SLICE_LIT("{\"a\":1}"), timeout_ms, NULL);
    wait_all(b);
    return &b->answers[b->count - 1];
}

static void text_reply(struct http_server_reply *ret, const char *text)
{
    ret->bytes = text;
    ret->n = strlen(text);
}

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

static void answer_ok(void *ctx, const struct http_server_request *r, struct http_server_reply *ret)
{
    (void)ctx, (void)r;
    text_reply(ret, OK_ANSWER);
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

/* ---- TLS and HTTP/2 ---- */

struct nghttpd {
    pid_t pid;
    char dir[32];
    char ca[64];
    char url[64];
};

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void wait_for_port(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    for (int64_t end_ms = clock_mono_ms() + DEADLINE_S * 1000; clock_mono_ms() < end_ms;
         poll(NULL, 0, 10)) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        int rc = connect(fd, (struct sockaddr *)&a, sizeof a);
        close(fd);
        if (rc == 0)
            return;
    }
    fail_msg("nghttpd did not start");
}

static void nghttpd_start(struct nghttpd *s)
{
    snprintf(s->dir, sizeof s->dir, "/tmp/sluice-h2-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->ca, sizeof s->ca, "%s/c.pem", s->dir);
    char command[512], key[64], port_text[8];
    snprintf(key, sizeof key, "%s/k.pem", s->dir);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
             "/CN=localhost "
             "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout %s -out %s 2>/dev/null",
             key, s->ca);
    assert_int_equal(system(command), 0);
    uint16_t port = free_port();
    snprintf(port_text, sizeof port_text, "%u", port);
    snprintf(s->url, sizeof s->url, "https://localhost:%u/", port);
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/usr/sbin/nghttpd", "nghttpd", "--echo-upload", "-a", "127.0.0.1", "-d", s->dir,
              port_text, key, s->ca, (char *)NULL);
        _exit(127);
    }
    wait_for_port(port);
}

static void nghttpd_stop(struct nghttpd *s)
{
    char command[128];
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    snprintf(command, sizeof command, "rm -r %s", s->dir);
    assert_int_equal(system(command), 0);
}

static void http2_is_used_over_tls_and_only_with_the_right_authority(void **state)
{
    (void)state;
    if (access("/usr/sbin/nghttpd", X_OK))
        skip();
    struct nghttpd s;
    struct bench b;
    nghttpd_start(&s);
    bench_open(&b, answer_ok, NULL);
    /* nghttpd speaks nothing but HTTP/2, so an answer proves it. */
    for (int i = 0; i < 10; i++)
        send_to(&b, s.url, SLICE_LIT("{\"over\":2}"), 5000, s.ca);
    wait_all(&b);
    for (int i = 0; i < 10; i++) {
        if (b.answers[i].answer.status != 200)
            fail_msg("status %u: %s", b.answers[i].answer.status, b.answers[i].error);
        assert_string_equal(b.answers[i].body, "{\"over\":2}");
    }
    send_to(&b, s.url, SLICE_LIT("{}"), 5000, NULL);
    wait_all(&b);
    assert_int_equal(b.answers[10].answer.status, 0);
    assert_false(b.answers[10].answer.reached);
    assert_string_not_equal(b.answers[10].error, "");
    bench_close(&b);
    nghttpd_stop(&s);
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
        cmocka_unit_test(retry_after_is_read_in_both_forms),
        cmocka_unit_test(freeing_in_the_middle_leaks_nothing),
        cmocka_unit_test(http2_is_used_over_tls_and_only_with_the_right_authority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
