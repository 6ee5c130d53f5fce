/*
 * A point in time, as programs write it: a date, an RFC 3339 time, Unix time in seconds or
 * milliseconds.
 *
 * Reads any of them, writes the one that is wanted; a fraction keeps the digits it has, to nine.
 * Pure; any thread.
 */
#ifndef SLUICE_MAP_MOMENT_H
#define SLUICE_MAP_MOMENT_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

enum { MOMENT_BYTES = 40 };
enum date_format { DATE_RFC3339, DATE_DATE, DATE_UNIX, DATE_UNIX_MS };

/** Without white space around it; a time without zone is in UTC. out has MOMENT_BYTES. Errors:
 * ERR_INVALID. */
enum err_code moment_text(struct slice s, enum date_format format, char *out, size_t *ret_n,
                          struct err *err) MUST_CHECK;

#endif
