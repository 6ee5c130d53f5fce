/*
 * Points in time as APIs write them: RFC 3339, a date, or a number since 1970.
 *
 * A function of the text; any thread.
 */
#ifndef SLUICE_JUDGE_INSTANT_H
#define SLUICE_JUDGE_INSTANT_H

#include <stdint.h>

#include "protocol/base/attr.h"
#include "protocol/base/slice.h"

struct instant {
    int64_t seconds; /* since 1970, UTC */
    uint32_t nanos;
};

/**
 * Reads RFC 3339 (also with a space for the T, an offset without its colon, and without an offset:
 * UTC), a date alone (its first moment), or a number: seconds, or milli-, micro- or nanoseconds
 * where seconds would lie beyond the year 5138. False: it is none of these.
 */
bool instant_parse(struct slice text, struct instant *ret) MUST_CHECK;
/** Less than, equal to or greater than 0. */
int instant_compare(struct instant a, struct instant b);

/** Days since 1970-01-01 of a date of the Gregorian calendar; month from 1. */
int64_t instant_days(int64_t year, int month, int day);

#endif
