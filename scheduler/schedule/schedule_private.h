/* The inside of the table of schedules, shared by its parts. */
#ifndef SLUICE_SCHEDULE_SCHEDULE_PRIVATE_H
#define SLUICE_SCHEDULE_SCHEDULE_PRIVATE_H

#include "scheduler/schedule/schedule.h"
#include "scheduler/schedule/times.h"

enum { SCHEDULE_RUN_MAX = 64 }; /* bytes of a run's id */

/*
 *            started              ran: held
 *   NONE ──────────────▶ UNDER_WAY ────────▶ HELD
 *                          ▲    ▲  ◀────────  │
 *            started: R2   │    │ started: R  │ ran, or started: R2, which supersedes it
 *                          └─ ENDED ◀─────────┘
 *                               ▲ ran
 *                               └── UNDER_WAY
 */
enum item_run { ITEM_RUN_NONE, ITEM_RUN_UNDER_WAY, ITEM_RUN_HELD, ITEM_RUN_ENDED };

struct token {
    bool set;
    uint8_t bytes[SCHEDULE_TOKEN_BYTES];
};

/* What is known of a sync and outlives the process; schedule_memory.c packs it. */
struct memory {
    uint64_t digest; /* of what makes the sync due: another one begins anew */
    enum item_run run_state;
    enum schedule_status status; /* of the run, once it ended */
    char run[SCHEDULE_RUN_MAX + 1];
    int64_t run_ms;     /* when it was accepted */
    int64_t until_ms;   /* times up to it are decided, ends of predecessors up to it old */
    int64_t due_ms;     /* what made it due; 0: it is not */
    uint64_t turns;     /* AFTER: a bit for each predecessor that has ended as it must */
    struct token taken; /* ON_CHANGE, DBT: by a run */
    struct token seen;  /* last, by a look */
};

struct item {
    const struct sync *sync;
    struct memory memory;
    bool kept; /* it was given to schedule_keep's caller, with this digest */
    uint64_t kept_digest;
    bool recalled; /* until the first turn: runs that are told may be older than the known one */
    bool old_run;  /* the run is such a one: its end was told to others before */
    unsigned blocks;
    struct times times; /* EVERY, CRON */
    int64_t next_ms;    /* the first of them after until_ms; INT64_MAX: none */
    bool looking;
    int64_t look_ms;                 /* not before it */
    char failed[SCHEDULE_WHY_BYTES]; /* why the last look saw nothing; empty: it saw */
};

struct named_zone {
    const char *name;
    struct zone *zone;
};

struct schedule_table {
    const struct project *project;
    struct item *items; /* in the order of names */
    size_t count;
    struct named_zone *zones;
    size_t zone_count;
};

/** NULL where the project has no such sync. */
struct item *item_find(const struct schedule_table *table, const char *sync);
static inline bool item_has_times(const struct item *item)
{
    enum schedule_kind kind = item->sync->schedule.kind;
    return kind == SCHEDULE_EVERY || kind == SCHEDULE_CRON;
}
static inline bool item_has_looks(const struct item *item)
{
    enum schedule_kind kind = item->sync->schedule.kind;
    return kind == SCHEDULE_ON_CHANGE || kind == SCHEDULE_DBT;
}
/** Nothing stands against a start. */
static inline bool item_is_free(const struct item *item)
{
    return !item->blocks && item->memory.run_state != ITEM_RUN_UNDER_WAY &&
           item->memory.run_state != ITEM_RUN_HELD;
}
/** Moves until_ms. */
void item_decided(struct item *item, int64_t until_ms);
/** now_ms: the clock's, not a time that is told of later. */
void item_check_clock(struct item *item, int64_t now_ms);
/** Decides on the times that have passed. down: while nobody looked. */
void item_advance(struct item *item, int64_t now_ms, bool down);
/** The end of a predecessor's run. */
void item_after(struct item *item, const struct sync *ended, enum schedule_status status,
                int64_t now_ms);
bool item_after_fits(const struct item *item, enum schedule_status status);

#endif
