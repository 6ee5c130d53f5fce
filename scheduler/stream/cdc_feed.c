/*
 * Change data capture from PostgreSQL: its phases, and what its owner asks of it.
 *
 * Reads the sync's stream settings, gives the events of feed.h. Invariant: what is confirmed to the
 * server was confirmed by the owner; after a connection was made, whatever may have been given
 * before comes as a key. A crash here loses nothing: the slot keeps what was not confirmed.
 */
#include "scheduler/stream/cdc_private.h"

#include "protocol/base/clock.h"
#include "scheduler/stream/replication_words.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BACKOFF_FIRST_MS = 200,
    BACKOFF_MOST_MS = 10000,
    STEADY_MS = 5000,         /* a connection that flowed as long was a good one */
    WATCH_STILL_MS = 3000,    /* the slot is looked at, while nothing is read */
    WATCH_FLOWING_MS = 15000, /* and while something is */
    SIDE_STAYS_S = 60,        /* longer than from look to look: keys wait for answers */
    SIDE_LEAVES_S = 5,
    FIT_MS = 30000, /* the tables are looked at */
    SQL_BYTES = 4 << 20,
};

static void tell(struct cdc_feed *f, enum feed_trouble what, const struct err *err)
{
    f->in_event = true;
    f->events.on_trouble(f->events.ctx, what, err);
    f->in_event = false;
}

void cdc_note(struct cdc_feed *f, const char *fmt, ...)
{
    va_list args;
    if (f->note[0])
        return; /* the first one counts */
    va_start(args, fmt);
    vsnprintf(f->note, sizeof f->note, fmt, args);
    va_end(args);
}

void cdc_again_in(struct cdc_feed *f, uint32_t ms)
{
    struct timeval wait = {ms / 1000, ms % 1000 * 1000};
    evtimer_add(f->again, &wait);
}

/* Inside one of the connection's own callbacks it is closed a turn later. */
void cdc_close_link(struct cdc_feed *f)
{
    static const struct timeval now = {0, 0};
    f->snapshot[0] = '\0';
    f->in_transaction = false;
    if (!f->link)
        return;
    if (f->in_link) {
        f->close_link = true;
        evtimer_add(f->later, &now);
        return;
    }
    replication_close(f->link);
    f->link = NULL;
    f->close_link = false;
}

static void stop(struct cdc_feed *f, enum cdc_phase phase)
{
    f->phase = phase;
    f->flow_ms = 0;
    cdc_forget_jobs(f);
    cdc_close_link(f);
}

void cdc_lose(struct cdc_feed *f, const struct err *err)
{
    if (f->phase == CDC_FAILED || f->phase == CDC_RESTING)
        return;
    if (f->flow_ms && clock_mono_ms() - f->flow_ms > STEADY_MS)
        f->backoff_ms = 0;
    f->backoff_ms = f->backoff_ms ? 2 * f->backoff_ms : BACKOFF_FIRST_MS;
    if (f->backoff_ms > BACKOFF_MOST_MS)
        f->backoff_ms = BACKOFF_MOST_MS;
    stop(f, CDC_RESTING);
    cdc_again_in(f, f->backoff_ms);
    tell(f, FEED_LOST, err);
}

void cdc_fail(struct cdc_feed *f, const struct err *err)
{
    if (f->phase == CDC_FAILED)
        return;
    stop(f, CDC_FAILED);
    event_del(f->tick);
    event_del(f->again);
    tell(f, FEED_FAILED, err);
}

void cdc_resync(struct cdc_feed *f, enum err_code code, const char *why)
{
    struct err err;
    f->waits = true;
    f->caught_up = false;
    if (f->phase == CDC_FLOWING)
        cdc_follow(f);
    else
        f->phase = CDC_WAITING;
    err_set(&err, code, "%s", why);
    tell(f, FEED_RESYNC, &err);
}

void cdc_follow(struct cdc_feed *f)
{
    if (f->phase != CDC_FLOWING)
        return;
    if (f->paused || f->waits)
        replication_pause(f->link);
    else
        replication_resume(f->link);
}

void cdc_flows(struct cdc_feed *f, uint64_t horizon)
{
    if (horizon > f->horizon)
        f->horizon = horizon;
    if (horizon > f->end)
        f->end = horizon;
    f->horizon_asked = false;
    if (f->phase != CDC_FLOWING) {
        f->phase = CDC_FLOWING;
        f->flow_ms = clock_mono_ms();
        cdc_mark(f, f->from.lsn); /* where it goes on, so that the owner can go on from there */
    }
    cdc_follow(f);
    tell(f, FEED_BACK, NULL);
}

void cdc_mark(struct cdc_feed *f, uint64_t lsn)
{
    struct feed_position at;
    struct cdc_place place = {f->system, f->timeline, f->cover, f->parts, lsn};
    cdc_place_put(&place, &at);
    f->marked = lsn;
    if (lsn > f->marked_most)
        f->marked_most = lsn;
    f->unmarked = false;
    f->in_event = true;
    f->events.on_mark(f->events.ctx, &at);
    f->in_event = false;
}

/* ---- time ---- */

/* All that was given is settled, and the server's log went on with other things: it is told that
 * they may go. */
static void mark_idle(struct cdc_feed *f)
{
    if (f->phase == CDC_FLOWING && !f->waits && !f->in_transaction && f->confirmed >= f->marked &&
        f->reached > f->marked)
        cdc_mark(f, f->reached);
}

static void watch(struct cdc_feed *f)
{
    int64_t now = clock_mono_ms();
    bool still = f->paused || f->waits;
    if (f->phase != CDC_FLOWING && f->phase != CDC_WAITING)
        return;
    if (now - f->watched_ms >= (still ? WATCH_STILL_MS : WATCH_FLOWING_MS)) {
        f->watched_ms = now;
        cdc_want(f, JOB_WATCH);
        if (f->given_rows.seen < f->given_rows.count)
            cdc_want(f, JOB_SEEN); /* ids go round: none is kept for long */
    }
    if (now - f->fitted_ms >= FIT_MS) {
        f->fitted_ms = now;
        cdc_want(f, JOB_FIT);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    mark_idle(ctx);
    watch(ctx);
}

/* The next try, or the next look at whether a transaction can be seen. */
static void on_again(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct cdc_feed *f = ctx;
    if (f->phase == CDC_RESTING)
        cdc_open(f);
    else if (f->phase == CDC_FLOWING)
        cdc_want(f, JOB_SEEN);
}

static void on_later(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct cdc_feed *f = ctx;
    if (f->close_link)
        cdc_close_link(f);
    if (f->phase == CDC_WAITING && f->read_again)
        cdc_resync(f, f->why_code, f->why);
    f->read_again = false;
}

/* ---- life ---- */

static void free_table(struct cdc_table *t)
{
    free(t->columns);
    free(t->leaves);
}

static void cdc_free(struct feed *feed)
{
    struct cdc_feed *f = (struct cdc_feed *)feed;
    if (!f)
        return;
    ensure(!f->in_event);
    replication_close(f->link);
    side_free(f->side);
    pgoutput_free(f->decoder);
    for (struct event **e = (struct event *[]){f->tick, f->again, f->later, NULL}; *e; e++)
        event_free(*e);
    cdc_unbind(f);
    for (size_t i = 0; i < f->table_count; i++)
        free_table(&f->tables[i]);
    types_done(&f->types);
    for (size_t i = 0; i < f->column_count; i++) {
        free((char *)f->columns[i].name);
        free((char *)f->columns[i].type_name);
    }
    free(f->columns);
    free(f->tables);
    free(f->uncovered);
    free(f->key);
    buf_done(&f->sql);
    buf_done(&f->types_sql);
    free(f);
}

static bool copy_columns(struct cdc_feed *f, const struct feed_options *o)
{
    f->columns = calloc(o->column_count + 1, sizeof *f->columns);
    for (size_t i = 0; i < o->column_count && f->columns; i++) {
        f->columns[i] = (struct column){strdup(o->columns[i].name), strdup(o->columns[i].type_name),
                                        o->columns[i].type};
        f->column_count = i + 1;
        if (!f->columns[i].name || !f->columns[i].type_name)
            return false;
    }
    return f->columns != NULL;
}

static bool make_tables(struct cdc_feed *f)
{
    f->table_count = slot_table_count(f->sync);
    f->tables = calloc(f->table_count + 1, sizeof *f->tables);
    f->uncovered = calloc(f->table_count + 1, sizeof *f->uncovered);
    f->key = calloc(f->sync->model->primary_key_count + 1, sizeof *f->key);
    if (!f->tables || !f->uncovered || !f->key) {
        f->table_count = 0;
        return false;
    }
    for (size_t i = 0; i < f->table_count; i++) {
        f->tables[i].keys = slot_table_keys(f->sync, i);
        f->tables[i].columns = calloc(f->column_count + 1, sizeof *f->tables[i].columns);
        if (!f->tables[i].columns)
            return false;
    }
    return true;
}

/* The key's columns among the model's. Without them there are no rows to give. */
static void find_key(struct cdc_feed *f)
{
    const struct model *model = f->sync->model;
    for (size_t k = 0; k < model->primary_key_count; k++) {
        size_t i = 0;
        while (i < f->column_count && strcmp(f->columns[i].name, model->primary_key[k]) != 0)
            i++;
        f->key_column[k] = (uint16_t)i;
        f->keys_only |= i == f->column_count;
    }
}

static enum err_code make(struct cdc_feed *f, const struct feed_options *o, struct err *err)
{
    struct timeval second = {1, 0};
    f->decoder = pgoutput_new();
    f->tick = event_new(o->base, -1, EV_PERSIST, on_tick, f);
    f->again = evtimer_new(o->base, on_again, f);
    f->later = evtimer_new(o->base, on_later, f);
    if (!f->decoder || !f->tick || !f->again || !f->later || !copy_columns(f, o) ||
        !make_tables(f) || event_add(f->tick, &second))
        return err_set(err, ERR_NOMEM, "no memory for a stream");
    find_key(f);
    if (!f->table_count)
        return err_set(err, ERR_CONFIG, "a stream of changes needs the model's table, or tables");
    return side_new(o->base, o->sync->model->source, f->keys_only ? SIDE_STAYS_S : SIDE_LEAVES_S,
                    &f->side, err);
}

static enum err_code cdc_start(const struct feed_options *o, const struct feed_events *events,
                               struct feed **ret_feed, struct err *err)
{
    const struct model *model = o->sync->model;
    struct cdc_feed *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ERR_NOMEM, "no memory for a stream");
    f->feed.ops = &cdc_feed_ops;
    f->events = *events;
    f->base = o->base;
    f->sync = o->sync;
    f->keys_mode = o->sync->schedule.stream.from == STREAM_KEYS;
    f->keys_only = o->keys_only || f->keys_mode || model->where || model->timezone;
    f->phase = CDC_RESTING;
    types_init(&f->types);
    buf_init(&f->sql, SQL_BYTES);
    buf_init(&f->types_sql, SQL_BYTES);
    slot_names_of(o->sync, o->state_id, &f->names);
    f->placed = cdc_place_get(&o->from, &f->from);
    f->read = f->placed;
    f->watched_ms = f->fitted_ms = clock_mono_ms();
    enum err_code rc = make(f, o, err);
    if (rc) {
        cdc_free(&f->feed);
        return rc;
    }
    cdc_again_in(f, 0); /* nothing is told before the owner has the feed */
    *ret_feed = &f->feed;
    return ERR_OK;
}

/* ---- what the owner asks ---- */

static void cdc_resynced(struct feed *feed)
{
    struct cdc_feed *f = (struct cdc_feed *)feed;
    if (f->phase == CDC_WAITING && f->outdated) {
        /* That read may have begun before the slot that there is now. */
        static const struct timeval now = {0, 0};
        f->outdated = false;
        f->read_again = true;
        evtimer_add(f->later, &now);
        return;
    }
    f->read = true;
    if (f->waits)
        f->why[0] = '\0';
    if (f->phase == CDC_WAITING) {
        cdc_begin(f);
    } else {
        /* Everything as keys until the horizon is known; a connection to be made brings its own. */
        f->waits = false;
        f->horizon_asked = f->phase == CDC_FLOWING;
        if (f->horizon_asked)
            cdc_want(f, JOB_HORIZON);
        cdc_follow(f);
    }
}

static void cdc_pause(struct feed *feed)
{
    struct cdc_feed *f = (struct cdc_feed *)feed;
    f->paused = true;
    cdc_follow(f);
}

static void cdc_resume(struct feed *feed)
{
    struct cdc_feed *f = (struct cdc_feed *)feed;
    f->paused = false;
    cdc_follow(f);
}

static void cdc_confirm(struct feed *feed, const struct feed_position *at)
{
    struct cdc_feed *f = (struct cdc_feed *)feed;
    struct cdc_place place;
    if (!cdc_place_get(at, &place) || place.system != f->system || place.timeline != f->timeline ||
        place.lsn <= f->confirmed || place.lsn > f->marked_most)
        return;
    f->confirmed = place.lsn;
    f->from = place;
    f->placed = true;
    if (f->phase == CDC_STARTING || f->phase == CDC_FLOWING)
        replication_confirm(f->link, place.lsn);
}

static void cdc_lag(const struct feed *feed, struct feed_lag *ret)
{
    const struct cdc_feed *f = (const struct cdc_feed *)feed;
    *ret = (struct feed_lag){.behind_ms = -1, .bytes = -1, .records = -1};
    if (f->phase == CDC_FLOWING && f->caught_up)
        ret->behind_ms = 0;
    else if (f->commit_ms) {
        int64_t behind = f->clock_ms - f->commit_ms + (clock_mono_ms() - f->heard_ms);
        ret->behind_ms = behind > 0 ? behind : 0;
    }
    if (f->confirmed && f->end)
        ret->bytes = f->end > f->confirmed ? (int64_t)(f->end - f->confirmed) : 0;
    if (f->phase == CDC_CREATING)
        snprintf(ret->place, sizeof ret->place, "making the slot: waits for open transactions");
    else if (f->marked)
        replication_lsn_text(f->marked, ret->place);
    snprintf(ret->note, sizeof ret->note, "%s", f->note);
}

static void cdc_horizon(struct feed *feed, uint64_t lsn)
{
    struct cdc_feed *f = (struct cdc_feed *)feed;
    if (lsn > f->horizon)
        f->horizon = lsn;
}

static uint64_t cdc_given_rows(const struct feed *feed)
{
    return ((const struct cdc_feed *)feed)->given_rows.count;
}

static bool cdc_sees(struct feed *feed, uint64_t given)
{
    struct cdc_feed *f = (struct cdc_feed *)feed;
    if (f->phase != CDC_FLOWING || cdc_given_look(&f->given_rows, &f->seen) >= given)
        return true;
    if (given > f->seen_for)
        f->seen_for = given;
    if (!evtimer_pending(f->again, NULL))
        cdc_want(f, JOB_SEEN);
    return false;
}

static const char *cdc_snapshot(const struct feed *feed)
{
    const struct cdc_feed *f = (const struct cdc_feed *)feed;
    return f->snapshot[0] ? f->snapshot : NULL;
}

const struct feed_ops cdc_feed_ops = {
    .start = cdc_start,
    .resynced = cdc_resynced,
    .pause = cdc_pause,
    .resume = cdc_resume,
    .confirm = cdc_confirm,
    .lag = cdc_lag,
    .horizon = cdc_horizon,
    .given_rows = cdc_given_rows,
    .sees = cdc_sees,
    .snapshot = cdc_snapshot,
    .free = cdc_free,
};
