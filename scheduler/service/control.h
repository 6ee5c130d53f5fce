/*
 * What may be asked of a scheduler that runs: by its HTTP API (over TCP for people, over the unix
 * socket in the state directory for `sluice` commands), and by signals.
 *
 * Everything here is called on the scheduler's one thread, between turns of its loop, and returns
 * at once: actions are begun, not waited for. What they change is durable before they return ERR_OK
 * (pauses, requested runs, retries). Texts of errors are for people. Views are borrowed until the
 * loop turns.
 */
#ifndef SLUICE_SERVICE_CONTROL_H
#define SLUICE_SERVICE_CONTROL_H

#include "protocol/config/config.h"
#include "scheduler/run/engine.h"
#include "scheduler/run/quota.h"
#include "scheduler/state/rejected.h"
#include "scheduler/state/runs.h"
#include "scheduler/stream/stream.h"

struct control;

/* Who asks; for the audit log. */
struct control_actor {
    const char *name; /* of the token; "local" for the unix socket, "schedule", "signal" */
    const char *role; /* viewer, operator, admin */
};

/* ---- views ---- */

/** The configuration in force; replaced by a reload. */
const struct project *control_project(const struct control *c);
/** For reading only, through the read calls of runs.h, rejected.h, entries.h (look, list, get). */
struct state *control_state(struct control *c);
/** Wall clock. */
int64_t control_started_ms(const struct control *c);
/** True once recovery is over and Redis is reached: runs can begin. Otherwise *ret_why says what it
 * waits for. */
bool control_is_ready(const struct control *c, const char **ret_why);
/** The process did not run for so long that another may have taken over: nothing is to be told to
 * anybody until it knows. */
bool control_stood_still(const struct control *c);
uint32_t control_workers_alive(const struct control *c);
/** Text of the reload that was refused last, with file:line:col; NULL when the last one was fine.
 */
const char *control_reload_error(const struct control *c);

struct control_config {
    char revision[INPUTS_REVISION_BYTES]; /* of the files in force, the same on every machine */
    int64_t loaded_ms;                    /* wall clock: they were read */
    int64_t refused_ms; /* wall clock: since when newer ones have been refused; 0: they are not */
    bool watched;       /* a change of the folder is noticed */
};
void control_config_look(const struct control *c, struct control_config *ret);

enum control_phase {
    CONTROL_IDLE,   /* nothing under way */
    CONTROL_QUEUED, /* asked for; waits for its run before it, for recovery or for a warehouse
                       connection */
    CONTROL_READING,
    CONTROL_SENDING,
    CONTROL_STOPPING,
};
const char *control_phase_name(enum control_phase phase);

struct control_sync_view {
    const struct sync *sync;
    enum control_phase phase;
    char run[STATE_RUN_ID_MAX + 1]; /* under way or queued; empty: none */
    bool paused;
    bool destination_paused;
    bool held;        /* its last run is: the schedule does not start another */
    int64_t next_ms;  /* wall clock of the next scheduled start; 0: none by time */
    int64_t fresh_ms; /* wall clock of the last whole read of which nothing is still to be accepted;
                         0: never. While a stream flows: the moment up to which everything that was
                         committed has been accepted */
    char waits_for[200];       /* in words, where it is due but does not start; empty otherwise */
    bool streams;              /* its schedule is a stream, and the engine has it */
    struct stream_view stream; /* where it streams */
    int64_t ails_ms; /* for how long something has been wrong with the stream; 0: nothing is */
};
/** ERR_NOTFOUND with words. */
enum err_code control_sync_look(const struct control *c, const char *sync,
                                struct control_sync_view *ret, struct err *err) MUST_CHECK;

/* A run under way, as it is at this moment (newer than its record in state). */
struct control_run_view {
    const struct run_record *record;
    enum control_phase phase;
    uint64_t batches_due; /* without a verdict, that workers have or get as soon as there is room */
};
/** *ret_count views, in the order they began; an array that is the control's. */
const struct control_run_view *control_runs(struct control *c, size_t *ret_count);
/** The record as it is now: queued (no times yet), under way or ended. ERR_NOTFOUND with words. */
enum err_code control_run_get(struct control *c, const char *run, struct run_record *ret,
                              struct err *err) MUST_CHECK;
/** CONTROL_IDLE where it has ended, is held or is not known. */
enum control_phase control_run_phase(struct control *c, const char *run);

struct control_quota_view {
    const char *quota;
    bool open;                /* known to Redis now: some sync of it ran */
    struct quota_summary now; /* when open */
    double factor;            /* of the limits, less than 1 while throttled */
    const uint64_t *limit_used;
    const uint64_t *limit_returns; /* of them, back within settings.drain_within */
    size_t limit_count;            /* as many as the destination's limits */
    const struct quota_sync *syncs;
    size_t sync_count;
    const char *error;   /* why it cannot be used; NULL */
    const char *server;  /* of Redis, where it is; NULL: not known yet */
    char waits_for[320]; /* why nothing of it goes on, of Redis' servers; empty: nothing is amiss */
};
/** Of the destination's quota. */
enum err_code control_quota_look(const struct control *c, const struct destination *destination,
                                 struct control_quota_view *ret) MUST_CHECK;
bool control_destination_paused(const struct control *c, const char *destination);
/** The servers of Redis. */
size_t control_redis_count(const struct control *c);
void control_redis_look(const struct control *c, size_t i, struct engine_redis_view *ret);

/* ---- actions; all write the audit log ---- */

struct control_run_request {
    const char *const *syncs; /* none: all */
    size_t sync_count;
    bool full;
    bool adopt; /* take the model's present rows as synced, send nothing */
    bool plan;  /* hold it, to be looked at and approved */
};
/* One for each sync asked for. */
struct control_started {
    char sync[STATE_NAME_MAX + 1];
    char run[STATE_RUN_ID_MAX + 1];
    bool queued; /* begins when the sync's run before it has ended; a request that already waits is
                    given again */
};
/** Owned by the caller: free(*ret_started). ERR_USAGE: no such sync. */
enum err_code control_run(struct control *c, const struct control_actor *who,
                          const struct control_run_request *request,
                          struct control_started **ret_started, size_t *ret_count,
                          struct err *err) MUST_CHECK;
/** Under way or queued. ERR_NOTFOUND; ERR_USAGE where it has ended. */
enum err_code control_cancel(struct control *c, const struct control_actor *who, const char *run,
                             struct err *err) MUST_CHECK;
/** ERR_USAGE with the reason: not held, or no longer what was held. */
enum err_code control_approve(struct control *c, const struct control_actor *who, const char *run,
                              struct err *err) MUST_CHECK;
/** The held run ends as cancelled; the schedule goes on. */
enum err_code control_reject(struct control *c, const struct control_actor *who, const char *run,
                             struct err *err) MUST_CHECK;
/** Forgets refusals, so that the next run sends those records again. ERR_BUSY while a run of the
 * sync is under way. */
enum err_code control_retry(struct control *c, const struct control_actor *who, const char *sync,
                            const struct retry_filter *filter, uint64_t *ret_count,
                            struct err *err) MUST_CHECK;
/** Survives restarts. A paused sync is not started by its schedule and its run under way sends
 * nothing; a paused destination receives nothing. */
enum err_code control_pause_sync(struct control *c, const struct control_actor *who,
                                 const char *sync, bool paused, struct err *err) MUST_CHECK;
enum err_code control_pause_destination(struct control *c, const struct control_actor *who,
                                        const char *destination, bool paused,
                                        struct err *err) MUST_CHECK;
/**
 * Reads the project folder again; taken as a whole or refused as a whole (ERR_CONFIG, every problem
 * in *ret_problems as lines file:line:col: text, owned by the caller: free). The old one runs on.
 */
enum err_code control_reload(struct control *c, const struct control_actor *who,
                             char **ret_problems, struct err *err) MUST_CHECK;

/* ---- events ---- */

enum control_event_kind {
    CONTROL_EVENT_RUN,  /* began, changed phase, moved on (at most twice a second), ended */
    CONTROL_EVENT_SYNC, /* paused, resumed, next start moved; its stream has another phase, or
                           moved on (at most once in two seconds) */
    CONTROL_EVENT_DESTINATION, /* paused, resumed, throttled, no longer throttled */
    CONTROL_EVENT_RELOAD,
};
struct control_event {
    enum control_event_kind kind;
    const char *name;                /* run, sync or destination */
    const struct run_record *record; /* of CONTROL_EVENT_RUN */
    bool ended;
};
typedef void (*control_event_cb)(void *ctx, const struct control_event *event);
/** One listener more; called on the loop's thread, must not call actions. */
enum err_code control_listen(struct control *c, control_event_cb cb, void *ctx,
                             struct err *err) MUST_CHECK;
void control_unlisten(struct control *c, control_event_cb cb, void *ctx);

/* ---- audit log ---- */

struct control_audit {
    int64_t time_ms;
    struct slice actor, action, target,
        outcome; /* "ana (operator)", "cancel", a run, "ok" or the error's words */
};
typedef bool (*control_audit_cb)(void *ctx, const struct control_audit *entry);
/** Newest first, at most limit; the oldest beyond 10,000 are forgotten. */
enum err_code control_audit_list(struct control *c, size_t limit, control_audit_cb cb, void *ctx,
                                 struct err *err) MUST_CHECK;

#endif
