/* `sluice state` of single syncs: export FILE SYNC…, import FILE --merge, drop SYNC…. Each takes
 * the lock on the state directory. */
#ifndef SLUICE_CLI_STATE_PART_H
#define SLUICE_CLI_STATE_PART_H

#include "scheduler/cli/cli.h"
#include "scheduler/state/transfer.h"

/** names: export, the file, the syncs. */
enum err_code state_part_to_file(const struct cli_options *o, const struct project *p,
                                 struct transfer_counts *ret, struct err *err) MUST_CHECK;
/** names: import, the file. */
enum err_code state_part_from_file(const struct cli_options *o, const struct project *p,
                                   struct transfer_counts *ret, struct err *err) MUST_CHECK;
/** names: drop, the syncs. */
enum err_code state_part_drop_named(const struct cli_options *o, const struct project *p,
                                    struct transfer_counts *ret, struct err *err) MUST_CHECK;

/* command_state.c */
/** A new file, or standard output for -. */
enum err_code state_file_make(const char *path, FILE **ret, struct err *err) MUST_CHECK;
/** Synced and closed; removed where rc or closing is an error. */
enum err_code state_file_close(FILE *f, enum err_code rc, const char *path,
                               struct err *err) MUST_CHECK;

#endif
