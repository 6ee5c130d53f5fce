/*
 * The SQL that wakes a poll early: triggers that NOTIFY, for people to run. For commands: waits for
 * the server. Any thread.
 */
#ifndef SLUICE_STREAM_POLL_SQL_H
#define SLUICE_STREAM_POLL_SQL_H

#include "protocol/base/buf.h"
#include "protocol/config/config.h"

#include <libpq-fe.h>

/**
 * Appends the statements for a sync with `from: poll`: a function, and a statement-level trigger on
 * each table that its model reads, as the server plans it. Runs nothing but the model's EXPLAIN, in
 * a READ ONLY transaction. Errors: ERR_SQL, ERR_CONFIG, ERR_UNREACHABLE, ERR_NOMEM.
 */
enum err_code poll_feed_sql(const struct sync *sync, PGconn *conn, struct buf *out,
                            struct err *err) MUST_CHECK;

#endif
