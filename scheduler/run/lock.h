/*
 * The state directory and who may use it: one engine at a time, and no worker left over from the
 * last one.
 *
 * The engine holds an exclusive lock on `lock` (its pid and command are written there for the
 * message of whoever comes second); every worker it starts holds a shared lock on `workers.lock`.
 * Locks of dead processes are released by the kernel, so nothing has to be cleaned up after a kill
 * -9.
 */
#ifndef SLUICE_RUN_LOCK_H
#define SLUICE_RUN_LOCK_H

#include "protocol/base/err.h"

#include <stdbool.h>

struct state_lock {
    int fd;
    int workers_fd;
};

/** Creates dir (0700) with its subfolder spool where missing and takes the lock. ERR_BUSY names the
 * holder. */
enum err_code state_lock_take(struct state_lock *lock, const char *dir, struct err *err) MUST_CHECK;
void state_lock_release(struct state_lock *lock);
/** True when no worker of an earlier engine is alive any more. */
bool state_lock_workers_gone(const struct state_lock *lock);

#endif
