/*
 * A result: what one request, or one decision of the queue, said about some records of a planned
 * batch.
 *
 * Workers write it, the results stream carries it, the scheduler folds it into state. `rest` holds
 * for every record of the set that has no entry of its own in the list. Words of a destination are
 * cut at 1 KiB.
 */
#ifndef SLUICE_WIRE_RESULT_H
#define SLUICE_WIRE_RESULT_H

#include "protocol/base/buf.h"

#include <stdint.h>

enum { RESULT_MESSAGE_MAX = 1024 };

enum verdict {
    VERDICT_OPEN, /* none yet: the record stays in the queue */
    VERDICT_OK,
    VERDICT_REJECTED,  /* the destination refused it for good */
    VERDICT_NOT_FOUND, /* refused because it does not exist there: due again after a day */
    VERDICT_FAILED,    /* attempts used up */
    VERDICT_CANCELLED, /* the run ended first */
};
enum { VERDICTS = VERDICT_CANCELLED + 1 };

enum result_flag {
    RESULT_DOUBT =
        1, /* the records with `rest` may have reached the destination without a sure answer */
    RESULT_SINGLE = 2, /* a refusal of a request that held this one record */
    RESULT_STOP = 4,   /* credentials or address: the run must end; message says why */
    RESULT_BUG = 8,    /* the answer made no sense (an index outside the batch) */
    RESULT_WARN = 16,  /* accepted, but the destination counted some that it did not like; message
                          says how many */
};

struct verdict_entry {
    uint32_t ordinal;
    enum verdict verdict;
    bool doubt;
    struct slice message;
};

struct result {
    struct slice ordset; /* the records of the request; empty: all of the planned batch */
    enum verdict rest;
    uint32_t flags;
    struct slice message; /* for `rest` and for the stop */
    uint32_t requests;    /* HTTP requests this result stands for */
    uint32_t retries;     /* of them, repeats of an earlier one */
    uint64_t bytes;       /* body bytes sent */
    uint32_t status;      /* HTTP status, 0: none */
    uint32_t duration_ms;
    uint32_t kills;                      /* workers this batch has lost so far */
    const struct verdict_entry *entries; /* ascending ordinals */
    size_t entry_count;
};

enum err_code result_put(struct buf *out, const struct result *r) MUST_CHECK;

struct result_reader; /* owns the storage that a parsed result borrows */
struct result_reader *result_reader_new(void);
void result_reader_free(struct result_reader *r);
/** Parses; *ret_result borrows from bytes and from r until the next call. Errors: ERR_INVALID. */
enum err_code result_parse(struct result_reader *r, struct slice bytes, struct result *ret_result,
                           struct err *err) MUST_CHECK;

#endif
