/*
 * Pending changes: per key the newest one, in the order in which the keys came.
 *
 * A later change of a key takes the place of the one before it and keeps that one's mark. A change
 * that cannot be planned now may be laid by, so that walks pass it until its key is woken. Bounded:
 * pending_is_full says when to stop reading, and values that were replaced take no more room than
 * those that stand, beside a few MB. No allocation per change. One thread.
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
    int64_t last_ms;  /* given: when the newest change of it came */
};

/** NULL: no memory. */
struct pending *pending_new(void);
/** Accepts NULL. */
void pending_free(struct pending *p);
/**
 * Adds a change, or lets it take the place of the one of the same key (*ret_replaced), which keeps
 * its place and its mark. row: of a CHANGE_ROW. An older one does not replace: see
 * pending_put_back. Errors: ERR_NOMEM.
 */
enum err_code pending_put(struct pending *p, const struct pending_change *c, const struct row *row,
                          bool *ret_replaced, struct err *err) MUST_CHECK;
/** A change that was taken out and is to be tried again: where a newer one of its key has come
 * meanwhile that one stays (*ret_there), and the caller settles this one. */
enum err_code pending_put_back(struct pending *p, const struct pending_change *c,
                               const struct row *row, bool *ret_there, struct err *err) MUST_CHECK;
/** Keys that wait, and those of them that are not laid by. */
size_t pending_count(const struct pending *p);
size_t pending_ready(const struct pending *p);
bool pending_is_full(const struct pending *p);
/** When the key that came first and still waits began to; 0: none. */
int64_t pending_since_ms(const struct pending *p);

/** Walks in order over those that are not laid by: *at begins at 0 and is behind the given one
 * afterwards. False at the end. The change is borrowed until the next put or sweep. */
bool pending_next(struct pending *p, size_t *at, struct pending_change *ret);
/** Takes the change that pending_next gave last, with its at, out; lays it by. */
void pending_take(struct pending *p, size_t at);
void pending_lay_by(struct pending *p, size_t at);
/** The same by its key; fine where there is none. */
void pending_lay_by_key(struct pending *p, struct slice key);
/** The change of this key is walked over again; of all keys. */
void pending_wake(struct pending *p, struct slice key);
void pending_wake_all(struct pending *p);
/** Bytes that keys and rows take up, replaced ones included. */
size_t pending_bytes(const struct pending *p);
/** Its row; the values are borrowed from the change, the array until the next call. */
struct row pending_row(struct pending *p, const struct pending_change *c);
/** What waits is out of date: rows and gone keys become keys to be asked for. */
void pending_to_keys(struct pending *p);
/** Gives room back after a walk. */
enum err_code pending_sweep(struct pending *p, struct err *err) MUST_CHECK;
void pending_clear(struct pending *p);

#endif
