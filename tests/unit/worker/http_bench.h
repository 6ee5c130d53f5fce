/* One HTTP engine on an event loop, and the answers it was given. */
#ifndef SLUICE_TESTS_HTTP_BENCH_H
#define SLUICE_TESTS_HTTP_BENCH_H

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
    char headers[256]; /* "name=value;" of each */
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

static inline void on_answer(void *ctx, const struct http_answer *a)
{
    struct bench *b = ctx;
    struct kept *k = &b->answers[b->count++];
    k->answer = *a;
    k->at_ms = clock_mono_ms();
    snprintf(k->error, sizeof k->error, "%s", a->error ? a->error : "");
    snprintf(k->location, sizeof k->location, "%s", a->location ? a->location : "");
    size_t n = 0;
    for (size_t i = 0; i < a->header_count && n < sizeof k->headers; i++)
        n += (size_t)snprintf(k->headers + n, sizeof k->headers - n, "%s=%s;", a->headers[i].name,
                              a->headers[i].value);
    snprintf(k->body, sizeof k->body, "%.*s",
             (int)(a->body.n < KEPT_BYTES ? a->body.n : KEPT_BYTES), a->body.n ? a->body.p : "");
    if (b->count == b->wanted)
        event_base_loopbreak(b->base);
}

static inline void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct bench *b = ctx;
    b->late = true;
    event_base_loopbreak(b->base);
}

static inline void bench_open(struct bench *b, http_server_cb cb, void *ctx)
{
    *b = (struct bench){.base = event_base_new()};
    b->http = http_new(b->base, 16);
    b->server = http_server_new(b->base, cb, ctx);
    assert_non_null(b->http);
}

static inline void bench_close(struct bench *b)
{
    http_free(b->http);
    http_server_free(b->server);
    event_base_free(b->base);
}

static inline void send_to(struct bench *b, const char *url, struct slice body, uint64_t timeout_ms,
                           const char *ca)
{
    static const char *const headers[] = {"Content-Type: application/json", "X-Empty;"};
    struct http_request r = {.url = url,
                             .headers = headers,
                             .header_count = 2,
                             .body = body,
                             .timeout_ms = timeout_ms,
                             .ca_file = ca};
    struct err err;
    assert_int_equal(http_send(b->http, &r, on_answer, b, &err), ERR_OK);
    b->wanted++;
}

static inline void wait_all(struct bench *b)
{
    struct event *deadline = evtimer_new(b->base, on_deadline, b);
    struct timeval tv = {DEADLINE_S, 0};
    event_add(deadline, &tv);
    if (b->count < b->wanted)
        event_base_dispatch(b->base);
    event_free(deadline);
    assert_false(b->late);
}

static inline const struct kept *ask(struct bench *b, uint64_t timeout_ms)
{
    send_to(b, http_server_url(b->server), SLICE_LIT("{\"a\":1}"), timeout_ms, NULL);
    wait_all(b);
    return &b->answers[b->count - 1];
}

static inline void text_reply(struct http_server_reply *ret, const char *text)
{
    ret->bytes = text;
    ret->n = strlen(text);
}
static inline void answer_ok(void *ctx, const struct http_server_request *r,
                             struct http_server_reply *ret)
{
    (void)ctx, (void)r;
    text_reply(ret, OK_ANSWER);
}

#endif
