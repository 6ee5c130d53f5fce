/*
 * The inside of a replication connection, shared by its steps until it flows (replication.c) and
 * its flow (replication_flow.c).
 */
#ifndef SLUICE_STREAM_REPLICATION_PRIVATE_H
#define SLUICE_STREAM_REPLICATION_PRIVATE_H

#include "scheduler/stream/replication.h"

#include "protocol/base/buf.h"
#include "scheduler/source/pg_link.h"

struct event;

enum { REPLICATION_BEAT_MS = 10000 }; /* a status at least every */

enum replication_step {
    STEP_OPEN,
    STEP_SETTINGS,
    STEP_TIMEOUT,
    STEP_IDENTIFY,
    STEP_READY,
    STEP_CREATE,
    STEP_CREATED,
    STEP_HORIZON,
    STEP_BEGIN,
    STEP_FLOW,
    STEP_LOST,
};

struct replication {
    struct event_base *base;
    struct pg_link *link;
    struct replication_events events;
    enum replication_step step;
    struct buf sql;
    PGresult *answer; /* of the step in hand: the first error, else the last result */
    char *held;       /* a message to be given again; blocked until go_on */
    struct pgoutput_frame held_frame;
    bool paused, stopped, blocked;
    struct event *beat, *soon;
    int64_t beat_ms;
    int64_t told_ms; /* when the last status went, monotonic */
    uint64_t received, confirmed, told;
    uint64_t horizon;
    struct replication_server server;
    struct buf start; /* the statement that begins the flow */
    int asked;        /* replies that were wanted since asked_ms */
    int64_t asked_ms;
};

/* replication.c */
/** It is over. result: what the server said; may be NULL. */
void replication_lose(struct replication *r, const struct err *err, const PGresult *result);
void replication_lose_words(struct replication *r, enum err_code code, const char *words);

/* replication_flow.c */
/** The server has begun to send. */
void replication_flow_begin(struct replication *r);
/** Input, or a turn that was asked for. */
void replication_flow_input(struct replication *r);
/** The timers of what the server is told. False: no memory. */
bool replication_flow_init(struct replication *r);

#endif
