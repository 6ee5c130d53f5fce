/*
 * Approving a held run: what it was planned under, and whether that still holds. Also the mark by
 * which a sync is sent whole again after state was lost, and the one that its first run is over.
 * Reads and writes single values of state.
 */
#ifndef SLUICE_RUN_APPROVAL_H
#define SLUICE_RUN_APPROVAL_H

#include "protocol/config/config.h"
#include "scheduler/state/runs.h"

/** Remembers the mapping and settings of sync as those under which run was held. */
enum err_code approval_note(struct state *state, const char *run, const struct sync *sync,
                            struct err *err) MUST_CHECK;
/** ERR_USAGE with the reason where state, mapping or target are no longer what they were. */
enum err_code approval_check(struct state *state, const struct run_record *run,
                             const struct sync *sync, struct err *err) MUST_CHECK;
enum err_code approval_forget(struct state *state, const char *run, struct err *err) MUST_CHECK;

/** Marks that the sync's entries can no longer be trusted: its next runs send every row until one
 * ends well. */
enum err_code resync_mark(struct state *state, const char *sync, const char *why,
                          struct err *err) MUST_CHECK;
enum err_code resync_wanted(struct state *state, const char *sync, bool *ret_wanted,
                            struct err *err) MUST_CHECK;
/** The run, which sends every row, has begun: its good end is what lifts the mark. */
enum err_code resync_begun(struct state *state, const char *sync, const char *run,
                           struct err *err) MUST_CHECK;
/** Lifts a mark that run began under; one that came later, or that another began under, stays. */
enum err_code resync_done(struct state *state, const char *sync, const char *run,
                          struct err *err) MUST_CHECK;

/** A read of the sync reached its end: first_run says nothing about it any more. */
enum err_code first_run_over(struct state *state, const char *sync, struct err *err) MUST_CHECK;
enum err_code first_run_is_over(struct state *state, const char *sync, bool *ret_over,
                                struct err *err) MUST_CHECK;

#endif
