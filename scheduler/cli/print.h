/* What commands print: a run as JSON or as a line of a table, numbers with separators, durations.
 */
#ifndef SLUICE_CLI_PRINT_H
#define SLUICE_CLI_PRINT_H

#include "protocol/base/buf.h"
#include "scheduler/state/runs.h"

#include <stdio.h>

enum { PRINT_NUMBER_BYTES = 32, PRINT_LINE_MAX = 1 << 16 };

/** Calls that may fail, one after another: the first failure is kept. */
#define PUT(rc, call)                                                                              \
    do {                                                                                           \
        if (!(rc))                                                                                 \
            (rc) = (call);                                                                         \
    } while (0)

/** 1234567 as 1,234,567. Returns out. */
const char *print_number(uint64_t n, char out[PRINT_NUMBER_BYTES]);
/** 45 s, 3 min 20 s, 2 h 5 min. Returns out. */
const char *print_duration(uint64_t ms, char out[PRINT_NUMBER_BYTES]);
/** The JSON object of one run, with a line end, to standard output. */
void print_run_json(const struct run_record *r);
/** Header and rows of the table that ends `sluice run` and makes up `sluice runs`. */
void print_run_head(FILE *out);
void print_run_row(FILE *out, const struct run_record *r, bool colour);
/** What to do about a run that did not end well, to standard output. */
void print_run_advice(const struct run_record *r);

#endif
