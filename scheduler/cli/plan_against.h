/*
 * Another version of the project, that a plan is made against: what differs, and, where no state is
 * at hand, its rows as if they had been accepted.
 *
 * Reads the other folder and, with it, the warehouse; writes the state of the plan only. One
 * thread.
 */
#ifndef SLUICE_CLI_PLAN_AGAINST_H
#define SLUICE_CLI_PLAN_AGAINST_H

#include "protocol/base/log.h"
#include "scheduler/cli/cli.h"
#include "scheduler/plan/compare.h"
#include "scheduler/state/runs.h"

struct plan_against {
    struct project *before; /* NULL: there is none, or it has mistakes */
    struct comparison changes;
    struct run_record *unread; /* syncs whose rows could not be read */
    size_t unread_count;
};

/** Loads the project in opts->against, if one is named. Mistakes in it are printed, and then
 * nothing is compared. Errors: ERR_NOMEM. plan_against_done in any case. */
enum err_code plan_against_load(struct plan_against *a, const struct cli_options *opts,
                                const struct project *project, struct err *err) MUST_CHECK;
void plan_against_done(struct plan_against *a);

/** What the sync sends may be other than before; true of all where nothing is compared. */
bool plan_against_alters(const struct plan_against *a, const char *sync);
/** Takes the rows of those syncs that wants says true of, as the earlier version reads them, as
 * accepted into the state in folder. */
enum err_code plan_against_adopt(struct plan_against *a, const char *folder,
                                 bool (*wants)(void *ctx, const char *sync), void *ctx,
                                 const struct log *log, struct err *err) MUST_CHECK;

#endif
