/*
 * What a batch of a quota costs lately: how long its requests take and how many it needs.
 *
 * Pure. Fed with what results tell, faded with time, so that it says how things are within the last
 * half minute or so, however bursty they are; while nothing comes it keeps what it knew. One
 * thread.
 */
#ifndef SLUICE_RUN_METER_H
#define SLUICE_RUN_METER_H

#include <stdint.h>

struct meter {
    double requests; /* all four: faded sums */
    double busy_ms;
    double batch_requests; /* those that batches with all of their verdicts have needed */
    double batches;
    uint64_t open_requests; /* not yet told to a batch */
};

/* What it comes to. */
struct request_cost {
    double request_ms;         /* from a request's start to the end of its answer; 0: not known */
    double requests_per_batch; /* at least 1 */
};

/** A result told of so many requests, the last of which took so long; so many batches have all of
 * their verdicts by it. */
void meter_note(struct meter *m, uint32_t requests, uint32_t duration_ms, uint64_t batches);
/** So much time has passed. */
void meter_fade(struct meter *m, uint64_t elapsed_ms);
struct request_cost meter_cost(const struct meter *m);

#endif
