/* A stream's driver: changes, from the feed to verdicts and positions. */
#include "tests/unit/run/driver_world.h"

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

static void test_a_transaction_is_planned_as_a_whole(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "1");
    fake_turn_within();
    turn(w);
    assert_int_equal(fake.run->count, 0);
    fake_change("b", "1");
    fake_mark(1);
    turn(w);
    assert_int_equal(fake.run->count, 2);
    assert_int_equal(fake.run->turns, 1);
    fake_change("c", "1");
    fake_trouble(FEED_LOST, "gone");
    turn(w);
    assert_int_equal(fake.run->count,
                     3); /* it comes again, and what is known of it is no less true */
}

static void test_a_batch_waits_for_more_only_where_requests_are_counted(void **state)
{
    struct world *w = *state;
    flow(w);
    w->sync.schedule.stream.linger_ms = 3600000;
    fake_change("a", "1");
    fake_turn();
    assert_int_equal(fake.run->count, 1);
    w->destination.limit_count = 1;
    fake_change("b", "1");
    fake_turn();
    turn(w);
    assert_int_equal(fake.run->count, 1);
    for (char key[] = "c"; *key < 'c' + 9; ++*key) /* with b a whole batch */
        fake_change(key, "1");
    fake_turn();
    assert_int_equal(fake.run->count, 1 + 10);
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

/* What came while it was asked for is newer than the answer, even where it was sent already. */
static void answer_after(struct world *w, const char *value)
{
    flow(w);
    fake_change("a", "?");
    fake_mark(1);
    fake_turn();
    assert_true(fake.ask_busy);
    fake_change("a", value);
    fake_mark(2);
    fake_turn();
    assert_int_equal(fake.run->count, 1);
    settle(w, 0, SETTLED_SENT);
    fake_answer(true);
    turn(w);
    assert_int_equal(fake.run->count, 1);
    assert_false(fake.ask_busy);
    commit(w);
    assert_int_equal(fake_place(&fake.confirmed), 2);
    turn(w);
    assert_int_equal(fake.run->coalesced, 1);
}

static void test_an_answer_is_older_than_a_row_that_came_meanwhile(void **state)
{
    struct world *w = *state;
    answer_after(w, "2");
    assert_string_equal(fake.run->planned[0].value, "2");
}

static void test_an_answer_is_older_than_a_removal_that_came_meanwhile(void **state)
{
    struct world *w = *state;
    answer_after(w, NULL);
    assert_true(fake.run->planned[0].gone);
}

static void test_a_lost_answer_is_asked_for_again_but_for_what_came_meanwhile(void **state)
{
    struct world *w = *state;
    flow(w);
    fake_change("a", "?");
    fake_change("b", "?");
    fake_mark(1);
    fake_turn();
    fake_change("a", "2");
    fake_mark(2);
    fake_turn();
    fake_answer(false);
    w->d->ask_again_ms = 0;
    turn(w);
    assert_int_equal(fake.asked_count, 1);
    assert_string_equal(fake.asked[0], "b");
    fake_answer(true);
    turn(w);
    assert_int_equal(fake.run->count, 2);
    assert_string_equal(fake.run->planned[0].value, "2");
    assert_string_equal(fake.run->planned[1].value, "fresh:b");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_positions_move_with_verdicts_and_are_confirmed_when_durable),
        STREAM_TEST(test_one_version_of_a_record_is_in_flight),
        STREAM_TEST(test_what_never_was_sent_cancels_out),
        STREAM_TEST(test_a_transaction_is_planned_as_a_whole),
        STREAM_TEST(test_a_batch_waits_for_more_only_where_requests_are_counted),
        STREAM_TEST(test_keys_are_asked_for),
        STREAM_TEST(test_a_key_that_changes_while_it_is_asked_for_is_asked_for_again),
        STREAM_TEST(test_an_answer_is_older_than_a_row_that_came_meanwhile),
        STREAM_TEST(test_an_answer_is_older_than_a_removal_that_came_meanwhile),
        STREAM_TEST(test_a_lost_answer_is_asked_for_again),
        STREAM_TEST(test_a_lost_answer_is_asked_for_again_but_for_what_came_meanwhile),
        STREAM_TEST(test_rows_of_one_turn_may_change_their_identities),
        STREAM_TEST(test_a_failed_record_is_asked_for_again),
        STREAM_TEST(test_a_destination_that_is_away_is_probed),
        STREAM_TEST(test_a_run_rolls_and_the_next_one_begins),
        STREAM_TEST(test_another_model_is_read_before_changes_flow),
        STREAM_TEST(test_a_feed_is_paused_while_enough_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
