/* Schedules, and why a sync does not run, in words. */
#include "scheduler/schedule/schedule_private.h"

#include "scheduler/schedule/words.h"

#include <inttypes.h>

/* ---- why ---- */

static const char *status_words(enum schedule_status status)
{
    switch (status) {
    case SCHEDULE_RAN_SUCCESS:
        return "ended with success";
    case SCHEDULE_RAN_WARNING:
        return "ended with a warning";
    case SCHEDULE_RAN_FAILED:
        return "failed";
    case SCHEDULE_RAN_CANCELLED:
        return "was cancelled";
    case SCHEDULE_RAN_HELD:
        return "is held";
    }
    return "ended";
}

static void put_waiting(const struct schedule_table *table, const struct item *item,
                        struct words *w)
{
    const struct schedule *s = &item->sync->schedule;
    const char *before = "waits for ";
    for (size_t i = 0; i < s->after_count; i++) {
        if (item->memory.turns & 1ull << i)
            continue;
        const struct item *other = item_find(table, s->after[i]->name);
        const struct memory *m = other ? &other->memory : NULL;
        words_put(w, "%s%s", before, s->after[i]->name);
        if (m && m->run_state == ITEM_RUN_HELD)
            words_put(w, " (its run is held)");
        else if (m && m->run_state == ITEM_RUN_ENDED && !item_after_fits(item, m->status))
            words_put(w, " (its last run %s)", status_words(m->status));
        before = ", ";
    }
}

const char *schedule_why(const struct schedule_table *table, const char *sync, char *out)
{
    const struct item *item = item_find(table, sync);
    struct words w = words_into(out, SCHEDULE_WHY_BYTES);
    if (!item)
        return out;
    const struct memory *m = &item->memory;
    if (m->run_state == ITEM_RUN_HELD)
        words_put(&w, "its last run is held: approve or reject it");
    else if (item->blocks & SCHEDULE_BLOCK_PAUSED)
        words_put(&w, "the sync is paused");
    else if (item->blocks & SCHEDULE_BLOCK_DESTINATION_PAUSED)
        words_put(&w, "the destination %s is paused", item->sync->destination->name);
    else if (m->run_state == ITEM_RUN_UNDER_WAY && m->due_ms)
        words_put(&w, "waits for the end of run %s", m->run);
    else if (item->failed[0])
        words_put(&w, "%s", item->failed);
    else if (item->sync->schedule.kind == SCHEDULE_AFTER && !m->due_ms &&
             m->run_state != ITEM_RUN_UNDER_WAY)
        put_waiting(table, item, &w);
    return out;
}

/* ---- the schedule ---- */

/* 1h30m: as the configuration takes it. */
static void put_duration(struct words *w, uint64_t ms)
{
    static const struct {
        uint64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (ms >= units[i].ms)
            words_put(w, "%" PRIu64 "%s", ms / units[i].ms, units[i].name);
        ms %= units[i].ms;
    }
}

static void put_every(struct words *w, const struct schedule *s)
{
    words_put(w, "every ");
    put_duration(w, s->every_ms);
    if (s->offset_ms) {
        words_put(w, ", offset ");
        put_duration(w, s->offset_ms);
    }
}

static void put_line(struct words *w, const struct schedule *s)
{
    for (const char *p = s->line; *p; p++)
        words_put(w, "%c", *p == '\n' || *p == '\t' ? ' ' : *p);
    words_put(w, " (%s)", s->timezone ? s->timezone : "UTC");
}

static void put_after(struct words *w, const struct schedule *s)
{
    static const char *const ons[] = {
        [AFTER_ON_SUCCESS] = ", on success", [AFTER_ON_WARNING] = "", [AFTER_ON_ANY] = ", on any"};
    for (size_t i = 0; i < s->after_count; i++)
        words_put(w, "%s%s", i ? ", " : "after ", s->after[i]->name);
    words_put(w, "%s", ons[s->after_on]);
}

const char *schedule_words(const struct sync *sync, char *out)
{
    const struct schedule *s = &sync->schedule;
    struct words w = words_into(out, SCHEDULE_WORDS_BYTES);
    switch (s->kind) {
    case SCHEDULE_MANUAL:
        words_put(&w, "manual");
        break;
    case SCHEDULE_EVERY:
        put_every(&w, s);
        break;
    case SCHEDULE_CRON:
        put_line(&w, s);
        break;
    case SCHEDULE_AFTER:
        put_after(&w, s);
        break;
    case SCHEDULE_ON_CHANGE:
        words_put(&w, "on change, looked for every ");
        put_duration(&w, s->every_ms);
        break;
    case SCHEDULE_DBT:
        words_put(&w, "after dbt builds %s, looked for every ", s->dbt_model);
        put_duration(&w, s->every_ms);
        break;
    case SCHEDULE_STREAM:
        words_put(&w, "stream (%s)", stream_from_name(s->stream.from));
        break;
    }
    return out;
}
