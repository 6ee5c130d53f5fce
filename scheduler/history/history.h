/*
 * History: what was sent of each record, kept after its run has ended.
 *
 * A run's spool becomes its history, as `history/RUN` in the state directory; beside it `RUN.notes`
 * has every verdict but "accepted"; without notes all were. The newest runs are kept that fit into
 * settings.history_bytes. Nothing depends on it: it may be deleted at any time. Reading looks
 * through whole files, newest first, and stops when it has enough.
 */
#ifndef SLUICE_HISTORY_HISTORY_H
#define SLUICE_HISTORY_HISTORY_H

#include "protocol/base/buf.h"
#include "scheduler/aggregate/tally.h"
#include "scheduler/batch/frame.h"
#include "scheduler/state/runs.h"

/* ---- while a run is under way ---- */

enum { HISTORY_NOTES_MAX = 4 << 20 }; /* bytes of one run's notes */

struct history_notes {
    struct buf bytes;
    uint64_t count;
    bool full; /* more came than are kept */
};
void history_notes_init(struct history_notes *n);
void history_notes_done(struct history_notes *n);
/** A record of the planned batch got another verdict than accepted. */
void history_note(struct history_notes *n, uint64_t batch, uint32_t ordinal, enum tally_count what,
                  const struct tally_verdict *v);

/* ---- when it has ended ---- */

/**
 * Makes the run's spool (a path) its history, or removes it where there is nothing in it or it is
 * larger than max_bytes (0: no history). notes may be NULL. Fine where the spool is gone already.
 */
enum err_code history_keep(const char *state_dir, const struct run_record *run, const char *spool,
                           const struct history_notes *notes, uint64_t max_bytes,
                           struct err *err) MUST_CHECK;

/** Removes the oldest that do not fit into max_bytes. Looks at every file: now and then. */
enum err_code history_prune(const char *state_dir, uint64_t max_bytes, struct err *err) MUST_CHECK;

/* ---- looking back ---- */

enum history_verdict {
    HISTORY_ACCEPTED,
    HISTORY_REJECTED,
    HISTORY_FAILED,
    HISTORY_CANCELLED,
    HISTORY_UNKNOWN, /* the notes of an interrupted run are not whole */
};
const char *history_verdict_name(enum history_verdict verdict);

struct history_hit {
    const struct run_record *run;
    uint64_t batch; /* its id is RUN.batch, which is also the start of its idempotency key */
    uint32_t ordinal;
    enum record_class class;
    enum record_op op;
    enum history_verdict verdict;
    struct slice message; /* the destination's words; empty when it was accepted */
    struct slice fields;  /* JSON object of what was sent; empty: none, or too long */
    struct slice payload; /* the planned batch, sealed */
};
/** Borrowed for the call; returns false to stop. */
typedef bool (*history_cb)(void *ctx, const struct history_hit *hit);

enum { HISTORY_FIELDS_MAX = 64 << 10 };
/**
 * What was sent of the record with these key bytes (state's), newest first. Damaged files end where
 * the damage begins. state: its run records.
 */
enum err_code history_find(const char *state_dir, struct state *state, const char *sync,
                           struct slice key, history_cb cb, void *ctx, struct err *err) MUST_CHECK;
/* Something that a run's history says: a record's key and identity (empty where the key names it),
 * or a destination's words. */
struct history_trace {
    const struct run_record *run;
    struct slice key, identity, words;
};
typedef bool (*history_match)(void *ctx, const struct history_trace *trace);
/**
 * Deletes the history of every run in which a record was sent that matches, and of those whose
 * record or file cannot be read to its end; *ret_runs: how many.
 */
enum err_code history_erase(const char *state_dir, struct state *state, history_match match,
                            void *ctx, uint64_t *ret_runs, struct err *err) MUST_CHECK;

#endif
