/* A stream's driver against a feed, a model and runs that the test moves. */
#include "tests/unit/run/fake_stream.h"

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

static bool may_begin(void *ctx, const struct sync *sync, bool *ret_yield)
{
    (void)ctx;
    (void)sync;
    *ret_yield = fake.yield;
    return !fake.yield && !fake.blocked;
}

static enum err_code begin_run(void *ctx, const struct sync *sync, const struct column *columns,
                               size_t count, struct sync_run **ret_run, struct err *err)
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

static enum err_code ask_read(void *ctx, const struct sync *sync, const char *trigger,
                              const char *hold, const char *snapshot, char *run, struct err *err)
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
static void turn(struct world *w)
{
    stream_driver_turn(w->d);
    event_base_loop(w->base, EVLOOP_NONBLOCK);
    event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static void open_driver(struct world *w)
{
    struct err err;
    const struct stream_host host = {w->base, w->state, &w->log, w, may_begin, begin_run, ask_read};
    assert_int_equal(stream_driver_new(&host, &w->sync, &w->d, &err), ERR_OK);
}

static int set_up(void **state)
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

static int tear_down(void **state)
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

static struct run_record read_record(enum run_status status)
{
    struct run_record r = {.status = status, .read_ended = true};
    snprintf(r.id, sizeof r.id, "%s", fake.read_run);
    snprintf(r.sync, sizeof r.sync, "s");
    snprintf(r.reason, sizeof r.reason, "too many");
    return r;
}

static void end_read(struct world *w, enum run_status status)
{
    struct run_record r = read_record(status);
    stream_driver_run_ended(w->d, &r);
    turn(w);
}

static void end_run(struct world *w, enum run_status status)
{
    fake.run->record.status = status;
    snprintf(fake.run->record.error, sizeof fake.run->record.error, "%s",
             status == RUN_FAILED ? "refused" : "");
    struct run_record r = fake.run->record;
    stream_driver_run_ended(w->d, &r);
    turn(w);
}

static void settle(struct world *w, size_t i, enum settled_how how)
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

static void commit(struct world *w)
{
    struct err err;
    assert_int_equal(stream_driver_before_commit(w->d, &err), ERR_OK);
    assert_int_equal(state_commit(w->state, &err), ERR_OK);
    stream_driver_committed(w->d);
}

static enum stream_phase phase(const struct world *w)
{
    struct stream_view v;
    stream_driver_look(w->d, &v);
    return v.phase;
}

/* Read for the first time, and flowing. */
static void flow(struct world *w)
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

static void test_the_model_is_read_before_changes_flow(void **state)
{
    struct world *w = *state;
    turn(w);
    assert_true(fake.ask_open);
    assert_false(fake.feed_open);
    fake_columns();
    turn(w);
    fake_trouble(FEED_RESYNC, "the first time");
    turn(w);
    assert_string_equal(fake.trigger, "stream: the first time");
    assert_int_equal(phase(w), STREAM_READING);
    assert_int_equal(fake.begun, 0);
    end_read(w, RUN_WARNING);
    assert_int_equal(fake.resynced, 1);
    fake_trouble(FEED_BACK, NULL);
    turn(w);
    assert_int_equal(fake.begun, 1);
    assert_int_equal(phase(w), STREAM_FLOWING);
}

static void test_a_read_that_failed_is_made_again(void **state)
{
    struct world *w = *state;
    turn(w);
    fake_columns();
    turn(w);
    fake_trouble(FEED_RESYNC, "the first time");
    turn(w);
    end_read(w, RUN_FAILED);
    assert_int_equal(phase(w), STREAM_RESTING);
    w->d->rest_until_ms = 0;
    turn(w);
    turn(w);
    fake_columns();
    turn(w);
    fake_trouble(FEED_BACK, NULL);
    turn(w);
    assert_int_equal(fake.reads, 2);
    assert_int_equal(phase(w), STREAM_READING);
}

static void test_positions_move_with_verdicts_and_are_confirmed_when_durable(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "1");
    fake_mark(1);
    fake_change("b", "1");
    fake_mark(2);
    fake_turn();
    assert_int_equal(fake.run->count, 2);
    assert_int_equal(fake.run->turns, 1);
    settle(w, 1, SETTLED_SENT); /* the later one first */
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 0);
    settle(w, 0, SETTLED_REJECTED);
    struct err err;
    assert_int_equal(stream_driver_before_commit(w->d, &err), ERR_OK);
    assert_int_equal(fake_place(&fake.confirmed), 0);
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 2);
    fake_change("c", "same");
    fake_mark(3);
    fake_turn();
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 3);
}

static void test_one_version_of_a_record_is_in_flight(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "1");
    fake_turn();
    fake_change("a", "2");
    fake_mark(1);
    fake_turn();
    fake_change("a", "3");
    fake_change("b", "1");
    fake_mark(2);
    fake_turn();
    assert_int_equal(fake.run->count, 2);
    assert_string_equal(fake.run->planned[1].key, "b");
    settle(w, 0, SETTLED_SENT);
    assert_int_equal(fake.run->count, 3);
    assert_string_equal(fake.run->planned[2].value, "3");
    assert_int_equal(fake.run->coalesced, 1);
    settle(w, 1, SETTLED_SENT);
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 0);
    settle(w, 2, SETTLED_SENT);
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 2);
}

static void test_what_never_was_sent_cancels_out(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "1");
    fake_change("a", NULL);
    fake_turn();
    assert_int_equal(fake.run->count, 1);
    assert_true(fake.run->planned[0].gone);
    assert_int_equal(fake.run->coalesced, 1);
}

static void test_keys_are_asked_for(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "?");
    fake_change("x", "?");
    fake_change("a", "?");
    fake_mark(1);
    fake_turn();
    assert_int_equal(fake.asked_count, 2);
    assert_int_equal(fake.run->count, 0);
    fake_answer(true);
    turn(w);
    assert_int_equal(fake.horizon, 99);
    assert_int_equal(fake.run->count, 2);
    assert_string_equal(fake.run->planned[0].value, "fresh:a");
    assert_true(fake.run->planned[1].gone);
    settle(w, 0, SETTLED_SENT);
    settle(w, 1, SETTLED_SENT);
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 1);
}

static void test_a_key_that_changes_while_it_is_asked_for_is_asked_for_again(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "?");
    fake_mark(1);
    fake_turn();
    fake_change("a", "?");
    fake_mark(2);
    fake_turn();
    fake_answer(true);
    turn(w);
    assert_int_equal(fake.run->count, 0);
    assert_true(fake.ask_busy);
    fake_answer(true);
    turn(w);
    assert_int_equal(fake.run->count, 1);
    settle(w, 0, SETTLED_SENT);
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 2);
}

static void test_a_lost_answer_is_asked_for_again(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "?");
    fake_turn();
    fake_answer(false);
    assert_int_equal(pending_count(w->d->pending), 1);
    w->d->ask_again_ms = 0;
    turn(w);
    fake_answer(true);
    turn(w);
    assert_int_equal(fake.run->count, 1);
}

static void test_rows_of_one_turn_may_change_their_identities(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "aside");
    fake_change("b", "1");
    fake_turn();
    assert_int_equal(fake.run->count, 2);
    assert_string_equal(fake.run->planned[0].key, "b");
    assert_string_equal(fake.run->planned[1].key, "a");
    assert_int_equal(fake.run->turns, 1);
}

static void test_a_failed_record_is_asked_for_again(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "1");
    fake_mark(1);
    fake_turn();
    settle(w, 0, SETTLED_FAILED);
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 0);
    assert_false(fake.ask_busy);
    w->d->again_ms = 1;
    w->d->down_until_ms = 0;
    turn(w);
    assert_true(fake.ask_busy);
    fake_answer(true);
    turn(w);
    assert_int_equal(fake.run->planned[1].tries, 1);
    settle(w, 1, SETTLED_SENT);
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 1);
    assert_false(w->d->down);
}

static void test_a_destination_that_is_away_is_probed(void **state)
{
    struct world *w = *state;
    char key[16];
    flow(w);
    fake_change("a", "1");
    fake_turn();
    settle(w, 0, SETTLED_FAILED);
    for (int i = 0; i < 30; i++) {
        snprintf(key, sizeof key, "k%d", i);
        fake_change(key, "1");
    }
    fake_turn();
    assert_int_equal(fake.run->count, 1);
    w->d->down_until_ms = 0;
    fake_turn();
    assert_int_equal(fake.run->count, 1 + 10); /* one batch */
    fake_turn();
    assert_int_equal(fake.run->count, 1 + 10);
    settle(w, 1, SETTLED_SENT);
    assert_int_equal(fake.run->count, 1 + 30);
}

static void test_a_run_rolls_and_the_next_one_begins(void **state)
{
    struct world *w = *state;
    flow(w);
    w->sync.schedule.stream.roll_ms = 1;
    turn(w);
    assert_false(fake.run->finished); /* nothing to tell */
    fake_change("a", "1");
    fake_turn();
    w->d->run_ms -= 5000;
    turn(w);
    assert_true(fake.run->finished);
    fake_change("b", "1");
    fake_turn();
    assert_int_equal(fake.run->count, 1);
    settle(w, 0, SETTLED_SENT);
    end_run(w, RUN_SUCCESS);
    turn(w);
    assert_int_equal(fake.begun, 2);
    turn(w);
    assert_string_equal(fake.run->planned[0].key, "b");
}

static void test_a_run_that_is_asked_for_takes_its_turn(void **state)
{
    struct world *w = *state;
    flow(w);
    fake.yield = true;
    turn(w);
    assert_true(fake.run->finished);
    end_run(w, RUN_SUCCESS);
    turn(w);
    assert_int_equal(fake.begun, 1);
    fake_change("a", "old");
    fake.yield = false;
    fake.blocked = true; /* it is under way */
    snprintf(fake.read_run, sizeof fake.read_run, "by-hand");
    end_read(w, RUN_SUCCESS);
    fake.blocked = false;
    turn(w);
    turn(w);
    assert_int_equal(fake.resynced, 2);
    assert_int_equal(fake.begun, 2);
    assert_true(fake.ask_busy); /* what waited is older than what that run has sent */
    fake_answer(true);
    turn(w);
    assert_string_equal(fake.run->planned[0].value, "fresh:a");
}

static void test_a_guard_holds_the_stream_until_it_is_approved(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "1");
    fake_mark(1);
    fake.guard = "too many within an hour";
    fake_turn();
    assert_true(fake.run->finished);
    assert_int_equal(phase(w), STREAM_READING);
    end_run(w, RUN_SUCCESS);
    turn(w);
    assert_int_equal(fake.reads, 2);
    assert_string_equal(fake.hold, "too many within an hour");
    end_read(w, RUN_HELD);
    assert_int_equal(phase(w), STREAM_HELD);
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 0);
    fake.guard = NULL;
    end_read(w, RUN_SUCCESS); /* approved, and sent */
    fake_trouble(FEED_BACK, NULL);
    turn(w);
    turn(w);
    assert_int_equal(phase(w), STREAM_FLOWING);
    assert_true(fake.ask_busy);
    fake_answer(true);
    turn(w);
    assert_int_equal(fake.run->count, 1);
}

static void test_a_hold_survives_a_restart(void **state)
{
    struct world *w = *state;
    struct err err;
    flow(w);
    fake_trouble(FEED_RESYNC, "TRUNCATE");
    end_run(w, RUN_SUCCESS);
    turn(w);
    struct run_record r = read_record(RUN_HELD);
    r.started_ms = 5;
    assert_int_equal(state_run_put(w->state, &r, &err), ERR_OK);
    end_read(w, RUN_HELD);
    commit(w);
    stream_driver_free(w->d);
    fake.reads = 0;
    open_driver(w);
    turn(w);
    fake_columns();
    turn(w);
    fake_trouble(FEED_BACK, NULL);
    turn(w);
    assert_int_equal(phase(w), STREAM_HELD);
    assert_int_equal(fake.reads, 0);
}

static void test_it_goes_on_from_what_state_knows(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "1");
    fake_mark(4);
    fake_turn();
    settle(w, 0, SETTLED_SENT);
    fake_change("b", "1");
    fake_mark(5);
    fake_turn();
    commit(w);
    stream_driver_free(w->d);
    fake.reads = 0;
    open_driver(w);
    turn(w);
    fake_columns();
    turn(w);
    assert_int_equal(fake_place(&fake.from), 4);
    fake_trouble(FEED_BACK, NULL);
    turn(w);
    assert_int_equal(phase(w), STREAM_FLOWING);
    assert_int_equal(fake.reads, 0);
}

static void test_another_model_is_read_before_changes_flow(void **state)
{
    struct world *w = *state;
    flow(w);
    commit(w);
    stream_driver_free(w->d);
    w->model.where = "active";
    fake.reads = 0;
    open_driver(w);
    turn(w);
    fake_columns();
    turn(w);
    fake_trouble(FEED_BACK, NULL);
    turn(w);
    assert_int_equal(phase(w), STREAM_READING);
    assert_true(fake.run->finished);
    end_run(w, RUN_SUCCESS);
    turn(w);
    assert_int_equal(fake.reads, 1);
    end_read(w, RUN_SUCCESS);
    fake_trouble(FEED_BACK, NULL);
    turn(w);
    assert_int_equal(phase(w), STREAM_FLOWING);
    assert_int_equal(fake.reads, 1);
}

static void test_a_run_that_was_stopped_lets_the_stream_rest_and_begin_again(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_mark(1);
    fake_change("a", "1");
    fake_mark(2);
    fake_turn();
    settle(w, 0, SETTLED_CANCELLED);
    end_run(w, RUN_FAILED);
    assert_int_equal(phase(w), STREAM_RESTING);
    commit(w);
    struct stream_view v;
    stream_driver_look(w->d, &v);
    assert_string_equal(v.why, "refused");
    w->d->rest_until_ms = 0;
    turn(w);
    turn(w);
    fake_columns();
    turn(w);
    assert_int_equal(fake_place(&fake.from), 1);
}

static void test_a_feed_is_paused_while_enough_waits(void **state)
{
    struct world *w = *state;
    static char big[1 << 20];
    memset(big, 'x', sizeof big - 1);
    flow(w);
    fake.blocked = true;
    stream_driver_pause(w->d, true);
    char key[16];
    int n = 0;
    while (!fake.feed_paused) {
        snprintf(key, sizeof key, "k%d", n++);
        fake_change(key, big);
        fake_mark((unsigned)n);
    }
    assert_in_range(n, 32, 70);
    assert_int_equal(fake.run->count, 0);
    assert_int_equal(phase(w), STREAM_PAUSED);
    stream_driver_pause(w->d, false);
    turn(w);
    assert_int_equal(fake.run->count, FAKE_PLANNED_MAX < n ? FAKE_PLANNED_MAX : n);
}

#define STREAM_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_the_model_is_read_before_changes_flow),
        STREAM_TEST(test_a_read_that_failed_is_made_again),
        STREAM_TEST(test_positions_move_with_verdicts_and_are_confirmed_when_durable),
        STREAM_TEST(test_one_version_of_a_record_is_in_flight),
        STREAM_TEST(test_what_never_was_sent_cancels_out),
        STREAM_TEST(test_keys_are_asked_for),
        STREAM_TEST(test_a_key_that_changes_while_it_is_asked_for_is_asked_for_again),
        STREAM_TEST(test_a_lost_answer_is_asked_for_again),
        STREAM_TEST(test_rows_of_one_turn_may_change_their_identities),
        STREAM_TEST(test_a_failed_record_is_asked_for_again),
        STREAM_TEST(test_a_destination_that_is_away_is_probed),
        STREAM_TEST(test_a_run_rolls_and_the_next_one_begins),
        STREAM_TEST(test_a_run_that_is_asked_for_takes_its_turn),
        STREAM_TEST(test_a_guard_holds_the_stream_until_it_is_approved),
        STREAM_TEST(test_a_hold_survives_a_restart),
        STREAM_TEST(test_it_goes_on_from_what_state_knows),
        STREAM_TEST(test_another_model_is_read_before_changes_flow),
        STREAM_TEST(test_a_run_that_was_stopped_lets_the_stream_rest_and_begin_again),
        STREAM_TEST(test_a_feed_is_paused_while_enough_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
