/*
 * Pending changes: per key the newest one, in the order in which the keys came.
 *
 * A later change of a key takes the place of the one before it and keeps that one's mark. Bounded:
 * pending_is_full says when to stop reading. No allocation per change. One thread.
 */
#ifndef SLUICE_STREAM_PENDING_H
#define SLUICE_STREAM_PENDING_H

#include "scheduler/stream/feed.h"

enum {
    PENDING_BYTES_MAX = 64 << 20,
    PENDING_KEYS_MAX = 500000,
};

struct pending;

struct pending_change {
    enum change_kind kind;
    struct slice key; /* key bytes of the primary key */
    struct slice row; /* CHANGE_ROW: as pending_row reads it */
    uint64_t mark;    /* of the earliest change it stands for */
    uint32_t tries;   /* how often its record has failed */
    int64_t since_ms; /* when the key began to wait, monotonic */
};

struct pending *pending_new(void);
void pending_free(struct pending *p);
/** *ret_replaced: it took the place of another, whose mark it keeps. Errors: ERR_NOMEM. */
enum err_code pending_put(struct pending *p, const struct pending_change *c, const struct row *row,
                          bool *ret_replaced, struct err *err) MUST_CHECK;
bool pending_has(const struct pending *p, struct slice key);
size_t pending_count(const struct pending *p);
bool pending_is_full(const struct pending *p);
/** When the key that has waited longest began to; 0: none. */
int64_t pending_since_ms(const struct pending *p);

/** Walks over all in order: *at begins at 0. False at the end. The change is borrowed until the
 * next put or sweep. */
bool pending_next(struct pending *p, size_t *at, struct pending_change *ret);
/** Takes the change last given by pending_next out. */
void pending_take(struct pending *p, size_t at);
/** Its row; the values are borrowed from the change. */
struct row pending_row(struct pending *p, const struct pending_change *c);
/** Gives room back after a walk. */
void pending_sweep(struct pending *p);
void pending_clear(struct pending *p);

#endif
