/* Guards: whether a plan is too unusual to be carried out unasked. Pure. */
#ifndef SLUICE_RUN_GUARD_H
#define SLUICE_RUN_GUARD_H

#include "protocol/config/config.h"

struct guard_facts {
    uint64_t accepted; /* entries accepted before the run */
    uint64_t rows;
    uint64_t changed;
    uint64_t removed;
};

/** True when the plan must be held; reason then says which guard and by how much. */
bool guard_holds(const struct guard *g, const struct guard_facts *f, char *reason,
                 size_t reason_bytes);
/** True when nothing may be published before the read has ended. */
bool guard_waits(const struct guard *g, uint64_t accepted);

enum { GUARD_VERDICTS_LEAST = 200 };
/** True when max_rejected says that the run must stop. */
bool guard_stops(const struct guard *g, uint64_t verdicts, uint64_t rejected, char *reason,
                 size_t reason_bytes);

/** Is part above the limit, where percentages are of whole? */
bool guard_is_above(struct guard_limit limit, uint64_t part, uint64_t whole);
/** Says so; when: "", or within which time. */
void guard_say(char *out, size_t n, const char *name, struct guard_limit limit, uint64_t part,
               uint64_t whole, const char *when);

#endif
