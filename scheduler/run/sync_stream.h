/*
 * A run that is fed changes by a stream instead of rows by a read.
 *
 * Made by sync_run_new with run_start.stream, opened by sync_run_columns and sync_run_columns_kept;
 * then turns: rows and keys that are gone, and sync_run_turn, which decides identities, gives
 * removals and cuts the batches. Publishing, folding, stopping and recovering are those of any run.
 * Invariant: a record of which a version is in flight is never planned again before its verdict.
 */
#ifndef SLUICE_RUN_SYNC_STREAM_H
#define SLUICE_RUN_SYNC_STREAM_H

#include "scheduler/aggregate/tally.h"
#include "scheduler/run/sync_run.h"

/* What became of a change. */
enum change_taken {
    CHANGE_PLANNED, /* on_settled of the host is called once, with its mark, when all that was
                       planned for it has verdicts */
    CHANGE_DONE,    /* unchanged, invalid or quarantined: settled, and counted */
    CHANGE_BUSY,  /* its record, or the owner of its identity, is in flight, a guard keeps it back,
                     or  the run takes no more changes: nothing was done */
    CHANGE_ASIDE, /* another row has its identity: give it again, with `last`, behind the rest of
                     the turn   (rows and gone keys). Nothing was done */
};

/** mark: comes back with on_settled. tries: how often the record has failed; comes back as well. */
enum err_code sync_run_change_row(struct sync_run *run, const struct row *row, uint64_t mark,
                                  uint32_t tries, bool last, enum change_taken *ret,
                                  struct err *err) MUST_CHECK;
/** The row of this key (key bytes) is gone. Its removals are planned by sync_run_turn; CHANGE_DONE:
 * nothing is to be removed. */
enum err_code sync_run_change_gone(struct sync_run *run, struct slice key, uint64_t mark,
                                   uint32_t tries, enum change_taken *ret,
                                   struct err *err) MUST_CHECK;
/** Ends a turn: plans the removals, cuts the open batches. Changes that needed none after all are
 * settled inside. */
enum err_code sync_run_turn(struct sync_run *run, struct err *err) MUST_CHECK;
typedef void (*sync_run_landed_cb)(void *ctx, struct slice key);
/** Behind a commit: records whose verdicts are durable by now are no longer in flight. Tells the
 * key bytes of each. */
void sync_run_landed(struct sync_run *run, sync_run_landed_cb cb, void *ctx);
/** A change waits for a verdict that is in state and not committed. */
bool sync_run_awaits_commit(const struct sync_run *run);
/** Changes that were seen and replaced before they were planned: count as coalesced. */
void sync_run_coalesced(struct sync_run *run, uint64_t changes);

/** Records without a verdict, and batches that hold some. */
uint64_t sync_run_in_flight(const struct sync_run *run);
uint64_t sync_run_batches_open(const struct sync_run *run);
/** Changes of this run so far. */
uint64_t sync_run_changes(const struct sync_run *run);
/** Nothing is known of this key any more, nor of what is at the destination for it, but what is
 * listed for people; not where a version of it is in flight. */
enum err_code sync_run_forget(struct sync_run *run, struct slice key, struct err *err) MUST_CHECK;
/** Why only a read of the whole model can decide some row; NULL: nothing of the kind so far, or the
 * model cannot be read. */
const char *sync_run_wants_read(const struct sync_run *run);
/** Plans nothing more: ends once everything has its verdict. */
void sync_run_finish(struct sync_run *run);

/* ---- the rolling hour of guards ---- */

/* Kept by the stream over its runs, and over restarts; zero at first. */
struct guard_hour {
    uint64_t changed[60], removed[60]; /* per minute of the wall clock */
    int64_t minute;
};
/** The run counts into it and asks it: once its guards are exceeded, changes that would add to it
 * are answered with CHANGE_BUSY, and sync_run_guard says why. NULL: no guard. */
void sync_run_set_hour(struct sync_run *run, struct guard_hour *hour);
/** Words of the guard that holds; NULL. */
const char *sync_run_guard(const struct sync_run *run);

#endif
