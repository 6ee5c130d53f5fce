/* Reads: the project. Writes: state, through its runs. Invariant: nothing is published before every
 * quota was opened, nothing is trimmed before it is committed. A crash here: the kernel frees the
 * lock, workers and a private Redis die with us, and the next engine recovers. */
#include "scheduler/run/engine_private.h"

#include "protocol/base/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TICK_MS = 10,
    COMMIT_EVERY_MS = 250,
    CONNECT_DEADLINE_MS = 10000,
    REASON_BYTES = 512,
    REDIS_AWAY_MAX_MS = 60000,
    PRIVATE_REDIS_READY_MS = 10000,
    WORKERS_DEFAULT_MAX = 4,
    DRAIN_MS = 5000,
    REDIS_GRACE_MS = 2000,
};

void engine_fail(struct engine *e, const struct err *err)
{
    if (!e->failed)
        e->error = *err;
    e->failed = true;
    e->phase = PHASE_DONE;
    event_base_loopbreak(e->base);
}

enum err_code engine_commit(struct engine *e, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < e->quota_count && !rc; i++)
        rc = quota_save_position(e->quotas[i], err);
    for (size_t i = 0; i < e->run_count && !rc; i++)
        rc = sync_run_before_commit(e->runs[i].run, err);
    if (!rc)
        rc = state_commit(e->state, err);
    if (rc)
        return rc;
    e->committed_ms = clock_mono_ms();
    for (size_t i = 0; i < e->quota_count; i++)
        quota_committed(e->quotas[i]);
    return ERR_OK;
}

/* ---- Redis and workers ---- */

static void on_redis_away(struct engine *e, const struct err *err)
{
    if (err && err_class(err->code) != ERR_CLASS_RETRY) {
        struct err refused = *err;
        if (refused.code == ERR_DENIED)
            refused.code = ERR_UNREACHABLE;
        engine_fail(e, &refused);
        return;
    }
    if (err)
        e->redis_error = *err;
    if (!e->redis_away_ms)
        e->redis_away_ms = clock_mono_ms();
    if (e->was_connected)
        log_event(e->opts.log, LOG_WARN, "redis_lost", LOG_STR("reason", err ? err->text : ""));
}

static void on_redis(void *ctx, bool connected, const struct err *err)
{
    struct engine *e = ctx;
    if (!connected) {
        on_redis_away(e, err);
        return;
    }
    e->was_connected = true;
    e->redis_away_ms = 0;
    if (e->phase == PHASE_CONNECT)
        e->phase = PHASE_OPEN;
}

static enum err_code start_redis(struct engine *e, struct err *err)
{
    struct redis_url url;
    const char *text = e->project->settings.redis;
    enum err_code rc = ERR_OK;
    if (!text) {
        rc = private_redis_start(e->project->settings.state_dir, &e->private_redis, err);
        if (!rc)
            rc = private_redis_wait(e->private_redis, PRIVATE_REDIS_READY_MS, err);
        text = rc ? NULL : private_redis_url(e->private_redis);
    }
    if (!rc)
        rc = redis_url_parse(text, &url, err);
    if (rc)
        return rc;
    struct redis_options o = {
        .ca_file = e->project->settings.redis_ca, .on_state = on_redis, .ctx = e};
    e->redis = redis_new(e->base, &url, &o);
    return e->redis ? ERR_OK : err_set(err, ERR_NOMEM, "redis: no memory");
}

static void on_worker_death(void *ctx, const char *name)
{
    struct engine *e = ctx;
    for (size_t i = 0; i < e->quota_count; i++)
        quota_reap_dead(e->quotas[i], name);
}

static void on_workers_broken(void *ctx, const struct err *err)
{
    engine_fail(ctx, err);
}

static uint32_t default_workers(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return (uint32_t)(n < 1 ? 1 : n > WORKERS_DEFAULT_MAX ? WORKERS_DEFAULT_MAX : n);
}

static enum err_code start_workers(struct engine *e, struct err *err)
{
    struct workers_options o = {
        .program = e->worker_program,
        .project_dir = e->project->dir,
        .state_dir = e->project->settings.state_dir,
        .redis_url = e->private_redis ? private_redis_url(e->private_redis) : NULL,
        .name_prefix = e->worker_prefix,
        .count = e->opts.workers ? e->opts.workers : default_workers(),
        .log = e->opts.log,
        .on_death = on_worker_death,
        .on_broken = on_workers_broken,
        .ctx = e,
    };
    return workers_start(e->base, &o, &e->workers, err);
}

void engine_need_workers(void *ctx)
{
    struct engine *e = ctx;
    struct err err;
    if (e->workers)
        return;
    e->workers_killed = false;
    if (start_workers(e, &err))
        engine_fail(e, &err);
}

static bool local_workers_gone(void *ctx)
{
    struct engine *e = ctx;
    return !e->workers && state_lock_workers_gone(&e->lock);
}

/* Nobody else can reach a private Redis. */
static bool has_other_workers(void *ctx)
{
    const struct engine *e = ctx;
    return !e->private_redis;
}

/* ---- quotas ---- */

static bool all_ready(const struct engine *e)
{
    for (size_t i = 0; i < e->quota_count; i++)
        if (!quota_is_ready(e->quotas[i]) && !quota_is_broken(e->quotas[i]))
            return false;
    return true;
}

static void on_quota_ready(void *ctx, struct quota *q)
{
    (void)q;
    struct engine *e = ctx;
    if (!all_ready(e) || e->phase == PHASE_DONE)
        return;
    if (e->workers_killed)
        engine_need_workers(e);
    if (e->phase == PHASE_OPEN)
        e->phase = PHASE_RECOVER;
    engine_runs_go(e);
}

/* Workers are killed, so that no request of the lost epoch is still under way when its batches go
 * out again. */
static void on_quota_lost(void *ctx, struct quota *q)
{
    struct engine *e = ctx;
    e->workers_killed |= e->workers != NULL;
    workers_free(e->workers);
    e->workers = NULL;
    for (size_t i = 0; i < e->quota_count; i++) /* what they held of others need not wait */
        quota_reap_dead(e->quotas[i], e->worker_prefix);
    for (size_t i = 0; i < e->run_count; i++)
        if (e->runs[i].run && sync_run_quota(e->runs[i].run) == q)
            sync_run_queue_lost(e->runs[i].run);
}

static enum err_code commit_for_quota(void *ctx, struct err *err)
{
    return engine_commit(ctx, err);
}

/* ---- the loop ---- */

static void watch_private_redis(struct engine *e)
{
    struct err err;
    if (!e->private_redis || e->phase == PHASE_SHUT || !private_redis_check(e->private_redis, &err))
        return;
    log_event(e->opts.log, LOG_WARN, "private_redis_died", LOG_STR("reason", err.text));
    if (private_redis_restart(e->private_redis, &err))
        engine_fail(e, &err);
}

/* Nothing is lost by giving up: the next start goes on from the spool. */
static void watch_redis(struct engine *e)
{
    struct err err;
    if (!e->was_connected || !e->redis_away_ms ||
        clock_mono_ms() - e->redis_away_ms < REDIS_AWAY_MAX_MS)
        return;
    err_set(&err, ERR_UNREACHABLE,
            "redis: lost %d s ago and not reached since; the next run finishes what was under way",
            REDIS_AWAY_MAX_MS / 1000);
    engine_fail(e, &err);
}

static void commit_in_time(struct engine *e)
{
    struct err err;
    if (!state_dirty(e->state) || clock_mono_ms() - e->committed_ms < COMMIT_EVERY_MS)
        return;
    enum err_code rc = engine_commit(e, &err);
    if (rc == ERR_FULL)
        log_event(e->opts.log, LOG_WARN, "disk_full", LOG_STR("reason", err.text));
    else if (rc)
        engine_fail(e, &err);
}

static void on_shut(void *ctx)
{
    struct engine *e = ctx;
    e->shut_count++;
}

static void tell_progress(struct engine *e)
{
    if (!e->opts.on_progress || !e->run_count)
        return;
    struct engine_view *views = calloc(e->run_count, sizeof *views);
    if (!views)
        return;
    for (size_t i = 0; i < e->run_count; i++)
        views[i] = (struct engine_view){
            .record = sync_run_record(e->runs[i].run),
            .quota = e->runs[i].quota ? quota_summary(e->runs[i].quota) : NULL,
            .reading = sync_run_reads(e->runs[i].run),
            .ended = e->runs[i].ended,
        };
    e->opts.on_progress(e->opts.ctx, views, e->run_count);
    free(views);
}

static void begin_shut(struct engine *e)
{
    e->phase = PHASE_SHUT;
    if (e->workers)
        workers_drain(e->workers);
    for (size_t i = 0; i < e->quota_count; i++)
        quota_shut(e->quotas[i], on_shut, e);
    e->started_ms = clock_mono_ms();
}

static void turn_phase(struct engine *e)
{
    struct err err;
    int64_t passed = clock_mono_ms() - e->started_ms;
    switch (e->phase) {
    case PHASE_CONNECT:
        if (passed > CONNECT_DEADLINE_MS) {
            err_set(&err, ERR_UNREACHABLE, "redis: not reached within %d s: %.*s",
                    CONNECT_DEADLINE_MS / 1000, REASON_BYTES, e->redis_error.text);
            engine_fail(e, &err);
        }
        break;
    case PHASE_OPEN:
        if (!e->quota_count && engine_runs_load(e, &err))
            engine_fail(e, &err);
        else if (!e->quota_count || all_ready(e))
            on_quota_ready(e, NULL);
        break;
    case PHASE_RECOVER:
    case PHASE_RUN:
        engine_runs_turn(e);
        break;
    case PHASE_SHUT:
        if ((e->shut_count == e->quota_count && (!e->workers || !workers_alive(e->workers))) ||
            passed > DRAIN_MS)
            e->phase = PHASE_DONE;
        break;
    case PHASE_DONE:
        break;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct engine *e = arg;
    watch_private_redis(e);
    watch_redis(e);
    engine_watch_project(e);
    if (e->phase != PHASE_DONE)
        turn_phase(e);
    if (e->phase != PHASE_DONE)
        commit_in_time(e);
    tell_progress(e);
    if (e->phase == PHASE_DONE)
        event_base_loopbreak(e->base);
}

void engine_all_ended(struct engine *e)
{
    if (e->phase != PHASE_SHUT && e->phase != PHASE_DONE)
        begin_shut(e);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
    (void)sig;
    (void)what;
    struct engine *e = arg;
    if (e->stopping) {
        e->aborted = true;
        e->phase = PHASE_DONE;
        event_base_loopbreak(e->base);
        return;
    }
    e->stopping = true;
    if (e->opts.on_stopping)
        e->opts.on_stopping(e->opts.ctx);
    engine_runs_stop(e, RUN_STOP_CANCEL, "stopped by a signal");
    if (e->phase == PHASE_CONNECT || e->phase == PHASE_OPEN)
        engine_all_ended(e);
}

/* ---- life ---- */

static enum err_code add_events(struct engine *e, struct err *err)
{
    struct timeval t = {0, TICK_MS * 1000};
    e->tick = event_new(e->base, -1, EV_PERSIST, on_tick, e);
    e->sigint = evsignal_new(e->base, SIGINT, on_signal, e);
    e->sigterm = evsignal_new(e->base, SIGTERM, on_signal, e);
    if (!e->tick || !e->sigint || !e->sigterm || event_add(e->tick, &t) ||
        event_add(e->sigint, NULL) || event_add(e->sigterm, NULL))
        return err_set(err, ERR_NOMEM, "no memory for events");
    return ERR_OK;
}

static void set_hosts(struct engine *e)
{
    e->quota_host = (struct quota_host){
        .base = e->base,
        .redis = e->redis,
        .state = e->state,
        .project = e->project,
        .log = e->opts.log,
        .worker_prefix = e->worker_prefix,
        .ctx = e,
        .local_workers_gone = local_workers_gone,
        .has_other_workers = has_other_workers,
        .commit = commit_for_quota,
        .on_ready = on_quota_ready,
        .on_lost = on_quota_lost,
        .on_results = engine_on_results,
        .on_stats = engine_on_quota_stats,
        .on_state_lost = engine_on_state_lost,
        .on_broken = engine_on_quota_broken,
    };
}

static enum err_code engine_open(struct engine *e, struct err *err)
{
    const struct settings *s = &e->project->settings;
    enum err_code rc = engine_check_names(e, err);
    if (!rc)
        rc = sibling_program("sluice-worker", e->worker_program, err);
    if (!rc)
        rc = state_lock_take(&e->lock, s->state_dir, err);
    struct state_options o = {.reserve_bytes = s->disk_reserve_bytes};
    if (!rc)
        rc = state_open(s->state_dir, &o, &e->state, err);
    if (rc)
        return rc;
    snprintf(e->worker_prefix, sizeof e->worker_prefix, "local-%.12s-", state_id(e->state));
    e->base = event_base_new();
    if (!e->base)
        return err_set(err, ERR_NOMEM, "no event loop");
    rc = add_events(e, err);
    if (!rc)
        rc = start_redis(e, err);
    set_hosts(e);
    return rc;
}

static void engine_close(struct engine *e)
{
    struct err err;
    if (e->state && e->base && !e->failed && engine_commit(e, &err))
        log_event(e->opts.log, LOG_ERROR, "last_commit_failed", LOG_STR("reason", err.text));
    workers_free(e->workers);
    redis_free(e->redis); /* its callbacks still find their runs */
    engine_runs_free(e);
    for (size_t i = 0; i < e->quota_count; i++)
        quota_free(e->quotas[i]);
    free(e->quotas);
    private_redis_stop(e->private_redis, REDIS_GRACE_MS);
    state_close(e->state);
    if (e->tick)
        event_free(e->tick);
    if (e->sigint)
        event_free(e->sigint);
    if (e->sigterm)
        event_free(e->sigterm);
    if (e->base)
        event_base_free(e->base);
    state_lock_release(&e->lock);
}

enum err_code engine_run(const struct engine_options *opts, struct err *err)
{
    struct engine *e = calloc(1, sizeof *e);
    if (!e)
        return err_set(err, ERR_NOMEM, "no memory");
    e->opts = *opts;
    e->project = opts->project;
    e->lock = (struct state_lock){-1, -1};
    e->started_ms = e->committed_ms = clock_mono_ms();
    enum err_code rc = engine_open(e, err);
    if (!rc) {
        event_base_dispatch(e->base);
        if (e->failed) {
            *err = e->error;
            rc = err->code;
        } else if (e->aborted || e->stopping) {
            rc = err_set(err, ERR_STOPPED,
                         e->aborted ? "stopped at once; the next run finishes what was under way"
                                    : "stopped; what was not sent is found again by the next run");
        }
    }
    engine_close(e);
    free(e);
    return rc;
}
