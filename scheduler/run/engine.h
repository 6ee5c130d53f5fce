/*
 * The engine: carries out runs of a project's syncs from the lock on the state directory to the
 * last verdict.
 *
 * Order: lock, state, Redis, recovery of what a crash left, then what is asked for: one read per
 * model feeds every sync that uses it and was asked for by then; workers deliver meanwhile; results
 * are folded and committed in groups. One thread, one loop. It ends when nothing is left to do
 * (`sluice run`), or stays until it is told to leave (the service): then what was asked for is kept
 * in state until it has begun, and runs that are being sent are left to the next start.
 *
 *   CONNECT ──▶ OPEN ──▶ RECOVER ──▶ RUN ──▶ SHUT ──▶ done
 *                  └─── (stays) ──────▲ └─▶ DRAIN ─▲
 *
 * A crash here: the kernel frees the lock, workers and a private Redis die with us, and the next
 * engine recovers.
 */
#ifndef SLUICE_RUN_ENGINE_H
#define SLUICE_RUN_ENGINE_H

#include "protocol/base/log.h"
#include "protocol/config/config.h"
#include "scheduler/run/quota.h"
#include "scheduler/state/runs.h"

struct engine;
struct event_base;
struct histogram;
struct state;
struct state_lock;

struct engine_view {
    const struct run_record *record;
    const struct quota_summary *quota; /* NULL: not open yet */
    const struct sync *sync;           /* NULL: recovered, and no longer in the project */
    bool full, adopt;                  /* as it was asked for */
    uint64_t batches_due;              /* sync_run_batches_due */
    bool reading;
    bool stopping;
    bool ended;
};

/* A run that is asked for. */
struct engine_ask {
    char run[STATE_RUN_ID_MAX + 1]; /* of the run it becomes; of the held one, for an approval */
    char sync[STATE_NAME_MAX + 1];
    char trigger[RUN_TRIGGER_MAX + 1]; /* who or what asks */
    int64_t scheduled_ms;              /* when it was due; 0: when it was asked for */
    bool full;
    bool adopt;        /* take the model's present rows as synced, send nothing */
    bool approve;      /* send what the held run planned */
    bool plan;         /* hold it, to be looked at */
    char hold[256];    /* hold it, whatever it plans, for this reason; empty: no */
    char snapshot[64]; /* read at this exported snapshot; empty: no. Not kept in state */
};

struct engine_options {
    const struct project *project;
    bool stays;              /* until engine_leave or a signal */
    bool no_workers;         /* others bring them */
    struct state_lock *lock; /* on the state directory, taken already: becomes the engine's; NULL:
                                it takes it */
    bool take_over;   /* where Redis knows a later scheduler of this state, or another state: they
                         are gone, and this one goes on */
    bool watched;     /* whoever owns this sets another project as soon as the folder changes */
    bool offline;     /* no Redis: only plans are made, and what a crash left stays as it is */
    uint32_t workers; /* 0: default */
    const struct log *log;
    /** A run ended and is durable; those that an earlier process left unfinished are recovered. */
    void (*on_run)(void *ctx, const struct run_record *record, bool recovered);
    /** A run began. May be NULL. */
    void (*on_begun)(void *ctx, const struct run_record *record);
    /** What was asked for cannot begin, and is forgotten; NULL: it ends the engine. */
    void (*on_ask_failed)(void *ctx, const struct engine_ask *ask, const struct err *err);
    /** About ten times a second. May be NULL. */
    void (*on_progress)(void *ctx, const struct engine_view *views, size_t count);
    /** Nothing was handed to the quota in this epoch so far: the time to pause. May be NULL. */
    void (*on_quota_ready)(void *ctx, struct quota *q);
    /** Somebody paused the sync: its stream plans nothing. May be NULL. */
    bool (*is_paused)(void *ctx, const char *sync);
    /** No run uses this project any more, after engine_set_project gave another. May be NULL. */
    void (*on_project_unused)(void *ctx, const struct project *project);
    /** The first request to stop was heard. */
    void (*on_stopping)(void *ctx);
    void *ctx;
};

/**
 * Takes the lock, opens the state and begins to look for Redis. Errors are those that keep it from
 * working at all: ERR_BUSY (the state directory is in use), ERR_FULL, ERR_INVALID. The options'
 * strings and the project are borrowed.
 */
enum err_code engine_new(const struct engine_options *opts, struct engine **ret_engine,
                         struct err *err) MUST_CHECK;
/**
 * Runs until everything asked for has ended, or until it leaves. Errors: ERR_UNREACHABLE (Redis),
 * ERR_USAGE (what was asked for cannot be), ERR_STOPPED. SIGINT and SIGTERM stop it: once gently,
 * twice at once.
 */
enum err_code engine_loop(struct engine *e, struct err *err) MUST_CHECK;
/** Commits what is left and closes. Accepts NULL. */
void engine_free(struct engine *e);

struct event_base *engine_base(const struct engine *e);
struct state *engine_state(const struct engine *e);
/** Redis is reached and what a crash left is known. Otherwise *ret_why says what it waits for;
 * where one of several servers is not reached, it says that of a ready one too. NULL: nothing is
 * amiss. Borrowed until the next call. */
bool engine_is_ready(struct engine *e, const char **ret_why);
/* A Redis server, for whoever looks. */
struct engine_redis_view {
    const char *name;
    bool stays; /* quotas belong there */
    bool connected;
    int64_t away_ms;                  /* for how long it has not been reached; 0: it is */
    const char *error;                /* why not; NULL */
    const struct redis_node *primary; /* that sentinels name; NULL: there are none, or none yet */
    size_t quotas;                    /* that are there */
    size_t left;                      /* others that keys are left of */
    const struct histogram *trips;
};
size_t engine_redis_count(const struct engine *e);
void engine_redis_look(const struct engine *e, size_t i, struct engine_redis_view *ret);
bool engine_is_stopping(const struct engine *e);
/** The process did not turn for so long that another may have taken over: nothing is to be done,
 * and nothing can be committed, until Redis was asked. */
bool engine_stood_still(struct engine *e);
uint32_t engine_workers_alive(const struct engine *e);

/* ---- asking (engine_asks.c) ---- */

/** A new id for a run. */
void engine_run_id(char out[STATE_RUN_ID_MAX + 1]);
/**
 * Asks for a run. ask->run is filled in where it is empty. Where a run of the same kind (one that
 * sends, adopts, is planned only) waits already for the same sync, it is that one, and *ask becomes
 * it; others follow one another in the order they were asked for. In an engine that stays it is in
 * state with the next commit. Errors: ERR_USAGE (no such sync; a held run that cannot be approved),
 * ERR_FULL, ERR_NOMEM.
 */
enum err_code engine_ask(struct engine *e, struct engine_ask *ask, struct err *err) MUST_CHECK;
/** The run that waits for the sync; NULL. */
const struct engine_ask *engine_asked(const struct engine *e, const char *sync);
/** The ask that waits under this id; NULL. */
const struct engine_ask *engine_asked_run(const struct engine *e, const char *run);
/** Why it waits, in words; borrowed. */
const char *engine_asked_why(struct engine *e, const struct engine_ask *ask);

/* ---- runs ---- */

/** Those under way; the array is the engine's until the loop turns. */
const struct engine_view *engine_views(struct engine *e, size_t *ret_count);
/** Under way, or asked for. ERR_NOTFOUND. */
enum err_code engine_cancel(struct engine *e, const char *run, const char *why,
                            struct err *err) MUST_CHECK;
/** Nothing of the engine uses the sync's entries; false: a run of it is under way. */
bool engine_lets_go(struct engine *e, const char *sync);
/** A held run ends as cancelled. ERR_USAGE with the reason, ERR_NOTFOUND. */
enum err_code engine_reject(struct engine *e, const char *run, const char *why,
                            struct err *err) MUST_CHECK;
struct stream_view;
/** The sync's stream, as it is now; false: it has none. */
bool engine_stream_look(const struct engine *e, const char *sync, struct stream_view *ret);
/** The quota of a destination; NULL while it is not open. */
struct quota *engine_quota_of(const struct engine *e, const struct destination *destination);
/**
 * Another project for what is asked for from now on. Runs under way keep the old one, which must
 * live until on_project_unused. A quota whose limits changed is opened anew once its runs have
 * ended; what is asked for waits for that. Asks for syncs that are gone are forgotten.
 */
void engine_set_project(struct engine *e, const struct project *project);
/** Commits now. */
enum err_code engine_commit(struct engine *e, struct err *err) MUST_CHECK;
/**
 * Ends the loop in good order: no more reads (what read is asked for again, for the next start),
 * requests in flight end and are folded, the rest is left to the next start.
 */
void engine_leave(struct engine *e);

#endif
