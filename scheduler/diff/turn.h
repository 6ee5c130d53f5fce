/*
 * Turn: what single changes of one turn have said of slots, until the turn ends.
 *
 * Items in the order in which their slots came, found by slot. No allocation once it has grown to
 * the size of a turn. Pure.
 */
#ifndef SLUICE_DIFF_TURN_H
#define SLUICE_DIFF_TURN_H

#include "protocol/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum turn_flag {
    TURN_GONE = 1,    /* its row is gone */
    TURN_ASIDE = 2,   /* its row waits for an identity that another has */
    TURN_KNOWN = 4,   /* it had an accepted part when its row came first */
    TURN_MOVED = 8,   /* its row may have left an identity behind */
    TURN_PLANNED = 16 /* its row is planned */
};

struct turn_item {
    uint32_t slot;
    uint32_t bucket;
    uint8_t flags;
    size_t key_at, key_bytes; /* in keys */
};

struct turn {
    struct turn_item *items;
    size_t count, cap;
    uint32_t *buckets; /* index of an item + 1; 0: free */
    size_t bucket_count;
    struct buf keys;
};

void turn_init(struct turn *t);
void turn_done(struct turn *t);
/** Borrowed until the next turn_note; NULL: nothing was said of the slot. */
struct turn_item *turn_find(const struct turn *t, uint32_t slot);
/** Finds the slot's item, or adds one with this key. Errors: ERR_NOMEM, ERR_FULL. */
enum err_code turn_note(struct turn *t, uint32_t slot, struct slice key, struct turn_item **ret,
                        struct err *err) MUST_CHECK;
struct slice turn_key(const struct turn *t, const struct turn_item *item);
void turn_reset(struct turn *t);

#endif
