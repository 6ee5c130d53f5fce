/*
 * Events that failed, and how often: when one is given up, so that it does not hold those behind it
 * for ever.
 *
 * A failure counts only where some record was accepted since the last one of the same event: a
 * destination that is down says nothing of the event. Bounded: of more events than there is room
 * for, those that were noted first are forgotten. Pure. One thread.
 */
#ifndef SLUICE_RUN_STREAM_FAILING_H
#define SLUICE_RUN_STREAM_FAILING_H

#include "protocol/base/attr.h"
#include "protocol/base/slice.h"

#include <stdint.h>

enum {
    FAILING_MAX = 256,
    FAILING_TRIES = 10,          /* failures that count, each with all attempts used up */
    FAILING_MS = 15 * 60 * 1000, /* and at least so long after the first */
};

struct failing_event {
    uint64_t hash; /* of its key */
    int64_t since_ms;
    uint64_t accepted; /* records accepted when it failed last */
    uint32_t tries;
};

struct failing {
    struct failing_event events[FAILING_MAX]; /* zero at first, like the rest */
    uint32_t count, next;
    uint64_t accepted; /* records so far */
};

/** A record of this key was accepted, or refused for good: the destination is there. */
void failing_accepted(struct failing *f, struct slice key);
/** It has failed once more; true: it is given up, and forgotten here. */
bool failing_again(struct failing *f, struct slice key, int64_t now_ms) MUST_CHECK;

#endif
