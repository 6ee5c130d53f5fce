/*
 * The inside of the change data capture feed, shared by its parts:
 *
 *   cdc_feed.c   its phases, and what its owner asks of it
 *   cdc_open.c   looks at the server, makes what is missing, connects
 *   cdc_side.c   questions that come up while it flows
 *   cdc_bind.c   which columns of a table are which of the model
 *   cdc_rows.c   messages to changes
 *   cdc_seen.c   which transactions others can see
 *   cdc_parts.c  partitions that come and go
 *   cdc_place.c  positions as bytes
 */
#ifndef SLUICE_STREAM_CDC_PRIVATE_H
#define SLUICE_STREAM_CDC_PRIVATE_H

#include "scheduler/source/row_decoder.h"
#include "scheduler/state/key.h"
#include "scheduler/stream/feed.h"
#include "scheduler/stream/pgoutput.h"
#include "scheduler/stream/replication.h"
#include "scheduler/stream/side.h"
#include "scheduler/stream/slots_sql.h"

struct event;

/* A place in the log of one server, and what was published there. */
struct cdc_place {
    uint64_t system;
    uint32_t timeline;
    uint64_t cover; /* digest of what covers the tables */
    uint64_t parts; /* digest of the partitions that hold their rows */
    uint64_t lsn;
};
void cdc_place_put(const struct cdc_place *place, struct feed_position *ret);
/** False where there is none, or one in a form of another version. */
bool cdc_place_get(const struct feed_position *position, struct cdc_place *ret);

/* Which transactions have ended for everybody who looks from now on. */
enum { CDC_SEEN_MAX = 1024 };
struct cdc_seen {
    bool known;
    uint32_t min, max; /* below min: all; from max on: none */
    uint32_t running[CDC_SEEN_MAX];
    size_t count;
};
extern const char cdc_seen_sql[];
void cdc_seen_read(struct cdc_seen *seen, const char *text);
bool cdc_seen_has(const struct cdc_seen *seen, uint32_t xid);

/* Transactions of which rows were given, as the log told them: the newest ones. Those before them
 * ended a thousand transactions ago, which is taken for seen. */
enum { CDC_GIVEN_MAX = 1024 };
struct cdc_given {
    uint32_t xid[CDC_GIVEN_MAX]; /* number n at n % CDC_GIVEN_MAX */
    uint64_t count;              /* ever */
    uint64_t seen;               /* of them, the first ones: others see them */
};
void cdc_given_add(struct cdc_given *given, uint32_t xid);
/** Returns how many of the first ones others see. */
uint64_t cdc_given_look(struct cdc_given *given, const struct cdc_seen *seen);

/* A table whose changes matter. */
struct cdc_table {
    Oid oid;   /* as the check found it */
    Oid cover; /* likewise */
    char schema[64], name[64];
    char *leaves;            /* partitions as last seen; NULL: none */
    const char *const *keys; /* names of the columns that name a record of the model */
    bool guarded;            /* row security: the log tells of rows that the model does not have */
    bool bound;              /* the server has described it */
    bool usable;             /* the key columns are told */
    bool by_key;             /* its rows are not those of the model: ask for them */
    bool identity;           /* the key columns are told of what is gone */
    uint16_t *columns;       /* per column of the model its place in the tuple */
    uint16_t key_at[KEY_VALUES_MAX];
    uint16_t most; /* columns a tuple must have */
    struct row_decoder rows, key;
};

/*
 *   CHECKING ─▶ CONNECTING ─┬──────────────▶ STARTING ─▶ FLOWING
 *      ▲            │       └▶ CREATING ─▶ WAITING ─▲       │
 *      │            └─────────────────────▶ (resync)        │
 *      └─ RESTING ◀──────────────── lost ◀──────────────────┘
 *   Any: FAILED.
 */
enum cdc_phase {
    CDC_CHECKING,
    CDC_CONNECTING,
    CDC_CREATING,
    CDC_WAITING, /* connected; the owner reads the model */
    CDC_STARTING,
    CDC_FLOWING,
    CDC_RESTING, /* lost; tries again after a while */
    CDC_FAILED,
};

enum cdc_job {
    JOB_NONE,
    /* while CHECKING */
    JOB_SERVER,
    JOB_TABLES,
    JOB_PUBLISH,
    JOB_DROP,
    /* while WAITING or FLOWING, the most urgent first */
    JOB_HORIZON,
    JOB_END,
    JOB_SEEN,
    JOB_TYPES,
    JOB_SHAPE,
    JOB_FIT,
    JOB_WATCH,
    JOB_COUNT,
};

/* Whether the table, as it is now, has the model's columns. */
enum cdc_shape { SHAPE_UNKNOWN, SHAPE_AGREES, SHAPE_DIFFERS };

enum { CDC_WORDS_BYTES = 400 };

struct cdc_feed {
    struct feed feed;
    struct feed_events events;
    struct event_base *base;
    const struct sync *sync;
    struct column *columns; /* of the model; a copy */
    size_t column_count;
    bool keys_only;
    bool keys_mode; /* from: keys */
    struct slot_names names;
    enum cdc_phase phase;
    struct side *side;
    struct replication *link;
    struct pgoutput *decoder;
    struct event *tick, *again, *later; /* every second; the next try; closes what is over */
    bool close_link, in_link, in_event;
    uint32_t backoff_ms;
    int64_t flow_ms; /* since it flows, monotonic; 0: it does not */

    /* what is known of the server */
    struct slot_server server;
    uint64_t system;
    uint32_t timeline;
    uint64_t cover, parts;
    bool *uncovered; /* per table */
    bool anew;       /* the slot must be made anew, `why` says why */
    bool give_up;    /* it holds back too much: dropped even where it is a user's own */
    bool early;      /* the slot is older than its publication */
    char note[256];

    /* where it goes on */
    bool placed; /* at `from` (of this server, once it is known) */
    struct cdc_place from;
    bool read;       /* the model has been read since the slot began: `from` or what it confirmed */
    bool waits;      /* for feed_resynced */
    bool outdated;   /* the slot was made anew while the owner may have been reading */
    bool read_again; /* it is told so soon */
    bool paused;     /* by the owner */
    char why[CDC_WORDS_BYTES];
    enum err_code why_code;
    char snapshot[64];

    /* the flow */
    struct cdc_table *tables;
    size_t table_count;
    struct types types;
    bool in_transaction;
    uint32_t xid;
    uint64_t commit_lsn;
    int64_t commit_ms;
    int64_t clock_ms, heard_ms; /* the server's clock when it sent the last message; ours then */
    bool caught_up;
    uint64_t horizon;
    bool horizon_asked; /* everything by key until it is there */
    uint64_t skip;      /* committed up to there: the model was read behind it */
    bool unusable;      /* the tables are looked at for the sake of a change that cannot be told */
    bool given;         /* something since the last turn */
    bool unmarked;      /* something since the last mark */
    bool xid_seen;      /* others can see the transaction in hand */
    uint64_t marked, confirmed, reached, end;
    uint64_t marked_most; /* ever */
    struct cdc_seen seen;
    uint32_t seen_wait_ms;
    struct cdc_given given_rows;
    uint64_t seen_for; /* the owner waits until so many of them are seen; 0: it does not */
    bool types_failed;
    enum cdc_shape shape;
    struct value *key;                   /* the key in hand */
    uint16_t key_column[KEY_VALUES_MAX]; /* of the model */

    /* questions */
    enum cdc_job job; /* under way */
    bool wants[JOB_COUNT];
    struct buf sql, types_sql;
    int64_t watched_ms, fitted_ms;
};

/* cdc_feed.c */
void cdc_lose(struct cdc_feed *f, const struct err *err);
void cdc_fail(struct cdc_feed *f, const struct err *err);
/** Tells the owner why the model must be read, and waits. */
void cdc_resync(struct cdc_feed *f, enum err_code code, const char *why);
void cdc_follow(struct cdc_feed *f);
void cdc_flows(struct cdc_feed *f, uint64_t horizon);
void cdc_mark(struct cdc_feed *f, uint64_t lsn);
void cdc_close_link(struct cdc_feed *f);
void cdc_note(struct cdc_feed *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void cdc_again_in(struct cdc_feed *f, uint32_t ms);

/* cdc_open.c */
void cdc_open(struct cdc_feed *f);
void cdc_open_answer(struct cdc_feed *f, enum cdc_job job, const PGresult *result);
/** The tables as they are now, kept where `keep`; ERR_CONFIG where something is wrong with them.
 * *ret_cover: a digest of what they are and what covers them. *ret_less: set where a partition went
 * or was emptied. */
enum err_code cdc_take_tables(struct cdc_feed *f, const PGresult *result, bool keep,
                              uint64_t *ret_cover, bool *ret_less, struct err *err) MUST_CHECK;
void cdc_begin(struct cdc_feed *f);
void cdc_turn(struct cdc_feed *f);

/* cdc_parts.c */
/** Keeps the partitions of table number i. *ret_less: one that was there is not any more, or was
 * emptied. Errors: ERR_NOMEM. */
enum err_code cdc_parts_keep(struct cdc_feed *f, size_t i, const char *leaves, bool *ret_less,
                             struct err *err) MUST_CHECK;

/* cdc_side.c */
void cdc_want(struct cdc_feed *f, enum cdc_job job);
void cdc_ask(struct cdc_feed *f, enum cdc_job job, const char *sql);
void cdc_forget_jobs(struct cdc_feed *f);

/* cdc_bind.c */
enum replication_taken cdc_bind(struct cdc_feed *f, const struct pgoutput_message *m);
void cdc_unbind(struct cdc_feed *f);
enum err_code cdc_shape_sql(struct cdc_feed *f, struct buf *out) MUST_CHECK;
/** The answer of JOB_SHAPE; false: it needs types that are not known yet. */
bool cdc_shape_answer(struct cdc_feed *f, const PGresult *result);

/* cdc_rows.c */
enum replication_taken cdc_message(struct cdc_feed *f, const struct pgoutput_frame *frame);
/** Something that cannot be told, unless the model was read behind it: once the end of the log is
 * known the owner is told to read it. */
enum replication_taken cdc_needs_read(struct cdc_feed *f, enum err_code code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
