/* A control in memory: a project from YAML, a real state in a folder of its own, and views that the
 * test writes. */
#ifndef SLUICE_TESTS_REPORT_FAKE_CONTROL_H
#define SLUICE_TESTS_REPORT_FAKE_CONTROL_H

#include "protocol/base/histogram.h"
#include "scheduler/service/control.h"
#include "tests/unit/config/folder.h"

enum { FAKE_SYNCS = 8, FAKE_RUNS = 8, FAKE_QUOTAS = 8, FAKE_LIMITS = 4, FAKE_LISTENERS = 4 };

struct fake_quota {
    char name[64];
    struct control_quota_view view;
    uint64_t used[FAKE_LIMITS];
    bool paused;
};

struct control {
    struct folder folder;
    char state_dir[64];
    struct state *state;
    int64_t started_ms;
    bool ready;
    struct histogram trips;
    uint32_t workers;
    const char *reload_error;
    struct control_sync_view views[FAKE_SYNCS]; /* in the project's order */
    struct run_record records[FAKE_RUNS];
    struct control_run_view runs[FAKE_RUNS];
    size_t run_count;
    struct fake_quota quotas[FAKE_QUOTAS];
    size_t quota_count;
    struct {
        control_event_cb cb;
        void *ctx;
    } listeners[FAKE_LISTENERS];
};

/** Fails the test where the project has mistakes. */
void fake_control_init(struct control *c, const char *yaml);
void fake_control_done(struct control *c);
/** Closes the state and opens it again, as a restart does; what was not committed is gone. */
void fake_control_restart(struct control *c);
/** The view of a sync, to be written. */
struct control_sync_view *fake_view(struct control *c, const char *sync);
/** The quota's view, made open. */
struct fake_quota *fake_quota(struct control *c, const char *quota);
/** Puts the record into state. */
void fake_run_put(struct control *c, const struct run_record *r);
/** Puts it and tells the listeners. */
void fake_run_ends(struct control *c, const struct run_record *r);
/** A record with an id, a sync, a status and times in the past: began seconds before it ended. */
struct run_record fake_run(const char *id, const char *sync, enum run_status status,
                           int64_t ended_ms, int64_t seconds);

#endif
