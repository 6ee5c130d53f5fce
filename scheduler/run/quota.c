/* Reads: results and stats of one quota. Writes: its epoch and permit in Redis, its windows in
 * state. Invariant: while READY, Redis holds our epoch and every result up to `position` was handed
 * on. A crash here: the permit runs out, workers claim nothing more, the next engine starts at
 * LOOK. */
#include "scheduler/run/quota_private.h"

#include "protocol/base/clock.h"
#include "scheduler/state/state.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

enum { PERMIT_RENEW_MS = 500 };

void quota_step_soon(struct quota *q, uint32_t ms)
{
    struct timeval t = {ms / 1000, (ms % 1000) * 1000};
    event_add(q->step, &t);
}

void quota_go(struct quota *q, enum quota_stage stage)
{
    q->stage = stage;
    quota_step_soon(q, 0);
}

void quota_break(struct quota *q, const struct err *err)
{
    q->stage = STAGE_BROKEN;
    q->error = *err;
    q->host->on_broken(q->host->ctx, q, err);
}

/* Redis away for a moment: the same step again. Anything that will not pass ends the quota. */
bool quota_passes(struct quota *q, const struct err *err)
{
    if (!err)
        return true;
    if (err_class(err->code) == ERR_CLASS_RETRY)
        quota_step_soon(q, RETRY_MS);
    else
        quota_break(q, err);
    return false;
}

/* What Redis will not do for this user it will not do later either. */
bool quota_refused(struct quota *q, const struct err *err)
{
    if (err->code != ERR_DENIED || q->stage == STAGE_BROKEN)
        return false;
    quota_break(q, err);
    return true;
}

/* ---- ready ---- */

void quota_lost(struct quota *q, const struct err *err)
{
    log_event(q->host->log, LOG_WARN, "epoch_lost", LOG_STR("quota", quota_name(q)),
              LOG_STR("reason", err->text));
    *q->position = *q->committed = '\0';
    q->stage = STAGE_LOOK;
    q->leaving = false;
    q->host->on_lost(q->host->ctx, q);
    quota_step_soon(q, WAIT_POLL_MS);
}

/* ---- values that must outlive Redis ---- */

static void on_shared(void *ctx, const struct queue_shared_value *values, size_t count,
                      uint64_t version, const struct err *err)
{
    struct quota *q = ctx;
    struct err failed;
    q->shared_busy = false;
    if (!err && shared_values_save(q->host->state, quota_name(q), values, count, version, &failed))
        err = &failed;
    if (!err && q->host->commit(q->host->ctx, &failed))
        err = &failed;
    if (err) /* the version stays behind, so the next permit asks again */
        log_event(q->host->log, LOG_WARN, "shared_values_not_saved",
                  LOG_STR("quota", quota_name(q)), LOG_STR("reason", err->text));
    else
        q->shared.version = version;
    if (q->shut_done && q->stage == STAGE_BROKEN) {
        void (*done)(void *) = q->shut_done;
        q->shut_done = NULL;
        done(q->shut_ctx);
    } else if (q->stage == STAGE_LAST) {
        quota_go(q, err ? STAGE_LOOK : STAGE_NOTE);
        quota_step_soon(q, err ? RETRY_MS : 0);
    }
}

enum err_code quota_shared_read(struct quota *q, struct err *err)
{
    if (q->shared_busy)
        return ERR_OK;
    enum err_code rc = queue_shared_all(q->queue, on_shared, q, err);
    q->shared_busy = !rc;
    return rc;
}

/* True while an answer is on its way. */
static bool save_shared(struct quota *q, const struct queue_stats *stats)
{
    struct err err;
    return q->shared_busy ||
           (stats->shared_version != q->shared.version && !quota_shared_read(q, &err));
}

/* ---- the end ---- */

/* Without a lease nobody is at work there any more, whatever becomes of the server. */
static enum err_code note_shut(struct quota *q, const struct queue_stats *stats, struct err *err)
{
    uint64_t leased = 0;
    for (size_t i = 0; i < stats->sync_count; i++)
        leased += stats->syncs[i].leased;
    q->place.open = leased > 0;
    enum err_code rc = closed_note(&q->closed, stats, err);
    if (!rc)
        rc = closed_save(&q->closed, q->host->state, quota_name(q), err);
    return rc ? rc : place_save(&q->place, q->host->state, quota_name(q), err);
}

/* Nothing is charged any more: what Redis says now is exact. */
static void finish_shut(struct quota *q, const struct queue_stats *stats)
{
    void (*done)(void *ctx) = q->shut_done;
    struct err err;
    q->stage = STAGE_BROKEN;
    if (stats && !windows_note(&q->windows, stats, &err) &&
        windows_save(&q->windows, q->host->state, q->destination, true, &err))
        log_event(q->host->log, LOG_WARN, "windows_not_saved", LOG_STR("reason", err.text));
    if (stats && note_shut(q, stats, &err))
        log_event(q->host->log, LOG_WARN, "place_not_saved", LOG_STR("reason", err.text));
    if (stats && save_shared(q, stats))
        return; /* on_shared ends it */
    q->shut_done = NULL;
    done(q->shut_ctx);
}

static enum err_code renew(struct quota *q, struct err *err);

/* The one that came may have been on its way already: then tokens are charged still. */
static void after_last_permit(struct quota *q, const struct queue_stats *stats,
                              const struct err *err)
{
    struct err own;
    if (!q->permit_ends && !err && !renew(q, &own))
        return;
    finish_shut(q, q->permit_ends ? stats : NULL);
}

static void on_permit(void *ctx, const struct queue_stats *stats, const struct err *err)
{
    struct quota *q = ctx;
    q->permit_busy = false;
    if (q->stage != STAGE_READY)
        return;
    if (q->shut_done) {
        after_last_permit(q, stats, err);
        return;
    }
    if (err && err->code == ERR_STALE) {
        quota_lost(q, err);
        return;
    }
    if (err && redis_fleet_moves(err)) { /* half of its keys may be lost with either node */
        q->torn = true;
        quota_lost(q, err);
        return;
    }
    if (err && quota_refused(q, err))
        return;
    quota_step_soon(q, PERMIT_RENEW_MS);
    if (err)
        return; /* Redis is away: workers stop by themselves when the permit runs out */
    quota_summarise(q, stats);
    struct err noted;
    if (windows_note(&q->windows, stats, &noted) || closed_note(&q->closed, stats, &noted))
        log_event(q->host->log, LOG_WARN, "windows_not_kept", LOG_STR("reason", noted.text));
    save_shared(q, stats);
    if (stats->unwatched && queue_wake(q->queue, &noted))
        log_event(q->host->log, LOG_DEBUG, "wake_failed", LOG_STR("reason", noted.text));
    q->host->on_stats(q->host->ctx, q, stats);
}

/* The grants are in state before Redis hears of them, so that an unclean end forgets no token. */
static enum err_code renew(struct quota *q, struct err *err)
{
    if (q->permit_busy)
        return ERR_OK;
    enum err_code rc = ERR_OK;
    if (q->windows.limit_count && !q->shut_done) {
        rc = windows_save(&q->windows, q->host->state, q->destination, false, err);
        if (!rc)
            rc = q->host->commit(q->host->ctx, err);
    }
    if (rc)
        return rc;
    q->permit_busy = true;
    q->permit_ends = q->shut_done != NULL;
    rc = queue_permit(q->queue, q->epoch, q->permit_ends ? 1 : PERMIT_MS,
                      state_commit_number(q->host->state), q->windows.grant, q->windows.limit_count,
                      on_permit, q, err);
    if (rc)
        q->permit_busy = false;
    return rc;
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct quota *q = arg;
    struct err err;
    enum err_code rc = ERR_OK;
    if (quota_place_lost(q))
        q->stage = STAGE_GONE;
    switch (q->stage) {
    case STAGE_SEARCH:
        rc = quota_search(q, &err);
        break;
    case STAGE_LOOK:
        rc = quota_look(q, &err);
        break;
    case STAGE_FENCE:
        rc = quota_fence(q, &err);
        break;
    case STAGE_WAIT:
        rc = quota_reap_fenced(q, &err);
        break;
    case STAGE_DRAIN:
        quota_ask_results(q, 0);
        break;
    case STAGE_CLEAR:
        rc = quota_clear(q, &err);
        break;
    case STAGE_WIPE:
        rc = quota_wipe(q, &err);
        break;
    case STAGE_OPEN:
        rc = quota_open_epoch(q, &err);
        break;
    case STAGE_READY:
        rc = renew(q, &err);
        break;
    case STAGE_TAKE:
        rc = quota_take(q, &err);
        break;
    case STAGE_LAST:
        rc = quota_take_last(q, &err);
        break;
    case STAGE_NOTE:
        rc = quota_note(q, &err);
        break;
    case STAGE_GONE:
        quota_gone(q);
        break;
    case STAGE_BROKEN:
        break;
    }
    if (rc)
        quota_passes(q, &err);
}

enum err_code quota_new(const struct quota_host *host, const struct destination *destination,
                        struct quota **ret_quota, struct err *err)
{
    struct quota *q = calloc(1, sizeof *q);
    if (!q)
        return err_set(err, ERR_NOMEM, "quota: no memory");
    q->host = host;
    q->destination = destination;
    enum err_code rc = place_load(&q->place, host->state, destination->quota, err);
    const char *at = *q->place.at ? q->place.at : redis_fleet_home(host->fleet, destination->quota);
    q->queue = rc ? NULL : queue_new_at(host->fleet, at, destination->quota);
    q->step = evtimer_new(host->base, on_step, q);
    if (!rc && (!q->queue || !q->step || !quota_results_init(q)))
        rc = err_set(err, ERR_NOMEM, "quota: no memory");
    if (!rc)
        rc = state_results_get(host->state, destination->quota, q->position, err);
    rc = rc == ERR_NOTFOUND ? ERR_OK : rc;
    if (rc) {
        quota_free(q);
        return rc;
    }
    if (quota_must_search(q))
        quota_search_begin(q);
    else
        quota_go(q, STAGE_LOOK);
    *ret_quota = q;
    return ERR_OK;
}

void quota_free(struct quota *q)
{
    if (!q)
        return;
    if (q->step)
        event_free(q->step);
    if (q->results)
        event_free(q->results);
    quota_move_free(q);
    queue_free(q->queue);
    windows_done(&q->windows);
    shared_values_done(&q->shared);
    closed_done(&q->closed);
    free(q->syncs);
    free(q);
}

const char *quota_name(const struct quota *q)
{
    return q->destination->quota;
}

struct queue *quota_queue(const struct quota *q)
{
    return q->queue;
}

const char *quota_epoch(const struct quota *q)
{
    return q->epoch;
}

bool quota_is_ready(const struct quota *q)
{
    return q->stage == STAGE_READY;
}

bool quota_was_ready(const struct quota *q)
{
    return q->was_ready;
}

bool quota_is_broken(const struct quota *q)
{
    return q->stage == STAGE_BROKEN;
}

const char *quota_error(const struct quota *q)
{
    return q->error.text;
}

const struct destination *quota_destination(const struct quota *q)
{
    return q->destination;
}

void quota_rebind(struct quota *q, const struct destination *destination)
{
    q->destination = destination;
}

bool quota_is_idle(const struct quota *q)
{
    return q->stage == STAGE_BROKEN && !q->results_busy && !q->permit_busy && !q->shared_busy &&
           !q->owner_busy && !q->shut_done;
}

void quota_again(struct quota *q, const struct destination *destination)
{
    ensure(quota_is_idle(q));
    q->destination = destination;
    q->error = (struct err){0};
    q->summary = (struct quota_summary){0};
    q->limit_used_count = 0;
    q->sync_count = 0;
    if (quota_must_search(q))
        quota_search_begin(q);
    else
        quota_go(q, STAGE_LOOK);
}

static void on_local_reaped(void *ctx, int64_t number, const struct err *err)
{
    (void)ctx;
    (void)number;
    (void)err; /* leases end by themselves when this is lost */
}

void quota_reap_dead(struct quota *q, const char *name)
{
    struct err err;
    if (q->stage == STAGE_READY && queue_reap(q->queue, name, true, on_local_reaped, q, &err))
        return;
}

void quota_shut(struct quota *q, void (*done)(void *ctx), void *ctx)
{
    struct err err;
    if (q->stage != STAGE_READY) {
        done(ctx);
        return;
    }
    q->shut_done = done;
    q->shut_ctx = ctx;
    event_del(q->results);
    if (!q->permit_busy && renew(q, &err))
        finish_shut(q, NULL);
}
