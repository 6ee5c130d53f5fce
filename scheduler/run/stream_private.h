/* What the files of a stream's driver share: phases (stream_driver.c), reading
 * the whole model (stream_reading.c), planning (stream_plan.c),
 * keys that are asked for (stream_asks.c), what state keeps (stream_memory.c). */
#ifndef SLUICE_RUN_STREAM_PRIVATE_H
#define SLUICE_RUN_STREAM_PRIVATE_H

#include "protocol/base/arena.h"
#include "protocol/base/log.h"
#include "scheduler/run/stream_driver.h"
#include "scheduler/run/stream_failing.h"
#include "scheduler/source/key_ask.h"
#include "scheduler/state/key.h"
#include "scheduler/stream/marks.h"
#include "scheduler/stream/pending.h"

struct event;

enum {
    STREAM_WHY_MAX = 255,
    STREAM_TRIES_MAX = 3,          /* how often a failed record is asked for again */
    STREAM_SAMPLES = 128,          /* of marks over time */
    ASKED_TABLE = 4 * KEY_ASK_MAX, /* free places make looking short */
};

/* What state keeps of a stream, under `stream:SYNC`. */
struct stream_memory {
    bool synced;                     /* the whole model was read once */
    char reread[STREAM_WHY_MAX + 1]; /* why it must be read again; empty: it need not */
    char hold[STREAM_WHY_MAX + 1];   /* that read is to be held for this reason; empty: no */
    int64_t wanted_ms;               /* wall clock: when it was known that it must be read */
    int64_t read_ms;                 /* wall clock: when it was read last */
    uint64_t of;                     /* digest of the model and the mapping with which it was */
    struct feed_position at;
    struct guard_hour hour; /* what guards count */
};

/* A key that is asked for. */
struct asked_key {
    size_t at; /* of its bytes in asked.bytes */
    uint32_t n;
    uint32_t tries;
    uint64_t mark;
    int64_t since_ms;
    bool answered;
};

struct asked {
    struct asked_key keys[KEY_ASK_MAX];
    uint32_t table[ASKED_TABLE]; /* index + 1; 0: free */
    size_t count;
    struct buf bytes;
    struct value *values; /* of all keys in a row */
    size_t value_cap;
    bool stale; /* what is answered may be older than what a run of the whole model has sent */
};

struct stream_sample {
    uint64_t mark;
    int64_t ms;
};

/* Keys of events whose entries go once their position has passed. */
struct passing {
    struct passing_item *items;
    size_t count, cap;
    uint64_t least; /* of their marks, where there are any */
    struct buf keys;
};

struct stream_driver {
    struct stream_host host;
    const struct sync *sync;
    enum stream_phase phase;
    char why[STREAM_WHY_MAX + 1];
    struct event *soon; /* a turn of its own, when the loop comes to it */
    bool leaving, paused;
    int64_t rest_until_ms;  /* monotonic */
    uint32_t rests;         /* in a row */
    int64_t flows_since_ms; /* wall clock */
    int64_t drift;          /* what the last reconciliation found; -1: none was made */
    bool gave_up;           /* its slot, for what it held back; until the model was read anew */
    int64_t gave_up_ms;     /* monotonic; 0: never */

    struct stream_memory memory;
    bool memory_changed;
    struct feed_position saved;     /* in the transaction under way or in state */
    struct feed_position confirmed; /* told to the feed */
    int64_t saved_ms;

    /* the model */
    struct key_ask *ask;
    bool ask_ready, ask_failed; /* the columns are known; why not is said */
    bool columns_stale;         /* they are described anew before changes flow */
    bool columns_differ;        /* and are others than those that the feed knows */
    bool resync_owed;           /* then the feed is told that the model was read */
    struct arena arena;         /* of the columns */
    struct column *columns;
    size_t column_count;
    uint16_t key_columns[KEY_VALUES_MAX];
    struct asked *asked;
    bool ask_ails; /* the last question failed, which `why` says */
    int64_t ask_again_ms;
    uint64_t ask_given; /* rows that others must see before anything is asked for */

    /* changes */
    const struct feed_ops *ops;
    struct feed *feed;
    bool feed_flows, feed_paused, feed_over; /* it waits for a read of the model; it failed */
    struct pending *pending;
    struct marks *marks;
    struct buf key;     /* scratch */
    uint64_t nameless;  /* rows without a key so far */
    uint64_t coalesced; /* not counted by a run yet */
    uint64_t half;      /* changes of a transaction that has not been given to its end */
    struct passing passing;
    struct failing failing; /* events */
    struct stream_sample samples[STREAM_SAMPLES];
    size_t sample_count, sample_next;

    /* its run */
    struct sync_run *run;
    int64_t run_ms; /* monotonic: when it began */
    bool finishing;
    bool down; /* records failed, and none was accepted since */
    int64_t down_until_ms;
    uint32_t downs;
    int64_t again_ms; /* when what is laid by is looked at again */
    bool reopens;     /* what failed is given again by a feed that is opened anew */

    int64_t read_ms; /* monotonic: what was given before is in what it reads; 0: not known yet */
    uint64_t read_given,
        roll_given; /* rows that others must see before it, or a run beside, begins */
    char read_run[STATE_RUN_ID_MAX + 1]; /* the run that reads the model; empty: not asked for */
};

/* stream_driver.c */
/** Something is wrong: everything is closed and opened again in a while. */
void stream_rest(struct stream_driver *d, const char *why);
/** The model is to be read as a whole; hold: whatever that plans; NULL. */
void stream_want_read(struct stream_driver *d, const char *why, const char *hold);
void stream_soon(struct stream_driver *d, uint32_t ms);

void stream_remember(struct stream_driver *d);

/* stream_reading.c */
extern const char stream_reconcile[]; /* why the model is read by itself, once in a while */
/** A hold that an earlier process left still waits: then that is the phase. */
bool stream_is_held(struct stream_driver *d);
void stream_reading_turn(struct stream_driver *d);
/** A run that read the whole model has ended or is held, whoever asked for it. */
void stream_read_ended(struct stream_driver *d, const struct run_record *r);

/* stream_view.c */
/** Once a turn: notes which mark is open. */
void stream_sample(struct stream_driver *d);

/* stream_plan.c */
extern const struct feed_events stream_feed_events; /* without ctx */
/** Plans what waits, as far as there is room. */
void stream_plan(struct stream_driver *d);
/** A row of the model that was asked for, or that comes from the feed through pending. */
enum err_code stream_plan_row(struct stream_driver *d, const struct pending_change *c,
                              const struct row *row, bool last, enum change_taken *ret,
                              struct err *err) MUST_CHECK;
/** There is a run that takes changes. */
bool stream_takes(const struct stream_driver *d);
/** The key bytes of a row; false: it has none that can be. */
bool stream_key_of(struct stream_driver *d, const struct row *row, struct slice *ret);

/* stream_asks.c */
enum err_code stream_ask_open(struct stream_driver *d, struct err *err) MUST_CHECK;
/** The same for a model of events, which are never asked for. */
enum err_code stream_columns_of_events(struct stream_driver *d, struct err *err) MUST_CHECK;
void stream_ask_close(struct stream_driver *d);
bool stream_may_ask(struct stream_driver *d);
/** Takes a key in; false: no more fit. */
bool stream_ask_add(struct stream_driver *d, const struct pending_change *c);
void stream_ask_send(struct stream_driver *d);
/** Whether whoever looks at the source now sees so many of the transactions that were given. */
bool stream_sees(struct stream_driver *d, uint64_t given);
uint64_t stream_given(const struct stream_driver *d);
/** A newer row of this key came, or that it is gone: what is answered of it does not count. */
void stream_ask_overtaken(struct stream_driver *d, struct slice key);
/** What is asked for waits as a key again. */
void stream_ask_take_back(struct stream_driver *d);

/* stream_forget.c */
void stream_forget_init(struct passing *p);
void stream_forget_done(struct passing *p);
/** The event of this key is settled: where it is sent once, nothing need be known of it when its
 * mark has passed. */
void stream_forget_later(struct stream_driver *d, uint64_t mark, struct slice key);
/** In the transaction that moves the position. */
enum err_code stream_forget_passed(struct stream_driver *d, struct err *err) MUST_CHECK;
/** Before the marks are reset: what has not passed is given again. */
void stream_forget_reset(struct stream_driver *d);

/* stream_memory.c */
/** Of what rows and records are made of; mapping: of a run's record. */
uint64_t stream_digest(const struct sync *sync, const uint8_t mapping[16]);
enum err_code stream_memory_load(struct state *state, const char *sync, struct stream_memory *ret,
                                 struct err *err) MUST_CHECK;
enum err_code stream_memory_keep(struct state *state, const char *sync,
                                 const struct stream_memory *m, struct err *err) MUST_CHECK;

#endif
