/* Reads: changes of a stream, entries. Writes: frames to the spool, counters to the record.
 * Invariant: what is in flight is in the table until its last verdict, and no change of it is taken
 * before; every change that was taken is in one count. A crash here: the next start settles what
 * was spooled, the source gives the rest again. */
#include "scheduler/run/sync_stream.h"

#include "protocol/base/clock.h"
#include "scheduler/run/guard_hour.h"
#include "scheduler/run/sync_run_private.h"

#include <stdio.h>

enum { LANDED_KEEP_BYTES = 1 << 20, LANDED_BYTES_MAX = 64 << 20 };

/* ---- what the diff asks ---- */

static bool is_busy(void *ctx, uint32_t slot)
{
    struct sync_run *run = ctx;
    const struct flight *flight = in_flight_find(&run->stream.in_flight, slot);
    run->stream.awaited |= flight && flight->landed;
    return flight != NULL;
}

/* Those accepted when the hour began: what was removed since was among them. */
static uint64_t accepted_then(const struct sync_run *run)
{
    uint64_t hour = guard_hour_sums(run->stream.hour).removed, own = diff_counts(run->diff).removed;
    return run->accepted_before + (hour > own ? hour - own : 0);
}

static bool may_plan(void *ctx, enum diff_class class)
{
    struct sync_run *run = ctx;
    struct run_stream *s = &run->stream;
    const struct guard *g = &run->sync->guard;
    if (!s->hour || (class == DIFF_REMOVED ? !g->max_removed.set : !g->max_changed.set))
        return true;
    guard_hour_turn(s->hour, clock_wall_ms());
    uint64_t changed = class == DIFF_CHANGED, removed = class == DIFF_REMOVED ? s->gone + 1 : 0;
    return guard_hour_lets(g, s->hour, accepted_then(run), changed, removed, s->guard,
                           sizeof s->guard);
}

const struct diff_stream *run_stream_asks(struct sync_run *run)
{
    run->stream.asks = (struct diff_stream){is_busy, may_plan, run};
    return &run->stream.asks;
}

void sync_run_set_hour(struct sync_run *run, struct guard_hour *hour)
{
    run->stream.hour = hour;
    if (hour)
        guard_hour_turn(hour, clock_wall_ms());
}

const char *sync_run_guard(const struct sync_run *run)
{
    return *run->stream.guard ? run->stream.guard : NULL;
}

const char *sync_run_wants_read(const struct sync_run *run)
{
    return run->diff && run->record.stream && run_can_be_read(run) ? diff_wants_read(run->diff)
                                                                   : NULL;
}

static void count_hour(struct sync_run *run, enum diff_class class)
{
    struct guard_hour *hour = run->stream.hour;
    if (!hour)
        return;
    guard_hour_turn(hour, clock_wall_ms());
    guard_hour_count(hour, class == DIFF_CHANGED, class == DIFF_REMOVED);
}

/* ---- in flight ---- */

/* What a landed one is told by, once its verdicts are durable. */
struct landed_head {
    uint32_t slot, key_bytes;
};

/* Without memory nobody is told: whoever waits looks again in a while. */
static void keep_landed(struct sync_run *run, uint32_t slot, struct slice key)
{
    struct landed_head head = {slot, (uint32_t)key.n};
    struct buf *b = &run->stream.landed;
    if (!b->max)
        buf_init(b, LANDED_BYTES_MAX);
    if (buf_reserve(b, sizeof head + key.n) || buf_put(b, &head, sizeof head) ||
        buf_put(b, key.p, key.n))
        run->stream.untold = true;
}

/*
 * A crash may take back a verdict that is not committed, and with it what Redis knew of it: then
 * its record is sent again. Had a later version been sent by then, the two would be sent in any
 * order: so it is in flight until the commit.
 */
static void settle(struct sync_run *run, struct flight *flight, struct slice key)
{
    struct flight f = *flight;
    if (f.sent) {
        flight->landed = true;
        keep_landed(run, f.slot, key);
    } else {
        in_flight_drop(&run->stream.in_flight, flight);
    }
    if (run->host->on_settled)
        run->host->on_settled(run->host->ctx, run, f.mark, f.tries, key, (enum settled_how)f.worst);
}

void run_stream_settled(struct sync_run *run, uint32_t slot, struct slice key,
                        enum tally_count what)
{
    static const enum settled_how how[] = {[TALLY_SUCCEEDED] = SETTLED_SENT,
                                           [TALLY_REJECTED] = SETTLED_REJECTED,
                                           [TALLY_FAILED] = SETTLED_FAILED,
                                           [TALLY_CANCELLED] = SETTLED_CANCELLED};
    struct flight *flight = in_flight_find(&run->stream.in_flight, slot);
    if (!flight || !flight->records)
        return;
    if (how[what] > flight->worst)
        flight->worst = (uint8_t)how[what];
    flight->records--;
    run->stream.in_flight.records--;
    if (!flight->records && !flight->open)
        settle(run, flight, key);
}

void sync_run_landed(struct sync_run *run, sync_run_landed_cb cb, void *ctx)
{
    struct run_stream *s = &run->stream;
    const char *at = s->landed.p, *end = at + s->landed.len;
    while (at < end) {
        struct landed_head head;
        memcpy(&head, at, sizeof head);
        struct flight *flight = in_flight_find(&s->in_flight, head.slot);
        ensure(flight && flight->landed);
        in_flight_drop(&s->in_flight, flight);
        cb(ctx, slice_of(at + sizeof head, head.key_bytes));
        at += sizeof head + head.key_bytes;
    }
    if (s->untold)
        in_flight_drop_landed(&s->in_flight);
    s->awaited = s->untold = false;
    if (s->landed.cap > LANDED_KEEP_BYTES)
        buf_done(&s->landed);
    else
        buf_reset(&s->landed);
}

bool sync_run_awaits_commit(const struct sync_run *run)
{
    return run->stream.awaited;
}

static void one_more(struct sync_run *run, struct flight *flight)
{
    flight->sent = true;
    flight->records++;
    run->stream.in_flight.records++;
}

/* The change of this mark has the slot now. open: the end of the turn may plan more of it. */
static enum err_code hold_mark(struct sync_run *run, uint32_t slot, struct slice key,
                               const struct flight *change, struct err *err)
{
    struct in_flight *f = &run->stream.in_flight;
    struct flight *before = in_flight_find(f, slot);
    if (before) /* its row was gone, and is back in the same turn */
        settle(run, before, key);
    enum err_code rc = in_flight_add(f, slot, change->mark, change->tries, err);
    struct flight *flight = rc ? NULL : in_flight_find(f, slot);
    if (flight)
        flight->open = change->open;
    return rc;
}

/* ---- changes ---- */

/* While the disk is full what is planned waits in memory: no more of it then. */
static bool takes_changes(const struct sync_run *run)
{
    return run->stage == RUN_STAGE_READING && run->batcher && !run->stopping && !run->disk_full;
}

static void taken(struct sync_run *run)
{
    run->record.counts.changes++;
    run->dirty = true;
}

/* The row's change was taken: plans what is to be planned of it. */
static enum err_code plan_row(struct sync_run *run, const struct diff_decision *d,
                              const struct flight *change, enum change_taken *ret, struct err *err)
{
    bool planned = run_is_planned(d->class), refused = false;
    enum err_code rc = ERR_OK;
    taken(run);
    if (planned)
        rc = run_add_planned(run, d, &refused, err);
    planned &= !refused;
    *ret = planned || change->open ? CHANGE_PLANNED : CHANGE_DONE;
    if (rc || *ret == CHANGE_DONE)
        return rc;
    rc = hold_mark(run, d->slot, d->key, change, err);
    if (rc || !planned)
        return rc;
    one_more(run, in_flight_find(&run->stream.in_flight, d->slot));
    count_hour(run, d->class);
    return ERR_OK;
}

enum err_code sync_run_change_row(struct sync_run *run, const struct row *row, uint64_t mark,
                                  uint32_t tries, bool last, enum change_taken *ret,
                                  struct err *err)
{
    struct run_mapped m;
    struct diff_decision d;
    enum diff_taken how;
    *ret = CHANGE_BUSY;
    if (!takes_changes(run))
        return ERR_OK;
    enum err_code rc = run_map(run, row, &m, err);
    if (!rc)
        rc = diff_change_row(run->diff, &m.mapped, m.invalid, m.extra, last, &d, &how, err);
    if (rc || how == DIFF_BUSY)
        return rc;
    if (how == DIFF_WAITS) {
        *ret = CHANGE_ASIDE;
        return ERR_OK;
    }
    struct flight change = {.mark = mark, .tries = tries, .open = how == DIFF_OPEN};
    run->stream.gone += change.open;
    rc = plan_row(run, &d, &change, ret, err);
    return rc ? rc : run->host->commit_if_due(run->host->ctx, err);
}

enum err_code sync_run_change_gone(struct sync_run *run, struct slice key, uint64_t mark,
                                   uint32_t tries, enum change_taken *ret, struct err *err)
{
    uint32_t slot;
    enum diff_taken how;
    *ret = CHANGE_BUSY;
    if (!takes_changes(run))
        return ERR_OK;
    enum err_code rc = diff_change_gone(run->diff, key, &slot, &how, err);
    if (rc || how == DIFF_BUSY)
        return rc;
    taken(run);
    *ret = how == DIFF_OPEN ? CHANGE_PLANNED : CHANGE_DONE;
    if (how != DIFF_OPEN)
        return ERR_OK;
    run->stream.gone++;
    struct flight change = {.mark = mark, .tries = tries, .open = true};
    return hold_mark(run, slot, key, &change, err);
}

void sync_run_coalesced(struct sync_run *run, uint64_t changes)
{
    run->record.counts.changes += changes;
    run->record.counts.coalesced += changes;
    run->dirty = true;
}

/* ---- the end of a turn ---- */

/* first: of its slot. A change of one row may need more than one record: the others count too. */
static enum err_code plan_removal(struct sync_run *run, const struct diff_decision *d, bool first,
                                  struct err *err)
{
    bool refused;
    enum err_code rc = run_add_planned(run, d, &refused, err);
    struct flight *flight = in_flight_find(&run->stream.in_flight, d->slot);
    if (rc)
        return rc;
    ensure(flight && flight->open);
    one_more(run, flight);
    count_hour(run, DIFF_REMOVED);
    if (!first || d->why == REMOVAL_IDENTITY_CHANGED)
        run->record.counts.changes++;
    return ERR_OK;
}

static void close_slot(struct sync_run *run, uint32_t slot, struct slice key)
{
    struct flight *flight = in_flight_find(&run->stream.in_flight, slot);
    if (!flight || !flight->open)
        return;
    flight->open = false;
    if (!flight->records)
        settle(run, flight, key);
}

static enum err_code plan_removals(struct sync_run *run, struct err *err)
{
    uint32_t before = SLOT_NONE;
    enum diff_step step = DIFF_STEP_MORE;
    enum err_code rc = ERR_OK;
    while (step != DIFF_STEP_END && !rc) {
        struct diff_decision d;
        rc = diff_turn_next(run->diff, &d, &step, err);
        if (!rc && step == DIFF_STEP_ONE) {
            rc = plan_removal(run, &d, d.slot != before, err);
            before = d.slot;
        } else if (!rc && step == DIFF_STEP_MORE) {
            close_slot(run, d.slot, d.key);
        }
    }
    run->stream.gone = 0;
    return rc;
}

enum err_code sync_run_turn(struct sync_run *run, struct err *err)
{
    if (!takes_changes(run))
        return ERR_OK;
    enum err_code rc = plan_removals(run, err);
    if (!rc)
        rc = run_cut(run, false, err);
    if (rc)
        return rc;
    run->dirty = true;
    sync_run_pump(run);
    return run->host->commit_if_due(run->host->ctx, err);
}

/* ---- the end ---- */

/* The turn in hand is planned in either case: its changes were taken. */
static void close_run(struct sync_run *run)
{
    struct err err;
    enum err_code rc = plan_removals(run, &err);
    run->stage = RUN_STAGE_SENDING;
    run->record.status = RUN_PLANNED;
    if (!rc)
        rc = run_cut(run, run->record.read_ended, &err);
    run_take_counts(run);
    run->record.batches = spool_count(run->spool);
    run->record.version = state_sync_version(run->entries);
    if (!rc)
        rc = run_save(run, &err);
    if (rc)
        run_fail(run, &err);
    run_step_soon(run, 0);
}

void run_stream_end(struct sync_run *run)
{
    run->record.read_ended = false;
    close_run(run);
}

void sync_run_finish(struct sync_run *run)
{
    if (run->stage != RUN_STAGE_READING)
        return;
    if (!run->batcher) {
        sync_run_read_end(run, NULL);
        return;
    }
    run->record.read_ended = true;
    close_run(run);
    sync_run_pump(run);
}

/* ---- looking ---- */

uint64_t sync_run_in_flight(const struct sync_run *run)
{
    return run->recovered ? run->open_total : run->stream.in_flight.records;
}

uint64_t sync_run_batches_open(const struct sync_run *run)
{
    return run->open_batches;
}

uint64_t sync_run_changes(const struct sync_run *run)
{
    return run->record.counts.changes;
}
