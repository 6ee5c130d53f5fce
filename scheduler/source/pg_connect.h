/*
 * How a source's parameters become a connection to PostgreSQL.
 *
 * Reads a source's configuration; for the event loop only the start (pg_link.h goes on from there),
 * for commands the whole, waiting. Invariant: no message holds a password. Any thread.
 */
#ifndef SLUICE_SOURCE_PG_CONNECT_H
#define SLUICE_SOURCE_PG_CONNECT_H

#include "protocol/base/err.h"
#include "protocol/config/config.h"

#include <libpq-fe.h>

/** Begins to connect; PQconnectPoll goes on. Errors: ERR_CONFIG (the url), ERR_NOMEM. Owned:
 * PQfinish. */
enum err_code pg_connect_start(const struct source *source, PGconn **ret,
                               struct err *err) MUST_CHECK;
/** How long the handshake may take, all hosts together; 0: as long as it wants. */
long pg_connect_seconds(PGconn *conn);

/** Connects and waits for it. Errors: also ERR_UNREACHABLE, ERR_DENIED, ERR_TIMEOUT. Owned:
 * PQfinish. */
enum err_code pg_connect(const struct source *source, PGconn **ret, struct err *err) MUST_CHECK;

#endif
