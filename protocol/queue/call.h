/*
 * What the calls of this folder share: the queue itself, argument lists, and reading of replies.
 *
 * An argument list remembers that memory was out, so that a call checks once. A reply is read in
 * order; anything foreign or short turns the reader bad, and the call fails with ERR_REMOTE.
 */
#ifndef SLUICE_QUEUE_CALL_H
#define SLUICE_QUEUE_CALL_H

#include "protocol/base/arena.h"
#include "protocol/queue/queue.h"
#include "protocol/queue/scripts.h"

struct queue {
    struct redis *redis;       /* NULL: whichever the fleet says */
    struct redis_fleet *fleet; /* NULL: the one connection */
    char *member;
    char *quota;
    char *key; /* sluice:{QUOTA} */
    struct queue_term term;
};

enum { ARGS_FEW = 48 };

struct args {
    struct slice *v;
    size_t n;
    size_t cap;
    bool failed;
    struct arena numbers;
    struct slice few[ARGS_FEW];
};

/** Starts with the clock override, which is empty. */
void args_init(struct args *a);
void args_done(struct args *a);
void args_put(struct args *a, struct slice s);
void args_str(struct args *a, const char *s);
void args_u64(struct args *a, uint64_t n);
void args_i64(struct args *a, int64_t n);
/** The queue's term, with the state it is of; nothing where it has none. */
void args_term(struct args *a, const struct queue *q, bool with_state);

/** Sends a plain command to the server that has the quota; ctx is taken on success only. */
enum err_code queue_command(struct queue *q, const struct slice *argv, size_t argc,
                            uint64_t deadline_ms, redis_cb cb, void *ctx,
                            struct err *err) MUST_CHECK;
/** Runs a script; ctx is taken on success only. */
enum err_code queue_eval(struct queue *q, enum queue_script script, struct args *a, redis_cb cb,
                         void *ctx, struct err *err) MUST_CHECK;
/** Runs a script whose reply is {status, number}. */
enum err_code queue_eval_number(struct queue *q, enum queue_script script, struct args *a,
                                queue_done_cb cb, void *ctx, struct err *err) MUST_CHECK;
/** The error of a script that refused: a status below zero. */
enum err_code queue_refusal(struct err *err, int64_t status);

struct reply_reader {
    const struct redisReply *array;
    size_t at;
    bool bad; /* something was missing or of another type; what was read since is 0 or empty */
};

/** reply may be NULL. */
struct reply_reader reply_open(const struct redisReply *reply);
int64_t reply_int(struct reply_reader *r);
struct slice reply_slice(struct reply_reader *r);
struct reply_reader reply_array(struct reply_reader *r);
/** True when the next element is null; skips it then. */
bool reply_null(struct reply_reader *r);
size_t reply_left(const struct reply_reader *r);
/** Reads the status of a script's reply. False: err says why. */
bool reply_status(struct reply_reader *r, struct err *err);
enum err_code reply_foreign(struct err *err, const char *what);

#endif
