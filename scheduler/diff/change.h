/*
 * Single changes of a model against the entries of a sync, in turns: what a stream plans.
 *
 * For a diff whose options have `stream`: it sees no whole read, so it keeps no bitmap and finds no
 * row gone by itself. A turn is rows and gone keys, each key once, then those that were told to
 * wait (DIFF_WAITS) with `last`, then diff_turn_next until it ends. Invariant: nothing of a record
 * is decided while a version of it, or of the record whose identity it wants, is in flight. Counts:
 * rows are all changes that were taken; a gone key that removes nothing is unchanged.
 */
#ifndef SLUICE_DIFF_CHANGE_H
#define SLUICE_DIFF_CHANGE_H

#include "scheduler/diff/diff.h"

/* What a diff of single changes asks its owner. */
struct diff_stream {
    /** Is something of the slot without a verdict? */
    bool (*busy)(void *ctx, uint32_t slot);
    /** May one more of this class be planned? NULL: always. */
    bool (*may_plan)(void *ctx, enum diff_class class);
    void *ctx;
};

enum diff_taken {
    DIFF_TAKEN, /* *ret holds the decision, and of a gone key nothing is to be removed */
    DIFF_OPEN,  /* the same, but the end of the turn may plan removals of the slot */
    DIFF_BUSY,  /* nothing was done: something is in flight, or may not be planned */
    DIFF_WAITS, /* nothing was done: another entry has the identity; again behind the others, last
                 */
};

/** Decides a row: see diff_row. */
enum err_code diff_change_row(struct diff *d, const struct mapped *mapped, struct slice invalid,
                              struct slice extra, bool last, struct diff_decision *ret,
                              enum diff_taken *ret_taken, struct err *err) MUST_CHECK;
/** The row of this key (key bytes) is gone. *ret_slot: SLOT_NONE for a key that is unknown. */
enum err_code diff_change_gone(struct diff *d, struct slice key, uint32_t *ret_slot,
                               enum diff_taken *ret_taken, struct err *err) MUST_CHECK;
/**
 * Ends the turn step by step: the removals, one per DIFF_STEP_ONE; DIFF_STEP_MORE says that nothing
 * more follows for ret->slot (its key: ret->key); after DIFF_STEP_END the next turn begins.
 */
enum err_code diff_turn_next(struct diff *d, struct diff_decision *ret, enum diff_step *ret_step,
                             struct err *err) MUST_CHECK;
/** Why only a read of the whole model can decide some row; NULL: nothing of the kind so far. */
const char *diff_wants_read(const struct diff *d);

#endif
