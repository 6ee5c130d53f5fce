/* The engine's own workers: when they start, and what follows from their end. Reads: the project.
 * Invariant: whoever publishes has asked for them. A crash here: they die with us. */
#include "scheduler/run/engine_private.h"

#include "protocol/base/clock.h"

#include <sched.h>

enum { WORKERS_DEFAULT_MAX = 4, WORKERS_AGAIN_MS = 10000 };

static void on_death(void *ctx, const char *name)
{
    struct engine *e = ctx;
    for (size_t i = 0; i < e->quota_count; i++)
        quota_reap_dead(e->quotas[i].quota, name);
}

/* An engine that stays tries again: a project folder that is being edited may be the reason. */
static void on_broken(void *ctx, const struct err *err)
{
    struct engine *e = ctx;
    if (!e->opts.stays) {
        engine_fail(e, err);
        return;
    }
    log_event(e->opts.log, LOG_ERROR, "workers_broken", LOG_STR("reason", err->text));
    e->workers_pause_ms = clock_mono_ms() + WORKERS_AGAIN_MS;
}

static uint32_t default_workers(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return (uint32_t)(n < 1 ? 1 : n > WORKERS_DEFAULT_MAX ? WORKERS_DEFAULT_MAX : n);
}

static enum err_code start(struct engine *e, struct err *err)
{
    struct workers_options o = {
        .program = e->worker_program,
        .project_dir = e->project_dir,
        .log_dir = e->opts.stays ? NULL : e->project->settings.state_dir,
        .redis_url = e->private_redis ? private_redis_url(e->private_redis) : NULL,
        .name_prefix = e->worker_prefix,
        .count = e->opts.workers ? e->opts.workers : default_workers(),
        .log = e->opts.log,
        .on_death = on_death,
        .on_broken = on_broken,
        .ctx = e,
    };
    return workers_start(e->base, &o, &e->workers, err);
}

void engine_need_workers(void *ctx)
{
    struct engine *e = ctx;
    struct err err;
    if (e->opts.no_workers || e->phase >= PHASE_DRAIN)
        return;
    if (e->workers && e->workers_pause_ms && clock_mono_ms() >= e->workers_pause_ms) {
        workers_free(e->workers); /* those that could not be kept alive */
        e->workers = NULL;
    }
    if (e->workers)
        return;
    e->workers_killed = false;
    e->workers_pause_ms = 0;
    if (start(e, &err))
        engine_fail(e, &err);
}

void engine_kill_workers(struct engine *e)
{
    e->workers_killed |= e->workers != NULL;
    workers_free(e->workers);
    e->workers = NULL;
}

bool engine_local_workers_gone(void *ctx, bool own)
{
    struct engine *e = ctx;
    return !e->workers && (own || !e->term.elsewhere) && state_lock_workers_gone(&e->lock);
}

bool engine_has_other_workers(void *ctx)
{
    const struct engine *e = ctx;
    return !e->private_redis;
}

uint32_t engine_workers_alive(const struct engine *e)
{
    return e->workers ? workers_alive(e->workers) : 0;
}
