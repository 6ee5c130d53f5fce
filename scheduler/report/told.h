/*
 * What each alert has told of one sync, as state keeps it under `alert:SYNC`. An alert that has
 * told nothing is not in it.
 */
#ifndef SLUICE_REPORT_TOLD_H
#define SLUICE_REPORT_TOLD_H

#include "protocol/config/config.h"
#include "scheduler/state/state.h"

enum { TOLD_MAX = 200 };

struct told_by {
    char *alert;
    uint32_t bits; /* enum alert_on */
};

struct told {
    int64_t since_ms; /* wall clock: when the sync was first seen; 0: never */
    struct told_by *by;
    size_t count;
};

/** All zero where state has nothing. told_done afterwards. */
enum err_code told_load(struct state *s, const char *sync, struct told *ret,
                        struct err *err) MUST_CHECK;
enum err_code told_put(struct state *s, const char *sync, const struct told *t,
                       struct err *err) MUST_CHECK;
void told_done(struct told *t);

/** Forgets alerts that the project does not have. */
void told_keep(struct told *t, const struct project *p);
uint32_t told_get(const struct told *t, const char *alert);
/** 0 forgets it. Errors: ERR_NOMEM, ERR_FULL past TOLD_MAX. */
enum err_code told_set(struct told *t, const char *alert, uint32_t bits,
                       struct err *err) MUST_CHECK;

#endif
