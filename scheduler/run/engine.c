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
    SLOW_TICK_MS = 100, /* while nothing is under way */
    COMMIT_EVERY_MS = 250,
    COMMIT_SOON_MS = 20, /* while a change of a stream waits for it */
    DRAIN_MS = 5000,
    TELL_FULL_MS = 10000,
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
    if (engine_stood_still(e))
        return err_set(err, ERR_FULL,
                       "the process stood still: it asks first whether another went on with this "
                       "state");
    for (size_t i = 0; i < e->quota_count && !rc; i++)
        rc = quota_save_position(e->quotas[i].quota, err);
    for (size_t i = 0; i < e->run_count && !rc; i++)
        rc = sync_run_before_commit(e->runs[i].run, err);
    if (!rc)
        rc = engine_streams_before_commit(e, err);
    if (!rc)
        rc = state_commit(e->state, err);
    if (rc)
        return rc;
    e->committed_ms = clock_mono_ms();
    for (size_t i = 0; i < e->quota_count; i++)
        quota_committed(e->quotas[i].quota);
    engine_streams_committed(e);
    return ERR_OK;
}

/* ---- the loop ---- */

void engine_tell_full(struct engine *e, const struct err *err)
{
    int64_t now = clock_mono_ms();
    if (e->full_told_ms && now - e->full_told_ms < TELL_FULL_MS)
        return;
    e->full_told_ms = now;
    log_event(e->opts.log, LOG_WARN, "disk_full", LOG_STR("reason", err->text));
}

static void commit_in_time(struct engine *e)
{
    struct err err;
    int64_t every = engine_streams_await_commit(e) ? COMMIT_SOON_MS : COMMIT_EVERY_MS;
    if (!state_dirty(e->state) || clock_mono_ms() - e->committed_ms < every)
        return;
    enum err_code rc = engine_commit(e, &err);
    if (rc == ERR_FULL)
        engine_tell_full(e, &err);
    else if (rc)
        engine_fail(e, &err);
}

static void on_shut(void *ctx)
{
    struct engine *e = ctx;
    e->shut_count++;
}

const struct engine_view *engine_views(struct engine *e, size_t *ret_count)
{
    struct engine_view *views = realloc(e->views, (e->run_count + 1) * sizeof *views);
    *ret_count = 0;
    if (!views)
        return NULL;
    e->views = views;
    for (size_t i = 0; i < e->run_count; i++)
        views[i] = (struct engine_view){
            .record = sync_run_record(e->runs[i].run),
            .quota = e->runs[i].quota ? quota_summary(e->runs[i].quota) : NULL,
            .sync = sync_run_sync(e->runs[i].run),
            .full = sync_run_is_full(e->runs[i].run),
            .adopt = sync_run_adopts(e->runs[i].run),
            .batches_due = sync_run_batches_due(e->runs[i].run),
            .reading = sync_run_reads(e->runs[i].run),
            .stopping = sync_run_stopping(e->runs[i].run),
            .ended = e->runs[i].ended,
        };
    *ret_count = e->run_count;
    return views;
}

static void tell_progress(struct engine *e)
{
    size_t count;
    const struct engine_view *views;
    if (!e->opts.on_progress)
        return;
    views = engine_views(e, &count);
    if (count || e->opts.stays)
        e->opts.on_progress(e->opts.ctx, views, count);
}

void engine_begin_shut(struct engine *e)
{
    e->phase = PHASE_SHUT;
    if (e->workers)
        workers_drain(e->workers);
    e->shut_count = 0;
    for (size_t i = 0; i < e->quota_count; i++)
        if (e->quotas[i].shut)
            e->shut_count++; /* on its way, or over */
        else
            quota_shut(e->quotas[i].quota, on_shut, e);
    e->started_ms = clock_mono_ms();
}

void engine_hurry(struct engine *e)
{
    struct timeval t = {0, TICK_MS * 1000};
    if (!e->slow)
        return;
    e->slow = false;
    event_add(e->tick, &t);
}

static void slow_down(struct engine *e)
{
    struct timeval t = {0, SLOW_TICK_MS * 1000};
    bool idle = e->opts.stays && e->phase == PHASE_RUN && !e->run_count && !e->ask_count;
    if (!idle)
        engine_hurry(e);
    else if (!e->slow)
        e->slow = !event_add(e->tick, &t);
}

/* An engine that stays does not wait for what was left: a dead destination holds up nobody else. */
static void open_turn(struct engine *e)
{
    struct err err;
    if (!e->loaded) {
        e->loaded = true;
        if (engine_runs_load(e, &err)) {
            engine_fail(e, &err);
            return;
        }
    }
    if (e->opts.stays) {
        e->phase = PHASE_RUN;
        engine_redis_reload(e); /* what lies at a server that is leaving */
        engine_runs_go(e, NULL);
    } else if (engine_quotas_all_ready(e)) {
        e->phase = PHASE_RECOVER;
        engine_runs_go(e, NULL);
    }
}

static void turn_phase(struct engine *e)
{
    int64_t passed = clock_mono_ms() - e->started_ms;
    switch (e->phase) {
    case PHASE_CONNECT:
        break; /* the first server that is reached ends it */
    case PHASE_OPEN:
        open_turn(e);
        break;
    case PHASE_RECOVER:
    case PHASE_RUN:
        engine_quotas_turn(e);
        engine_runs_turn(e);
        if (e->phase == PHASE_RUN)
            engine_streams_turn(e);
        engine_forget_projects(e);
        break;
    case PHASE_DRAIN:
        engine_leave_turn(e);
        break;
    case PHASE_SHUT:
        if ((e->shut_count >= e->quota_count && !engine_workers_alive(e)) || passed > DRAIN_MS)
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
    engine_redis_turn(e);
    if (e->phase != PHASE_DONE && !engine_may_turn(e))
        return;
    engine_watch_project(e);
    if (e->phase != PHASE_DONE)
        turn_phase(e);
    if (e->phase != PHASE_DONE)
        commit_in_time(e);
    tell_progress(e);
    slow_down(e);
    if (e->phase == PHASE_DONE)
        event_base_loopbreak(e->base);
}

void engine_all_ended(struct engine *e)
{
    if (e->phase != PHASE_SHUT && e->phase != PHASE_DONE)
        engine_begin_shut(e);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
    (void)sig;
    (void)what;
    struct engine *e = arg;
    if (e->opts.stays && !e->stopping) {
        engine_leave(e);
        return;
    }
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

static enum err_code engine_open(struct engine *e, struct err *err)
{
    const struct settings *s = &e->project->settings;
    e->project_dir = strdup(e->project->named);
    if (!e->project_dir)
        return err_set(err, ERR_NOMEM, "no memory");
    enum err_code rc = sibling_program("sluice-worker", e->worker_program, err);
    if (!rc && e->opts.lock) {
        e->lock = *e->opts.lock;
        *e->opts.lock = (struct state_lock){-1, -1};
    } else if (!rc) {
        rc = state_lock_take(&e->lock, s->state_dir, err);
    }
    struct state_options o = {.reserve_bytes = s->disk_reserve_bytes};
    if (!rc)
        rc = engine_take_place(e, err);
    if (!rc)
        rc = state_open(s->state_dir, &o, &e->state, err);
    if (rc)
        return rc;
    rc = engine_term_open(e, err);
    if (!rc)
        rc = engine_shard_look(e, err);
    if (rc)
        return rc;
    snprintf(e->worker_prefix, sizeof e->worker_prefix, "local-%.12s-", state_id(e->state));
    e->base = event_base_new();
    if (!e->base)
        return err_set(err, ERR_NOMEM, "no event loop");
    rc = add_events(e, err);
    if (!rc && e->opts.offline)
        e->phase = PHASE_OPEN;
    else if (!rc)
        rc = engine_redis_start(e, err);
    engine_quotas_set_host(e);
    engine_runs_set_host(e);
    if (!rc)
        rc = engine_asks_load(e, err);
    return rc;
}

void engine_free(struct engine *e)
{
    struct err err;
    if (!e)
        return;
    if (e->state && e->base && !e->failed && engine_commit(e, &err))
        log_event(e->opts.log, LOG_ERROR, "last_commit_failed", LOG_STR("reason", err.text));
    if (e->state && !e->failed)
        engine_prune_history(e, 0);
    engine_streams_free(e);
    workers_free(e->workers);
    redis_fleet_free(e->fleet); /* its callbacks still find their runs */
    engine_runs_free(e);
    engine_quotas_free(e);
    engine_redis_free(e);
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
    free(e->views);
    free(e->asks);
    free(e->project_dir);
    free(e);
}

enum err_code engine_new(const struct engine_options *opts, struct engine **ret_engine,
                         struct err *err)
{
    struct engine *e = calloc(1, sizeof *e);
    if (!e)
        return err_set(err, ERR_NOMEM, "no memory");
    e->opts = *opts;
    e->project = opts->project;
    e->lock = (struct state_lock){-1, -1};
    e->started_ms = e->committed_ms = clock_mono_ms();
    e->runs_max = engine_runs_that_fit();
    e->sweeps = true; /* a crash may have left some */
    enum err_code rc = engine_open(e, err);
    if (rc) {
        e->failed = true; /* nothing of it is to be committed */
        engine_free(e);
        return rc;
    }
    *ret_engine = e;
    return ERR_OK;
}

enum err_code engine_loop(struct engine *e, struct err *err)
{
    event_base_dispatch(e->base);
    if (e->failed) {
        *err = e->error;
        return err->code;
    }
    if (e->aborted)
        return err_set(err, ERR_STOPPED,
                       "stopped at once; the next run finishes what was under way");
    if (e->stopping && !e->opts.stays)
        return err_set(err, ERR_STOPPED,
                       "stopped; what was not sent is found again by the next run");
    return ERR_OK;
}

struct event_base *engine_base(const struct engine *e)
{
    return e->base;
}

struct state *engine_state(const struct engine *e)
{
    return e->state;
}

bool engine_is_stopping(const struct engine *e)
{
    return e->stopping || e->phase >= PHASE_SHUT;
}

bool engine_is_ready(struct engine *e, const char **ret_why)
{
    bool ready = false;
    if (engine_is_stopping(e)) {
        *ret_why = "the scheduler is stopping";
        return false;
    }
    *ret_why = engine_redis_why(e);
    if (e->fleet && engine_redis_away(e))
        return false;
    ready = e->phase == PHASE_RUN && !e->term.asks;
    if (e->term.asks)
        *ret_why = "the process stood still, and asks whether another took over";
    else if (!ready)
        *ret_why = "what an earlier process left is being recovered";
    return ready;
}
