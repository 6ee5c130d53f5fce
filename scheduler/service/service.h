/*
 * The service: an engine that stays, its schedules, and what may be asked of it.
 *
 * `sluice-scheduler` and `sluice up` are this. One thread, one loop: the engine's. Order: project,
 * lock and state (engine), memory of schedules and pauses, API; then runs begin as they are due or
 * asked for. SIGHUP reads the project again, SIGINT and SIGTERM leave in good order. A crash here:
 * the next start recovers runs, asks, pauses and schedules from state.
 */
#ifndef SLUICE_SERVICE_SERVICE_H
#define SLUICE_SERVICE_SERVICE_H

#include "protocol/base/log.h"
#include "protocol/config/config.h"

struct service_options {
    struct project *project; /* becomes the service's */
    bool no_workers;         /* others bring them */
    bool take_over;          /* of engine_options */
    struct state_lock *lock; /* likewise */
    bool watch;              /* the project folder is read again when it changes */
    uint32_t workers;        /* 0: default */
    const struct log *log;
    /** It listens; url is NULL where only the unix socket is served. May be NULL. */
    void (*on_up)(void *ctx, const struct project *project, const char *url);
    /** The first signal to stop was heard. May be NULL. */
    void (*on_stopping)(void *ctx);
    void *ctx;
};

/** Runs until a signal ends it. Errors: ERR_BUSY (state directory in use), ERR_UNREACHABLE (it
 * cannot listen), others of engine_new and engine_loop. The project is freed in any case. */
enum err_code service_run(const struct service_options *opts, struct err *err) MUST_CHECK;

#endif
