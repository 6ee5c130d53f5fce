/*
 * The inside of a key_ask, shared by its opening (key_open.c) and its questions (key_ask.c).
 */
#ifndef SLUICE_SOURCE_KEY_ASK_PARTS_H
#define SLUICE_SOURCE_KEY_ASK_PARTS_H

#include "scheduler/source/key_ask.h"
#include "scheduler/source/key_text.h"
#include "scheduler/source/pg_error.h"
#include "scheduler/source/pg_link.h"
#include "scheduler/source/pg_settings.h"
#include "scheduler/source/row_decoder.h"

/*
 *   CLOSED ▶ CONNECT ▶ BEGIN ▶ SETTINGS ▶ MODEL ▶ DESCRIBE ▶ (TYPES) ▶ PROBE ▶ PROBED ┐
 *     ▲                  ▲        │ refused: in simpler words                         │
 *     │                  └─ AGAIN ┘      READY ◀ END ◀ HORIZON ◀ KEEP ◀ ROWS ◀ (RELATION)
 *     │ idle, lost, failed               ▲   │
 *     └──────────────────────────────────┴───┴▶ ANSWER
 */
enum ask_step {
    ASK_CLOSED,
    ASK_CONNECT,
    ASK_BEGIN,
    ASK_SETTINGS,
    ASK_AGAIN,
    ASK_MODEL,    /* the model by itself */
    ASK_DESCRIBE, /* what it gives */
    ASK_TYPES,
    ASK_PROBE,    /* as what keys are compared */
    ASK_PROBED,   /* the answer to that */
    ASK_RELATION, /* is the model the rows of a table? */
    ASK_ROWS,     /* the statement of the questions */
    ASK_KEEP,     /* that of the settings */
    ASK_HORIZON,  /* that of the place in the log */
    ASK_END,
    ASK_READY,
    ASK_ANSWER,
};

/* What a question consists of, in the order in which it is sent at once. */
enum ask_part {
    PART_BEGIN,
    PART_SETTINGS,
    PART_MODEL, /* has the model other columns by now? */
    PART_HORIZON,
    PART_ROWS,
    PART_ROLLBACK,
    PART_SYNC,
};
enum { PARTS_MAX = PART_SYNC + 1 };

struct ask_key {
    int column; /* of the model */
    struct key_kind kind;
    Oid array;       /* of the parameter */
    struct buf text; /* the parameter of the question in hand */
};

struct key_ask {
    struct event_base *base;
    const struct model *model;
    struct key_ask_events events;
    struct pg_link *link;
    struct event *idle; /* closes the connection */
    struct event *soon; /* tells of what failed inside a caller's own call */
    uint64_t idle_ms;
    enum ask_step step;
    enum pg_settings settings;
    bool described; /* on_columns was told */
    bool busy;
    bool in_callback;
    bool plain;       /* the model's rows are those of a table */
    bool has_horizon; /* the server has a log with places */
    struct buf relation;
    struct buf text;     /* the model as one statement */
    struct buf sent;     /* the statement in hand */
    size_t chars_before; /* of text in the statement of the rows */
    PGresult *answer;
    PGresult *columns; /* the model's, as on_columns was told */
    struct types types;
    struct row_decoder decoder;
    struct ask_key *keys; /* one for each column of the primary key */
    size_t count;         /* keys of the question in hand that can have rows */
    enum ask_part parts[PARTS_MAX];
    size_t part_count;
    size_t part; /* that is being answered */
    uint64_t horizon;
    bool horizon_told;
    struct err failure; /* to be told soon */
};

extern const char ask_model_name[], ask_rows_name[], ask_settings_name[], ask_horizon_name[];

/** Starts to open the connection. Errors: as pg_link_open. */
enum err_code ask_open(struct key_ask *ask, struct err *err) MUST_CHECK;
/** The link's on_input. */
void ask_input(void *ctx);
/** While step is none of CLOSED, READY, ANSWER. */
void ask_open_input(struct key_ask *ask);

/** The connection is open and prepared. */
void ask_ready(struct key_ask *ask);
/** Closes, and tells whoever waits. */
void ask_fail(struct key_ask *ask, const struct err *err);
/** A result may be fetched without waiting for the server. */
bool ask_has_result(const struct key_ask *ask);
/** Errors of the server: ERR_STALE where the model has other columns by now. */
enum err_code ask_error(const PGresult *result, const struct pg_statement_place *place,
                        struct err *err);

#endif
