/* Going on with a spool: runs that a crash left, and held runs that were approved. Reads: frames,
 * settled bits. Writes: the record. Invariant: a record without a verdict is sent only where the
 * run had been judged or was free to publish. A crash here: the next start does the same again. */
#include "scheduler/run/sync_run_private.h"

#include "protocol/base/clock.h"
#include "scheduler/run/approval.h"
#include "scheduler/run/drift.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Brings counters and open records in line with frames and settled bits. */
static enum err_code recount(struct sync_run *run, bool *ret_identity, struct err *err)
{
    struct run_counts *c = &run->record.counts;
    c->added = c->changed = c->removed = 0;
    *ret_identity = false;
    for (uint64_t i = 0; i < spool_count(run->spool); i++) {
        struct frame f;
        uint32_t settled = 0;
        enum err_code rc = spool_read(run->spool, i, &f, err);
        if (!rc)
            rc = state_batch_settled(run->host->state, run->record.id, i, f.records, run->bits,
                                     &settled, err);
        struct slice rest = f.manifest;
        for (uint32_t k = 0; k < f.records && !rc; k++) {
            struct manifest_entry e = {0};
            rc = manifest_next(&rest, &e, err);
            c->added += e.class == RECORD_ADDED;
            c->changed += e.class == RECORD_CHANGED;
            c->removed += e.class == RECORD_REMOVED;
            *ret_identity |= e.identity.n != 0;
        }
        if (rc)
            return rc;
        run->open[i] -= settled;
        run->open_total -= settled;
        run->open_batches -= f.records && !run->open[i];
    }
    c->planned = c->added + c->changed + c->removed;
    return ERR_OK;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static enum err_code open_spool(struct sync_run *run, bool *ret_damaged, struct err *err)
{
    char path[PATH_MAX];
    struct frame_counts counts = {0};
    run_spool_path(run, path);
    enum err_code rc =
        spool_open(run->host->base, path, run_on_spool, run, &run->spool, ret_damaged, err);
    if (!rc)
        rc = spool_last_counts(run->spool, &counts, err);
    if (!rc)
        rc = run_batches_grow(run, err);
    if (rc)
        return rc;
    struct run_counts *c = &run->record.counts;
    if (!run->record.stream) /* of a stream nothing need be planned for long: its record is newer */
        c->unchanged = c->invalid = c->quarantined = 0;
    c->unchanged = larger(c->unchanged, counts.unchanged);
    c->invalid = larger(c->invalid, counts.invalid);
    c->quarantined = larger(c->quarantined, counts.quarantined);
    return ERR_OK;
}

/* Entries, tally and counters of a run whose rows were planned by an earlier process. */
static enum err_code resume(struct sync_run *run, bool *ret_damaged, struct err *err)
{
    struct map_digest mapping;
    bool identity;
    memcpy(mapping.bytes, run->record.mapping, sizeof mapping.bytes);
    enum err_code rc = open_spool(run, ret_damaged, err);
    if (!rc)
        rc = run->record.fresh && run->record.status != RUN_HELD
                 ? state_sync_open_fresh(run->host->state, run->record.sync, &run->entries, err)
                 : state_sync_open(run->host->state, run->record.sync, &run->entries, err);
    if (!rc && !run->bits)
        run->bits = calloc(1, BATCH_BITS_BYTES_MAX);
    if (!rc && !run->bits)
        rc = err_set(err, ERR_NOMEM, "run: no memory");
    if (!rc)
        rc = recount(run, &identity, err);
    free(run->bits);
    run->bits = NULL;
    if (!rc)
        rc = run_fold_ready(run, identity, &mapping, err);
    run_recount(&run->record);
    run->stage = RUN_STAGE_SENDING;
    run->record.batches = rc ? 0 : spool_count(run->spool);
    return rc;
}

static bool same_target(const struct sync_run *run)
{
    uint8_t target[16];
    return run->sync && !run_target(run->sync, target) &&
           memcmp(target, run->record.target, sizeof target) == 0;
}

/* A run that had to be judged first has sent nothing, and nobody has judged it. Where there was no
 * row the record may be older than the plan to remove everything. */
static bool is_unjudged(const struct sync_run *run, const struct run_record *record)
{
    const struct run_counts *c = &run->record.counts;
    return record->status == RUN_READING && !record->stream &&
           (record->waits || (!c->rows && c->planned));
}

/* What it took before is known only by when it began. One that was held has it, without the time of
 * waiting. */
static void count_time_before(struct sync_run *run)
{
    int64_t passed_ms = clock_wall_ms() - run->record.started_ms;
    if (!run->record.duration_ms && passed_ms > 0)
        run->started_mono_ms -= passed_ms;
}

enum err_code sync_run_recover(const struct run_host *host, const struct run_record *record,
                               const struct sync *sync, struct sync_run **ret_run, struct err *err)
{
    struct sync_run *run;
    bool damaged = false;
    enum err_code rc = run_alloc(host, sync, &run, err);
    if (rc)
        return rc;
    run->record = *record;
    count_time_before(run);
    run->recovered = true;
    rc = resume(run, &damaged, err);
    if (rc == ERR_NOTFOUND) { /* it died before its spool was made: nothing was planned */
        run->record.error[0] = '\0';
        rc = ERR_OK;
        run->stage = RUN_STAGE_SENDING;
    }
    if (rc) {
        sync_run_free(run);
        return rc;
    }
    bool unjudged = is_unjudged(run, record);
    run->handed = unjudged ? 0 : run->open_count;
    run->record.published = !unjudged;
    /* The spool knows best: its end may be newer than the record, or was never written. */
    run->record.read_ended = run->spool && spool_ended(run->spool) && !damaged;
    /* A stream goes on from where everything is settled: nothing was left unread. */
    run->record.read_ended |= record->stream && run->spool && !damaged;
    if (record->stream && run->record.status == RUN_READING)
        run->record.status = RUN_PLANNED;
    if (!run->record.read_ended) {
        run->record.status = RUN_PLANNED;
        run->stop_how = RUN_STOP_FAIL;
        snprintf(run->record.error, sizeof run->record.error, "%s",
                 damaged
                     ? "interrupted, and its spool is damaged: the next run sends every row again"
                     : "interrupted while the warehouse was being read");
    }
    if (damaged)
        rc = resync_mark(host->state, record->sync, "spool damaged", err);
    if (!rc && unjudged)
        sync_run_stop(run, RUN_STOP_FAIL,
                      "interrupted before its plan was judged: nothing was sent");
    else if (!rc && run->open_total && !same_target(run))
        sync_run_stop(run, RUN_STOP_CANCEL,
                      "interrupted, and the sync or its target is no longer what it was");
    *ret_run = run;
    run_step_soon(run, 0);
    return rc;
}

enum err_code sync_run_approve(const struct run_host *host, const struct run_record *record,
                               const struct sync *sync, struct sync_run **ret_run, struct err *err)
{
    struct sync_run *run;
    bool damaged = false;
    enum err_code rc = approval_check(host->state, record, sync, err);
    if (!rc)
        rc = drift_accept(host->state, sync->name, err);
    if (!rc && record->fresh)
        rc = state_sync_adopt_fresh(host->state, sync->name, err);
    if (!rc)
        rc = run_alloc(host, sync, &run, err);
    if (rc)
        return rc;
    run->record = *record;
    run->record.fresh = false;
    rc = resume(run, &damaged, err);
    if (!rc && damaged)
        rc = err_set(err, ERR_USAGE,
                     "run %s cannot be approved: its spool is damaged; run the sync again",
                     record->id);
    run->record.status = RUN_PLANNED;
    run->record.reason[0] = '\0';
    run->record.plan = false;
    if (!rc)
        rc = run_save(run, err);
    if (rc) {
        sync_run_free(run);
        return rc;
    }
    run_step_soon(run, 0);
    *ret_run = run;
    return ERR_OK;
}
