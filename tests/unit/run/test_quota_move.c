/* A quota that moves between real servers: wherever the list of servers changes under way, it
 * ends where it belongs, with what only Redis knew. */
#include "tests/unit/run/town.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <string.h>

static void a_quota_takes_its_window_along_and_leaves_nothing(void **state)
{
    struct town *t = *state;
    town_begin(t, 1);
    UNTIL(t, town_is_at(t, "a"));
    town_spend(t, 1, 3);
    town_list(t, 2);
    UNTIL(t, town_is_at(t, "b") && town_used(t) == 3);
    UNTIL(t, !*quota_left_at(t->quota) && town_keys_for_good(t, 0) == 0);
    town_enqueue(t, 1, 3);
    assert_true(town_claim(t));
    assert_true(town_claim(t));
    assert_false(town_claim(t));
}

/* The list changes back after some turns of the loop, so at any step of the move. */
static void wherever_the_list_changes_back_the_quota_ends_at_its_home(void **state)
{
    enum { TURNS = 60 };
    struct town *t = *state;
    town_begin(t, 1);
    UNTIL(t, town_is_at(t, "a"));
    town_spend(t, 1, 3);
    for (int turns = 0; turns < TURNS; turns++) {
        town_list(t, 2);
        for (int i = 0; i < turns; i++)
            around_turn(t->base);
        town_list(t, 1);
        UNTIL(t, town_is_at(t, "a") && town_used(t) == 3);
        UNTIL(t, !*quota_left_at(t->quota) && town_keys_for_good(t, 1) == 0);
    }
}

static bool is_bare(struct town *t, size_t server)
{
    return town_keys_for_good(t, server) == 0;
}

/* On to a third server, at any step of the move to the second. */
static void wherever_the_list_changes_on_nothing_is_left_behind(void **state)
{
    enum { TURNS = 60 };
    struct town *t = *state;
    town_begin(t, 1);
    UNTIL(t, town_is_at(t, "a"));
    town_spend(t, 1, 3);
    for (unsigned turns = 0; turns < TURNS; turns++) {
        unsigned here = 2 * turns % 3, next = (here + 1) % 3, last = (here + 2) % 3;
        town_list(t, 1u << next);
        for (unsigned i = 0; i < turns; i++)
            around_turn(t->base);
        town_list(t, 1u << last);
        UNTIL(t, town_is_at(t, town_names[last]) && town_used(t) == 3);
        UNTIL(t, !*quota_left_at(t->quota) && is_bare(t, here) && is_bare(t, next));
    }
}

/* Taken out of the list while it cannot be reached, and back before it counts as gone. */
static void a_server_that_comes_back_is_left_in_order(void **state)
{
    struct town *t = *state;
    char why[512];
    town_begin(t, 1);
    UNTIL(t, town_is_at(t, "a"));
    redis_server_signal(&t->servers[0], SIGKILL);
    town_list_only(t, 2);
    UNTIL(t, quota_waits(t->quota, why, sizeof why) && strstr(why, "server a is gone"));
    redis_server_restart(&t->servers[0]);
    freeReplyObject(redis_server_ask(&t->servers[0], "SADD", "sluice:{crm}:dests", "crm", NULL));
    UNTIL(t, town_is_at(t, "b"));
    UNTIL(t, !*quota_left_at(t->quota));
    assert_true(is_bare(t, 0));
}

static void a_destination_that_wants_to_be_left_alone_is_left_alone_by_every_server(void **state)
{
    enum { ASKED_MS = 60000 };
    struct town *t = *state;
    town_begin(t, 1);
    UNTIL(t, town_is_at(t, "a"));
    town_enqueue(t, 1, 1);
    assert_true(town_claim(t));
    town_settle(t, SETTLE_THROTTLE, ASKED_MS);
    double factor = 0.7;
    town_list(t, 2);
    UNTIL(t, town_is_at(t, "b") && quota_summary(t->quota)->throttled_left_ms > 0);
    assert_true(quota_summary(t->quota)->throttled_left_ms <= ASKED_MS);
    assert_true(quota_factor(t->quota) == factor);
    town_enqueue(t, 1, 1);
    assert_false(town_claim(t));
    assert_in_range(t->claimed.wait_ms, ASKED_MS / 2, ASKED_MS);
    town_leave(t);
    town_begin(t, 1); /* and back, by another scheduler */
    UNTIL(t, town_is_at(t, "a") && quota_summary(t->quota)->throttled_left_ms > 0);
    assert_true(quota_factor(t->quota) == factor);
}

/* The state is as old as its back-up, Redis at the new server is not: its window counts. */
static void a_restored_state_does_not_forget_what_was_sent_where_it_did_not_know_of(void **state)
{
    struct town *t = *state;
    town_begin(t, 1);
    UNTIL(t, town_is_at(t, "a"));
    town_spend(t, 1, 1);
    town_leave(t);
    town_copy_state(t, "state", "copy");
    town_begin(t, 2);
    UNTIL(t, town_is_at(t, "b"));
    town_spend(t, 1, 3);
    UNTIL(t, town_used(t) == 4);
    UNTIL(t, !*quota_left_at(t->quota));
    town_leave(t);
    town_copy_state(t, "copy", "state");
    assert_false(t->late);
    town_begin(t, 2);
    UNTIL(t, town_is_at(t, "b") && town_used(t) >= 4);
    assert_true(t->late);
}

/* Another state, which knows nothing of the quota, and a list in which it belongs elsewhere. */
static void begin_as_another(struct town *t)
{
    state_close(t->state);
    town_open_state(t, "another");
    town_begin(t, 3);
}

/* Opens it at the server that is not its home in a list of both; gives that server's number. */
static size_t begin_away_from_home(struct town *t)
{
    town_list(t, 3);
    size_t away = strcmp(redis_fleet_home(t->fleet, "crm"), "a") == 0;
    redis_fleet_free(t->fleet);
    t->fleet = NULL;
    town_begin(t, 1u << away);
    UNTIL(t, town_is_at(t, town_names[away]));
    return away;
}

static void a_quota_that_another_state_has_is_found_wherever_it_is(void **state)
{
    struct town *t = *state;
    size_t away = begin_away_from_home(t);
    town_spend(t, 1, 3);
    town_crash(t);
    begin_as_another(t);
    UNTIL(t, *t->broken);
    assert_non_null(strstr(t->broken, "in use by another Sluice"));
    assert_string_equal(quota_at(t->quota), town_names[away]);
    assert_false(t->late);
}

/* Its place has forgotten who took it from there, as it does after a day. */
static void a_quota_that_was_taken_elsewhere_long_ago_is_not_opened_where_it_was(void **state)
{
    struct town *t = *state;
    town_begin(t, 1);
    UNTIL(t, town_is_at(t, "a"));
    town_leave(t);
    state_close(t->state);
    town_open_state(t, "another");
    town_begin(t, 2);
    UNTIL(t, town_is_at(t, "b") && !*quota_left_at(t->quota));
    town_crash(t);
    redis_server_ask_int(&t->servers[0], "DEL", "sluice:{crm}:owner", NULL);
    state_close(t->state);
    town_open_state(t, "state");
    town_begin(t, 1);
    UNTIL(t, *t->broken || quota_is_ready(t->quota));
    assert_non_null(strstr(t->broken, "in use by another Sluice"));
    assert_string_equal(quota_at(t->quota), "b");
}

static void what_another_state_used_up_counts_for_the_next_one(void **state)
{
    struct town *t = *state;
    size_t away = begin_away_from_home(t);
    town_spend(t, 1, 3);
    town_leave(t);
    begin_as_another(t);
    UNTIL(t, town_is_at(t, town_names[!away]) && town_used(t) == 3);
    assert_true(t->late);
    UNTIL(t, !*quota_left_at(t->quota) && town_keys_for_good(t, away) == 0);
}

/* Whether it has the quota cannot be told. */
static void a_quota_that_was_never_opened_waits_for_a_server_that_is_away(void **state)
{
    struct town *t = *state;
    char why[512];
    redis_server_signal(&t->servers[1], SIGKILL);
    town_begin(t, 1);
    UNTIL(t, strcmp(quota_at(t->quota), "b") == 0);
    assert_non_null(quota_waits(t->quota, why, sizeof why));
    assert_non_null(strstr(why, "server b is not reached, to be asked whether it has crm"));
    redis_server_restart(&t->servers[1]);
    UNTIL(t, town_is_at(t, "a"));
    town_crash(t);
    redis_server_signal(&t->servers[1], SIGKILL);
    town_begin(t, 1);
    UNTIL(t, town_is_at(t, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_quota_takes_its_window_along_and_leaves_nothing,
                                        town_setup, town_teardown),
        cmocka_unit_test_setup_teardown(wherever_the_list_changes_back_the_quota_ends_at_its_home,
                                        town_setup, town_teardown),
        cmocka_unit_test_setup_teardown(wherever_the_list_changes_on_nothing_is_left_behind,
                                        town_setup, town_teardown),
        cmocka_unit_test_setup_teardown(a_server_that_comes_back_is_left_in_order, town_setup,
                                        town_teardown),
        cmocka_unit_test_setup_teardown(
            a_destination_that_wants_to_be_left_alone_is_left_alone_by_every_server, town_setup,
            town_teardown),
        cmocka_unit_test_setup_teardown(
            a_restored_state_does_not_forget_what_was_sent_where_it_did_not_know_of, town_setup,
            town_teardown),
        cmocka_unit_test_setup_teardown(a_quota_that_another_state_has_is_found_wherever_it_is,
                                        town_setup, town_teardown),
        cmocka_unit_test_setup_teardown(
            a_quota_that_was_taken_elsewhere_long_ago_is_not_opened_where_it_was, town_setup,
            town_teardown),
        cmocka_unit_test_setup_teardown(what_another_state_used_up_counts_for_the_next_one,
                                        town_setup, town_teardown),
        cmocka_unit_test_setup_teardown(
            a_quota_that_was_never_opened_waits_for_a_server_that_is_away, town_setup,
            town_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
