/*
 * Drives the stream of one sync: when its model is read as a whole, when changes flow, when a run
 * of it begins and ends. See scheduler/stream/README.md for the rules.
 *
 *   OPENING ─▶ READING ─▶ FLOWING ⇄ ROLLING
 *      ▲          ▲ │         │
 *      │          │ └▶ HELD ──┤
 *      └ RESTING ◀┴───────────┘
 *
 * Owned by the engine, which gives it runs and tells it of verdicts, ends and commits. Invariant:
 * the position in state is behind everything that has no verdict in state. One thread, one loop. A
 * crash here: what was pending is given again by the feed, and asked for.
 */
#ifndef SLUICE_RUN_STREAM_DRIVER_H
#define SLUICE_RUN_STREAM_DRIVER_H

#include "scheduler/run/sync_stream.h"
#include "scheduler/stream/stream.h"

struct stream_driver;

struct stream_host {
    struct event_base *base;
    struct state *state;
    const struct log *log;
    void *ctx;
    /** Nothing stands in the way of a run of the stream: Redis is there, and no other run of the
     * sync is under way or asked for. Otherwise *ret_yield says whether one is asked for. */
    bool (*may_begin)(void *ctx, const struct sync *sync, bool *ret_yield);
    /** ERR_STALE: the model must be read as a whole first. */
    enum err_code (*begin_run)(void *ctx, const struct sync *sync, const struct column *columns,
                               size_t count, struct sync_run **ret_run, struct err *err);
    /** Asks for a run that reads the whole model; hold, snapshot: may be NULL. run:
     * STATE_RUN_ID_MAX + 1 bytes. */
    enum err_code (*ask_read)(void *ctx, const struct sync *sync, const char *trigger,
                              const char *hold, const char *snapshot, char *run, struct err *err);
};

/** Borrows host and sync. */
enum err_code stream_driver_new(const struct stream_host *host, const struct sync *sync,
                                struct stream_driver **ret_driver, struct err *err) MUST_CHECK;
/** Its run must have ended, or is left to the next start. Accepts NULL. */
void stream_driver_free(struct stream_driver *d);

const struct sync *stream_driver_sync(const struct stream_driver *d);
/** The run it feeds; NULL. */
struct sync_run *stream_driver_run(const struct stream_driver *d);
/** Every turn of the engine's loop. */
void stream_driver_turn(struct stream_driver *d);
void stream_driver_settled(struct stream_driver *d, uint64_t mark, uint32_t tries, struct slice key,
                           enum settled_how how);
/** A run of the sync has ended or is held, its own or any other; durable. */
void stream_driver_run_ended(struct stream_driver *d, const struct run_record *r);
enum err_code stream_driver_before_commit(struct stream_driver *d, struct err *err) MUST_CHECK;
void stream_driver_committed(struct stream_driver *d);
/** A change waits for the next commit. */
bool stream_driver_awaits_commit(const struct stream_driver *d);
/** Plans nothing until resumed. */
void stream_driver_pause(struct stream_driver *d, bool paused);
/** Ends its run and gives the source back; nothing begins any more. */
void stream_driver_leave(struct stream_driver *d);
void stream_driver_look(const struct stream_driver *d, struct stream_view *ret);

#endif
