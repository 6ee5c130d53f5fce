/*
 * What a stream's driver has around it, without a source, Redis or a diff: a feed, a model that is
 * asked, and runs, all moved by the test.
 */
#ifndef SLUICE_TESTS_FAKE_STREAM_H
#define SLUICE_TESTS_FAKE_STREAM_H

#include "scheduler/run/stream_driver.h"
#include "scheduler/state/state.h"

enum { FAKE_PLANNED_MAX = 64, FAKE_TEXT = 64 };

struct fake_planned {
    char key[FAKE_TEXT]; /* text of the key's one value */
    char value[FAKE_TEXT];
    uint64_t mark;
    uint32_t tries;
    bool gone;
    bool settled;
};

struct sync_run {
    struct run_record record;
    bool finished, stopped;
    struct fake_planned planned[FAKE_PLANNED_MAX];
    size_t count;
    uint64_t turns, coalesced, changes;
};

struct fake {
    /* the feed */
    struct feed feed;
    struct feed_events events;
    struct feed_position from, confirmed;
    bool feed_open, feed_paused;
    bool half; /* changes were given since the last mark */
    unsigned last;
    int resynced;
    uint64_t horizon;
    uint64_t given, seen; /* transactions, given by rows, and those that others see */
    /* the model */
    bool ask_open, ask_busy;
    char asked[FAKE_PLANNED_MAX][FAKE_TEXT];
    size_t asked_count;
    /* runs */
    struct sync_run *run; /* begun last, freed by the test's end */
    int begun, reads;
    char trigger[64], hold[256], read_run[STATE_RUN_ID_MAX + 1];
    bool yield, blocked;
    enum err_code begin_error;
    const char *guard;
};

extern struct fake fake;

/** Gives `key` with `value` (NULL: its row is gone; "?": only the key) through the feed. */
void fake_change(const char *key, const char *value);
/** Everything so far is before place n. */
void fake_mark(unsigned n);
/** What was at hand was given, and the transaction ends with it: at the last place, where there was
 * no mark since. */
void fake_turn(void);
/** The same in the middle of a transaction. */
void fake_turn_within(void);
void fake_trouble(enum feed_trouble what, const char *why);
/** Place n, or 0. */
unsigned fake_place(const struct feed_position *p);
/** The model describes its columns: id, value. */
void fake_columns(void);
/** The model answers what was asked: for each key value `fresh:KEY`, but none for those that begin
 * with x. */
void fake_answer(bool well);

#endif
