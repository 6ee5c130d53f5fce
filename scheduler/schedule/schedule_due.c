/*
 * What is due, and when something may be.
 *
 * Reads items and the clock. Times are decided on as they pass: each makes its sync due, or is
 * dropped by what the schedule says of times that are missed or overlap. Invariant: until_ms never
 * goes back, but for a clock that was set back far.
 */
#include "scheduler/schedule/schedule_private.h"

/* A clock set back by less stands still until it has caught up, and no time comes twice. */
enum { CLOCK_BACK_MS = 300000 };

void item_decided(struct item *item, int64_t until_ms)
{
    item->memory.until_ms = until_ms;
    item->next_ms = item_has_times(item) ? times_next(&item->times, until_ms) : INT64_MAX;
}

static bool is_dropped(const struct item *item, bool down)
{
    const struct schedule *s = &item->sync->schedule;
    bool held = item->memory.run_state == ITEM_RUN_HELD;
    if ((down || held || item->blocks) && s->missed == MISSED_SKIP)
        return true;
    return !down && item->memory.run_state == ITEM_RUN_UNDER_WAY && s->overlap == OVERLAP_SKIP;
}

void item_check_clock(struct item *item, int64_t now_ms)
{
    if (item->memory.until_ms > now_ms + CLOCK_BACK_MS)
        item_decided(item, now_ms);
    /* What is due stays so, and a start now is behind it. */
    if (item->memory.due_ms > now_ms)
        item->memory.due_ms = now_ms;
}

void item_advance(struct item *item, int64_t now_ms, bool down)
{
    if (item->next_ms > now_ms)
        return;
    int64_t latest_ms = times_latest(&item->times, item->memory.until_ms, now_ms);
    if (latest_ms != INT64_MIN && !is_dropped(item, down))
        item->memory.due_ms = latest_ms;
    item_decided(item, now_ms);
}

/* ---- starts ---- */

static bool is_before(const struct schedule_start *a, const struct schedule_start *b)
{
    if (a->sync->priority != b->sync->priority)
        return a->sync->priority > b->sync->priority;
    return a->scheduled_ms < b->scheduled_ms;
}

/* Puts it at its place among the count most urgent ones; the last falls out where there are max. */
static size_t insert(struct schedule_start *starts, size_t count, size_t max,
                     struct schedule_start start)
{
    size_t at = count;
    while (at > 0 && is_before(&start, &starts[at - 1]))
        at--;
    if (at == max)
        return count;
    if (count < max)
        count++;
    memmove(&starts[at + 1], &starts[at], (count - at - 1) * sizeof *starts);
    starts[at] = start;
    return count;
}

size_t schedule_due(struct schedule_table *table, int64_t now_ms, struct schedule_start *ret,
                    size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++) {
        struct item *item = &table->items[i];
        item->recalled = false;
        item_check_clock(item, now_ms);
        item_advance(item, now_ms, false);
        if (item->memory.due_ms && item_is_free(item))
            count =
                insert(ret, count, max, (struct schedule_start){item->sync, item->memory.due_ms});
    }
    return count;
}

int64_t schedule_next_ms(const struct schedule_table *table, const char *sync)
{
    const struct item *item = item_find(table, sync);
    if (!item || !item_has_times(item))
        return 0;
    if (item->memory.due_ms)
        return item->memory.due_ms;
    return item->next_ms == INT64_MAX ? 0 : item->next_ms;
}

/* ---- looks ---- */

/* A query's answer stays; dbt's file is written over by its next invocation, and costs nothing to
 * read. */
static bool wants_look(const struct item *item)
{
    if (!item_has_looks(item) || item->looking)
        return false;
    return item->sync->schedule.kind == SCHEDULE_DBT || item_is_free(item);
}

size_t schedule_looks(struct schedule_table *table, int64_t now_ms, const struct sync **ret,
                      size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < table->count && count < max; i++) {
        struct item *item = &table->items[i];
        int64_t soonest_ms = now_ms + (int64_t)item->sync->schedule.every_ms;
        if (item->look_ms > soonest_ms) /* the clock was set back */
            item->look_ms = soonest_ms;
        if (item->look_ms > now_ms || !wants_look(item))
            continue;
        item->looking = true;
        ret[count++] = item->sync;
    }
    return count;
}

int64_t schedule_wake_ms(const struct schedule_table *table)
{
    int64_t wake_ms = INT64_MAX;
    for (size_t i = 0; i < table->count; i++) {
        const struct item *item = &table->items[i];
        bool starts = item_has_times(item) && item_is_free(item) && !item->memory.due_ms;
        if (starts && item->next_ms < wake_ms)
            wake_ms = item->next_ms;
        if (wants_look(item) && item->look_ms < wake_ms)
            wake_ms = item->look_ms;
    }
    return wake_ms;
}
