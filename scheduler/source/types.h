/*
 * PostgreSQL's types: which converter a column gets, and what has to be asked from pg_type for
 * that.
 *
 * The usual types are built in. Anything else (arrays, domains, enums, extensions) is looked up:
 * while types_missing gives oids, the caller runs types_query's statement and hands the answer to
 * types_learn. Invariant: types_converter is called only when nothing is missing. One thread.
 */
#ifndef SLUICE_SOURCE_TYPES_H
#define SLUICE_SOURCE_TYPES_H

#include "protocol/base/arena.h"
#include "protocol/base/value.h"
#include "scheduler/source/convert.h"

#include <libpq-fe.h>

struct pg_type {
    Oid oid;
    const char *name;
    enum column_type column;
    enum convert_kind convert;
    char delimiter; /* between elements, when this type is an array's element */
    Oid base;       /* of a domain; otherwise 0 */
    Oid element;    /* of an array; otherwise 0 */
};

struct types {
    struct arena arena;
    struct pg_type *learned;
    size_t count;
    size_t cap;
};

void types_init(struct types *t);
void types_done(struct types *t);

/** NULL when the type is not known yet. */
const struct pg_type *types_find(const struct types *t, Oid oid);

/**
 * Writes the query for those types that oids[0..count) lead to and that are not known yet, into
 * *sql (reset first). *sql stays empty when none is missing. Errors: ERR_NOMEM, ERR_FULL.
 */
enum err_code types_query(const struct types *t, const Oid *oids, size_t count, struct buf *sql,
                          struct err *err) MUST_CHECK;
/** Takes in that query's answer. Errors: ERR_NOMEM; ERR_SQL when it brings nothing new. */
enum err_code types_learn(struct types *t, const PGresult *answer, struct err *err) MUST_CHECK;

/** What a column of this type is, domains seen through. */
enum column_type types_column(const struct types *t, Oid oid);
/** The converter, owned by t. NULL when memory is out or domains and arrays nest too deeply. */
const struct converter *types_converter(struct types *t, Oid oid) MUST_CHECK;

#endif
