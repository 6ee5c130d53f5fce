/*
 * A project, or an idea of one, as the capacity model sees it: targets with their loads, what their
 * limits allow, what all of it needs, and what of that had to be assumed.
 *
 * Reads a project, its history and what the caller wishes; writes nothing. Whatever was not known
 * is named in `assumed` or `unknown`, never left out silently.
 */
#ifndef SLUICE_CAPACITY_SURVEY_H
#define SLUICE_CAPACITY_SURVEY_H

#include "scheduler/capacity/history.h"

/* What stands in for numbers that nobody said. */
#define CAPACITY_REQUEST_MS 200.0
#define CAPACITY_RECORD_BYTES 250.0
#define CAPACITY_PEAK 0.125 /* of a day's work in its busiest hour */
#define CAPACITY_RUNS_PER_DAY 24.0
#define CAPACITY_BATCH_RECORDS 100.0

enum capacity_assumed {
    ASSUMED_REQUEST_MS = 1,
    ASSUMED_RECORD_BYTES = 2,
    ASSUMED_PEAK = 4,
    ASSUMED_RUNS = 8,
    ASSUMED_BATCHES = 16, /* full ones */
    ASSUMED_SHARES = 32,  /* each destination carries as much as any other */
};
enum capacity_unknown {
    UNKNOWN_LOAD = 1, /* no runs, and no records a day were said */
    UNKNOWN_ROWS = 2, /* no state, and no rows were said */
};

/* 0: not said. */
struct capacity_wish {
    double records_per_day; /* of all targets together */
    double rows;            /* of all models together */
    double request_ms;
    double runs_per_day;
    double growth; /* of records and rows */
};

struct capacity_survey {
    struct capacity_target *targets;
    struct capacity_room *rooms;
    struct capacity_load *today; /* a day's mean, as history has it */
    size_t count;
    bool alike; /* they are all the same: an idea, not a project */
    struct capacity_frame frame;
    struct capacity_need need; /* all zero where the load is unknown */
    unsigned assumed, unknown;
    double days; /* of history; 0: none */
    uint64_t runs;
    bool possible;             /* every target carries what is wanted */
    size_t redis_listed;       /* servers in the project's list; 0: a private one, or no project */
    unsigned shards, of_shard; /* the survey is of one of so many shards; 1: of all there is */
};

/** The project with its history. stored, wanted: as in capacity_need. state may be NULL. Borrows
 * the project. Owned: capacity_survey_done, after a failure too. */
enum err_code capacity_survey_project(const struct project *project, struct state *state,
                                      int64_t now_ms, const struct capacity_wish *wish,
                                      struct capacity_survey *ret, struct err *err) MUST_CHECK;
/** So many destinations of one connector's object, under its own limits. */
enum err_code capacity_survey_idea(const struct connector *connector, const struct object *object,
                                   size_t destinations, const struct capacity_wish *wish,
                                   struct capacity_survey *ret, struct err *err) MUST_CHECK;
void capacity_survey_done(struct capacity_survey *s);

#endif
