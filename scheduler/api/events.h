/*
 * Server-sent events: what the control tells, to everyone who listens at GET /api/v1/events.
 *
 * One text per event, made once. A client that does not read as fast as events come is dropped
 * rather than buffered for; so is one whose token was taken away. One thread.
 */
#ifndef SLUICE_API_EVENTS_H
#define SLUICE_API_EVENTS_H

#include "protocol/base/err.h"

#include <stddef.h>

struct api;
struct events;

enum {
    EVENTS_CLIENTS_MAX = 50,
    EVENTS_BUFFER_MAX = 256 << 10, /* bytes not read by a client */
    EVENTS_KEEP_ALIVE_S = 15,
};

enum err_code events_new(struct api *api, struct events **ret, struct err *err) MUST_CHECK;
/** After evhttp_free. Accepts NULL. */
void events_free(struct events *e);
size_t events_clients(const struct events *e);

#endif
