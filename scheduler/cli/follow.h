/*
 * Runs that a scheduler carries out, followed to their ends as `sluice run` follows its own: the
 * same table, the same JSON, the same exit status.
 */
#ifndef SLUICE_CLI_FOLLOW_H
#define SLUICE_CLI_FOLLOW_H

#include "scheduler/cli/cli.h"

/** Hands the named syncs (or all) to the scheduler and follows the runs. */
int follow_runs(const struct cli_options *opts, const struct project *project);
/** Approves the run and follows it. */
int follow_approval(const struct cli_options *opts, const struct project *project);

#endif
