/*
 * The inside of a slot, for the three files that move it: slot.c claims and settles, carry.c takes
 * a batch from the claim's answer to the settle, await.c gets what must be known before. Nobody
 * else includes this.
 */
#ifndef SLUICE_WORKER_SLOT_PARTS_H
#define SLUICE_WORKER_SLOT_PARTS_H

#include "worker/deliver/prelude.h"
#include "worker/engine.h"
#include "worker/settle/plan.h"
#include "worker/slot.h"

enum slot_state {
    SLOT_FREE,
    SLOT_CLAIMING,
    SLOT_AWAITING,
    SLOT_RENEWING,
    SLOT_SENDING,
    SLOT_SHARING,
    SLOT_SETTLING
};

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
    struct slice progress;
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
    struct prelude *prelude;      /* whose request this turn is for; NULL: the batch's own */
    struct prelude_answer gotten; /* what its answer gave, in rendered's arena */
    bool locked;                  /* this batch holds the fleet's lock of it */
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
/** The batch's next request: its own, or that of what must be known before. */
void slot_request(struct slot *s);
/** Sends what was rendered, once the lease is long enough for it. */
void slot_send(struct slot *s);
/** What the outcome of a request means for the batch and its destination; the plan of its settle.
 */
enum err_code slot_plan(struct slot *s, const struct outcome *o, const struct http_answer *answer,
                        struct err *err) MUST_CHECK;
void slot_give_back(struct slot *s, const char *reason);
void slot_render_failed(struct slot *s, enum err_code rc, struct err *err);
void slot_log(const struct slot *s, enum log_level level, const char *event, const char *reason);

/* ---- await.c ---- */

/** Sees to it that the prelude gets known: by the fleet, by another slot, or by this turn. */
void slot_await(struct slot *s);
/** The pause is over, or a call to the queue was lost. */
void slot_await_again(struct slot *s);
/** The prelude's request was answered. */
void slot_gotten(struct slot *s, const struct http_answer *answer);
/** This slot gets it no longer; gives the lock back where it is still held. */
void slot_await_end(struct slot *s);

#endif
