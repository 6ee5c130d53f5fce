/*
 * A histogram: how many of the durations seen were at most how long. Plain data with bounds that
 * are set once; it allocates nothing. One thread.
 */
#ifndef SLUICE_BASE_HISTOGRAM_H
#define SLUICE_BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS_MAX = 16 };

struct histogram {
    const double *bounds; /* seconds, ascending; borrowed */
    size_t bound_count;
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1]; /* of each bound alone; the last: above all */
    double sum;                                /* seconds */
};

void histogram_init(struct histogram *h, const double *bounds, size_t bound_count);
void histogram_add(struct histogram *h, double seconds);
/** Of all bounds. */
uint64_t histogram_count(const struct histogram *h);

#endif
