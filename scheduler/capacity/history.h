/*
 * What a project's runs of the last days add up to, per quota: a day's load, its busiest hour, how
 * long requests take, how full batches are.
 *
 * Reads runs of a state, which may be in use by a scheduler; writes nothing. A run's work is spread
 * evenly over the hours between its start and its end. Memory: eight numbers per quota and hour.
 */
#ifndef SLUICE_CAPACITY_HISTORY_H
#define SLUICE_CAPACITY_HISTORY_H

#include "scheduler/capacity/model.h"

struct state;

enum { HISTORY_HOURS = 7 * 24 };

/* Of one quota. */
struct capacity_past {
    const char *quota;
    struct capacity_load total;                /* of all hours looked at */
    struct capacity_load hours[HISTORY_HOURS]; /* the last one is the present hour */
    double request_ms;                         /* of all its requests together; 0: not known */
    double timed_requests;                     /* those whose time is known */
    uint64_t runs;
};

struct capacity_history {
    struct capacity_past *pasts;
    size_t count;
    uint64_t runs;
    double days; /* from the first of them to now, at least 1, at most 7; 0: there are no runs */
};

/** Adds a run to a quota's past. now_ms: wall clock, the end of the last hour looked at. Returns
 * false for one that ended before the first. */
struct run_record;
bool capacity_past_add(struct capacity_past *past, const struct run_record *run, int64_t now_ms);
/** A day's mean, and its busiest hour: each number's own. */
void capacity_past_loads(const struct capacity_past *past, double days,
                         struct capacity_load *ret_day, struct capacity_load *ret_hour);

/** state NULL: nothing was ever run. Owned by the caller: capacity_history_done, after a failure
 * too. */
enum err_code capacity_history_read(struct state *state, const struct project *project,
                                    int64_t now_ms, struct capacity_history *ret,
                                    struct err *err) MUST_CHECK;
void capacity_history_done(struct capacity_history *h);
const struct capacity_past *capacity_history_of(const struct capacity_history *h,
                                                const char *quota);

#endif
