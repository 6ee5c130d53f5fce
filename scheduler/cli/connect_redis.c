/* Redis: connected, authenticated, with the policy that it must have; or a program for a private
 * one. */
#include "protocol/redis/redis.h"
#include "scheduler/cli/connect.h"

#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 6000 };

struct look {
    struct event_base *base;
    bool connected;
    struct err err;
};

static void on_state(void *ctx, bool connected, const struct err *err)
{
    struct look *l = ctx;
    l->connected = connected;
    if (err)
        l->err = *err;
    event_base_loopbreak(l->base);
}

static void check_server(struct connect_report *r, const struct settings *s)
{
    struct redis_url url;
    struct look l = {.base = event_base_new()};
    char name[512] = "";
    err_set(&l.err, ERR_UNREACHABLE, "no answer in time");
    enum err_code rc = redis_url_parse(s->redis, &url, &l.err);
    struct redis_options o = {
        .ca_file = s->redis_ca, .connect_timeout_ms = WAIT_MS, .on_state = on_state, .ctx = &l};
    struct redis *redis = !rc && l.base ? redis_new(l.base, &url, &o) : NULL;
    if (!rc)
        redis_url_safe(&url, name, sizeof name);
    if (redis) {
        struct timeval most = {2 * WAIT_MS / 1000, 0};
        event_base_loopexit(l.base, &most);
        event_base_dispatch(l.base);
    } else if (!rc) {
        err_set(&l.err, ERR_NOMEM, "no memory for a connection");
    }
    connect_say(r, "redis", name, l.connected ? NULL : &l.err, "connected");
    redis_free(redis);
    if (l.base)
        event_base_free(l.base);
}

static bool is_program(const char *name)
{
    const char *path = getenv("PATH");
    char file[PATH_MAX];
    for (const char *p = path ? path : ""; *p;) {
        size_t n = strcspn(p, ":");
        if (snprintf(file, sizeof file, "%.*s/%s", (int)n, p, name) < (int)sizeof file &&
            access(file, X_OK) == 0)
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

void connect_redis(struct connect_report *r, const struct project *p)
{
    struct err err;
    if (p->settings.redis) {
        check_server(r, &p->settings);
        return;
    }
    err_set(&err, ERR_CONFIG,
            "the program redis-server is not in PATH: install it, or set `settings.redis`");
    connect_say(r, "redis", "private", is_program("redis-server") ? NULL : &err,
                "a server of its own is started when one is needed");
}
