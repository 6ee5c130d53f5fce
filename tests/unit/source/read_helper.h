/*
 * Runs a read to its end on a loop of its own and keeps what it gave, as text that tests can
 * compare.
 *
 * A value is written as `kind:text`: `null`, `true`, `number:1.50`, `text:a`, `json:[1]`,
 * `bad:reason`.
 */
#ifndef SLUICE_TESTS_READ_HELPER_H
#define SLUICE_TESTS_READ_HELPER_H

#include "protocol/base/buf.h"
#include "scheduler/source/source.h"
#include "tests/harness/postgres_server.h"

#include <stdbool.h>

struct event_base;

enum { READ_KEPT_ROWS = 16 };

struct read_run {
    /* what to do */
    struct source source;
    struct model model;
    struct param params[4];
    size_t pause_every;   /* rows; 0: never. Paused reads go on after some turns of the loop */
    size_t refuse_row;    /* on_row returns an error at this row (from 1); 0: never */
    size_t free_at_row;   /* the loop ends there and the read is freed; 0: never */
    const char *snapshot; /* to read at; NULL: none */
    void (*on_row)(struct read_run *run, const struct row *row);
    void (*on_end)(struct read_run *run);
    void *ctx;
    /* what came of it */
    struct event_base *base;
    struct source_read *read;
    struct buf columns; /* name:type_name:type per column, a line each */
    struct buf rows;    /* one value a line, of the first READ_KEPT_ROWS rows */
    size_t row_count;
    size_t rows_while_paused;
    size_t column_calls;
    bool paused;
    bool lost_snapshot;
    bool ended;
    bool ok; /* ended without an error */
    struct err err;
};

/** method: the implementation; sql: the model. Fields may be changed before read_run_go. */
void read_run_init(struct read_run *run, const struct postgres_server *server,
                   enum read_method method, const char *sql);
/** Starts, runs the loop until the end (a deadline aborts the test) and frees the read. */
void read_run_go(struct read_run *run);
/** What its callbacks keep, for others that give the same. */
void read_run_keep_columns(struct read_run *run, const struct column *columns, size_t count);
void read_run_keep_row(struct read_run *run, const struct row *row);
void read_run_done(struct read_run *run);

#endif
