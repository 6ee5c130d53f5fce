/*
 * The inside of a slot, for the two files that move it: slot.c talks to the queue, carry.c takes a
 * batch from the claim's answer to the settle. Nobody else includes this.
 */
#ifndef SLUICE_WORKER_SLOT_PARTS_H
#define SLUICE_WORKER_SLOT_PARTS_H

#include "worker/engine.h"
#include "worker/settle/plan.h"
#include "worker/slot.h"

enum slot_state { SLOT_FREE, SLOT_CLAIMING, SLOT_RENEWING, SLOT_SENDING, SLOT_SETTLING };

/* What the queue said about the leased batch; the texts lie in words. */
struct leased {
    struct slice epoch;
    struct slice batch;
    struct slice part;
    struct slice ordset;
    struct slice sync;
    struct slice destination;
    uint32_t attempts;
    uint32_t kills;
    bool unsure;
};

struct slot {
    struct engine *engine;
    enum slot_state state;
    struct slot *next_free;
    struct quota *quota;
    bool asks;           /* this claim is its quota's own question, not part of a settle */
    struct setup *setup; /* under which it was claimed */
    struct target *target;
    struct event *again; /* when the present call to the queue is to be sent again */
    uint64_t pause_ms;

    uint64_t token;
    int64_t claim_sent_ms; /* first sending of this token's claim */
    int64_t asked_ms;      /* last sending */
    int64_t lease_end_ms;
    struct arena words;
    struct leased leased;

    struct batch_reader *reader;
    struct delivery delivery;
    struct rendered rendered;
    struct settle_facts facts;
    struct settle_plan plan;
    int64_t charge_at_ms; /* 0: nothing was sent */

    uint64_t next_token; /* of the claim that goes with the settle; 0: none */
    bool resent;         /* the settle was sent before, its reply was lost */
    bool settled;        /* the settle of the call under way was answered */
};

/* ---- slot.c ---- */

/** Settles as planned, and claims the next batch with it where that is allowed. rc: the plan could
 * not be made, err says why; the batch is left to the end of its lease. */
void slot_settle(struct slot *s, enum err_code rc, const struct err *err);
/** Free again, whatever it held. */
void slot_drop(struct slot *s);

/* ---- carry.c ---- */

/** A claim gave a batch: delivers it, or settles it without. */
void slot_carry(struct slot *s, const struct queue_claimed *c);
void slot_log(const struct slot *s, enum log_level level, const char *event, const char *reason);

#endif
