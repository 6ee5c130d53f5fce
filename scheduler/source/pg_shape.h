/*
 * The shape of a model: its columns, and the key that its table declares, without reading rows.
 *
 * For commands: waits for the server. Runs in a READ ONLY transaction that is rolled back.
 * Invariant: no statement of the model is executed, only described and planned. Any thread.
 */
#ifndef SLUICE_SOURCE_PG_SHAPE_H
#define SLUICE_SOURCE_PG_SHAPE_H

#include "protocol/base/arena.h"
#include "protocol/base/err.h"
#include "protocol/config/config.h"

#include <libpq-fe.h>

struct pg_shape {
    struct arena arena;
    const char **columns;
    size_t column_count;
    const char **key; /* columns of the primary key, else of a unique index without nulls */
    size_t key_count; /* 0: none is declared */
};

void pg_shape_done(struct pg_shape *shape);

/**
 * Describes the model's statement. Errors: ERR_CONFIG (not one SELECT), ERR_SQL (the server's own
 * words, no such table among them), ERR_UNREACHABLE.
 */
enum err_code pg_shape_columns(PGconn *conn, const struct model *model, struct pg_shape *ret,
                               struct err *err) MUST_CHECK;
/** Adds the key of model->table; none where the server cannot tell. */
enum err_code pg_shape_key(PGconn *conn, const struct model *model, struct pg_shape *shape,
                           struct err *err) MUST_CHECK;
/** May the model be read? Plans its statement, which checks privileges. Errors: ERR_SQL and the
 * like. */
enum err_code pg_shape_readable(PGconn *conn, const struct model *model,
                                struct err *err) MUST_CHECK;
/** Tables and views that can be read, as `schema.table`, at most limit; *ret in the arena. */
enum err_code pg_shape_tables(PGconn *conn, struct arena *arena, size_t limit, const char ***ret,
                              size_t *ret_count, struct err *err) MUST_CHECK;

#endif
