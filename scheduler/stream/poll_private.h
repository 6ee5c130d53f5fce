/*
 * The inside of a poll feed.
 */
#ifndef SLUICE_STREAM_POLL_PRIVATE_H
#define SLUICE_STREAM_POLL_PRIVATE_H

#include "protocol/base/buf.h"
#include "scheduler/source/window.h"
#include "scheduler/stream/feed.h"
#include "scheduler/stream/poll_listen.h"
#include "scheduler/stream/poll_place.h"

enum poll_step {
    POLL_BASE,     /* looks where to begin */
    POLL_WAIT,     /* until the transactions that were open then have ended */
    POLL_STANDING, /* until the model was, or is about to be, read */
    POLL_FLOWING,
    POLL_FAILED,
};

/* Transactions that were open. */
struct poll_open {
    char xmax[32];      /* empty: not known */
    struct buf running; /* as window.h gives it */
};

/* The look in hand, or the last one. */
struct poll_look {
    bool known; /* the server tells about transactions */
    bool ended; /* those that are waited for had ended before it */
    bool full;
    bool as_keys;
    bool over;
    bool failed;
    bool refused; /* by on_change */
    struct err err;
    struct poll_place now, seen;
    struct poll_open open;
    uint64_t rows;
};

struct poll_feed {
    struct feed feed;
    struct feed_options options;
    const struct model *model;
    const struct schedule_stream *stream;
    struct feed_events events;
    enum poll_step step;
    struct source_read *read; /* NULL between looks */
    struct poll_listen *listen;
    struct event *timer; /* the next look; or what follows from the last one */
    struct event *hold;  /* a paused look is given up */
    struct poll_look look;
    struct poll_place low;       /* everything below was given */
    struct poll_place candidate; /* the low, once waits_for has ended */
    struct poll_open waits_for;
    int64_t waits_since_ms;
    int64_t wait_most_ms; /* for what is open at the beginning */
    int64_t hold_most_ms; /* that a look may stand paused */
    int64_t wait_until_ms;
    int64_t last_look_ms;
    int64_t last_wide_ms; /* the last one that went back by the overlap */
    struct feed_position marked;
    int64_t caught_up_ms; /* the last whole look; -1: none yet */
    int64_t again_ms;
    struct value *key;
    size_t *key_columns;
    size_t cursor;    /* column */
    bool by_time;     /* the cursor is a time or a date */
    bool by_clock;    /* the cursor is a time whose zone is known */
    bool begun_early; /* what was open at the beginning had not ended */
    bool paused;
    bool woken;
    bool told_back;
    char lost[256]; /* why, as told; empty: it is not */
};

void poll_lag(const struct feed *feed, struct feed_lag *ret);

#endif
