#include "tests/unit/run/fake_stream.h"

#include "scheduler/run/approval.h"
#include "scheduler/source/key_ask.h"
#include "scheduler/state/key.h"
#include "scheduler/stream/events_feed.h"
#include "scheduler/stream/slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake fake;

/* ---- the feed ---- */

static enum err_code start(const struct feed_options *o, const struct feed_events *events,
                           struct feed **ret, struct err *err)
{
    (void)err;
    fake.feed.ops = &cdc_feed_ops;
    fake.events = *events;
    fake.from = o->from;
    fake.feed_open = true;
    *ret = &fake.feed;
    return ERR_OK;
}

static void resynced(struct feed *feed)
{
    (void)feed;
    fake.resynced++;
}

static void pause_feed(struct feed *feed)
{
    (void)feed;
    fake.feed_paused = true;
}

static void resume(struct feed *feed)
{
    (void)feed;
    fake.feed_paused = false;
}

static void confirm(struct feed *feed, const struct feed_position *at)
{
    (void)feed;
    fake.confirmed = *at;
}

static void lag(const struct feed *feed, struct feed_lag *ret)
{
    (void)feed;
    *ret = (struct feed_lag){.bytes = 7};
}

static void horizon(struct feed *feed, uint64_t lsn)
{
    (void)feed;
    fake.horizon = lsn;
}

static uint64_t given_rows(const struct feed *feed)
{
    (void)feed;
    return fake.given;
}

static bool sees(struct feed *feed, uint64_t given)
{
    (void)feed;
    return given <= fake.seen;
}

static const char *snapshot(const struct feed *feed)
{
    (void)feed;
    return NULL;
}

static void free_feed(struct feed *feed)
{
    (void)feed;
    fake.feed_open = false;
}

const struct feed_ops cdc_feed_ops = {start,   resynced,   pause_feed, resume,   confirm,  lag,
                                      horizon, given_rows, sees,       snapshot, free_feed};
const struct feed_ops poll_feed_ops = {0};
const struct feed_ops events_feed_ops = {0};

static struct value text(const char *s)
{
    return value_of(VALUE_TEXT, slice_str(s));
}

void fake_change(const char *key, const char *value)
{
    struct err err;
    struct value values[2] = {text(key), text(value ? value : "")};
    struct row row = {values, 2};
    struct change c = {CHANGE_ROW, values, &row};
    if (!value)
        c = (struct change){CHANGE_GONE, values, NULL};
    else if (strcmp(value, "?") == 0)
        c = (struct change){CHANGE_KEY, values, NULL};
    fake.half = true;
    ensure(!fake.events.on_change(fake.events.ctx, &c, &err));
}

void fake_mark(unsigned n)
{
    struct feed_position p = {.n = sizeof n};
    memcpy(p.bytes, &n, sizeof n);
    fake.half = false;
    fake.last = n;
    fake.events.on_mark(fake.events.ctx, &p);
}

void fake_turn_within(void)
{
    fake.events.on_turn(fake.events.ctx);
}

void fake_turn(void)
{
    if (fake.half)
        fake_mark(fake.last);
    fake.events.on_turn(fake.events.ctx);
}

void fake_trouble(enum feed_trouble what, const char *why)
{
    struct err err;
    if (why)
        err_set(&err, ERR_REMOTE, "%s", why);
    fake.events.on_trouble(fake.events.ctx, what, why ? &err : NULL);
}

unsigned fake_place(const struct feed_position *p)
{
    unsigned n = 0;
    if (p->n)
        memcpy(&n, p->bytes, sizeof n);
    return n;
}

size_t events_columns(const struct model *model, struct column *out)
{
    (void)model;
    (void)out;
    return 0;
}

void slot_names_of(const struct sync *sync, const char *state_id, struct slot_names *ret)
{
    (void)sync;
    (void)state_id;
    *ret = (struct slot_names){"slot", "publication"};
}

/* ---- the model ---- */

static struct key_ask_events ask_events;

enum err_code key_ask_start(struct event_base *base, const struct model *model,
                            const struct key_ask_events *events, struct key_ask **ret_ask,
                            struct err *err)
{
    (void)base;
    (void)model;
    (void)err;
    ask_events = *events;
    fake.ask_open = true;
    *ret_ask = (struct key_ask *)&fake;
    return ERR_OK;
}

void key_ask_free(struct key_ask *ask)
{
    if (ask)
        fake.ask_open = fake.ask_busy = false;
}

bool key_ask_busy(const struct key_ask *ask)
{
    (void)ask;
    return fake.ask_busy;
}

enum err_code key_ask_send(struct key_ask *ask, const struct value *keys, size_t count,
                           struct err *err)
{
    (void)ask;
    (void)err;
    ensure(!fake.ask_busy && count && count <= FAKE_PLANNED_MAX);
    fake.ask_busy = true;
    fake.asked_count = count;
    for (size_t i = 0; i < count; i++)
        snprintf(fake.asked[i], FAKE_TEXT, "%.*s", (int)keys[i].n, keys[i].p);
    return ERR_OK;
}

void fake_columns(void)
{
    static const struct column columns[] = {{"id", "text", COLUMN_TEXT},
                                            {"value", "text", COLUMN_TEXT}};
    ask_events.on_columns(ask_events.ctx, columns, 2);
}

void fake_answer(bool well)
{
    struct err err;
    ensure(fake.ask_busy);
    if (well)
        ask_events.on_horizon(ask_events.ctx, 99);
    for (size_t i = 0; i < fake.asked_count && well; i++) {
        char fresh[FAKE_TEXT * 2];
        snprintf(fresh, sizeof fresh, "fresh:%s", fake.asked[i]);
        struct value values[2] = {text(fake.asked[i]), text(fresh)};
        struct row row = {values, 2};
        if (*fake.asked[i] != 'x')
            ensure(!ask_events.on_row(ask_events.ctx, &row, &err));
    }
    fake.ask_busy = false;
    if (!well)
        err_set(&err, ERR_UNREACHABLE, "the answer was lost");
    ask_events.on_answer(ask_events.ctx, well ? NULL : &err);
}

/* ---- runs ---- */

static enum err_code plan(struct sync_run *run, const struct fake_planned *p,
                          enum change_taken *ret)
{
    if (fake.guard) {
        *ret = CHANGE_BUSY;
        return ERR_OK;
    }
    for (size_t i = 0; i < run->count; i++)
        if (!run->planned[i].settled && strcmp(run->planned[i].key, p->key) == 0) {
            *ret = CHANGE_BUSY;
            return ERR_OK;
        }
    run->changes++;
    *ret = CHANGE_DONE;
    if (strcmp(p->value, "same") == 0)
        return ERR_OK;
    ensure(run->count < FAKE_PLANNED_MAX);
    run->planned[run->count++] = *p;
    *ret = CHANGE_PLANNED;
    return ERR_OK;
}

enum err_code sync_run_change_row(struct sync_run *run, const struct row *row, uint64_t mark,
                                  uint32_t tries, bool last, enum change_taken *ret,
                                  struct err *err)
{
    struct fake_planned p = {.mark = mark, .tries = tries};
    (void)err;
    snprintf(p.key, sizeof p.key, "%.*s", (int)row->values[0].n, row->values[0].p);
    snprintf(p.value, sizeof p.value, "%.*s", (int)row->values[1].n, row->values[1].p);
    if (strcmp(p.value, "aside") == 0 && !last) {
        *ret = CHANGE_ASIDE;
        return ERR_OK;
    }
    return plan(run, &p, ret);
}

enum err_code sync_run_change_gone(struct sync_run *run, struct slice key, uint64_t mark,
                                   uint32_t tries, enum change_taken *ret, struct err *err)
{
    struct value v;
    struct fake_planned p = {.mark = mark, .tries = tries, .gone = true};
    enum err_code rc = key_decode(key, &v, 1, err);
    if (rc)
        return rc;
    snprintf(p.key, sizeof p.key, "%.*s", (int)v.n, v.p);
    return plan(run, &p, ret);
}

enum err_code sync_run_turn(struct sync_run *run, struct err *err)
{
    (void)err;
    run->turns++;
    return ERR_OK;
}

void sync_run_landed(struct sync_run *run, sync_run_landed_cb cb, void *ctx)
{
    (void)run;
    (void)cb;
    (void)ctx;
}

bool sync_run_awaits_commit(const struct sync_run *run)
{
    (void)run;
    return false;
}

void sync_run_coalesced(struct sync_run *run, uint64_t changes)
{
    run->coalesced += changes;
    run->changes += changes;
}

uint64_t sync_run_in_flight(const struct sync_run *run)
{
    uint64_t n = 0;
    for (size_t i = 0; i < run->count; i++)
        n += !run->planned[i].settled;
    return n;
}

uint64_t sync_run_batches_open(const struct sync_run *run)
{
    return sync_run_in_flight(run) != 0;
}

uint64_t sync_run_changes(const struct sync_run *run)
{
    return run->changes;
}

enum err_code sync_run_forget(struct sync_run *run, struct slice key, struct err *err)
{
    (void)run;
    (void)key;
    (void)err;
    return ERR_OK;
}

void sync_run_finish(struct sync_run *run)
{
    run->finished = true;
}

void sync_run_set_hour(struct sync_run *run, struct guard_hour *hour)
{
    (void)run;
    (void)hour;
}

const char *sync_run_guard(const struct sync_run *run)
{
    (void)run;
    return fake.guard;
}

const char *sync_run_wants_read(const struct sync_run *run)
{
    (void)run;
    return NULL;
}

bool sync_run_stopping(const struct sync_run *run)
{
    return run->stopped;
}

const struct run_record *sync_run_record(const struct sync_run *run)
{
    return &run->record;
}

void sync_run_stop(struct sync_run *run, enum run_stop how, const char *why)
{
    (void)how;
    (void)why;
    run->stopped = true;
}

enum err_code resync_wanted(struct state *state, const char *sync, bool *ret_wanted,
                            struct err *err)
{
    (void)state;
    (void)sync;
    (void)err;
    *ret_wanted = false;
    return ERR_OK;
}
