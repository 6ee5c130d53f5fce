/*
 * The table of schedules: which syncs are due, when each is due next, and why it waits.
 *
 * Reads the project's schedules and is told what happens (runs, pauses, looks at what may have
 * changed); gives the syncs to start. Does nothing by itself: no I/O but reading zones when a
 * project comes in, no clock, no timers. Invariant: a sync is due at most once per time, change or
 * turn of its predecessors, however often it is asked for, and never while a run of it is under
 * way.
 *
 * A turn of the service's loop, about once a second:
 *
 *     n = schedule_due(table, now, starts, 64);           each: begin a run, then schedule_started
 *     schedule_keep(table, into_state, ctx);              before the state's commit
 *
 * At the start: schedule_table_new; schedule_recall with what state has; for the last run of each
 * sync schedule_started and, where it ended or is held, schedule_ran (both ignore what they know).
 * Times are wall clock in ms. Syncs are named, since a run may outlive a reload; names that are not
 * in the project are ignored. One thread.
 */
#ifndef SLUICE_SCHEDULE_SCHEDULE_H
#define SLUICE_SCHEDULE_SCHEDULE_H

#include "protocol/base/slice.h"
#include "protocol/config/config.h"

struct schedule_table;

/** The project is borrowed until the table is freed or has another. Errors: ERR_NOMEM, ERR_CONFIG
 * (a zone's file cannot be read). */
enum err_code schedule_table_new(const struct project *project, int64_t now_ms,
                                 struct schedule_table **ret_table, struct err *err) MUST_CHECK;
/** Accepts NULL. */
void schedule_table_free(struct schedule_table *table);
/**
 * Takes another project. Syncs of the same name keep what is known of them; one whose schedule
 * was changed begins it anew (times before now are not missed). On an error the table is as before.
 */
enum err_code schedule_table_reload(struct schedule_table *table, const struct project *project,
                                    int64_t now_ms, struct err *err) MUST_CHECK;

/* ---- memory ---- */

enum { SCHEDULE_MEMORY_MAX = 256 }; /* bytes of one sync's packed memory */

/** What schedule_keep gave for this sync. ERR_INVALID: bytes that are none; the sync begins anew.
 */
enum err_code schedule_recall(struct schedule_table *table, const char *sync, struct slice packed,
                              int64_t now_ms, struct err *err) MUST_CHECK;
/** Takes the bytes; they are borrowed. An error ends the round; the rest is given again next time.
 */
typedef enum err_code (*schedule_keep_cb)(void *ctx, const char *sync, struct slice packed,
                                          struct err *err);
/** Gives the memory of each sync for which it changed since it was last given. */
enum err_code schedule_keep(struct schedule_table *table, schedule_keep_cb cb, void *ctx,
                            struct err *err) MUST_CHECK;

/* ---- what is due ---- */

struct schedule_start {
    const struct sync *sync;
    int64_t scheduled_ms; /* the time that made it due: the latest, where several were missed */
};
/**
 * The syncs to start now, most urgent first (priority, then scheduled_ms): those that are due, have
 * no run under way and are not blocked. Each is given again until schedule_started.
 */
size_t schedule_due(struct schedule_table *table, int64_t now_ms, struct schedule_start *ret,
                    size_t max);

/* ---- what happens ---- */

/** A run of the sync was accepted at now_ms, by its schedule or by hand (it may still wait for a
 * warehouse connection; one that waits for the sync's run before it is told when that has ended).
 * It takes in what was due until then. Told again of a held run: it goes on. Told of another while
 * one is held: that one is superseded. */
void schedule_started(struct schedule_table *table, const char *sync, const char *run,
                      int64_t now_ms);

enum schedule_status {
    SCHEDULE_RAN_SUCCESS,
    SCHEDULE_RAN_WARNING,
    SCHEDULE_RAN_FAILED,
    SCHEDULE_RAN_CANCELLED, /* by people; so is the end of a hold that was rejected or superseded */
    SCHEDULE_RAN_HELD,      /* has not ended: its sync is not due until it has */
};
/** now_ms: of its end. At the start these two are told the run's own times, not the clock's: what
 * came due after them is still owed. A run that is older than the known one, which then was
 * accepted and has not begun, is taken for the last, and those after it are not told again. */
void schedule_ran(struct schedule_table *table, const char *sync, const char *run,
                  enum schedule_status status, int64_t now_ms);

/* Why a sync must not start, whatever its schedule says; not part of its memory. */
enum schedule_block {
    SCHEDULE_BLOCK_PAUSED = 1,
    SCHEDULE_BLOCK_DESTINATION_PAUSED = 2,
};
void schedule_block(struct schedule_table *table, const char *sync, enum schedule_block why,
                    bool on);

/* ---- looks: on_change and dbt; scheduler/schedule/watch.h does all of this ---- */

enum { SCHEDULE_TOKEN_BYTES = 16 }; /* digest of what was seen: an answer, an invocation */

/** The syncs whose query or file should be looked at now. Each is given once, and again only after
 * schedule_looked or schedule_look_failed and its interval. A query rests while its sync could not
 * start; a file, which dbt writes over, does not. */
size_t schedule_looks(struct schedule_table *table, int64_t now_ms, const struct sync **ret,
                      size_t max);
/** Another token than the one a run has taken in makes the sync due; so does the first ever. */
void schedule_looked(struct schedule_table *table, const char *sync,
                     const uint8_t token[SCHEDULE_TOKEN_BYTES], int64_t now_ms);
/** Nothing was seen; why, in words, is kept for schedule_why. */
void schedule_look_failed(struct schedule_table *table, const char *sync, const char *why,
                          int64_t now_ms);

/* ---- views ---- */

/** The next start by time, 0 where none is known: manual, after, on_change, dbt, stream. In the
 * past while the sync is due and waits. */
int64_t schedule_next_ms(const struct schedule_table *table, const char *sync);
enum { SCHEDULE_WHY_BYTES = 200 };
/** Why the sync does not run now, in words, into out (SCHEDULE_WHY_BYTES); empty where it only
 * waits for its time, is manual or streams. Returns out. */
const char *schedule_why(const struct schedule_table *table, const char *sync, char *out);
/** The earliest time at which schedule_due or schedule_looks may give something new; INT64_MAX:
 * not by time alone. */
int64_t schedule_wake_ms(const struct schedule_table *table);

enum { SCHEDULE_WORDS_BYTES = 200 };
/** "every 15m", "0 6 * * 1-5 (Europe/Berlin)", "after orders", …: into out, which it returns. */
const char *schedule_words(const struct sync *sync, char *out);

#endif
