/*
 * The queue of one quota in Redis: typed calls of the Lua scripts, which are the only writers of
 * its keys.
 *
 * Every call is one atomic script and one round trip; the reply is decoded and handed to a
 * callback. Keys, fields and contracts are in protocol/PROTOCOL.md. All times are milliseconds. One
 * thread: the loop's.
 */
#ifndef SLUICE_QUEUE_QUEUE_H
#define SLUICE_QUEUE_QUEUE_H

#include "protocol/base/slice.h"
#include "protocol/config/config.h"
#include "protocol/redis/fleet.h"

#include <stdint.h>

enum {
    QUEUE_EPOCH_BYTES = 33, /* 32 hex digits */
    QUEUE_NAME_MAX = 200,
    QUEUE_ENQUEUE_MAX = 32,        /* batches in one enqueue */
    QUEUE_LEASE_MARGIN_MS = 10000, /* lease = request timeout + this */
    QUEUE_PROGRESS_MAX = 256 << 10,
    QUEUE_GROUP_MAIN = 1, /* the group of requests that nobody gave one */
};

/* As a number of records: none. 0 stands for all records of the batch. */
#define QUEUE_NO_RECORDS UINT32_MAX

struct queue; /* a quota: its name, its Redis connection, its scripts */

/** Borrows the connection, which must go (or have answered every call) before the queue. Returns
 * NULL when memory is out. */
struct queue *queue_new(struct redis *redis, const char *quota);
/** The queue at a member of a fleet, which it borrows likewise: every call goes to the server that
 * has the quota then; where there is none, or another says that it has not, it is ERR_UNREACHABLE.
 */
struct queue *queue_new_at(struct redis_fleet *fleet, const char *member, const char *quota);
/** Calls from now on go to another member. Errors: ERR_NOMEM. */
enum err_code queue_move(struct queue *q, const char *member, struct err *err) MUST_CHECK;
/** NULL where it is at one connection. */
const char *queue_member(const struct queue *q);
/** The connection that has it now; NULL: none. */
struct redis *queue_redis(const struct queue *q);
void queue_free(struct queue *q);
const char *queue_quota(const struct queue *q);

/* ---- scheduler ---- */

/* Which scheduler of a state this is: a later one has a higher number (scheduler/state/term.h). */
struct queue_term {
    char state_id[33];
    uint64_t number; /* 0: not told, and then nothing is refused for it */
    char holder[33]; /* of two with one number the first that Redis hears of goes on */
};
/** Said with every fence, clear, reap and open from now on. They are refused, ERR_STALE, where
 * Redis has seen a later one of this state. */
void queue_set_term(struct queue *q, const struct queue_term *term);
/** What was set; its number is 0 where nothing was. */
const struct queue_term *queue_term_of(const struct queue *q);

/* What Redis knew when the scheduler opened a quota. */
struct queue_opened {
    int64_t now_ms;
    bool fresh;             /* there was no epoch: an empty, restarted or new Redis */
    bool same_state;        /* the epoch was this state's: its batches and leases are still there */
    char other_state[33];   /* the owner otherwise */
    int64_t permit_left_ms; /* of that owner; > 0: it is alive */
    uint64_t commit;        /* the owner's last commit number that Redis has seen */
    uint64_t leases;        /* held, ended or not */
    int64_t lease_left_ms;  /* until the last of them ends */
    uint64_t term;          /* highest that Redis has seen of this state; 0: none */
    char holder[33];        /* whose that was */
    bool restarted; /* the epoch's server has been started again or replaced: it may have lost
                       writes */
};
typedef void (*queue_opened_cb)(void *ctx, const struct queue_opened *opened,
                                const struct err *err);
/** Looks, changes nothing. */
enum err_code queue_look(struct queue *q, const char *state_id, queue_opened_cb cb, void *ctx,
                         struct err *err) MUST_CHECK;

typedef void (*queue_done_cb)(void *ctx, int64_t number, const struct err *err);

/** No more claims under any epoch; leased batches may still settle. number: leases left. */
enum err_code queue_fence(struct queue *q, queue_done_cb cb, void *ctx, struct err *err) MUST_CHECK;

/**
 * Removes everything of a fenced quota but its limit windows, its owner's commit number, closed
 * destinations and its results stream; number: syncs left (call again while > 0). Errors: ERR_BUSY
 * without a fence.
 */
enum err_code queue_clear(struct queue *q, queue_done_cb cb, void *ctx, struct err *err) MUST_CHECK;

/**
 * Removes what is left of a quota that is at another server now and was cleared here, under a fence
 * or an epoch of this state without a permit; what expires by itself may stay until then. fenced:
 * by this caller, so that another state may have owned it. number: results that went with it.
 * Errors: ERR_BUSY without a clear, where somebody uses it, and where Redis has seen a later commit
 * of the state; ERR_STALE as fence.
 */
enum err_code queue_wipe(struct queue *q, const char *state_id, uint64_t commit, bool fenced,
                         queue_done_cb cb, void *ctx, struct err *err) MUST_CHECK;

/* A window that was in use when it was saved: count returns after left_ms. */
struct queue_window {
    uint32_t limit; /* index in the destination's limits */
    uint64_t left_ms;
    uint64_t count;
};

/* A destination of which nothing is handed out for so long: it asked for that. */
struct queue_closed {
    struct slice destination;
    uint64_t left_ms;
};

struct queue_shared_value;

struct queue_epoch {
    const char *state_id; /* 32 hex digits */
    const char *epoch;    /* 32 hex digits, fresh */
    const char *run_id;   /* Redis' own, if known; NULL or empty: whichever answers */
    uint64_t permit_ms;
    uint64_t commit;
    const struct rate_limit *limits;
    size_t limit_count;
    uint32_t concurrency;
    uint32_t slack_ms;
    const struct queue_window *windows; /* to restore; only where Redis has none of its own */
    size_t window_count;
    const uint64_t *grants; /* as in queue_permit, until the first renewal */
    size_t grant_count;
    uint32_t max_open; /* batches that may be in the middle of a remote job; 0: any number */
    /* to restore; only where Redis has none or an older one (shared.h) */
    const struct queue_shared_value *shared;
    size_t shared_count;
    uint64_t shared_version; /* the newest that was heard of; 0: none */
    /* What destinations asked for where the quota was before; what Redis has is not loosened. */
    const struct queue_closed *closed;
    size_t closed_count;
    uint32_t factor;      /* thousandths of the limits that throttling left; 0: all */
    uint64_t recovers_ms; /* until the next tenth comes back */
    bool adds;            /* the windows come on top of those that Redis has */
};
/** Starts an epoch after look, fence, drain and clear. number: the script clock. Errors: ERR_BUSY
 * without a clear. */
enum err_code queue_open(struct queue *q, const struct queue_epoch *e, queue_done_cb cb, void *ctx,
                         struct err *err) MUST_CHECK;

/* What a permit renewal tells: enough for progress, policy and the saved windows. */
struct queue_sync_stats {
    struct slice sync;
    uint64_t queued; /* batches that could be claimed or wait for a limit */
    uint64_t parked; /* waiting for a retry */
    uint64_t leased;
    uint64_t bytes; /* payloads and unread results that count against the cap */
};
struct queue_stats {
    int64_t now_ms;
    const struct queue_sync_stats *syncs;
    size_t sync_count;
    int64_t throttled_left_ms;  /* of the quota's most throttled destination; 0: none */
    int64_t throttled_for_ms;   /* since when nothing but throttling came back; 0: not throttled */
    double factor;              /* 1.0, less while throttled */
    const uint64_t *limit_used; /* per limit: tokens in use now */
    size_t limit_count;
    const struct queue_window *windows; /* to be saved */
    size_t window_count;
    uint64_t shared_version;           /* moves with every change of a shared value (shared.h) */
    uint64_t leases_lost;              /* ended without a settle, since Redis has this quota */
    bool unwatched;                    /* something may run and no worker asks when: wake */
    const struct queue_closed *closed; /* destinations; their names are borrowed likewise */
    size_t closed_count;
    uint64_t recovers_ms; /* until the factor rises; 0: it is 1.0 */
};
typedef void (*queue_stats_cb)(void *ctx, const struct queue_stats *stats, const struct err *err);
/**
 * Renews the permit and ends the leases that ran out. The script clock is kept from jumping by this
 * process' monotonic clock, which this module reads itself at queue_open and here. grants: one per
 * limit in their order, heeded for windows over a minute: the number of tokens that may be charged
 * until the next renewal (saved in state first), never less than the largest batch takes; NULL
 * where there are none.
 */
enum err_code queue_permit(struct queue *q, const char *epoch, uint64_t permit_ms, uint64_t commit,
                           const uint64_t *grants, size_t grant_count, queue_stats_cb cb, void *ctx,
                           struct err *err) MUST_CHECK;

struct queue_batch {
    uint64_t number; /* from 1, ascending in a sync's run; a number already taken is ignored */
    struct slice id;
    struct slice lane;   /* empty: unordered */
    struct slice ordset; /* the records it holds; empty: all */
    uint32_t records;
    struct slice payload;
    /* What its first request costs; 0 in all of them: one of the main group, all records, as any
     * batch of one request. */
    uint32_t group; /* whose limits count it; 0: QUEUE_GROUP_MAIN */
    uint32_t costs; /* records; 0: all it holds, QUEUE_NO_RECORDS: none */
    bool jobless;   /* never holds a remote job: max_open does not concern it */
};
struct queue_sync {
    const char *sync;
    const char *run;
    const char *destination;
    const char *fingerprint;
    uint32_t weight;    /* of its priority */
    uint64_t cap_bytes; /* its share of the window, never less than two batches */
};
/**
 * number: how many of the batches were taken or had been (fewer: the cap is reached). Errors:
 * ERR_STALE (epoch, fence), ERR_STOPPED (the sync was cancelled or failed), ERR_BUSY (no permit, or
 * the sync's last run still holds batches: later).
 */
enum err_code queue_enqueue(struct queue *q, const char *epoch, const struct queue_sync *sync,
                            const struct queue_batch *batches, size_t count, queue_done_cb cb,
                            void *ctx, struct err *err) MUST_CHECK;

enum queue_control {
    QUEUE_PAUSE_SYNC,
    QUEUE_RESUME_SYNC,
    QUEUE_PAUSE_DESTINATION,
    QUEUE_RESUME_DESTINATION,
    QUEUE_CANCEL_SYNC, /* what is not leased gets the verdict; leased batches when they settle
                          without one */
    QUEUE_FAIL_SYNC,   /* the same with `failed` */
    QUEUE_FORGET_SYNC  /* after its last verdict: drops the sync's own keys */
};
/** Bounded: number is what is left to do (batches, leased ones too); call again while > 0. */
enum err_code queue_control(struct queue *q, const char *epoch, enum queue_control what,
                            const char *name, queue_done_cb cb, void *ctx,
                            struct err *err) MUST_CHECK;

/**
 * Ends leases that had run out at the last permit; under a fence or without a permit none. With
 * all: every lease of the workers whose name starts with prefix, which the caller knows to be dead.
 * number: leases left.
 */
enum err_code queue_reap(struct queue *q, const char *worker_prefix, bool all, queue_done_cb cb,
                         void *ctx, struct err *err) MUST_CHECK;

/* One entry of the results stream. */
struct queue_result {
    struct slice stream_id;
    struct slice batch; /* id of the planned batch */
    struct slice sync;
    struct slice body; /* result.h */
};
/** Returns false to stop reading. */
typedef void (*queue_results_cb)(void *ctx, const struct queue_result *results, size_t count,
                                 const struct err *err);
/** Entries after the position (empty: from the start), at most count; waits up to block_ms where
 * there is none (needs a connection of its own then). */
enum err_code queue_results(struct queue *q, const char *after, uint32_t count, uint64_t block_ms,
                            queue_results_cb cb, void *ctx, struct err *err) MUST_CHECK;
/** Forgets entries up to and including position: only what is committed to disk. number: 1 if some
 * are left. */
enum err_code queue_trim(struct queue *q, const char *epoch, const char *position, queue_done_cb cb,
                         void *ctx, struct err *err) MUST_CHECK;

/* ---- worker ---- */

/* A destination that this worker can deliver to, with its own configuration's fingerprint. */
struct queue_ability {
    const char *destination;
    const char *fingerprint;
};

struct queue_claim {
    const char *worker; /* unique per process */
    uint64_t
        token; /* ascending per worker and quota, below 2^53; the same token gets the same answer */
    uint64_t lease_ms;
    const struct queue_ability *abilities;
    size_t ability_count;
};
struct queue_claimed {
    bool got;
    /* when got: */
    struct slice epoch;
    struct slice batch; /* id of the planned batch */
    struct slice part;  /* id in the queue */
    struct slice ordset;
    struct slice sync;
    struct slice destination;
    struct slice payload;
    uint32_t records;
    uint32_t attempts; /* failed ones before this */
    uint32_t kills;
    bool unsure;           /* an earlier attempt may have reached the destination */
    struct slice progress; /* what the settle before left; empty: the batch begins */
    /* otherwise: */
    int64_t wait_ms; /* until something may run, and this worker asks then; -1: nothing is known to
                        come, or another worker asks */
    bool mismatch;   /* work is there, but for another configuration */
    bool refused;    /* fenced, no permit or no epoch: ask again later */
    bool stale;      /* the token was used before and its lease is gone: take a new one */
};
typedef void (*queue_claimed_cb)(void *ctx, const struct queue_claimed *claimed,
                                 const struct err *err);
enum err_code queue_claim(struct queue *q, const struct queue_claim *c, queue_claimed_cb cb,
                          void *ctx, struct err *err) MUST_CHECK;

enum settle_kind {
    SETTLE_DONE,     /* every record has its verdict */
    SETTLE_STOP,     /* the same, and the sync is cancelled: nothing more of it is handed out */
    SETTLE_RETRY,    /* an attempt failed: the records still open wait delay_ms */
    SETTLE_THROTTLE, /* the destination waits delay_ms; not an attempt */
    SETTLE_SPLIT,    /* replaced by two parts; not an attempt */
    SETTLE_RELEASE,  /* nothing was sent: back to the head, the tokens are returned at once */
    SETTLE_CONTINUE, /* a step worked: another request of the same batch follows after delay_ms */
};
struct settle_part {
    struct slice part; /* id in the queue */
    struct slice ordset;
    struct slice payload;
    uint32_t records;
};
struct queue_settle {
    struct slice epoch;
    const char *worker;
    uint64_t token;
    enum settle_kind kind;
    uint64_t delay_ms;
    bool unsure;            /* this attempt may have reached the destination without an answer */
    uint64_t charge_age_ms; /* since the instant from which the window counts; UINT64_MAX: nothing
                               was sent */
    bool keep_throttle;     /* an answer that was not a throttling one clears it */
    struct slice result;    /* result.h; empty: nothing to tell */
    const struct settle_part *parts; /* RETRY, CONTINUE: 0 (all as it was) or 1; SPLIT: 2 */
    size_t part_count;

    /* For batches of several requests; 0 in all of them: a batch of one. RETRY, THROTTLE and
     * CONTINUE say them anew each time; RELEASE leaves what there was; the parts of a SPLIT begin:
     * without progress and job. */
    struct slice progress; /* what the surviving batch brings to its next claim, at most
                              QUEUE_PROGRESS_MAX; empty: it begins anew */
    uint32_t next_group;   /* of the next request, of a SPLIT's too; 0: QUEUE_GROUP_MAIN */
    uint32_t next_records; /* it costs; 0: all that are left, QUEUE_NO_RECORDS: none (a poll) */
    bool open;             /* the batch holds a remote job, until a settle says otherwise */
    bool uncharge_records; /* the request carried none after all: their tokens return at once */
    uint64_t pause_ms;     /* no throttling, but leave the destination alone for so long */
    uint64_t hold_ms;      /* nothing of the batch's lane within so long after this request,
                              counted as charge_age_ms is; 0 or no lane: nothing is held */
};
/**
 * number: 1 settled, 0 the token was stale and nothing changed. claim may be NULL; otherwise both
 * happen in one script, in this order, and both callbacks are called. Whoever settles without
 * claiming should wake.
 */
enum err_code queue_settle(struct queue *q, const struct queue_settle *s, queue_done_cb cb,
                           const struct queue_claim *claim, queue_claimed_cb claimed_cb, void *ctx,
                           struct err *err) MUST_CHECK;

/** Renews leases; number: how many of the tokens are still valid. Errors: ERR_STALE (fence),
 * ERR_BUSY (permit): none was renewed. */
enum err_code queue_beat(struct queue *q, const char *worker, const uint64_t *tokens, size_t count,
                         uint64_t lease_ms, queue_done_cb cb, void *ctx,
                         struct err *err) MUST_CHECK;

/* ---- wake list, one for all quotas of a server ---- */

/** Tells an idle worker that this quota has work: after enqueue, resume, or a permit that found it
 * unwatched. */
enum err_code queue_wake(struct queue *q, struct err *err) MUST_CHECK;
typedef void (*queue_woken_cb)(void *ctx, struct slice quota, const struct err *err);
/** Waits on a server's own connection for that and its wake list for at most wait_ms; quota is
 * empty when nobody called. */
enum err_code queue_wait(struct redis *redis, const char *wake_key, uint64_t wait_ms,
                         queue_woken_cb cb, void *ctx, struct err *err) MUST_CHECK;

/** Checks the invariants of PROTOCOL.md; number: how many are broken, err says which. */
enum err_code queue_audit(struct queue *q, queue_done_cb cb, void *ctx, struct err *err) MUST_CHECK;

#endif
