/* A feed of events under test: a Redis of its own, a model, and an owner that notes what it is
 * told. */
#ifndef SLUICE_TESTS_EVENTS_WORLD_H
#define SLUICE_TESTS_EVENTS_WORLD_H

#include "scheduler/stream/feed.h"
#include "tests/harness/redis_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { NOTED_MAX = 4096, NOTED_BYTES = 200 };

struct world {
    struct redis_server redis;
    char url[256]; /* what the source says; at first the server's */
    struct source source;
    struct model model;
    struct sync sync;
    struct event_base *base;
    struct feed *feed;
    struct feed_position from;

    /* what the owner saw */
    char rows[NOTED_MAX][NOTED_BYTES]; /* the first ones: values parted by | */
    unsigned given;
    unsigned marks, turns, backs, losts, fails;
    unsigned given_at_back; /* how many rows came before FEED_BACK */
    struct feed_position mark;
    struct err trouble;                               /* of the latest FEED_LOST or FEED_FAILED */
    void (*on_row)(struct world *w, const char *row); /* NULL: nobody else listens */
    void (*marked)(struct world *w);
    unsigned pause_at; /* pauses the feed inside the so manieth row; 0: never */
};

/** Starts a server and describes a model of stream `s`: id text (key), n number. */
void world_open(struct world *w);
void world_close(struct world *w);
/** Starts a feed from w->from; world_end ends it. */
void world_start(struct world *w);
void world_end(struct world *w);
/** Forgets what the owner saw. */
void world_forget(struct world *w);
/** Runs the loop until *value >= want; fails the test after 10 s. */
void world_until(struct world *w, const unsigned *value, unsigned want);
/** Runs the loop for ms: for what must not happen. */
void world_run(struct world *w, unsigned ms);
/** Adds an entry {id, n}; its id goes to out (64 bytes) where it is not NULL. */
void world_add(struct world *w, const char *id, const char *n, char *out);
/** Entries delivered to the group `sluice:t` and not acknowledged. */
unsigned world_pending(struct world *w);
/** Runs the loop until so many are pending. */
void world_until_pending(struct world *w, unsigned want);
void world_confirm(struct world *w);

#endif
