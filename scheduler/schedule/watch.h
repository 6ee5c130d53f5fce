/*
 * Looks at what schedules wait for: asks the on_change queries, reads dbt's run_results.json.
 *
 * Reads warehouses (one statement, read-only, one row and column) and files on the event loop;
 * tells the table what was seen. No connection is held between looks; at most WATCH_LOOKS_MAX are
 * under way. Syncs that ask the same query of the same source share one answer. A failed look is
 * tried again after the schedule's interval. A crash here loses nothing: the table's memory holds
 * what a run has taken in, and what was seen since.
 */
#ifndef SLUICE_SCHEDULE_WATCH_H
#define SLUICE_SCHEDULE_WATCH_H

#include "scheduler/schedule/schedule.h"

struct event_base;
struct schedule_watch;

enum { WATCH_LOOKS_MAX = 4 };

struct schedule_watch_events {
    /** A look failed with other words than the one before; for the log. */
    void (*on_failed)(void *ctx, const char *sync, const struct err *err);
    /** A look ended, so that schedule_due may give something new. */
    void (*on_looked)(void *ctx);
    void *ctx;
};

/** The table is borrowed until the watch is freed. */
enum err_code schedule_watch_new(struct event_base *base, struct schedule_table *table,
                                 const struct schedule_watch_events *events,
                                 struct schedule_watch **ret_watch, struct err *err) MUST_CHECK;
/** Ends the looks under way without a word to the table. Accepts NULL. Not inside its callbacks. */
void schedule_watch_free(struct schedule_watch *watch);
/** Begins the looks that are due; call it each second or so. */
void schedule_watch_turn(struct schedule_watch *watch, int64_t now_ms);
/** After schedule_table_reload, before the old project is freed: ends the looks under way, which
 * the table has forgotten and gives again. */
void schedule_watch_reset(struct schedule_watch *watch);

#endif
