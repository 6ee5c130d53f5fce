/*
 * What a load needs: from measured costs, limits and durations to workers, Redis and schedulers.
 *
 * Pure functions of plain numbers (costs.h, made by bench/capacity; deploy/CAPACITY.md says how
 * they come about and how far they can be trusted). A target is a quota: destinations that share
 * limits are one. Nothing here knows a project, a state or a clock. Any thread.
 */
#ifndef SLUICE_CAPACITY_MODEL_H
#define SLUICE_CAPACITY_MODEL_H

#include "protocol/config/config.h"
#include "scheduler/capacity/costs.h"

enum {
    CAPACITY_UNLIMITED = -1,   /* as the limit that binds: none does */
    CAPACITY_CONCURRENCY = -2, /* the number of requests at the same time */
};

/* What is added to every need, as a factor: load comes in bursts, and costs differ by machine. */
#define CAPACITY_HEADROOM 1.5

struct capacity_costs {
#define X(name, value) double name;
    CAPACITY_COSTS(X)
#undef X
};
/** As measured. */
extern const struct capacity_costs capacity_measured;

/* Of a day, or of its busiest hour. */
struct capacity_load {
    double records; /* sent */
    double requests;
    double batches;
    double bytes; /* of bodies */
    double rows;  /* read */
};
/** Adds the second to the first, times a factor. */
void capacity_load_add(struct capacity_load *to, const struct capacity_load *more, double factor);

struct capacity_target {
    const char *name;
    const struct rate_limit *limits;
    size_t limit_count;
    uint32_t concurrency;      /* 0: any number */
    double batch_records;      /* of a full batch */
    double requests_per_batch; /* 1, more where a batch needs several */
    double request_ms;         /* mean time of a request */
    bool https;
    double full_records; /* that sending everything again would send; 0: none are known of */
    struct capacity_load day, hour; /* wanted */
};

/* What a target's limits allow. */
struct capacity_room {
    double records_day; /* at most, in full batches; INFINITY: nothing says */
    int bound;          /* index of the limit that says so, or CAPACITY_… */
    bool possible;      /* a day's records go out in a day */
    double used;        /* of the fullest: of windows of a day and more by the day, else by its
                           busiest hour; above 1: work waits */
    int used_by;
    double hour_takes; /* hours that the busiest hour's work takes; at most 1: it does not wait */
    double full_hours; /* that sending everything again takes at least */
    double in_flight;  /* requests at the same time in the busiest hour (Little's law) */
};
void capacity_room(const struct capacity_target *t, struct capacity_room *ret);
/** Records that a limit carries in a day, in full batches. */
double capacity_limit_records(const struct capacity_target *t, const struct rate_limit *limit);

/* What is common to all targets. */
struct capacity_frame {
    double stored_rows;  /* entries of state, of all syncs */
    double window_bytes; /* settings.window */
    double history_bytes;
    double worker_slots; /* requests that a worker has under way at a time */
};

struct capacity_need {
    double in_flight;    /* requests at the same time in the busiest hour */
    double worker_cores; /* processors that their work takes */
    double workers;      /* processes */
    double worker_bytes; /* of memory, each */
    double redis_cores;  /* one Redis uses one */
    double
        quota_cores;  /* of them, for the busiest target, which has one server to itself at most */
    double primaries; /* Redis servers */
    double redis_bytes; /* of memory, at most, all together */
    double redis_net;   /* bytes a second in the busiest hour */
    double scheduler_cores;
    double shards;
    double scheduler_bytes; /* of memory */
    double disk_bytes;      /* state, spool of everything sent again, history */
};
/** Needs with CAPACITY_HEADROOM. rooms: of the targets, by capacity_room. */
void capacity_need(const struct capacity_costs *costs, const struct capacity_frame *frame,
                   const struct capacity_target *targets, const struct capacity_room *rooms,
                   size_t count, struct capacity_need *ret);

#endif
