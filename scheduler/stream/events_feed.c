/*
 * Events: the entries of a Redis stream, read as a consumer of a group of their own.
 *
 * Reads: what is pending for us, then what is new. Writes: the group, where it is missing;
 * acknowledgements of what the owner confirmed. Invariant: an entry is acknowledged only when a
 * position at or behind it was confirmed. A crash here: what was delivered and not acknowledged is
 * pending for us; the next start reads it first.
 *
 * Two connections: one waits for entries, the other acknowledges meanwhile.
 */
#include "protocol/base/clock.h"
#include "scheduler/stream/events_private.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { AGAIN_FIRST_MS = 100, AGAIN_MOST_MS = 5000, LAG_MS = 3000 };

/* ---- steps ---- */

void events_set_step(struct events_feed *f, enum events_step step)
{
    ensure(f->step != EVENTS_FAILED);
    f->step = step;
    if (step == EVENTS_FLOWING)
        f->pause_ms = AGAIN_FIRST_MS;
}

static void set_timer(struct event *timer, uint64_t ms)
{
    struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
    evtimer_add(timer, &tv);
}

void events_tell_lost(struct events_feed *f, const struct err *why)
{
    f->told_back = false;
    if (f->told_lost && strncmp(f->lost, why->text, sizeof f->lost - 1) == 0)
        return;
    f->told_lost = true;
    snprintf(f->lost, sizeof f->lost, "%.*s", (int)sizeof f->lost - 1, why->text);
    f->events.on_trouble(f->events.ctx, FEED_LOST, why);
}

void events_lose(struct events_feed *f, const struct err *why)
{
    if (f->step == EVENTS_FAILED)
        return;
    events_set_step(f, EVENTS_AWAY);
    set_timer(f->again, f->pause_ms);
    f->pause_ms = f->pause_ms * 2 < AGAIN_MOST_MS ? f->pause_ms * 2 : AGAIN_MOST_MS;
    events_tell_lost(f, why);
}

void events_fail(struct events_feed *f, const struct err *why)
{
    if (f->step == EVENTS_FAILED)
        return;
    events_set_step(f, EVENTS_FAILED);
    evtimer_del(f->again);
    evtimer_del(f->look);
    f->events.on_trouble(f->events.ctx, FEED_FAILED, why);
}

static bool says(const struct err *err, const char *word)
{
    return strncmp(err->text, word, strlen(word)) == 0;
}

void events_refused(struct events_feed *f, const struct err *why)
{
    struct err err = *why;
    const char *stream = f->sync->model->stream;
    if (says(why, "WRONGTYPE")) {
        err_set(&err, ERR_CONFIG, "the key %s of source %s is not a stream", stream,
                f->sync->model->source->name);
        events_fail(f, &err);
    } else if (says(why, "NOPERM") || says(why, "ERR unknown command")) {
        err_prefix(&err, "stream %s cannot be read as its group %s (Redis 6.2 or later is needed)",
                   stream, f->sync->schedule.stream.group);
        events_fail(f, &err);
    } else {
        err_prefix(&err, "stream %s", stream);
        events_lose(f, &err);
    }
}

void events_ask(struct events_feed *f, const struct slice *argv, size_t argc, redis_cb cb)
{
    struct err err;
    ensure(!f->asking);
    f->asking = true;
    if (redis_command(f->reader, argv, argc, EVENTS_BLOCK_MS + EVENTS_ANSWER_MS, cb, f, &err) ==
        ERR_OK)
        return;
    f->asking = false;
    events_lose(f, &err);
}

/* ---- the connection ---- */

static void begin(struct events_feed *f)
{
    if (f->step != EVENTS_AWAY || f->asking || !redis_connected(f->reader))
        return;
    evtimer_del(f->again);
    events_look(f);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    begin(arg);
}

static void on_reader(void *ctx, bool connected, const struct err *err)
{
    struct events_feed *f = ctx;
    if (connected)
        begin(f);
    else
        events_lose(f, err);
}

static void on_clerk(void *ctx, bool connected, const struct err *err)
{
    (void)err; /* the reader says it */
    if (connected)
        events_acknowledge(ctx);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct events_feed *f = arg;
    events_look_at_lag(f);
    set_timer(f->look, LAG_MS);
}

static enum err_code connect_both(struct events_feed *f, struct err *err)
{
    const struct source *source = f->sync->model->source;
    struct redis_url url;
    enum err_code rc = redis_url_parse(source->redis, &url, err);
    if (rc)
        return err_prefix(err, "source %s", source->name);
    struct redis_options o = {
        .ca_file = source->redis_ca, .any_policy = true, .on_state = on_reader, .ctx = f};
    f->reader = redis_new(f->base, &url, &o);
    o.on_state = on_clerk;
    f->clerk = redis_new(f->base, &url, &o);
    explicit_bzero(&url, sizeof url);
    return f->reader && f->clerk ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for a connection");
}

/* ---- positions ---- */

/* An entry's id, and which of the streams of this name it was in. */
static bool read_position(const struct feed_position *at, struct event_id *ret_id,
                          uint32_t *ret_era)
{
    struct slice s = slice_of(at->bytes, at->n);
    const char *mark = s.n ? memchr(s.p, '@', s.n) : NULL;
    if (!mark || !event_id_parse(slice_of(s.p, (size_t)(mark - s.p)), ret_id))
        return false;
    uint32_t era = 0;
    for (const char *p = mark + 1; p < s.p + s.n; p++)
        era = era * 10 + (uint32_t)(*p - '0');
    *ret_era = era;
    return true;
}

struct feed_position events_position(const struct events_feed *f)
{
    struct feed_position at = {0};
    char id[EVENT_ID_BYTES];
    at.n = (uint8_t)snprintf((char *)at.bytes, sizeof at.bytes, "%s@%" PRIu32,
                             event_id_text(f->given, id), f->era);
    return at;
}

/* ---- life cycle ---- */

static void feed_free(struct feed *feed)
{
    struct events_feed *f = (struct events_feed *)feed;
    if (!f)
        return;
    f->step = EVENTS_FAILED; /* what still waits is answered while it goes */
    redis_free(f->reader);
    redis_free(f->clerk);
    if (f->again)
        event_free(f->again);
    if (f->look)
        event_free(f->look);
    event_rows_free(f->rows);
    event_ids_done(&f->out);
    free(f);
}

static void name_things(struct events_feed *f, const char *state_id)
{
    snprintf(f->consumer_name, sizeof f->consumer_name, "sluice-%s", state_id ? state_id : "");
    f->stream = slice_str(f->sync->model->stream);
    f->group = slice_str(f->sync->schedule.stream.group);
    f->consumer = slice_str(f->consumer_name);
}

static enum err_code fill(struct events_feed *f, struct err *err)
{
    enum err_code rc = event_rows_new(f->sync->model, &f->rows, err);
    if (rc)
        return rc;
    f->again = evtimer_new(f->base, on_again, f);
    f->look = evtimer_new(f->base, on_look, f);
    if (!f->again || !f->look || !event_ids_init(&f->out, EVENTS_OUT_MAX))
        return err_set(err, ERR_NOMEM, "no memory for a feed of events");
    set_timer(f->look, LAG_MS);
    return connect_both(f, err);
}

static enum err_code feed_start(const struct feed_options *options,
                                const struct feed_events *events, struct feed **ret_feed,
                                struct err *err)
{
    struct events_feed *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ERR_NOMEM, "no memory for a feed of events");
    f->feed.ops = &events_feed_ops;
    f->events = *events;
    f->base = options->base;
    f->sync = options->sync;
    f->count = EVENTS_COUNT_FIRST;
    f->pause_ms = AGAIN_FIRST_MS;
    f->lag = (struct feed_lag){.behind_ms = -1, .bytes = -1, .records = -1};
    f->first = !read_position(&options->from, &f->settled, &f->era);
    f->given = f->settled;
    name_things(f, options->state_id);
    enum err_code rc = fill(f, err);
    if (rc) {
        feed_free(&f->feed);
        return rc;
    }
    *ret_feed = &f->feed;
    return ERR_OK;
}

/* ---- what the owner asks for ---- */

/* There is no model that could be read: everything that counts is in the stream. */
static void feed_resynced(struct feed *feed)
{
    (void)feed;
}

static void feed_pause(struct feed *feed)
{
    ((struct events_feed *)feed)->paused = true;
}

static void feed_resume(struct feed *feed)
{
    struct events_feed *f = (struct events_feed *)feed;
    f->paused = false;
    events_read(f);
}

static void feed_confirm(struct feed *feed, const struct feed_position *at)
{
    struct events_feed *f = (struct events_feed *)feed;
    struct event_id id;
    uint32_t era;
    if (!read_position(at, &id, &era) || era != f->era || event_id_compare(id, f->settled) <= 0)
        return;
    f->settled = id;
    events_acknowledge(f);
}

static void feed_lag(const struct feed *feed, struct feed_lag *ret)
{
    const struct events_feed *f = (const struct events_feed *)feed;
    *ret = f->lag;
    if (f->given.ms || f->given.seq)
        event_id_text(f->given, ret->place);
}

static const char *feed_snapshot(const struct feed *feed)
{
    (void)feed;
    return NULL;
}

const struct feed_ops events_feed_ops = {
    .start = feed_start,
    .resynced = feed_resynced,
    .pause = feed_pause,
    .resume = feed_resume,
    .confirm = feed_confirm,
    .lag = feed_lag,
    .snapshot = feed_snapshot,
    .free = feed_free,
};
