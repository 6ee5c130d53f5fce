/*
 * Asks a model for keys on a loop of its own and keeps what came, in the form of read_helper.h.
 */
#ifndef SLUICE_TESTS_ASK_HELPER_H
#define SLUICE_TESTS_ASK_HELPER_H

#include "scheduler/source/key_ask.h"
#include "tests/unit/source/read_helper.h"

enum { ASK_KEY_COLUMNS_MAX = 4 };

struct ask_run {
    struct read_run read; /* its model is asked; columns and rows are kept there */
    const char *key[ASK_KEY_COLUMNS_MAX];
    struct key_ask *ask;
    bool refused;
    bool told; /* of the horizon */
    bool answered;
    bool ok;
    uint64_t horizon;
    size_t refuse_row; /* on_row returns an error at this row (from 1); 0: never */
    struct err err;
};

/** key: names parted by commas. */
void ask_run_init(struct ask_run *run, const struct postgres_server *server, const char *sql,
                  const char *key);
/** Waits for on_columns (true) or on_refused. */
bool ask_run_start(struct ask_run *run);
/** Waits for the answer; rows and row_count are those of this question. */
bool ask_run_ask(struct ask_run *run, const struct value *keys, size_t count);
/** Turns the loop until done(run) holds. */
void ask_run_until(struct ask_run *run, bool (*done)(struct ask_run *run));
bool ask_run_is_answered(struct ask_run *run);
void ask_run_done(struct ask_run *run);

#endif
