/* A stream's driver: when the model is read as a whole, held, and gone on from. */
#include "tests/unit/run/driver_world.h"

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
    fake_mark(1);
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

/* The log tells of a transaction before others can see it: what reads the model meanwhile would
 * read, and send, what was before. */
static void test_the_model_is_read_once_others_see_what_was_given(void **state)
{
    struct world *w = *state;
    flow(w);
    int before = fake.reads;
    fake.given = 1;
    fake_change("a", "1");
    fake_mark(1);
    fake_trouble(FEED_RESYNC, "TRUNCATE");
    end_run(w, RUN_SUCCESS);
    turn(w);
    assert_int_equal(fake.reads, before);
    fake.given = 2; /* this one may be missed by the read: it is asked for */
    fake_change("b", "1");
    fake_mark(2);
    fake.seen = 1;
    fake_turn_within();
    turn(w);
    assert_int_equal(fake.reads, before + 1);
    assert_int_equal(w->d->read_given, 1);
}

static void test_a_run_beside_begins_once_others_see_what_was_given(void **state)
{
    struct world *w = *state;
    flow(w);
    fake.given = 1;
    fake.yield = true;
    turn(w);
    assert_false(fake.run->finished);
    fake.seen = 1;
    fake_turn_within();
    turn(w);
    assert_true(fake.run->finished);
}

static void test_what_was_given_is_asked_for_once_others_see_it(void **state)
{
    struct world *w = *state;
    flow(w);
    fake.yield = true;
    turn(w);
    end_run(w, RUN_SUCCESS);
    fake_change("a", "1");
    fake_mark(1);
    fake.given = 1;
    fake.yield = false;
    snprintf(fake.read_run, sizeof fake.read_run, "by-hand");
    end_read(w, RUN_SUCCESS);
    turn(w);
    turn(w);
    assert_int_equal(phase(w), STREAM_FLOWING);
    assert_false(fake.ask_busy);
    fake.seen = 1;
    fake_turn_within();
    turn(w);
    assert_true(fake.ask_busy);
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
    fake_change("b", "1"); /* the read that is held may not have seen it */
    fake_mark(2);
    fake.guard = NULL;
    end_read(w, RUN_SUCCESS); /* approved, and sent */
    fake_trouble(FEED_BACK, NULL);
    turn(w);
    turn(w);
    assert_int_equal(phase(w), STREAM_FLOWING);
    assert_true(fake.ask_busy);
    fake_answer(true);
    turn(w);
    assert_string_equal(fake.run->planned[fake.run->count - 1].value, "fresh:b");
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

/* It may have read what was before the gap. */
static void test_a_read_that_began_before_it_was_wanted_does_not_count(void **state)
{
    struct world *w = *state;
    flow(w);
    struct run_record r = read_record(RUN_SUCCESS);
    snprintf(r.id, sizeof r.id, "by-hand");
    r.started_ms -= 1000;
    fake_trouble(FEED_RESYNC, "the slot was lost");
    end_run(w, RUN_SUCCESS);
    turn(w);
    assert_int_equal(fake.reads, 2);
    stream_driver_run_ended(w->d, &r);
    turn(w);
    assert_int_equal(phase(w), STREAM_READING);
    assert_int_equal(fake.resynced, 1);
    end_read(w, RUN_FAILED);
    assert_int_equal(fake.resynced, 1);
    assert_int_equal(phase(w), STREAM_RESTING);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_the_model_is_read_before_changes_flow),
        STREAM_TEST(test_a_read_that_failed_is_made_again),
        STREAM_TEST(test_a_run_that_is_asked_for_takes_its_turn),
        STREAM_TEST(test_the_model_is_read_once_others_see_what_was_given),
        STREAM_TEST(test_a_run_beside_begins_once_others_see_what_was_given),
        STREAM_TEST(test_what_was_given_is_asked_for_once_others_see_it),
        STREAM_TEST(test_a_guard_holds_the_stream_until_it_is_approved),
        STREAM_TEST(test_a_hold_survives_a_restart),
        STREAM_TEST(test_a_read_that_began_before_it_was_wanted_does_not_count),
        STREAM_TEST(test_it_goes_on_from_what_state_knows),
        STREAM_TEST(test_a_run_that_was_stopped_lets_the_stream_rest_and_begin_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
