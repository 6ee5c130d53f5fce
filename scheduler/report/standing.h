/*
 * How a sync stands, and so what alerts have to tell of it.
 *
 * Made of what its runs and its stream say; what was told of it before the start stands until the
 * opposite is seen. One thread.
 */
#ifndef SLUICE_REPORT_STANDING_H
#define SLUICE_REPORT_STANDING_H

#include "scheduler/report/told.h"
#include "scheduler/service/control.h"

enum { STANDING_WHY_BYTES = 600 };

struct standing {
    const struct sync *sync;
    bool failed, held, late;
    bool rests;                    /* its stream does not flow, for a while already */
    bool lags;                     /* its slot holds back more than half of what it may */
    bool gave_up;                  /* its slot was given up */
    char why[STANDING_WHY_BYTES];  /* its stream does not flow */
    char slot[STANDING_WHY_BYTES]; /* what its slot holds back */
    uint64_t bad, of; /* records of its last run that were not accepted, of those that should */
    char run[STATE_RUN_ID_MAX + 1]; /* the last that ended or is held; empty: none */
    int64_t fresh_ms;
    struct told told;
};

/** From what state has. standing_done afterwards, whatever is returned. Errors: ERR_NOMEM and those
 * of state. */
enum err_code standing_init(struct standing *s, struct control *c, const struct sync *sync,
                            struct err *err) MUST_CHECK;
void standing_done(struct standing *s);
/** A run of it ended or is held. */
void standing_run(struct standing *s, const struct run_record *r);
/** now_ms: wall clock. */
void standing_look(struct standing *s, const struct control *c, int64_t now_ms);

/** What there is to tell (enum alert_on). */
unsigned standing_bits(const struct standing *s, const struct guard_limit *warning_above);
/** What there is to say of it beside the last run; NULL: nothing. Borrowed. */
const char *standing_why(const struct standing *s, enum alert_on what);

#endif
