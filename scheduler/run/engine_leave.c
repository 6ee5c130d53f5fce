/* Leaving in good order: reads end, requests in flight end and are folded, permits are given up;
 * what is planned and not sent stays in its spool for the next start, which sends it under the same
 * ids. Invariant: no worker of ours is at work when the permits go, unless it takes too long. */
#include "scheduler/run/engine_private.h"

#include "protocol/base/clock.h"

#include <event2/event.h>
#include <stdio.h>

/* A request may take its whole timeout (30 s by default) before its worker can go. */
enum { LEAVE_MS = 60000 };

/* A run that is to come once a day would otherwise be missed for being read at a bad moment. */
static void ask_again(struct engine *e, const struct engine_run_slot *slot)
{
    const struct run_record *r = sync_run_record(slot->run);
    struct engine_ask ask = {
        .scheduled_ms = r->scheduled_ms,
        .full = sync_run_is_full(slot->run),
        .adopt = sync_run_adopts(slot->run),
        .plan = r->plan,
    };
    struct err err;
    snprintf(ask.hold, sizeof ask.hold, "%s", sync_run_asked_hold(slot->run));
    snprintf(ask.sync, sizeof ask.sync, "%s", r->sync);
    snprintf(ask.trigger, sizeof ask.trigger, "%s", r->trigger);
    if (engine_ask(e, &ask, &err))
        log_event(e->opts.log, LOG_WARN, "run_not_asked_for", LOG_STR("reason", err.text));
}

void engine_leave(struct engine *e)
{
    if (e->stopping || e->phase >= PHASE_DRAIN)
        return;
    e->stopping = true;
    if (e->opts.on_stopping)
        e->opts.on_stopping(e->opts.ctx);
    engine_streams_leave(e);
    for (size_t i = 0; i < e->run_count; i++)
        if (!e->runs[i].ended && sync_run_plans(e->runs[i].run) &&
            !sync_run_record(e->runs[i].run)->stream && !sync_run_stopping(e->runs[i].run))
            ask_again(e, &e->runs[i]);
    engine_runs_stop_reads(e, "the scheduler was stopped while the warehouse was being read");
    if (e->workers)
        workers_drain(e->workers);
    e->phase = PHASE_DRAIN;
    e->started_ms = clock_mono_ms();
    engine_hurry(e);
}

static bool results_are_in(const struct engine *e, int64_t since_ms)
{
    for (size_t i = 0; i < e->quota_count; i++)
        if (quota_is_ready(e->quotas[i].quota) && !quota_results_end(e->quotas[i].quota, since_ms))
            return false;
    return true;
}

/* Reads that were stopped end as cancelled now, or as failed with the next start. */
static bool all_stopped(const struct engine *e)
{
    for (size_t i = 0; i < e->run_count; i++)
        if (sync_run_stopping(e->runs[i].run) && !e->runs[i].cleaned)
            return false;
    return true;
}

void engine_leave_turn(struct engine *e)
{
    int64_t passed = clock_mono_ms() - e->started_ms;
    engine_runs_turn(e);
    if (e->phase != PHASE_DRAIN)
        return;
    if (engine_workers_alive(e)) {
        if (passed > LEAVE_MS)
            engine_begin_shut(e);
        return;
    }
    if (!e->drained_ms)
        e->drained_ms = clock_mono_ms();
    bool away = engine_redis_away(e);
    if (away || passed > LEAVE_MS || (all_stopped(e) && results_are_in(e, e->drained_ms)))
        engine_begin_shut(e);
}
