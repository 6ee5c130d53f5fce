/*
 * What the files of this folder share: the connection and its commands. Nobody outside includes it.
 *
 *   redis.c    life cycle and state: the only writer of redis.state
 *   primary.c  which server that is, where sentinels tell it; sentinel.c asks them, nodes.c any
 *   dial.c     reaching the server; tls.c the session on top
 *   greet.c    what is said first: AUTH, SELECT, the policy check
 *   command.c  encoding, sending, deadlines, handing replies out
 *   script.c   EVALSHA with EVAL as its fallback
 */
#ifndef SLUICE_REDIS_INTERNAL_H
#define SLUICE_REDIS_INTERNAL_H

#include "protocol/base/histogram.h"
#include "protocol/redis/redis.h"

#include <stddef.h>
#include <sys/queue.h>

struct bufferevent;
struct dial;
struct evbuffer;
struct event;
struct redisReader;
struct sentinel;
struct ssl_ctx_st;

/*
 *            pause over            socket [TLS]           policy fine
 *   PAUSING ────────────▶ DIALING ─────────────▶ GREETING ───────────▶ READY
 *      ▲                     │                       │                   │
 *      └─────────────────────┴───────── lost ────────┴───────────────────┘
 *   with sentinels: PAUSING ──pause over──▶ SEEKING ──one names the primary──▶ DIALING
 *   redis_free: any ────▶ CLOSED
 */
enum redis_state {
    REDIS_PAUSING,
    REDIS_SEEKING,
    REDIS_DIALING,
    REDIS_GREETING,
    REDIS_READY,
    REDIS_CLOSED
};

/* One command with its encoded bytes, kept until its reply: an evbuffer and a NOSCRIPT may need
 * them. */
struct command {
    TAILQ_ENTRY(command) link; /* in exactly one list: waiting or inflight */
    unsigned refs;             /* its list, and each evbuffer that borrows the bytes */
    redis_cb cb;
    void *ctx;
    int64_t deadline_ms;               /* monotonic; INT64_MAX: none of its own */
    int64_t sent_us;                   /* monotonic */
    uint64_t timeout_ms;               /* for the message */
    const struct redis_script *script; /* its text is sent on NOSCRIPT; NULL: not (or no longer) */
    size_t head;                       /* offset of what follows EVALSHA and the digest */
    size_t argc;
    size_t n; /* bytes */
    char bytes[];
};
TAILQ_HEAD(command_list, command);

struct redis {
    struct event_base *base;
    struct redis_url url; /* with sentinels, host and port are the primary's */
    struct redis_options opts;
    char *ca_file;
    char name[1024];           /* the URL without its password, and the primary that it leads to */
    struct sentinel *sentinel; /* NULL: one server */
    struct redis_node primary; /* that they named last; port 0: none yet */

    enum redis_state state;
    uint64_t pause_ms;
    struct event *state_timer; /* end of the pause; deadline of dialing and greeting */
    struct dial *dial;
    struct ssl_ctx_st *tls;
    struct bufferevent *bev;
    struct redisReader *reader;
    char *scratch;      /* bytes on their way from the socket to the reader */
    struct err trouble; /* why it is not connected; code 0: no reason known yet */
    bool reported;      /* on_state was told of this trouble */
    bool broken;        /* to be given up because of fault once the reader's loop has ended */
    struct err fault;

    struct command_list waiting;  /* not yet sent */
    struct command_list inflight; /* sent, replies come in this order */
    size_t pending_bytes;         /* of both lists */
    struct event *deadline_timer; /* at or before the earliest deadline of both lists */
    int64_t deadline_at_ms;       /* INT64_MAX: not set */
    unsigned depth;               /* callbacks that are running */
    struct histogram trips;
};

/* ---- redis.c ---- */

/** Gives the connection up and starts the pause; the commands in flight fail. Not inside the
 * reader's loop. */
void redis_lose(struct redis *r, const struct err *why);
/** Asks for redis_lose once the reply at hand is done with. */
void redis_break(struct redis *r, const struct err *why);
/** The greeting is over. note: NULL or what on_state should be told. */
void redis_greeted(struct redis *r, const struct err *note);
/** Connects to the server of r->url. */
void redis_dial(struct redis *r);

/* ---- primary.c: only where the URL names sentinels ---- */

/** False: out of memory. */
bool primary_init(struct redis *r);
/** Looks for the primary, and dials it. */
void primary_seek(struct redis *r);

/* ---- greet.c ---- */

void greet_start(struct redis *r);

/* ---- command.c ---- */

/** Encodes prefix and then argv as one command. NULL: out of memory. */
struct command *command_new(const struct slice *prefix, size_t prefix_count,
                            const struct slice *argv, size_t argc);
void command_unref(struct command *c);

/**
 * Sends the command, or keeps it until the connection stands. Takes c on success; on an error c is
 * freed. Errors: ERR_FULL, ERR_NOMEM, ERR_STOPPED.
 */
enum err_code command_submit(struct redis *r, struct command *c, uint64_t deadline_ms,
                             struct err *err) MUST_CHECK;
/** For the greeting: straight to the connection, without a deadline of its own. */
enum err_code command_send_now(struct redis *r, const struct slice *argv, size_t argc, redis_cb cb,
                               struct err *err) MUST_CHECK;
/** Sends everything that waited. */
enum err_code command_flush(struct redis *r, struct err *err) MUST_CHECK;
/** Hands one reply to the command it belongs to. Errors: ERR_INVALID for a reply nobody asked for.
 */
enum err_code command_reply(struct redis *r, const struct redisReply *reply,
                            struct err *err) MUST_CHECK;
/** Calls everything in the list with the error; the list may be one that the callbacks add to no
 * more. */
void command_fail_all(struct redis *r, struct command_list *list, const struct err *err);
void command_on_deadline(int fd, short what, void *arg);

/** Appends bytes of c from an offset on: copied when small, borrowed otherwise. */
enum err_code command_put(struct command *c, size_t from, struct evbuffer *out) MUST_CHECK;

/* ---- script.c ---- */

/** Puts the command with the script's text in place of its digest at the end of out. */
enum err_code script_put_eval(struct command *c, struct evbuffer *out) MUST_CHECK;

#endif
