#include "scheduler/run/guard_hour.h"

enum { MINUTES = 60, MINUTE_MS = 60000 };

void guard_hour_turn(struct guard_hour *h, int64_t now_ms)
{
    int64_t minute = now_ms / MINUTE_MS;
    int64_t first = minute - MINUTES < h->minute ? h->minute : minute - MINUTES;
    for (int64_t m = first + 1; m <= minute; m++)
        h->changed[m % MINUTES] = h->removed[m % MINUTES] = 0;
    if (minute > h->minute)
        h->minute = minute;
}

void guard_hour_count(struct guard_hour *h, uint64_t changed, uint64_t removed)
{
    h->changed[h->minute % MINUTES] += changed;
    h->removed[h->minute % MINUTES] += removed;
}

struct hour_sums guard_hour_sums(const struct guard_hour *h)
{
    struct hour_sums sums = {0};
    for (size_t i = 0; i < MINUTES; i++) {
        sums.changed += h->changed[i];
        sums.removed += h->removed[i];
    }
    return sums;
}

bool guard_hour_lets(const struct guard *g, const struct guard_hour *h, uint64_t accepted,
                     uint64_t changed, uint64_t removed, char *reason, size_t reason_bytes)
{
    struct hour_sums sums = guard_hour_sums(h);
    if (!accepted)
        return true;
    if (removed && guard_is_above(g->max_removed, sums.removed + removed, accepted)) {
        guard_say(reason, reason_bytes, "max_removed", g->max_removed, sums.removed + removed,
                  accepted, " within an hour");
        return false;
    }
    if (changed && guard_is_above(g->max_changed, sums.changed + changed, accepted)) {
        guard_say(reason, reason_bytes, "max_changed", g->max_changed, sums.changed + changed,
                  accepted, " within an hour");
        return false;
    }
    return true;
}
