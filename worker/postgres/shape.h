/*
 * What a batch is to a table: its columns, its keys, how each column is written, which operations
 * occur. Plain data between rendering (rows.h), the statements (statements.h) and the session.
 *
 * Rows travel as text in one staging table, sluice_in: _n position, _op letter, _a a digit per
 * field (1: not sent), k0… the keys, f0… the fields; the statements cast them to the table's own
 * types.
 */
#ifndef SLUICE_POSTGRES_SHAPE_H
#define SLUICE_POSTGRES_SHAPE_H

#include "protocol/base/arena.h"
#include "protocol/base/err.h"
#include "protocol/wire/batch.h"

enum { POSTGRES_COLUMNS_MAX = 1600 }; /* Postgres' own */

struct shape {
    const char *table; /* as the sync's `object` names it */
    const char *const *keys;
    size_t key_count;
    const char *const *fields;
    size_t field_count;
    const uint8_t *policies; /* one per field: enum field_policy */
    int32_t newest;          /* the field that says how new a record is; -1: none */
    uint32_t ops;            /* bit per record_op that occurs */
    bool absent;             /* some field of some record is not sent */
    uint32_t records;
};

/** Everything in arena; ops, absent and records are filled by rows_put. Errors: ERR_CONFIG (a
 * nested field, a field twice, too many), ERR_NOMEM. */
enum err_code shape_make(struct arena *a, const struct batch_head *head, struct shape *ret_shape,
                         struct err *err) MUST_CHECK;

/** The letter of an op in _op. */
char shape_op(enum record_op op);

#endif
