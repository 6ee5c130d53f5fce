/* What wakes a poll, what holds it up, and what it cannot go on from. */
#include "protocol/base/clock.h"
#include "scheduler/stream/poll_sql.h"
#include "tests/unit/source/proxy.h"
#include "tests/unit/stream/poll_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

static struct postgres_server server;

static const char model[] = "select id, v, n from numbers";

static void sql(const char *text)
{
    postgres_server_run(&server, NULL, text);
}

static int make_tables(void **state)
{
    (void)state;
    sql("drop table if exists times; create table times (id int, v int, at timestamptz default"
        " now()); insert into times values (1, 0, now() - interval '1 day');"
        "drop table if exists numbers cascade; drop sequence if exists numbers_n;"
        "create sequence numbers_n;"
        "create table numbers (id int primary key, v int, n bigint default nextval('numbers_n'));"
        "create index on numbers (n);"
        "insert into numbers (id, v) values (1, 0), (2, 0)");
    return 0;
}

static void flow(struct poll_world *w, const char *cursor)
{
    poll_world_init(w, &server, model, cursor);
    poll_world_flow(w);
    poll_world_looks(w, 1);
}

/* ---- waking ---- */

static bool is_listening(struct poll_world *w)
{
    return ((struct poll_feed *)w->feed)->listen &&
           !poll_listen_trouble(((struct poll_feed *)w->feed)->listen)[0];
}

/* Looks for itself only once a day: whatever is seen was notified. */
static void start_sleepy(struct poll_world *w, const char *channel)
{
    poll_world_init(w, &server, model, "n");
    w->sync.schedule.stream.poll_ms = 24 * 3600 * 1000;
    w->sync.schedule.stream.notify = channel;
    poll_world_flow(w);
    poll_world_until(w, is_listening);
    poll_world_looks(w, 1);
}

static void a_notification_wakes_it(void **state)
{
    (void)state;
    struct poll_world w;
    start_sleepy(&w, "Odd \"channel\"");
    for (int id = 10; id < 15; id++) {
        char text[120];
        snprintf(text, sizeof text,
                 "insert into numbers (id, v) values (%d, 0); notify \"Odd \"\"channel\"\"\"", id);
        sql(text);
        poll_world_until_given(&w, (size_t)id, 1);
    }
    poll_world_done(&w);
}

static void the_printed_triggers_wake_it(void **state)
{
    (void)state;
    struct poll_world w;
    struct buf text;
    struct err err;
    PGconn *conn = postgres_server_connect(&server, NULL);
    buf_init(&text, 1 << 20);
    sql("drop schema if exists \"Odd schema\" cascade; create schema \"Odd schema\";"
        "create table \"Odd schema\".\"parts \"\"of\"\" it\" (id int) partition by list (id);"
        "create table \"Odd schema\".one partition of \"Odd schema\".\"parts \"\"of\"\" it\" for"
        " values in (1); create view seen as select n.* from numbers n"
        " left join \"Odd schema\".\"parts \"\"of\"\" it\" p using (id)");
    poll_world_init(&w, &server,
                    "select * from seen where id in (select id from \"Odd schema\".one)", "n");
    w.sync.model = &w.model;
    w.sync.schedule.stream.notify = "numbers changed";
    assert_int_equal(poll_feed_sql(&w.sync, conn, &text, &err), ERR_OK);
    assert_non_null(buf_cstr(&text));
    assert_non_null(strstr(text.p, "on public.numbers\n"));
    assert_non_null(strstr(text.p, "on \"Odd schema\".\"parts \"\"of\"\" it\"\n"));
    assert_null(strstr(text.p, "on \"Odd schema\".one"));
    sql(text.p);
    poll_world_done(&w);

    start_sleepy(&w, "numbers changed");
    sql("insert into numbers (id, v) values (10, 0)");
    poll_world_until_given(&w, 10, 1);
    sql("update numbers set v = 1, n = default where id = 1");
    poll_world_until_given(&w, 1, 1);
    poll_world_done(&w);

    poll_world_init(&w, &server, "select 1 as id; drop table numbers", "id");
    w.sync.model = &w.model;
    assert_int_equal(poll_feed_sql(&w.sync, conn, &text, &err), ERR_SQL);
    w.model.sql = "select nonsense";
    assert_int_equal(poll_feed_sql(&w.sync, conn, &text, &err), ERR_SQL);
    poll_world_done(&w);
    buf_done(&text);
    PQfinish(conn);
}

/* ---- pauses ---- */

static void paused_it_does_not_look(void **state)
{
    (void)state;
    struct poll_world w;
    flow(&w, "n");
    w.feed->ops->pause(w.feed);
    sql("insert into numbers (id, v) values (10, 0)");
    for (int turns = 0; turns < 100; turns++)
        assert_int_equal(poll_world_sessions(&w), 0);
    assert_int_equal(w.times[10], 0);
    w.feed->ops->resume(w.feed);
    poll_world_until_given(&w, 10, 1);
    poll_world_done(&w);
}

static bool is_paused(struct poll_world *w)
{
    return w->rows >= w->pause_at;
}

static void a_pause_within_a_look_stops_it_at_once(void **state)
{
    (void)state;
    struct poll_world w;
    flow(&w, "n");
    sql("insert into numbers (id, v) select i, 0 from generate_series(1001, 3000) i");
    w.pause_at = w.rows + 700;
    poll_world_until(&w, is_paused);
    size_t rows = w.rows;
    for (int turns = 0; turns < 20; turns++)
        assert_int_equal(poll_world_sessions(&w), 1);
    assert_int_equal(w.rows, rows);
    w.feed->ops->resume(w.feed);
    poll_world_until_given(&w, 3000, 1);
    for (size_t id = 1001; id <= 3000; id++)
        assert_true(w.times[id] > 0);
    poll_world_done(&w);
}

static bool has_no_session(struct poll_world *w)
{
    return poll_world_sessions(w) == 0;
}

static void a_look_that_stands_for_long_gives_its_snapshot_back(void **state)
{
    (void)state;
    struct poll_world w;
    flow(&w, "n");
    ((struct poll_feed *)w.feed)->hold_most_ms = 1;
    sql("insert into numbers (id, v) select i, 0 from generate_series(1001, 3000) i");
    w.pause_at = w.rows + 700;
    poll_world_until(&w, is_paused);
    size_t marks = w.marks;
    poll_world_until(&w, has_no_session);
    sql("update numbers set v = 5 where id = 3000");
    assert_int_equal(w.marks, marks);
    w.pause_at = 0;
    w.feed->ops->resume(w.feed);
    poll_world_until_given(&w, 3000, 1);
    assert_string_equal(w.last.p + strlen("3:3000\n"), "3:5\n3:2002\n");
    for (size_t id = 1001; id <= 3000; id++)
        assert_true(w.times[id] > 0);
    poll_world_done(&w);
}

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void memory_does_not_grow_with_a_look(void **state)
{
    (void)state;
    enum { ROWS = 150000, ROW_BYTES = 2000, MOST_KIB = 100 << 10 };
    struct poll_world w;
    poll_world_init(&w, &server,
                    "select i as id, repeat('x', 2000) as v, i as n from generate_series(1,"
                    " (select max(id) from numbers)) i",
                    "n");
    poll_world_flow(&w);
    poll_world_looks(&w, 1);
    long before = peak_kib();
    sql("insert into numbers (id, v) values (150000, 0)");
    poll_world_until_given(&w, ROWS, 1);
    assert_true(w.rows >= ROWS - 10);
    assert_true(peak_kib() - before < MOST_KIB);
    poll_world_done(&w);
}

/* ---- what it gives ---- */

static void keys_are_given_where_rows_may_be_old(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server, model, "n");
    w.options.keys_only = true;
    poll_world_flow(&w);
    sql("insert into numbers (id, v) values (10, 0)");
    poll_world_until_given(&w, 10, 1);
    assert_int_equal(w.rows, 0);
    poll_world_done(&w);

    /* An answer, or a read of the whole model, that came meanwhile is newer than the look's rest.
     */
    for (int whole = 0; whole < 2; whole++) {
        make_tables(NULL);
        flow(&w, "n");
        sql("insert into numbers (id, v) select i, 0 from generate_series(1001, 3000) i");
        w.pause_at = w.rows + 100;
        poll_world_until(&w, is_paused);
        size_t rows = w.rows;
        if (whole)
            w.feed->ops->resynced(w.feed);
        else
            w.feed->ops->horizon(w.feed, 1);
        w.feed->ops->resume(w.feed);
        poll_world_until_given(&w, 3000, 1);
        assert_true(w.rows >= rows);
        assert_true(w.keys >= 1800);
        rows = w.rows;
        sql("insert into numbers (id, v) values (11, 0)");
        poll_world_until_given(&w, 11, 1);
        assert_true(w.rows > rows);
        poll_world_done(&w);
    }
}

static void rows_are_those_of_a_read(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server,
                    "select id, v, n, 1.50::numeric as a, timestamp '2026-07-01 12:00:00' as b,"
                    " array[1, 2] as c, '\\x00ff'::bytea as d, null as e from numbers -- all",
                    "n");
    w.model.timezone = "Europe/Berlin";
    poll_world_flow(&w);
    sql("insert into numbers values (10, 7, 100)");
    poll_world_until_given(&w, 10, 1);
    assert_string_equal(w.last.p, "3:10\n3:7\n3:100\n3:1.50\n4:2026-07-01T10:00:00Z\n5:[1,2]\n"
                                  "4:AP8=\n0:\n");
    poll_world_done(&w);
}

/* ---- trouble ---- */

static bool is_lost(struct poll_world *w)
{
    return w->troubles[FEED_LOST] > 0;
}

static void a_server_that_is_away_is_waited_for(void **state)
{
    (void)state;
    struct poll_world w;
    poll_world_init(&w, &server, model, "n");
    w.sync.schedule.stream.notify = "woken";
    poll_world_flow(&w);
    poll_world_until(&w, is_listening);
    poll_world_looks(&w, 1);
    postgres_server_halt(&server, 1);
    poll_world_until(&w, is_lost);
    postgres_server_go_on(&server);
    assert_int_equal(err_class(w.err.code), ERR_CLASS_RETRY);
    sql("insert into numbers (id, v) values (10, 0)");
    poll_world_until_given(&w, 10, 1);
    assert_true(w.troubles[FEED_LOST] >= 1); /* again where the reason is another one */
    assert_int_equal(w.troubles[FEED_BACK], 2);
    assert_int_equal(w.troubles[FEED_RESYNC], 1);
    poll_world_until(&w, is_listening);
    poll_world_done(&w);
}

static bool is_resync_again(struct poll_world *w)
{
    return w->troubles[FEED_RESYNC] > 1;
}

static void other_columns_are_read_anew(void **state)
{
    (void)state;
    static const struct column columns[] = {
        {"id", "integer", COLUMN_INT}, {"v", "integer", COLUMN_INT}, {"n", "bigint", COLUMN_INT}};
    struct poll_world w;
    poll_world_init(&w, &server, "select * from numbers", "n");
    w.options.columns = columns;
    w.options.column_count = 3;
    poll_world_flow(&w);
    poll_world_looks(&w, 2);
    assert_int_equal(w.troubles[FEED_RESYNC], 1);
    sql("alter table numbers add more text; insert into numbers (id, v) values (10, 0)");
    poll_world_until(&w, is_resync_again);
    assert_int_equal(w.err.code, ERR_STALE);
    assert_int_equal(w.times[10], 0);
    poll_world_done(&w);
}

static bool is_failed(struct poll_world *w)
{
    return w->troubles[FEED_FAILED] > 0;
}

static void what_cannot_work_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *cursor, *why;
        enum err_code code;
    } cases[] = {
        {model, "nonsense", "the cursor nonsense is not one of the model's columns", ERR_CONFIG},
        {"select id, 'x' as t from numbers", "t", "the cursor t is text; it must be a time",
         ERR_CONFIG},
        {"select v as id from nowhere", "v", "nowhere", ERR_SQL},
        {"select v, n from numbers", "n", "the primary key's column id", ERR_CONFIG},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct poll_world w;
        poll_world_init(&w, &server, cases[i].sql, cases[i].cursor);
        poll_world_start(&w);
        poll_world_until(&w, is_failed);
        assert_int_equal(w.err.code, cases[i].code);
        if (!strstr(w.err.text, cases[i].why))
            fail_msg("%s", w.err.text);
        poll_world_done(&w);
    }
}

static void an_error_of_its_owner_ends_it(void **state)
{
    (void)state;
    struct poll_world w;
    flow(&w, "n");
    w.refuse_at = w.rows + 2;
    sql("insert into numbers (id, v) values (10, 0), (11, 0), (12, 0)");
    poll_world_until(&w, is_failed);
    assert_int_equal(w.err.code, ERR_STOPPED);
    assert_int_equal(w.rows, w.refuse_at);
    poll_world_done(&w);
}

/* ---- lag ---- */

static void it_tells_how_far_it_is(void **state)
{
    (void)state;
    struct poll_world w;
    struct feed_lag lag;
    poll_world_init(&w, &server, model, "n");
    poll_world_start(&w);
    w.feed->ops->lag(w.feed, &lag);
    assert_int_equal(lag.behind_ms, -1);
    poll_world_done(&w);
    flow(&w, "n");
    sql("insert into numbers values (10, 0, 77)");
    poll_world_until_given(&w, 10, 1);
    int64_t before = clock_mono_ms();
    poll_world_looks(&w, 4);
    w.feed->ops->lag(w.feed, &lag);
    /* No older than the last look, where the next one is under way. */
    assert_in_range(lag.behind_ms, 0, clock_mono_ms() - before);
    assert_string_equal(lag.place, "77");
    assert_string_equal(lag.note, "");
    poll_world_done(&w);
}

static bool is_note(struct poll_world *w)
{
    struct feed_lag lag;
    w->feed->ops->lag(w->feed, &lag);
    return lag.note[0] != '\0';
}

static void it_tells_of_a_transaction_that_stays_open(void **state)
{
    (void)state;
    struct poll_world w;
    struct feed_lag lag;
    flow(&w, "n");
    PGconn *open = postgres_server_connect(&server, NULL);
    PQclear(PQexec(open, "begin"));
    sql("insert into numbers (id, v) values (10, 0)");
    poll_world_until_given(&w, 10, 1);
    poll_world_looks(&w, 2);
    assert_false(is_note(&w));
    ((struct poll_feed *)w.feed)->waits_since_ms -= 120 * 1000;
    w.feed->ops->lag(w.feed, &lag);
    assert_non_null(strstr(lag.note, "a transaction has been open for 12"));
    PQfinish(open);
    poll_world_looks(&w, 3);
    assert_false(is_note(&w));
    poll_world_done(&w);
}

/* As with servers that only speak the protocol. */
static void a_server_that_does_not_tell_what_is_open_is_looked_at_with_the_overlap(void **state)
{
    (void)state;
    static const struct proxy_rule rules[] = {{0, "pg_catalog.pg_locks", "pg_catalog.pg_lacks"}};
    struct poll_world w;
    struct feed_lag lag;
    poll_world_init(&w, &server, "select id, v, at from times", "at");
    struct proxy *proxy = proxy_new(w.base, server.dir, rules, 1, 0);
    w.params[2] = (struct param){"port", "5433"};
    w.sync.schedule.stream.overlap_ms = 3600 * 1000;
    PGconn *late = postgres_server_connect(&server, NULL);
    PQclear(PQexec(late, "begin; insert into times (id, v) values (9, 0)"));
    poll_world_flow(&w);
    for (int id = 10; id < 13; id++) {
        char text[100];
        snprintf(text, sizeof text, "insert into times (id, v) values (%d, 0)", id);
        sql(text);
        poll_world_until_given(&w, (size_t)id, 1);
    }
    assert_true(proxy_applied(proxy) > 0);
    PQclear(PQexec(late, "commit"));
    poll_world_until_given(&w, 9, 1);
    w.feed->ops->lag(w.feed, &lag);
    assert_non_null(strstr(lag.note, "does not tell which transactions are open"));
    PQfinish(late);
    poll_feed_ops.free(w.feed);
    w.feed = NULL;
    proxy_free(proxy);
    poll_world_done(&w);
}

static void it_can_be_freed_at_any_moment(void **state)
{
    (void)state;
    struct poll_world w;
    sql("insert into numbers (id, v) select i, 0 from generate_series(1001, 3000) i");
    for (int turns = 0; turns < 60; turns++) {
        poll_world_init(&w, &server, model, "n");
        w.sync.schedule.stream.notify = "woken";
        poll_place_write(&(struct poll_place){0}, "n", false, &w.options.from);
        poll_world_start(&w);
        poll_world_turns(&w, turns);
        poll_world_done(&w);
    }
}

static int set_up(void **state)
{
    postgres_server_start(&server);
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
        FRESH(a_notification_wakes_it),
        FRESH(the_printed_triggers_wake_it),
        FRESH(paused_it_does_not_look),
        FRESH(a_pause_within_a_look_stops_it_at_once),
        FRESH(a_look_that_stands_for_long_gives_its_snapshot_back),
        FRESH(memory_does_not_grow_with_a_look),
        FRESH(keys_are_given_where_rows_may_be_old),
        FRESH(rows_are_those_of_a_read),
        FRESH(a_server_that_is_away_is_waited_for),
        FRESH(other_columns_are_read_anew),
        FRESH(what_cannot_work_is_told),
        FRESH(an_error_of_its_owner_ends_it),
        FRESH(it_tells_how_far_it_is),
        FRESH(it_tells_of_a_transaction_that_stays_open),
        FRESH(a_server_that_does_not_tell_what_is_open_is_looked_at_with_the_overlap),
        FRESH(it_can_be_freed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
