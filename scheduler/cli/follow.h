/*
 * Runs that a scheduler carries out, followed to their ends as `sluice run` follows its own: the
 * same table, the same JSON, the same exit status.
 */
#ifndef SLUICE_CLI_FOLLOW_H
#define SLUICE_CLI_FOLLOW_H

#include "scheduler/cli/cli.h"
#include "scheduler/state/runs.h"

/** Hands the named syncs (or all) to the scheduler and follows the runs. */
int follow_runs(const struct cli_options *opts, const struct project *project);
/** Approves the run and follows it. */
int follow_approval(const struct cli_options *opts, const struct project *project);

/** Approves all of them, and follows them. */
int follow_approvals(const struct cli_options *opts, const struct project *project,
                     const char *const *runs, size_t count);
/** Has the scheduler plan the named syncs (or all); on_run is told of each run that is held, and of
 * those that could not be planned. */
int follow_plans(const struct cli_options *opts, const struct project *project,
                 void (*on_run)(void *ctx, const struct run_record *r), void *ctx);

#endif
