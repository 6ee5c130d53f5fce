/*
 * The open batches of records that share values: one per combination of values, up to a fixed
 * number of them.
 *
 * Gives the batch for a key; says which one should make room. Invariant: no two batches with
 * records have the same key. An empty batch is free for any key. Everything is found in constant
 * time, since it is asked for every record. One thread.
 */
#ifndef SLUICE_BATCH_SHARED_BATCHES_H
#define SLUICE_BATCH_SHARED_BATCHES_H

#include "scheduler/batch/open_batch.h"

enum { BATCH_SHARED_MAX = 8 }; /* values that records of a batch may have to share */

struct shared_batches;

/* Stands for the lane, the group and the values; different ones have the same key once in 2^128. */
struct share_key {
    uint64_t low, high;
};
struct share_key share_key_of(int lane, uint8_t group, const struct value *values, size_t count);

/** NULL: no memory. */
struct shared_batches *shared_batches_new(uint32_t count) MUST_CHECK;
/** Accepts NULL. */
void shared_batches_free(struct shared_batches *s);

/** The batch of this key, which may be empty; NULL: there is none. */
struct open_batch *shared_batches_find(struct shared_batches *s, struct share_key key);
/** An empty batch for a key that has none; NULL: all hold records. */
struct open_batch *shared_batches_take(struct shared_batches *s, struct share_key key, int lane,
                                       uint8_t group);
/** A record came into it: it holds so many thousandths of what it may. */
void shared_batches_filled(struct shared_batches *s, struct open_batch *o, uint32_t thousandths);
/** It was emptied. */
void shared_batches_emptied(struct shared_batches *s, struct open_batch *o);
/** The one that is nearest to what it may hold, of about equals the one that was not filled for the
 * longest time; NULL: all are empty. */
struct open_batch *shared_batches_fullest(struct shared_batches *s);
/** Batch i of count; NULL past them. */
struct open_batch *shared_batches_at(struct shared_batches *s, uint32_t i);

#endif
