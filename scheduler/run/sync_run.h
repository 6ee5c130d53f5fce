/*
 * One run of one sync: from rows to verdicts.
 *
 * Takes rows of a read (or the spool of an earlier run), plans them by diff, spools and publishes
 * batches, folds results into state, and ends with totals that must balance. Invariant: every
 * planned record is in exactly one place: the spool without a verdict, or settled in state and
 * counted.
 *
 *   READING ──▶ PLANNING ──▶ SENDING ──▶ ENDED
 *      │            └──▶ HELD               ▲
 *      └── read failed, stopped ── SENDING ─┘      (nothing new is published then)
 *
 * A crash at any point leaves a record that says `reading` or `planned` and a spool;
 * sync_run_recover goes on.
 */
#ifndef SLUICE_RUN_SYNC_RUN_H
#define SLUICE_RUN_SYNC_RUN_H

#include "protocol/base/log.h"
#include "protocol/base/value.h"
#include "protocol/config/config.h"
#include "scheduler/run/quota.h"
#include "scheduler/state/runs.h"

struct event_base;
struct sync_run;

/* The worst verdict of what was planned for a change. */
enum settled_how { SETTLED_SENT, SETTLED_REJECTED, SETTLED_FAILED, SETTLED_CANCELLED };

/* What the engine provides. */
struct run_host {
    struct event_base *base;
    struct state *state;
    const struct project *project;
    const struct log *log;
    void *ctx;
    /** Something is about to be published: somebody must be there to deliver it. */
    void (*need_workers)(void *ctx);
    /** Commits now. */
    enum err_code (*commit)(void *ctx, struct err *err);
    /** Commits when the transaction has grown large. */
    enum err_code (*commit_if_due)(void *ctx, struct err *err);
    /** The run makes rows faster than the disk takes them (true), or may go on (false). */
    void (*on_pause)(void *ctx, struct sync_run *run, bool pause);
    /** The run no longer wants rows. */
    void (*on_read_unwanted)(void *ctx, struct sync_run *run);
    /** Verdicts are complete and the record is in state (not yet committed). Called once, as the
     * last event. */
    void (*on_ended)(void *ctx, struct sync_run *run);
    uint64_t (*window_share)(void *ctx); /* bytes that one sync may have in Redis */
    /** Of a run that is fed by a stream: the change of this mark has all its verdicts; what: the
     * worst of them. key: key bytes of the primary key, borrowed. Nothing may be planned inside. */
    void (*on_settled)(void *ctx, struct sync_run *run, uint64_t mark, uint32_t tries,
                       struct slice key, enum settled_how how);
};

struct run_start {
    const char *id;       /* NULL: a new one */
    const char *trigger;  /* may be NULL */
    int64_t scheduled_ms; /* 0: now */
    bool full;
    bool state_lost;      /* Redis knows more than this state: resync */
    bool adopt;           /* take the rows as synced, send nothing */
    bool plan;            /* hold it, to be looked at */
    bool stream;          /* fed by a stream: sync_stream.h */
    const char *hold;     /* hold it, whatever it plans, for this reason; NULL */
    const char *snapshot; /* read at this exported snapshot; NULL */
};
/** Writes a new id to out. */
void sync_run_id(int64_t wall_ms, char out[STATE_RUN_ID_MAX + 1]);
/** Begins a new run; its record is in state. */
enum err_code sync_run_new(const struct run_host *host, const struct sync *sync,
                           const struct run_start *start, struct sync_run **ret_run,
                           struct err *err) MUST_CHECK;
/** Goes on with a run that a crash left: sync is NULL when the project has none of that name any
 * more. */
enum err_code sync_run_recover(const struct run_host *host, const struct run_record *record,
                               const struct sync *sync, struct sync_run **ret_run,
                               struct err *err) MUST_CHECK;
/** Sends what a held run planned. ERR_USAGE with the reason when it can no longer be approved. */
enum err_code sync_run_approve(const struct run_host *host, const struct run_record *record,
                               const struct sync *sync, struct sync_run **ret_run,
                               struct err *err) MUST_CHECK;
/** Closes everything but the record of a run that has ended, so that another may use its entries.
 */
void sync_run_retire(struct sync_run *run);
/** Accepts NULL. */
void sync_run_free(struct sync_run *run);

/* ---- rows ---- */
enum err_code sync_run_columns(struct sync_run *run, const struct column *columns, size_t count,
                               struct err *err) MUST_CHECK;
/**
 * Behind the columns of all runs of a read, before its first row: mapping and target are on disk
 * before anything is published, since recovery goes by them. One commit is for all of them.
 */
enum err_code sync_run_columns_kept(struct sync_run *run, struct err *err) MUST_CHECK;
enum err_code sync_run_row(struct sync_run *run, const struct row *row, struct err *err) MUST_CHECK;
/** err is NULL when the query ran to its end. */
void sync_run_read_end(struct sync_run *run, const struct err *err);
/** It wants the rows of a read. */
bool sync_run_reads(const struct sync_run *run);
/** The reason for which it was asked to be held; empty: none. */
const char *sync_run_asked_hold(const struct sync_run *run);
/** The exported snapshot at which its rows are to be read; NULL: none. */
const char *sync_run_snapshot(const struct sync_run *run);
/** It is gone; says so. Its rows are read as they are by now. */
void sync_run_lost_snapshot(const struct sync_run *run);

/* ---- queue ---- */
void sync_run_attach(struct sync_run *run, struct quota *quota);
struct quota *sync_run_quota(const struct sync_run *run);
/** Publishes what may be published now. Cheap when there is nothing. */
void sync_run_pump(struct sync_run *run);
/** Batches without a verdict that workers have, or get as soon as there is room; none while the run
 * waits for its judgement, is held or stops. */
uint64_t sync_run_batches_due(const struct sync_run *run);
/** Folds one result; batch is the number behind the dot of the batch's id. */
enum err_code sync_run_result(struct sync_run *run, uint64_t batch, struct slice body,
                              struct err *err) MUST_CHECK;
/**
 * A result of the batch cannot be read or folded: its records end as failed and in doubt, the run
 * stops, and the sync's next run sends every row.
 */
void sync_run_result_lost(struct sync_run *run, uint64_t batch, const struct err *why);
/** Redis lost its keys: what has no verdict is published again. */
void sync_run_queue_lost(struct sync_run *run);

/* ---- end ---- */
enum run_stop {
    RUN_STOP_CANCEL, /* somebody asked: status cancelled */
    RUN_STOP_FAIL,   /* something is wrong: status failed, the rest is cancelled */
    RUN_STOP_GIVE_UP /* nothing but throttling: the rest is failed */
};
/** Ends it early: publishes nothing more, lets what is in flight settle. why is kept in the record.
 */
void sync_run_stop(struct sync_run *run, enum run_stop how, const char *why);
bool sync_run_ended(const struct sync_run *run);
/** As it was asked for. */
bool sync_run_is_full(const struct sync_run *run);
bool sync_run_adopts(const struct sync_run *run);
bool sync_run_stopping(const struct sync_run *run);
/** It still reads or plans: what it has so far is not all. */
bool sync_run_plans(const struct sync_run *run);
/** Before every commit: verdicts and counters become durable together. */
enum err_code sync_run_before_commit(struct sync_run *run, struct err *err) MUST_CHECK;

struct history_notes;
/** Of its records that were not accepted. */
const struct history_notes *sync_run_notes(const struct sync_run *run);
const struct run_record *sync_run_record(const struct sync_run *run);
const struct sync *sync_run_sync(const struct sync_run *run);

#endif
