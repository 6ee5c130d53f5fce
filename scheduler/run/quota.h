/*
 * A quota under this engine's control: opens it in Redis, keeps its permit, reads its results.
 *
 * Opening follows DESIGN's recovery: look, fence, wait until every lease has settled or ended,
 * drain the results, clear, start an epoch. Losing the epoch (Redis restarted, emptied, failed
 * over) leads back to the start. Invariant: nothing is published while the quota is not ready.
 *
 *   LOOK ──▶ FENCE ──▶ WAIT ──▶ DRAIN ──▶ CLEAR ──▶ OPEN ──▶ READY
 *    ▲ ▲                                    │ │      ▲          │ epoch lost, or
 *    │ │               it just came here    │ └▶ WIPE┘          │ it belongs elsewhere
 *    │ └────────────────────────────────────│───────────────────┘
 *    └───── NOTE ◀── LAST ◀── TAKE ◀────────┘ it belongs elsewhere
 *             ▲
 *           GONE: its server is in no list any more; waits until no lease of it can be alive
 *
 * Where state remembers no place and there are several servers, SEARCH comes before LOOK: each of
 * them is asked, for another state may have the quota at one that is not its home.
 *
 * A quota belongs at its home, which follows from the list of servers, and is where state says.
 * Where the two differ it moves: all that Redis alone knows is taken into state (TAKE opens it
 * without a permit, LAST asks for the windows), the new place is noted, and it is opened there.
 */
#ifndef SLUICE_RUN_QUOTA_H
#define SLUICE_RUN_QUOTA_H

#include "protocol/base/log.h"
#include "protocol/queue/queue.h"
#include "scheduler/run/meter.h"

struct event_base;
struct quota;
struct state;

/* A private Redis' name in a fleet. */
#define QUOTA_PRIVATE_MEMBER "private"

/* What the engine that owns the quotas provides and wants to hear. */
struct quota_host {
    struct event_base *base;
    struct redis_fleet *fleet;
    struct state *state;
    const struct project *project;
    const struct log *log;
    const char *worker_prefix; /* names of the workers of this state directory */
    void *ctx;
    /** No worker of this state directory is alive (its leases can be ended at once); own: those of
     * an earlier process need not be asked for. */
    bool (*local_workers_gone)(void *ctx, bool own);
    /** What Redis knows of schedulers of this state: tells the queue our own term, which is durable
     * by then. Errors: one of class RETRY: look again; another, where it may not go on. */
    enum err_code (*check_term)(void *ctx, struct quota *q, const struct queue_opened *o,
                                struct err *err);
    /** Workers of other machines may have claimed through this Redis. */
    bool (*has_other_workers)(void *ctx);
    /** Commits the state (the windows must be on disk before Redis charges tokens). */
    enum err_code (*commit)(void *ctx, struct err *err);
    void (*on_ready)(void *ctx, struct quota *q);
    /** The epoch is lost: what was published and has no verdict must be published again after the
     * next on_ready. */
    void (*on_lost)(void *ctx, struct quota *q);
    /** Likewise; it left in good order: nothing that was published there can still be settled. */
    void (*on_leaves)(void *ctx, struct quota *q);
    void (*on_results)(void *ctx, struct quota *q, const struct queue_result *results,
                       size_t count);
    void (*on_stats)(void *ctx, struct quota *q, const struct queue_stats *stats);
    /** Redis holds another state's or a later commit: this state was lost or restored, or got the
     * quota from the other. *ret_heir: got, and nothing was done since. Errors: it is not to be
     * opened. */
    enum err_code (*on_state_lost)(void *ctx, struct quota *q, const struct queue_opened *o,
                                   bool *ret_heir, struct err *err);
    /** It is about to be opened: what was exported of its syncs is no longer all. */
    enum err_code (*goes_on)(void *ctx, struct quota *q, struct err *err);
    void (*on_broken)(void *ctx, struct quota *q, const struct err *err);
};

/** destination: any of those that share the quota (they state the same limits). Borrows host. */
enum err_code quota_new(const struct quota_host *host, const struct destination *destination,
                        struct quota **ret_quota, struct err *err) MUST_CHECK;
/** Accepts NULL. */
void quota_free(struct quota *q);

const char *quota_name(const struct quota *q);
const struct destination *quota_destination(const struct quota *q);
struct queue *quota_queue(const struct quota *q);
const char *quota_epoch(const struct quota *q);
bool quota_is_ready(const struct quota *q);
/** It has been ready before. */
bool quota_was_ready(const struct quota *q);
/** Redis said after since_ms that what is open there is ours; asks where it did not. True also
 * where nothing is open. */
bool quota_owns_since(struct quota *q, int64_t since_ms);
/** on_broken was called. */
bool quota_is_broken(const struct quota *q);
/** Why; empty before. */
const char *quota_error(const struct quota *q);

/** Writes the position of what was given to on_results into state; part of the engine's next
 * commit. */
enum err_code quota_save_position(struct quota *q, struct err *err) MUST_CHECK;
/** Batches were given to Redis: their results are looked for soon. */
void quota_published(struct quota *q);
/** Everything given to on_results so far is committed: Redis may forget it. */
void quota_committed(struct quota *q);
/** Ends the leases of workers whose names begin with name and which are known to be dead. */
void quota_reap_dead(struct quota *q, const char *name);
/** The last stats; zeroes before the first. Borrowed until the loop turns. */
struct quota_summary {
    int64_t throttled_left_ms;
    int64_t throttled_for_ms;
    uint64_t leased;
    uint64_t queued;
    uint64_t parked;
    double limit_used;    /* of the limit that is used most, 0…1 */
    uint64_t leases_lost; /* ended without a settle, since Redis has this quota */
    struct request_cost cost;
};
/** Its place and its home may differ now: the list of servers is another. */
void quota_list_changed(struct quota *q);
/** Where it is, and where keys of it may be left (empty: nowhere). Borrowed until the loop turns.
 */
const char *quota_at(const struct quota *q);
/** The server that it is asked at: where it is, or the node of that cluster. Borrowed likewise. */
const char *quota_server(const struct quota *q);
const char *quota_left_at(const struct quota *q);
/** Why it is not ready, with the server's name, in out; NULL where it is, or is broken. */
const char *quota_waits(const struct quota *q, char *out, size_t n);
const struct quota_summary *quota_summary(const struct quota *q);
/** Factor and use of each limit, as told last. Borrowed until the loop turns. */
double quota_factor(const struct quota *q);
const uint64_t *quota_limit_used(const struct quota *q, size_t *ret_count);
/** Of the tokens in use, per limit: how many are back within settings.drain_within. Likewise. */
const uint64_t *quota_limit_returns(const struct quota *q);
/* What the queue has of one sync. */
struct quota_sync {
    char sync[QUEUE_NAME_MAX + 1];
    uint64_t queued, parked, leased;
};
/** Likewise. */
const struct quota_sync *quota_syncs(const struct quota *q, size_t *ret_count);
/** What a result told of its requests (meter.h). */
void quota_note_requests(struct quota *q, uint32_t requests, uint32_t duration_ms,
                         uint64_t batches);
/** The same account with the same limits in another project, whose destination outlives this. */
void quota_rebind(struct quota *q, const struct destination *destination);
/** Nothing of it is on its way to Redis: after quota_shut, or once it is broken. */
bool quota_is_idle(const struct quota *q);
/** Opens an idle one that is shut or broken anew, for a destination of the same quota. */
void quota_again(struct quota *q, const struct destination *destination);
/** A read of the results that began after since_ms (monotonic) found no more of them. */
bool quota_results_end(const struct quota *q, int64_t since_ms);
/** Gives up the permit, so that the next engine need not wait for it; keeps windows. done is called
 * once. */
void quota_shut(struct quota *q, void (*done)(void *ctx), void *ctx);

#endif
