/*
 * Values that all workers of a quota share: access tokens, rotated refresh tokens, ids of
 * containers made once.
 *
 * A value has a name, a version that only grows, and a lock that one holder at a time has for a
 * limited time. Every call is one atomic script. Values outlive an epoch; the durable ones are kept
 * in the scheduler's state too. Redis gets the bytes as they are: secrets are sealed by the caller.
 * Errors of every call: ERR_STALE while no scheduler has opened this Redis; ERR_BUG for what is too
 * long. One thread: the loop's.
 */
#ifndef SLUICE_QUEUE_SHARED_H
#define SLUICE_QUEUE_SHARED_H

#include "protocol/queue/queue.h"

enum {
    QUEUE_SHARED_VALUE_MAX = 64 << 10,
    QUEUE_SHARED_NAMES_MAX = 4096, /* of a quota; one more is ERR_FULL */
    QUEUE_SHARED_DURABLE_MAX = 256,
};

/* What a call found, or left. Slices are borrowed for the callback. */
struct queue_shared {
    bool granted; /* lock: the caller has it now; put: the value was taken; unlock: it was held */
    uint64_t version;    /* of the value; 0: there is none */
    struct slice value;  /* of put: empty */
    int64_t left_ms;     /* until the value expires; -1: never */
    struct slice holder; /* of the lock; empty: nobody */
    int64_t holder_left_ms;
};
typedef void (*queue_shared_cb)(void *ctx, const struct queue_shared *shared,
                                const struct err *err);

enum err_code queue_shared_get(struct queue *q, struct slice name, queue_shared_cb cb, void *ctx,
                               struct err *err) MUST_CHECK;

/**
 * Takes the lock for ttl_ms if nobody else has it; the holder itself renews it. The reply carries
 * the value as get does, so that whoever comes second sees what the first one made. ERR_BUSY: no
 * permit vouches for the clock.
 */
enum err_code queue_shared_lock(struct queue *q, struct slice name, const char *holder,
                                uint64_t ttl_ms, queue_shared_cb cb, void *ctx,
                                struct err *err) MUST_CHECK;

struct queue_shared_put {
    struct slice name;
    struct slice value; /* empty: forget it */
    const char *holder; /* taken if it has the lock, which is released then */
    uint64_t version;   /* or if this is the present one (0: there is none) and no other has the
                           lock; UINT64_MAX: only as the holder */
    uint64_t expire_ms; /* 0: never */
    bool durable;       /* to be kept in state */
};
/** granted false: neither held; the reply tells the present version and holder. */
enum err_code queue_shared_put(struct queue *q, const struct queue_shared_put *put,
                               queue_shared_cb cb, void *ctx, struct err *err) MUST_CHECK;

/** Gives the lock back without a value. */
enum err_code queue_shared_unlock(struct queue *q, struct slice name, const char *holder,
                                  queue_shared_cb cb, void *ctx, struct err *err) MUST_CHECK;

/* ---- scheduler ---- */

/* A durable value as state keeps it. */
struct queue_shared_value {
    struct slice name;
    struct slice value;
    uint64_t version;
    uint64_t left_ms; /* until it expires; 0: never */
};
typedef void (*queue_shared_all_cb)(void *ctx, const struct queue_shared_value *values,
                                    size_t count, uint64_t shared_version, const struct err *err);
/** All durable values, with the version of queue_stats that they belong to. */
enum err_code queue_shared_all(struct queue *q, queue_shared_all_cb cb, void *ctx,
                               struct err *err) MUST_CHECK;

#endif
