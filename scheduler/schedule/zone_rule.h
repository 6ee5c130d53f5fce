/*
 * The rule of a zone for all years: CET-1CEST,M3.5.0,M10.5.0/3, as POSIX writes TZ, with the hours
 * beyond a day that RFC 8536 adds. Pure.
 */
#ifndef SLUICE_SCHEDULE_ZONE_RULE_H
#define SLUICE_SCHEDULE_ZONE_RULE_H

#include "protocol/base/slice.h"
#include "scheduler/schedule/zone.h"

enum zone_day_kind {
    ZONE_DAY_MONTH,  /* Mm.w.d: weekday d of week w of month m, the last where w is 5 */
    ZONE_DAY_JULIAN, /* Jn: 1 to 365, 29 February never counted */
    ZONE_DAY_ZERO,   /* n: 0 to 365 */
};

/* When the other time begins, in the local time before it. */
struct zone_change {
    enum zone_day_kind kind;
    unsigned month, week, day;
    int32_t time_s;
};

struct zone_rule {
    int32_t offset_s; /* of standard time */
    bool has_summer;
    int32_t summer_s;
    struct zone_change to_summer;
    struct zone_change to_standard;
};

/** False where text is no rule. */
bool zone_rule_parse(struct slice text, struct zone_rule *ret);
struct zone_span zone_rule_span(const struct zone_rule *rule, int64_t time_s);

#endif
