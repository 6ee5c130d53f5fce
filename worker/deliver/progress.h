/*
 * How far a batch has come through the requests of its connector: what is kept in the queue between
 * two of them, so that any worker can go on.
 *
 * Encoded as msgpack (foreign bytes: checked). A function of its bytes. Everything decoded lives in
 * the given arena.
 */
#ifndef SLUICE_DELIVER_PROGRESS_H
#define SLUICE_DELIVER_PROGRESS_H

#include "protocol/base/arena.h"
#include "protocol/base/buf.h"
#include "protocol/wire/result.h"

enum { PROGRESS_VERSION = 2, PROGRESS_BYTES_MAX = 256 << 10 };

/* What is known of one record beyond the batch itself. */
struct progress_record {
    uint32_t ordinal;
    struct slice id; /* p NULL: none */
    uint64_t left_out;
    bool has_verdict; /* collected from pages; told when the last page was read */
    enum verdict verdict;
    struct slice message;
};

struct progress {
    bool ensuring; /* in the object's ensure steps, else in the request's */
    uint32_t step;
    uint32_t polls;       /* `pending` answers of this step so far */
    uint32_t jumps;       /* to the same or an earlier step, since the beginning */
    int64_t since_ms;     /* wall clock: when this step was first tried; for deadlines */
    uint32_t refusals;    /* of this request for its token, in a row */
    uint32_t refused_new; /* of those, where the token was new and used for it first */
    bool sent;            /* a step that carries records was answered with ok */
    bool open;            /* a remote job is open */
    struct slice *vars;   /* one per connector->vars; p NULL: not known */
    uint32_t var_count;
    struct progress_record
        *records; /* ascending ordinals; only those of which something is known */
    uint32_t record_count;
};

/** A beginning. */
enum err_code progress_init(struct progress *p, struct arena *a, uint32_t var_count) MUST_CHECK;
/** Errors: ERR_INVALID for foreign bytes and for another count of vars, ERR_NOMEM. Empty bytes: a
 * beginning. */
enum err_code progress_read(struct progress *p, struct arena *a, struct slice bytes,
                            uint32_t var_count, struct err *err) MUST_CHECK;
/** Errors: ERR_FULL above PROGRESS_BYTES_MAX. */
enum err_code progress_put(struct buf *out, const struct progress *p) MUST_CHECK;
/** NULL where nothing is known of that record. */
const struct progress_record *progress_record(const struct progress *p, uint32_t ordinal);

#endif
