/*
 * The SQL of a window: its condition, and which transactions are open. One thread.
 */
#ifndef SLUICE_SOURCE_PG_WINDOW_H
#define SLUICE_SOURCE_PG_WINDOW_H

#include "scheduler/source/model_text.h"
#include "scheduler/source/window.h"

/** Appends what follows the model in parentheses: WHERE … ORDER BY …. Errors: ERR_CONFIG. */
enum err_code pg_window_put_condition(const struct model_read *read, const struct window_options *w,
                                      struct buf *out, struct err *err) MUST_CHECK;
/** The question before the transaction: has all ended that was open? */
enum err_code pg_window_put_ended(PGconn *conn, const struct window_options *w,
                                  struct buf *out) MUST_CHECK;
/** The first question in it, which makes its snapshot: what is open? */
enum err_code pg_window_put_open(PGconn *conn, struct buf *out) MUST_CHECK;

bool pg_window_is_ended(const PGresult *answer);
/** Fills in all but ended; borrows from answer. */
enum err_code pg_window_take_open(const PGresult *answer, struct window_place *ret,
                                  struct err *err) MUST_CHECK;

#endif
