#include "tests/unit/worker/http_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "protocol/base/err.h"

struct connection {
    struct http_server *server;
    struct connection *next;
    struct bufferevent *bev;
    struct event *later; /* the delayed reply */
    struct http_server_reply reply;
    unsigned requests;
    bool closing; /* once everything is written */
};

struct http_server {
    struct event_base *base;
    struct evconnlistener *listener;
    struct connection *all;
    http_server_cb cb;
    void *ctx;
    unsigned connections;
    unsigned requests;
    char url[64];
};

static void connection_free(struct connection *c)
{
    struct connection **at = &c->server->all;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    event_free(c->later);
    bufferevent_free(c->bev);
    free(c);
}

static void reset(struct connection *c)
{
    struct linger hard = {1, 0};
    setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    connection_free(c);
}

static void reply_now(struct connection *c)
{
    if (c->reply.bytes)
        bufferevent_write(c->bev, c->reply.bytes, c->reply.n);
    if (c->reply.after == SERVER_KEEP)
        return;
    if (c->reply.after == SERVER_RESET || !evbuffer_get_length(bufferevent_get_output(c->bev)))
        reset(c);
    else
        c->closing = true;
}

static void on_later(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    reply_now(ctx);
}

/* Answers when a whole request is there; c may be gone then. */
static void take_request(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t n = evbuffer_get_length(in);
    char *bytes = (char *)evbuffer_pullup(in, -1);
    char *end = n ? memmem(bytes, n, "\r\n\r\n", 4) : NULL;
    if (!end)
        return;
    size_t head_bytes = (size_t)(end - bytes) + 4;
    char *head = strndup(bytes, head_bytes), length[32];
    ensure(head != NULL);
    size_t body = http_server_header(head, "Content-Length", length, sizeof length)
                      ? strtoul(length, NULL, 10)
                      : 0;
    bool whole = n >= head_bytes + body;
    if (whole) {
        struct http_server *s = c->server;
        struct http_server_request r = {++s->requests, ++c->requests, head,
                                        slice_of(bytes + head_bytes, body)};
        c->reply = (struct http_server_reply){0};
        s->cb(s->ctx, &r, &c->reply);
        evbuffer_drain(in, head_bytes + body); /* the request's bytes are gone from here on */
        struct timeval tv = {(time_t)(c->reply.delay_ms / 1000),
                             (suseconds_t)(c->reply.delay_ms % 1000 * 1000)};
        if (c->reply.delay_ms)
            event_add(c->later, &tv);
        else
            reply_now(c);
    }
    free(head);
}

static void on_read(struct bufferevent *bev, void *ctx)
{
    (void)bev;
    take_request(ctx);
}

static void on_written(struct bufferevent *bev, void *ctx)
{
    (void)bev;
    struct connection *c = ctx;
    if (c->closing)
        connection_free(c);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    (void)bev, (void)what;
    connection_free(ctx);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int n,
                      void *ctx)
{
    (void)l, (void)sa, (void)n;
    struct http_server *s = ctx;
    struct connection *c = calloc(1, sizeof *c);
    ensure(c != NULL);
    s->connections++;
    c->server = s;
    c->next = s->all;
    s->all = c;
    c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
    c->later = evtimer_new(s->base, on_later, c);
    ensure(c->bev && c->later);
    bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

struct http_server *http_server_new(struct event_base *base, http_server_cb cb, void *ctx)
{
    struct http_server *s = calloc(1, sizeof *s);
    ensure(s != NULL);
    *s = (struct http_server){.base = base, .cb = cb, .ctx = ctx};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    s->listener =
        evconnlistener_new_bind(base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 64,
                                (struct sockaddr *)&a, sizeof a);
    ensure(s->listener != NULL);
    socklen_t n = sizeof a;
    ensure(getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&a, &n) == 0);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u/in", ntohs(a.sin_port));
    return s;
}

void http_server_free(struct http_server *s)
{
    while (s->all)
        connection_free(s->all);
    evconnlistener_free(s->listener);
    free(s);
}

const char *http_server_url(const struct http_server *s)
{
    return s->url;
}

unsigned http_server_connections(const struct http_server *s)
{
    return s->connections;
}

unsigned http_server_requests(const struct http_server *s)
{
    return s->requests;
}

bool http_server_header(const char *head, const char *name, char *out, size_t n)
{
    char start[128];
    snprintf(start, sizeof start, "\r\n%s: ", name);
    const char *at = strcasestr(head, start);
    if (!at)
        return false;
    at += strlen(start);
    snprintf(out, n, "%.*s", (int)strcspn(at, "\r"), at);
    return true;
}
