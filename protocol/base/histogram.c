#include "protocol/base/histogram.h"

#include "protocol/base/err.h"

void histogram_init(struct histogram *h, const double *bounds, size_t bound_count)
{
    ensure(bound_count <= HISTOGRAM_BOUNDS_MAX);
    *h = (struct histogram){.bounds = bounds, .bound_count = bound_count};
}

void histogram_add(struct histogram *h, double seconds)
{
    size_t i = 0;
    while (i < h->bound_count && seconds > h->bounds[i])
        i++;
    h->counts[i]++;
    h->sum += seconds;
}

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t n = 0;
    for (size_t i = 0; i <= h->bound_count; i++)
        n += h->counts[i];
    return n;
}
