/*
 * A prelude: something that must be known before a batch's own request can be made, and that the
 * fleet shares: an access token, the id of an audience that was found or created.
 *
 *       learnt, or good again
 *     ┌──────────────────────────────────────────────┐
 *     ▼                                              │
 *   READY ──too old, refused──▶ MISSING ──look──▶ value of the fleet? ──none──▶ lock
 *     ▲                            ▲                                             │
 *     │                            └──────── a little later ◀──held by another───┤
 *     └──────── answer: put for the fleet, unlocked ◀──────── request ◀──got─────┘
 *
 * Its request takes the turn of the batch whose claim found it missing: that batch is settled
 * unchanged and goes on at once. This side judges and renders, without I/O; the worker's slot
 * looks, locks, waits and sends. One thread.
 */
#ifndef SLUICE_DELIVER_PRELUDE_H
#define SLUICE_DELIVER_PRELUDE_H

#include "worker/deliver/driver.h"

struct prelude_ops;

/* Embedded by what keeps it: the tokens of a destination, the ensured variables of an object. */
struct prelude {
    const struct prelude_ops *ops;
    const char *name;    /* of the fleet's value and lock, such as auth:DESTINATION */
    bool shared;         /* false: every worker gets it for itself */
    uint64_t generation; /* of what is known: moves whenever something else is learnt */
    bool unused;         /* this worker got it, and no request was made with it yet */
    const void *getter;  /* the slot of this worker that gets it now; NULL: none. Set by slots */
};

/* What became of a prelude's request. */
struct prelude_answer {
    bool known;         /* READY from now on */
    struct slice value; /* for the fleet; p NULL: nothing. In the request's arena */
    uint64_t keep_ms;   /* how long the fleet keeps it; 0: for ever */
    bool durable;       /* it must outlive Redis: kept in the scheduler's state too */
    /* Of the batch whose turn it was: CONTINUE (at once where it is known, or with the progress of
     * the next step), RETRY, THROTTLE or STOP. It costs no records and leaves none in doubt. */
    struct outcome outcome;
};

struct prelude_ops {
    /** READY, for a request that starts now. */
    bool (*ready)(struct prelude *p, int64_t now_ms);
    /** Takes the fleet's value; false: it is none that is good (empty, foreign bytes, too old, the
     * one that was refused). */
    bool (*learn)(struct prelude *p, struct slice value, int64_t now_ms);
    /** Its request, into out, which it resets; out->records is 0. Errors as a driver's render. */
    enum err_code (*render)(struct prelude *p, const struct delivery *d, struct rendered *out,
                            struct err *err);
    /** r is what the answer answers; what is returned lives in r's arena. The answer is whole:
     * words taken from it into the outcome are redacted by the caller. */
    enum err_code (*classify)(struct prelude *p, const struct delivery *d, struct rendered *r,
                              const struct http_answer *answer, struct prelude_answer *ret_answer,
                              struct err *err);
    /** The destination refused what was known as this generation: where it still is, MISSING, and
     * the same is not learnt again. */
    void (*refuse)(struct prelude *p, uint64_t generation);
    /** What rendering needs: auth_vars for a token, vars for ensure steps; p NULL where a name is
     * not known. Borrowed until the next call with p. */
    const struct slice *(*values)(const struct prelude *p);
    /** Accepts NULL. */
    void (*free)(struct prelude *p);
};

static inline bool prelude_ready(struct prelude *p, int64_t now_ms)
{
    return p->ops->ready(p, now_ms);
}

#endif
