/* What the engine is asked for. Reads: the project in force. Writes: in an engine that stays, each
 * ask under `ask:RUN` in state until the run's own record is there, in one transaction with it.
 * Invariant: at most one ask of a kind waits for a sync. A crash here: the next engine that stays
 * takes what it finds. */
#include "scheduler/run/engine_private.h"

#include "protocol/base/clock.h"
#include "scheduler/batch/spool.h"
#include "scheduler/run/approval.h"
#include "scheduler/state/entries.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ASK_VERSION = 1,
    ASK_BYTES = 1024,
    ASKS_MAX = 100000,
    ASKS_AGAIN_MS = 1000,
    ASKS_LOOKED_PER_MS = 10,
    BEGIN_MS = 30
};
static const char ask_prefix[] = "ask:";

void engine_run_id(char out[STATE_RUN_ID_MAX + 1])
{
    sync_run_id(clock_wall_ms(), out);
}

/* ---- in state ---- */

static void ask_name(const char *run, char out[STATE_RUN_ID_MAX + sizeof ask_prefix])
{
    snprintf(out, STATE_RUN_ID_MAX + sizeof ask_prefix, "%s%s", ask_prefix, run);
}

static enum err_code keep(struct engine *e, const struct engine_ask *ask, struct err *err)
{
    uint8_t bytes[ASK_BYTES];
    char name[STATE_RUN_ID_MAX + sizeof ask_prefix];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    if (!e->opts.stays)
        return ERR_OK;
    pack_u8(&k, ASK_VERSION);
    pack_u8(&k, (uint8_t)(ask->full | ask->adopt << 1 | ask->approve << 2 | ask->plan << 3));
    pack_u64(&k, (uint64_t)ask->scheduled_ms);
    pack_str(&k, ask->sync);
    pack_str(&k, ask->trigger);
    pack_str(&k, ask->hold); /* empty in older ones */
    ensure(!k.full);
    ask_name(ask->run, name);
    return state_misc_put(e->state, name, slice_of(bytes, k.n), err);
}

static enum err_code unkeep(struct engine *e, const struct engine_ask *ask, struct err *err)
{
    char name[STATE_RUN_ID_MAX + sizeof ask_prefix];
    ask_name(ask->run, name);
    return e->opts.stays ? state_misc_put(e->state, name, (struct slice){0}, err) : ERR_OK;
}

static enum err_code push(struct engine *e, const struct engine_ask *ask, struct err *err)
{
    struct engine_ask *asks =
        e->ask_count < ASKS_MAX ? realloc(e->asks, (e->ask_count + 1) * sizeof *asks) : NULL;
    if (!asks)
        return err_set(err, ERR_FULL, "no room for more that is asked for");
    e->asks = asks;
    e->asks[e->ask_count++] = *ask;
    return ERR_OK;
}

struct loading {
    struct engine *e;
    enum err_code code;
    struct err err;
};

static bool take_kept(void *ctx, const char *name, struct slice value)
{
    struct loading *l = ctx;
    struct unpack u = {(const uint8_t *)value.p, value.n};
    struct engine_ask ask = {0};
    uint8_t version = unpack_u8(&u), flags = unpack_u8(&u);
    if (version != ASK_VERSION)
        return true; /* of a later version: left for it */
    ask.full = flags & 1;
    ask.adopt = flags & 2;
    ask.approve = flags & 4;
    ask.plan = flags & 8;
    ask.scheduled_ms = (int64_t)unpack_u64(&u);
    unpack_str(&u, ask.sync, sizeof ask.sync);
    unpack_str(&u, ask.trigger, sizeof ask.trigger);
    unpack_str(&u, ask.hold, sizeof ask.hold);
    snprintf(ask.run, sizeof ask.run, "%.*s", STATE_RUN_ID_MAX, name + sizeof ask_prefix - 1);
    l->code = push(l->e, &ask, &l->err);
    return !l->code;
}

enum err_code engine_asks_load(struct engine *e, struct err *err)
{
    struct loading l = {.e = e};
    if (!e->opts.stays)
        return ERR_OK;
    enum err_code rc = state_misc_list(e->state, ask_prefix, take_kept, &l, err);
    if (!rc && l.code) {
        *err = l.err;
        return l.code;
    }
    if (!rc)
        engine_asks_check(e);
    return rc;
}

/* ---- asking ---- */

/* Each has a file, a thread and a connection of its own: the rest waits until some have ended. */
static bool is_room(const struct engine *e)
{
    size_t under_way = 0;
    for (size_t i = 0; i < e->run_count; i++)
        under_way += !e->runs[i].cleaned;
    return under_way < e->runs_max;
}

/* Whoever adopts, only plans or holds wants nothing to be sent: such an ask never becomes
 * another's. */
static bool same_kind(const struct engine_ask *a, const struct engine_ask *b)
{
    return a->approve == b->approve && a->adopt == b->adopt && a->plan == b->plan &&
           !*a->hold == !*b->hold && (!a->approve || strcmp(a->run, b->run) == 0);
}

static struct engine_ask *find_same(const struct engine *e, const struct engine_ask *ask)
{
    for (size_t i = 0; i < e->ask_count; i++)
        if (same_kind(&e->asks[i], ask) && strcmp(e->asks[i].sync, ask->sync) == 0)
            return &e->asks[i];
    return NULL;
}

static struct engine_ask *find(const struct engine *e, const char *sync, bool approve)
{
    for (size_t i = 0; i < e->ask_count; i++)
        if (e->asks[i].approve == approve && strcmp(e->asks[i].sync, sync) == 0)
            return &e->asks[i];
    return NULL;
}

static enum err_code check_approval(struct engine *e, struct engine_ask *ask, struct err *err)
{
    struct run_record record;
    enum err_code rc = state_run_get(e->state, ask->run, &record, err);
    if (rc == ERR_NOTFOUND)
        return err_set(err, ERR_USAGE, "there is no run %s; sluice runs lists them", ask->run);
    if (rc)
        return rc;
    snprintf(ask->sync, sizeof ask->sync, "%s", record.sync);
    (void)engine_lets_go(e, record.sync);
    const struct engine_run_slot *slot = engine_run_of(e, record.sync);
    if (slot && strcmp(sync_run_record(slot->run)->id, ask->run) == 0)
        return ERR_OK; /* it is being held this moment, and is looked at when it has been */
    if (slot)
        return err_set(err, ERR_USAGE,
                       "run %s cannot be approved: another run of sync %s is under way and takes "
                       "its place",
                       ask->run, record.sync);
    return approval_check(e->state, &record, project_sync(e->project, record.sync), err);
}

enum err_code engine_ask(struct engine *e, struct engine_ask *ask, struct err *err)
{
    enum err_code rc = ERR_OK;
    const struct sync *sync = project_sync(e->project, ask->sync);
    if (ask->approve)
        rc = check_approval(e, ask, err);
    else if (!sync)
        rc = project_no_sync(e->project, ask->sync, err);
    else if (sync_only_streams(sync))
        rc =
            err_set(err, ERR_USAGE,
                    "the sync %s only streams: its events are sent as they come, while `sluice up` "
                    "or sluice-scheduler runs; there is nothing that a run could read",
                    sync->name);
    if (rc)
        return rc;
    struct engine_ask *same = find_same(e, ask);
    if (same) {
        same->full |= ask->full;
        if (*ask->snapshot) /* the latest one is the one that still is */
            memcpy(same->snapshot, ask->snapshot, sizeof same->snapshot);
        *ask = *same;
        return keep(e, same, err);
    }
    if (!*ask->run)
        engine_run_id(ask->run);
    if (!ask->scheduled_ms)
        ask->scheduled_ms = clock_wall_ms();
    rc = push(e, ask, err);
    if (rc)
        return rc;
    rc = keep(e, ask, err);
    if (rc)
        e->ask_count--;
    engine_hurry(e);
    return rc;
}

const struct engine_ask *engine_asked(const struct engine *e, const char *sync)
{
    const struct engine_ask *ask = find(e, sync, true);
    return ask ? ask : find(e, sync, false);
}

const struct engine_ask *engine_asked_run(const struct engine *e, const char *run)
{
    for (size_t i = 0; i < e->ask_count; i++)
        if (strcmp(e->asks[i].run, run) == 0)
            return &e->asks[i];
    return NULL;
}

const char *engine_asked_why(struct engine *e, const struct engine_ask *ask)
{
    const char *why = NULL;
    const struct sync *sync = project_sync(e->project, ask->sync);
    const struct quota *q = sync ? engine_quota_of(e, sync->destination) : NULL;
    if (q && (why = quota_waits(q, e->ask_why, sizeof e->ask_why)))
        return why;
    if ((!q || engine_is_stopping(e)) && !engine_is_ready(e, &why))
        return why;
    if (engine_run_of(e, ask->sync))
        return "the run before it has not ended";
    if (!is_room(e))
        return "as many runs are under way as may be open files";
    return "its destination's limits are being restored in Redis";
}

/* ---- beginning ---- */

static void drop(struct engine *e, size_t i)
{
    memmove(&e->asks[i], &e->asks[i + 1], (--e->ask_count - i) * sizeof *e->asks);
}

static enum err_code make_run(struct engine *e, const struct engine_ask *ask,
                              const struct sync *sync, struct sync_run **ret, struct err *err)
{
    struct run_record record;
    bool lost = false;
    enum err_code rc;
    if (ask->approve) {
        rc = state_run_get(e->state, ask->run, &record, err);
        return rc ? rc : sync_run_approve(&e->run_host, &record, sync, ret, err);
    }
    rc = resync_wanted(e->state, sync->name, &lost, err);
    if (!rc && lost)
        rc = resync_begun(e->state, sync->name, ask->run, err);
    struct run_start start = {
        .id = ask->run,
        .trigger = ask->trigger,
        .scheduled_ms = ask->scheduled_ms,
        .full = ask->full,
        .state_lost = lost,
        .adopt = ask->adopt,
        .plan = ask->plan,
        .hold = ask->hold,
        .snapshot = ask->snapshot,
    };
    return rc ? rc : sync_run_new(&e->run_host, sync, &start, ret, err);
}

static enum err_code begin(struct engine *e, const struct engine_ask *ask, const struct sync *sync,
                           struct err *err)
{
    struct sync_run *run = NULL;
    enum err_code rc = make_run(e, ask, sync, &run, err);
    if (!rc)
        rc = unkeep(e, ask, err);
    if (!rc)
        rc = engine_run_add(e, run, err);
    else
        sync_run_free(run);
    if (rc)
        return rc;
    struct quota *quota = e->runs[e->run_count - 1].quota;
    if (e->opts.on_begun)
        e->opts.on_begun(e->opts.ctx, sync_run_record(run));
    if (quota && quota_is_broken(quota))
        sync_run_stop(run, RUN_STOP_FAIL, quota_error(quota));
    sync_run_attach(run, quota);
    return ERR_OK;
}

static bool may_begin(struct engine *e, const struct engine_ask *ask, const struct sync *sync)
{
    const struct quota *q = engine_quota_of(e, sync->destination);
    if (engine_run_of(e, ask->sync) || (q && engine_redis_gave_up(e, q)))
        return false;
    return !e->opts.stays || engine_quota_is_settled(e, sync->destination);
}

/* What is wrong with the ask is told of it. What may pass, as a lack of room, lets an engine that
 * stays wait with everything that is asked for; any other is ended. */
static enum err_code begin_one(struct engine *e, const struct engine_ask *ask,
                               const struct sync *sync, bool *ret_later, struct err *err)
{
    struct err own;
    enum err_code rc = begin(e, ask, sync, &own);
    *ret_later = rc && e->opts.stays && err_class(rc) == ERR_CLASS_RETRY;
    if (*ret_later) {
        log_event(e->opts.log, LOG_WARN, "run_begins_later", LOG_STR("run", ask->run),
                  LOG_STR("sync", ask->sync), LOG_STR("reason", own.text));
        e->asks_pause_ms = clock_mono_ms() + ASKS_AGAIN_MS;
        return ERR_OK;
    }
    bool of_it = rc == ERR_USAGE || (rc && e->opts.stays && err_class(rc) != ERR_CLASS_BUG);
    if (of_it && e->opts.on_ask_failed) {
        e->opts.on_ask_failed(e->opts.ctx, ask, &own);
        return unkeep(e, ask, err);
    }
    *err = own;
    return rc;
}

static enum err_code begin_next(struct engine *e, size_t *i, bool *begun, struct err *err)
{
    struct engine_ask ask = e->asks[*i];
    const struct sync *sync = project_sync(e->project, ask.sync);
    enum err_code rc = sync ? engine_quota_add(e, sync->destination, err) : ERR_OK;
    if (!rc && (!sync || !may_begin(e, &ask, sync))) {
        ++*i;
        return ERR_OK;
    }
    if (!rc && !*begun)
        rc = engine_commit(e, err);
    if (rc)
        return rc;
    bool later;
    *begun = true;
    rc = begin_one(e, &ask, sync, &later, err);
    if (later)
        *i = e->ask_count;
    else
        drop(e, *i);
    return rc;
}

/* Commits before and after, so that a full disk is met while nothing was begun. Many at once take
 * several turns, so that the loop serves others meanwhile; reads wait for the last of them. */
enum err_code engine_asks_begin(struct engine *e, struct err *err)
{
    bool begun = false;
    int64_t since = clock_mono_ms();
    enum err_code rc = ERR_OK;
    e->beginning = false;
    if (clock_mono_ms() < e->asks_pause_ms)
        return ERR_OK;
    for (size_t i = 0; i < e->ask_count && is_room(e) && !rc && !e->beginning;) {
        rc = begin_next(e, &i, &begun, err);
        e->beginning = begun && i < e->ask_count && clock_mono_ms() - since > BEGIN_MS;
    }
    if (rc || begun)
        return rc ? rc : engine_commit(e, err);
    if (e->asks_pause_ms <= clock_mono_ms()) /* looking at thousands takes its time */
        e->asks_pause_ms = clock_mono_ms() + (int64_t)(e->ask_count / ASKS_LOOKED_PER_MS);
    return ERR_OK;
}

void engine_asks_check(struct engine *e)
{
    for (size_t i = 0; i < e->ask_count;) {
        struct engine_ask ask = e->asks[i];
        struct err err;
        if (project_sync(e->project, ask.sync)) {
            i++;
            continue;
        }
        drop(e, i);
        if (unkeep(e, &ask, &err))
            log_event(e->opts.log, LOG_WARN, "ask_not_forgotten", LOG_STR("reason", err.text));
        (void)project_no_sync(e->project, ask.sync, &err);
        if (e->opts.on_ask_failed)
            e->opts.on_ask_failed(e->opts.ctx, &ask, &err);
    }
}

/* ---- taking back ---- */

enum err_code engine_cancel(struct engine *e, const char *run, const char *why, struct err *err)
{
    for (size_t i = 0; i < e->run_count; i++) {
        const struct engine_run_slot *slot = &e->runs[i];
        if (strcmp(sync_run_record(slot->run)->id, run) != 0)
            continue;
        if (slot->ended)
            return err_set(err, ERR_USAGE, "run %s has ended", run);
        sync_run_stop(slot->run, RUN_STOP_CANCEL, why);
        return ERR_OK;
    }
    for (size_t i = 0; i < e->ask_count; i++) {
        struct engine_ask ask = e->asks[i];
        if (strcmp(ask.run, run) != 0)
            continue;
        drop(e, i);
        return unkeep(e, &ask, err);
    }
    return err_set(err, ERR_NOTFOUND, "run %s is not under way", run);
}

enum err_code engine_reject(struct engine *e, const char *run, const char *why, struct err *err)
{
    struct run_record r;
    char path[PATH_MAX];
    enum err_code rc = state_run_get(e->state, run, &r, err);
    if (rc)
        return rc;
    if (r.status != RUN_HELD)
        return err_set(err, ERR_USAGE, "run %s is not held: it is %s", run,
                       run_status_name(r.status));
    (void)engine_lets_go(e, r.sync);
    const struct engine_run_slot *slot = engine_run_of(e, r.sync);
    if (slot && !slot->ended && strcmp(sync_run_record(slot->run)->id, run) == 0) {
        sync_run_stop(slot->run, RUN_STOP_CANCEL, why); /* it is being held this moment */
        return ERR_OK;
    }
    if (slot || find(e, r.sync, true))
        return err_set(err, ERR_BUSY, "sync %s is under way: run %s cannot be rejected now", r.sync,
                       run);
    r.status = RUN_CANCELLED;
    r.counts.cancelled = r.counts.planned; /* none of it was sent */
    r.ended_ms = clock_wall_ms();
    snprintf(r.error, sizeof r.error, "%.*s", RUN_TEXT_MAX, why);
    snprintf(path, sizeof path, "%s/%.*s", e->project->settings.state_dir, (int)sizeof r.spool,
             r.spool);
    rc = state_run_put(e->state, &r, err);
    if (!rc)
        rc = approval_forget(e->state, run, err);
    if (!rc && r.fresh)
        rc = state_sync_drop_fresh(e->state, r.sync, err);
    if (!rc)
        rc = engine_commit(e, err);
    e->sweeps = true;
    if (!rc)
        engine_streams_run_ended(e, &r);
    return rc ? rc : spool_remove(path, err);
}
