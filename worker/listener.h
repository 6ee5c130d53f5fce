/*
 * The worker's HTTP server, for those who watch it: /metrics, /healthz, /readyz. It reads the
 * engine and changes nothing. One thread: the loop's.
 */
#ifndef SLUICE_WORKER_LISTENER_H
#define SLUICE_WORKER_LISTENER_H

#include "protocol/base/err.h"

struct engine;
struct listener;

/** address: host:port or [address]:port; port 0: any that is free. Borrows the engine. Errors:
 * ERR_CONFIG (no such address, or it is in use), ERR_NOMEM. Owned: listener_free. */
enum err_code listener_new(struct engine *e, const char *address, struct listener **ret_listener,
                           struct err *err) MUST_CHECK;
/** Accepts NULL. */
void listener_free(struct listener *l);
/** http://127.0.0.1:9470, with the real port. */
const char *listener_url(const struct listener *l);

#endif
