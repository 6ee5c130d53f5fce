/* Phases of a stream. Reads: the sync's schedule, its memory. Writes: the memory. Invariant: no run
 * of the stream is fed while the model is to be read as a whole. */
#include "scheduler/run/stream_driver.h"

#include "protocol/base/clock.h"
#include "scheduler/run/approval.h"
#include "scheduler/run/stream_private.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/part.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    REST_FIRST_MS = 1000,
    REST_MOST_MS = 60000,
    ROLL_CHANGES = 1000000,
    SAVE_MS = 1000,
    COLUMN_BYTES_MAX = 1 << 20,
};

/* ---- life ---- */

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    stream_driver_turn(arg);
}

void stream_soon(struct stream_driver *d, uint32_t ms)
{
    struct timeval t = {ms / 1000, (ms % 1000) * 1000};
    event_add(d->soon, &t);
}

static const struct feed_ops *ops_of(enum stream_from from)
{
    switch (from) {
    case STREAM_POLL:
        return &poll_feed_ops;
    case STREAM_EVENTS:
        return &events_feed_ops;
    case STREAM_CDC:
    case STREAM_KEYS:
        break;
    }
    return &cdc_feed_ops;
}

enum err_code stream_driver_new(const struct stream_host *host, const struct sync *sync,
                                struct stream_driver **ret_driver, struct err *err)
{
    struct stream_driver *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(err, ERR_NOMEM, "stream: no memory");
    d->host = *host;
    d->sync = sync;
    d->drift = -1;
    d->ops = ops_of(sync->schedule.stream.from);
    arena_init(&d->arena, COLUMN_BYTES_MAX);
    stream_forget_init(&d->passing);
    buf_init(&d->key, KEY_BYTES_MAX + 512);
    d->pending = pending_new();
    d->marks = marks_new();
    d->soon = evtimer_new(host->base, on_soon, d);
    enum err_code rc = d->pending && d->marks && d->soon
                           ? stream_memory_load(host->state, sync->name, &d->memory, err)
                           : err_set(err, ERR_NOMEM, "stream: no memory");
    if (rc) {
        stream_driver_free(d);
        return rc;
    }
    d->saved = d->memory.at;
    *ret_driver = d;
    return ERR_OK;
}

/* More is settled than state will know. */
static bool has_moved(const struct stream_driver *d)
{
    const struct feed_position *settled = marks_settled(d->marks);
    return d->feed && settled->n && memcmp(settled, &d->memory.at, sizeof *settled) != 0;
}

/* What is pending is given again by the feed, from the position in state. */
static void close_feed(struct stream_driver *d)
{
    if (has_moved(d)) {
        d->memory.at = *marks_settled(d->marks);
        d->memory_changed = true;
    }
    if (d->feed)
        d->ops->free(d->feed);
    d->feed = NULL;
    d->feed_flows = d->feed_paused = d->feed_over = d->reopens = d->resync_owed = false;
    pending_clear(d->pending);
    stream_forget_reset(d);
    marks_reset(d->marks, &d->memory.at);
    d->confirmed = (struct feed_position){0};
    d->coalesced = d->half = 0;
    d->ask_given = d->read_given = d->roll_given = 0;
}

static void close_all(struct stream_driver *d)
{
    close_feed(d);
    stream_ask_close(d);
    d->columns_stale = d->columns_differ = false;
    d->down = false;
    d->again_ms = d->ask_again_ms = 0;
    d->sample_count = d->sample_next = 0;
    d->flows_since_ms = 0;
}

void stream_driver_free(struct stream_driver *d)
{
    if (!d)
        return;
    if (d->soon)
        event_free(d->soon);
    if (d->pending && d->marks)
        close_all(d);
    pending_free(d->pending);
    marks_free(d->marks);
    stream_forget_done(&d->passing);
    arena_done(&d->arena);
    buf_done(&d->key);
    free(d);
}

const struct sync *stream_driver_sync(const struct stream_driver *d)
{
    return d->sync;
}

struct sync_run *stream_driver_run(const struct stream_driver *d)
{
    return d->run;
}

/* ---- memory ---- */

void stream_remember(struct stream_driver *d)
{
    d->memory_changed = true;
    stream_soon(d, 0);
}

enum err_code stream_driver_before_commit(struct stream_driver *d, struct err *err)
{
    bool moved = has_moved(d);
    enum err_code rc = stream_forget_passed(d, err);
    if (rc || (!moved && !d->memory_changed))
        return rc;
    if (moved)
        d->memory.at = *marks_settled(d->marks);
    d->memory_changed = false;
    d->saved = d->memory.at;
    d->saved_ms = clock_mono_ms();
    return stream_memory_keep(d->host.state, d->sync->name, &d->memory, err);
}

static void on_landed(void *ctx, struct slice key)
{
    struct stream_driver *d = ctx;
    pending_wake(d->pending, key);
    stream_soon(d, 0);
}

bool stream_driver_awaits_commit(const struct stream_driver *d)
{
    return d->run && sync_run_awaits_commit(d->run);
}

void stream_driver_committed(struct stream_driver *d)
{
    if (d->run)
        sync_run_landed(d->run, on_landed, d);
    if (!d->feed || !d->saved.n || memcmp(&d->saved, &d->confirmed, sizeof d->saved) == 0)
        return;
    d->confirmed = d->saved;
    d->ops->confirm(d->feed, &d->saved);
}

/* Verdicts bring commits with them; where there are none, the position moves all the same. */
static void save_in_time(struct stream_driver *d)
{
    struct err err;
    bool due = d->memory_changed || (has_moved(d) && clock_mono_ms() - d->saved_ms >= SAVE_MS);
    if (due && stream_driver_before_commit(d, &err))
        stream_rest(d, err.text);
}

/* ---- when something is wrong ---- */

static void end_run(struct stream_driver *d)
{
    if (!d->run || d->finishing)
        return;
    d->finishing = true;
    sync_run_finish(d->run);
}

/* A run that reads the model may begin as soon as this one has ended. */
static void end_run_when_seen(struct stream_driver *d)
{
    if (stream_sees(d, d->roll_given))
        end_run(d);
}

void stream_rest(struct stream_driver *d, const char *why)
{
    uint32_t wait = (uint32_t)REST_FIRST_MS << (d->rests < 6 ? d->rests : 6);
    if (wait > REST_MOST_MS)
        wait = REST_MOST_MS;
    if (why != d->why)
        snprintf(d->why, sizeof d->why, "%.*s", STREAM_WHY_MAX, why);
    if (d->phase != STREAM_RESTING || d->rests == 0)
        log_event(d->host.log, LOG_WARN, "stream_rests", LOG_STR("sync", d->sync->name),
                  LOG_STR("reason", d->why), LOG_INT("again_ms", wait));
    d->rests++;
    d->phase = STREAM_RESTING;
    d->rest_until_ms = clock_mono_ms() + wait;
    end_run(d);
    stream_soon(d, 0);
}

void stream_want_read(struct stream_driver *d, const char *why, const char *hold)
{
    d->memory.wanted_ms = clock_wall_ms();
    bool first = !*d->memory.reread;
    if (first || hold) {
        snprintf(d->memory.reread, sizeof d->memory.reread, "%.*s", STREAM_WHY_MAX, why);
        snprintf(d->memory.hold, sizeof d->memory.hold, "%.*s", STREAM_WHY_MAX, hold ? hold : "");
    }
    if (first)
        log_event(d->host.log, LOG_INFO, "stream_reads", LOG_STR("sync", d->sync->name),
                  LOG_STR("reason", hold ? hold : why));
    d->phase = STREAM_READING;
    d->read_run[0] = '\0';
    d->read_ms = 0;
    end_run(d);
    stream_remember(d);
}

/* ---- opening ---- */

static enum err_code open_feed(struct stream_driver *d, struct err *err)
{
    char origin[STATE_ID_BYTES];
    if (state_sync_origin(d->host.state, d->sync->name, origin, err))
        return err->code;
    struct feed_options o = {
        .base = d->host.base,
        .sync = d->sync,
        .state_id = origin,
        .columns = d->columns,
        .column_count = d->column_count,
        .from = d->memory.at,
    };
    struct feed_events events = stream_feed_events;
    events.ctx = d;
    marks_reset(d->marks, &d->memory.at);
    return d->ops->start(&o, &events, &d->feed, err);
}

static enum err_code look_for_source(struct stream_driver *d, struct err *err)
{
    bool events = d->sync->schedule.stream.from == STREAM_EVENTS;
    enum err_code rc = ERR_OK;
    if (events && !d->ask_ready)
        rc = stream_columns_of_events(d, err);
    else if (!events && !d->ask)
        rc = stream_ask_open(d, err);
    if (!rc && d->ask_ready && !d->feed)
        rc = open_feed(d, err);
    return rc;
}

/* After a read: the feed goes on, or is opened anew where it knows other columns. */
static bool described_anew(struct stream_driver *d)
{
    if (!d->ask_ready)
        return false;
    d->columns_stale = false;
    if (d->columns_differ) {
        d->columns_differ = false;
        close_feed(d);
        stream_soon(d, 0);
        return false;
    }
    if (d->resync_owed)
        d->ops->resynced(d->feed);
    d->resync_owed = false;
    return true;
}

static void opening_turn(struct stream_driver *d)
{
    struct err err;
    if (d->ask_failed) {
        stream_rest(d, d->why);
        return;
    }
    if (look_for_source(d, &err)) {
        stream_rest(d, err.text);
        return;
    }
    if (d->columns_stale && !described_anew(d))
        return;
    if (!d->feed_flows)
        return;
    bool lost = false;
    if (resync_wanted(d->host.state, d->sync->name, &lost, &err)) {
        stream_rest(d, err.text);
        return;
    }
    if (stream_is_held(d))
        return;
    bool whole = !d->ask || (d->memory.synced && !*d->memory.reread && !lost);
    if (!whole) {
        stream_want_read(d,
                         *d->memory.reread ? d->memory.reread
                         : lost            ? "state was lost"
                                           : "the first time",
                         *d->memory.hold ? d->memory.hold : NULL);
        return;
    }
    d->phase = STREAM_FLOWING;
    d->rests = 0;
    d->why[0] = '\0';
    d->flows_since_ms = clock_wall_ms();
    log_event(d->host.log, LOG_INFO, "stream_flows", LOG_STR("sync", d->sync->name));
}

/* ---- runs ---- */

static void own_run_ended(struct stream_driver *d, const struct run_record *r)
{
    bool asked_to_end = d->finishing;
    d->run = NULL;
    d->finishing = false;
    if (d->phase == STREAM_ROLLING)
        d->phase = STREAM_FLOWING;
    bool well = r->status == RUN_SUCCESS || r->status == RUN_WARNING;
    if (well && asked_to_end)
        return;
    if (d->phase == STREAM_FLOWING || d->phase == STREAM_OPENING)
        stream_rest(d, *r->error ? r->error : "its run was stopped");
}

void stream_driver_run_ended(struct stream_driver *d, const struct run_record *r)
{
    if (d->run && strcmp(sync_run_record(d->run)->id, r->id) == 0)
        own_run_ended(d, r);
    else if (!r->stream)
        stream_read_ended(d, r);
    stream_soon(d, 0);
}

static void begin_run(struct stream_driver *d)
{
    struct err err;
    bool yield;
    if (!d->host.may_begin(d->host.ctx, d->sync, &yield))
        return;
    enum err_code rc =
        d->host.begin_run(d->host.ctx, d->sync, d->columns, d->column_count, &d->run, &err);
    if (rc == ERR_STALE) {
        d->columns_stale = true;
        stream_want_read(d, err.text, NULL);
    } else if (rc) {
        stream_rest(d, err.text);
    } else {
        d->run_ms = clock_mono_ms();
        d->finishing = false;
        sync_run_set_hour(d->run, &d->memory.hour);
        if (d->ask && d->memory.of != stream_digest(d->sync, sync_run_record(d->run)->mapping))
            stream_want_read(d, "the model or the mapping changed", NULL);
    }
}

/* At a quiet moment where there is one: then nothing waits for the last verdicts. */
static bool is_roll_due(const struct stream_driver *d)
{
    int64_t passed = clock_mono_ms() - d->run_ms, roll = (int64_t)d->sync->schedule.stream.roll_ms;
    uint64_t changes = sync_run_changes(d->run);
    if (!changes || (passed < roll && changes < ROLL_CHANGES))
        return false;
    bool late = passed >= roll + roll / 10 || changes >= ROLL_CHANGES + ROLL_CHANGES / 10;
    return late || !sync_run_in_flight(d->run);
}

static bool is_reconcile_due(const struct stream_driver *d)
{
    int64_t every = (int64_t)d->sync->schedule.stream.reconcile_ms;
    return every && d->ask && clock_wall_ms() - d->memory.read_ms >= every;
}

static void flowing_turn(struct stream_driver *d)
{
    bool yield = false;
    if (!d->run) {
        if (!d->leaving)
            begin_run(d);
        if (!d->run || d->phase != STREAM_FLOWING)
            return;
    }
    (void)d->host.may_begin(d->host.ctx, d->sync, &yield);
    if (d->reopens) {
        stream_rest(d, d->why);
    } else if (is_reconcile_due(d)) {
        stream_want_read(d, stream_reconcile, NULL);
    } else if (yield || is_roll_due(d)) {
        d->phase = STREAM_ROLLING;
        d->roll_given = stream_given(d);
        end_run_when_seen(d);
    } else {
        stream_plan(d);
    }
}

/* ---- turns ---- */

/* A feed that failed may do so inside one of its own callbacks: it is closed here. */
static void check_feed(struct stream_driver *d)
{
    if (d->feed_over && d->phase != STREAM_RESTING)
        stream_rest(d, d->why);
}

void stream_driver_turn(struct stream_driver *d)
{
    if (d->leaving)
        return;
    check_feed(d);
    stream_sample(d);
    switch (d->phase) {
    case STREAM_OPENING:
        opening_turn(d);
        break;
    case STREAM_READING:
        stream_reading_turn(d);
        break;
    case STREAM_FLOWING:
        flowing_turn(d);
        break;
    case STREAM_RESTING:
        if (d->run)
            break;
        if (d->feed || d->ask)
            close_all(d);
        if (clock_mono_ms() >= d->rest_until_ms)
            d->phase = STREAM_OPENING;
        break;
    case STREAM_ROLLING:
        end_run_when_seen(d);
        break;
    case STREAM_HELD:
    case STREAM_PAUSED:
        break;
    }
    save_in_time(d);
}

void stream_driver_pause(struct stream_driver *d, bool paused)
{
    d->paused = paused;
    stream_soon(d, 0);
}

void stream_driver_leave(struct stream_driver *d)
{
    struct err err;
    d->leaving = true;
    end_run(d);
    if (stream_driver_before_commit(d, &err))
        log_event(d->host.log, LOG_WARN, "stream_not_saved", LOG_STR("sync", d->sync->name),
                  LOG_STR("reason", err.text));
}
