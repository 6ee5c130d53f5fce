/*
 * What the files of the events feed share. Nobody outside includes it.
 *
 *   events_feed.c    life cycle, what the owner asks for, the connection: the only writer of step
 *   events_group.c   the stream and its group, found or made
 *   events_read.c    entries: asked for, told to the owner
 *   events_settle.c  acknowledgements, lag
 */
#ifndef SLUICE_STREAM_EVENTS_PRIVATE_H
#define SLUICE_STREAM_EVENTS_PRIVATE_H

#include "protocol/redis/redis.h"
#include "scheduler/stream/event_ids.h"
#include "scheduler/stream/event_row.h"
#include "scheduler/stream/feed.h"

struct event;
struct redisReply;

enum {
    EVENTS_OUT_MAX = 100000,         /* entries delivered and not acknowledged */
    EVENTS_OUT_BYTES_MAX = 32 << 20, /* and their bytes: what is given again fits into pending */
    EVENTS_COUNT_FIRST = 16,         /* entries of one portion; grows and shrinks with their size */
    EVENTS_COUNT_MAX = 500,
    EVENTS_PORTION_BYTES = 1 << 20,
    EVENTS_ACK_MAX = 500, /* ids of one XACK */
    EVENTS_BLOCK_MS = 2000,
    EVENTS_ANSWER_MS = 10000,
    EVENTS_TAKE_MAX = 1000,
};

/*
 *   AWAY ──connected──▶ LOOKING ─▶ MAKING ─▶ TAKING ─▶ REPLAYING ⇄ FLOWING
 *    ▲                                                     │         │
 *    └───────── connection lost, group gone, pause over ◀──┴─────────┘    any ──▶ FAILED
 *
 * REPLAYING reads what is pending for us, FLOWING what nobody has read yet.
 */
enum events_step {
    EVENTS_AWAY,
    EVENTS_LOOKING,
    EVENTS_MAKING,
    EVENTS_TAKING,
    EVENTS_REPLAYING,
    EVENTS_FLOWING,
    EVENTS_FAILED
};

struct events_feed {
    struct feed feed;
    struct feed_events events;
    struct event_base *base;
    const struct sync *sync;
    struct slice stream, group, consumer;
    char consumer_name[128];
    struct event_rows *rows;
    struct redis *reader; /* waits for entries */
    struct redis *clerk;  /* everything that must not wait behind that */
    struct event *again;  /* the next attempt, after something that may pass */
    struct event *look;   /* at the lag */
    uint64_t pause_ms;    /* before that attempt */

    enum events_step step;
    bool asking; /* a command of the reader is under way */
    bool paused;
    bool told_back, told_lost; /* of the present connection */
    char lost[256];            /* what was told */

    /* where it stands */
    bool first;                /* nothing was ever settled: what others hold of the group is ours */
    uint32_t era;              /* grows when the stream begins anew: older positions say nothing */
    struct event_id newest;    /* of the stream, as far as we know */
    struct event_id start;     /* where a group begins that is made */
    struct event_id settled;   /* confirmed */
    struct event_id given;     /* given last, or settled */
    struct event_id replay_at; /* read last of what is pending for us */
    bool drained;              /* nothing more was there: it is waited for */
    bool unmarked;             /* something was given, or found settled, since the last mark */
    char cursor[EVENT_ID_BYTES]; /* of XAUTOCLAIM */
    uint32_t count;              /* entries of the next portion, */
    uint32_t asked_for;          /* of the one under way */

    /* acknowledging */
    struct event_ids out; /* delivered, not acknowledged */
    size_t acking;        /* the first so many are being acknowledged */
    char ack_text[EVENTS_ACK_MAX][EVENT_ID_BYTES];
    struct slice ack_argv[EVENTS_ACK_MAX + 3];

    struct feed_lag lag;
    int64_t gone; /* entries that were in the stream and are no more */
};

/* ---- events_feed.c ---- */

void events_set_step(struct events_feed *f, enum events_step step);
/** Says FEED_LOST, once per reason: attempts follow each other. */
void events_tell_lost(struct events_feed *f, const struct err *why);
/** Says so, and tries again in a while. */
void events_lose(struct events_feed *f, const struct err *why);
/** Nothing more follows. */
void events_fail(struct events_feed *f, const struct err *why);
/** What an error reply to a command of ours means: lost, failed or a group to be made anew. */
void events_refused(struct events_feed *f, const struct err *why);
/** A command on the reader; its callback clears asking. */
void events_ask(struct events_feed *f, const struct slice *argv, size_t argc, redis_cb cb);

/* ---- events_group.c ---- */

/** The connection stands: looks for stream and group. */
void events_look(struct events_feed *f);

/* ---- events_read.c ---- */

/** Asks for entries, where it may. */
void events_read(struct events_feed *f);
/** FEED_BACK, where it was not said yet. */
void events_tell_back(struct events_feed *f);
struct feed_position events_position(const struct events_feed *f);

/* ---- events_settle.c ---- */

/** Acknowledges what is settled. */
void events_acknowledge(struct events_feed *f);
/** Acknowledges these at once: they were settled before. */
void events_acknowledge_old(struct events_feed *f, const struct event_id *ids, size_t count);
void events_look_at_lag(struct events_feed *f);
/** From XINFO STREAM: how many entries were there and are no more. */
void events_count_gone(struct events_feed *f, const struct redisReply *stream);
/** From XINFO GROUPS, NULL: none: lag, and whether some of those were never read. */
void events_look_at_groups(struct events_feed *f, const struct redisReply *groups);

#endif
