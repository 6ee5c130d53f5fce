/*
 * Records as rows of Postgres' COPY text format (PostgreSQL documentation, COPY, "Text Format").
 *
 * Pure; no allocation per record beyond the buffer's own growth.
 */
#ifndef SLUICE_POSTGRES_ROWS_H
#define SLUICE_POSTGRES_ROWS_H

#include "protocol/base/buf.h"
#include "worker/postgres/shape.h"

/** Appends one row and notes its op in the shape. n: its position in the request. Errors: ERR_FULL,
 * ERR_NOMEM, ERR_BUG for a value that cannot be sent. */
enum err_code rows_put(struct buf *out, struct shape *shape, const struct record *r,
                       uint32_t n) MUST_CHECK;

#endif
