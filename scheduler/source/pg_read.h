/*
 * The inside of a PostgreSQL read, shared by its steps (postgres.c, pg_send.c) and its two ways to
 * take rows (pg_copy.c, pg_tuples.c).
 */
#ifndef SLUICE_SOURCE_PG_READ_H
#define SLUICE_SOURCE_PG_READ_H

#include "scheduler/source/pg_error.h"
#include "scheduler/source/pg_link.h"
#include "scheduler/source/pg_settings.h"
#include "scheduler/source/row_decoder.h"
#include "scheduler/source/source_ops.h"
#include "scheduler/source/window.h"

/*
 *   A window asks besides, OPEN ▶ ENDED_YET ▶ BEGIN and SETTINGS ▶ SNAPSHOT ▶ PREPARE.
 *
 *             refused: in simpler words            COPY refused: rows
 *          ┌──────────────────────────────┐  ┌──────────────────────────┐
 *          ▼                              │  ▼                          │
 *   OPEN ▶ BEGIN (▶ AT) ▶ SETTINGS ─▶ (AGAIN: rollback)        ┌─▶ TYPES ─┐   │
 *                     └─────▶ PREPARE ▶ DESCRIBE ───────┴──────────┴▶ ROWS ▶ ENDED
 *   Any step: an error ▶ ENDED.
 */
enum pg_step {
    PG_STEP_OPEN,
    PG_STEP_ENDED_YET, /* of a window: what was open, before the transaction */
    PG_STEP_BEGIN,
    PG_STEP_AT, /* an exported snapshot */
    PG_STEP_SETTINGS,
    PG_STEP_SNAPSHOT, /* of a window: what is open */
    PG_STEP_PREPARE,
    PG_STEP_DESCRIBE,
    PG_STEP_TYPES,
    PG_STEP_ROWS,
    PG_STEP_AGAIN,
    PG_STEP_ENDED,
};

/* How far the rows' own exchange has come. */
enum pg_rows_phase { PG_ROWS_START, PG_ROWS_DATA, PG_ROWS_TAIL };

struct pg_read {
    struct source_read read;
    struct event_base *base;
    const struct model *model;
    struct source_events events;
    struct pg_link *link;
    enum pg_step step;
    enum pg_rows_phase phase;
    enum pg_settings settings;
    bool plain_begin; /* READ ONLY without an isolation level */
    char at[64];      /* exported snapshot to read at; empty: as it is */
    bool lost_snapshot;
    bool copy; /* rows come by COPY */
    bool copy_refused;
    bool paused;
    bool in_callback;
    bool windowed;
    bool no_snapshot; /* of a window: the server does not tell what is open */
    struct window_options window;
    struct window_place place;
    void (*on_place)(void *ctx, const struct window_place *place);
    bool complete;       /* the server said that the statement ran to its end */
    struct buf table;    /* relation to select from; empty: the model's own SQL */
    struct buf text;     /* the model as one statement */
    struct buf sent;     /* the statement in hand */
    size_t chars_before; /* of text in sent */
    PGresult *answer;    /* of the step in hand: the first error, else the last result */
    PGresult *described;
    struct types types;
    struct row_decoder decoder;
    uint64_t bytes;
};

/* Sending, one function per step: libpq's 1, or 0 when it could not be sent. */
int pg_send_begin(struct pg_read *r);
int pg_send_at(struct pg_read *r);
int pg_send_ended_yet(struct pg_read *r);
int pg_send_snapshot(struct pg_read *r);
int pg_send_settings(struct pg_read *r);
int pg_send_prepare(struct pg_read *r);
int pg_send_describe(struct pg_read *r);
int pg_send_sent(struct pg_read *r);
int pg_send_rows(struct pg_read *r);
int pg_send_rollback(struct pg_read *r);

/* What one look at the input came to. */
enum pg_progress {
    PG_PROGRESS_WAIT,    /* for more input */
    PG_PROGRESS_YIELD,   /* enough for one turn, or paused: more is there */
    PG_PROGRESS_END,     /* the query ran to its end */
    PG_PROGRESS_FAIL,    /* err is set */
    PG_PROGRESS_REFUSED, /* no rows this way: the other one may do */
};

/* What may still be done in this turn of the loop. */
struct pg_budget {
    size_t rows;
    size_t bytes;
};

enum pg_progress pg_copy_take(struct pg_read *r, struct pg_budget *budget, struct err *err);
enum pg_progress pg_tuples_take(struct pg_read *r, struct pg_budget *budget, struct err *err);

/** Gives the row in r->decoder.cells on and counts it. */
enum pg_progress pg_read_give_row(struct pg_read *r, size_t bytes, struct pg_budget *budget,
                                  struct err *err);
/** err from a failed result of the rows' statement. */
enum pg_progress pg_read_failed(struct pg_read *r, const PGresult *result, struct err *err);
/** A result may be fetched without waiting for the server. */
bool pg_read_ready(struct pg_read *r);

#endif
