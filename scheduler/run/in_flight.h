/*
 * In flight: which records of a stream's run have no verdict yet that is durable, by slot.
 *
 * Bounded by what is in flight: a table with open addressing that grows, and takes no memory per
 * record once it has. Pure.
 */
#ifndef SLUICE_RUN_IN_FLIGHT_H
#define SLUICE_RUN_IN_FLIGHT_H

#include "protocol/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flight {
    uint32_t slot;
    uint32_t records; /* without a verdict */
    uint64_t mark;    /* of the change */
    uint32_t tries;
    uint8_t worst; /* enum settled_how */
    bool open;     /* the end of the turn may plan more of it */
    bool sent;     /* some record of it was planned */
    bool landed;   /* all verdicts are in state, and not committed */
    bool used;
};

struct in_flight {
    struct flight *p;
    size_t buckets, count;
    uint64_t records; /* of all */
};

void in_flight_done(struct in_flight *f);
/** Borrowed until the next add or drop; NULL: nothing of the slot is in flight. */
struct flight *in_flight_find(const struct in_flight *f, uint32_t slot);
/** Adds one for a slot that has none, with no record so far. */
enum err_code in_flight_add(struct in_flight *f, uint32_t slot, uint64_t mark, uint32_t tries,
                            struct err *err) MUST_CHECK;
void in_flight_drop(struct in_flight *f, struct flight *flight);
/** Drops all that have landed. */
void in_flight_drop_landed(struct in_flight *f);

#endif
