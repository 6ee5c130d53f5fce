/* How a plan is shown: for people, and as one JSON object. */
#ifndef SLUICE_CLI_PLAN_PRINT_H
#define SLUICE_CLI_PLAN_PRINT_H

#include "scheduler/plan/plan.h"

enum { PLAN_SHOWN = 3 }; /* samples of each kind, where nobody asked for more */

struct plan_show {
    const struct run_record *record;
    const struct plan *plan;
    const struct sync *sync;
    const char *worker_program;
    const char *project_dir;
    bool would_hold; /* a run would be held, for the record's reason */
};

enum err_code plan_show_text(const struct plan_show *s, struct err *err) MUST_CHECK;
enum err_code plan_show_json(const struct plan_show *s, struct err *err) MUST_CHECK;
/** One that could not be made. */
void plan_show_failed(const struct run_record *r, bool json);

#endif
