/*
 * One line of COPY … TO STDOUT in text format, taken apart in place.
 *
 * Reads the line, gives one cell per column: NULL, or text with its backslash escapes undone.
 * Allocates nothing. The line is foreign bytes: a wrong number of columns or an unknown escape is
 * an error, never a guess. Any thread.
 */
#ifndef SLUICE_SOURCE_COPY_ROW_H
#define SLUICE_SOURCE_COPY_ROW_H

#include "protocol/base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* One value as the warehouse prints it. The bytes are writable, and so is the one behind them. */
struct cell {
    char *p; /* NULL: SQL NULL */
    size_t n;
};

/* One row's cells. */
struct cells {
    struct cell *items;
    size_t count;
    bool ascii; /* no byte of the row is above 0x7F */
};

/* Bytes behind the line that must be readable, whatever they are: the scan goes by whole words. */
enum { COPY_ROW_PAD_BYTES = 8 };

/** line[0..n), without its line feed, fills cells->items[0..count). Errors: ERR_INVALID. */
enum err_code copy_row_split(char *line, size_t n, struct cells *cells, struct err *err) MUST_CHECK;

#endif
