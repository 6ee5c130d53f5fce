/*
 * Server-sent events: what the control tells, to everyone who listens at GET /api/v1/events.
 *
 * One text per event, made once. A client that does not read as fast as events come is dropped
 * rather than buffered for; so is one whose token was taken away. One thread.
 */
#ifndef SLUICE_API_STREAMS_H
#define SLUICE_API_STREAMS_H

#include "protocol/base/err.h"

#include <stddef.h>

struct api;
struct streams;

enum {
    STREAMS_MAX = 50,               /* over TCP, and as many through the unix socket */
    STREAMS_BUFFER_MAX = 256 << 10, /* bytes not read by a client */
    STREAMS_KEEP_ALIVE_S = 15,
};

enum err_code streams_new(struct api *api, struct streams **ret, struct err *err) MUST_CHECK;
/** After evhttp_free. Accepts NULL. */
void streams_free(struct streams *e);
size_t streams_clients(const struct streams *e);

#endif
