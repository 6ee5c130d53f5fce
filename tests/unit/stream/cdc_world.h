/*
 * A change data capture feed on a real PostgreSQL, run by a test, and what it gave as lines of
 * text.
 *
 *   row number:1|text:a      key number:1      gone number:1      mark (not those of idling)
 *   lost: …           back       resync: …   failed: …
 *
 * Values are written as kind:text, as tests/unit/source/read_helper.h does. Waits abort the test
 * after a deadline.
 */
#ifndef SLUICE_TESTS_CDC_WORLD_H
#define SLUICE_TESTS_CDC_WORLD_H

#include "protocol/base/buf.h"
#include "scheduler/stream/feed.h"
#include "tests/harness/postgres_server.h"

struct event_base;

struct cdc_world {
    struct postgres_server *server;
    struct event_base *base;
    struct param params[4];
    struct source source;
    struct model model;
    struct sync sync;
    struct feed *feed;
    struct feed_position from; /* of the next start */
    struct column *columns;
    size_t column_count;
    bool keys_only;
    /* what the owner does */
    bool resyncs;  /* answers FEED_RESYNC with resynced at once */
    bool confirms; /* every mark, as soon as it comes */
    bool refuses;  /* on_change returns an error */
    bool counts;   /* changes are counted, not written */
    /* what came */
    struct buf log;
    struct buf rows; /* of world_read */
    struct feed_position mark;
    size_t changes, changes_marked, marks, turns, backs, losses, resyncs_told, failures;
    size_t flows;      /* 1: the last word was that it flows */
    char snapshot[64]; /* at the last resync; empty: none */
    enum err_code why;
};

/** A sync of table public.t with primary key id and create: true. */
void world_init(struct cdc_world *w, struct postgres_server *server);
/** Ends the feed, drops the slot and publication, and frees everything. */
void world_done(struct cdc_world *w);
/** Takes the model's columns from the server and starts the feed. */
void world_start(struct cdc_world *w);
/** Ends the feed; the next start goes on from the last mark that was confirmed. */
void world_stop(struct cdc_world *w);

/** Runs the loop until the log holds the line or part of one. */
void world_wait(struct cdc_world *w, const char *part);
/** … until *counter is at least n. */
void world_wait_count(struct cdc_world *w, const size_t *counter, size_t n);
/** … until the query gives true. */
void world_wait_sql(struct cdc_world *w, const char *sql);
/** Runs the loop for so long. */
void world_run_ms(struct cdc_world *w, int ms);
/** Lines of the log that begin with word. */
size_t world_count(struct cdc_world *w, const char *word);
bool world_has(struct cdc_world *w, const char *part);
const char *world_log(struct cdc_world *w);
void world_forget(struct cdc_world *w);
/** Waits until the feed flows and moves the log beyond its horizon: what follows comes as rows. */
void world_settle(struct cdc_world *w);

void world_sql(struct cdc_world *w, const char *sql);
/** Reads the model as a batch run does; rows into w->rows as `row …` lines. */
void world_read(struct cdc_world *w);
/** The slot's confirmed position, as a number. */
uint64_t world_confirmed(struct cdc_world *w);
/** The log's end. */
uint64_t world_end(struct cdc_world *w);

#endif
