/*
 * A time zone: how far local time is from UTC at each moment, past and future.
 *
 * Reads a file of the zone database (TZif, RFC 8536, version 2 and later), whose rule for the time
 * behind its table is followed too. Unlike localtime it knows several zones at once and touches
 * nothing that the process shares. Invariant: any file becomes a zone whose spans follow each other
 * without gaps, or an error. Read-only once loaded; any thread.
 */
#ifndef SLUICE_SCHEDULE_ZONE_H
#define SLUICE_SCHEDULE_ZONE_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

#include <stdint.h>

struct zone;

/** name: of the zone database, NULL or "UTC": UTC, which needs no file. Errors: ERR_CONFIG (no such
 * zone, or its file is damaged), ERR_NOMEM. */
enum err_code zone_load(const char *name, struct zone **ret_zone, struct err *err) MUST_CHECK;
/** From a file's bytes. Errors: ERR_INVALID, ERR_NOMEM. */
enum err_code zone_parse(struct slice bytes, struct zone **ret_zone, struct err *err) MUST_CHECK;
/** Accepts NULL. */
void zone_free(struct zone *zone);

/* Times are seconds since 1970 in UTC, within ±ZONE_TIME_MAX. */
#define ZONE_TIME_MAX ((int64_t)1 << 55)

/* A stretch of time with one offset: start <= t < end; INT64_MIN and INT64_MAX are the ends of
 * time. Two that follow each other may have the same offset. */
struct zone_span {
    int64_t start_s;
    int64_t end_s;
    int32_t offset_s; /* local time is so much later than UTC */
};
struct zone_span zone_span_at(const struct zone *zone, int64_t time_s);

#endif
