/* What the files of the engine share: opening and the loop (engine.c), what it begins with
 * (engine_load.c), its runs (engine_runs.c). */
#ifndef SLUICE_RUN_ENGINE_PRIVATE_H
#define SLUICE_RUN_ENGINE_PRIVATE_H

#include "scheduler/run/engine.h"
#include "scheduler/run/lock.h"
#include "scheduler/run/model_read.h"
#include "scheduler/run/private_redis.h"
#include "scheduler/run/sync_run.h"
#include "scheduler/run/workers.h"
#include "scheduler/state/state.h"

struct event;

enum engine_phase { PHASE_CONNECT, PHASE_OPEN, PHASE_RECOVER, PHASE_RUN, PHASE_SHUT, PHASE_DONE };

struct engine_run_slot {
    struct sync_run *run;
    struct quota *quota;
    bool ended;   /* its record is in state, perhaps not committed */
    bool told;    /* on_run was called */
    bool cleaned; /* spool, bits and queue keys are gone */
};

struct engine {
    struct engine_options opts;
    const struct project *project;
    struct event_base *base;
    struct state_lock lock;
    struct state *state;
    struct redis *redis;
    struct private_redis *private_redis;
    struct workers *workers; /* NULL: nothing was published so far, or an epoch was lost */
    bool workers_killed;     /* with a lost epoch: other quotas still need them */
    char worker_program[4096];
    char worker_prefix[64];
    enum engine_phase phase;
    struct err error; /* why the engine as a whole cannot go on */
    bool failed;
    bool stopping, aborted;
    uint64_t verdicts; /* of all runs, when they last moved */
    int64_t moved_ms;  /* when they did, or the project was last looked at */
    bool was_connected;
    int64_t redis_away_ms;  /* since when; 0: connected */
    struct err redis_error; /* why, as it was last seen */
    int64_t started_ms, committed_ms;
    struct event *tick, *sigint, *sigterm;

    struct quota_host quota_host;
    struct quota **quotas;
    size_t quota_count;
    size_t shut_count;

    struct run_host run_host;
    struct engine_run_slot *runs;
    size_t run_count;
    struct model_read **reads;
    size_t read_count;
    const struct sync **wanted; /* syncs to be run once recovery is over */
    size_t wanted_count;
    bool begun; /* wanted were begun */
};

/** Ends the engine with an error. */
void engine_fail(struct engine *e, const struct err *err);
/** Starts the workers where there are none: a run that finds nothing to send never needs them. */
void engine_need_workers(void *ctx);
/** Commits now; used results are trimmed afterwards. */
enum err_code engine_commit(struct engine *e, struct err *err) MUST_CHECK;
struct quota *engine_quota(struct engine *e, const struct destination *d);

/** Everything has ended: shuts quotas, drains workers, leaves the loop. */
void engine_all_ended(struct engine *e);

/* engine_load.c */
/** ERR_USAGE when a sync that was asked for is not in the project; before anything is touched. */
enum err_code engine_check_names(struct engine *e, struct err *err) MUST_CHECK;
enum err_code engine_runs_load(struct engine *e, struct err *err) MUST_CHECK;

/* engine_watch.c */
/** Once a turn: ends runs whose destination the project folder no longer describes as it did. */
void engine_watch_project(struct engine *e);

/* engine_runs.c */
void engine_runs_set_host(struct engine *e);
/** Takes the run, and opens its quota. */
enum err_code engine_run_add(struct engine *e, struct sync_run *run, struct err *err) MUST_CHECK;
enum err_code engine_quota_add(struct engine *e, const struct destination *d,
                               struct err *err) MUST_CHECK;
/** Quotas are ready: publishes, and begins what has not begun. */
void engine_runs_go(struct engine *e);
/** Tells and cleans up ended runs; moves on to the next phase when all have ended. */
void engine_runs_turn(struct engine *e);
void engine_runs_stop(struct engine *e, enum run_stop how, const char *why);
void engine_runs_free(struct engine *e);
void engine_on_results(void *ctx, struct quota *q, const struct queue_result *results,
                       size_t count);
void engine_on_quota_broken(void *ctx, struct quota *q, const struct err *err);
void engine_on_quota_stats(void *ctx, struct quota *q, const struct queue_stats *stats);
void engine_on_state_lost(void *ctx, struct quota *q);

#endif
