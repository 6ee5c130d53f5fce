/*
 * The table itself: a project becomes items, and what was known of the one before goes over.
 *
 * Reads a project and the zones it names. Invariant: items are in the order of names, one per sync
 * of the project; a table that could not be made changes nothing.
 */
#include "scheduler/schedule/schedule_private.h"

#include <stdlib.h>
#include <xxhash.h>

struct item *item_find(const struct schedule_table *table, const char *sync)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(table->items[middle].sync->name, sync);
        if (order == 0)
            return &table->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- what a schedule is ---- */

static void digest_number(uint64_t *digest, uint64_t n)
{
    *digest = XXH64(&n, sizeof n, *digest);
}

static void digest_text(uint64_t *digest, const char *text)
{
    *digest = XXH64(text ? text : "", text ? strlen(text) + 1 : 0, *digest);
}

/* Of what says when the sync is due. How often is looked, and what becomes of times that cannot be
 * kept, may change without beginning anew. */
static uint64_t digest_of(const struct sync *sync)
{
    const struct schedule *s = &sync->schedule;
    uint64_t digest = 0;
    digest_number(&digest, (uint64_t)s->kind);
    digest_number(&digest, s->kind == SCHEDULE_EVERY ? s->every_ms : 0);
    digest_number(&digest, s->offset_ms);
    digest_number(&digest, s->jitter_ms);
    digest_text(&digest, s->line);
    digest_text(&digest, s->timezone);
    digest_text(&digest, s->query);
    digest_text(&digest, s->query ? sync->model->source->name : NULL);
    digest_text(&digest, s->run_results);
    digest_text(&digest, s->dbt_model);
    for (size_t i = 0; i < s->after_count; i++)
        digest_text(&digest, s->after[i]->name);
    return digest;
}

/* Syncs of one model are late by the same, so that they share its read. */
static int64_t late_ms(const struct sync *sync)
{
    const struct schedule *s = &sync->schedule;
    const char *model = sync->model->name;
    uint64_t late = s->jitter_ms ? XXH64(model, strlen(model), 0) % (s->jitter_ms + 1) : 0;
    return (int64_t)(s->offset_ms + late);
}

/* ---- making one ---- */

static enum err_code find_zone(struct schedule_table *table, const char *name,
                               const struct zone **ret, struct err *err)
{
    const char *wanted = name ? name : "UTC";
    for (size_t i = 0; i < table->zone_count; i++) {
        if (strcmp(table->zones[i].name, wanted) != 0)
            continue;
        *ret = table->zones[i].zone;
        return ERR_OK;
    }
    struct zone *zone;
    enum err_code rc = zone_load(wanted, &zone, err);
    if (rc)
        return rc;
    table->zones[table->zone_count++] = (struct named_zone){wanted, zone};
    *ret = zone;
    return ERR_OK;
}

static enum err_code make_item(struct schedule_table *table, const struct sync *sync,
                               int64_t now_ms, struct item *ret, struct err *err)
{
    *ret = (struct item){.sync = sync, .memory = {.digest = digest_of(sync)}};
    ret->times = (struct times){&sync->schedule, NULL, late_ms(sync)};
    if (sync->schedule.kind == SCHEDULE_CRON) {
        enum err_code rc = find_zone(table, sync->schedule.timezone, &ret->times.zone, err);
        if (rc)
            return err_prefix(err, "schedule of %s", sync->name);
    }
    item_decided(ret, now_ms);
    return ERR_OK;
}

static int by_name(const void *left, const void *right)
{
    const struct item *a = left, *b = right;
    return strcmp(a->sync->name, b->sync->name);
}

enum err_code schedule_table_new(const struct project *project, int64_t now_ms,
                                 struct schedule_table **ret_table, struct err *err)
{
    struct schedule_table *table = calloc(1, sizeof *table);
    size_t n = project->sync_count;
    if (table) {
        table->project = project;
        table->items = calloc(n + 1, sizeof *table->items);
        table->zones = calloc(n + 1, sizeof *table->zones);
    }
    if (!table || !table->items || !table->zones) {
        schedule_table_free(table);
        return err_set(err, ERR_NOMEM, "no memory for %zu schedules", n);
    }
    for (size_t i = 0; i < n; i++) {
        enum err_code rc = make_item(table, &project->syncs[i], now_ms, &table->items[i], err);
        if (rc) {
            schedule_table_free(table);
            return rc;
        }
    }
    table->count = n;
    qsort(table->items, n, sizeof *table->items, by_name);
    *ret_table = table;
    return ERR_OK;
}

static void done(struct schedule_table *table)
{
    for (size_t i = 0; i < table->zone_count; i++)
        zone_free(table->zones[i].zone);
    free(table->zones);
    free(table->items);
}

void schedule_table_free(struct schedule_table *table)
{
    if (!table)
        return;
    done(table);
    free(table);
}

/* ---- another project ---- */

static void carry_over(struct item *item, const struct item *old)
{
    int64_t now_ms = item->memory.until_ms;
    uint64_t digest = item->memory.digest;
    bool same = digest == old->memory.digest;
    item->recalled = old->recalled;
    item->old_run = old->old_run;
    item->blocks = old->blocks;
    item->kept = old->kept;
    item->kept_digest = old->kept_digest;
    item->memory = old->memory;
    if (same) {
        item->look_ms = old->looking ? now_ms : old->look_ms;
        memcpy(item->failed, old->failed, sizeof item->failed);
    } else {
        item->memory.digest = digest;
        item->memory.due_ms = 0;
        item->memory.turns = 0;
        item->memory.taken = item->memory.seen = (struct token){0};
    }
    item_decided(item, same ? old->memory.until_ms : now_ms);
}

enum err_code schedule_table_reload(struct schedule_table *table, const struct project *project,
                                    int64_t now_ms, struct err *err)
{
    struct schedule_table *other;
    enum err_code rc = schedule_table_new(project, now_ms, &other, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < other->count; i++) {
        const struct item *old = item_find(table, other->items[i].sync->name);
        if (old)
            carry_over(&other->items[i], old);
    }
    done(table);
    *table = *other;
    free(other);
    return ERR_OK;
}
