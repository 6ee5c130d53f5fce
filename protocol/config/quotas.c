/* Destinations that share a quota share one set of buckets in Redis, so they must state the same
 * limits. */
#include "protocol/config/parts.h"
#include "protocol/connector/connector.h"

#include <stdlib.h>

static int by_quota(const void *left, const void *right)
{
    const struct destination *a = *(const struct destination *const *)left;
    const struct destination *b = *(const struct destination *const *)right;
    int order = strcmp(a->quota, b->quota);
    return order ? order : (a > b) - (a < b);
}

static bool has_limit(const struct destination *d, const struct rate_limit *limit)
{
    for (size_t i = 0; i < d->limit_count; i++) {
        const struct rate_limit *own = &d->limits[i];
        if (own->kind == limit->kind && own->per_ms == limit->per_ms &&
            own->count == limit->count && own->group == limit->group)
            return true;
    }
    return false;
}

/* One destination has no limit twice, so equal numbers and one inclusion make equal sets. */
static bool same_limits(const struct destination *a, const struct destination *b)
{
    bool same = a->limit_count == b->limit_count;
    for (size_t i = 0; same && i < a->limit_count; i++)
        same = has_limit(b, &a->limits[i]);
    return same;
}

/* A group's number means what the connector says. */
static bool has_groups(const struct destination *d)
{
    for (size_t i = 0; i < d->limit_count; i++)
        if (d->limits[i].group)
            return true;
    return false;
}

static void compare(struct reader *rd, const struct destination *first,
                    const struct destination *other)
{
    const char *what = NULL;
    if (!same_limits(first, other))
        what = "rate_limits";
    else if (first->concurrency != other->concurrency)
        what = "concurrency";
    else if (first->shard != other->shard)
        what = "shard";
    else if (first->connector && other->connector && first->connector != other->connector &&
             (has_groups(first) || first->connector->open_jobs != other->connector->open_jobs))
        what = "type";
    if (what)
        mistake(rd, other->place,
                "the destinations %s and %s (%s:%u) share the quota %s but differ in `%s`: make "
                "them equal",
                shown_text(rd, other->name), shown_text(rd, first->name), first->place.file,
                first->place.line, shown_text(rd, first->quota), what);
}

void quotas_check(struct reader *rd)
{
    size_t n = rd->project->destination_count;
    const struct destination **sorted = reader_alloc(rd, n * sizeof *sorted);
    if (!sorted)
        return;
    for (size_t i = 0; i < n; i++)
        sorted[i] = &rd->project->destinations[i];
    qsort(sorted, n, sizeof *sorted, by_quota);
    const struct destination *first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (first && strcmp(first->quota, sorted[i]->quota) == 0)
            compare(rd, first, sorted[i]);
        else
            first = sorted[i];
    }
}
