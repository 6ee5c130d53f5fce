/*
 * A frame: one planned batch as the spool keeps it, with what is needed to fold its verdicts into
 * state.
 *
 * Reads and writes bytes only. A frame holds its number, its lane, the counters of the read so far,
 * one manifest entry per record and the sealed payload, all under one checksum. Layout:
 * protocol/PROTOCOL.md.
 */
#ifndef SLUICE_BATCH_FRAME_H
#define SLUICE_BATCH_FRAME_H

#include "protocol/base/buf.h"
#include "protocol/wire/batch.h"

#include <stdint.h>

enum frame_kind {
    FRAME_BATCH = 1,
    FRAME_END = 2, /* the read reached its end: everything planned is in the frames before */
};

enum record_class { RECORD_ADDED, RECORD_CHANGED, RECORD_REMOVED };

/* What the scheduler must know about a record when its verdict comes. */
struct manifest_entry {
    uint32_t slot;
    enum record_class class;
    enum record_op op;
    uint8_t hash[16];      /* row hash; zero for removals */
    struct slice key;      /* state key bytes */
    struct slice identity; /* identity bytes; empty where the key names the record */
};

/* Rows of the read so far that were not planned. */
struct frame_counts {
    uint64_t unchanged;
    uint64_t invalid;
    uint64_t quarantined;
};

/* What the first request of a batch costs, as queue_batch has it; zeroes: as any batch of one
 * request. */
struct batch_cost {
    uint16_t group;   /* whose limits count it; 0: the main group */
    uint32_t records; /* 0: all it holds */
    bool jobless;     /* never holds a remote job */
};

struct frame {
    enum frame_kind kind;
    uint64_t number; /* of the batch, from 0 */
    uint32_t records;
    struct slice lane; /* empty: unordered */
    struct batch_cost cost;
    struct frame_counts counts;
    struct slice manifest;
    struct slice payload;
};

enum { FRAME_HEADER_BYTES = 72, FRAME_LANE_MAX = 64, FRAME_BYTES_MAX = (64 << 20) + (32 << 20) };

/** Appends a manifest entry. Errors: ERR_INVALID when key or identity is above 65535 bytes. */
enum err_code manifest_put(struct buf *manifest, const struct manifest_entry *e) MUST_CHECK;
/** Takes the next entry off *rest; ERR_INVALID when the bytes are damaged. */
enum err_code manifest_next(struct slice *rest, struct manifest_entry *ret_entry,
                            struct err *err) MUST_CHECK;

enum err_code frame_put(struct buf *out, const struct frame *f, struct err *err) MUST_CHECK;
/** Bytes of the whole frame whose header starts at header (FRAME_HEADER_BYTES); 0 when it is no
 * header. */
size_t frame_size(const char *header);
/** Parses a whole frame, checksum included; the slices borrow from bytes. */
enum err_code frame_parse(struct slice bytes, struct frame *ret_frame, struct err *err) MUST_CHECK;

#endif
