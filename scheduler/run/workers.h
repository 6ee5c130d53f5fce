/*
 * The workers of a run: starts sluice-worker processes, replaces those that die, stops them at the
 * end.
 *
 * They die with this process (PR_SET_PDEATHSIG, and each checks its parent). A worker that cannot
 * even start is not started for ever: after WORKERS_START_FAILURES quick ends in a row (or
 * WORKERS_KILLED_MAX by a signal) the run is told.
 */
#ifndef SLUICE_RUN_WORKERS_H
#define SLUICE_RUN_WORKERS_H

#include "protocol/base/err.h"
#include "protocol/base/log.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct workers;

enum { WORKERS_MAX = 64, WORKERS_START_FAILURES = 5, WORKERS_KILLED_MAX = 500 };

struct workers_options {
    const char *program; /* path of sluice-worker */
    const char *project_dir;
    const char *log_dir;   /* their log goes to workers.log there; NULL: to our standard error */
    const char *redis_url; /* of a private server; NULL: they read the project's own, which may hold
                              a password */
    const char
        *name_prefix; /* worker names begin with it, so that their leases can be told apart */
    uint32_t count;
    const struct log *log;
    /** A worker died (by itself) and will be replaced; the leases of names that begin with name can
     * be ended at once. */
    void (*on_death)(void *ctx, const char *name);
    /** Workers cannot be kept alive. */
    void (*on_broken)(void *ctx, const struct err *err);
    void *ctx;
};

/** Borrows the options' strings. */
enum err_code workers_start(struct event_base *base, const struct workers_options *opts,
                            struct workers **ret_workers, struct err *err) MUST_CHECK;
/** Asks all to drain (SIGTERM) and no longer replaces them. */
void workers_drain(struct workers *w);
/** Asks all to read the project folder again. */
void workers_reload(struct workers *w);
uint32_t workers_alive(const struct workers *w);
/** Kills what is left, waits for it and frees. Accepts NULL. */
void workers_free(struct workers *w);

/** Path of a program that is installed beside the running one; out has PATH_MAX bytes. */
enum err_code sibling_program(const char *name, char *out, struct err *err) MUST_CHECK;

#endif
