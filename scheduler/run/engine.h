/*
 * The engine: carries out runs of a project's syncs from the lock on the state directory to the
 * last verdict.
 *
 * Order: lock, state, Redis, recovery of what a crash left, then one read per model feeding every
 * sync that uses it; workers deliver meanwhile; results are folded and committed in groups. One
 * thread, one loop.
 *
 *   CONNECT ──▶ OPEN ──▶ RECOVER ──▶ RUN ──▶ SHUT ──▶ done
 */
#ifndef SLUICE_RUN_ENGINE_H
#define SLUICE_RUN_ENGINE_H

#include "protocol/base/log.h"
#include "protocol/config/config.h"
#include "scheduler/run/quota.h"
#include "scheduler/state/runs.h"

struct engine;

struct engine_view {
    const struct run_record *record;
    const struct quota_summary *quota; /* NULL: not open yet */
    bool reading;
    bool ended;
};

struct engine_options {
    const struct project *project;
    const char *const *syncs; /* names; none: all */
    size_t sync_count;
    const char *approve; /* id of a held run to carry out instead; NULL: none */
    bool full;
    uint32_t workers; /* 0: default */
    const struct log *log;
    /** A run ended and is durable; those that an earlier process left unfinished come first
     * (recovered). */
    void (*on_run)(void *ctx, const struct run_record *record, bool recovered);
    /** About ten times a second. */
    void (*on_progress)(void *ctx, const struct engine_view *views, size_t count);
    /** The first request to stop was heard. */
    void (*on_stopping)(void *ctx);
    void *ctx;
};

/**
 * Runs until everything asked for has ended. Errors are those that kept the engine from working at
 * all (ERR_BUSY: the state directory is in use; ERR_UNREACHABLE: Redis; ERR_USAGE: no such sync or
 * run). SIGINT and SIGTERM stop it: once gently, twice at once (ERR_STOPPED then).
 */
enum err_code engine_run(const struct engine_options *opts, struct err *err) MUST_CHECK;

#endif
