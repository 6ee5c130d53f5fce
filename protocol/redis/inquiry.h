/*
 * One question to whichever of several nodes answers, asked again and again: what sentinels say of
 * a primary, what nodes say of their cluster.
 *
 * inquiry_seek asks them in turn; from then on one of them is asked every second, a silent one is
 * left for the next, and every quarter of a minute another one has its turn. So news is known at
 * most two seconds after the nodes know it, also where those it is about say nothing at all, and no
 * node that was cut off is believed for long. Answers carry an epoch: an older one than was heard
 * is not taken, unless there is no other. One thread.
 */
#ifndef SLUICE_REDIS_INQUIRY_H
#define SLUICE_REDIS_INQUIRY_H

#include "protocol/redis/redis.h"

struct inquiry;

struct inquiry_options {
    const char *kind; /* "sentinel", for messages */
    bool tls;
    const char *user;     /* borrowed, as long as the inquiry */
    const char *password; /* likewise; secret */
    const char *ca_file;  /* likewise; NULL: the system's */
    /** Ask this one: redis_command. Then one of inquiry_take and inquiry_pass must follow. */
    void (*on_ask)(void *ctx, struct redis *node);
    /** Everyone was asked in vain. sought: this is what became of inquiry_seek. */
    void (*on_none)(void *ctx, bool sought, const struct err *err);
    void *ctx;
};

/** NULL: out of memory. Nobody is asked yet. */
struct inquiry *inquiry_new(struct event_base *base, const struct inquiry_options *opts);
/** Accepts NULL. */
void inquiry_free(struct inquiry *q);
/** Who may be asked: at most REDIS_NODES_MAX. The connection that stands is used on. */
void inquiry_set(struct inquiry *q, const struct redis_node *nodes, size_t count);
/** Asks another node than last. One answer, later; nothing more while one is awaited. */
void inquiry_seek(struct inquiry *q);
/** Something changed, it seems: asks soon, but not more than a few times a second. */
void inquiry_hint(struct inquiry *q);

/** What was asked is not over: the replies to on_ask count. */
bool inquiry_awaits(const struct inquiry *q);
/** Whom it asks. */
const struct redis_node *inquiry_node(const struct inquiry *q);
/** Its answer is of no use. The reason is told if nobody else has a better one. */
void inquiry_pass(struct inquiry *q, const struct err *why);
/** Its answer is of this epoch. False: it is older than what was heard, and passed over. sought:
 * somebody waits for it. */
bool inquiry_take(struct inquiry *q, uint64_t epoch, bool *ret_sought);

#endif
