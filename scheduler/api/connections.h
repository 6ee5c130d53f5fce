/*
 * The connections of one listener: how many there may be, and for how long one may do nothing
 * useful.
 *
 * evhttp keeps its connections to itself and its timeouts start anew with every byte. This makes
 * each connection's bufferevent, holds a reference of it until evhttp has let go, and closes what
 * has not brought a whole request for CONNECTION_IDLE_MS: slow clients, idle ones, those that never
 * speak. When all places are taken, the listener rests and the longest idle make room. One thread.
 */
#ifndef SLUICE_API_CONNECTIONS_H
#define SLUICE_API_CONNECTIONS_H

#include "protocol/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct connections;
struct event_base;
struct bufferevent;
struct evconnlistener;

enum { CONNECTIONS_MAX = 256, CONNECTION_IDLE_MS = 60000 };

/** max: places, at most CONNECTIONS_MAX. idle_ms: see above. Borrows the listener. */
enum err_code connections_new(struct event_base *base, struct evconnlistener *listener, size_t max,
                              int idle_ms, struct connections **ret, struct err *err) MUST_CHECK;
/** After evhttp_free. Accepts NULL. */
void connections_free(struct connections *c);

/** For evhttp_set_bevcb. */
struct bufferevent *connections_make(struct event_base *base, void *connections);
/** A whole request came. streams: its answer has no end, and is not to be closed for that. */
void connections_asked(struct connections *c, struct bufferevent *bev, bool streams);
size_t connections_count(const struct connections *c);

#endif
