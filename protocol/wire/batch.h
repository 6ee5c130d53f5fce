/*
 * A batch on the wire: records of one sync, columns once and then rows, in msgpack, compressed as a
 * whole.
 *
 * The scheduler writes it with batch_writer, the worker reads it with batch_reader without
 * allocating per record. Every record carries its ordinal in the planned batch, so that any subset
 * of a batch (a half, the records still open) is a batch that describes itself. Layout and
 * versions: protocol/PROTOCOL.md.
 */
#ifndef SLUICE_WIRE_BATCH_H
#define SLUICE_WIRE_BATCH_H

#include "protocol/base/buf.h"
#include "protocol/base/value.h"

#include <stdint.h>

enum {
    BATCH_VERSION = 2,
    BATCH_VERSION_LEAST = 1, /* that is still read: without the head's later part */
    BATCH_RECORDS_MAX = 65535,
    BATCH_KEY_FIELDS_MAX = 32,
    BATCH_FIELDS_MAX = 4096,
    BATCH_PATH_MAX = 16, /* names in one field's path */
    BATCH_BYTES_MAX = 64 << 20,
};

enum record_op { OP_UPSERT, OP_INSERT, OP_UPDATE, OP_DELETE, OP_CLEAR, OP_APPEND };
const char *record_op_name(enum record_op op);

/* A target field: its path in the record, one name per level. */
struct field_path {
    const struct slice *names;
    size_t count;
};

/* What a field does to what the destination has already. */
enum field_policy { POLICY_OVERWRITE, POLICY_SET_IF_EMPTY, POLICY_CREATE_ONLY, POLICY_MERGE };

enum {
    POLICIES_LOOKED_UP_MAX = 64
}; /* fields with a policy, where a look-up leaves some out of a
      record: a bit each */

/* Ways of handling conflicts: a bit per policy but overwrite, whose bit stands for the newest
 * winning.
 */
enum { CONFLICTS_NEWEST = 1u << POLICY_OVERWRITE, CONFLICTS_ALL = (1u << (POLICY_MERGE + 1)) - 1 };
/** Those of fields with these policies (NULL: all overwrite). */
uint32_t batch_conflicts(const uint8_t *policies, size_t field_count, int32_t newest_field);

/* What all records of a batch share. Borrowed by writer and reader alike. */
struct batch_head {
    struct slice sync;
    struct slice run;
    struct slice id; /* of the planned batch: stable over splits, retries and crashes */
    struct slice destination;
    struct slice fingerprint; /* of the destination's configuration */
    struct slice object;      /* empty: none */
    uint32_t planned;         /* records of the planned batch */
    const struct slice *key_names;
    size_t key_count;
    const struct field_path *fields;
    size_t field_count;
    uint32_t sequence; /* of the planned batch within its run, from 1; 0: unknown (version 1) */
    bool last;         /* it is the run's last one */
    const uint8_t *policies; /* enum field_policy, one per field; NULL: all overwrite */
    int32_t newest_field;    /* index of the field with the record's timestamp, by which the newest
                                wins; -1: none */
};

/* One record. keys has key_count values; fields has field_count values, or is NULL for delete and
 * clear. */
struct record {
    uint32_t ordinal;
    enum record_op op;
    const struct value *keys;
    const struct value *fields;
};

/**
 * Appends the msgpack form of a record to rows. Its part from *ret_values_at on is what
 * batch_put_values writes. Errors: ERR_FULL, ERR_NOMEM; ERR_BUG for VALUE_BAD and for a record
 * whose fields do not suit its op.
 */
enum err_code batch_put_record(struct buf *rows, const struct record *r, size_t key_count,
                               size_t field_count, size_t *ret_values_at) MUST_CHECK;

/**
 * Appends only the field values of a record (a msgpack array): what the row hash is taken over. Its
 * form is fixed for ever. Errors: as batch_put_record; on an error the buffer is as it was.
 */
enum err_code batch_put_values(struct buf *out, const struct value *fields,
                               size_t field_count) MUST_CHECK;
/** How many values of that form are neither null nor absent; 0 for empty bytes. */
uint32_t batch_values_set(struct slice values);
/** The value at an index of that form, borrowed from it; absent for empty bytes. */
struct value batch_values_at(struct slice values, size_t index);
/** Appends a record whose values were already written by batch_put_values. values is empty for
 * delete and clear. */
enum err_code batch_put_record_raw(struct buf *rows, uint32_t ordinal, enum record_op op,
                                   const struct value *keys, size_t key_count,
                                   struct slice values) MUST_CHECK;

/** Appends a row that batch_put_record or batch_put_record_raw wrote, under another ordinal. */
enum err_code batch_put_row(struct buf *rows, struct slice row, uint32_t ordinal) MUST_CHECK;

/**
 * Appends a whole batch: head, count rows already written by batch_put_record. compress: LZ4 where
 * it helps. Errors: ERR_FULL above BATCH_BYTES_MAX or the buffer's own limit, ERR_NOMEM, ERR_BUG
 * for a head out of bounds.
 */
enum err_code batch_seal(struct buf *out, const struct batch_head *head, uint32_t count,
                         struct slice rows, bool compress, struct err *err) MUST_CHECK;

struct batch_reader;

struct batch_reader *batch_reader_new(void);
void batch_reader_free(struct batch_reader *r);

/** Opens a sealed batch (copied or decompressed as needed; payload may go afterwards). Foreign
 * bytes: ERR_INVALID. */
enum err_code batch_reader_open(struct batch_reader *r, struct slice payload,
                                struct err *err) MUST_CHECK;
const struct batch_head *batch_reader_head(const struct batch_reader *r);
uint32_t batch_reader_count(const struct batch_reader *r);
/**
 * Gives the next record; *ret_more is false at the end. Ordinals ascend and are below
 * head->planned. The arrays keys and fields are borrowed until the next call, the bytes of their
 * values until the reader is opened again.
 */
enum err_code batch_reader_next(struct batch_reader *r, struct record *ret_record, bool *ret_more,
                                struct err *err) MUST_CHECK;
/** Starts again at the first record. */
void batch_reader_rewind(struct batch_reader *r);
/** Seals a batch of those records of r whose index (position, not ordinal) has keep[index] set. */
enum err_code batch_reader_subset(struct batch_reader *r, const uint8_t *keep, struct buf *out,
                                  struct err *err) MUST_CHECK;

#endif
