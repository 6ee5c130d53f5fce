/*
 * A stream's driver in a world that the test moves: state on disk, an event loop, and fakes of
 * feed, model and runs. Header only.
 */
#ifndef SLUICE_TESTS_DRIVER_WORLD_H
#define SLUICE_TESTS_DRIVER_WORLD_H

#include "tests/unit/run/fake_stream.h"

#include "protocol/base/clock.h"
#include "scheduler/run/stream_private.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    char dir[64];
    struct event_base *base;
    struct state *state;
    struct model model;
    struct destination destination;
    struct sync sync;
    struct log log;
    struct stream_driver *d;
};

static inline bool may_begin(void *ctx, const struct sync *sync, bool *ret_yield)
{
    (void)ctx;
    (void)sync;
    *ret_yield = fake.yield;
    return !fake.yield && !fake.blocked;
}

static inline enum err_code begin_run(void *ctx, const struct sync *sync,
                                      const struct column *columns, size_t count,
                                      struct sync_run **ret_run, struct err *err)
{
    (void)ctx;
    (void)columns;
    assert_int_equal(count, 2);
    if (fake.begin_error)
        return err_set(err, fake.begin_error, "the columns are others");
    free(fake.run);
    fake.run = calloc(1, sizeof *fake.run);
    fake.run->record.stream = true;
    snprintf(fake.run->record.id, sizeof fake.run->record.id, "stream-%d", ++fake.begun);
    snprintf(fake.run->record.sync, sizeof fake.run->record.sync, "%s", sync->name);
    *ret_run = fake.run;
    return ERR_OK;
}

static inline enum err_code ask_read(void *ctx, const struct sync *sync, const char *trigger,
                                     const char *hold, const char *snapshot, char *run,
                                     struct err *err)
{
    (void)ctx;
    (void)sync;
    (void)snapshot;
    (void)err;
    snprintf(fake.trigger, sizeof fake.trigger, "%s", trigger);
    snprintf(fake.hold, sizeof fake.hold, "%s", hold ? hold : "");
    snprintf(fake.read_run, sizeof fake.read_run, "read-%d", ++fake.reads);
    memcpy(run, fake.read_run, strlen(fake.read_run) + 1);
    return ERR_OK;
}

/* Turns until what a turn asked for soon has been done. */
static inline void turn(struct world *w)
{
    stream_driver_turn(w->d);
    event_base_loop(w->base, EVLOOP_NONBLOCK);
    event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static inline void open_driver(struct world *w)
{
    struct err err;
    const struct stream_host host = {w->base, w->state, &w->log, w, may_begin, begin_run, ask_read};
    assert_int_equal(stream_driver_new(&host, &w->sync, &w->d, &err), ERR_OK);
}

static inline int set_up(void **state)
{
    static const char *const key[] = {"id"};
    struct world *w = calloc(1, sizeof *w);
    struct err err;
    fake = (struct fake){0};
    snprintf(w->dir, sizeof w->dir, "/tmp/sluice-stream-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->base = event_base_new();
    assert_int_equal(state_open(w->dir, NULL, &w->state, &err), ERR_OK);
    w->model = (struct model){.name = "m", .primary_key = key, .primary_key_count = 1};
    w->destination = (struct destination){.name = "d", .concurrency = 8};
    w->sync = (struct sync){
        .name = "s",
        .model = &w->model,
        .destination = &w->destination,
        .batch_size = 10,
        .schedule = {.kind = SCHEDULE_STREAM, .stream = {.from = STREAM_CDC, .roll_ms = 3600000}}};
    w->log = (struct log){.program = "test", .level = LOG_ERROR, .fd = 2};
    open_driver(w);
    *state = w;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *w = *state;
    char line[128];
    stream_driver_free(w->d);
    state_close(w->state);
    event_base_free(w->base);
    snprintf(line, sizeof line, "rm -rf %s", w->dir);
    assert_int_equal(system(line), 0);
    free(fake.run);
    free(w);
    return 0;
}

static inline struct run_record read_record(enum run_status status)
{
    struct run_record r = {.status = status, .read_ended = true, .started_ms = clock_wall_ms()};
    snprintf(r.id, sizeof r.id, "%s", fake.read_run);
    snprintf(r.sync, sizeof r.sync, "s");
    snprintf(r.reason, sizeof r.reason, "too many");
    return r;
}

static inline void end_read(struct world *w, enum run_status status)
{
    struct run_record r = read_record(status);
    stream_driver_run_ended(w->d, &r);
    turn(w);
}

static inline void end_run(struct world *w, enum run_status status)
{
    fake.run->record.status = status;
    snprintf(fake.run->record.error, sizeof fake.run->record.error, "%s",
             status == RUN_FAILED ? "refused" : "");
    struct run_record r = fake.run->record;
    stream_driver_run_ended(w->d, &r);
    turn(w);
}

static inline void settle(struct world *w, size_t i, enum settled_how how)
{
    struct fake_planned *p = &fake.run->planned[i];
    struct buf key CLEANUP(buf_done);
    struct value v = value_of(VALUE_TEXT, slice_str(p->key));
    struct err err;
    buf_init(&key, 1024);
    assert_int_equal(key_encode(&key, &v, 1, NULL, &err), ERR_OK);
    p->settled = true;
    stream_driver_settled(w->d, p->mark, p->tries, buf_slice(&key), how);
    turn(w);
}

static inline void commit(struct world *w)
{
    struct err err;
    assert_int_equal(stream_driver_before_commit(w->d, &err), ERR_OK);
    assert_int_equal(state_commit(w->state, &err), ERR_OK);
    stream_driver_committed(w->d);
}

static inline enum stream_phase phase(const struct world *w)
{
    struct stream_view v;
    stream_driver_look(w->d, &v);
    return v.phase;
}

/* Read for the first time, and flowing. */
static inline void flow(struct world *w)
{
    turn(w);
    fake_columns();
    turn(w);
    assert_true(fake.feed_open);
    fake_trouble(FEED_RESYNC, "the first time");
    turn(w);
    assert_int_equal(fake.reads, 1);
    end_read(w, RUN_SUCCESS);
    fake_trouble(FEED_BACK, NULL);
    turn(w);
    assert_int_equal(phase(w), STREAM_FLOWING);
    assert_int_equal(fake.begun, 1);
}

#define STREAM_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
