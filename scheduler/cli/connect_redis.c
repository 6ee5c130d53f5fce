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

/* A server of somebody else's may have any policy. */
static enum err_code reach(const char *address, const char *ca_file, bool any_policy, char *name,
                           size_t n, struct err *err)
{
    struct redis_url url;
    struct look l = {.base = event_base_new()};
    err_set(&l.err, ERR_UNREACHABLE, "no answer in time");
    enum err_code rc = redis_url_parse(address, &url, &l.err);
    struct redis_options o = {.ca_file = ca_file,
                              .connect_timeout_ms = WAIT_MS,
                              .any_policy = any_policy,
                              .on_state = on_state,
                              .ctx = &l};
    struct redis *redis = !rc && l.base ? redis_new(l.base, &url, &o) : NULL;
    if (!rc)
        redis_url_safe(&url, name, n);
    if (redis) {
        struct timeval most = {2 * WAIT_MS / 1000, 0};
        event_base_loopexit(l.base, &most);
        event_base_dispatch(l.base);
    } else if (!rc) {
        err_set(&l.err, ERR_NOMEM, "no memory for a connection");
    }
    redis_free(redis);
    if (l.base)
        event_base_free(l.base);
    *err = l.err;
    return l.connected ? ERR_OK : l.err.code;
}

static void check_servers(struct connect_report *r, const struct settings *s)
{
    for (size_t i = 0; i < s->redis_count; i++) {
        const struct redis_member *m = &s->redis[i];
        char name[512] = "";
        struct err err;
        enum err_code rc = reach(m->url, s->redis_ca, false, name, sizeof name, &err);
        connect_say(r, "redis", s->redis_count > 1 ? m->name : name, rc ? &err : NULL,
                    m->leaving ? "connected; it is leaving" : "connected");
    }
}

enum err_code connect_redis_source(const struct source *source, char *name, size_t n,
                                   struct err *err)
{
    return reach(source->redis, source->redis_ca, true, name, n, err);
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
    if (p->settings.redis_count) {
        check_servers(r, &p->settings);
        return;
    }
    err_set(&err, ERR_CONFIG,
            "the program redis-server is not in PATH: install it, or set `settings.redis`");
    connect_say(r, "redis", "private", is_program("redis-server") ? NULL : &err,
                "a server of its own is started when one is needed");
}
