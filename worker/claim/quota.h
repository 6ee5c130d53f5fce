/*
 * What a worker knows of one quota: its queue, what it can deliver there, and when to ask for work
 * again.
 *
 * Plain data; the rules that share a worker's slots among quotas are functions of it. One thread.
 */
#ifndef SLUICE_CLAIM_QUOTA_H
#define SLUICE_CLAIM_QUOTA_H

#include "protocol/queue/queue.h"
#include "worker/claim/setup.h"

enum {
    QUOTA_ASK_WHEN_CALLED = -1,
    QUOTA_ASKS_FIRST = 16, /* quotas asked unbidden when the project was read */
    QUOTA_ASKS = 1,        /* and each time that nobody called for a while */
};

struct quota {
    char *name;
    struct queue *queue;
    struct queue_ability *abilities; /* borrowed from the setup */
    size_t ability_count;            /* 0: the project no longer has it */
    uint64_t lease_ms;
    uint64_t last_token;
    uint32_t held;     /* slots in use for it, the one that asks included */
    bool asking;       /* a claim of its own is on its way */
    int64_t ask_at_ms; /* when something may run there; QUOTA_ASK_WHEN_CALLED: nothing is known */
    int64_t called_ms; /* when the wake list named it last */
    bool pass_on;      /* it was called, or is the one that asks, and did not do so yet */
    bool moves;        /* it belongs to another server: nothing more is asked for at this one */
};

struct quota_list {
    struct quota **items;
    size_t count;
    size_t turn; /* whose turn it is to be asked unbidden */
};

/** Adds the setup's quotas that are new and gives all of them their abilities under it. They are
 * asked when called, the first few at once. Errors: ERR_NOMEM. */
enum err_code quota_list_follow(struct quota_list *list, struct redis_fleet *fleet,
                                const struct setup *setup, struct err *err) MUST_CHECK;
/** Lets those that move go on at their home, once nothing of theirs is held or asked for at the
 * server before. */
void quota_list_move(struct quota_list *list, const struct redis_fleet *fleet);
/** Some quota's calls go to this member. */
bool quota_list_is_at(const struct quota_list *list, const char *member);
void quota_list_done(struct quota_list *list);
struct quota *quota_find(const struct quota_list *list, struct slice name);

static inline bool quota_due(const struct quota *q, int64_t now_ms)
{
    return q->ability_count && !q->moves && q->ask_at_ms != QUOTA_ASK_WHEN_CALLED &&
           q->ask_at_ms <= now_ms;
}

/**
 * Whether q may use one more slot, when it holds `held` and `free` are free: at most half of the
 * slots while others could run, and always one slot left for each that holds none, so that a slow
 * destination cannot keep the others out.
 */
bool quota_may_take(const struct quota_list *list, const struct quota *q, uint32_t held,
                    size_t slots, size_t free, int64_t now_ms);

/** Asks so many of the quotas that wait for a call all the same, in turn: for the case that a call
 * was lost. Not all of them: a fleet of W workers with D quotas would ask W times D. */
void quota_list_ask(struct quota_list *list, size_t asks, int64_t now_ms);

/** The due quota that may take a free slot and holds the fewest; NULL: none. */
struct quota *quota_next(const struct quota_list *list, size_t slots, size_t free, int64_t now_ms);

/** How many slots the list needs so that none keeps another out. */
size_t quota_slots(const struct quota_list *list, size_t wanted);

/** Milliseconds until a quota that is not due becomes it; -1: nothing is known to come. */
int64_t quota_wait_ms(const struct quota_list *list, int64_t now_ms);

#endif
