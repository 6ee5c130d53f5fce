/*
 * What a scheduler could use workers for at this moment, gathered from the control: a part per
 * quota, and what they come to.
 *
 * Reads the control, changes nothing, and looks at no more than syncs, quotas and runs that are
 * under way. The loop's thread.
 */
#ifndef SLUICE_REPORT_DEMAND_H
#define SLUICE_REPORT_DEMAND_H

#include "scheduler/report/work.h"

struct demand_part {
    const struct destination *destination; /* the first of those that share the quota */
    struct control_quota_view view;
    struct work_quota work;
    struct work_need need;
};

struct demand {
    struct work_fleet fleet;
    struct demand_part *parts;
    size_t part_count;
    uint32_t slots;   /* that a worker has for them */
    uint64_t workers; /* whole ones */
    double load;      /* the same unrounded; those of several schedulers may be added */
};

/** Owned: demand_done. Borrows from the control until the loop turns. Errors: ERR_NOMEM, and those
 * of the control. */
enum err_code demand_take(struct control *c, struct demand *ret, struct err *err) MUST_CHECK;
void demand_done(struct demand *d);

enum { DEMAND_LIMIT_BYTES = 80 };
/** "requests per 10s", and the group of requests where it counts only those. */
void demand_limit_text(const struct rate_limit *limit, char out[DEMAND_LIMIT_BYTES]);

#endif
