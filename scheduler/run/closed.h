/*
 * What a quota's destinations asked for, as Redis told it last and state keeps it while the quota
 * goes to another server: which are closed until when, and what throttling left of the limits.
 *
 * One per quota; the name in state is closed:QUOTA. Times are kept by the wall clock.
 */
#ifndef SLUICE_RUN_CLOSED_H
#define SLUICE_RUN_CLOSED_H

#include "protocol/queue/queue.h"

struct state;

struct closed {
    struct queue_closed *items; /* their names are owned */
    size_t count;
    uint32_t factor;      /* thousandths of the limits; 1000 or 0: all */
    uint64_t recovers_ms; /* until the next tenth comes back */
    int64_t told_ms;      /* when, by the wall clock */
};

void closed_done(struct closed *c);
/** Takes over what a permit told. Errors: ERR_NOMEM; then it is as it was. */
enum err_code closed_note(struct closed *c, const struct queue_stats *stats,
                          struct err *err) MUST_CHECK;
/** The caller commits. */
enum err_code closed_save(const struct closed *c, struct state *state, const char *quota,
                          struct err *err) MUST_CHECK;
/** What of it still holds now. Nothing saved is no error; damage is ERR_INVALID. */
enum err_code closed_load(struct closed *c, struct state *state, const char *quota,
                          struct err *err) MUST_CHECK;

#endif
