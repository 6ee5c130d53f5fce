#include "events_world.h"

#include "protocol/base/clock.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 10000, STEP_US = 2000 };

static const char *const key[] = {"id"};
static const struct event_column columns[] = {{"id", EVENT_TEXT}, {"n", EVENT_NUMBER}};

/* ---- the owner ---- */

static void note_value(char *out, const struct value *v)
{
    static const char *const words[] = {
        [VALUE_NULL] = "null", [VALUE_FALSE] = "false", [VALUE_TRUE] = "true"};
    size_t n = strlen(out);
    if (v->kind <= VALUE_TRUE)
        snprintf(out + n, NOTED_BYTES - n, "%s", words[v->kind]);
    else
        snprintf(out + n, NOTED_BYTES - n, "%s%.*s", v->kind == VALUE_BAD ? "bad: " : "", (int)v->n,
                 v->p);
}

static enum err_code on_change(void *ctx, const struct change *change, struct err *err)
{
    struct world *w = ctx;
    (void)err;
    assert_int_equal(change->kind, CHANGE_ROW);
    char text[NOTED_BYTES] = "";
    for (uint16_t i = 0; i < change->row->n; i++) {
        if (i)
            strcat(text, "|");
        note_value(text, &change->row->values[i]);
    }
    if (w->given < NOTED_MAX)
        memcpy(w->rows[w->given], text, sizeof text);
    if (w->on_row)
        w->on_row(w, text);
    w->given++;
    if (w->pause_at == w->given)
        w->feed->ops->pause(w->feed);
    return ERR_OK;
}

static void on_mark(void *ctx, const struct feed_position *at)
{
    struct world *w = ctx;
    w->marks++;
    w->mark = *at;
    if (w->marked)
        w->marked(w);
}

static void on_turn(void *ctx)
{
    struct world *w = ctx;
    assert_true(w->backs > 0); /* nothing is planned before the replay is over */
    w->turns++;
}

static void on_trouble(void *ctx, enum feed_trouble what, const struct err *err)
{
    struct world *w = ctx;
    assert_int_not_equal(what, FEED_RESYNC);
    if (what == FEED_BACK) {
        if (!w->backs++)
            w->given_at_back = w->given;
        assert_null(err);
        return;
    }
    w->trouble = *err;
    if (what == FEED_LOST)
        w->losts++;
    else
        w->fails++;
}

/* ---- life ---- */

void world_open(struct world *w)
{
    memset(w, 0, sizeof *w);
    signal(SIGPIPE, SIG_IGN);
    redis_server_start(&w->redis, NULL);
    snprintf(w->url, sizeof w->url, "%s", w->redis.url);
    w->source = (struct source){.name = "bus", .type = "redis", .redis = w->url};
    w->model = (struct model){.name = "m",
                              .source = &w->source,
                              .primary_key = key,
                              .primary_key_count = 1,
                              .stream = "s",
                              .event_columns = columns,
                              .event_column_count = ARRAY_LEN(columns)};
    w->sync = (struct sync){.name = "t", .model = &w->model, .mode = MODE_APPEND};
    w->sync.schedule.kind = SCHEDULE_STREAM;
    w->sync.schedule.stream = (struct schedule_stream){.from = STREAM_EVENTS, .group = "sluice:t"};
    w->base = event_base_new();
    assert_non_null(w->base);
}

void world_close(struct world *w)
{
    world_end(w);
    event_base_free(w->base);
    redis_server_stop(&w->redis);
}

void world_start(struct world *w)
{
    struct err err;
    const struct feed_events events = {on_change, on_mark, on_turn, on_trouble, w};
    const struct feed_options o = {
        .base = w->base, .sync = &w->sync, .state_id = "abc", .from = w->from};
    assert_int_equal(events_feed_ops.start(&o, &events, &w->feed, &err), ERR_OK);
}

void world_end(struct world *w)
{
    if (w->feed)
        w->feed->ops->free(w->feed);
    w->feed = NULL;
}

void world_forget(struct world *w)
{
    w->given = w->marks = w->turns = w->backs = w->losts = w->fails = w->given_at_back = 0;
    w->pause_at = 0;
    w->trouble.text[0] = '\0';
}

/* ---- waiting ---- */

static void step(struct world *w)
{
    struct timeval tv = {0, STEP_US};
    event_base_loopexit(w->base, &tv);
    event_base_loop(w->base, EVLOOP_ONCE);
}

void world_until(struct world *w, const unsigned *value, unsigned want)
{
    int64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (*value < want) {
        if (clock_mono_ms() > deadline)
            fail_msg("waited for %u, there are %u; trouble: %s", want, *value, w->trouble.text);
        step(w);
    }
}

void world_run(struct world *w, unsigned ms)
{
    int64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end)
        step(w);
}

void world_add(struct world *w, const char *id, const char *n, char *out)
{
    redisReply *r = redis_server_ask(&w->redis, "XADD", "s", "*", "id", id, "n", n, NULL);
    assert_int_equal(r->type, REDIS_REPLY_STRING);
    if (out)
        snprintf(out, 64, "%s", r->str);
    freeReplyObject(r);
}

unsigned world_pending(struct world *w)
{
    redisReply *r = redis_server_ask(&w->redis, "XPENDING", "s", "sluice:t", NULL);
    unsigned n = r->type == REDIS_REPLY_ARRAY ? (unsigned)r->element[0]->integer : 0;
    freeReplyObject(r);
    return n;
}

void world_until_pending(struct world *w, unsigned want)
{
    int64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (world_pending(w) != want) {
        if (clock_mono_ms() > deadline)
            fail_msg("waited for %u pending entries, there are %u", want, world_pending(w));
        step(w);
    }
}

void world_confirm(struct world *w)
{
    w->from = w->mark;
    w->feed->ops->confirm(w->feed, &w->mark);
}
