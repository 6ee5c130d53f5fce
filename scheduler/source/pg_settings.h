/*
 * What a session must be set to, so that values are printed as convert.h expects them.
 *
 * For the transaction in hand only. A server that refuses a level is asked for the next. Pure.
 */
#ifndef SLUICE_SOURCE_PG_SETTINGS_H
#define SLUICE_SOURCE_PG_SETTINGS_H

#include "protocol/base/buf.h"
#include "protocol/config/config.h"

#include <libpq-fe.h>

enum pg_settings { PG_SETTINGS_ALL, PG_SETTINGS_PORTABLE, PG_SETTINGS_LEAST };

enum {
    PG_VERSION_REDSHIFT_ENDS = 90000,  /* Redshift says 8.0.2 */
    PG_VERSION_NOTICES_CLOSE = 140000, /* sees a closed socket while it computes */
};

/** Appends `SET LOCAL …; ` for each setting. */
enum err_code pg_settings_put(PGconn *conn, const struct source *source, enum pg_settings level,
                              struct buf *out) MUST_CHECK;
/** Appends one SELECT that sets the same, which can be prepared; many_keys: for the plans of
 * questions whose cost depends on how many keys they hold. */
enum err_code pg_settings_put_select(PGconn *conn, const struct source *source,
                                     enum pg_settings level, bool many_keys,
                                     struct buf *out) MUST_CHECK;

#endif
