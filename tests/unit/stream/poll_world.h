/*
 * A poll feed on a loop of its own against a real PostgreSQL, and what it gave.
 */
#ifndef SLUICE_TESTS_POLL_WORLD_H
#define SLUICE_TESTS_POLL_WORLD_H

#include "protocol/base/buf.h"
#include "scheduler/stream/poll_private.h"
#include "tests/harness/postgres_server.h"

enum { WORLD_KEYS = 200000 };

struct poll_world {
    struct postgres_server *server;
    struct event_base *base;
    struct param params[3];
    struct source source;
    struct model model;
    struct sync sync;
    struct feed_options options;
    const char *key;
    struct feed *feed;
    size_t pause_at; /* row (from 1) within whose callback it is paused; 0: never */
    size_t refuse_at;
    /* what came */
    uint8_t *times;  /* by key: how often it was given */
    int64_t *values; /* by key: the second column, a number, as it was given last */
    struct buf last; /* the last row, one value a line */
    size_t rows, keys, given_while_standing, turns, marks;
    struct feed_position position;
    unsigned troubles[4]; /* by enum feed_trouble */
    struct err err;       /* of the last trouble */
    bool standing;        /* between RESYNC and resynced */
};

/** Looks every 20 ms, without an overlap; to be changed before poll_world_start. The first column
 * is the key, a number. */
void poll_world_init(struct poll_world *w, struct postgres_server *server, const char *sql,
                     const char *cursor);
void poll_world_start(struct poll_world *w);
/** Starts, waits until it asks for a read of the model, and says that this was done. */
void poll_world_flow(struct poll_world *w);
void poll_world_resynced(struct poll_world *w);
void poll_world_turns(struct poll_world *w, int turns);
/** Turns the loop until done(w) holds. */
void poll_world_until(struct poll_world *w, bool (*done)(struct poll_world *w));
/** Until the key was given as often as that. */
void poll_world_until_given(struct poll_world *w, size_t key, unsigned times);
/** Until so many looks have begun and ended. */
void poll_world_looks(struct poll_world *w, int looks);
/** Sessions of the feed at the server. */
long poll_world_sessions(struct poll_world *w);
void poll_world_done(struct poll_world *w);

#endif
