/* What the files of the engine share: opening and the loop (engine.c), what it begins with
 * (engine_load.c), its Redis servers (engine_redis.c), what is asked of it (engine_asks.c), its
 * runs (engine_runs.c) and what quotas tell them (engine_results.c), its quotas (engine_quotas.c),
 * its workers (engine_workers.c), leaving (engine_leave.c). */
#ifndef SLUICE_RUN_ENGINE_PRIVATE_H
#define SLUICE_RUN_ENGINE_PRIVATE_H

#include "scheduler/run/engine.h"
#include "scheduler/run/lock.h"
#include "scheduler/run/model_read.h"
#include "scheduler/run/private_redis.h"
#include "scheduler/run/sync_run.h"
#include "scheduler/run/workers.h"
#include "scheduler/state/state.h"
#include "scheduler/state/term.h"

struct event;

enum { ENGINE_WHY_BYTES = 512 };

enum engine_phase {
    PHASE_CONNECT,
    PHASE_OPEN,
    PHASE_RECOVER,
    PHASE_RUN,
    PHASE_DRAIN,
    PHASE_SHUT,
    PHASE_DONE
};

struct engine_run_slot {
    struct sync_run *run;
    struct quota *quota;
    const struct project *project; /* its sync is of */
    bool recovered;
    bool ended;   /* its record is in state, perhaps not committed */
    bool told;    /* on_run was called */
    bool cleaned; /* spool, bits and queue keys are gone */
};

struct engine_quota_slot {
    struct quota *quota;
    const struct project *project; /* its destination is of */
    bool stale;                    /* the project in force has other limits, or no such quota */
    bool shut;                     /* gives up its permit, or has */
    int64_t broken_ms;             /* monotonic */
};

/* A Redis server, as it was last seen. */
struct engine_server {
    char name[REDIS_MEMBER_NAME_MAX + 1];
    bool was_connected;
    bool given_up;   /* what needs it is left to the next start */
    int64_t away_ms; /* monotonic, since when; 0: connected */
    struct err error;
};

/* Whether this is still the scheduler that goes on with the state (engine_term.c). */
struct engine_term {
    struct state_term own;
    struct queue_term told; /* the same, as Redis is told */
    bool is_copy;           /* the state's file is not the one that the last scheduler had */
    bool elsewhere;         /* its workers may be alive where no lock of ours shows them */
    bool raised;
    int64_t waits_since_ms; /* for another one that may be alive; 0: not */
    int64_t turned_ms;      /* the loop last did, by a clock that goes on in a suspended machine */
    bool asks;              /* it stood still, and looks who owns its quotas */
    int64_t asked_ms;
};

struct engine {
    struct engine_options opts;
    const struct project *project;
    struct event_base *base;
    struct state_lock lock;
    struct state *state;
    struct redis_fleet *fleet;
    struct engine_server *servers;
    size_t server_count;
    char redis_why[ENGINE_WHY_BYTES], ask_why[ENGINE_WHY_BYTES];
    struct private_redis *private_redis;
    struct workers *workers;  /* NULL: nothing was published so far, or an epoch was lost */
    bool workers_killed;      /* with a lost epoch: other quotas still need them */
    int64_t workers_pause_ms; /* no start before this moment; 0: any time */
    char worker_program[4096];
    char *project_dir; /* workers are started in it, whatever becomes of the project they began with
                        */
    char worker_prefix[64];
    enum engine_phase phase;
    struct err error; /* why the engine as a whole cannot go on */
    bool failed;
    bool stopping, aborted;
    uint64_t verdicts; /* of all runs, when they last moved */
    int64_t moved_ms;  /* when they did, or the project was last looked at */
    bool loaded;       /* what was left is known */
    bool slow;         /* nothing is under way: the tick is a slow one */
    int64_t full_told_ms;
    int64_t started_ms, committed_ms;
    int64_t drained_ms; /* leaving: when the last worker had gone */
    struct event *tick, *sigint, *sigterm;

    struct quota_host quota_host;
    struct engine_quota_slot *quotas;
    size_t quota_count;
    size_t shut_count; /* that said so at the end */

    struct run_host run_host;
    struct engine_run_slot *runs;
    size_t run_count;
    struct engine_view *views;
    struct model_read **reads;
    size_t read_count;
    struct engine_ask *asks; /* in the order they came */
    size_t ask_count;
    int64_t asks_pause_ms;      /* nothing begins before this moment */
    size_t runs_max;            /* under way at a time */
    const struct project **old; /* which runs or quotas may still use */
    size_t old_count;
    bool history_grew;  /* since it was pruned */
    int64_t history_ms; /* when that was */
    struct engine_stream *streams;
    size_t stream_count, streams_wanted;
    const struct project *streams_of; /* whose streams there are */
    bool beginning;                   /* more asks may begin than one turn takes */
    bool sweeps;                      /* entries that were dropped may be left */
    struct engine_term term;
    bool sharded; /* the project is, or was when the state was last used */
};

/** Ends the engine with an error. */
void engine_fail(struct engine *e, const struct err *err);
/** Says that the disk is full, but not at every turn. */
void engine_tell_full(struct engine *e, const struct err *err);
/** Everything has ended: shuts quotas, drains workers, leaves the loop. */
void engine_all_ended(struct engine *e);
/** Gives up the permits and waits for workers to go. */
void engine_begin_shut(struct engine *e);
/** The loop turns quickly again. */
void engine_hurry(struct engine *e);

/* engine_redis.c */
enum err_code engine_redis_start(struct engine *e, struct err *err) MUST_CHECK;
/** Once a turn: a private server that died, servers that were away too long. */
void engine_redis_turn(struct engine *e);
/** Ends the engine where all that is left to do waits for servers that were given up. */
bool engine_redis_unfinished(struct engine *e);
/** The list of the project in force. */
void engine_redis_reload(struct engine *e);
/** No server that a quota is at, or belongs at, is reached. */
bool engine_redis_away(const struct engine *e);
/** The quota cannot be served as long as this process lasts: its server was given up. */
bool engine_redis_gave_up(const struct engine *e, const struct quota *q);
/** Which server is not reached; NULL: all are. */
const char *engine_redis_why(struct engine *e);
void engine_redis_free(struct engine *e);

/* engine_workers.c */
void engine_need_workers(void *ctx);
/** Ends them at once: no request of theirs is under way afterwards. */
void engine_kill_workers(struct engine *e);
bool engine_local_workers_gone(void *ctx, bool own);
/** Others may have claimed through this Redis: nobody else can reach a private one. */
bool engine_has_other_workers(void *ctx);

/* engine_term.c */
/** Reads what the last scheduler left. */
enum err_code engine_term_open(struct engine *e, struct err *err) MUST_CHECK;
/** For quota_host. */
enum err_code engine_term_check(void *ctx, struct quota *q, const struct queue_opened *o,
                                struct err *err) MUST_CHECK;
/** Once a turn, before anything else: nothing stands in the way of doing something. */
bool engine_may_turn(struct engine *e);

/* engine_shard.c */
/** The state of shard 0 of several, and that of a project without shards, take each other's place.
 * The lock is held. */
enum err_code engine_take_place(struct engine *e, struct err *err) MUST_CHECK;
/** Says which syncs have their state here and belong elsewhere, and keeps whose state this is. */
enum err_code engine_shard_look(struct engine *e, struct err *err) MUST_CHECK;
/** For quota_host. */
enum err_code engine_on_state_lost(void *ctx, struct quota *q, const struct queue_opened *o,
                                   bool *ret_heir, struct err *err);
enum err_code engine_quota_goes_on(void *ctx, struct quota *q, struct err *err);

/* engine_load.c */
/** How many runs may be under way, as to the files that may be open; raises that as far as it may.
 */
size_t engine_runs_that_fit(void);
/** Recovers what an earlier process left, and opens the quotas of what is asked for. */
enum err_code engine_runs_load(struct engine *e, struct err *err) MUST_CHECK;

/* engine_asks.c */
/** Takes what an earlier process was asked for and had not begun. */
enum err_code engine_asks_load(struct engine *e, struct err *err) MUST_CHECK;
/** Begins what can begin. */
enum err_code engine_asks_begin(struct engine *e, struct err *err) MUST_CHECK;
/** Forgets those whose sync the project no longer has. */
void engine_asks_check(struct engine *e);

/* engine_watch.c */
/** Once a turn: ends runs whose destination the project folder no longer describes as it did. */
void engine_watch_project(struct engine *e);

/* engine_quotas.c */
void engine_quotas_set_host(struct engine *e);
/** Opens the destination's quota where it is not. */
enum err_code engine_quota_add(struct engine *e, const struct destination *d,
                               struct err *err) MUST_CHECK;
/** It can be published to, or never will be. Opens it again where it was broken and is idle. */
bool engine_quota_is_settled(struct engine *e, const struct destination *d);
bool engine_quotas_all_ready(const struct engine *e);
/** Once a turn: opens stale ones anew, forgets unused ones. */
void engine_quotas_turn(struct engine *e);
void engine_quotas_free(struct engine *e);
/** Tells which of the old projects are no longer used. */
void engine_forget_projects(struct engine *e);

/* engine_runs.c */
void engine_runs_set_host(struct engine *e);
/** Takes the run, and opens its quota. */
enum err_code engine_run_add(struct engine *e, struct sync_run *run, struct err *err) MUST_CHECK;
/** The slot of the sync's run that is not cleaned yet; NULL. */
struct engine_run_slot *engine_run_of(const struct engine *e, const char *sync);
/** Nothing is left to do but what waits for servers that were given up. */
bool engine_runs_stuck(const struct engine *e);
/** Publishes, and begins what has not begun; q NULL: of all quotas. */
void engine_runs_go(struct engine *e, const struct quota *q);
/** Tells and cleans up ended runs; begins what is asked for; moves on when all have ended. */
void engine_runs_turn(struct engine *e);
void engine_runs_stop(struct engine *e, enum run_stop how, const char *why);
/** Stops those that still read or plan. */
void engine_runs_stop_reads(struct engine *e, const char *why);
/** History that grew is cut to its size, at most so often. */
void engine_prune_history(struct engine *e, int64_t every_ms);
void engine_runs_free(struct engine *e);
/** Starts as many reads as the sources allow. */
enum err_code engine_start_reads(struct engine *e, struct err *err) MUST_CHECK;

/* engine_results.c */
void engine_on_results(void *ctx, struct quota *q, const struct queue_result *results,
                       size_t count);
void engine_on_quota_broken(void *ctx, struct quota *q, const struct err *err);
void engine_on_quota_stats(void *ctx, struct quota *q, const struct queue_stats *stats);

/* engine_streams.c */
/** Once a turn: opens those of the project in force, closes others, lets each go on. */
void engine_streams_turn(struct engine *e);
bool engine_streams_use(const struct engine *e, const struct project *project);
void engine_on_settled(void *ctx, struct sync_run *run, uint64_t mark, uint32_t tries,
                       struct slice key, enum settled_how how);
void engine_streams_run_ended(struct engine *e, const struct run_record *r);
enum err_code engine_streams_before_commit(struct engine *e, struct err *err) MUST_CHECK;
void engine_streams_committed(struct engine *e);
/** A change waits for the next commit. */
bool engine_streams_await_commit(const struct engine *e);
/** They end their runs and open nothing more. */
void engine_streams_leave(struct engine *e);
void engine_streams_free(struct engine *e);

/* engine_leave.c */
/** One turn of PHASE_DRAIN. */
void engine_leave_turn(struct engine *e);

#endif
