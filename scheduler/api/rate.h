/*
 * The cap of requests per second, for each token or address: a bucket of as many requests as one
 * second has, refilled steadily.
 *
 * A fixed table; where it is crowded, the key that was seen longest ago makes room. Pure but for
 * the time it is given; one thread.
 */
#ifndef SLUICE_API_RATE_H
#define SLUICE_API_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum { RATE_SETS = 256, RATE_WAYS = 4, RATE_PER_SECOND = 100 };

struct rate_bucket {
    uint64_t key; /* 0: free */
    int64_t seen_ms;
    double left;
};

struct rate {
    struct rate_bucket buckets[RATE_SETS][RATE_WAYS];
};

/** Takes one request of the key (a hash, not 0) out of its bucket; false: there is none left now.
 * now_ms: monotonic, never 0. */
bool rate_take(struct rate *rate, uint64_t key, int64_t now_ms);

#endif
