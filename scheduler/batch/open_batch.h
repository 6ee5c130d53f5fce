/*
 * A batch that is being filled: rows and manifest entries side by side, in the order they came.
 *
 * Takes records, gives rows and manifest as they will be sealed. Where the destination wants
 * records in an order, or no two of them with the same value, the batch keeps what that needs.
 * Invariant: entry i of the manifest is about row i. One thread.
 */
#ifndef SLUICE_BATCH_OPEN_BATCH_H
#define SLUICE_BATCH_OPEN_BATCH_H

#include "scheduler/batch/frame.h"

/* A record on its way into a batch. Borrowed. */
struct batch_record {
    const struct manifest_entry *entry;
    const struct value *keys;
    size_t key_count;
    struct slice values;        /* empty for delete and clear */
    uint64_t bytes;             /* what it costs of the batch */
    uint32_t set;               /* values of it that count */
    const struct value *order;  /* its place; NULL: as they come */
    const struct value *unique; /* its own within the batch; NULL, null, absent: anything goes */
};

struct open_batch {
    struct buf rows;
    struct buf manifest;
    struct buf places; /* struct place per record, of a batch with an order */
    struct buf order;  /* what records are ordered by */
    uint64_t *seen;    /* hashes of values that may come once; 0: free */
    uint32_t seen_slots, seen_count;
    uint32_t records;
    uint64_t bytes;
    uint64_t values; /* that are set; counted where there is a maximum */
    int lane;        /* -1: unordered */
    uint8_t group;
};

void open_batch_init(struct open_batch *o, int lane, uint8_t group);
void open_batch_done(struct open_batch *o);
/** Empties it and keeps its memory. */
void open_batch_reset(struct open_batch *o);
/** Gives memory back that only a large batch needs. It must be empty. */
void open_batch_trim(struct open_batch *o);

/** Whether a record with this value is in it. May be true of a value that is not there, once in
 * 2^64; never false of one that is. */
bool open_batch_has(const struct open_batch *o, const struct value *unique);
/** Errors: ERR_NOMEM, ERR_FULL; the batch is then of no more use. */
enum err_code open_batch_add(struct open_batch *o, const struct batch_record *r) MUST_CHECK;
/** Brings rows and manifest into their order, equals as they came; null and absent come first, then
 * false, true, numbers by their value, text by its bytes (timestamps by time), JSON. */
enum err_code open_batch_sort(struct open_batch *o) MUST_CHECK;

#endif
