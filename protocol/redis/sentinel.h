/*
 * The primary of a name, as sentinels tell it.
 *
 * sentinel_seek asks them in turn, and one of them is asked again every second (inquiry.h), so that
 * a failover is known at most two seconds after the sentinels know it, also where the old primary
 * says nothing at all. Answers carry the epoch of the failover they know. One thread.
 */
#ifndef SLUICE_REDIS_SENTINEL_H
#define SLUICE_REDIS_SENTINEL_H

#include "protocol/redis/redis.h"

struct sentinel;

struct sentinel_options {
    const char *ca_file; /* borrowed; NULL: the system's */
    /** The answer to sentinel_seek, and whenever it is another one than before. */
    void (*on_primary)(void *ctx, const struct redis_node *primary);
    /** No answer to sentinel_seek: seek again. Codes: ERR_UNREACHABLE, ERR_DENIED (a password, a
     * certificate, protected mode), ERR_CONFIG (all of them answered, and none knows the name). */
    void (*on_none)(void *ctx, const struct err *err);
    void *ctx;
};

/** Borrows url, whose shape is REDIS_SHAPE_SENTINEL. NULL: out of memory. */
struct sentinel *sentinel_new(struct event_base *base, const struct redis_url *url,
                              const struct sentinel_options *opts);
/** Accepts NULL. */
void sentinel_free(struct sentinel *s);
/** Asks another sentinel than last. One answer, later; nothing more while one is awaited. */
void sentinel_seek(struct sentinel *s);

#endif
