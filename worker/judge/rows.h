/*
 * The rows of a CSV (RFC 4180) or of JSON lines, one JSON document each.
 *
 * A CSV's first row has the names; each other one becomes an object of texts. Fields may hold line
 * ends and doubled quotes. Foreign bytes: what cannot be read ends the reading. One row is kept at
 * a time.
 */
#ifndef SLUICE_JUDGE_ROWS_H
#define SLUICE_JUDGE_ROWS_H

#include "protocol/base/buf.h"
#include "worker/judge/doc.h"

enum { ROWS_COLUMNS_MAX = 8192, ROWS_ROW_MAX = 64 << 20 };

struct rows {
    const char *p;
    const char *end;
    bool csv;
    struct arena *row; /* of the row that was read last; reset for each */
    struct buf names;  /* JSON strings with their colons, one behind the other */
    struct buf text;   /* the row as JSON */
    size_t *name_ends; /* in the arena given */
    size_t columns;
};

enum rows_read { ROWS_ROW, ROWS_END, ROWS_BROKEN, ROWS_NO_MEMORY };

/** Reads a CSV's names. row: an arena that nothing else uses. */
enum rows_read rows_open(struct rows *r, struct slice text, bool csv, struct arena *a,
                         struct arena *row) MUST_CHECK;
/** The next row that is not empty, until the next call. */
enum rows_read rows_next(struct rows *r, struct doc *ret_doc) MUST_CHECK;
void rows_done(struct rows *r);

#endif
