/*
 * One attempt to reach Redis: from a URL to a connected socket, without blocking the loop.
 *
 * TCP: every address of the host is tried in turn, each with its share of the time. Unix: a path
 * longer than sun_path is reached through a descriptor of its folder. TLS is not spoken here. One
 * thread.
 */
#ifndef SLUICE_REDIS_DIAL_H
#define SLUICE_REDIS_DIAL_H

#include "protocol/redis/redis.h"

struct dial;

/** fd is taken by the callee; -1: err says why. The dial may be freed inside. */
typedef void (*dial_cb)(void *ctx, int fd, const struct err *err);

/** Borrows url. Never calls back before it returns, and once only. NULL: out of memory. */
struct dial *dial_new(struct event_base *base, const struct redis_url *url, uint64_t timeout_ms,
                      dial_cb cb, void *ctx);
/** Accepts NULL; no callback comes afterwards. */
void dial_free(struct dial *d);

#endif
