/*
 * Poll: looks every so often for rows whose cursor is not below what was passed.
 *
 * Reads windows of the model, each in a READ ONLY transaction and a connection of its own. Gives
 * their rows. Invariant: `low` is only passed to a place when everything that may still lie below
 * it was committed before a look that read from the low before: the transactions that were open at
 * the look which saw that place have ended. A crash here loses nothing: the position is that low.
 *
 *   BASE ─▶ WAIT ─▶ STANDING ─▶ FLOWING ─▶ FAILED
 *    where to    until what was     │  ▲
 *    begin       open has ended     └──┘ the model must be read anew
 */
#include "scheduler/stream/poll_private.h"

#include "protocol/base/clock.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    AGAIN_FIRST_MS = 100,
    AGAIN_MOST_MS = 5000,
    WAIT_LOOK_MS = 300,         /* from look to look while the first place is waited for */
    WAIT_MOST_MS = 60 * 1000,   /* then the model is read, and once more when it has ended */
    NOTIFY_GAP_MS = 50,         /* from look to look however often it is notified */
    PAUSED_MOST_MS = 60 * 1000, /* a look that stands longer gives its snapshot back */
    TURN_ROWS = 500,
    RUNNING_BYTES = 1 << 20,
};

static void set_timer(struct event *timer, int64_t ms)
{
    struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
    evtimer_add(timer, &tv);
}

static void tell(struct poll_feed *f, enum feed_trouble what, const struct err *why)
{
    f->events.on_trouble(f->events.ctx, what, why);
}

static void be_failed(struct poll_feed *f, const struct err *why)
{
    f->step = POLL_FAILED;
    evtimer_del(f->timer);
    tell(f, FEED_FAILED, why);
}

static void ask_for_resync(struct poll_feed *f, enum err_code code, const char *why)
{
    struct err err;
    err_set(&err, code, "%s", why);
    f->step = POLL_STANDING;
    f->told_back = false;
    tell(f, FEED_RESYNC, &err);
}

/* ---- what a look gives ---- */

static void on_place(void *ctx, const struct window_place *place)
{
    struct poll_feed *f = ctx;
    struct poll_look *look = &f->look;
    look->known = place->known;
    look->ended = place->ended;
    buf_reset(&look->open.running);
    snprintf(look->open.xmax, sizeof look->open.xmax, "%s", place->known ? place->open.xmax : "");
    snprintf(look->now.text, sizeof look->now.text, "%s", place->known ? place->now : "");
    look->now.set = place->known;
    if (place->known &&
        (buf_puts(&look->open.running, place->open.running) || !buf_cstr(&look->open.running)))
        look->full = true;
    if (f->step == POLL_FLOWING && !f->told_back) {
        f->told_back = true;
        f->lost[0] = '\0';
        tell(f, FEED_BACK, NULL);
    }
}

static bool are_same(const struct poll_feed *f, const struct column *columns, size_t count)
{
    bool same = count == f->options.column_count;
    for (size_t i = 0; same && i < count; i++)
        same = strcmp(columns[i].name, f->options.columns[i].name) == 0 &&
               strcmp(columns[i].type_name, f->options.columns[i].type_name) == 0;
    return same;
}

static bool find_column(const struct column *columns, size_t count, const char *name, size_t *ret)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(columns[i].name, name) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

/* A clock that is known to be the cursor's: the time of a column without a zone may be anyone's. */
static bool goes_by_the_clock(const struct poll_feed *f, const struct column *cursor)
{
    return cursor->type == COLUMN_TIMESTAMP &&
           (f->model->timezone || strcmp(cursor->type_name, "timestamp with time zone") == 0);
}

static enum err_code on_columns(void *ctx, const struct column *columns, size_t count,
                                struct err *err)
{
    struct poll_feed *f = ctx;
    if (f->options.column_count && !are_same(f, columns, count))
        return err_set(err, ERR_STALE, "the model has other columns than before");
    if (!find_column(columns, count, f->stream->cursor, &f->cursor))
        return err_set(err, ERR_CONFIG, "the cursor %s is not one of the model's columns",
                       f->stream->cursor);
    for (size_t i = 0; i < f->model->primary_key_count; i++)
        if (!find_column(columns, count, f->model->primary_key[i], &f->key_columns[i]))
            return err_set(err, ERR_CONFIG, "the primary key's column %s is not one of the model's",
                           f->model->primary_key[i]);
    f->by_time =
        columns[f->cursor].type == COLUMN_TIMESTAMP || columns[f->cursor].type == COLUMN_DATE;
    f->by_clock = goes_by_the_clock(f, &columns[f->cursor]);
    return ERR_OK;
}

static enum err_code give(struct poll_feed *f, const struct row *row, struct err *err)
{
    for (size_t i = 0; i < f->model->primary_key_count; i++)
        f->key[i] = row->values[f->key_columns[i]];
    bool as_key = f->options.keys_only || f->look.as_keys;
    const struct change change = {as_key ? CHANGE_KEY : CHANGE_ROW, f->key, as_key ? NULL : row};
    enum err_code rc = f->events.on_change(f->events.ctx, &change, err);
    if (rc)
        f->look.refused = true;
    else if (++f->look.rows % TURN_ROWS == 0)
        f->events.on_turn(f->events.ctx);
    return rc;
}

static enum err_code on_row(void *ctx, const struct row *row, struct err *err)
{
    struct poll_feed *f = ctx;
    /* In the cursor's order: the last one is the greatest. */
    poll_place_take(&f->look.seen, row->values[f->cursor]);
    return f->step == POLL_FLOWING ? give(f, row, err) : ERR_OK;
}

/* Inside the read's own callback it cannot be freed. */
static void on_end(void *ctx, const struct err *err)
{
    struct poll_feed *f = ctx;
    f->look.over = true;
    f->look.failed = err != NULL;
    if (err)
        f->look.err = *err;
    set_timer(f->timer, 0);
}

/* ---- looking ---- */

static void look(struct poll_feed *f)
{
    struct err err;
    const struct source_events events = {on_columns, on_row, on_end, f};
    struct window_options options = {
        .part = f->step == POLL_BASE   ? WINDOW_TOP
                : f->step == POLL_WAIT ? WINDOW_NOTHING
                                       : WINDOW_ROWS,
        .cursor = f->stream->cursor,
        .from = f->low.set ? f->low.text : NULL,
    };
    if (f->waits_for.xmax[0])
        options.earlier = (struct window_open){f->waits_for.xmax, f->waits_for.running.p};
    f->look.as_keys = f->look.over = f->look.failed = f->look.refused = f->look.full = false;
    f->look.rows = 0;
    f->look.seen.set = false;
    f->woken = false;
    f->last_look_ms = clock_mono_ms();
    /* A look that was asked for early need not go back; those that are due do. */
    bool wide = !f->look.known || f->last_look_ms - f->last_wide_ms >= (int64_t)f->stream->poll_ms;
    options.overlap_ms = wide ? f->stream->overlap_ms : 0;
    f->last_wide_ms = wide ? f->last_look_ms : f->last_wide_ms;
    if (window_read_start(f->options.base, f->model, &options, &events, on_place, &f->read, &err))
        on_end(f, &err);
}

static void look_after(struct poll_feed *f, int64_t ms)
{
    if (f->step == POLL_FAILED || f->step == POLL_STANDING || f->read || f->look.over)
        return;
    if (f->paused && f->step == POLL_FLOWING)
        return; /* resuming looks again */
    set_timer(f->timer, ms > 0 ? ms : 0);
}

static void look_when_due(struct poll_feed *f)
{
    int64_t gap = f->woken ? NOTIFY_GAP_MS : (int64_t)f->stream->poll_ms;
    look_after(f, f->last_look_ms + gap - clock_mono_ms());
}

/* ---- what follows from a look ---- */

static void move_open(struct poll_feed *f)
{
    struct buf running = f->waits_for.running;
    f->waits_for = f->look.open;
    f->look.open.running = running;
    f->waits_since_ms = clock_mono_ms();
}

/* The greatest place that was seen; not one in the future, which others have yet to pass. */
static struct poll_place place_of(const struct poll_feed *f)
{
    struct poll_place place = f->look.seen;
    if (f->by_clock && f->look.now.set && poll_place_time_is_before(&f->look.now, &place))
        place = f->look.now;
    if (!place.set || (f->by_time && poll_place_time_is_before(&place, &f->low)))
        place = f->low;
    return place;
}

static void after_base(struct poll_feed *f)
{
    f->low = place_of(f);
    f->candidate = f->low;
    if (!f->look.known) {
        ask_for_resync(f, ERR_STALE, "the first time");
        return;
    }
    move_open(f);
    f->step = POLL_WAIT;
    f->wait_until_ms = clock_mono_ms() + f->wait_most_ms;
    look_after(f, 0);
}

/* What was open when it began may lie below the place it goes on from. */
static void after_wait(struct poll_feed *f)
{
    if (!f->look.ended && clock_mono_ms() < f->wait_until_ms) {
        look_after(f, WAIT_LOOK_MS);
        return;
    }
    f->begun_early = !f->look.ended;
    if (f->look.ended)
        f->waits_for.xmax[0] = '\0';
    ask_for_resync(f, ERR_STALE, "the first time");
}

/* This look still read from the low before; what ended since is in it. */
static void pass(struct poll_feed *f)
{
    bool waits = f->waits_for.xmax[0] != '\0';
    if (waits && f->look.known && !f->look.ended)
        return;
    if (waits)
        f->low = f->candidate;
    f->candidate = place_of(f);
    if (f->look.known)
        move_open(f);
    else
        f->low = f->candidate;
}

static void after_rows(struct poll_feed *f)
{
    struct feed_position at;
    bool early = f->begun_early && f->look.ended;
    pass(f);
    poll_place_write(&f->low, f->stream->cursor, f->begun_early, &at);
    f->caught_up_ms = clock_mono_ms();
    if (f->look.rows || at.n != f->marked.n || memcmp(at.bytes, f->marked.bytes, at.n) != 0)
        f->events.on_mark(f->events.ctx, &at);
    f->marked = at;
    f->events.on_turn(f->events.ctx);
    if (!early) {
        look_when_due(f);
        return;
    }
    f->begun_early = false;
    ask_for_resync(f, ERR_STALE, "a transaction that was open at the beginning has ended");
}

static void after_failure(struct poll_feed *f)
{
    struct err err = f->look.err;
    enum err_class class = err_class(err.code);
    if (err.code == ERR_STALE && !f->look.refused) {
        ask_for_resync(f, err.code, err.text);
        return;
    }
    if (f->look.refused || (class != ERR_CLASS_RETRY && class != ERR_CLASS_SLOW)) {
        be_failed(f, &err);
        return;
    }
    f->told_back = false;
    if (strncmp(f->lost, err.text, sizeof f->lost - 1) != 0) {
        snprintf(f->lost, sizeof f->lost, "%.*s", (int)sizeof f->lost - 1, err.text);
        tell(f, FEED_LOST, &err);
    }
    look_after(f, f->again_ms);
    f->again_ms = f->again_ms * 2 < AGAIN_MOST_MS ? f->again_ms * 2 : AGAIN_MOST_MS;
}

static void after_look(struct poll_feed *f)
{
    source_read_free(f->read);
    f->read = NULL;
    f->look.over = false;
    evtimer_del(f->hold);
    if (!f->look.failed && f->look.full) {
        f->look.failed = true;
        err_set(&f->look.err, ERR_FULL, "too many transactions are open to be kept in mind");
    }
    if (f->look.failed) {
        after_failure(f);
        return;
    }
    f->again_ms = AGAIN_FIRST_MS;
    if (f->step == POLL_BASE)
        after_base(f);
    else if (f->step == POLL_WAIT)
        after_wait(f);
    else if (f->step == POLL_FLOWING)
        after_rows(f);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct poll_feed *f = ctx;
    if (f->look.over)
        after_look(f);
    else if (!f->read)
        look(f);
}

/* A snapshot that is held for long keeps the warehouse from cleaning up. */
static void on_hold(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct poll_feed *f = ctx;
    if (f->look.over)
        return;
    source_read_free(f->read);
    f->read = NULL;
}

static void on_notify(void *ctx)
{
    struct poll_feed *f = ctx;
    f->woken = true;
    if (f->step == POLL_FLOWING)
        look_when_due(f);
}

/* ---- the feed ---- */

static struct poll_feed *of(struct feed *feed)
{
    return (struct poll_feed *)feed;
}

static void feed_free(struct feed *feed)
{
    struct poll_feed *f = of(feed);
    if (!f)
        return;
    source_read_free(f->read);
    poll_listen_free(f->listen);
    if (f->timer)
        event_free(f->timer);
    if (f->hold)
        event_free(f->hold);
    buf_done(&f->look.open.running);
    buf_done(&f->waits_for.running);
    free(f->key);
    free(f->key_columns);
    free(f);
}

static enum err_code make_parts(struct poll_feed *f, struct err *err)
{
    size_t n = f->model->primary_key_count;
    f->timer = evtimer_new(f->options.base, on_timer, f);
    f->hold = evtimer_new(f->options.base, on_hold, f);
    f->key = calloc(n ? n : 1, sizeof *f->key);
    f->key_columns = calloc(n ? n : 1, sizeof *f->key_columns);
    if (!f->timer || !f->hold || !f->key || !f->key_columns)
        return err_set(err, ERR_NOMEM, "no memory for a feed");
    if (!f->stream->notify)
        return ERR_OK;
    return poll_listen_new(f->options.base, f->model->source, f->stream->notify, on_notify, f,
                           &f->listen, err);
}

static enum err_code feed_start(const struct feed_options *options,
                                const struct feed_events *events, struct feed **ret_feed,
                                struct err *err)
{
    struct poll_feed *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ERR_NOMEM, "no memory for a feed");
    *f = (struct poll_feed){.feed = {&poll_feed_ops},
                            .options = *options,
                            .model = options->sync->model,
                            .stream = &options->sync->schedule.stream,
                            .events = *events,
                            .again_ms = AGAIN_FIRST_MS,
                            .caught_up_ms = -1,
                            .last_wide_ms = INT64_MIN / 2,
                            .wait_most_ms = WAIT_MOST_MS,
                            .hold_most_ms = PAUSED_MOST_MS};
    buf_init(&f->look.open.running, RUNNING_BYTES);
    buf_init(&f->waits_for.running, RUNNING_BYTES);
    enum err_code rc = make_parts(f, err);
    if (rc) {
        feed_free(&f->feed);
        return rc;
    }
    bool goes_on = poll_place_read(&options->from, f->stream->cursor, &f->low);
    f->candidate = f->low;
    f->step = goes_on ? POLL_FLOWING : POLL_BASE;
    look_after(f, 0);
    *ret_feed = &f->feed;
    return ERR_OK;
}

static void feed_resynced(struct feed *feed)
{
    struct poll_feed *f = of(feed);
    f->look.as_keys |= f->read != NULL; /* what was read is newer than this look's snapshot */
    if (f->step != POLL_STANDING)
        return;
    f->step = POLL_FLOWING;
    look_after(f, 0);
}

static void feed_pause(struct feed *feed)
{
    struct poll_feed *f = of(feed);
    if (f->paused)
        return;
    f->paused = true;
    if (f->step != POLL_FLOWING)
        return;
    if (f->read && !f->look.over) {
        source_read_pause(f->read);
        set_timer(f->hold, f->hold_most_ms);
    } else if (!f->look.over) {
        evtimer_del(f->timer);
    }
}

static void feed_resume(struct feed *feed)
{
    struct poll_feed *f = of(feed);
    if (!f->paused)
        return;
    f->paused = false;
    if (f->step != POLL_FLOWING)
        return;
    evtimer_del(f->hold);
    if (f->read && !f->look.over)
        source_read_resume(f->read);
    else
        look_when_due(f);
}

static void feed_confirm(struct feed *feed, const struct feed_position *at)
{
    (void)feed, (void)at; /* the source keeps nothing for us */
}

/* What was answered is newer than this look's snapshot. */
static void feed_horizon(struct feed *feed, uint64_t lsn)
{
    (void)lsn;
    struct poll_feed *f = of(feed);
    f->look.as_keys |= f->read != NULL;
}

static const char *feed_snapshot(const struct feed *feed)
{
    (void)feed;
    return NULL;
}

const struct feed_ops poll_feed_ops = {
    .start = feed_start,
    .resynced = feed_resynced,
    .pause = feed_pause,
    .resume = feed_resume,
    .confirm = feed_confirm,
    .lag = poll_lag,
    .horizon = feed_horizon,
    .snapshot = feed_snapshot,
    .free = feed_free,
};
