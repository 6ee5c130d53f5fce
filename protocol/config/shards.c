/*
 * A project as one shard sees it: its own destinations and syncs in front, the others' behind.
 *
 * Reads what all other parts have read. Invariant: pointers into destinations and syncs follow
 * them.
 */
#include "protocol/config/parts.h"
#include "protocol/config/shard.h"

/* Where each item goes: ours first, the order kept. Returns how many are ours; NULL: no memory. */
static size_t *places(struct reader *rd, const bool *ours, size_t n, size_t *ret_ours)
{
    size_t *to = reader_alloc(rd, n * sizeof *to), next = 0;
    for (int turn = 1; to && turn >= 0; turn--) {
        for (size_t i = 0; i < n; i++)
            if (ours[i] == (turn == 1))
                to[i] = next++;
        if (turn)
            *ret_ours = next;
    }
    return to;
}

/* The relation goes through one scheduler's memory: the other would wait for ever. */
static void check_after(struct reader *rd)
{
    const struct project *p = rd->project;
    for (size_t i = 0; i < p->sync_count; i++) {
        const struct sync *s = &p->syncs[i];
        for (size_t j = 0; j < s->schedule.after_count; j++) {
            const struct sync *other = s->schedule.after[j];
            if (s->destination->shard != other->destination->shard)
                mistake(rd, s->place,
                        "%s (shard %u) starts after %s (shard %u), but a scheduler knows only the "
                        "runs of its own shard: give their destinations one `shard`",
                        shown_text(rd, s->name), s->destination->shard, shown_text(rd, other->name),
                        other->destination->shard);
        }
    }
}

static struct destination *sort_destinations(struct reader *rd, uint32_t shard)
{
    struct project *p = rd->project;
    size_t n = p->destination_count;
    struct destination *sorted = reader_alloc(rd, n * sizeof *sorted), *old = p->destinations;
    bool *ours = reader_alloc(rd, n * sizeof *ours);
    if (!sorted || !ours)
        return NULL;
    for (size_t i = 0; i < n; i++)
        ours[i] = old[i].shard == shard;
    size_t *to = places(rd, ours, n, &p->destination_count);
    if (!to)
        return NULL;
    for (size_t i = 0; i < n; i++)
        sorted[to[i]] = old[i];
    for (size_t i = 0; i < p->sync_count; i++)
        if (p->syncs[i].destination)
            p->syncs[i].destination = &sorted[to[p->syncs[i].destination - old]];
    p->destinations = sorted;
    return sorted;
}

static void move_pointers(const struct sync **list, size_t count, const struct sync *old,
                          const struct sync *sorted, const size_t *to)
{
    for (size_t i = 0; i < count; i++)
        list[i] = &sorted[to[list[i] - old]];
}

static void sort_syncs(struct reader *rd, uint32_t shard)
{
    struct project *p = rd->project;
    size_t n = p->sync_count;
    struct sync *sorted = reader_alloc(rd, n * sizeof *sorted), *old = p->syncs;
    bool *ours = reader_alloc(rd, n * sizeof *ours);
    if (!sorted || !ours)
        return;
    for (size_t i = 0; i < n; i++)
        ours[i] = old[i].destination->shard == shard;
    size_t *to = places(rd, ours, n, &p->sync_count);
    if (!to)
        return;
    for (size_t i = 0; i < n; i++)
        sorted[to[i]] = old[i];
    for (size_t i = 0; i < n; i++)
        move_pointers(sorted[i].schedule.after, sorted[i].schedule.after_count, old, sorted, to);
    for (size_t i = 0; i < p->alert_count; i++)
        move_pointers(p->alerts[i].syncs, p->alerts[i].sync_count, old, sorted, to);
    p->syncs = sorted;
    p->elsewhere = sorted + p->sync_count;
    p->elsewhere_count = n - p->sync_count;
}

void shards_apply(struct reader *rd)
{
    struct project *p = rd->project;
    if (p->settings.shards < 2 || rd->problems->mistakes)
        return;
    check_after(rd);
    if (p->settings.shard < 0 || rd->is_worker || rd->problems->mistakes)
        return;
    if (sort_destinations(rd, (uint32_t)p->settings.shard))
        sort_syncs(rd, (uint32_t)p->settings.shard);
}
