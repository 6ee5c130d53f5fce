/*
 * One connection that replicates from PostgreSQL, from its opening to its loss.
 *
 *   OPENING ─▶ READY ─(create)─▶ CREATING ─▶ CREATED ─(begin)─▶ BEGINNING ─▶ FLOWING
 *                └───────────────────(begin)──────────────────────▲
 *
 * Reads a slot with pgoutput, gives its messages in order, and tells the server what may be let go.
 * Invariant: the position told is never beyond what replication_confirm was given. Keeps the
 * connection while paused. Never blocks the loop. One thread.
 */
#ifndef SLUICE_STREAM_REPLICATION_H
#define SLUICE_STREAM_REPLICATION_H

#include "scheduler/stream/pgoutput.h"

#include "protocol/config/config.h"

struct event_base;
struct replication;

struct replication_server {
    uint64_t system;   /* identifier of the cluster */
    uint32_t timeline; /* changes when a standby is promoted */
};

enum replication_taken {
    REPLICATION_TAKEN,
    REPLICATION_HELD, /* give it again after replication_go_on; nothing was changed in it */
    REPLICATION_STOP, /* nothing more; the owner closes it soon */
};

/* In on_ready, on_created, on_flow and on_lost the owner may close the connection. */
struct replication_events {
    /** May create or begin. */
    void (*on_ready)(void *ctx, const struct replication_server *server);
    /** The slot begins at lsn. The snapshot is valid until replication_begin. */
    void (*on_created)(void *ctx, uint64_t lsn, const char *snapshot);
    /** Messages follow. horizon: where the server's log ended a moment before. */
    void (*on_flow)(void *ctx, uint64_t horizon);
    enum replication_taken (*on_message)(void *ctx, const struct pgoutput_frame *frame);
    /** All that was committed before lsn has been given. */
    void (*on_reached)(void *ctx, uint64_t lsn, int64_t clock_ms);
    /** What was at hand was given. */
    void (*on_turn)(void *ctx);
    /** It is over; nothing follows. state: the server's SQLSTATE, or empty. */
    void (*on_lost)(void *ctx, const struct err *err, const char *state);
    void *ctx;
};

/** The source is borrowed for the call. */
enum err_code replication_open(struct event_base *base, const struct source *source,
                               const struct replication_events *events, struct replication **ret,
                               struct err *err) MUST_CHECK;
/** Makes a slot, with a snapshot of the moment at which it begins. Waits for the transactions that
 * are under way. */
void replication_create(struct replication *r, const char *slot);
/** Gives what was committed after lsn (0: after what the slot has confirmed). */
void replication_begin(struct replication *r, const char *slot, const char *publication,
                       uint64_t lsn);
void replication_pause(struct replication *r);
void replication_resume(struct replication *r);
/** After REPLICATION_HELD. */
void replication_go_on(struct replication *r);
/** Everything before lsn may be let go: told to the server within 100 ms. */
void replication_confirm(struct replication *r, uint64_t lsn);
/** Accepts NULL. */
void replication_close(struct replication *r);

#endif
