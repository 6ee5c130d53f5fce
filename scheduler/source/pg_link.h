/*
 * A connection to PostgreSQL on the event loop: opened within a deadline, never blocking.
 *
 * Reads a source's parameters, gives input to its owner: every on_input means that libpq has taken
 * in what the socket had, or that the connection is lost, which libpq then reports like an answer.
 * The owner may close the link inside a callback. One thread. (libpq resolves host names
 * synchronously.)
 */
#ifndef SLUICE_SOURCE_PG_LINK_H
#define SLUICE_SOURCE_PG_LINK_H

#include "protocol/base/err.h"
#include "protocol/config/config.h"

#include <libpq-fe.h>

struct event_base;
struct pg_link;

struct pg_link_events {
    void (*on_open)(void *ctx);
    /** The link cannot be opened; nothing follows. err: never a password. */
    void (*on_refused)(void *ctx, const struct err *err);
    void (*on_input)(void *ctx);
    void *ctx;
};

/** Errors: ERR_CONFIG (the parameters), ERR_NOMEM. The source is borrowed for the call. */
enum err_code pg_link_open(struct event_base *base, const struct source *source,
                           const struct pg_link_events *events, struct pg_link **ret_link,
                           struct err *err) MUST_CHECK;
/** Closes at once; cancel: asks the server to stop what it runs first (a connection of its own,
 * which may wait). */
void pg_link_close(struct pg_link *link, bool cancel);

PGconn *pg_link_conn(struct pg_link *link);
/** The connection is gone: PQgetResult gives what the server or libpq says about it, without
 * waiting. */
bool pg_link_lost(const struct pg_link *link);

/** After PQsend…: sends it on. A failure shows as a lost link in the next on_input. */
void pg_link_sent(struct pg_link *link);
/** No more input until resumed; resuming calls on_input in the next turn of the loop. */
void pg_link_pause(struct pg_link *link);
void pg_link_resume(struct pg_link *link);
/** on_input again in the next turn, after everything else that is ready. */
void pg_link_again(struct pg_link *link);
/** Takes in more without waiting: bytes that TLS holds do not show on the socket. */
void pg_link_read(struct pg_link *link);

#endif
