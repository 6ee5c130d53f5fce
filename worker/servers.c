/*
 * The Redis servers of a worker: the list it follows, and the wake list of each, waited on while
 * there are free slots.
 */
#include "worker/engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/clock.h"

/* ---- the list ---- */

static void from_command_line(const struct engine *e, struct redis_member *out)
{
    for (size_t i = 0; i < e->redis_url_count; i++)
        out[i] = (struct redis_member){.url = e->redis_urls[i]};
}

enum err_code engine_servers_open(struct engine *e, const struct redis_fleet_options *opts,
                                  struct err *err)
{
    const struct settings *s = &e->setup->project->settings;
    struct redis_member given[REDIS_MEMBERS_MAX];
    if (e->redis_url_count) {
        from_command_line(e, given);
        return redis_fleet_new(e->base, given, e->redis_url_count, opts, &e->fleet, err);
    }
    if (!s->redis_count)
        return err_set(err, ERR_CONFIG, "no Redis is named: give --redis or settings.redis");
    return redis_fleet_new(e->base, s->redis, s->redis_count, opts, &e->fleet, err);
}

enum err_code engine_servers_follow(struct engine *e, struct err *err)
{
    const struct settings *s = &e->setup->project->settings;
    if (e->redis_url_count || !s->redis_count)
        return ERR_OK;
    return redis_fleet_set(e->fleet, s->redis, s->redis_count, err);
}

static bool same_list(const struct settings *a, const struct settings *b)
{
    if (a->redis_count != b->redis_count)
        return false;
    for (size_t i = 0; i < a->redis_count; i++)
        if (strcmp(a->redis[i].url, b->redis[i].url) != 0 ||
            strcmp(a->redis[i].name, b->redis[i].name) != 0 ||
            a->redis[i].leaving != b->redis[i].leaving)
            return false;
    return true;
}

void engine_servers_doubt(struct engine *e)
{
    int64_t now_ms = clock_mono_ms();
    struct project *now = NULL;
    struct problem_list problems;
    struct err err;
    if (e->redis_url_count || now_ms - e->relisted_ms < ENGINE_RELOAD_MS)
        return;
    e->relisted_ms = now_ms;
    problem_list_init(&problems);
    bool another = !project_load_settings(e->dir, &now, &problems, &err) &&
                   !same_list(&now->settings, &e->setup->project->settings);
    problem_list_done(&problems);
    project_free(now);
    if (another)
        engine_reload(e);
}

void engine_servers_turn(struct engine *e)
{
    for (size_t i = 0; i < redis_fleet_count(e->fleet); i++) {
        const char *name = redis_fleet_name(e->fleet, i);
        if (redis_fleet_standing(e->fleet, name) == REDIS_MEMBER_DROPPED &&
            !quota_list_is_at(&e->quotas, name)) {
            redis_fleet_forget(e->fleet, name);
            return; /* one at a time: the others have other numbers now */
        }
    }
}

bool engine_servers_reached(const struct engine *e, char *out, size_t n, const char **ret_why)
{
    size_t staying = 0, reached = 0, at = 0;
    *ret_why = redis_fleet_down(e->fleet);
    if (*ret_why)
        return false;
    for (size_t i = 0; i < redis_fleet_count(e->fleet); i++) {
        if (!redis_fleet_stays(e->fleet, i))
            continue;
        staying++;
        if (redis_connected(redis_fleet_server(e->fleet, i))) {
            reached++;
            continue;
        }
        if (at < n)
            at += (size_t)snprintf(out + at, n - at, "%s Redis server %s",
                                   at ? "," : "not reached:", redis_fleet_name(e->fleet, i));
    }
    if (reached < staying)
        *ret_why = staying == 1 ? "Redis is not reached" : out;
    return reached > 0;
}

/* ---- the wake lists ---- */

static void again_later(struct engine_wait *w)
{
    struct timeval tv = {ENGINE_PAUSE_MS / 1000, ENGINE_PAUSE_MS % 1000 * 1000};
    event_add(w->again, &tv);
}

/* Called while it was leaving: somebody else has to hear it. */
static void pass_back(struct engine *e, struct quota *q)
{
    struct err err;
    if (queue_wake(q->queue, &err))
        log_event(&e->log, LOG_WARN, "wake_failed", LOG_STR("quota", q->name),
                  LOG_STR("error", err.text));
}

static void on_woken(void *ctx, struct slice name, const struct err *err)
{
    struct engine_wait *w = ctx;
    struct engine *e = w->engine;
    w->waiting = false;
    if (err && err->code == ERR_STOPPED)
        return;
    int64_t now_ms = clock_mono_ms();
    if (err) {
        engine_note_denied(e, w->server, err);
        again_later(w);
        return;
    }
    struct quota *q = quota_find(&e->quotas, name);
    uint64_t longer_ms = w->poll_ms * 2;
    w->poll_ms = name.n                           ? ENGINE_POLL_MS
                 : longer_ms < ENGINE_POLL_MAX_MS ? longer_ms
                                                  : ENGINE_POLL_MAX_MS;
    if (q && e->draining) {
        pass_back(e, q);
    } else if (q) {
        q->called_ms = now_ms;
        q->ask_at_ms = now_ms;
        q->pass_on = true;
    } else if (!name.n) {
        quota_list_ask(&e->quotas, QUOTA_ASKS, now_ms);
    } else if (now_ms - e->reloaded_ms >= ENGINE_RELOAD_MS) {
        engine_reload(e); /* a quota that this project did not have when it was read */
    }
    engine_kick(e);
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct engine_wait *w = ctx;
    quota_list_ask(&w->engine->quotas, QUOTA_ASKS, clock_mono_ms());
    engine_kick(w->engine);
}

/* NULL: no memory; tried again with the next turn. */
static struct engine_wait *wait_of(struct engine *e, const char *server)
{
    for (size_t i = 0; i < e->wait_count; i++)
        if (strcmp(e->waits[i]->server, server) == 0)
            return e->waits[i];
    struct engine_wait **longer = realloc(e->waits, (e->wait_count + 1) * sizeof(*longer));
    struct engine_wait *w = calloc(1, sizeof *w);
    if (longer)
        e->waits = longer;
    if (w)
        w->again = evtimer_new(e->base, on_again, w);
    if (!longer || !w || !w->again) {
        free(w);
        return NULL;
    }
    w->engine = e;
    w->poll_ms = ENGINE_POLL_MS;
    snprintf(w->server, sizeof w->server, "%s", server);
    e->waits[e->wait_count++] = w;
    return w;
}

static void wait_at(struct engine *e, size_t i)
{
    struct engine_wait *w = wait_of(e, redis_fleet_name(e->fleet, i));
    struct err err;
    if (!w || w->waiting || event_pending(w->again, EV_TIMEOUT, NULL))
        return;
    w->waiting = !queue_wait(redis_fleet_wait(e->fleet, i), redis_fleet_wake_key(e->fleet, i),
                             w->poll_ms, on_woken, w, &err);
    if (!w->waiting)
        again_later(w);
}

void engine_wait(struct engine *e)
{
    if (e->draining || !e->free_count)
        return;
    for (size_t i = 0; i < redis_fleet_count(e->fleet); i++) {
        const char *name = redis_fleet_name(e->fleet, i);
        if (redis_fleet_stays(e->fleet, i) || quota_list_is_at(&e->quotas, name))
            wait_at(e, i);
    }
}

void engine_servers_close(struct engine *e)
{
    redis_fleet_free(e->fleet); /* its callbacks still find their waits */
    for (size_t i = 0; i < e->wait_count; i++) {
        event_free(e->waits[i]->again);
        free(e->waits[i]);
    }
    free(e->waits);
}
