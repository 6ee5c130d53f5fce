/* Redis: connected, authenticated, with the policy that it must have; or a program for a private
 * one. */
#include "protocol/redis/fleet.h"
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
    char name[512]; /* the URL without its password */
    struct redis_fleet *fleet;
    char about[400]; /* more about a server that was reached */
};

static void on_state(void *ctx, bool connected, const struct err *err)
{
    struct look *l = ctx;
    l->connected = connected;
    if (err)
        l->err = *err;
    event_base_loopbreak(l->base);
}

/* ---- a cluster ---- */

static void on_cluster(void *ctx, const char *server, bool connected, const struct err *err)
{
    struct look *l = ctx;
    (void)server;
    l->connected = connected && redis_fleet_connected(l->fleet);
    if (err)
        l->err = *err;
    if (err || l->connected)
        event_base_loopbreak(l->base);
}

/* All its primaries have to be reached. */
static enum err_code reach_cluster(struct look *l, const char *address, const char *ca_file)
{
    struct redis_member member = {.url = address};
    struct redis_fleet_options o = {.each = {.ca_file = ca_file, .connect_timeout_ms = WAIT_MS},
                                    .on_state = on_cluster,
                                    .ctx = l};
    struct timeval most = {2 * WAIT_MS / 1000, 0};
    enum err_code rc = redis_fleet_new(l->base, &member, 1, &o, &l->fleet, &l->err);
    if (rc)
        return rc;
    event_base_loopexit(l->base, &most);
    event_base_dispatch(l->base);
    snprintf(l->about, sizeof l->about, "; a cluster of %zu primaries",
             redis_fleet_count(l->fleet));
    redis_fleet_free(l->fleet);
    return l->connected ? ERR_OK : l->err.code;
}

/* ---- one server ---- */

/* Where sentinels led to. */
static void describe(struct look *l, const struct redis *redis)
{
    const struct redis_node *primary = redis_primary(redis);
    if (primary)
        snprintf(l->about, sizeof l->about, "; the primary is %s port %u", primary->host,
                 primary->port);
}

/* A server of somebody else's may have any policy. */
static enum err_code reach(struct look *l, const char *address, const char *ca_file,
                           bool any_policy)
{
    struct redis_url url;
    struct timeval most = {2 * WAIT_MS / 1000, 0};
    *l = (struct look){.base = event_base_new()};
    err_set(&l->err, ERR_UNREACHABLE, "no answer in time");
    enum err_code rc = redis_url_parse(address, &url, &l->err);
    if (rc)
        goto out;
    redis_url_safe(&url, l->name, sizeof l->name);
    if (url.shape == REDIS_SHAPE_CLUSTER && l->base) {
        rc = reach_cluster(l, address, ca_file);
        goto out;
    }
    struct redis_options o = {.ca_file = ca_file,
                              .connect_timeout_ms = WAIT_MS,
                              .any_policy = any_policy,
                              .on_state = on_state,
                              .ctx = l};
    struct redis *redis = l->base ? redis_new(l->base, &url, &o) : NULL;
    explicit_bzero(&url, sizeof url);
    if (!redis) {
        rc = err_set(&l->err, ERR_NOMEM, "no memory for a connection");
        goto out;
    }
    event_base_loopexit(l->base, &most);
    event_base_dispatch(l->base);
    rc = l->connected ? ERR_OK : l->err.code;
    if (!rc)
        describe(l, redis);
    redis_free(redis);
out:
    if (l->base)
        event_base_free(l->base);
    return rc;
}

static void check_servers(struct connect_report *r, const struct settings *s)
{
    for (size_t i = 0; i < s->redis_count; i++) {
        const struct redis_member *m = &s->redis[i];
        struct look l;
        char text[sizeof l.about + 64];
        enum err_code rc = reach(&l, m->url, s->redis_ca, false);
        snprintf(text, sizeof text, "connected%s%s", m->leaving ? "; it is leaving" : "", l.about);
        connect_say(r, "redis", s->redis_count > 1 ? m->name : l.name, rc ? &l.err : NULL, text);
    }
}

enum err_code connect_redis_source(const struct source *source, char *name, size_t n,
                                   struct err *err)
{
    struct look l;
    enum err_code rc = reach(&l, source->redis, source->redis_ca, true);
    snprintf(name, n, "%s%s", l.name, l.about);
    if (rc)
        *err = l.err;
    return rc;
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
