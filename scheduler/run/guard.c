#include "scheduler/run/guard.h"

#include <inttypes.h>
#include <stdio.h>

#define ROUNDING 1e-6

bool guard_is_above(struct guard_limit limit, uint64_t part, uint64_t whole)
{
    if (!limit.set)
        return false;
    double value = limit.percent ? limit.value / 100.0 * (double)whole : limit.value;
    return (double)part > value + ROUNDING; /* 333 of 1000 are 33.3 % */
}

void guard_say(char *out, size_t n, const char *name, struct guard_limit limit, uint64_t part,
               uint64_t whole, const char *when)
{
    snprintf(out, n, "guard %s: %" PRIu64 " of %" PRIu64 " accepted records%s, allowed are %g%s",
             name, part, whole, when, limit.value, limit.percent ? " %" : "");
}

bool guard_holds(const struct guard *g, const struct guard_facts *f, char *reason,
                 size_t reason_bytes)
{
    if (!f->accepted)
        return false;
    if (!f->rows && !g->allow_empty) {
        snprintf(reason, reason_bytes,
                 "the model returned no row while %" PRIu64 " records are accepted "
                 "(guard: {allow_empty: true} lifts this)",
                 f->accepted);
        return true;
    }
    if (g->min_rows.set) {
        double least = g->min_rows.percent ? g->min_rows.value / 100.0 * (double)f->accepted
                                           : g->min_rows.value;
        if ((double)f->rows < least) {
            snprintf(reason, reason_bytes,
                     "guard min_rows: the model returned %" PRIu64
                     " rows, at least %g are expected",
                     f->rows, least);
            return true;
        }
    }
    if (guard_is_above(g->max_removed, f->removed, f->accepted)) {
        guard_say(reason, reason_bytes, "max_removed", g->max_removed, f->removed, f->accepted, "");
        return true;
    }
    if (guard_is_above(g->max_changed, f->changed, f->accepted)) {
        guard_say(reason, reason_bytes, "max_changed", g->max_changed, f->changed, f->accepted, "");
        return true;
    }
    return false;
}

bool guard_waits(const struct guard *g, uint64_t accepted)
{
    return accepted && (g->max_removed.set || g->max_changed.set || g->min_rows.set);
}

bool guard_stops(const struct guard *g, uint64_t verdicts, uint64_t rejected, char *reason,
                 size_t reason_bytes)
{
    if (verdicts < GUARD_VERDICTS_LEAST || !guard_is_above(g->max_rejected, rejected, verdicts))
        return false;
    snprintf(reason, reason_bytes,
             "guard max_rejected: %" PRIu64 " of %" PRIu64
             " records were rejected, allowed are %g%s",
             rejected, verdicts, g->max_rejected.value, g->max_rejected.percent ? " %" : "");
    return true;
}
