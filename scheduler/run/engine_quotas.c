/* The engine's quotas: opened when a run needs one, opened anew when a reload changed its limits,
 * forgotten when the project has no such quota any more. Reads: the project in force. Invariant: a
 * quota is shut or replaced only while no run uses it. */
#include "scheduler/run/engine_private.h"

#include "protocol/base/clock.h"
#include "protocol/connector/connector.h"

#include <stdlib.h>

/* What broke a quota is told to the runs of this time; then it is tried again. */
enum { QUOTA_AGAIN_MS = 5000 };

static struct engine_quota_slot *slot_of(const struct engine *e, const char *name)
{
    for (size_t i = 0; i < e->quota_count; i++)
        if (strcmp(quota_name(e->quotas[i].quota), name) == 0)
            return &e->quotas[i];
    return NULL;
}

struct quota *engine_quota_of(const struct engine *e, const struct destination *d)
{
    const struct engine_quota_slot *s = slot_of(e, d->quota);
    return s ? s->quota : NULL;
}

enum err_code engine_quota_add(struct engine *e, const struct destination *d, struct err *err)
{
    if (e->opts.offline || slot_of(e, d->quota))
        return ERR_OK;
    struct engine_quota_slot *quotas = realloc(e->quotas, (e->quota_count + 1) * sizeof *quotas);
    if (!quotas)
        return err_set(err, ERR_NOMEM, "no memory for quotas");
    e->quotas = quotas;
    struct engine_quota_slot *s = &quotas[e->quota_count];
    *s = (struct engine_quota_slot){.project = e->project};
    enum err_code rc = quota_new(&e->quota_host, d, &s->quota, err);
    if (!rc)
        e->quota_count++;
    return rc;
}

static bool is_used(const struct engine *e, const struct quota *q)
{
    for (size_t i = 0; i < e->run_count; i++)
        if (e->runs[i].quota == q && !e->runs[i].cleaned)
            return true;
    return false;
}

bool engine_quota_is_settled(struct engine *e, const struct destination *d)
{
    struct engine_quota_slot *s = slot_of(e, d->quota);
    if (!s || s->stale || s->shut)
        return false;
    if (quota_is_ready(s->quota))
        return true;
    if (!quota_is_broken(s->quota))
        return false;
    if (!e->opts.stays || is_used(e, s->quota) || !quota_is_idle(s->quota))
        return true;
    if (s->project == e->project && clock_mono_ms() - s->broken_ms < QUOTA_AGAIN_MS)
        return true;
    s->project = e->project;
    quota_again(s->quota, d);
    return false;
}

bool engine_quotas_all_ready(const struct engine *e)
{
    for (size_t i = 0; i < e->quota_count; i++)
        if (!quota_is_ready(e->quotas[i].quota) && !quota_is_broken(e->quotas[i].quota) &&
            !engine_redis_gave_up(e, e->quotas[i].quota))
            return false;
    return true;
}

/* ---- reloading ---- */

static const struct destination *destination_of(const struct project *p, const char *quota)
{
    for (size_t i = 0; i < p->destination_count; i++)
        if (strcmp(p->destinations[i].quota, quota) == 0)
            return &p->destinations[i];
    return NULL;
}

static bool same_limits(const struct destination *a, const struct destination *b)
{
    if (a->limit_count != b->limit_count || a->concurrency != b->concurrency ||
        a->connector->open_jobs != b->connector->open_jobs)
        return false;
    for (size_t i = 0; i < a->limit_count; i++)
        if (a->limits[i].kind != b->limits[i].kind || a->limits[i].count != b->limits[i].count ||
            a->limits[i].per_ms != b->limits[i].per_ms || a->limits[i].group != b->limits[i].group)
            return false;
    return true;
}

static void compare(struct engine *e, struct engine_quota_slot *s)
{
    const struct destination *d = destination_of(e->project, quota_name(s->quota));
    s->stale = !d || s->shut || !same_limits(quota_destination(s->quota), d);
    if (s->stale)
        return;
    quota_rebind(s->quota, d);
    s->project = e->project;
}

void engine_set_project(struct engine *e, const struct project *project)
{
    const struct project **old = realloc(e->old, (e->old_count + 1) * sizeof(struct project *));
    struct err err;
    if (!old) {
        err_set(&err, ERR_NOMEM, "no memory for a project");
        engine_fail(e, &err);
        return;
    }
    e->old = old;
    e->old[e->old_count++] = e->project;
    e->project = project;
    e->run_host.project = project;
    e->quota_host.project = project;
    for (size_t i = 0; i < e->quota_count; i++)
        compare(e, &e->quotas[i]);
    engine_redis_reload(e);
    if (e->workers)
        workers_reload(e->workers);
    engine_asks_check(e);
    struct err told;
    if (engine_shard_look(e, &told))
        log_event(e->opts.log, LOG_WARN, "shards_not_looked_at", LOG_STR("reason", told.text));
    engine_hurry(e);
}

static bool uses(const struct engine *e, const struct project *p)
{
    bool used = engine_streams_use(e, p);
    for (size_t i = 0; i < e->run_count; i++)
        used |= e->runs[i].project == p;
    for (size_t i = 0; i < e->quota_count; i++)
        used |= e->quotas[i].project == p;
    return used;
}

void engine_forget_projects(struct engine *e)
{
    for (size_t i = 0; i < e->old_count; i++) {
        const struct project *p = e->old[i];
        if (uses(e, p))
            continue;
        e->old[i--] = e->old[--e->old_count];
        if (e->opts.on_project_unused)
            e->opts.on_project_unused(e->opts.ctx, p);
    }
}

/* ---- opening anew ---- */

static void on_stale_shut(void *ctx)
{
    (void)ctx; /* the turn of the loop sees it */
}

static void forget(struct engine *e, size_t i)
{
    quota_free(e->quotas[i].quota);
    memmove(&e->quotas[i], &e->quotas[i + 1], (--e->quota_count - i) * sizeof *e->quotas);
}

/* True where the slot is gone. */
static bool replace(struct engine *e, size_t i)
{
    struct engine_quota_slot *s = &e->quotas[i];
    if (is_used(e, s->quota))
        return false;
    if (quota_is_ready(s->quota)) {
        s->shut = true;
        quota_shut(s->quota, on_stale_shut, e);
        return false;
    }
    if (!quota_is_idle(s->quota))
        return false; /* shutting, or opening still: then it is shut once it is open */
    const struct destination *d = destination_of(e->project, quota_name(s->quota));
    if (!d) {
        forget(e, i);
        return true;
    }
    s->stale = s->shut = false;
    s->project = e->project;
    quota_again(s->quota, d);
    return false;
}

void engine_quotas_turn(struct engine *e)
{
    for (size_t i = 0; i < e->quota_count; i++)
        if (e->quotas[i].stale && replace(e, i))
            i--;
}

/* ---- what quotas tell ---- */

/* Those that a lost epoch took with it, once no quota is on its way back any more. */
static void restart_killed(struct engine *e)
{
    if (e->workers_killed && engine_quotas_all_ready(e))
        engine_need_workers(e);
}

static void on_ready(void *ctx, struct quota *q)
{
    struct engine *e = ctx;
    if (e->phase == PHASE_DONE)
        return;
    if (e->opts.on_quota_ready)
        e->opts.on_quota_ready(e->opts.ctx, q);
    bool all = engine_quotas_all_ready(e);
    restart_killed(e);
    if (e->opts.stays) {
        engine_runs_go(e, q);
        return;
    }
    if (!all)
        return;
    if (e->phase == PHASE_OPEN)
        e->phase = PHASE_RECOVER;
    engine_runs_go(e, NULL);
}

static void on_broken(void *ctx, struct quota *q, const struct err *err)
{
    struct engine *e = ctx;
    struct engine_quota_slot *s = slot_of(e, quota_name(q));
    if (s)
        s->broken_ms = clock_mono_ms();
    engine_on_quota_broken(e, q, err);
    restart_killed(e);
}

/* Workers are killed, so that no request of the lost epoch is still under way when its batches go
 * out again. */
static void on_lost(void *ctx, struct quota *q)
{
    struct engine *e = ctx;
    engine_kill_workers(e);
    for (size_t i = 0; i < e->quota_count; i++) /* what they held of others need not wait */
        quota_reap_dead(e->quotas[i].quota, e->worker_prefix);
    for (size_t i = 0; i < e->run_count; i++)
        if (sync_run_quota(e->runs[i].run) == q)
            sync_run_queue_lost(e->runs[i].run);
}

static void on_leaves(void *ctx, struct quota *q)
{
    struct engine *e = ctx;
    for (size_t i = 0; i < e->run_count; i++)
        if (sync_run_quota(e->runs[i].run) == q)
            sync_run_queue_lost(e->runs[i].run);
}

static enum err_code commit(void *ctx, struct err *err)
{
    return engine_commit(ctx, err);
}

void engine_quotas_set_host(struct engine *e)
{
    e->quota_host = (struct quota_host){
        .base = e->base,
        .fleet = e->fleet,
        .state = e->state,
        .project = e->project,
        .log = e->opts.log,
        .worker_prefix = e->worker_prefix,
        .ctx = e,
        .local_workers_gone = engine_local_workers_gone,
        .has_other_workers = engine_has_other_workers,
        .check_term = engine_term_check,
        .commit = commit,
        .on_ready = on_ready,
        .on_lost = on_lost,
        .on_leaves = on_leaves,
        .on_results = engine_on_results,
        .on_stats = engine_on_quota_stats,
        .on_state_lost = engine_on_state_lost,
        .goes_on = engine_quota_goes_on,
        .on_broken = on_broken,
    };
}

void engine_quotas_free(struct engine *e)
{
    for (size_t i = 0; i < e->quota_count; i++)
        quota_free(e->quotas[i].quota);
    free(e->quotas);
    for (size_t i = 0; i < e->old_count && e->opts.on_project_unused; i++)
        e->opts.on_project_unused(e->opts.ctx, e->old[i]);
    free(e->old);
}
