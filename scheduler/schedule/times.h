/*
 * The times of a schedule: the first after a moment, the latest before one.
 *
 * Pure functions of a schedule, its zone and a moment in wall clock ms. The times of `every` are
 * multiples of the interval in UTC. The times of a cron line are local: each is the moment at which
 * the zone's clock first reaches or passes it. So one that does not exist (clocks go forward) is
 * the first moment after the gap, one that exists twice is the first of the two, and several that
 * fall on one moment are one.
 */
#ifndef SLUICE_SCHEDULE_TIMES_H
#define SLUICE_SCHEDULE_TIMES_H

#include "protocol/config/schedule.h"
#include "scheduler/schedule/zone.h"

struct times {
    const struct schedule *schedule; /* EVERY or CRON */
    const struct zone *zone;         /* CRON */
    int64_t late_ms;                 /* offset and jitter */
};

/** The first time after after_ms; INT64_MAX: none. */
int64_t times_next(const struct times *t, int64_t after_ms);
/** The latest time in (after_ms, until_ms]; INT64_MIN: none. */
int64_t times_latest(const struct times *t, int64_t after_ms, int64_t until_ms);

/** The first second after after_s at which the zone's clock reaches a time of the line; INT64_MAX:
 * none in sight. */
int64_t times_cron_next(const struct cron *cron, const struct zone *zone, int64_t after_s);

#endif
