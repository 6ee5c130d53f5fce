/*
 * What becomes of a leased batch after its request: the outcome turned into one call of settle.
 *
 * Reads the outcome, the batch's history in the queue and the destination's retry policy; gives the
 * kind of settle, the delay, the result for the scheduler and the parts that stay. A function of
 * its inputs and a source of chance: no I/O, no clock. Invariant: every record of the request is
 * either in a part that stays in the queue or has a verdict in the result, never both.
 */
#ifndef SLUICE_SETTLE_PLAN_H
#define SLUICE_SETTLE_PLAN_H

#include "protocol/queue/queue.h"
#include "protocol/wire/result.h"
#include "worker/deliver/driver.h"

enum {
    SETTLE_KILLS_MAX = 3,         /* a batch that lost this many workers is not sent whole again */
    SETTLE_THROTTLE_MIN_MS = 100, /* a destination that says "at once" is not taken at its word */
};

/* What is known about the batch and its request. */
struct settle_facts {
    const struct retry_policy *policy;
    struct slice batch;  /* id of the planned batch */
    struct slice ordset; /* of the request's records */
    uint32_t planned;    /* records of the planned batch */
    uint32_t attempts;   /* failed ones before this */
    uint32_t kills;
    bool was_unsure;      /* an earlier attempt may have reached the destination */
    uint32_t first_group; /* of the first request of a batch like this, for halves */
    bool first_carries_none;
    bool whole;         /* never halved: the run ends instead */
    uint32_t throttled; /* throttling answers in a row before this one */
    /* the request; all 0 when none was sent */
    uint32_t requests;
    uint64_t bytes;
    uint32_t status;
    uint64_t duration_ms;
};

/* A settle in the making; its memory is used again by the next one. */
struct settle_plan {
    enum settle_kind kind;
    uint64_t delay_ms;
    bool unsure;
    bool keep_throttle;
    bool throttled; /* the answer was a throttling one */
    bool stop;      /* the answer ends the run */
    struct buf result;
    /* what the result says: of the records with an entry, and of the others */
    uint32_t verdicts[VERDICTS];
    uint32_t entries;
    enum verdict rest;
    struct settle_part parts[2];
    size_t part_count;
    struct buf payloads[2];
    struct buf ordsets[2];
    char part_ids[2][160];
    /* what the batch brings to its next request, and what that costs */
    struct slice progress; /* borrowed from the outcome */
    uint32_t next_group;
    uint32_t next_records;
    bool open;
    bool uncharge_records;
    uint64_t pause_ms;
    uint64_t hold_ms;
};

void settle_plan_init(struct settle_plan *p);
void settle_plan_done(struct settle_plan *p);

/** After a request. reader holds the batch; r is what was rendered from it. Errors: ERR_NOMEM,
 * ERR_INVALID. */
enum err_code settle_plan_outcome(struct settle_plan *p, const struct settle_facts *f,
                                  const struct rendered *r, const struct outcome *o,
                                  struct batch_reader *reader, struct err *err) MUST_CHECK;

/**
 * Without a request: halves a batch, or gives its only record up with the words. For a batch that
 * lost too many workers (doubt) or whose request would be too large.
 */
enum err_code settle_plan_unsent(struct settle_plan *p, const struct settle_facts *f,
                                 struct slice words, bool doubt, struct batch_reader *reader,
                                 struct err *err) MUST_CHECK;

/** Without a request: every record gets the verdict. For a batch that cannot be read or rendered.
 */
enum err_code settle_plan_all(struct settle_plan *p, const struct settle_facts *f,
                              enum verdict verdict, uint32_t flags, struct slice words,
                              struct err *err) MUST_CHECK;

/** Nothing was sent and nothing is told: back to the queue. */
void settle_plan_release(struct settle_plan *p);

#endif
