/*
 * How much of a quota's queue could be worked on now, and how many workers that is worth.
 *
 * Pure. A batch that waits for a rate limit, a throttled destination or its turn to be tried again
 * is no work: another worker would only wait with it.
 */
#ifndef SLUICE_REPORT_WORK_H
#define SLUICE_REPORT_WORK_H

#include "scheduler/service/control.h"

enum { WORK_SLOTS = 32 }; /* batches that a worker carries at a time: the default of --slots */

/** Batches of the quota that could be claimed at this moment. batch_records: of a batch, at most;
 * 0: unknown, and limits of records are left out. */
uint64_t work_runnable(const struct destination *destination, const struct control_quota_view *view,
                       bool paused, uint64_t batch_records);
/** useful: leased and runnable batches of all quotas; under_way: some run is. */
uint64_t work_desired(uint64_t useful, bool under_way);

#endif
