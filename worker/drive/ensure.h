/*
 * What the object of a batch needs to exist before anything can be put into it, such as an
 * audience: found or made by the object's `ensure` steps, once for the fleet.
 *
 * A prelude (prelude.h) per object and star, kept in memory and as a value of the fleet. The steps
 * run under the fleet's lock, so that no two workers make the same thing. One thread; no I/O.
 */
#ifndef SLUICE_DRIVE_ENSURE_H
#define SLUICE_DRIVE_ENSURE_H

#include "worker/drive/at.h"

enum {
    ENSURE_KEPT_MS = 3600000, /* then it is looked for again: somebody may have deleted it */
    ENSURE_MAX = 4096,        /* of one destination */
};

/** The prelude of a batch that has not begun; NULL: it has, or its object needs none. Errors:
 * ERR_CONFIG, ERR_INVALID, ERR_NOMEM, ERR_FULL. */
enum err_code ensure_of(struct at *at, const struct delivery *d, struct prelude **ret_prelude,
                        struct err *err) MUST_CHECK;

/** What the next ensure step costs, where d's progress is in the middle of them. */
enum err_code ensure_next(struct at *at, const struct delivery *d, struct outcome *o,
                          bool *ret_ensuring, struct err *err) MUST_CHECK;

void ensure_free(struct at *at);

#endif
