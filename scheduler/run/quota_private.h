/* What the files of quota share: opening (quota_open.c), everything once it is open (quota.c),
 * going to another server (quota_move.c), looking for it (quota_search.c). */
#ifndef SLUICE_RUN_QUOTA_PRIVATE_H
#define SLUICE_RUN_QUOTA_PRIVATE_H

#include "scheduler/run/closed.h"
#include "scheduler/run/place.h"
#include "scheduler/run/quota.h"
#include "scheduler/run/shared_values.h"
#include "scheduler/run/windows.h"
#include "scheduler/state/limits.h"

#include <stdint.h>

struct event;

enum { PERMIT_MS = 10000, WAIT_POLL_MS = 100, RETRY_MS = 500 };

enum quota_stage {
    STAGE_SEARCH,
    STAGE_LOOK,
    STAGE_FENCE,
    STAGE_WAIT,
    STAGE_DRAIN,
    STAGE_CLEAR,
    STAGE_WIPE,
    STAGE_OPEN,
    STAGE_READY,
    STAGE_TAKE,
    STAGE_LAST,
    STAGE_NOTE,
    STAGE_GONE,
    STAGE_BROKEN
};

/* The servers that were looked at, and the best place so far. */
struct quota_search {
    bool around; /* state has a place, which knows nothing: asks whom it reaches who knows more */
    int64_t since_ms;
    size_t next, count;
    unsigned rank;
    uint64_t commit;
    char at[REDIS_MEMBER_NAME_MAX + 1];
};

struct quota {
    const struct quota_host *host;
    const struct destination *destination;
    struct queue *queue;
    enum quota_stage stage;
    struct event *step;    /* runs the stage's next step */
    struct event *results; /* asks for results */
    bool results_busy;
    int64_t results_asked_ms; /* monotonic */
    int64_t results_ended_ms; /* when the read was begun that found none */
    uint32_t results_pause_ms;
    int64_t published_ms; /* monotonic: batches were given to Redis last */
    struct quota_search search;
    struct place place;
    bool searched;   /* it was looked for elsewhere since it was ready last */
    bool newer;      /* it came here with a state that knows less than Redis does */
    bool leaving;    /* its runs are still to be told */
    int64_t gone_ms; /* since when its server is gone; 0: it is not */
    struct queue
        *left; /* at the server it came from, until nothing of it is there; NULL: nothing */
    struct event *wipe; /* asks that one again */
    bool wipe_busy;
    bool looked; /* since then its term is known, and that it is not superseded */
    char wiping[REDIS_MEMBER_NAME_MAX + 1]; /* the one that was asked */
    unsigned wipe_refused;                  /* so often by that one */
    bool wipe_failed;                       /* it was reached, and cannot do it */
    bool was_ready;
    bool torn;               /* its slot was on its way between two nodes since it was opened */
    bool lease_left_unknown; /* Redis knows of no lease, but there may be some */
    int64_t lease_left_ms;   /* from the fence on, until the last lease has ended */
    int64_t fenced_ms;       /* own monotonic clock */
    int64_t rested_ms;       /* likewise: when the last lease was over */
    char epoch[QUEUE_EPOCH_BYTES];
    char position[STATE_POSITION_BYTES];  /* last result handed on */
    char committed[STATE_POSITION_BYTES]; /* last result trimmed or being trimmed */
    struct windows windows;
    struct shared_values shared;
    struct closed closed;
    bool shared_busy; /* being read from Redis */
    struct quota_summary summary;
    double factor;
    uint64_t limit_used[WINDOWS_LIMITS_MAX];
    uint64_t limit_returns[WINDOWS_LIMITS_MAX];
    size_t limit_used_count;
    struct quota_sync *syncs;
    size_t sync_count, sync_cap;
    struct meter meter;
    int64_t metered_ms; /* monotonic: when it was faded last */
    bool permit_busy;
    bool permit_ends;                       /* the one on its way gives it up */
    bool owner_busy;                        /* being asked who owns it */
    int64_t owner_since_ms, owned_since_ms; /* what was asked last, what was answered well */
    struct err error;                       /* why it is broken */
    void (*shut_done)(void *ctx);
    void *shut_ctx;
};

/** Runs the stage's step after ms. */
void quota_step_soon(struct quota *q, uint32_t ms);
void quota_go(struct quota *q, enum quota_stage stage);
/** True without an error. Redis away for a moment: the same step again. Anything that will not pass
 * breaks the quota. */
bool quota_passes(struct quota *q, const struct err *err);
/** It cannot go on: tells the host. */
void quota_break(struct quota *q, const struct err *err);
/** True where Redis will not do it for this user, which breaks the quota. */
bool quota_refused(struct quota *q, const struct err *err);

/* quota_results.c */
bool quota_results_init(struct quota *q) MUST_CHECK;
void quota_ask_results(struct quota *q, uint32_t pause_ms);

/** The epoch is not ours any more. */
void quota_lost(struct quota *q, const struct err *err);

/** What a permit's renewal told, kept for whoever looks (quota_tell.c). */
void quota_summarise(struct quota *q, const struct queue_stats *stats);

/** Values that must outlive Redis: asks for them; they are saved, and then *done* is called. */
enum err_code quota_shared_read(struct quota *q, struct err *err) MUST_CHECK;
/** The longest a worker may still be busy with a batch it claimed before the fence. */
int64_t quota_lease_max_ms(const struct quota *q);

/* quota_search.c */
/** State does not know where it is, and there are several servers. */
bool quota_must_search(const struct quota *q);
/** Nothing is known at the place that state has, and there are several servers: begins to look
 * around, once. */
bool quota_looks_around(struct quota *q);
void quota_search_begin(struct quota *q);
/** One server more; after the last one it is looked at where it was found, or at its home. */
enum err_code quota_search(struct quota *q, struct err *err) MUST_CHECK;

/* quota_move.c */
/** The stages after CLEAR, or before it where the server is gone. */
enum quota_stage quota_after_clear(const struct quota *q);
/** True where the stage at hand cannot be: its server is in no list, or dropped and not reached. */
bool quota_place_lost(const struct quota *q);
enum err_code quota_wipe(struct quota *q, struct err *err) MUST_CHECK;
enum err_code quota_take(struct quota *q, struct err *err) MUST_CHECK;
enum err_code quota_take_last(struct quota *q, struct err *err) MUST_CHECK;
enum err_code quota_note(struct quota *q, struct err *err) MUST_CHECK;
void quota_gone(struct quota *q);
/** Clears what an earlier move left. */
void quota_wipe_left(struct quota *q);
void quota_move_free(struct quota *q);

/* quota_open.c: one step each; its reply leads to the next stage. */
enum err_code quota_look(struct quota *q, struct err *err) MUST_CHECK;
enum err_code quota_fence(struct quota *q, struct err *err) MUST_CHECK;
enum err_code quota_reap_fenced(struct quota *q, struct err *err) MUST_CHECK;
enum err_code quota_clear(struct quota *q, struct err *err) MUST_CHECK;
enum err_code quota_open_epoch(struct quota *q, struct err *err) MUST_CHECK;

#endif
