/*
 * From a value as PostgreSQL prints it to the value that will be sent.
 *
 * Reads one cell and a converter compiled for its column; works in the cell's own bytes, arrays in
 * a scratch buffer. Invariant: whatever the bytes, the result keeps value.h's promises or is
 * VALUE_BAD. The session prints dates in ISO form, UTC, and bytea as hex. Any thread, no state.
 */
#ifndef SLUICE_SOURCE_CONVERT_H
#define SLUICE_SOURCE_CONVERT_H

#include "protocol/base/buf.h"
#include "protocol/base/value.h"
#include "scheduler/source/copy_row.h"

enum convert_kind {
    CONVERT_TEXT,
    CONVERT_NUMBER,
    CONVERT_BOOL,
    CONVERT_JSON,
    CONVERT_DATE,
    CONVERT_TIMESTAMP,
    CONVERT_TIMESTAMPTZ,
    CONVERT_BYTES,
    CONVERT_ARRAY,
};

struct converter {
    enum convert_kind kind;
    char delimiter;                  /* of an array's elements */
    const struct converter *element; /* of an array; may be an array again (a domain over one) */
};

/** cell is not NULL and c not an array. ascii: the cell surely is. Gives bytes inside the cell and
 * the one behind it. */
struct value convert_cell(const struct converter *c, struct cell cell, bool ascii);

/**
 * Appends the array in cell to out as JSON. The cell's bytes are used up. Returns NULL, or why the
 * array cannot be sent; out is then as it was.
 */
const char *convert_array(const struct converter *c, struct cell cell, bool ascii,
                          struct buf *out) MUST_CHECK;

static inline struct value value_bad(const char *reason)
{
    return value_of(VALUE_BAD, slice_str(reason));
}

extern const char convert_not_utf8[];

#endif
