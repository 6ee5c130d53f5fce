/* From one Redis server to another. Reads: the list of servers. Writes: the quota's place, windows
 * and shared values in state. Invariant: at any moment one server is the quota's place in state,
 * and it is opened at another only when no lease of the place can be alive and all that Redis alone
 * knew of it is in state. A crash here: the next engine begins at LOOK where state says that it is.
 */
#include "scheduler/run/quota_private.h"

#include "protocol/base/clock.h"
#include "protocol/base/random.h"
#include "protocol/connector/connector.h"
#include "scheduler/state/state.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

enum { WIPE_AGAIN_MS = 5000, NO_PERMIT_MS = 1, BUSY_MS = 50, BUSY_TRIES = 5 };

static const char *home_of(const struct quota *q)
{
    return redis_fleet_home(q->host->fleet, q->destination->quota);
}

static bool is_home(const struct quota *q)
{
    return strcmp(queue_member(q->queue), home_of(q)) == 0;
}

/* ---- leaving ---- */

void quota_list_changed(struct quota *q)
{
    q->search.count = 0; /* from the beginning, where it is being searched */
    if (q->stage != STAGE_READY || q->shut_done || is_home(q))
        return; /* a quota that is being opened looks for its home when that is done */
    log_event(q->host->log, LOG_INFO, "quota_leaves", LOG_STR("quota", quota_name(q)),
              LOG_STR("from", queue_member(q->queue)), LOG_STR("to", home_of(q)));
    q->leaving = true;
    quota_go(q, STAGE_LOOK);
}

/* Where it arrives what is newer than state stays; it moves on once it is open, if need be. */
enum quota_stage quota_after_clear(const struct quota *q)
{
    if (q->place.arriving)
        return q->newer ? STAGE_OPEN : STAGE_WIPE;
    return is_home(q) ? STAGE_OPEN : STAGE_TAKE;
}

/* A server that came back without what it knew, or that somebody else took: from the start. */
static bool take_passes(struct quota *q, const struct err *err)
{
    if (!err || (err->code != ERR_STALE && err->code != ERR_BUSY))
        return quota_passes(q, err);
    q->stage = STAGE_LOOK;
    quota_step_soon(q, WAIT_POLL_MS);
    return false;
}

static void on_taken(void *ctx, int64_t now_ms, const struct err *err)
{
    (void)now_ms;
    struct quota *q = ctx;
    if (take_passes(q, err))
        quota_go(q, STAGE_LAST);
}

/* Opened with a permit that is over at once, so that it can be asked and nobody can claim. */
enum err_code quota_take(struct quota *q, struct err *err)
{
    const struct queue_window *saved;
    size_t count;
    enum err_code rc =
        windows_load(&q->windows, q->host->state, q->destination, &saved, &count, err);
    if (!rc)
        rc = shared_values_load(&q->shared, q->host->state, q->destination->quota, err);
    if (rc)
        return rc;
    random_hex(q->epoch, 32);
    struct queue_epoch e = {
        .state_id = state_id(q->host->state),
        .epoch = q->epoch,
        .run_id = "",
        .permit_ms = NO_PERMIT_MS,
        .commit = state_commit_number(q->host->state),
        .limits = q->destination->limits,
        .limit_count = q->destination->limit_count,
        .concurrency = q->destination->concurrency,
        .max_open = q->destination->connector->open_jobs,
        .slack_ms = q->host->project->settings.limit_slack_ms,
        .windows = saved,
        .window_count = count,
        .shared = q->shared.items,
        .shared_count = q->shared.count,
        .shared_version = q->shared.version,
    };
    return queue_open(q->queue, &e, on_taken, q, err);
}

static void on_last(void *ctx, const struct queue_stats *stats, const struct err *err)
{
    struct quota *q = ctx;
    struct err own;
    if (!take_passes(q, err))
        return;
    enum err_code rc = windows_note(&q->windows, stats, &own);
    if (!rc)
        rc = windows_save(&q->windows, q->host->state, q->destination, true, &own);
    if (!rc)
        rc = closed_note(&q->closed, stats, &own);
    if (!rc)
        rc = quota_shared_read(q, &own); /* whose answer leads to NOTE */
    if (rc)
        take_passes(q, &own);
}

enum err_code quota_take_last(struct quota *q, struct err *err)
{
    return queue_permit(q->queue, q->epoch, NO_PERMIT_MS, state_commit_number(q->host->state), NULL,
                        0, on_last, q, err);
}

/* ---- the new place ---- */

/* What was sent to the old one has been answered. */
static bool is_quiet(const struct quota *q)
{
    return !q->results_busy && !q->permit_busy && !q->shared_busy;
}

/* One such server is remembered. What lies at one that is away by now is not waited for. */
static bool still_wipes(struct quota *q)
{
    const char *from = q->place.from;
    if (!*from || strcmp(from, home_of(q)) == 0 || strcmp(from, queue_member(q->queue)) == 0)
        return false;
    const struct redis *redis = redis_fleet_at(q->host->fleet, from, quota_name(q));
    if (!redis || !redis_connected(redis) || q->wipe_failed)
        return false;
    if (!q->wipe_busy)
        quota_wipe_left(q);
    return true;
}

enum err_code quota_note(struct quota *q, struct err *err)
{
    struct place p = {.arriving = true};
    const char *was = queue_member(q->queue);
    if (!is_quiet(q) || still_wipes(q)) {
        quota_step_soon(q, WAIT_POLL_MS);
        return ERR_OK;
    }
    if (redis_fleet_standing(q->host->fleet, was) != REDIS_MEMBER_UNKNOWN && !q->gone_ms)
        snprintf(p.from, sizeof p.from, "%s", was);
    snprintf(p.at, sizeof p.at, "%s", home_of(q));
    *q->position = *q->committed = '\0'; /* of another stream */
    enum err_code rc = place_save(&p, q->host->state, quota_name(q), err);
    if (!rc && q->closed.told_ms)
        rc = closed_save(&q->closed, q->host->state, quota_name(q), err);
    if (!rc)
        rc = state_results_put(q->host->state, quota_name(q), "", err);
    if (!rc)
        rc = q->host->commit(q->host->ctx, err);
    if (rc)
        return rc;
    log_event(q->host->log, LOG_INFO, "quota_moved", LOG_STR("quota", quota_name(q)),
              LOG_STR("from", was), LOG_STR("to", p.at));
    q->place = p;
    q->was_ready = false;
    q->gone_ms = 0;
    rc = queue_move(q->queue, p.at, err);
    if (rc)
        return rc;
    quota_go(q, STAGE_LOOK);
    return ERR_OK;
}

static void on_wiped(void *ctx, int64_t number, const struct err *err)
{
    (void)number;
    struct quota *q = ctx;
    if (take_passes(q, err))
        quota_go(q, is_home(q) ? STAGE_OPEN : STAGE_NOTE);
}

/* Whatever an earlier stay left there is older than what state has. */
enum err_code quota_wipe(struct quota *q, struct err *err)
{
    return queue_wipe(q->queue, state_id(q->host->state), state_commit_number(q->host->state), true,
                      on_wiped, q, err);
}

/* ---- a server that is gone ---- */

bool quota_place_lost(const struct quota *q)
{
    switch (q->stage) {
    case STAGE_SEARCH:
    case STAGE_READY:
    case STAGE_NOTE:
    case STAGE_GONE:
    case STAGE_BROKEN:
        return false;
    case STAGE_LOOK:
    case STAGE_FENCE:
    case STAGE_WAIT:
    case STAGE_DRAIN:
    case STAGE_CLEAR:
    case STAGE_WIPE:
    case STAGE_OPEN:
    case STAGE_TAKE:
    case STAGE_LAST:
        break;
    }
    const char *at = queue_member(q->queue);
    enum redis_standing standing = redis_fleet_standing(q->host->fleet, at);
    const struct redis *redis = queue_redis(q->queue);
    return standing == REDIS_MEMBER_UNKNOWN ||
           (standing == REDIS_MEMBER_DROPPED && (!redis || !redis_connected(redis)));
}

static int64_t gone_wait_ms(const struct quota *q)
{
    bool alone = strcmp(queue_member(q->queue), QUOTA_PRIVATE_MEMBER) == 0;
    return q->place.open && !alone ? quota_lease_max_ms(q) + PERMIT_MS : 0;
}

static bool is_back(const struct quota *q)
{
    const struct redis *redis = queue_redis(q->queue);
    return redis && redis_connected(redis);
}

/* As with an empty Redis: what workers hold there is not known, so its time is waited for. */
void quota_gone(struct quota *q)
{
    if (q->gone_ms && is_back(q)) { /* then it leaves in order, and nothing is sent again */
        q->gone_ms = 0;
        quota_go(q, STAGE_LOOK);
        return;
    }
    int64_t now = clock_mono_ms(), wait = gone_wait_ms(q);
    if (!q->gone_ms) {
        q->gone_ms = now;
        log_event(q->host->log, LOG_WARN, "quota_place_gone", LOG_STR("quota", quota_name(q)),
                  LOG_STR("server", queue_member(q->queue)), LOG_STR("to", home_of(q)),
                  LOG_INT("wait_ms", wait));
        if (q->was_ready)
            q->host->on_lost(q->host->ctx, q);
        q->leaving = false;
    }
    if (now - q->gone_ms >= wait) {
        quota_go(q, STAGE_NOTE);
        return;
    }
    quota_step_soon(q, WAIT_POLL_MS);
}

/* ---- what is left at the server it came from ---- */

static void wipe_after(struct quota *q, uint32_t ms)
{
    struct timeval t = {ms / 1000, (ms % 1000) * 1000};
    event_add(q->wipe, &t);
}

static void on_left_wiped(void *ctx, int64_t number, const struct err *err)
{
    (void)number;
    struct quota *q = ctx;
    struct err own;
    q->wipe_busy = false;
    if (strcmp(q->place.from, q->wiping) != 0) { /* it moved on meanwhile */
        wipe_after(q, 0);
        return;
    }
    if (err && err->code != ERR_BUSY) {
        q->wipe_failed = true;
        wipe_after(q, WIPE_AGAIN_MS);
        if (err->code == ERR_STALE && q->stage == STAGE_NOTE) /* superseded: the look tells */
            q->stage = STAGE_LOOK;
        return;
    }
    q->wipe_failed = false;
    /* Its last permit is not over yet, or another Sluice has the quota there by now. */
    if (err && q->wipe_refused++ < BUSY_TRIES) {
        wipe_after(q, BUSY_MS);
        return;
    }
    *q->place.from = *q->wiping = '\0'; /* lasts with the next commit; wiped again does no harm */
    if (place_save(&q->place, q->host->state, quota_name(q), &own))
        log_event(q->host->log, LOG_WARN, "place_not_saved", LOG_STR("reason", own.text));
}

static void on_wipe_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct quota *q = arg;
    struct err err;
    if (!*q->place.from || q->wipe_busy || !q->looked)
        return; /* looked at again by the answer, or once it is open */
    if (redis_fleet_standing(q->host->fleet, q->place.from) == REDIS_MEMBER_UNKNOWN ||
        strcmp(q->place.from, queue_member(q->queue)) == 0) {
        *q->place.from = '\0'; /* out of reach, or wiped with the arrival */
        return;
    }
    if (strcmp(q->wiping, q->place.from) != 0) {
        q->wipe_refused = 0;
        q->wipe_failed = false;
    }
    snprintf(q->wiping, sizeof q->wiping, "%s", q->place.from);
    queue_set_term(q->left, queue_term_of(q->queue));
    q->wipe_busy = !queue_move(q->left, q->place.from, &err) &&
                   !queue_wipe(q->left, state_id(q->host->state),
                               state_commit_number(q->host->state), false, on_left_wiped, q, &err);
    if (!q->wipe_busy)
        wipe_after(q, WIPE_AGAIN_MS);
}

void quota_wipe_left(struct quota *q)
{
    if (!*q->place.from)
        return;
    if (!q->left)
        q->left = queue_new_at(q->host->fleet, q->place.from, q->destination->quota);
    if (!q->wipe)
        q->wipe = evtimer_new(q->host->base, on_wipe_due, q);
    if (q->left && q->wipe)
        wipe_after(q, 0);
    else /* tried again when it is opened next */
        log_event(q->host->log, LOG_WARN, "quota_not_wiped", LOG_STR("quota", quota_name(q)),
                  LOG_STR("server", q->place.from), LOG_STR("reason", "no memory"));
}

void quota_move_free(struct quota *q)
{
    if (q->wipe)
        event_free(q->wipe);
    queue_free(q->left);
}

/* ---- telling ---- */

const char *quota_at(const struct quota *q)
{
    return queue_member(q->queue);
}

const char *quota_server(const struct quota *q)
{
    return redis_fleet_server_of(q->host->fleet, queue_member(q->queue), quota_name(q));
}

const char *quota_left_at(const struct quota *q)
{
    return q->place.from;
}

const char *quota_waits(const struct quota *q, char *out, size_t n)
{
    const char *at = quota_server(q);
    const struct redis *redis = queue_redis(q->queue);
    if (q->stage == STAGE_BROKEN || (q->stage == STAGE_READY && redis && redis_connected(redis)))
        return NULL;
    if (q->stage == STAGE_GONE) {
        int64_t left = gone_wait_ms(q) - (q->gone_ms ? clock_mono_ms() - q->gone_ms : 0);
        snprintf(
            out, n,
            "Redis server %s is gone: in %lld s no worker can hold anything of it, and %s goes "
            "on at %s",
            at, (long long)(left > 0 ? (left + 999) / 1000 : 0), quota_name(q), home_of(q));
    } else if (q->stage == STAGE_SEARCH) {
        snprintf(out, n, "Redis server %s is %s whether it has %s%s", at,
                 redis && redis_connected(redis) ? "asked" : "not reached, to be asked",
                 quota_name(q), q->search.around ? "" : ", which this state has not opened yet");
    } else if (!redis || !redis_connected(redis)) {
        snprintf(out, n, "Redis server %s is not reached%s", at,
                 is_home(q) ? "" : ", and what is there has to move");
    } else if (!is_home(q)) {
        snprintf(out, n, "it moves from Redis server %s to %s", at, home_of(q));
    } else {
        snprintf(out, n, "it is being opened at Redis server %s", at);
    }
    return out;
}
