/*
 * What PostgreSQL says went wrong, as one sentence: message, SQLSTATE, place in the model, detail,
 * hint.
 *
 * Never a connection string and never a password. Pure.
 */
#ifndef SLUICE_SOURCE_PG_ERROR_H
#define SLUICE_SOURCE_PG_ERROR_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

#include <libpq-fe.h>

/* Where the model's text lies in the statement that was sent. */
struct pg_statement_place {
    struct slice model;
    size_t chars_before; /* the program's own, in front of it */
};

/** A connection that was not made. code: the one to use unless the words tell of credentials.
 * Returns the code set. */
enum err_code pg_error_connection(PGconn *conn, enum err_code code, struct err *err);

/** A failed result; place may be NULL. Returns the code set: ERR_SQL, ERR_TIMEOUT, ERR_UNREACHABLE
 * … */
enum err_code pg_error_result(const PGresult *result, const struct pg_statement_place *place,
                              struct err *err);

#endif
