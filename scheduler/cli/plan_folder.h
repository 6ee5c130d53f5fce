/*
 * The state that a plan is made in, and thrown away with: a copy of the project's, or what an
 * export has, in a folder of its own.
 *
 * Reads the project's state or the export, writes the folder. Invariant: the project's own state is
 * left as it is. A crash leaves the folder `.plan.XXXXXX` behind, which nobody reads.
 */
#ifndef SLUICE_CLI_PLAN_FOLDER_H
#define SLUICE_CLI_PLAN_FOLDER_H

#include "protocol/config/config.h"

#include <limits.h>

struct plan_folder {
    char path[PATH_MAX]; /* empty: none was made */
    bool has_state;      /* there was something to begin with */
};

/** export: a file of `sluice state export`, "-": standard input; NULL: the project's own state, if
 * there is one. plan_folder_done in any case. */
enum err_code plan_folder_make(const struct project *p, const char *export_file,
                               struct plan_folder *ret, struct err *err) MUST_CHECK;
/** Removes it. */
void plan_folder_done(struct plan_folder *f);

#endif
