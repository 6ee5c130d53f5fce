/* A poll gives every row whose cursor grew, however late and in whatever order it is committed. */
#include "tests/unit/stream/poll_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct postgres_server server;

static const char by_number[] = "select id, v, n from numbers";
static const char by_time[] = "select id, v, at from times";
static const char by_local_time[] = "select id, v, at from local_times";

static void sql(const char *text)
{
    postgres_server_run(&server, NULL, text);
}

static void run_on(PGconn *conn, const char *text)
{
    PGresult *r = PQexec(conn, text);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(conn));
    PQclear(r);
}

static int make_tables(void **state)
{
    (void)state;
    sql("drop table if exists numbers, times, local_times, dates;"
        "drop sequence if exists numbers_n;"
        "create sequence numbers_n;"
        "create table numbers (id int primary key, v int, n bigint default nextval('numbers_n'));"
        "create index on numbers (n);"
        "create table times (id int primary key, v int, at timestamptz default now());"
        "create table local_times (id int primary key, v int,"
        " at timestamp default (now() at time zone 'America/New_York'));"
        "create table dates (id int primary key, at date);"
        "insert into numbers (id, v) values (1, 0), (2, 0);"
        "insert into times (id, v, at) values (1, 0, now() - interval '1 day'),"
        " (2, 0, now() - interval '1 hour');"
        "insert into local_times (id, v, at) values"
        " (1, 0, now() at time zone 'America/New_York' - interval '1 day'),"
        " (2, 0, now() at time zone 'America/New_York' - interval '1 hour');"
        "insert into dates values (1, current_date - 2)");
    return 0;
}

/* ---- the beginning ---- */

static bool is_resync(struct poll_world *w)
{
    return w->troubles[FEED_RESYNC] > 0;
}

static void the_first_time_the_model_is_to_be_read(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server, by_number, "n");
    poll_world_start(&w);
    poll_world_until(&w, is_resync);
    assert_string_equal(w.err.text, "the first time");
    sql("insert into numbers (id, v) values (3, 0)");
    assert_int_equal(w.troubles[FEED_BACK], 0);
    poll_world_resynced(&w);
    poll_world_until_given(&w, 3, 1);
    assert_int_equal(w.troubles[FEED_BACK], 1);
    assert_int_equal(w.given_while_standing, 0);
    assert_int_equal(w.times[1], 0); /* below the place it began at */
    poll_world_looks(&w, 2);
    assert_int_equal(poll_world_sessions(&w), 0);
    poll_world_done(&w);
}

static void what_is_open_at_the_beginning_is_waited_for(void **state)
{
    (void)state;
    struct poll_world w;
    struct feed_lag lag;
    PGconn *late = postgres_server_connect(&server, NULL);
    run_on(late, "begin; insert into numbers (id, v) values (3, 0)");
    sql("insert into numbers (id, v) values (4, 0)");
    poll_world_init(&w, &server, by_number, "n");
    poll_world_start(&w);
    poll_world_looks(&w, 3);
    assert_int_equal(w.troubles[FEED_RESYNC], 0);
    w.feed->ops->lag(w.feed, &lag);
    assert_non_null(strstr(lag.note, "open at its beginning"));
    run_on(late, "commit");
    poll_world_until(&w, is_resync);
    poll_world_done(&w);
    PQfinish(late);
}

static bool is_resync_again(struct poll_world *w)
{
    return w->troubles[FEED_RESYNC] > 1;
}

static void what_is_open_for_long_at_the_beginning_is_read_when_it_has_ended(void **state)
{
    (void)state;
    struct poll_world w;
    struct feed_position early;
    PGconn *late = postgres_server_connect(&server, NULL);
    run_on(late, "begin; insert into numbers (id, v) values (3, 0)");
    sql("insert into numbers (id, v) values (4, 0)");
    poll_world_init(&w, &server, by_number, "n");
    poll_world_start(&w);
    ((struct poll_feed *)w.feed)->wait_most_ms = 0;
    poll_world_until(&w, is_resync);
    poll_world_resynced(&w);
    sql("insert into numbers (id, v) values (5, 0)");
    poll_world_until_given(&w, 5, 1);
    poll_world_looks(&w, 2);
    early = w.position;
    assert_int_equal(w.troubles[FEED_RESYNC], 1);
    run_on(late, "commit");
    poll_world_until(&w, is_resync_again);
    assert_int_equal(w.times[3], 0); /* it is below the place */
    assert_int_equal(w.troubles[FEED_BACK], 1);
    poll_world_resynced(&w);
    poll_world_looks(&w, 3);
    assert_int_equal(w.troubles[FEED_BACK], 2);
    assert_int_equal(w.troubles[FEED_RESYNC], 2);
    poll_world_done(&w);

    /* Nobody goes on from where that transaction was not told of. */
    poll_world_init(&w, &server, by_number, "n");
    w.options.from = early;
    poll_world_start(&w);
    poll_world_until(&w, is_resync);
    poll_world_done(&w);
    PQfinish(late);
}

static void a_position_is_gone_on_from(void **state)
{
    (void)state;
    struct poll_world w;
    struct feed_position at;
    poll_world_init(&w, &server, by_number, "n");
    poll_world_flow(&w);
    sql("insert into numbers (id, v) values (3, 0), (4, 0)");
    poll_world_until_given(&w, 4, 2);
    poll_world_looks(&w, 2);
    at = w.position;
    poll_world_done(&w);
    sql("insert into numbers (id, v) values (5, 0)");
    poll_world_init(&w, &server, by_number, "n");
    w.options.from = at;
    poll_world_start(&w);
    poll_world_until_given(&w, 5, 1);
    assert_int_equal(w.troubles[FEED_RESYNC], 0);
    assert_int_equal(w.times[3], 0);
    poll_world_done(&w);

    /* It is the position of that cursor only. */
    poll_world_init(&w, &server, by_number, "v");
    w.options.from = at;
    poll_world_start(&w);
    poll_world_until(&w, is_resync);
    poll_world_done(&w);
}

/* ---- late commits ---- */

static void a_transaction_that_commits_late_is_given(void **state)
{
    (void)state;
    static const struct {
        const char *model, *cursor, *table;
    } cases[] = {{by_number, "n", "numbers"}, {by_time, "at", "times"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct poll_world w;
        char text[100];
        poll_world_init(&w, &server, cases[i].model, cases[i].cursor);
        poll_world_flow(&w);
        PGconn *late = postgres_server_connect(&server, NULL);
        snprintf(text, sizeof text, "begin; insert into %s (id, v) values (10, 0)", cases[i].table);
        run_on(late, text);
        for (int id = 11; id < 16; id++) {
            snprintf(text, sizeof text, "insert into %s (id, v) values (%d, 0)", cases[i].table,
                     id);
            sql(text);
            poll_world_until_given(&w, (size_t)id, 1);
            poll_world_looks(&w, 2);
        }
        assert_int_equal(w.times[10], 0);
        run_on(late, "commit");
        poll_world_until_given(&w, 10, 1);
        poll_world_done(&w);
        PQfinish(late);
    }
}

/* It took its number, or its time, before others; and wrote after those were seen. */
static void a_transaction_that_writes_late_is_given(void **state)
{
    (void)state;
    static const struct {
        const char *model, *cursor, *begin, *table, *write;
    } cases[] = {
        {by_number, "n", "begin; select nextval('numbers_n')", "numbers",
         "insert into numbers values (10, 0, currval('numbers_n')); commit"},
        {by_time, "at", "begin; select now()", "times",
         "insert into times (id, v) values (10, 0); commit"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct poll_world w;
        char text[100];
        poll_world_init(&w, &server, cases[i].model, cases[i].cursor);
        poll_world_flow(&w);
        PGconn *late = postgres_server_connect(&server, NULL);
        run_on(late, "select nextval('numbers_n')"); /* others come from the same log entry */
        run_on(late, cases[i].begin);
        for (int id = 11; id < 16; id++) {
            snprintf(text, sizeof text, "insert into %s (id, v) values (%d, 0)", cases[i].table,
                     id);
            sql(text);
            poll_world_until_given(&w, (size_t)id, 1);
            poll_world_looks(&w, 2);
        }
        run_on(late, cases[i].write);
        poll_world_until_given(&w, 10, 1);
        poll_world_done(&w);
        PQfinish(late);
    }
}

/* What others do is not shown to a user without privileges, but that they do something. */
static void a_user_that_may_only_read_misses_nothing(void **state)
{
    (void)state;
    struct poll_world w;
    sql("drop role if exists reader; create role reader login;"
        "grant select on numbers to reader; create role writer login;"
        "grant all on numbers, numbers_n to writer");
    poll_world_init(&w, &server, by_number, "n");
    w.params[1].value = "reader";
    poll_world_flow(&w);
    PGconn *late = postgres_server_connect(&server, NULL);
    run_on(late, "set session authorization writer; begin; select nextval('numbers_n')");
    sql("insert into numbers (id, v) values (11, 0)");
    poll_world_until_given(&w, 11, 1);
    poll_world_looks(&w, 3);
    run_on(late, "insert into numbers values (10, 0, currval('numbers_n')); commit");
    poll_world_until_given(&w, 10, 1);
    poll_world_done(&w);
    PQfinish(late);
    sql("drop owned by reader, writer; drop role reader, writer");
}

static void a_prepared_transaction_is_given(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server, by_number, "n");
    poll_world_flow(&w);
    sql("begin; insert into numbers (id, v) values (10, 0); prepare transaction 'late'");
    sql("insert into numbers (id, v) values (11, 0)");
    poll_world_until_given(&w, 11, 1);
    poll_world_looks(&w, 3);
    sql("insert into numbers (id, v) values (12, 0)");
    poll_world_until_given(&w, 12, 1);
    poll_world_looks(&w, 3);
    sql("commit prepared 'late'");
    poll_world_until_given(&w, 10, 1);
    poll_world_done(&w);
}

static void what_was_passed_is_not_given_again(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server, by_number, "n");
    poll_world_flow(&w);
    for (int id = 3; id < 8; id++) {
        char text[100];
        snprintf(text, sizeof text, "insert into numbers (id, v) values (%d, 0)", id);
        sql(text);
        poll_world_until_given(&w, (size_t)id, 1);
    }
    poll_world_looks(&w, 3);
    unsigned before = w.times[3];
    poll_world_looks(&w, 5);
    assert_int_equal(w.times[3], before);
    poll_world_done(&w);
}

static void a_time_in_the_future_hides_nothing(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server, by_time, "at");
    poll_world_flow(&w);
    sql("insert into times values (10, 0, now() + interval '1 day')");
    poll_world_until_given(&w, 10, 1);
    poll_world_looks(&w, 3);
    sql("insert into times (id, v) values (11, 0)");
    poll_world_until_given(&w, 11, 1);
    poll_world_done(&w);
}

static void times_without_a_zone_are_those_of_the_model(void **state)
{
    (void)state;
    struct poll_world w;
    for (int zoned = 0; zoned < 2; zoned++) {
        make_tables(NULL);
        poll_world_init(&w, &server, by_local_time, "at");
        w.model.timezone = zoned ? "America/New_York" : NULL;
        poll_world_flow(&w);
        sql("insert into local_times (id, v) values (10, 0)");
        poll_world_until_given(&w, 10, 1);
        assert_int_equal(w.times[1], 0);
        sql("update local_times set v = 7, at = default where id = 1");
        poll_world_until_given(&w, 1, 1);
        poll_world_done(&w);
    }
}

static void dates_are_cursors_too(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server, "select id, at from dates", "at");
    poll_world_flow(&w);
    sql("insert into dates values (2, current_date)");
    poll_world_until_given(&w, 2, 1);
    poll_world_looks(&w, 2);
    sql("insert into dates values (3, current_date)");
    poll_world_until_given(&w, 3, 1);
    poll_world_done(&w);
}

static void the_overlap_gives_again_what_is_close(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server, by_time, "at");
    w.sync.schedule.stream.overlap_ms = 3600 * 1000;
    poll_world_flow(&w);
    sql("insert into times (id, v) values (3, 0)");
    poll_world_until_given(&w, 3, 3);
    sql("insert into times values (4, 0, now() - interval '30 minutes'),"
        " (5, 0, now() - interval '3 hours')");
    poll_world_until_given(&w, 4, 1);
    poll_world_looks(&w, 2);
    assert_int_equal(w.times[5], 0);
    assert_int_equal(w.times[1], 0);
    poll_world_done(&w);
}

static void rows_with_equal_cursors_are_all_given(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server, "select id, v, n from numbers", "n");
    poll_world_flow(&w);
    sql("insert into numbers select i, 0, 1000 from generate_series(1001, 8000) i");
    poll_world_until_given(&w, 8000, 1);
    for (size_t id = 1001; id <= 8000; id++)
        assert_true(w.times[id] > 0);
    assert_true(w.turns > 7000 / 1000);
    poll_world_looks(&w, 3);
    sql("insert into numbers values (9000, 0, 1000)");
    poll_world_until_given(&w, 9000, 1);
    poll_world_done(&w);
}

static void rows_without_a_cursor_are_not_seen(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server, by_number, "n");
    poll_world_flow(&w);
    sql("insert into numbers values (3, 0, null); insert into numbers (id, v) values (4, 0)");
    poll_world_until_given(&w, 4, 1);
    assert_int_equal(w.times[3], 0);
    poll_world_done(&w);
}

static int set_up(void **state)
{
    postgres_server_start(&server);
    sql("alter system set max_prepared_transactions = 5");
    postgres_server_halt(&server, 0);
    postgres_server_go_on(&server);
    return make_tables(state);
}

static int tear_down(void **state)
{
    (void)state;
    postgres_server_stop(&server);
    return 0;
}

#define FRESH(test) cmocka_unit_test_setup(test, make_tables)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(the_first_time_the_model_is_to_be_read),
        FRESH(what_is_open_at_the_beginning_is_waited_for),
        FRESH(what_is_open_for_long_at_the_beginning_is_read_when_it_has_ended),
        FRESH(a_position_is_gone_on_from),
        FRESH(a_transaction_that_commits_late_is_given),
        FRESH(a_transaction_that_writes_late_is_given),
        FRESH(a_user_that_may_only_read_misses_nothing),
        FRESH(a_prepared_transaction_is_given),
        FRESH(what_was_passed_is_not_given_again),
        FRESH(a_time_in_the_future_hides_nothing),
        FRESH(times_without_a_zone_are_those_of_the_model),
        FRESH(dates_are_cursors_too),
        FRESH(the_overlap_gives_again_what_is_close),
        FRESH(rows_with_equal_cursors_are_all_given),
        FRESH(rows_without_a_cursor_are_not_seen),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
