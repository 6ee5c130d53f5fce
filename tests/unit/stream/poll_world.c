#include "tests/unit/stream/poll_world.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DEADLINE_S = 60, TURN_MS = 2, LAST_BYTES = 1 << 20 };

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "poll_world: %s\n", what);
    abort();
}

static void keep_row(struct poll_world *w, const struct row *row)
{
    buf_reset(&w->last);
    for (uint16_t i = 0; i < row->n; i++)
        must(!buf_printf(&w->last, "%d:%.*s\n", (int)row->values[i].kind, (int)row->values[i].n,
                         row->values[i].n ? row->values[i].p : ""),
             "no memory");
    must(buf_cstr(&w->last) != NULL, "no memory");
}

static enum err_code on_change(void *ctx, const struct change *change, struct err *err)
{
    struct poll_world *w = ctx;
    char text[24];
    must(change->kind != CHANGE_GONE, "a poll sees nothing go");
    snprintf(text, sizeof text, "%.*s", (int)change->key->n, change->key->p);
    size_t key = strtoul(text, NULL, 10);
    must(key < WORLD_KEYS, "the key is beyond the test's");
    w->times[key] = (uint8_t)(w->times[key] < 255 ? w->times[key] + 1 : 255);
    if (change->kind == CHANGE_ROW && change->row->n > 1)
        w->values[key] =
            strtoll(change->row->values[1].n ? change->row->values[1].p : "0", NULL, 10);
    w->given_while_standing += w->standing;
    w->rows += change->kind == CHANGE_ROW;
    w->keys += change->kind == CHANGE_KEY;
    if (change->kind == CHANGE_ROW)
        keep_row(w, change->row);
    if (change->kind == CHANGE_ROW && w->rows == w->pause_at)
        w->feed->ops->pause(w->feed);
    if (change->kind == CHANGE_ROW && w->rows == w->refuse_at)
        return err_set(err, ERR_STOPPED, "refused");
    return ERR_OK;
}

static void on_mark(void *ctx, const struct feed_position *at)
{
    struct poll_world *w = ctx;
    w->position = *at;
    w->marks++;
}

static void on_turn(void *ctx)
{
    ((struct poll_world *)ctx)->turns++;
}

static void on_trouble(void *ctx, enum feed_trouble what, const struct err *err)
{
    struct poll_world *w = ctx;
    w->troubles[what]++;
    must((err == NULL) == (what == FEED_BACK), "a trouble has its reason, its end has none");
    if (err)
        w->err = *err;
    if (what == FEED_RESYNC)
        w->standing = true;
}

void poll_world_init(struct poll_world *w, struct postgres_server *server, const char *sql,
                     const char *cursor)
{
    *w = (struct poll_world){.server = server, .key = "id"};
    w->params[0] = (struct param){"host", server->dir};
    w->params[1] = (struct param){"user", "postgres"};
    w->params[2] = (struct param){"dbname", "postgres"};
    w->source = (struct source){.name = "w", .type = "postgres", .param_count = 3};
    w->model = (struct model){.name = "m", .sql = sql, .primary_key_count = 1};
    w->sync = (struct sync){.name = "s"};
    w->sync.schedule.kind = SCHEDULE_STREAM;
    w->sync.schedule.stream =
        (struct schedule_stream){.from = STREAM_POLL, .poll_ms = 20, .cursor = cursor};
    buf_init(&w->last, LAST_BYTES);
    w->times = calloc(WORLD_KEYS, 1);
    w->values = calloc(WORLD_KEYS, sizeof *w->values);
    w->base = event_base_new();
    must(w->times && w->values && w->base, "no memory");
}

void poll_world_start(struct poll_world *w)
{
    struct err err;
    w->source.params = w->params;
    w->model.source = &w->source;
    w->model.primary_key = &w->key;
    w->sync.model = &w->model;
    w->options.base = w->base;
    w->options.sync = &w->sync;
    w->options.state_id = "0";
    const struct feed_events events = {on_change, on_mark, on_turn, on_trouble, w};
    if (poll_feed_ops.start(&w->options, &events, &w->feed, &err))
        must(false, err.text);
}

static bool is_standing(struct poll_world *w)
{
    return w->standing;
}

void poll_world_resynced(struct poll_world *w)
{
    w->standing = false;
    w->feed->ops->resynced(w->feed);
}

void poll_world_flow(struct poll_world *w)
{
    poll_world_start(w);
    poll_world_until(w, is_standing);
    poll_world_resynced(w);
}

static void turn(struct poll_world *w)
{
    struct timeval most = {0, TURN_MS * 1000};
    event_base_loopexit(w->base, &most);
    event_base_loop(w->base, EVLOOP_ONCE);
}

void poll_world_turns(struct poll_world *w, int turns)
{
    for (; turns > 0; turns--)
        turn(w);
}

void poll_world_until(struct poll_world *w, bool (*done)(struct poll_world *w))
{
    time_t deadline = time(NULL) + DEADLINE_S;
    while (!done(w)) {
        must(time(NULL) < deadline,
             w->err.text[0] ? w->err.text : "what is waited for is not seen");
        turn(w);
    }
}

void poll_world_until_given(struct poll_world *w, size_t key, unsigned times)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    while (w->times[key] < times) {
        must(time(NULL) < deadline, w->err.text[0] ? w->err.text : "the row is not given");
        turn(w);
    }
}

void poll_world_looks(struct poll_world *w, int looks)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    const struct poll_feed *f = (const struct poll_feed *)w->feed;
    for (bool inside = f->read != NULL; looks > 0; turn(w)) {
        must(time(NULL) < deadline, w->err.text[0] ? w->err.text : "it does not look");
        looks -= inside && !f->read;
        inside = f->read != NULL;
    }
}

long poll_world_sessions(struct poll_world *w)
{
    return postgres_server_number(
        w->server, NULL, "select count(*) from pg_stat_activity where application_name = 'sluice'");
}

void poll_world_done(struct poll_world *w)
{
    poll_feed_ops.free(w->feed);
    event_base_free(w->base);
    buf_done(&w->last);
    free(w->times);
    free(w->values);
}
