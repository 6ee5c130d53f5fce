/* Reads: rows, entries. Writes: frames to the spool, counters to the record. Invariant: after every
 * row the record's counters balance. A crash here: what was spooled is finished by the next start,
 * without removals. */
#include "scheduler/run/sync_run_private.h"

#include "protocol/base/clock.h"
#include "protocol/connector/connector.h"
#include "scheduler/map/map.h"
#include "scheduler/run/approval.h"
#include "scheduler/run/drift.h"
#include "scheduler/run/guard.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { PLAN_STEPS_PER_TURN = 2000, DISK_POLL_MS = 1000 };

bool run_can_be_read(const struct sync_run *run)
{
    return !source_is_redis(run->sync->model->source);
}

/* Nothing is at the old target, and what that one refused says nothing about the new one. */
static enum err_code forget_entries(struct sync_run *run, struct err *err)
{
    state_sync_close(run->entries);
    run->entries = NULL;
    enum err_code rc = state_sync_drop(run->host->state, run->sync->name, err);
    return rc ? rc : state_sync_open(run->host->state, run->sync->name, &run->entries, err);
}

/* Entries of another target are kept until the new plan is approved; it is made against fresh ones.
 */
static enum err_code open_entries(struct sync_run *run, struct err *err)
{
    uint8_t target[16], known[16];
    struct state *state = run->host->state;
    enum err_code rc = run_target(run->sync, target);
    if (rc)
        return err_set(err, rc, "sync %s: no memory", run->sync->name);
    memcpy(run->record.target, target, sizeof target);
    rc = state_sync_drop_fresh(state, run->sync->name, err);
    if (!rc)
        rc = state_sync_open(state, run->sync->name, &run->entries, err);
    if (rc)
        return rc;
    struct state_counts counts = state_sync_counts(run->entries);
    run->accepted_before = counts.accepted;
    bool had = state_sync_target(run->entries, known), stale = counts.accepted + counts.doubt;
    if (had && memcmp(known, target, sizeof target) == 0)
        return ERR_OK;
    if (stale && !run_can_be_read(run)) { /* what comes from now on is for the new one */
        log_event(run->host->log, LOG_WARN, "target_changed", LOG_STR("run", run->record.id),
                  LOG_STR("sync", run->record.sync), LOG_INT("forgotten", counts.stored));
        stale = false;
        run->accepted_before = 0;
    }
    if (stale && run->record.stream)
        return err_set(err, ERR_STALE,
                       "the target changed (account, object, identify_by or primary key) while "
                       "records are accepted at the old one");
    if (!stale) {
        rc = had ? forget_entries(run, err) : ERR_OK;
        return rc ? rc : state_sync_set_target(run->entries, target, err);
    }
    state_sync_close(run->entries);
    run->entries = NULL;
    run->record.fresh = true;
    run->accepted_before = 0;
    char doubt[64] = "";
    if (counts.doubt) /* some of which may be accepted too */
        snprintf(doubt, sizeof doubt, " and %llu in doubt", (unsigned long long)counts.doubt);
    snprintf(run->hold, sizeof run->hold,
             "the target changed (account, object, identify_by or primary key) while %llu records "
             "are accepted%s at the old one; approval sends every row to the new one",
             (unsigned long long)counts.accepted, doubt);
    rc = state_sync_open_fresh(state, run->sync->name, &run->entries, err);
    return rc ? rc : state_sync_set_target(run->entries, target, err);
}

static enum err_code start_diff(struct sync_run *run, struct err *err)
{
    const struct sync *sync = run->sync;
    size_t key_count, field_count;
    bool over;
    enum err_code rc = first_run_is_over(run->host->state, sync->name, &over, err);
    if (rc)
        return rc;
    (void)map_key_names(run->map, &key_count);
    (void)map_fields(run->map, &field_count);
    struct diff_options o = {
        .entries = run->entries,
        .mode = run->adopt ? MODE_UPSERT : sync->mode, /* which removes nothing */
        .on_removed = run->adopt ? REMOVED_IGNORE : sync->on_removed,
        .full = !run->adopt && (run->full || sync->mode == MODE_FULL),
        .skip_first = run->adopt || (!run->record.stream && sync->first_run_set &&
                                     sync->first_run == FIRST_SKIP && !over && !run->record.fresh &&
                                     !run->state_lost),
        .has_identity = map_has_identity(run->map),
        .primary_names = run->primary_names,
        .primary_count = run->primary_count,
        .key_count = key_count,
        .field_count = field_count,
        .names = map_names_digest(run->map),
        .mapping = map_fingerprint(run->map),
        .run = run->record.id,
        .now_ms = run->record.started_ms,
        .stream = run->record.stream ? run_stream_asks(run) : NULL,
    };
    return diff_new(&o, &run->diff, err);
}

/* Nothing can be planned from what was read: the run waits for somebody to look. */
static enum err_code hold_unread(struct sync_run *run, const char *why, struct err *err)
{
    struct frame end = {.kind = FRAME_END};
    struct state *state = run->host->state;
    enum err_code rc = spool_append(run->spool, &end, err);
    if (!rc)
        rc = state_sync_open(state, run->sync->name, &run->entries, err);
    if (rc)
        return rc;
    run->stage = RUN_STAGE_SENDING;
    run->record.status = RUN_HELD;
    run->record.version = state_sync_version(run->entries);
    snprintf(run->record.reason, sizeof run->record.reason, "%s", why);
    rc = run_save(run, err);
    run_step_soon(run, 0);
    return rc;
}

/* Compiles the mapping, unless the model lost a column that it used: *ret_lost. */
static enum err_code compile(struct sync_run *run, const struct column *columns, size_t count,
                             bool *ret_lost, struct err *err)
{
    char why[RUN_TEXT_MAX + 1];
    struct err own;
    enum err_code rc = map_compile(run->sync, columns, count, &run->map, &own);
    bool judged = run->record.stream && run_can_be_read(run);
    bool guarded = judged || (!run->sync->guard.columns_off && !run->adopt && !run->record.stream);
    *ret_lost = false;
    if (rc && (rc != ERR_CONFIG || !guarded)) {
        *err = own;
        return rc;
    }
    enum err_code looked =
        drift_look(run->host->state, run->sync, run->map, columns, count, why, sizeof why, err);
    if (looked)
        return looked;
    if (judged && (rc || *why)) /* a run that reads the model says what is to become of it */
        return err_set(err, ERR_STALE, "%s", *why ? why : own.text);
    if (rc && !*why) {
        *err = own;
        return rc;
    }
    *ret_lost = rc;
    if (rc)
        return hold_unread(run, why, err);
    if (*why && !guarded)
        return drift_accept(run->host->state, run->sync->name, err);
    snprintf(run->hold, sizeof run->hold, "%s", why);
    return ERR_OK;
}

enum err_code sync_run_columns(struct sync_run *run, const struct column *columns, size_t count,
                               struct err *err)
{
    bool lost;
    enum err_code rc = compile(run, columns, count, &lost, err);
    if (rc || lost)
        return rc;
    rc = open_entries(run, err);
    if (!rc)
        rc = start_diff(run, err);
    if (!rc)
        rc = run_start_batches(run, err);
    if (rc)
        return rc;
    if (!*run->hold)
        snprintf(run->hold, sizeof run->hold, "%s", run->asked_hold);
    if (run->state_lost && (run->sync->mode == MODE_INSERT || run->sync->mode == MODE_APPEND) &&
        !*run->hold)
        snprintf(run->hold, sizeof run->hold,
                 "the state directory was lost or restored, and this mode would send its rows "
                 "again; approval does so");
    struct map_digest mapping = map_fingerprint(run->map);
    memcpy(run->record.mapping, mapping.bytes, sizeof run->record.mapping);
    run->record.waits = run->waits =
        !run->record.stream &&
        (run->record.plan || *run->hold || guard_waits(&run->sync->guard, run->accepted_before));
    rc = run_fold_ready(run, map_has_identity(run->map), &mapping, err);
    return rc ? rc : run_save(run, err);
}

enum err_code sync_run_columns_kept(struct sync_run *run, struct err *err)
{
    return run->host->commit(run->host->ctx, err);
}

void run_take_counts(struct sync_run *run)
{
    struct diff_counts c = diff_counts(run->diff);
    struct run_counts *r = &run->record.counts;
    r->rows = c.rows;
    r->added = c.added;
    r->changed = c.changed;
    r->removed = c.removed;
    r->unchanged = c.unchanged;
    r->invalid = c.invalid;
    r->quarantined = c.quarantined;
    r->planned = c.added + c.changed + c.removed;
    if (run->record.stream) /* counted as they came, not by what became of them */
        r->rows = r->changes - c.removed;
}

static struct frame_counts unplanned(const struct sync_run *run)
{
    struct diff_counts c = diff_counts(run->diff);
    return (struct frame_counts){c.unchanged, c.invalid, c.quarantined};
}

/* A full disk is no error: the frame waits in memory, rows wait in the warehouse. */
static enum err_code absorb_full(struct sync_run *run, enum err_code rc, const struct err *err)
{
    if (rc != ERR_FULL)
        return rc;
    if (!run->disk_full) {
        run->disk_full = true;
        log_event(run->host->log, LOG_WARN, "disk_full", LOG_STR("run", run->record.id),
                  LOG_STR("sync", run->record.sync), LOG_STR("reason", err->text));
        run->host->on_pause(run->host->ctx, run, true);
        run_step_soon(run, DISK_POLL_MS);
    }
    return ERR_OK;
}

enum err_code run_add_planned(struct sync_run *run, const struct diff_decision *d,
                              bool *ret_refused, struct err *err)
{
    static const enum record_class classes[] = {[DIFF_ADDED] = RECORD_ADDED,
                                                [DIFF_CHANGED] = RECORD_CHANGED,
                                                [DIFF_REMOVED] = RECORD_REMOVED};
    const char *refused = batcher_refuses(run->batcher, d->op, d->values);
    *ret_refused = refused;
    if (refused)
        return diff_refuse(run->diff, d, slice_str(refused), err);
    struct manifest_entry e = {.slot = d->slot,
                               .class = classes[d->class],
                               .op = d->op,
                               .key = d->key,
                               .identity = d->identity};
    memcpy(e.hash, d->hash, sizeof e.hash);
    bool laned = run->sync->one_lane || run->sync->lane_by || run->sync->lane_field;
    int lane = laned ? 0 : -1; /* removals have nothing to go by: they share a lane */
    if (d->extra.n)
        lane = (unsigned char)d->extra.p[0];
    struct frame_counts counts = unplanned(run);
    enum err_code rc = batcher_add(run->batcher, lane, &e, d->keys, d->values, &counts, err);
    rc = absorb_full(run, rc, err);
    return rc ? rc : run_batches_grow(run, err);
}

bool run_is_planned(enum diff_class class)
{
    return class == DIFF_ADDED || class == DIFF_CHANGED || class == DIFF_REMOVED;
}

/* False where the record may go beside any other. */
static bool take_lane(const struct sync_run *run, const struct row *row,
                      const struct mapped *mapped, char *ret_lane)
{
    int column = map_lane_column(run->map), field = map_lane_field(run->map);
    if (run->sync->one_lane || (column < 0 && field < 0))
        return false;
    struct slice value = value_slice(column >= 0 ? row->values[column] : mapped->fields[field]);
    *ret_lane = (char)(XXH3_64bits(value.p, value.n) % BATCHER_LANES);
    return true;
}

enum err_code run_map(struct sync_run *run, const struct row *row, struct run_mapped *ret,
                      struct err *err)
{
    enum err_code rc = map_run(run->map, row, &ret->mapped, &ret->why);
    ret->invalid = ret->extra = (struct slice){0};
    if (rc == ERR_INVALID)
        ret->invalid = slice_str(ret->why.text);
    else if (rc)
        return err_set(err, rc, "%s", ret->why.text);
    else if (take_lane(run, row, &ret->mapped, &ret->lane))
        ret->extra = slice_of(&ret->lane, 1);
    return ERR_OK;
}

enum err_code sync_run_row(struct sync_run *run, const struct row *row, struct err *err)
{
    struct run_mapped m;
    struct diff_decision d;
    bool refused;
    if (run->stage != RUN_STAGE_READING)
        return ERR_OK; /* stopped: the rest of the buffer in hand */
    enum err_code rc = run_map(run, row, &m, err);
    if (!rc)
        rc = diff_row(run->diff, &m.mapped, m.invalid, m.extra, &d, err);
    if (!rc && run_is_planned(d.class))
        rc = run_add_planned(run, &d, &refused, err);
    return rc ? rc : run->host->commit_if_due(run->host->ctx, err);
}

void sync_run_read_end(struct sync_run *run, const struct err *err)
{
    struct err own;
    if (run->stage != RUN_STAGE_READING)
        return;
    if (!run->batcher) { /* it ended before the columns came, or could not begin */
        run->stage = RUN_STAGE_SENDING;
        if (err)
            run_fail(run, err);
        run_check_end(run);
        return;
    }
    if (run->record.stream) {
        run_stream_end(run);
        return;
    }
    run->stage = RUN_STAGE_PLANNING;
    run->record.read_ended = !err;
    if (!diff_counts(run->diff).rows) /* all there may be are removals, and they may be held */
        run->waits = run->record.waits = run->dirty = true;
    if (err)
        run_fail(run, err);
    if (diff_finish(run->diff, run->record.read_ended, &own))
        run_fail(run, &own);
    run_step_soon(run, 0);
}

enum err_code run_cut(struct sync_run *run, bool complete, struct err *err)
{
    struct frame_counts counts = unplanned(run);
    enum err_code rc = absorb_full(run, batcher_flush(run->batcher, complete, &counts, err), err);
    if (!rc && complete) {
        struct frame end = {.kind = FRAME_END, .number = spool_count(run->spool), .counts = counts};
        rc = absorb_full(run, spool_append(run->spool, &end, err), err);
    }
    return rc ? rc : run_batches_grow(run, err);
}

/* Everything is planned and spooled: judge it, then send or hold. */
static enum err_code finish_plan(struct sync_run *run, struct err *err)
{
    enum err_code rc = run_cut(run, run->record.read_ended, err);
    if (rc)
        return rc;
    run_take_counts(run);
    run->record.batches = spool_count(run->spool);
    struct guard_facts facts = {run->accepted_before, run->record.counts.rows,
                                run->record.counts.changed, run->record.counts.removed};
    bool held = !run->stopping &&
                (*run->hold || guard_holds(&run->sync->guard, &facts, run->hold, sizeof run->hold));
    bool planned = !run->stopping && run->record.plan;
    run->stage = RUN_STAGE_SENDING;
    run->record.status = held || planned ? RUN_HELD : RUN_PLANNED;
    if (held)
        memcpy(run->record.reason, run->hold, sizeof run->record.reason);
    else if (planned)
        snprintf(run->record.reason, sizeof run->record.reason,
                 "planned to be looked at: nothing is sent before it is applied");
    held |= planned;
    run->record.version = state_sync_version(run->entries);
    run->judged = state_commit_number(run->host->state);
    if (run->record.read_ended)
        rc = first_run_over(run->host->state, run->sync->name, err);
    if (!rc && held)
        rc = approval_note(run->host->state, run->record.id, run->sync, err);
    return rc ? rc : run_save(run, err);
}

static enum err_code plan_some(struct sync_run *run, bool *ret_done, struct err *err)
{
    *ret_done = false;
    for (int i = 0; i < PLAN_STEPS_PER_TURN && !run->disk_full; i++) {
        struct diff_decision d;
        enum diff_step step;
        bool refused;
        enum err_code rc = diff_next(run->diff, &d, &step, err);
        if (!rc && step == DIFF_STEP_ONE && run_is_planned(d.class))
            rc = run_add_planned(run, &d, &refused, err);
        if (rc)
            return rc;
        if (step == DIFF_STEP_END) {
            *ret_done = true;
            return finish_plan(run, err);
        }
        if (step == DIFF_STEP_MORE)
            break;
    }
    return run->host->commit_if_due(run->host->ctx, err);
}

void run_plan_step(struct sync_run *run)
{
    struct err err;
    bool done;
    if (run->disk_full) {
        if (spool_flush(run->spool, &err) == ERR_FULL) {
            run_step_soon(run, DISK_POLL_MS);
            return;
        }
        run->disk_full = false;
        run->host->on_pause(run->host->ctx, run, false);
    }
    if (run->stage != RUN_STAGE_PLANNING)
        return;
    if (plan_some(run, &done, &err)) {
        run_fail(run, &err);
        run->stage = RUN_STAGE_SENDING;
        run_take_counts(run);
        done = true;
    }
    if (!done) {
        if (!run->disk_full)
            run_step_soon(run, 0);
        return;
    }
    /* A crash must find the judgement once anything was published. */
    if (run->waits && !run->stopping && run->host->commit(run->host->ctx, &err))
        run_fail(run, &err);
    if (run->record.status != RUN_HELD)
        sync_run_pump(run);
    run_check_end(run);
}
