/*
 * A connection of its own that LISTENs on a channel. Connects again by itself. One thread; never
 * blocks the loop.
 */
#ifndef SLUICE_STREAM_POLL_LISTEN_H
#define SLUICE_STREAM_POLL_LISTEN_H

#include "protocol/base/err.h"
#include "protocol/config/config.h"

struct event_base;
struct poll_listen;

/** on_notify: something was notified, or may have been while nobody listened. Not from within. */
enum err_code poll_listen_new(struct event_base *base, const struct source *source,
                              const char *channel, void (*on_notify)(void *ctx), void *ctx,
                              struct poll_listen **ret_listen, struct err *err) MUST_CHECK;
/** Why it does not listen as things are; empty: it does. */
const char *poll_listen_trouble(const struct poll_listen *l);
/** Accepts NULL. Not inside its own callback. */
void poll_listen_free(struct poll_listen *l);

#endif
