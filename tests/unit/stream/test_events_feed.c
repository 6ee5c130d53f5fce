/* A Redis stream as a feed, against a real Redis: what is given, in which order, and when it is
 * acknowledged. */
#include "events_world.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void entries_come_as_they_are_added_and_are_acknowledged_when_confirmed(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_add(&w, "a", "1", NULL);
    world_add(&w, "b", "2", NULL);
    world_start(&w);
    world_until(&w, &w.given, 2);
    assert_string_equal(w.rows[0], "a|1");
    assert_string_equal(w.rows[1], "b|2");
    world_until(&w, &w.turns, 1);
    assert_int_equal(w.backs, 1);
    world_add(&w, "c", "3.50", NULL);
    world_until(&w, &w.given, 3);
    assert_string_equal(w.rows[2], "c|3.50");
    world_run(&w, 50);
    assert_int_equal(world_pending(&w), 3);
    world_confirm(&w);
    world_until_pending(&w, 0);
    assert_int_equal(w.losts + w.fails, 0);
    world_close(&w);
}

static void only_what_is_behind_the_position_is_acknowledged(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_start(&w);
    world_add(&w, "a", "1", NULL);
    world_until(&w, &w.marks, 1);
    struct feed_position first = w.mark;
    world_add(&w, "b", "2", NULL);
    world_until(&w, &w.given, 2);
    w.feed->ops->confirm(w.feed, &first);
    world_until_pending(&w, 1);
    world_run(&w, 50);
    assert_int_equal(world_pending(&w), 1);
    world_close(&w);
}

static void what_is_pending_comes_again_before_what_is_new(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_start(&w);
    world_add(&w, "a", "1", NULL);
    world_until(&w, &w.marks, 1);
    w.from = w.mark; /* settled, and nobody came to acknowledge it */
    world_add(&w, "b", "2", NULL);
    world_add(&w, "c", "3", NULL);
    world_until(&w, &w.given, 3);
    world_end(&w);
    world_add(&w, "d", "4", NULL);
    world_forget(&w);
    world_start(&w);
    world_until(&w, &w.given, 3);
    assert_string_equal(w.rows[0], "b|2");
    assert_string_equal(w.rows[1], "c|3");
    assert_string_equal(w.rows[2], "d|4");
    assert_int_equal(w.given_at_back, 2);
    world_until_pending(&w, 3); /* a is acknowledged, without having been given again */
    world_close(&w);
}

static void entries_that_are_deleted_meanwhile_are_passed(void **state)
{
    (void)state;
    struct world w;
    char id[64];
    world_open(&w);
    world_start(&w);
    world_add(&w, "a", "1", id);
    world_add(&w, "b", "2", NULL);
    world_until(&w, &w.given, 2);
    world_end(&w);
    redisReply *r = redis_server_ask(&w.redis, "XDEL", "s", id, NULL);
    freeReplyObject(r);
    world_forget(&w);
    world_start(&w);
    world_until(&w, &w.backs, 1);
    assert_int_equal(w.given, 1);
    assert_string_equal(w.rows[0], "b|2");
    world_confirm(&w);
    world_until_pending(&w, 0);
    world_close(&w);
}

static void all_of_them_deleted_still_move_the_position(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_start(&w);
    world_add(&w, "a", "1", NULL);
    world_until(&w, &w.marks, 1);
    w.from = w.mark;
    world_add(&w, "b", "2", NULL);
    world_until(&w, &w.given, 2);
    world_end(&w);
    redisReply *r = redis_server_ask(&w.redis, "XTRIM", "s", "MAXLEN", "0", NULL);
    freeReplyObject(r);
    world_forget(&w);
    world_start(&w);
    world_until(&w, &w.backs, 1);
    assert_int_equal(w.given, 0);
    assert_int_equal(w.marks, 1);
    world_confirm(&w);
    world_until_pending(&w, 0);
    world_close(&w);
}

static void a_first_run_that_skips_begins_at_the_end(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    w.sync.first_run = FIRST_SKIP;
    world_add(&w, "a", "1", NULL);
    world_start(&w);
    world_until(&w, &w.backs, 1);
    assert_int_equal(w.marks, 1); /* so that the next start knows it */
    world_add(&w, "b", "2", NULL);
    world_until(&w, &w.given, 1);
    assert_string_equal(w.rows[0], "b|2");
    world_end(&w);
    world_forget(&w);
    world_start(&w); /* its position was not kept: the group has it */
    world_until(&w, &w.given, 1);
    assert_string_equal(w.rows[0], "b|2");
    world_close(&w);
}

static void a_state_that_knows_nothing_takes_over_what_another_left(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_add(&w, "a", "1", NULL);
    world_add(&w, "b", "2", NULL);
    redisReply *r = redis_server_ask(&w.redis, "XGROUP", "CREATE", "s", "sluice:t", "0", NULL);
    freeReplyObject(r);
    r = redis_server_ask(&w.redis, "XREADGROUP", "GROUP", "sluice:t", "sluice-old", "COUNT", "1",
                         "STREAMS", "s", ">", NULL);
    freeReplyObject(r);
    world_start(&w);
    world_until(&w, &w.given, 2);
    assert_string_equal(w.rows[0], "a|1");
    assert_int_equal(w.given_at_back, 1);
    assert_string_equal(w.rows[1], "b|2");
    world_confirm(&w);
    world_until_pending(&w, 0);
    world_close(&w);
}

static void while_paused_nothing_is_given_and_nothing_is_lost(void **state)
{
    (void)state;
    struct world w;
    char n[16];
    world_open(&w);
    w.pause_at = 3;
    for (int i = 0; i < 200; i++) {
        snprintf(n, sizeof n, "%d", i);
        world_add(&w, n, n, NULL);
    }
    world_start(&w);
    world_until(&w, &w.given, 3);
    world_run(&w, 100);
    assert_int_equal(w.given, 3);
    unsigned delivered = world_pending(&w);
    assert_true(delivered < 200);
    for (int i = 200; i < 210; i++) {
        snprintf(n, sizeof n, "%d", i);
        world_add(&w, n, n, NULL);
    }
    world_run(&w, 100);
    assert_int_equal(world_pending(&w), delivered);
    w.feed->ops->resume(w.feed);
    world_until(&w, &w.given, 210);
    for (int i = 0; i < 210; i++) {
        char want[40];
        snprintf(want, sizeof want, "%d|%d", i, i);
        assert_string_equal(w.rows[i], want);
    }
    world_confirm(&w);
    world_until_pending(&w, 0);
    world_close(&w);
}

/* A read that waits when the owner pauses comes back with what came meanwhile. */
static void a_pause_holds_for_a_read_that_waits_already(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_start(&w);
    world_until(&w, &w.backs, 1);
    world_run(&w, 50);
    w.feed->ops->pause(w.feed);
    world_add(&w, "a", "1", NULL);
    world_add(&w, "b", "2", NULL);
    world_run(&w, 100);
    assert_int_equal(w.given, 0);
    w.feed->ops->resume(w.feed);
    world_until(&w, &w.given, 2);
    assert_string_equal(w.rows[0], "a|1");
    assert_string_equal(w.rows[1], "b|2");
    assert_int_equal(w.backs, 1);
    world_close(&w);
}

/* A replay that the owner cannot take in as a whole must not wait for its end. */
static void a_pause_in_the_replay_lets_the_owner_plan(void **state)
{
    (void)state;
    struct world w;
    char n[16];
    world_open(&w);
    world_start(&w);
    for (int i = 0; i < 100; i++) {
        snprintf(n, sizeof n, "%d", i);
        world_add(&w, n, n, NULL);
    }
    world_until(&w, &w.given, 100);
    world_end(&w);
    world_forget(&w);
    w.pause_at = 20;
    world_start(&w);
    world_until(&w, &w.turns, 1);
    assert_int_equal(w.given, 20);
    assert_int_equal(w.backs, 1);
    w.feed->ops->resume(w.feed);
    world_until(&w, &w.given, 100);
    world_run(&w, 50);
    assert_int_equal(w.given, 100);
    world_close(&w);
}

static void what_is_not_acknowledged_is_bounded(void **state)
{
    (void)state;
    enum { ALL = 101000, BOUND = 100000 };
    struct world w;
    world_open(&w);
    redisReply *r = redis_server_ask(
        &w.redis, "EVAL",
        "for i = 1, 101000 do redis.call('XADD', 's', i .. '-1', 'id', i, 'n', i) end", "0", NULL);
    assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
    world_start(&w);
    world_until(&w, &w.given, BOUND);
    world_run(&w, 200);
    assert_int_equal(w.given, BOUND);
    assert_int_equal(world_pending(&w), BOUND);
    world_confirm(&w);
    world_until(&w, &w.given, ALL);
    world_confirm(&w);
    world_until_pending(&w, 0);
    world_close(&w);
}

static void bytes_that_are_not_acknowledged_are_bounded(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    redisReply *r = redis_server_ask(
        &w.redis, "EVAL",
        "local t = string.rep('x', 1000000) for i = 1, 60 do redis.call('XADD', 's', i .. '-1', "
        "'id', i, 'n', i, 'more', t) end",
        "0", NULL);
    assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
    world_start(&w);
    world_until(&w, &w.given, 33);
    world_run(&w, 100);
    assert_true(w.given < 60);
    world_confirm(&w);
    world_until(&w, &w.given, 60);
    world_close(&w);
}

static void the_lag_counts_what_is_not_given(void **state)
{
    (void)state;
    struct world w;
    struct feed_lag lag;
    world_open(&w);
    world_start(&w);
    world_add(&w, "a", "1", NULL);
    world_until(&w, &w.given, 1);
    w.feed->ops->pause(w.feed);
    world_add(&w, "b", "2", NULL);
    world_add(&w, "c", "3", NULL);
    world_add(&w, "d", "4", NULL);
    for (int i = 0; i < 100; i++) {
        w.feed->ops->lag(w.feed, &lag);
        if (lag.records >= 3)
            break;
        world_run(&w, 100);
    }
    assert_int_equal(lag.records, 3);
    assert_true(lag.behind_ms > 0);
    assert_non_null(strchr(lag.place, '-'));
    assert_int_equal(lag.bytes, -1);
    world_close(&w);
}

static void what_was_trimmed_unread_is_told(void **state)
{
    (void)state;
    struct world w;
    struct feed_lag lag;
    char n[16];
    world_open(&w);
    world_start(&w);
    for (int i = 0; i < 3; i++)
        world_add(&w, "a", "1", NULL);
    world_until(&w, &w.given, 3);
    world_run(&w, 20);
    world_confirm(&w);
    world_until_pending(&w, 0);
    w.feed->ops->lag(w.feed, &lag);
    assert_string_equal(lag.note, "");
    world_end(&w);
    for (int i = 0; i < 10; i++) {
        snprintf(n, sizeof n, "%d", i);
        world_add(&w, n, n, NULL);
    }
    redisReply *r = redis_server_ask(&w.redis, "XTRIM", "s", "MAXLEN", "4", NULL);
    freeReplyObject(r);
    world_forget(&w);
    world_start(&w);
    world_until(&w, &w.given, 4);
    assert_string_equal(w.rows[0], "6|6");
    w.feed->ops->lag(w.feed, &lag);
    assert_int_equal(strncmp(lag.note, "6 entries were trimmed or deleted", 33), 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_as_they_are_added_and_are_acknowledged_when_confirmed),
        cmocka_unit_test(only_what_is_behind_the_position_is_acknowledged),
        cmocka_unit_test(what_is_pending_comes_again_before_what_is_new),
        cmocka_unit_test(entries_that_are_deleted_meanwhile_are_passed),
        cmocka_unit_test(all_of_them_deleted_still_move_the_position),
        cmocka_unit_test(a_first_run_that_skips_begins_at_the_end),
        cmocka_unit_test(a_state_that_knows_nothing_takes_over_what_another_left),
        cmocka_unit_test(while_paused_nothing_is_given_and_nothing_is_lost),
        cmocka_unit_test(a_pause_holds_for_a_read_that_waits_already),
        cmocka_unit_test(a_pause_in_the_replay_lets_the_owner_plan),
        cmocka_unit_test(what_is_not_acknowledged_is_bounded),
        cmocka_unit_test(bytes_that_are_not_acknowledged_are_bounded),
        cmocka_unit_test(the_lag_counts_what_is_not_given),
        cmocka_unit_test(what_was_trimmed_unread_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
