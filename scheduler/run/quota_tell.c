/* What a quota tells whoever looks. Reads: the stats of the last permit, what results said of their
 * requests. Writes: nothing but what it tells. A crash here: nothing is lost. */
#include "scheduler/run/quota_private.h"

#include "protocol/base/clock.h"

#include <stdlib.h>

/* Redis tells the tokens of a window in this many groups, each as late as its last: so late may one
 * be told. */
enum { WINDOW_GROUPS = 250 };

/* ---- kept ---- */

static void add_sync(struct quota *q, const struct queue_sync_stats *s)
{
    struct quota_sync *to = &q->syncs[q->sync_count++];
    size_t n = s->sync.n < sizeof to->sync ? s->sync.n : sizeof to->sync - 1;
    *to = (struct quota_sync){.queued = s->queued, .parked = s->parked, .leased = s->leased};
    memcpy(to->sync, s->sync.p, n);
    q->summary.queued += s->queued;
    q->summary.parked += s->parked;
    q->summary.leased += s->leased;
}

/* As many syncs as the quota has work of. Without memory they are not told apart. */
static bool make_room(struct quota *q, size_t count)
{
    if (count <= q->sync_cap)
        return true;
    struct quota_sync *syncs = realloc(q->syncs, count * sizeof *syncs);
    if (!syncs)
        return false;
    q->syncs = syncs;
    q->sync_cap = count;
    return true;
}

static void keep_limits(struct quota *q, const struct queue_stats *stats)
{
    const struct destination *d = q->destination;
    uint64_t within_ms = q->host->project->settings.drain_within_ms;
    q->limit_used_count = 0;
    for (size_t i = 0; i < stats->limit_count && i < d->limit_count; i++) {
        double used = (double)stats->limit_used[i] / (double)d->limits[i].count;
        if (used > q->summary.limit_used)
            q->summary.limit_used = used;
        if (i >= WINDOWS_LIMITS_MAX)
            continue;
        q->limit_returns[i] = 0;
        q->limit_used[q->limit_used_count++] = stats->limit_used[i];
    }
    for (size_t i = 0; i < stats->window_count; i++) {
        const struct queue_window *w = &stats->windows[i];
        if (w->limit < q->limit_used_count &&
            w->left_ms <= within_ms + d->limits[w->limit].per_ms / WINDOW_GROUPS)
            q->limit_returns[w->limit] += w->count;
    }
}

void quota_summarise(struct quota *q, const struct queue_stats *stats)
{
    int64_t now_ms = clock_mono_ms();
    if (q->metered_ms)
        meter_fade(&q->meter, (uint64_t)(now_ms - q->metered_ms));
    q->metered_ms = now_ms;
    q->summary = (struct quota_summary){
        .throttled_left_ms = stats->throttled_left_ms,
        .throttled_for_ms = stats->throttled_for_ms,
        .leases_lost = stats->leases_lost,
        .cost = meter_cost(&q->meter),
    };
    q->sync_count = 0;
    if (make_room(q, stats->sync_count))
        for (size_t i = 0; i < stats->sync_count; i++)
            add_sync(q, &stats->syncs[i]);
    q->factor = stats->factor;
    keep_limits(q, stats);
}

void quota_note_requests(struct quota *q, uint32_t requests, uint32_t duration_ms, uint64_t batches)
{
    meter_note(&q->meter, requests, duration_ms, batches);
}

/* ---- told ---- */

const struct quota_summary *quota_summary(const struct quota *q)
{
    return &q->summary;
}

double quota_factor(const struct quota *q)
{
    return q->factor;
}

const uint64_t *quota_limit_used(const struct quota *q, size_t *ret_count)
{
    *ret_count = q->limit_used_count;
    return q->limit_used;
}

const uint64_t *quota_limit_returns(const struct quota *q)
{
    return q->limit_returns;
}

const struct quota_sync *quota_syncs(const struct quota *q, size_t *ret_count)
{
    *ret_count = q->sync_count;
    return q->syncs;
}
