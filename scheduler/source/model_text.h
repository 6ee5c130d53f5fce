/*
 * The SQL of a read: the model as one statement, and that statement inside what delivers its rows.
 *
 * The model's bytes go in unchanged, so that places in error messages can be traced back. One
 * thread.
 */
#ifndef SLUICE_SOURCE_MODEL_TEXT_H
#define SLUICE_SOURCE_MODEL_TEXT_H

#include "protocol/base/buf.h"
#include "protocol/config/config.h"
#include "scheduler/source/types.h"

/** Appends the relation that a table or dbt model is; nothing for one that is SQL. Errors:
 * ERR_CONFIG. */
enum err_code model_text_relation(const struct model *model, struct buf *out,
                                  struct err *err) MUST_CHECK;

/** Appends the table's name as SQL has it. Errors: ERR_CONFIG (not a name), ERR_NOMEM. */
enum err_code model_text_name(PGconn *conn, const char *table, struct buf *out) MUST_CHECK;

/** Writes the statement of model (table: the relation of a table or dbt model, else NULL). Errors:
 * ERR_CONFIG. */
enum err_code model_text_statement(PGconn *conn, const struct model *model, const char *table,
                                   struct buf *out, struct err *err) MUST_CHECK;

/* What a statement becomes. */
struct window_options;
struct model_read {
    PGconn *conn;
    const PGresult *described; /* of the statement */
    const struct types *types;
    const char *timezone;                /* of timestamps without one; NULL: UTC */
    bool copy;                           /* inside COPY (…) TO STDOUT */
    const struct window_options *window; /* NULL: all rows */
};

/** Appends the text to run; *ret_chars_before counts the characters in front of the statement. */
enum err_code model_text_read(const struct model_read *read, struct slice statement,
                              struct buf *out, size_t *ret_chars_before,
                              struct err *err) MUST_CHECK;

/** Is a column of this type a timestamp without a zone, or an array of such? */
bool model_text_is_zoneless(const struct types *types, Oid oid);

#endif
