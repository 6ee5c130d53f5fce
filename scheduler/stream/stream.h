/*
 * The stream of one sync: keeps runs of it open and feeds them.
 *
 *   OPENING ─▶ READING ─▶ FLOWING ⇄ ROLLING
 *      ▲          ▲ │         │
 *      │          │ └▶ HELD ──┤  (a batch run waits for approval)
 *      └ RESTING ◀┴───────────┘  (something is wrong: again in a while)
 *
 * The engine owns streams, gives them runs and tells them of verdicts and commits. One thread. A
 * crash here loses nothing: the position in state is behind everything that is not settled.
 */
#ifndef SLUICE_STREAM_STREAM_H
#define SLUICE_STREAM_STREAM_H

#include "scheduler/stream/feed.h"

enum stream_phase {
    STREAM_OPENING, /* looks for the source */
    STREAM_READING, /* a batch run reads the whole model */
    STREAM_HELD,    /* that run waits for approval */
    STREAM_FLOWING,
    STREAM_ROLLING, /* waits for the last verdicts of a run */
    STREAM_PAUSED,
    STREAM_RESTING, /* something is wrong; see why */
};
const char *stream_phase_name(enum stream_phase phase);

/* For people. */
struct stream_view {
    enum stream_phase phase;
    char why[512]; /* what it waits for, or what is wrong; empty: nothing */
    struct feed_lag lag;
    uint64_t pending;   /* keys that wait to be planned */
    uint64_t in_flight; /* records without a verdict */
    int64_t waits_ms;   /* how long the oldest change has waited to be accepted; 0: none does */
    char slot[64];      /* cdc, keys; else empty */
    char publication[64];
    int64_t drift;    /* records that the last reconciliation found without a change's telling; -1:
                         none    was made since the start */
    bool gave_up;     /* its slot was given up for what it held back, and the model is read anew */
    int64_t since_ms; /* wall clock: when it began to flow; 0: it does not */
    int64_t reconcile_ms; /* wall clock: when the model is read anew next; 0: never */
};

/** Something is wrong with it, or it has not got to its source yet. */
bool stream_ails(const struct stream_view *v);
/** Wall clock: everything that was committed before was accepted; 0: not known. */
int64_t stream_fresh_ms(const struct stream_view *v, int64_t now_ms);

#endif
