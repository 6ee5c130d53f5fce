/*
 * The SQL of one batch: a staging table and its COPY, then a statement per operation from there
 * into the table, in one transaction.
 *
 * A function of the batch's shape and the table's columns. Every name is quoted; no value of a row
 * is ever part of the text.
 */
#ifndef SLUICE_POSTGRES_STATEMENTS_H
#define SLUICE_POSTGRES_STATEMENTS_H

#include "protocol/base/buf.h"
#include "worker/postgres/shape.h"

struct table_column {
    const char *name;
    const char *type; /* as format_type prints it */
    bool is_array;
    bool is_bytes;
};

/* A table as the server knows it. */
struct table {
    const char *name; /* quoted, with its schema where that is needed */
    const struct table_column *columns;
    size_t count;
};

/** The query that tells a table's columns: name, type, is an array, is bytea, quoted name. $1: the
 * table as written. */
extern const char statements_columns[];

/** Appends BEGIN, the staging table and COPY … FROM STDIN. timeout_ms: after which the server gives
 * a statement up by itself. */
enum err_code statements_put_load(struct buf *out, const struct shape *shape,
                                  uint64_t timeout_ms) MUST_CHECK;

/**
 * Appends what follows the COPY, COMMIT included. The only query among them that gives rows names
 * the positions of updates whose record does not exist. Errors: ERR_CONFIG for a column that the
 * table does not have, ERR_FULL, ERR_NOMEM.
 */
enum err_code statements_put_write(struct buf *out, const struct shape *shape,
                                   const struct table *table, struct err *err) MUST_CHECK;

#endif
