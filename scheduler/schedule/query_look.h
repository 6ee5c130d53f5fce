/*
 * One look at a warehouse: a query of one row and one column, and a digest of its answer.
 *
 * Read as a model is (scheduler/source): one SELECT, parsed by the server by itself, in a READ ONLY
 * transaction, on a connection that is closed with the end. Invariant: on_end comes once, within
 * the statement's timeout and a minute. One thread.
 */
#ifndef SLUICE_SCHEDULE_QUERY_LOOK_H
#define SLUICE_SCHEDULE_QUERY_LOOK_H

#include "protocol/config/config.h"

struct event_base;
struct query_look;

enum { QUERY_LOOK_TOKEN_BYTES = 16 };

struct query_look_events {
    /** err NULL: token is the answer's. */
    void (*on_end)(void *ctx, const uint8_t *token, const struct err *err);
    void *ctx;
};

/** source and query are borrowed until the end. The answer never comes within this call. Errors:
 * ERR_CONFIG, ERR_UNREACHABLE, ERR_NOMEM. */
enum err_code query_look_start(struct event_base *base, const struct source *source,
                               const char *query, const struct query_look_events *events,
                               struct query_look **ret_look, struct err *err) MUST_CHECK;
/** Ends it without another event. Accepts NULL. Not inside on_end. */
void query_look_free(struct query_look *look);

#endif
