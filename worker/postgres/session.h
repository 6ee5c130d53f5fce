/*
 * One connection to a destination's Postgres, on the event loop: connects, learns the table's
 * columns, carries one batch at a time in one transaction.
 *
 *   CLOSED ──▶ CONNECTING ──▶ COLUMNS ──▶ LOAD ──▶ ROWS ──▶ WRITE ──▶ IDLE
 *                                ▲  (known: skipped)          │ refused      │ next batch
 *                                └────────────────────────────┼──────────────┘
 *                                                             ▼
 *                                                         ROLLBACK ──▶ IDLE
 *
 * A connection that breaks, or runs out of time, is closed: the server then rolls back, unless the
 * COMMIT had been sent, and then nobody knows. One thread: the loop's.
 */
#ifndef SLUICE_POSTGRES_SESSION_H
#define SLUICE_POSTGRES_SESSION_H

#include "protocol/base/buf.h"
#include "worker/postgres/shape.h"

#include <stdint.h>

struct event_base;
struct session;

/* How a batch ended. Borrowed for the callback. */
struct session_answer {
    enum { SESSION_DONE, SESSION_REFUSED, SESSION_LOST } kind;
    bool unsure;             /* LOST: the COMMIT was on its way */
    char sqlstate[6];        /* REFUSED; empty for what Sluice itself found */
    const char *message;     /* the server's primary message, or what went wrong */
    const uint32_t *missing; /* DONE: positions of updates without a record, ascending */
    size_t missing_count;
};
typedef void (*session_cb)(void *ctx, const struct session_answer *answer);

/** url: a connection string, borrowed. Owned: session_free. NULL: no memory. */
struct session *session_new(struct event_base *base, const char *url);
/** Drops what it does without calling back. Accepts NULL. */
void session_free(struct session *s);

bool session_is_idle(const struct session *s);

/** Carries a batch; shape and rows are borrowed until the callback, which comes exactly once,
 * later. An idle session only. */
void session_carry(struct session *s, const struct shape *shape, struct slice rows,
                   uint64_t timeout_ms, session_cb cb, void *ctx);

#endif
