/*
 * One host name resolved in a thread of its own, because getaddrinfo blocks.
 *
 * Reads what the system's resolver is configured to read and calls back once, on the event loop.
 * The thread touches nothing but its own job; a lookup that is freed early leaves it to end by
 * itself.
 */
#ifndef SLUICE_REDIS_LOOKUP_H
#define SLUICE_REDIS_LOOKUP_H

#include "protocol/base/err.h"

#include <stdint.h>

struct addrinfo;
struct event_base;
struct lookup;

/** addrs is taken by the callee (freeaddrinfo); NULL: err says why. The lookup may be freed inside.
 */
typedef void (*lookup_cb)(void *ctx, struct addrinfo *addrs, const struct err *err);

/** Never calls back before it returns. NULL: err says why. */
struct lookup *lookup_new(struct event_base *base, const char *host, uint16_t port, lookup_cb cb,
                          void *ctx, struct err *err);
/** Accepts NULL; no callback comes afterwards. */
void lookup_free(struct lookup *l);

#endif
