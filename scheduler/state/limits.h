/*
 * What a quota must not forget when Redis does: used-up limits, granted tokens, the results
 * position; and single values of other modules under names of their own. All of it moves in the
 * state's one transaction.
 */
#ifndef SLUICE_STATE_LIMITS_H
#define SLUICE_STATE_LIMITS_H

#include "protocol/base/buf.h"
#include "scheduler/state/state.h"

/* A limit as it was configured when it was saved, and the tokens that may be charged by then. */
struct saved_limit {
    uint32_t kind; /* enum rate_kind, and 256 times the group */
    uint64_t count;
    uint64_t per_ms;
    uint64_t grant; /* cumulative ceiling; 0: none */
    uint64_t
        charged; /* cumulative, of what windows tell; grant - charged may be in use beyond them */
};
/* Tokens in use that return left_ms after saved_ms. */
struct saved_window {
    uint32_t limit; /* index */
    uint64_t left_ms;
    uint64_t count;
};
struct saved_limits {
    int64_t saved_ms; /* wall clock */
    const struct saved_limit *limits;
    size_t limit_count;
    const struct saved_window *windows;
    size_t window_count;
};

enum err_code state_limits_put(struct state *s, const char *quota, const struct saved_limits *l,
                               struct err *err) MUST_CHECK;
/** Owned by the caller: free(*ret), one block. ERR_NOTFOUND where nothing was saved. */
enum err_code state_limits_get(struct state *s, const char *quota, struct saved_limits **ret,
                               struct err *err) MUST_CHECK;

/** Position in the quota's results stream up to which everything is in state; empty: the start. */
enum { STATE_POSITION_BYTES = 64 };
enum err_code state_results_put(struct state *s, const char *quota, const char *position,
                                struct err *err) MUST_CHECK;
enum err_code state_results_get(struct state *s, const char *quota, char *out,
                                struct err *err) MUST_CHECK;

/** A value of another module under a name such as "pause:crm"; empty value: forget it. */
enum err_code state_misc_put(struct state *s, const char *name, struct slice value,
                             struct err *err) MUST_CHECK;
/** Appends it to out; ERR_NOTFOUND. */
enum err_code state_misc_get(struct state *s, const char *name, struct buf *out,
                             struct err *err) MUST_CHECK;
typedef bool (*state_misc_cb)(void *ctx, const char *name, struct slice value);
/** All names that start with prefix, in order; the callback returns false to stop and must not
 * write. */
enum err_code state_misc_list(struct state *s, const char *prefix, state_misc_cb cb, void *ctx,
                              struct err *err) MUST_CHECK;

#endif
