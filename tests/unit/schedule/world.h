/* A project made by hand, a table of its schedules, and short words for what tests ask of it. */
#ifndef SLUICE_TESTS_SCHEDULE_WORLD_H
#define SLUICE_TESTS_SCHEDULE_WORLD_H

#include "scheduler/schedule/schedule.h"

#include "protocol/config/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { WORLD_SYNCS = 8, SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY (24ll * HOUR)
/* 2026-01-05T00:00:00Z, a Monday. */
#define T0 (1767571200ll * SECOND)

struct kept {
    char bytes[SCHEDULE_MEMORY_MAX];
    size_t n; /* 0: none */
};

struct world {
    struct source source;
    struct model model;
    struct destination destination;
    struct sync syncs[WORLD_SYNCS];
    struct project project;
    const struct sync *after[WORLD_SYNCS][WORLD_SYNCS];
    struct schedule_table *table;
    struct kept kept[WORLD_SYNCS];
    size_t kept_calls;
};

static inline void world_init(struct world *w)
{
    *w = (struct world){0};
    w->source = (struct source){.name = "warehouse", .type = "postgres"};
    w->model = (struct model){.name = "m", .source = &w->source};
    w->destination = (struct destination){.name = "crm"};
    w->project = (struct project){.dir = "/", .syncs = w->syncs};
}

static inline struct sync *world_add(struct world *w, const char *name, enum schedule_kind kind)
{
    struct sync *s = &w->syncs[w->project.sync_count++];
    *s = (struct sync){.name = name,
                       .model = &w->model,
                       .destination = &w->destination,
                       .priority = PRIORITY_NORMAL,
                       .schedule = {.kind = kind, .after_on = AFTER_ON_WARNING}};
    return s;
}

static inline struct sync *world_every(struct world *w, const char *name, uint64_t every_ms)
{
    struct sync *s = world_add(w, name, SCHEDULE_EVERY);
    s->schedule.every_ms = every_ms;
    return s;
}

static inline struct sync *world_cron(struct world *w, const char *name, const char *line)
{
    struct sync *s = world_add(w, name, SCHEDULE_CRON);
    s->schedule.line = line;
    assert_null(cron_read(line, &s->schedule.cron));
    return s;
}

static inline struct sync *world_after(struct world *w, const char *name, const struct sync *before)
{
    const struct sync **after = w->after[w->project.sync_count];
    struct sync *s = world_add(w, name, SCHEDULE_AFTER);
    s->schedule.after = after;
    after[s->schedule.after_count++] = before;
    return s;
}

static inline struct sync *world_on_change(struct world *w, const char *name)
{
    struct sync *s = world_add(w, name, SCHEDULE_ON_CHANGE);
    s->schedule.query = "select 1";
    s->schedule.every_ms = 30 * SECOND;
    return s;
}

static inline void world_go(struct world *w, int64_t now_ms)
{
    struct err err;
    if (schedule_table_new(&w->project, now_ms, &w->table, &err))
        fail_msg("%s", err.text);
}

static inline void world_done(struct world *w)
{
    schedule_table_free(w->table);
}

static inline enum err_code world_take(void *ctx, const char *sync, struct slice packed,
                                       struct err *err)
{
    struct world *w = ctx;
    const struct sync *s = project_sync(&w->project, sync);
    (void)err;
    assert_non_null(s);
    assert_true(packed.n > 0 && packed.n <= SCHEDULE_MEMORY_MAX);
    struct kept *kept = &w->kept[s - w->syncs];
    memcpy(kept->bytes, packed.p, packed.n);
    kept->n = packed.n;
    w->kept_calls++;
    return ERR_OK;
}

static inline void world_keep(struct world *w)
{
    struct err err;
    assert_int_equal(schedule_keep(w->table, world_take, w, &err), ERR_OK);
}

/* The process ends without a word; the next begins with what was kept. */
static inline void world_restart(struct world *w, int64_t now_ms)
{
    struct err err;
    schedule_table_free(w->table);
    world_go(w, now_ms);
    for (size_t i = 0; i < w->project.sync_count; i++)
        if (w->kept[i].n && schedule_recall(w->table, w->syncs[i].name,
                                            slice_of(w->kept[i].bytes, w->kept[i].n), now_ms, &err))
            fail_msg("%s", err.text);
}

/* When it was due, 0 where it is not. */
static inline int64_t world_due(struct world *w, const char *sync, int64_t now_ms)
{
    struct schedule_start starts[WORLD_SYNCS];
    size_t n = schedule_due(w->table, now_ms, starts, WORLD_SYNCS);
    for (size_t i = 0; i < n; i++)
        if (strcmp(starts[i].sync->name, sync) == 0)
            return starts[i].scheduled_ms;
    return 0;
}

static inline void world_run(struct world *w, const char *sync, const char *run,
                             enum schedule_status status, int64_t start_ms, int64_t end_ms)
{
    schedule_started(w->table, sync, run, start_ms);
    schedule_ran(w->table, sync, run, status, end_ms);
}

static inline bool world_why(struct world *w, const char *sync, const char *words)
{
    char why[SCHEDULE_WHY_BYTES];
    schedule_why(w->table, sync, why);
    bool same = *words ? strstr(why, words) != NULL : !*why;
    if (!same)
        print_error("%s: %s\n", sync, why);
    return same;
}

/* What a look saw: the same character, the same answer. */
static inline const uint8_t *world_token(char c)
{
    static uint8_t bytes[256][SCHEDULE_TOKEN_BYTES];
    memset(bytes[(uint8_t)c], c, SCHEDULE_TOKEN_BYTES);
    return bytes[(uint8_t)c];
}

#endif
