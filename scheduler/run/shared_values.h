/*
 * A quota's shared values that must outlive Redis (rotated refresh tokens), as state keeps them:
 * sealed by the workers, readable here by nobody.
 *
 * Read from Redis whenever a permit tells that something changed, given back to a Redis that has
 * none or an older one. One per quota; the name in state is shared:QUOTA.
 */
#ifndef SLUICE_RUN_SHARED_VALUES_H
#define SLUICE_RUN_SHARED_VALUES_H

#include "protocol/base/buf.h"
#include "protocol/queue/shared.h"

struct state;

struct shared_values {
    uint64_t version; /* of queue_stats that was saved last, or loaded */
    struct buf text;  /* what was loaded; the items borrow from it */
    struct queue_shared_value *items;
    size_t count;
};

void shared_values_done(struct shared_values *v);

/** What to restore; owned by v until the next call. Nothing saved is no error; damage is
 * ERR_INVALID.
 */
enum err_code shared_values_load(struct shared_values *v, struct state *state, const char *quota,
                                 struct err *err) MUST_CHECK;
/** Writes what Redis told, and the newest version of all values there; the caller commits. */
enum err_code shared_values_save(struct state *state, const char *quota,
                                 const struct queue_shared_value *values, size_t count,
                                 uint64_t version, struct err *err) MUST_CHECK;

#endif
