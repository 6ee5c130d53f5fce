/*
 * Logs in the warehouse: writes the history of runs to tables that analysts can query.
 *
 * A run is written after it ended, from state: at least once, and idempotent by its id. What was
 * written last is kept in state per sync, so that a restart goes on there. The connection is opened
 * for what there is to write and closed after it; trouble is waited for with growing pauses, and no
 * run notices. The engine itself still needs nothing but SELECT. The loop's thread.
 *
 *            work      open       tables there        written, more
 *   IDLE ───────▶ OPEN ────▶ SETUP ──────────▶ WRITE ◀─────────┐
 *     ▲                                          │─────────────┘
 *     └── trouble: a pause; or nothing is left ──┘
 */
#ifndef SLUICE_REPORT_WAREHOUSE_H
#define SLUICE_REPORT_WAREHOUSE_H

#include "scheduler/service/control.h"

struct event_base;
struct warehouse;

/** *ret_warehouse is NULL where the project asks for no log. Errors: ERR_NOMEM. */
enum err_code warehouse_new(struct event_base *base, struct control *c, const struct log *log,
                            struct warehouse **ret_warehouse, struct err *err) MUST_CHECK;
/** Drops what is on its way: it is written by the next one. Accepts NULL, as the others do. */
void warehouse_free(struct warehouse *w);
/** A run of the sync ended. */
void warehouse_run(struct warehouse *w, const char *sync);
/** Twice a second. */
void warehouse_turn(struct warehouse *w);

#endif
