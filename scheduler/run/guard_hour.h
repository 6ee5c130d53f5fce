/* What a sync's guards count over a rolling hour of its stream. Pure. */
#ifndef SLUICE_RUN_GUARD_HOUR_H
#define SLUICE_RUN_GUARD_HOUR_H

#include "scheduler/run/guard.h"
#include "scheduler/run/sync_stream.h"

struct hour_sums {
    uint64_t changed, removed;
};

/** now_ms: wall clock. Minutes that are past are forgotten; a clock that is set back forgets none.
 */
void guard_hour_turn(struct guard_hour *h, int64_t now_ms);
void guard_hour_count(struct guard_hour *h, uint64_t changed, uint64_t removed);
struct hour_sums guard_hour_sums(const struct guard_hour *h);
/** May so many more be changed or removed within the hour, as to the records that were accepted
 * when it began? False: reason says which guard keeps them back. */
bool guard_hour_lets(const struct guard *g, const struct guard_hour *h, uint64_t accepted,
                     uint64_t changed, uint64_t removed, char *reason, size_t reason_bytes);

#endif
