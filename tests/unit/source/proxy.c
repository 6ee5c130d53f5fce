#include "tests/unit/source/proxy.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

struct proxy {
    struct event_base *base;
    char dir[80];
    char socket[100];
    const struct proxy_rule *rules;
    size_t rule_count;
    size_t cut_after;
    size_t passed;
    size_t applied;
    struct evconnlistener *listener;
    struct bufferevent *client;
    struct bufferevent *server;
};

static void hang_up(struct proxy *p)
{
    if (p->client)
        bufferevent_free(p->client);
    if (p->server)
        bufferevent_free(p->server);
    p->client = p->server = NULL;
}

static void change(struct proxy *p, int to_client, char *bytes, size_t n)
{
    for (size_t i = 0; i < p->rule_count; i++) {
        const struct proxy_rule *rule = &p->rules[i];
        size_t length = strlen(rule->find);
        char *at = bytes;
        while (rule->to_client == to_client &&
               (at = memmem(at, n - (size_t)(at - bytes), rule->find, length))) {
            memcpy(at, rule->replace, length);
            p->applied++;
        }
    }
}

/* Statements are far smaller than one read, so none is cut in two. */
static void pass_on(struct proxy *p, struct bufferevent *from, struct bufferevent *to,
                    int to_client)
{
    struct evbuffer *in = bufferevent_get_input(from);
    size_t n = evbuffer_get_length(in);
    unsigned char *bytes = evbuffer_pullup(in, -1);
    change(p, to_client, (char *)bytes, n);
    if (to_client)
        p->passed += n;
    bufferevent_write_buffer(to, in);
    if (p->cut_after && p->passed > p->cut_after)
        hang_up(p);
}

static void on_client(struct bufferevent *from, void *ctx)
{
    struct proxy *p = ctx;
    pass_on(p, from, p->server, 0);
}

static void on_server(struct bufferevent *from, void *ctx)
{
    struct proxy *p = ctx;
    pass_on(p, from, p->client, 1);
}

static void on_event(struct bufferevent *from, short what, void *ctx)
{
    (void)from;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        hang_up(ctx);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *a,
                      int n, void *ctx)
{
    (void)listener, (void)a, (void)n;
    struct proxy *p = ctx;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s/.s.PGSQL.5432", p->dir);
    p->client = bufferevent_socket_new(p->base, fd, BEV_OPT_CLOSE_ON_FREE);
    p->server = bufferevent_socket_new(p->base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(p->client, on_client, NULL, on_event, p);
    bufferevent_setcb(p->server, on_server, NULL, on_event, p);
    bufferevent_socket_connect(p->server, (struct sockaddr *)&to, sizeof to);
    bufferevent_enable(p->client, EV_READ | EV_WRITE);
    bufferevent_enable(p->server, EV_READ | EV_WRITE);
}

struct proxy *proxy_new(struct event_base *base, const char *dir, const struct proxy_rule *rules,
                        size_t rule_count, size_t cut_after)
{
    struct proxy *p = calloc(1, sizeof *p);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (!p)
        abort();
    *p = (struct proxy){
        .base = base, .rules = rules, .rule_count = rule_count, .cut_after = cut_after};
    snprintf(p->dir, sizeof p->dir, "%s", dir);
    snprintf(p->socket, sizeof p->socket, "%s/.s.PGSQL.5433", dir);
    memcpy(at.sun_path, p->socket, strlen(p->socket) + 1);
    unlink(p->socket);
    p->listener = evconnlistener_new_bind(base, on_accept, p, LEV_OPT_CLOSE_ON_FREE, 1,
                                          (struct sockaddr *)&at, sizeof at);
    if (!p->listener)
        abort();
    return p;
}

size_t proxy_applied(const struct proxy *p)
{
    return p->applied;
}

void proxy_free(struct proxy *p)
{
    hang_up(p);
    evconnlistener_free(p->listener);
    unlink(p->socket);
    free(p);
}
