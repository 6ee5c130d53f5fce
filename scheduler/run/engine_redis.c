/* The engine's Redis servers: which are reached, which were given up. Reads: the list of the
 * project in force. Invariant: a server that is away holds up what is at it, and nothing else. A
 * crash here: quotas are where state says. */
#include "scheduler/run/engine_private.h"

#include "protocol/base/clock.h"
#include "scheduler/run/place.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CONNECT_DEADLINE_MS = 10000,
    REASON_BYTES = 512,
    AWAY_MAX_MS = 60000,
    PRIVATE_READY_MS = 10000,
    GRACE_MS = 2000,
};

/* ---- what is known of each ---- */

static struct engine_server *server_of(const struct engine *e, const char *name)
{
    for (size_t i = 0; i < e->server_count; i++)
        if (strcmp(e->servers[i].name, name) == 0)
            return &e->servers[i];
    return NULL;
}

/* Its record, or a new one. NULL: no memory. */
static struct engine_server *know(struct engine *e, const char *name)
{
    struct engine_server *known = server_of(e, name);
    if (known)
        return known;
    struct engine_server *servers = realloc(e->servers, (e->server_count + 1) * sizeof *servers);
    if (!servers)
        return NULL;
    e->servers = servers;
    struct engine_server *s = &e->servers[e->server_count++];
    *s = (struct engine_server){.away_ms = clock_mono_ms()};
    snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

/* One record for each server of the fleet, and one for a cluster as a whole. */
static enum err_code know_servers(struct engine *e, struct err *err)
{
    bool ok = know(e, redis_fleet_title(e->fleet));
    for (size_t i = 0; ok && i < redis_fleet_count(e->fleet); i++)
        ok = know(e, redis_fleet_name(e->fleet, i));
    return ok ? ERR_OK : err_set(err, ERR_NOMEM, "redis: no memory");
}

static size_t count_staying(const struct engine *e)
{
    size_t n = 0;
    for (size_t i = 0; e->fleet && i < redis_fleet_count(e->fleet); i++)
        n += redis_fleet_stays(e->fleet, i);
    return n;
}

/* ---- what the fleet tells ---- */

/* The only server there is, and it will not have us: nothing can go on. */
static bool is_final(const struct engine *e, const char *server, const struct err *err)
{
    return err && err_class(err->code) != ERR_CLASS_RETRY &&
           (!e->fleet || redis_fleet_is_all(e->fleet, server));
}

static void on_away(struct engine *e, struct engine_server *s, const struct err *err)
{
    bool told = s->away_ms != 0 && *s->error.text;
    if (is_final(e, s->name, err)) {
        struct err refused = *err;
        if (refused.code == ERR_DENIED)
            refused.code = ERR_UNREACHABLE;
        engine_fail(e, &refused);
        return;
    }
    if (err)
        s->error = *err;
    if (!s->away_ms)
        s->away_ms = clock_mono_ms();
    if (s->was_connected || (e->opts.stays && !told))
        log_event(e->opts.log, LOG_WARN, "redis_lost", LOG_STR("server", s->name),
                  LOG_STR("reason", err ? err->text : ""));
}

static void on_state(void *ctx, const char *server, bool connected, const struct err *err)
{
    struct engine *e = ctx;
    struct engine_server *s = know(e, server); /* a cluster's nodes are known when they appear */
    if (!s)
        return;
    if (!connected) {
        on_away(e, s, err);
        return;
    }
    if (s->away_ms && s->was_connected)
        log_event(e->opts.log, LOG_INFO, "redis_back", LOG_STR("server", s->name),
                  LOG_INT("away_ms", clock_mono_ms() - s->away_ms));
    s->was_connected = true;
    s->given_up = false;
    s->away_ms = 0;
    s->error = (struct err){0};
    if (e->phase == PHASE_CONNECT)
        e->phase = PHASE_OPEN;
}

/* ---- beginning ---- */

static enum err_code open_fleet(struct engine *e, const struct redis_member *members, size_t count,
                                struct err *err)
{
    struct redis_fleet_options o = {
        .each = {.ca_file = e->project->settings.redis_ca},
        .on_state = on_state,
        .ctx = e,
    };
    enum err_code rc = redis_fleet_new(e->base, members, count, &o, &e->fleet, err);
    return rc ? rc : know_servers(e, err);
}

enum err_code engine_redis_start(struct engine *e, struct err *err)
{
    const struct settings *s = &e->project->settings;
    if (s->redis_count)
        return open_fleet(e, s->redis, s->redis_count, err);
    enum err_code rc = private_redis_start(s->state_dir, &e->private_redis, err);
    if (!rc)
        rc = private_redis_wait(e->private_redis, PRIVATE_READY_MS, err);
    if (rc)
        return rc;
    struct redis_member own = {.url = private_redis_url(e->private_redis),
                               .name = QUOTA_PRIVATE_MEMBER};
    return open_fleet(e, &own, 1, err);
}

/* ---- another list ---- */

/* A quota that no run needs now leaves all the same, so that its server can be switched off. */
static enum err_code open_leaving(struct engine *e, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < e->project->destination_count && !rc; i++) {
        const struct destination *d = &e->project->destinations[i];
        struct place p;
        rc = place_load(&p, e->state, d->quota, err);
        if (rc || !*p.at)
            continue;
        enum redis_standing standing = redis_fleet_standing(e->fleet, p.at);
        if (standing == REDIS_MEMBER_LEAVES || standing == REDIS_MEMBER_DROPPED)
            rc = engine_quota_add(e, d, err);
    }
    return rc;
}

void engine_redis_reload(struct engine *e)
{
    const struct settings *s = &e->project->settings;
    struct err err;
    if (!e->fleet || e->private_redis || !s->redis_count)
        return;
    enum err_code rc = redis_fleet_set(e->fleet, s->redis, s->redis_count, &err);
    if (!rc)
        rc = know_servers(e, &err);
    for (size_t i = 0; i < e->quota_count && !rc; i++)
        quota_list_changed(e->quotas[i].quota);
    if (!rc && e->loaded)
        rc = open_leaving(e, &err);
    if (rc)
        log_event(e->opts.log, LOG_ERROR, "redis_list_not_taken", LOG_STR("reason", err.text));
}

static bool is_needed(const struct engine *e, const char *server)
{
    for (size_t i = 0; i < e->quota_count; i++)
        if (strcmp(quota_at(e->quotas[i].quota), server) == 0 ||
            strcmp(quota_left_at(e->quotas[i].quota), server) == 0)
            return true;
    return false;
}

static void forget_dropped(struct engine *e)
{
    for (size_t i = 0; i < e->server_count; i++) {
        struct engine_server *s = &e->servers[i];
        if (redis_fleet_standing(e->fleet, s->name) == REDIS_MEMBER_DROPPED &&
            !is_needed(e, s->name))
            redis_fleet_forget(e->fleet, s->name);
        if (redis_fleet_has(e->fleet, s->name))
            continue;
        log_event(e->opts.log, LOG_INFO, "redis_left", LOG_STR("server", s->name));
        memmove(s, s + 1, (--e->server_count - i) * sizeof *s);
        i--;
    }
}

/* ---- the turn ---- */

static void watch_private(struct engine *e)
{
    struct err err;
    if (!e->private_redis || e->phase == PHASE_SHUT || !private_redis_check(e->private_redis, &err))
        return;
    log_event(e->opts.log, LOG_WARN, "private_redis_died", LOG_STR("reason", err.text));
    if (private_redis_restart(e->private_redis, &err))
        engine_fail(e, &err);
}

static void give_up(struct engine *e)
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < e->server_count; i++) {
        struct engine_server *s = &e->servers[i];
        int64_t most = s->was_connected ? AWAY_MAX_MS : CONNECT_DEADLINE_MS;
        if (s->given_up || !s->away_ms || now - s->away_ms < most)
            continue;
        s->given_up = true;
        log_event(e->opts.log, LOG_ERROR, "redis_given_up", LOG_STR("server", s->name),
                  LOG_STR("reason", s->error.text));
    }
}

static bool all_given_up(const struct engine *e)
{
    for (size_t i = 0; i < e->server_count; i++)
        if (!e->servers[i].given_up)
            return false;
    return e->server_count > 0;
}

/* Nothing is lost by it: the next start goes on from the spool. */
static void fail_unfinished(struct engine *e)
{
    struct err err;
    const struct engine_server *s = e->servers;
    while (!s->given_up)
        s++;
    char which[REDIS_MEMBER_NAME_MAX + 16] = "redis";
    if (e->server_count > 1)
        snprintf(which, sizeof which, "redis server %s", s->name);
    if (s->was_connected)
        err_set(&err, ERR_UNREACHABLE,
                "%s: lost %d s ago and not reached since; the next run finishes what was under way",
                which, AWAY_MAX_MS / 1000);
    else
        err_set(&err, ERR_UNREACHABLE, "%s: not reached within %d s: %.*s", which,
                CONNECT_DEADLINE_MS / 1000, REASON_BYTES, s->error.text);
    engine_fail(e, &err);
}

bool engine_redis_unfinished(struct engine *e)
{
    bool stuck = !e->opts.stays && e->fleet && (all_given_up(e) || engine_runs_stuck(e));
    if (stuck)
        fail_unfinished(e);
    return stuck;
}

void engine_redis_turn(struct engine *e)
{
    if (!e->fleet)
        return;
    watch_private(e);
    forget_dropped(e);
    if (e->opts.stays || e->phase >= PHASE_SHUT)
        return;
    give_up(e);
    (void)engine_redis_unfinished(e);
}

/* ---- asking ---- */

bool engine_redis_away(const struct engine *e)
{
    for (size_t i = 0; e->fleet && i < redis_fleet_count(e->fleet); i++)
        if (redis_fleet_stays(e->fleet, i) && redis_connected(redis_fleet_server(e->fleet, i)))
            return false;
    return true;
}

bool engine_redis_gave_up(const struct engine *e, const struct quota *q)
{
    const struct engine_server *s = server_of(e, quota_server(q));
    return s && s->given_up;
}

const char *engine_redis_why(struct engine *e)
{
    size_t n = 0;
    char *out = e->redis_why;
    if (!e->fleet || redis_fleet_connected(e->fleet))
        return NULL;
    if (count_staying(e) == 1)
        return "Redis is not reached";
    if (redis_fleet_down(e->fleet))
        return redis_fleet_down(e->fleet);
    n = (size_t)snprintf(out, ENGINE_WHY_BYTES, "not reached:");
    for (size_t i = 0; i < redis_fleet_count(e->fleet) && n < ENGINE_WHY_BYTES; i++)
        if (redis_fleet_stays(e->fleet, i) && !redis_connected(redis_fleet_server(e->fleet, i)))
            n += (size_t)snprintf(out + n, ENGINE_WHY_BYTES - n, " Redis server %s",
                                  redis_fleet_name(e->fleet, i));
    return out;
}

size_t engine_redis_count(const struct engine *e)
{
    return e->fleet ? redis_fleet_count(e->fleet) : 0;
}

void engine_redis_look(const struct engine *e, size_t i, struct engine_redis_view *ret)
{
    const struct redis *redis = redis_fleet_server(e->fleet, i);
    *ret = (struct engine_redis_view){
        .name = redis_fleet_name(e->fleet, i),
        .stays = redis_fleet_stays(e->fleet, i),
        .connected = redis_connected(redis),
        .primary = redis_primary(redis),
        .trips = redis_trips(redis),
    };
    const struct engine_server *s = server_of(e, ret->name);
    if (s && !ret->connected) {
        ret->away_ms = s->away_ms ? clock_mono_ms() - s->away_ms : 0;
        ret->error = *s->error.text ? s->error.text : NULL;
    }
    for (size_t k = 0; k < e->quota_count; k++) {
        ret->quotas += strcmp(quota_server(e->quotas[k].quota), ret->name) == 0;
        ret->left += strcmp(quota_left_at(e->quotas[k].quota), ret->name) == 0;
    }
}

void engine_redis_free(struct engine *e)
{
    free(e->servers);
    private_redis_stop(e->private_redis, GRACE_MS);
}
