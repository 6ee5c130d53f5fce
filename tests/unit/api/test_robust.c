/* Clients that are slow, many, large or mad: they are told so or ended, and others are served. */
#include "lab.h"

#include "protocol/base/clock.h"
#include "scheduler/api/api_private.h"
#include "scheduler/api/call.h"
#include "scheduler/api/serve.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000 };

static int open_lab(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    lab_open(lab, TOKENS);
    *state = lab;
    return 0;
}

static int close_lab(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

static void is_still_served(struct lab *lab)
{
    assert_int_equal(ask(lab, "GET", "/api/v1/status", AS_VIEWER, NULL)->status, 200);
}

/* Sends bytes and reads until the end, or until words came. */
static char *answer_to(struct lab *lab, const char *bytes, size_t n, const char *words)
{
    int fd = lab_connect(lab);
    lab_send(lab, fd, bytes, n);
    char *answer = lab_read(lab, fd, words);
    close(fd);
    return answer;
}

static void bodies_have_a_limit(void **state)
{
    struct lab *lab = *state;
    char *body = malloc(SERVE_BODY_READ_MAX + 100);
    memset(body, ' ', SERVE_BODY_READ_MAX + 100);
    memcpy(body, "{}", 2);
    body[CALL_BODY_MAX] = '\0';
    assert_int_equal(ask(lab, "POST", "/api/v1/syncs/lines/pause", AS_OPERATOR, body)->status, 200);
    body[CALL_BODY_MAX] = ' ';
    body[CALL_BODY_MAX + 1] = '\0';
    const struct answer *a = ask(lab, "POST", "/api/v1/syncs/lines/pause", AS_OPERATOR, body);
    assert_int_equal(a->status, 413);
    assert_string_equal(at(a->json, "error/code"), "too_large");
    free(body);
    static const char huge[] = "POST /api/v1/reload HTTP/1.1\r\nHost: x\r\n"
                               "Content-Length: 99999999999\r\n\r\n{}";
    char *answer = answer_to(lab, huge, sizeof huge - 1, "413");
    free(answer);
    is_still_served(lab);
}

static void chunks_do_not_pass_the_limit(void **state)
{
    struct lab *lab = *state;
    int fd = lab_connect(lab);
    char chunk[8192 + 16];
    static const char head[] = "POST /api/v1/reload HTTP/1.1\r\nHost: x\r\n" AS_ADMIN
                               "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    lab_send(lab, fd, head, sizeof head - 1);
    int n = snprintf(chunk, sizeof chunk, "2000\r\n%8192s\r\n", "x");
    for (int i = 0; i < 9; i++)
        lab_send(lab, fd, chunk, (size_t)n);
    lab_send(lab, fd, "0\r\n\r\n", 5);
    char *answer = lab_read(lab, fd, NULL);
    assert_non_null(strstr(answer, "HTTP/1.1 413 "));
    free(answer);
    close(fd);
    is_still_served(lab);
}

static void headers_have_a_limit(void **state)
{
    struct lab *lab = *state;
    char *text = malloc(64 << 10);
    int n =
        snprintf(text, 64 << 10, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: %40000d\r\n\r\n", 1);
    char *answer = answer_to(lab, text, (size_t)n, NULL);
    assert_null(strstr(answer, "HTTP/1.1 200"));
    free(answer);
    n = snprintf(text, 64 << 10, "GET /%9000d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 1);
    for (char *p = text; p < text + 9000; p++)
        *p = *p == ' ' && p > text + 4 ? 'x' : *p;
    answer = answer_to(lab, text, (size_t)n, NULL);
    assert_null(strstr(answer, "HTTP/1.1 200"));
    free(answer);
    n = 0;
    n += snprintf(text, 64 << 10, "GET /healthz HTTP/1.1\r\n");
    for (int i = 0; i < 3000; i++)
        n += snprintf(text + n, (64u << 10) - (size_t)n, "X-%d: 1\r\n", i);
    answer = answer_to(lab, text, (size_t)n, NULL);
    assert_null(strstr(answer, "HTTP/1.1 200"));
    free(answer);
    free(text);
    is_still_served(lab);
}

static void garbage_is_no_request(void **state)
{
    struct lab *lab = *state;
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
#define BYTES(s) {s, sizeof s - 1}
        BYTES("\r\n\r\n\r\n"),
        BYTES("\0\0\0\0\0\0\r\n\r\n"),
        BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), /* TLS */
        BYTES("GET\r\n\r\n"),
        BYTES("GET /\r\n\r\n"),
        BYTES("GET / HTTP/9.9\r\n\r\n"),
        BYTES("GET http:// HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        BYTES("GET nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        BYTES("GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        BYTES("GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        BYTES("FETCH / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        BYTES("CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        BYTES("POST /api/v1/reload HTTP/1.1\r\nContent-Length: -1\r\nConnection: close\r\n\r\n"),
        BYTES("POST /api/v1/reload HTTP/1.1\r\nContent-Length: 1x\r\nConnection: close\r\n\r\n{"),
        BYTES("POST /api/v1/reload HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: "
              "close\r\n\r\nzz\r\n"),
        BYTES("GET / HTTP/1.1\r\nNo colon\r\nConnection: close\r\n\r\n"),
        BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd = lab_connect(lab);
        lab_send(lab, fd, cases[i].bytes, cases[i].n);
        shutdown(fd, SHUT_WR);
        char *answer = lab_read(lab, fd, NULL);
        if (strstr(answer, "HTTP/1.1 2"))
            fail_msg("%s was answered: %s", cases[i].bytes, answer);
        free(answer);
        close(fd);
    }
    is_still_served(lab);
}

static void half_requests_whose_client_leaves_do_no_harm(void **state)
{
    struct lab *lab = *state;
    static const char whole[] = "POST /api/v1/syncs/lines/pause HTTP/1.1\r\nHost: x\r\n" AS_OPERATOR
                                "Content-Length: 2\r\n\r\n{}";
    for (size_t n = 1; n < sizeof whole - 1; n += 7) {
        int fd = lab_connect(lab);
        lab_send(lab, fd, whole, n);
        lab_turn(lab);
        close(fd);
    }
    is_still_served(lab);
    assert_string_equal(at(get(lab, "/api/v1/syncs/lines", AS_VIEWER), "paused"), "false");
}

static void requests_may_follow_each_other_on_one_connection(void **state)
{
    struct lab *lab = *state;
    static const char one[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = lab_connect(lab);
    for (int i = 0; i < 5; i++) {
        lab_send(lab, fd, one, sizeof one - 1);
        free(lab_read(lab, fd, "\r\n\r\nok\n"));
    }
    static const char both[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                               "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
    lab_send(lab, fd, both, sizeof both - 1);
    free(lab_read(lab, fd, "there is no such path"));
    close(fd);
}

static void many_connections_do_not_keep_others_out(void **state)
{
    struct lab *lab = *state;
    int fds[2 * CONNECTIONS_MAX];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = lab_connect(lab);
        lab_turn(lab);
        assert_true(connections_count(lab->api->tcp.connections) <= CONNECTIONS_MAX);
    }
    is_still_served(lab);
    assert_int_equal(ask_local(lab, "GET", "/healthz", NULL)->status, 200);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    int64_t end = clock_mono_ms() + DEADLINE_MS;
    while (connections_count(lab->api->tcp.connections)) {
        assert_true(clock_mono_ms() < end);
        lab_turn(lab);
    }
}

/* A server of its own with a short patience: one byte at a time does not keep a place. */
static void on_request(struct evhttp_request *req, void *ctx)
{
    (void)ctx;
    evhttp_send_error(req, 404, NULL);
}

static void a_client_that_never_finishes_is_ended(void **state)
{
    struct lab *lab = *state;
    struct connections *c;
    struct err err;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof any;
    struct evconnlistener *listener =
        evconnlistener_new_bind(lab->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 16,
                                (const struct sockaddr *)&any, sizeof any);
    assert_int_equal(getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&any, &n), 0);
    struct evhttp *http = evhttp_new(lab->base);
    assert_non_null(evhttp_bind_listener(http, listener));
    evhttp_set_gencb(http, on_request, NULL);
    assert_int_equal(connections_new(lab->base, listener, 4, 300, &c, &err), ERR_OK);
    evhttp_set_bevcb(http, connections_make, c);
    char port[8];
    strcpy(port, lab->port);
    snprintf(lab->port, sizeof lab->port, "%u", ntohs(any.sin_port));
    int fd = lab_connect(lab);
    int64_t end = clock_mono_ms() + DEADLINE_MS;
    lab_send(lab, fd, "GET /", 5);
    char byte;
    while (recv(fd, &byte, 1, MSG_PEEK) != 0) { /* it goes on writing until it is ended */
        assert_true(clock_mono_ms() < end);
        send(fd, "x", 1, MSG_NOSIGNAL);
        lab_turn(lab);
    }
    close(fd);
    strcpy(lab->port, port);
    evhttp_free(http);
    connections_free(c);
}

#define with_lab(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_lab(bodies_have_a_limit),
        with_lab(chunks_do_not_pass_the_limit),
        with_lab(headers_have_a_limit),
        with_lab(garbage_is_no_request),
        with_lab(half_requests_whose_client_leaves_do_no_harm),
        with_lab(requests_may_follow_each_other_on_one_connection),
        with_lab(many_connections_do_not_keep_others_out),
        with_lab(a_client_that_never_finishes_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
