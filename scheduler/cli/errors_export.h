/*
 * The records of `sluice errors` as a file for other programs: CSV (RFC 4180) or one JSON object a
 * line.
 *
 * Takes records one by one, keeps none. Never writes over a file that is there.
 */
#ifndef SLUICE_CLI_ERRORS_EXPORT_H
#define SLUICE_CLI_ERRORS_EXPORT_H

#include "protocol/base/buf.h"
#include "scheduler/state/rejected.h"

#include <stdio.h>

struct errors_export {
    FILE *file;
    const char *path;
    bool csv;
    struct buf line;
    uint64_t count;
    enum err_code failed;
};

/** By the name's end: .csv, .ndjson or .jsonl; "-" is standard output, as NDJSON. Errors:
 * ERR_USAGE, and those of writing. */
enum err_code errors_export_open(struct errors_export *x, const char *path,
                                 struct err *err) MUST_CHECK;
/** False after a failure, which errors_export_close tells. */
bool errors_export_put(struct errors_export *x, const char *sync, const struct rejected *r);
/** Nothing is left where it fails, or where failed is set. */
enum err_code errors_export_close(struct errors_export *x, bool failed, struct err *err) MUST_CHECK;

/** Appends {"sync":…,"verdict":…,"key":…,"message":…,"run":…,"time":…,"kills":…} and a line end. */
enum err_code errors_put_json(struct buf *b, const char *sync, const struct rejected *r) MUST_CHECK;

#endif
