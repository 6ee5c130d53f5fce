/*
 * Single syncs on their way from one state to another: exported, added to the state that has them
 * from then on, dropped where they came from.
 *
 * A part is a stream as transfer.h has it, of another format, so that nobody takes it for a whole
 * state. With the syncs go their entries, identities, refusals, rejected records, runs, the memory
 * of schedule and stream, and of their quotas the windows and the results position. Invariants: a
 * state has an added sync as a whole or not at all; an owner's right to a quota passes only to who
 * got its part, and only while the source did not go on with the quota. All need the lock on the
 * state directory.
 */
#ifndef SLUICE_STATE_PART_H
#define SLUICE_STATE_PART_H

#include "scheduler/state/transfer.h"

/* Names, borrowed. The syncs of a quota go together, with its destinations: the caller sees to
 * that. */
struct state_part {
    const char *const *syncs;
    size_t sync_count;
    const char *const *quotas;
    size_t quota_count;
    const char *const *destinations;
    size_t destination_count;
};

/** Writes the part to out; durable where out is. Errors: ERR_NOTFOUND (a sync is not here),
 * ERR_USAGE (a run of it is under way). */
enum err_code state_part_export(struct state *s, const struct state_part *part, FILE *out,
                                struct transfer_counts *ret, struct err *err) MUST_CHECK;
/** Remembers that it was written, so that it may be dropped. Durable with the next commit. */
enum err_code state_part_mark(struct state *s, const struct state_part *part,
                              struct err *err) MUST_CHECK;
/**
 * Adds the part in a file that can be read twice, and commits. Errors: ERR_INVALID (damaged, of a
 * later version, a whole state), ERR_USAGE (a sync is here already, or it came from this very
 * state): the state is then as it was.
 */
enum err_code state_part_import(struct state *s, FILE *in, struct transfer_counts *ret,
                                struct err *err) MUST_CHECK;
/** Forgets a sync that was exported since a scheduler last went on with it; ERR_USAGE otherwise.
 * What was stored is swept (state_sweep). */
enum err_code state_part_drop(struct state *s, const char *sync, struct err *err) MUST_CHECK;
/** It was exported, and no scheduler went on with it here since. */
enum err_code state_part_is_exported(struct state *s, const char *sync, bool *ret,
                                     struct err *err) MUST_CHECK;
/** A scheduler goes on with the sync here: what was exported of it is no longer all. */
enum err_code state_part_goes_on(struct state *s, const char *sync, struct err *err) MUST_CHECK;

/** The state with this id last owned the quota, at this commit: a part of it that nothing followed
 * is here. */
enum err_code state_part_is_heir(struct state *s, const char *quota, const char *owner,
                                 uint64_t commit, bool *ret, struct err *err) MUST_CHECK;
/** The id of the state that a sync began in: what outside bears it in its name goes along. */
enum err_code state_sync_origin(struct state *s, const char *sync, char out[STATE_ID_BYTES],
                                struct err *err) MUST_CHECK;

typedef bool (*state_name_cb)(void *ctx, const char *sync);
/** Syncs that have entries here; the callback returns false to stop. */
enum err_code state_sync_names(struct state *s, state_name_cb cb, void *ctx,
                               struct err *err) MUST_CHECK;

#endif
