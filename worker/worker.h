/*
 * The worker process: claims batches, delivers them, settles them, until it is told to stop.
 *
 * Stateless: everything that must survive it is in Redis. One thread, one event loop.
 */
#ifndef SLUICE_WORKER_WORKER_H
#define SLUICE_WORKER_WORKER_H

#include "worker/options.h"

/** Runs until SIGTERM or SIGINT; returns the exit status. */
int worker_run(const struct worker_options *options);

#endif
