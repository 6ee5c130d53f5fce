/*
 * Diff: rows of a model against the entries of a sync: what was added, changed or removed.
 *
 * Reads mapped rows in any order and state, gives one decision per row and, after a read that
 * reached its end, the rows it had to set aside and the removals. Pure on top of state; no clock,
 * no network. Holds a few bits per slot, and set-aside rows in a temporary file. Invariant after
 * every call: rows = added + changed + unchanged + invalid + quarantined + aside. A crash here
 * loses nothing: what was not committed is read again.
 */
#ifndef SLUICE_DIFF_DIFF_H
#define SLUICE_DIFF_DIFF_H

#include "protocol/config/config.h"
#include "protocol/wire/batch.h"
#include "scheduler/map/map.h"
#include "scheduler/state/entries.h"

struct diff;
struct diff_stream;

struct diff_options {
    struct state_sync *entries; /* borrowed */
    enum sync_mode mode;
    enum on_removed on_removed; /* as configured; mirror without one deletes */
    bool full;                  /* --full, and mode full */
    bool skip_first;   /* first_run: skip, and the sync has had no run that ended its read */
    bool has_identity; /* map_has_identity */
    const struct slice *primary_names; /* columns of the primary key */
    size_t primary_count;
    size_t key_count;                 /* of mapped.keys */
    size_t field_count;               /* of mapped.fields */
    struct map_digest names;          /* map_names_digest */
    struct map_digest mapping;        /* map_fingerprint */
    const char *run;                  /* id, for the store of rejected records */
    int64_t now_ms;                   /* wall clock: which refusals are due again */
    const struct diff_stream *stream; /* single changes: change.h; NULL: a read */
};

enum diff_class {
    DIFF_UNCHANGED,
    DIFF_QUARANTINED,
    DIFF_INVALID,
    DIFF_ADDED,   /* planned */
    DIFF_CHANGED, /* planned */
    DIFF_REMOVED, /* planned */
    DIFF_ASIDE,   /* decided when the read has ended */
};
enum removal_reason { REMOVAL_NONE, REMOVAL_ROW_GONE, REMOVAL_IDENTITY_CHANGED };

/* Borrowed until the next call. */
struct diff_decision {
    enum diff_class class;
    enum record_op op;       /* planned only */
    enum removal_reason why; /* removed only */
    uint32_t slot;           /* SLOT_NONE where the key cannot be read */
    uint8_t hash[16];        /* of the row; zero for removals */
    struct slice key;        /* key bytes of the primary key */
    struct slice identity;   /* key bytes of mapped.keys; empty without identities */
    const struct value
        *keys; /* planned: what names the record at the destination, key_count values */
    struct slice
        values; /* batch_put_values of the fields, for batch_put_record_raw; removed: empty */
    struct slice extra;  /* as given to diff_row */
    struct slice reason; /* invalid: why */
};

struct diff_counts {
    uint64_t rows, added, changed, removed, unchanged, invalid, quarantined;
    uint64_t aside; /* 0 once diff_next has ended */
};

/** Begins a run on the entries. Borrows what opts points to until diff_free. */
enum err_code diff_new(const struct diff_options *opts, struct diff **ret_diff,
                       struct err *err) MUST_CHECK;
/** Accepts NULL. */
void diff_free(struct diff *d);

/**
 * Decides a row. mapped is map_run's; invalid: its sentence where it returned ERR_INVALID, empty
 * otherwise (only mapped->primary is read then). extra: anything of the caller's that must come
 * back with a planned row (the lane), at most 64 KiB. Errors are of the store, not of the row.
 */
enum err_code diff_row(struct diff *d, const struct mapped *mapped, struct slice invalid,
                       struct slice extra, struct diff_decision *ret, struct err *err) MUST_CHECK;
/** The decision of this planned row cannot be carried out (above the batch's byte cap): counts it
 * invalid. */
enum err_code diff_refuse(struct diff *d, const struct diff_decision *decision, struct slice reason,
                          struct err *err) MUST_CHECK;

/**
 * The read is over. complete: the query ran to its end. Otherwise nothing is removed and no
 * identity is decided: the rows set aside become invalid.
 */
enum err_code diff_finish(struct diff *d, bool complete, struct err *err) MUST_CHECK;

enum diff_step {
    DIFF_STEP_ONE,  /* *ret holds a decision */
    DIFF_STEP_MORE, /* some work was done: call again, now or on the next turn of the loop */
    DIFF_STEP_END,
};
/**
 * After diff_finish: decides the rows set aside, then gives the removals. Bounded work per call.
 * Verdicts may be folded and state committed in between.
 */
enum err_code diff_next(struct diff *d, struct diff_decision *ret, enum diff_step *ret_step,
                        struct err *err) MUST_CHECK;

struct diff_counts diff_counts(const struct diff *d);

/** Does a mode with this setting remove at all? */
bool diff_removes(enum sync_mode mode, enum on_removed on_removed);

#endif
