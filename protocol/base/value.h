/*
 * A value on its way from the warehouse to a destination, in the form in which it will be sent.
 *
 * Sources give values, mappings turn them into other values, the wire carries them, connectors
 * render them. Text is valid UTF-8; a number keeps every digit the warehouse printed; JSON is
 * compact. The bytes are borrowed from whoever made the row.
 */
#ifndef SLUICE_BASE_VALUE_H
#define SLUICE_BASE_VALUE_H

#include "protocol/base/slice.h"

#include <stdint.h>

enum value_kind {
    VALUE_NULL,
    VALUE_FALSE,
    VALUE_TRUE,
    VALUE_NUMBER, /* a JSON number literal (RFC 8259 section 6) */
    VALUE_TEXT,   /* UTF-8 without NUL */
    VALUE_JSON,   /* one compact JSON value (RFC 8259) */
    VALUE_ABSENT, /* the field is not sent at all */
    VALUE_BAD,    /* cannot be sent; p says why, in words that never quote the row */
};

struct value {
    enum value_kind kind;
    uint32_t n;
    const char *p;
};

static inline struct value value_of(enum value_kind kind, struct slice s)
{
    return (struct value){kind, (uint32_t)s.n, s.p};
}

static inline struct slice value_slice(struct value v)
{
    return (struct slice){v.p, v.n};
}

/* One column of a model as its source describes it. */
enum column_type {
    COLUMN_INT, /* numbers without a fraction: smallint, integer, bigint */
    COLUMN_NUMERIC,
    COLUMN_FLOAT,
    COLUMN_BOOL,
    COLUMN_TEXT,
    COLUMN_JSON,
    COLUMN_DATE,      /* text YYYY-MM-DD */
    COLUMN_TIMESTAMP, /* text RFC 3339, UTC: with or without a zone in the warehouse */
    COLUMN_BYTES,     /* text base64 */
    COLUMN_ARRAY,     /* JSON array */
    COLUMN_OTHER,     /* the warehouse's own text form */
};

struct column {
    const char *name;
    const char *type_name; /* the warehouse's word, for messages */
    enum column_type type;
};

enum { COLUMN_LIMIT = 1600 }; /* Postgres' own maximum of columns in a table */

struct row {
    const struct value *values; /* one per column */
    uint16_t n;
};

#endif
