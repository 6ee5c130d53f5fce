/*
 * The ledger: totals over all ended runs of a sync, kept in state, so that counters go on where
 * they were after a restart.
 *
 * Invariant: a run that ended is in the totals once. What ended unseen (a crash, `sluice run`
 * beside the service) is added by ledger_catch_up, as far back as state keeps runs. Works inside
 * the state's one transaction. One thread.
 */
#ifndef SLUICE_REPORT_LEDGER_H
#define SLUICE_REPORT_LEDGER_H

#include "protocol/base/histogram.h"
#include "scheduler/state/runs.h"

struct ledger {
    struct run_counts counts; /* sums */
    uint64_t statuses[RUN_SUPERSEDED + 1];
    struct histogram durations; /* from the run's start to its end */
    struct histogram latencies; /* from when it was due to its end */
    int64_t last_ended_ms;      /* wall clock; 0: none ended */
    char last_run[STATE_RUN_ID_MAX + 1];
};

/** All zero where no run of the sync has ended. */
enum err_code ledger_get(struct state *s, const char *sync, struct ledger *ret,
                         struct err *err) MUST_CHECK;
/** Adds a run that has ended; one that is not, or that was added last, changes nothing. */
enum err_code ledger_add(struct state *s, const struct run_record *r, struct err *err) MUST_CHECK;
/** Adds the sync's runs that ended after the last one that is in. */
enum err_code ledger_catch_up(struct state *s, const char *sync, struct err *err) MUST_CHECK;
/** Adds a run that has ended to the totals at hand, for showing; one that is in them changes
 * nothing. */
void ledger_count(struct ledger *l, const struct run_record *r);
/** Adds what a run under way has counted so far, for showing. */
void ledger_show(struct ledger *l, const struct run_counts *counts);

#endif
