/* Opening a quota, step by step: look, fence, wait, (drain: quota.c), clear, open. Writes: the
 * epoch in Redis. Invariant: an epoch begins only when no lease of the one before can still be
 * alive. A crash here: the next engine begins at LOOK again. */
#include "scheduler/run/quota_private.h"

#include "protocol/base/clock.h"
#include "protocol/base/random.h"
#include "protocol/connector/connector.h"
#include "scheduler/state/state.h"

#include <stdio.h>

int64_t quota_lease_max_ms(const struct quota *q)
{
    uint64_t timeout = 0;
    for (size_t i = 0; i < q->host->project->destination_count; i++) {
        const struct destination *d = &q->host->project->destinations[i];
        if (strcmp(d->quota, q->destination->quota) == 0 && d->timeout_ms > timeout)
            timeout = d->timeout_ms;
    }
    return (int64_t)timeout + QUEUE_LEASE_MARGIN_MS;
}

static void on_looked(void *ctx, const struct queue_opened *o, const struct err *err)
{
    struct quota *q = ctx;
    struct err own;
    if (!quota_passes(q, err) || (o->fresh && quota_looks_around(q)))
        return;
    if (q->host->check_term(q->host->ctx, q, o, &own)) {
        quota_passes(q, &own);
        return;
    }
    q->looked = true;
    if (!o->fresh && !o->same_state && o->permit_left_ms > 0) {
        struct err busy;
        err_set(
            &busy, ERR_BUSY,
            "destination %s on this Redis is in use by another Sluice (state %s): give one of them "
            "another Redis database or another quota name",
            q->destination->name, o->other_state);
        quota_break(q, &busy);
        return;
    }
    bool restored = o->same_state && o->commit > state_commit_number(q->host->state);
    bool lost = restored || (!o->same_state && *o->other_state), heir = false;
    if (lost && q->host->on_state_lost(q->host->ctx, q, o, &heir, &own)) {
        quota_break(q, &own);
        return;
    }
    q->newer = q->place.arriving && lost && !heir;
    if (q->host->goes_on(q->host->ctx, q, &own)) {
        quota_passes(q, &own);
        return;
    }
    bool lost_some = o->restarted || q->torn;
    if (o->fresh || lost_some) /* a replica's results may be numbered below those read before */
        *q->position = *q->committed = '\0';
    /* An empty Redis has forgotten the leases of workers that are not ours, one that was restarted
     * or failed over the latest of them: they may still be at work. Of a slot that moved, and was
     * not handed over as a whole, any. */
    bool forgot = lost_some || (o->fresh && q->was_ready);
    q->lease_left_unknown = forgot && q->host->has_other_workers(q->host->ctx);
    q->lease_left_ms = q->lease_left_unknown ? quota_lease_max_ms(q) + PERMIT_MS : o->lease_left_ms;
    quota_go(q, STAGE_FENCE);
}

enum err_code quota_look(struct quota *q, struct err *err)
{
    return queue_look(q->queue, state_id(q->host->state), on_looked, q, err);
}

/* Redis refused what only the newest scheduler of a state may do, or what a step before it has not
 * prepared: another look tells. */
static bool looks_again(struct quota *q, const struct err *err)
{
    if (!err || (err->code != ERR_STALE && err->code != ERR_BUSY))
        return false;
    q->stage = STAGE_LOOK;
    quota_step_soon(q, RETRY_MS);
    return true;
}

static void on_fenced(void *ctx, int64_t number, const struct err *err)
{
    (void)number;
    struct quota *q = ctx;
    if (looks_again(q, err) || !quota_passes(q, err))
        return;
    q->fenced_ms = clock_mono_ms();
    quota_go(q, STAGE_WAIT);
}

enum err_code quota_fence(struct quota *q, struct err *err)
{
    return queue_fence(q->queue, on_fenced, q, err);
}

static bool leases_over(const struct quota *q)
{
    return clock_mono_ms() - q->fenced_ms > q->lease_left_ms;
}

static void on_reaped(void *ctx, int64_t left, const struct err *err)
{
    struct quota *q = ctx;
    if (looks_again(q, err) || !quota_passes(q, err))
        return;
    if (left > 0 || (q->lease_left_unknown && !leases_over(q))) {
        quota_step_soon(q, WAIT_POLL_MS);
        return;
    }
    q->rested_ms = clock_mono_ms();
    quota_go(q, STAGE_DRAIN);
}

/* Own dead workers first; after the longest lease everybody's, by our own clock. */
enum err_code quota_reap_fenced(struct quota *q, struct err *err)
{
    bool over = leases_over(q);
    bool dead = q->host->local_workers_gone(q->host->ctx, q->was_ready);
    return queue_reap(q->queue,
                      over   ? ""
                      : dead ? q->host->worker_prefix
                             : "",
                      over || dead, on_reaped, q, err);
}

/* How long a lane of this quota rests after a request: what an earlier epoch sent last is not known
 * to a fresh Redis. */
static int64_t rest_ms(const struct quota *q)
{
    const struct project *p = q->host->project;
    uint64_t longest = 0;
    for (size_t i = 0; i < p->sync_count; i++) {
        const struct sync *s = &p->syncs[i];
        if (s->target && strcmp(s->destination->quota, q->destination->quota) == 0 &&
            s->target->hold_ms > longest)
            longest = s->target->hold_ms;
    }
    return longest ? (int64_t)longest + p->settings.limit_slack_ms : 0;
}

static void on_cleared(void *ctx, int64_t left, const struct err *err)
{
    struct quota *q = ctx;
    if (looks_again(q, err) || !quota_passes(q, err))
        return;
    if (left <= 0 && q->leaving) {
        q->leaving = false;
        q->host->on_leaves(q->host->ctx, q);
    }
    int64_t rest = q->rested_ms + rest_ms(q) - clock_mono_ms();
    quota_go(q, left > 0 ? STAGE_CLEAR : quota_after_clear(q));
    if (left <= 0 && rest > 0)
        quota_step_soon(q, (uint32_t)rest);
}

enum err_code quota_clear(struct quota *q, struct err *err)
{
    return queue_clear(q->queue, on_cleared, q, err);
}

static void on_opened(void *ctx, int64_t now_ms, const struct err *err)
{
    (void)now_ms;
    struct quota *q = ctx;
    if (looks_again(q, err) || !quota_passes(q, err))
        return;
    q->was_ready = true;
    q->torn = false;
    q->searched = false;
    q->stage = STAGE_READY;
    quota_step_soon(q, 0);
    quota_ask_results(q, 0);
    q->host->on_ready(q->host->ctx, q);
    quota_wipe_left(q);
    quota_list_changed(q); /* the list may have changed while it was being opened */
}

/* From the commit on that has this, workers may hold leases there. */
static enum err_code note_open(struct quota *q, struct err *err)
{
    struct place p = q->place;
    snprintf(p.at, sizeof p.at, "%s", queue_member(q->queue));
    p.open = true;
    p.arriving = false;
    enum err_code rc = place_save(&p, q->host->state, q->destination->quota, err);
    if (!rc)
        q->place = p;
    return rc;
}

enum err_code quota_open_epoch(struct quota *q, struct err *err)
{
    const struct queue_window *saved;
    size_t count;
    enum err_code rc =
        windows_load(&q->windows, q->host->state, q->destination, &saved, &count, err);
    if (!rc)
        rc = windows_save(&q->windows, q->host->state, q->destination, false, err);
    if (!rc)
        rc = shared_values_load(&q->shared, q->host->state, q->destination->quota, err);
    if (!rc)
        rc = closed_load(&q->closed, q->host->state, q->destination->quota, err);
    if (!rc)
        rc = note_open(q, err);
    if (!rc)
        rc = q->host->commit(q->host->ctx, err);
    if (rc)
        return rc;
    random_hex(q->epoch, 32);
    struct queue_epoch e = {
        .state_id = state_id(q->host->state),
        .epoch = q->epoch,
        .run_id = "",
        .permit_ms = PERMIT_MS,
        .commit = state_commit_number(q->host->state),
        .limits = q->destination->limits,
        .limit_count = q->destination->limit_count,
        .concurrency = q->destination->concurrency,
        .max_open = q->destination->connector->open_jobs,
        .slack_ms = q->host->project->settings.limit_slack_ms,
        .windows = saved,
        .window_count = count,
        .grants = q->windows.grant,
        .grant_count = q->windows.limit_count,
        .shared = q->shared.items,
        .shared_count = q->shared.count,
        .shared_version = q->shared.version,
        .closed = q->closed.items,
        .closed_count = q->closed.count,
        .factor = q->closed.factor,
        .recovers_ms = q->closed.recovers_ms,
        .adds = q->newer,
    };
    return queue_open(q->queue, &e, on_opened, q, err);
}

/* ---- whose it is, while it is open ---- */

static void on_owner(void *ctx, const struct queue_opened *o, const struct err *err)
{
    struct quota *q = ctx;
    struct err own;
    q->owner_busy = false;
    if (err || q->stage != STAGE_READY)
        return; /* asked again */
    if (o->fresh || !o->same_state) {
        err_set(&own, ERR_STALE, "another scheduler opened it meanwhile, or Redis was emptied");
        quota_lost(q, &own);
    } else if (!q->host->check_term(q->host->ctx, q, o, &own)) {
        q->owned_since_ms = q->owner_since_ms;
    }
}

bool quota_owns_since(struct quota *q, int64_t since_ms)
{
    struct err err;
    if (q->stage != STAGE_READY || q->owned_since_ms >= since_ms)
        return true;
    if (!q->owner_busy) {
        q->owner_since_ms = since_ms;
        q->owner_busy = !queue_look(q->queue, state_id(q->host->state), on_owner, q, &err);
    }
    return false;
}
