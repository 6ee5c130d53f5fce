/*
 * A time zone of the system's database (RFC 8536), or where that is missing, of a rule.
 *
 * Read once; then a function of the moment asked for. Plain data without pointers.
 */
#ifndef SLUICE_JUDGE_ZONE_H
#define SLUICE_JUDGE_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"

enum { ZONE_CHANGES_MAX = 400, ZONE_FILE_MAX = 64 << 10 };

/* The day of a rule's change: the week-th (5: last) weekday (0: Sunday) of a month, at so many
 * seconds after midnight by the clock that shows until then. */
struct zone_day {
    int month, week, weekday;
    int64_t at_s;
};

struct zone {
    int64_t at_s[ZONE_CHANGES_MAX]; /* when an offset begins, ascending */
    int32_t offset_s[ZONE_CHANGES_MAX];
    uint32_t count;
    /* After the last of them. */
    int32_t standard_s, summer_s;
    bool has_summer;
    struct zone_day begins, ends;
};

/** From TZif bytes. False: they are none that is understood. */
bool zone_parse(struct slice file, struct zone *ret);
/** From a POSIX rule, such as CST6CDT,M3.2.0,M11.1.0. */
bool zone_parse_rule(const char *rule, struct zone *ret);
/** United States, Central, from the system's database or as the law has been since 2007. */
void zone_central(struct zone *ret);

/** Seconds to add to UTC. */
int32_t zone_offset_s(const struct zone *z, int64_t utc_s);
/** When the next day begins there. */
int64_t zone_next_midnight_s(const struct zone *z, int64_t utc_s);

#endif
