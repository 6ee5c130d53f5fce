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
    SCHEDULE_STREAM,    /* all the time, while the scheduler runs */
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

enum stream_from {
    STREAM_CDC,    /* changes of the model's table, by logical replication */
    STREAM_KEYS,   /* changes of base tables, which name keys of the model to ask for */
    STREAM_POLL,   /* rows above a cursor */
    STREAM_EVENTS, /* entries of a Redis stream */
};

/** "cdc", "keys", …: as it is written. */
const char *stream_from_name(enum stream_from from);

enum { STREAM_TABLES_MAX = 64 };

/* A base table, and its columns that hold the model's primary key, in its order. */
struct stream_table {
    const char *table; /* as written: schema.table */
    const char *const *columns;
};

struct schedule_stream {
    enum stream_from from;
    bool create;             /* CDC, KEYS: make slot and publication where they are missing */
    const char *slot;        /* CDC, KEYS: NULL with create: named by Sluice */
    const char *publication; /* likewise */
    uint64_t
        max_slot_bytes; /* CDC, KEYS: a slot that holds back more is given up; default 10 GiB */
    const struct stream_table *tables; /* KEYS */
    size_t table_count;
    uint64_t poll_ms;      /* POLL: from look to look; default 5 s */
    const char *cursor;    /* POLL: column that grows with every change */
    uint64_t overlap_ms;   /* POLL: how far a look goes back behind what was seen; default 1 min */
    const char *notify;    /* POLL: channel to LISTEN on; NULL: none */
    const char *group;     /* EVENTS: consumer group; default sluice:SYNC */
    uint64_t roll_ms;      /* a run ends after; default 5 min */
    uint64_t linger_ms;    /* how long a batch that is not full may wait for more, at a
                              destination with limits; default 0 */
    uint64_t reconcile_ms; /* the model is read anew after; 0: never; default 1 day, EVENTS: 0 */
};

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
    struct schedule_stream stream; /* STREAM */
    enum schedule_missed missed;   /* EVERY, CRON */
    enum schedule_overlap overlap; /* EVERY, CRON */
};

#endif
