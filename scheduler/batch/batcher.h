/*
 * Cuts planned records into batches and appends them to the spool.
 *
 * Takes one record at a time with the lane it belongs to; gives frames. Records of operations that
 * go in different requests belong to different groups. Invariant: a batch holds records of one
 * group, never more of them or of their bytes than the destination takes, and the records of one
 * lane keep their order. Where records share batches by a value (group_by), there is an open batch
 * per value up to BATCHER_OPEN of them or BATCHER_OPEN_BYTES together; then the fullest is cut, so
 * that any number of values costs no more memory. Records of different values have no order, not
 * even in one lane. Otherwise: one open batch per ordered lane, one per group of the unordered.
 * A crash here loses the open batches, which the next diff finds again.
 */
#ifndef SLUICE_BATCH_BATCHER_H
#define SLUICE_BATCH_BATCHER_H

#include "scheduler/batch/shared_batches.h"
#include "scheduler/batch/spool.h"

enum {
    BATCHER_LANES = 32, /* ordered lanes: lane_by values are hashed onto them */
    BATCHER_OPS = OP_APPEND + 1,
    BATCHER_GROUPS = BATCHER_OPS, /* there is one per operation at most */
    BATCHER_OPEN = 4096,          /* open batches where they share values */
    BATCHER_OPEN_BYTES = 64 << 20,
};

/* Where records have a value: in a field, and where a removal lacks it in a key value. Zeroes: in
 * none. */
struct value_place {
    uint16_t field; /* its index + 1 */
    uint16_t key;   /* likewise */
};

/* Operations that share requests. */
struct batch_group {
    uint32_t max_records; /* 0: max_records of the options */
    uint64_t max_bytes;   /* 0: likewise */
    struct batch_cost cost;
};

struct batcher_options {
    const char *sync;
    const char *run;
    const char *destination;
    const char *fingerprint;
    const char *object; /* NULL: none */
    uint32_t max_records;
    uint64_t max_bytes;            /* of a request's JSON body, before escapes */
    const struct slice *key_names; /* borrowed for the batcher's life */
    size_t key_count;
    const struct field_path *fields; /* borrowed likewise */
    size_t field_count;
    const uint8_t *policies;       /* enum field_policy, one per field, borrowed likewise; NULL: all
                                      overwrite */
    int32_t newest_field;          /* index of the field with the record's timestamp; -1: none */
    uint8_t group_of[BATCHER_OPS]; /* by enum record_op; zeroes: all in one */
    struct batch_group groups[BATCHER_GROUPS];
    uint64_t item_bytes; /* of one record; 0: max_bytes alone decides */
    uint32_t max_values; /* field values that are set, of all records of a batch (of a removal, its
                            key's); 0: any number */
    bool hold_last;      /* the run's last batch is told apart: batch_head.last; not with shared */
    struct value_place shared[BATCH_SHARED_MAX]; /* records of a batch have the same values here */
    size_t shared_count;
    struct value_place order;  /* records of a batch are sorted by it */
    struct value_place unique; /* no two records of a batch have the same value here */
};

struct batcher;

enum err_code batcher_new(const struct batcher_options *opts, struct spool *spool,
                          struct batcher **ret_batcher, struct err *err) MUST_CHECK;
/** Records not yet flushed are dropped. Accepts NULL. */
void batcher_free(struct batcher *b);

/** Bytes that the values of a record may have (batch_put_values form) to fit a batch alone. */
uint64_t batcher_values_max(const struct batcher *b, enum record_op op);
/** Why a record with these values fits no batch, in words for people; NULL where it does. */
const char *batcher_refuses(const struct batcher *b, enum record_op op, struct slice values);

/**
 * Adds a record; cuts batches as they fill. values is empty for delete and clear. lane is -1
 * (unordered) or below BATCHER_LANES. counts go into the frames. ERR_FULL: the disk is full; the
 * record was taken, pause.
 */
enum err_code batcher_add(struct batcher *b, int lane, const struct manifest_entry *entry,
                          const struct value *keys, struct slice values,
                          const struct frame_counts *counts, struct err *err) MUST_CHECK;
/** Cuts what is open. complete: everything that was to be planned was added; only then may a batch
 * be called the run's last. */
enum err_code batcher_flush(struct batcher *b, bool complete, const struct frame_counts *counts,
                            struct err *err) MUST_CHECK;

/** Writes the id of batch number of run into out (BATCH_PART_ID_BYTES) and returns it. */
const char *batch_id(const char *run, uint64_t number, char *out);

#endif
