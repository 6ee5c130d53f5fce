/*
 * A redis-server of our own, for projects that configure none: on a unix socket in the state
 * directory.
 *
 * No port, no persistence, no eviction. It dies with this process (PR_SET_PDEATHSIG), stands in a
 * process group of its own, so that Ctrl-C at the terminal leaves it for us to stop, and writes
 * DIR/redis.log. The caller holds the lock on the state directory. Main thread only: the kernel
 * ties the child to the thread that made it.
 */
#ifndef SLUICE_RUN_PRIVATE_REDIS_H
#define SLUICE_RUN_PRIVATE_REDIS_H

#include "protocol/base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct private_redis;

/**
 * Removes a stale socket and starts the server; it need not accept connections yet. Blocks for the
 * few milliseconds of an exec. Errors: ERR_NOTFOUND without a redis-server on the PATH, ERR_IO,
 * ERR_NOMEM.
 */
enum err_code private_redis_start(const char *state_dir, struct private_redis **ret,
                                  struct err *err) MUST_CHECK;

/**
 * Blocks until it accepts connections. Errors: ERR_TIMEOUT; ERR_UNREACHABLE when it ended instead,
 * with the last line of its log. (A struct redis may connect right after start as well: it tries
 * again.)
 */
enum err_code private_redis_wait(struct private_redis *p, uint64_t timeout_ms,
                                 struct err *err) MUST_CHECK;

/**
 * ERR_OK while it runs; ERR_UNREACHABLE, with how it ended, once it does not. Reaps it, so nobody
 * else must wait for its pid (a SIGCHLD handler compares pids and calls this). Never blocks.
 */
enum err_code private_redis_check(struct private_redis *p, struct err *err) MUST_CHECK;

/** Starts it again after its end, empty. Errors: as in start, ERR_BUSY while it runs. */
enum err_code private_redis_restart(struct private_redis *p, struct err *err) MUST_CHECK;

/** 0 when it does not run as far as start, check and stop know. */
pid_t private_redis_pid(const struct private_redis *p);

/** unix://…, for redis_url_parse and for workers. */
const char *private_redis_url(const struct private_redis *p);

/**
 * SIGTERM, SIGKILL when it still runs after the grace, reaps it, removes its socket, frees p.
 * Blocks for the grace at most. Accepts NULL.
 */
void private_redis_stop(struct private_redis *p, uint64_t grace_ms);

#endif
