/*
 * Everything that metrics are made of, gathered at one moment: one sample per sync and per quota.
 * Internal to this folder.
 */
#ifndef SLUICE_REPORT_SAMPLES_H
#define SLUICE_REPORT_SAMPLES_H

#include "scheduler/report/demand.h"
#include "scheduler/report/ledger.h"
#include "scheduler/service/control.h"
#include "scheduler/state/entries.h"

struct sync_sample {
    const struct sync *sync;
    struct control_sync_view view;
    struct ledger ledger;
    struct state_counts entries;
};

struct quota_sample {
    const struct destination *destination; /* the first of those that share it */
    struct control_quota_view view;
    bool paused; /* all destinations of it are */
    uint64_t runnable;
    double slots;          /* of workers, that would be busy with it */
    uint64_t throttled_ms; /* in all */
};

struct samples {
    int64_t now_ms; /* wall clock */
    struct sync_sample *syncs;
    size_t sync_count;
    struct quota_sample *quotas;
    size_t quota_count;
    uint64_t desired_workers;
    double worker_load; /* the same unrounded */
};

/** Owned: samples_done. */
enum err_code samples_take(struct control *c, struct samples *ret, struct err *err) MUST_CHECK;
void samples_done(struct samples *s);

/** The time that a quota was throttled is kept in state under this name; report.c adds to it. */
enum { THROTTLE_NAME_BYTES = STATE_NAME_MAX + 16 };
void throttle_name(const char *quota, char out[THROTTLE_NAME_BYTES]);
/** 0 where nothing is kept. */
uint64_t throttle_get(struct state *s, const char *quota);
enum err_code throttle_add(struct state *s, const char *quota, uint64_t ms,
                           struct err *err) MUST_CHECK;

#endif
