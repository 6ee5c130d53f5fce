/*
 * A feed gives the changes of a model as they are committed at its source, in order.
 *
 * It connects, and connects again after a loss, by itself. Invariant: every change is given before
 * the mark behind it; a feed that is started from a position gives everything that follows it, and
 * may give again what is before. Never blocks the loop; memory is bounded by one row and the
 * connection's buffers. A crash here loses nothing: what was not confirmed is given again.
 */
#ifndef SLUICE_STREAM_FEED_H
#define SLUICE_STREAM_FEED_H

#include "protocol/base/err.h"
#include "protocol/base/value.h"
#include "protocol/config/config.h"

struct event_base;
struct feed;
struct redis;
struct key_ask;

/* Where a feed is to go on, in its own form: kept in state, compared by nobody else. */
struct feed_position {
    uint8_t n; /* 0: none yet */
    uint8_t bytes[255];
};

enum change_kind {
    CHANGE_ROW, /* the row as it is now */
    CHANGE_KEY, /* something about this key changed: ask the model for its row */
    CHANGE_GONE /* the row of this key is gone */
};

struct change {
    enum change_kind kind;
    const struct value *key; /* of the model's primary key, in its order */
    const struct row *row;   /* CHANGE_ROW: one value per column of the model */
};

enum feed_trouble {
    FEED_LOST, /* the connection is lost, or cannot be made: it tries again by itself */
    FEED_BACK, /* it flows, for the first time or again. A feed whose rows cannot be asked for says
                  so only when it has given again all that was given before, so that whoever plans
                  from there on sees the newest of each key; or when it was paused, or has more
                  than it may give without a confirmation */
    FEED_RESYNC, /* what was missed cannot be told: the model must be read anew. Gives nothing more
                    until feed_resynced */
    FEED_FAILED, /* it cannot work as things are; nothing more follows */
};

struct feed_events {
    /** Borrowed for the call. An error ends the feed with FEED_FAILED. */
    enum err_code (*on_change)(void *ctx, const struct change *change, struct err *err);
    /** Everything before this position was given. Many changes may lie between two marks. */
    void (*on_mark)(void *ctx, const struct feed_position *at);
    /** What was at hand was given: time to plan it. */
    void (*on_turn)(void *ctx);
    /** err: why, in words for people; NULL for FEED_BACK. */
    void (*on_trouble)(void *ctx, enum feed_trouble what, const struct err *err);
    void *ctx;
};

struct feed_options {
    struct event_base *base;
    const struct sync *sync;
    const char *state_id;         /* names what is made at the source */
    const struct column *columns; /* of the model, as key_ask describes it: what rows consist of.
                                     None for feeds that begin before it is known */
    size_t column_count;
    struct feed_position from; /* none: from now on */
    bool keys_only;            /* give CHANGE_KEY for every row */
};

struct feed_lag {
    int64_t behind_ms; /* commit time of what was given last, behind the source's clock; 0: caught
                          up; -1: not known */
    int64_t bytes;     /* of the source's log held back for us, not confirmed; -1: not known */
    int64_t records;   /* entries not given yet, where the source can count them; else -1 */
    char place[64];    /* the position last given, for people */
    char note[256];    /* what the feed cannot tell as things are, for people; empty: nothing */
};

/* One per kind of source. */
struct feed_ops {
    enum err_code (*start)(const struct feed_options *options, const struct feed_events *events,
                           struct feed **ret_feed, struct err *err);
    /** The whole model was, or is about to be, read. The feed goes on from `from`, or from its
     * present end where that is none. */
    void (*resynced)(struct feed *feed);
    void (*pause)(struct feed *feed); /* no more changes until resumed; the connection is kept */
    void (*resume)(struct feed *feed);
    /** Everything before this position is settled and durable: the source may let it go. */
    void (*confirm)(struct feed *feed, const struct feed_position *at);
    void (*lag)(const struct feed *feed, struct feed_lag *ret);
    /** Answers of key_ask come that may have seen what lies at or before this horizon: rows from
     * there are given as keys from now on. NULL where feeds of this kind need not know. */
    void (*horizon)(struct feed *feed, uint64_t lsn);
    /** How many transactions were given by rows rather than keys, ever; of the connection that is
     * there. NULL: whatever is given can be seen by others already. */
    uint64_t (*given_rows)(const struct feed *feed);
    /** Whether whoever looks at the source now sees the first `given` of those. If not, on_turn is
     * called once they do, or another connection is there. NULL where given_rows is. */
    bool (*sees)(struct feed *feed, uint64_t given);
    /** Snapshot of the moment at which a slot made by this feed begins, for the read of the whole
     * model; NULL: none. Valid until resynced. */
    const char *(*snapshot)(const struct feed *feed);
    /** Nothing more is given. Not inside its own callback. Accepts NULL. */
    void (*free)(struct feed *feed);
};

struct feed {
    const struct feed_ops *ops;
};

extern const struct feed_ops cdc_feed_ops;    /* from: cdc, keys */
extern const struct feed_ops poll_feed_ops;   /* from: poll */
extern const struct feed_ops events_feed_ops; /* from: events */

#endif
