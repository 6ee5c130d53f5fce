/*
 * How many workers would find something to do.
 *
 * Pure. A batch that waits for a rate limit, a throttled destination or its turn to be tried again
 * is no work: another worker would only wait with it. What is useful of a quota follows from
 * Little's law: requests that the backlog wants and the limits allow in a second, times the seconds
 * that a request takes, are the slots that are busy. README.md of this folder has the formulas.
 * Invariant: never more workers than find work, 0 only where nothing may run, never fewer for a
 * longer backlog.
 */
#ifndef SLUICE_REPORT_WORK_H
#define SLUICE_REPORT_WORK_H

#include "scheduler/service/control.h"

struct work_limit {
    size_t index; /* in the destination's limits */
    enum rate_kind kind;
    uint64_t count, per_ms;
    uint64_t used;    /* tokens in use */
    uint64_t returns; /* of them, back within the time to drain */
};

enum { WORK_LIMITS_MAX = 16 };

/* A quota, as it stands. */
struct work_quota {
    bool open;         /* Redis knows it, and it can be used */
    bool paused;       /* all of its destinations are */
    uint64_t batches;  /* that may be sent: without a verdict, of no paused sync, not parked */
    uint64_t at_once;  /* of them, how many their lanes let go at the same time */
    uint64_t parked;   /* wait to be tried again; of no paused sync */
    uint64_t leased;   /* workers have them */
    int64_t closed_ms; /* the destination asked to be left alone for so long */
    double factor;     /* of the limits, below 1 after throttling */
    uint32_t concurrency;
    struct work_limit limits[WORK_LIMITS_MAX]; /* those that count a batch's first request */
    size_t limit_count;
    struct request_cost cost;
    double batch_records; /* records in a batch, on average */
    double request_kib;   /* of a body, on average */
    bool https;
};

/* What workers are like, and what is wanted of them. */
struct work_fleet {
    uint32_t slots;    /* of a worker; where that is more, two for each quota */
    uint32_t quotas;   /* that it serves: it keeps a slot free for each that has none */
    uint64_t drain_ms; /* a backlog is to be sent in about this time */
    bool single;       /* several workers could not share a token: never more than one */
};

/* What keeps a quota from being worth more. */
enum work_why {
    WORK_NOTHING,     /* nothing is to be sent */
    WORK_CLOSED,      /* not open, or broken */
    WORK_PAUSED,      /* and nothing else */
    WORK_THROTTLED,   /* the destination asked for a pause */
    WORK_LIMIT,       /* a rate limit */
    WORK_CONCURRENCY, /* requests at the same time, or batches that have to follow each other */
    WORK_BACKLOG,     /* the backlog is gone in time with so much */
    WORK_UNMEASURED,  /* no request was answered yet: one worker is to show how long they take */
};
/** "nothing", "closed", "paused", "throttled", "limit", "concurrency", "backlog", "unmeasured". */
const char *work_why_name(enum work_why why);

struct work_need {
    bool alive;            /* something may run, or runs */
    double requests_per_s; /* that are wanted and allowed */
    double slots;          /* busy with them */
    double unmeasured;     /* the same, where it is not known how long a request takes */
    double processors;     /* of workers, busy with them */
    enum work_why why;
    size_t limit; /* of WORK_LIMIT: which of the limits */
};
void work_judge(const struct work_quota *quota, const struct work_fleet *fleet,
                struct work_need *ret);

/* Of all quotas together. */
struct work_sum {
    bool alive;
    uint32_t quotas; /* that want slots */
    double slots, unmeasured, processors;
};
void work_add(struct work_sum *sum, const struct work_need *need);
/** Slots that a worker has for them. */
uint32_t work_slots(const struct work_sum *sum, const struct work_fleet *fleet);
/** Workers, unrounded: those of several schedulers may be added. At least 0.01 where something may
 * run, else 0. */
double work_load(const struct work_sum *sum, const struct work_fleet *fleet);
/** The same as whole workers: at least 1 where something may run. */
uint64_t work_workers(const struct work_sum *sum, const struct work_fleet *fleet);

/** Batches of the quota that could be claimed at this very moment. batch_records: of a batch, at
 * most; 0: unknown, and limits of records are left out. */
uint64_t work_runnable(const struct destination *destination, const struct control_quota_view *view,
                       bool paused, uint64_t batch_records);

#endif
