/* Leaving in good order: reads end, requests in flight end and are folded, permits are given up;
 * what is planned and not sent stays in its spool for the next start, which sends it under the same
 * ids. Invariant: no worker of ours is at work when the permits go, unless it takes too long. */
#include "scheduler/run/engine_private.h"

#include "protocol/base/clock.h"

#include <event2/event.h>

/* A request may take its whole timeout (30 s by default) before its worker can go. */
enum { LEAVE_MS = 60000 };

void engine_leave(struct engine *e)
{
    if (e->stopping || e->phase >= PHASE_DRAIN)
        return;
    e->stopping = true;
    if (e->opts.on_stopping)
        e->opts.on_stopping(e->opts.ctx);
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
    bool away = !e->was_connected || e->redis_away_ms;
    if (away || passed > LEAVE_MS || (all_stopped(e) && results_are_in(e, e->drained_ms)))
        engine_begin_shut(e);
}
