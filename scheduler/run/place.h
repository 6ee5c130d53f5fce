/*
 * At which Redis server a quota is, as state remembers it: noted before anything is published
 * there.
 *
 * One record per quota, under place:QUOTA; none where nothing was ever opened, or by an earlier
 * version. It moves in the state's one transaction.
 */
#ifndef SLUICE_RUN_PLACE_H
#define SLUICE_RUN_PLACE_H

#include "protocol/redis/fleet.h"

struct state;

struct place {
    char at[REDIS_MEMBER_NAME_MAX + 1];   /* the member's name; empty: none is noted */
    char from[REDIS_MEMBER_NAME_MAX + 1]; /* where keys of it may be left; empty: nowhere */
    bool open;     /* an epoch was begun there, and workers may hold leases of it */
    bool arriving; /* nothing was begun there yet: what it has is of an earlier stay */
};

/** A quota without a record: all empty. Errors: ERR_INVALID (damage). */
enum err_code place_load(struct place *p, struct state *state, const char *quota,
                         struct err *err) MUST_CHECK;
/** The caller commits. */
enum err_code place_save(const struct place *p, struct state *state, const char *quota,
                         struct err *err) MUST_CHECK;

#endif
