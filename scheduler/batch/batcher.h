/*
 * Cuts planned records into batches and appends them to the spool.
 *
 * Takes one record at a time with the lane it belongs to; gives frames. Invariant: a batch never
 * holds more records or bytes than the destination takes, and the records of one lane keep their
 * order. Memory: one open batch per lane, LANES_MAX lanes. A crash here loses the open batches,
 * which the next diff finds again.
 */
#ifndef SLUICE_BATCH_BATCHER_H
#define SLUICE_BATCH_BATCHER_H

#include "scheduler/batch/spool.h"

enum { BATCHER_LANES = 32 }; /* ordered lanes: lane_by values are hashed onto them */

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
    const uint8_t *policies; /* enum field_policy, one per field, borrowed likewise; NULL: all
                                overwrite */
    int32_t newest_field;    /* index of the field with the record's timestamp; -1: none */
};

struct batcher;

enum err_code batcher_new(const struct batcher_options *opts, struct spool *spool,
                          struct batcher **ret_batcher, struct err *err) MUST_CHECK;
/** Records not yet flushed are dropped. Accepts NULL. */
void batcher_free(struct batcher *b);

/** Bytes that the values of a record may have (batch_put_values form) to fit a batch alone. */
uint64_t batcher_values_max(const struct batcher *b);

/**
 * Adds a record; cuts batches as they fill. values is empty for delete and clear. lane is -1
 * (unordered) or below BATCHER_LANES. counts go into the frames. ERR_FULL: the disk is full; the
 * record was taken, pause.
 */
enum err_code batcher_add(struct batcher *b, int lane, const struct manifest_entry *entry,
                          const struct value *keys, struct slice values,
                          const struct frame_counts *counts, struct err *err) MUST_CHECK;
/** Cuts what is open. */
enum err_code batcher_flush(struct batcher *b, const struct frame_counts *counts,
                            struct err *err) MUST_CHECK;

/** Writes the id of batch number of run into out (BATCH_PART_ID_BYTES) and returns it. */
const char *batch_id(const char *run, uint64_t number, char *out);

#endif
