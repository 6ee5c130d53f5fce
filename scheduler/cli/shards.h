/*
 * A command in a project of several shards: for which of them it runs.
 *
 * Where the command line or the environment names a shard, for that one. Otherwise for the shards
 * of the syncs, the destination or the run that are named; what only looks goes through all shards
 * whose folders are here. The exit status is the worst.
 */
#ifndef SLUICE_CLI_SHARDS_H
#define SLUICE_CLI_SHARDS_H

#include "scheduler/cli/cli.h"

/** Runs the command, once for each shard; returns the exit status. */
int cli_run_in_shards(const struct command *c, const struct cli_options *o);
/** EXIT_OK when the project has one shard, or this process is for one of them; else says so. */
int cli_check_shard(const struct project *p);

#endif
