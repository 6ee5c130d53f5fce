/*
 * Rows of one read: from what the server sent to the row given on.
 *
 * Compiled once from the columns' types; afterwards a row costs no allocation. The row's values are
 * valid until the next one. Invariant: a row holds exactly one value per column. One thread.
 */
#ifndef SLUICE_SOURCE_ROW_DECODER_H
#define SLUICE_SOURCE_ROW_DECODER_H

#include "scheduler/source/types.h"

/* A row beyond this is refused; arrays of one row may take twice that as JSON. */
enum { ROW_LIMIT_BYTES = 64 << 20 };

struct row_decoder {
    const struct converter **converters;
    struct value *values;
    struct cells cells;
    uint16_t *arrays; /* columns whose values lie in scratch */
    size_t array_count;
    struct buf scratch;
    struct buf line; /* for the caller: the row's own bytes */
};

/** Errors: ERR_NOMEM, ERR_INVALID. types outlives the decoder. A decoder that is all zero may be
 * done. */
enum err_code row_decoder_init(struct row_decoder *d, struct types *types, const Oid *oids,
                               size_t count, struct err *err) MUST_CHECK;
void row_decoder_done(struct row_decoder *d);

/** d->cells are filled in (copy_row_split, or by hand with ascii false): gives the row. */
struct row row_decoder_run(struct row_decoder *d);

/** After a row: gives memory back that only an unusually large row needed. */
void row_decoder_trim(struct row_decoder *d);

#endif
