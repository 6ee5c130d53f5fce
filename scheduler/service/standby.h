/*
 * Standing by: waiting for the lock on a state directory that another scheduler has, so as to go on
 * in its place as soon as it is gone.
 *
 * Meanwhile /healthz answers 200 and /readyz 503, where settings.listen can be listened at. Touches
 * nothing of the state. One thread, a loop of its own.
 */
#ifndef SLUICE_SERVICE_STANDBY_H
#define SLUICE_SERVICE_STANDBY_H

#include "protocol/base/log.h"
#include "protocol/config/config.h"
#include "scheduler/run/lock.h"

/** Waits as long as it takes. Errors: ERR_STOPPED (a signal), ERR_CONFIG, ERR_IO (the folder cannot
 * be locked at all). The lock is the caller's. */
enum err_code standby_wait(const struct settings *settings, const struct log *log,
                           struct state_lock *ret_lock, struct err *err) MUST_CHECK;

#endif
