/*
 * When a sync runs by itself, as written under its `schedule`: plain data, checked and with every
 * default filled in. What follows from it is scheduler/schedule's.
 */
#ifndef SLUICE_CONFIG_SCHEDULE_H
#define SLUICE_CONFIG_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sync;

enum schedule_kind {
    SCHEDULE_MANUAL,    /* only when asked */
    SCHEDULE_EVERY,     /* at the multiples of an interval, counted from 1970-01-01 00:00 UTC */
    SCHEDULE_CRON,      /* at times of a calendar and a zone */
    SCHEDULE_AFTER,     /* after other syncs */
    SCHEDULE_ON_CHANGE, /* when the answer of a query is another one */
    SCHEDULE_DBT,       /* when dbt has built the model */
    SCHEDULE_STREAM,    /* not carried out by this version */
};

/* A cron line as sets: bit n stands for the value n. Sunday is 0, January 1. */
struct cron {
    uint64_t minutes;
    uint32_t hours;
    uint32_t days;
    uint16_t months;
    uint8_t weekdays;
    /* The field begins with *. Where one of the two does, a day must be in both sets, as * holds
     * all of them; where neither does, in one of them. */
    bool any_day;
    bool any_weekday;
};

/* How an ended run of a predecessor must have ended. */
enum after_on {
    AFTER_ON_SUCCESS,
    AFTER_ON_WARNING, /* success or warning: the default */
    AFTER_ON_ANY,     /* failed and cancelled too; held has not ended */
};

/* Of times that passed while the scheduler was down or the sync paused or held. */
enum schedule_missed {
    MISSED_RUN_ONCE, /* they make one run together */
    MISSED_SKIP,
};

/* Of times that come while a run is under way. */
enum schedule_overlap {
    OVERLAP_QUEUE, /* they make one run together, after it */
    OVERLAP_SKIP,
};

enum { SCHEDULE_AFTER_MAX = 64 };

struct schedule {
    enum schedule_kind kind;
    uint64_t every_ms;    /* EVERY: from start to start; ON_CHANGE, DBT: from look to look */
    uint64_t offset_ms;   /* EVERY: added to each time; less than every_ms */
    uint64_t jitter_ms;   /* EVERY, CRON: each start is late by a part of it that is the model's, so
                             that syncs of one model stay together */
    const char *line;     /* CRON: as written */
    struct cron cron;     /* CRON */
    const char *timezone; /* CRON: name in the zone database; NULL: UTC */
    const struct sync **after; /* AFTER: SCHEDULE_AFTER_MAX at most, none twice, without circles */
    size_t after_count;
    enum after_on after_on;
    const char *query;       /* ON_CHANGE: one statement of one row and one column, on the model's
                                source */
    const char *run_results; /* DBT: absolute path */
    const char *dbt_model;   /* DBT: name or unique id */
    enum schedule_missed missed;   /* EVERY, CRON */
    enum schedule_overlap overlap; /* EVERY, CRON */
};

#endif
