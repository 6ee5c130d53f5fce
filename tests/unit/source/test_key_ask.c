/* Rows that are asked for by their keys are those that a read of the whole model gives. */
#include "tests/unit/source/ask_helper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct postgres_server server;

static struct value number(const char *text)
{
    return value_of(VALUE_NUMBER, slice_str(text));
}

static struct value text(const char *s)
{
    return value_of(VALUE_TEXT, slice_str(s));
}

static void start(struct ask_run *run, const char *sql, const char *key)
{
    ask_run_init(run, &server, sql, key);
    if (!ask_run_start(run))
        fail_msg("%s: %s", sql, run->err.text);
}

static void ask(struct ask_run *run, const struct value *keys, size_t count)
{
    if (!ask_run_ask(run, keys, count))
        fail_msg("%s: %s", run->read.model.sql, run->err.text);
}

static void rows_of_the_keys_come_and_no_others(void **state)
{
    (void)state;
    struct ask_run run;
    start(&run, "select i as id, 'name ' || i as name from generate_series(1, 100) i", "id");
    assert_string_equal(run.read.columns.p, "id:integer:int\nname:text:text\n");
    const struct value keys[] = {number("7"), number("1000"), number("9")};
    ask(&run, keys, 3);
    assert_string_equal(run.read.rows.p, "number:7\ntext:name 7\nnumber:9\ntext:name 9\n");
    assert_true(run.horizon > 0);
    ask(&run, keys, 1);
    assert_string_equal(run.read.rows.p, "number:7\ntext:name 7\n");
    ask(&run, keys + 1, 1);
    assert_int_equal(run.read.row_count, 0);
    ask_run_done(&run);
}

static void a_question_for_nothing_gives_the_horizon(void **state)
{
    (void)state;
    struct ask_run run;
    start(&run, "select 1 as id", "id");
    ask(&run, NULL, 0);
    uint64_t before = run.horizon;
    assert_true(before > 0);
    postgres_server_run(&server, NULL, "create table grows (); drop table grows");
    ask(&run, NULL, 0);
    assert_true(run.horizon > before);
    ask_run_done(&run);
}

static void composite_keys_are_compared_as_a_whole(void **state)
{
    (void)state;
    struct ask_run run;
    start(&run,
          "select a, b::text as b from generate_series(1, 3) a, generate_series(1, 3) b"
          " where a <> b + 1",
          "b,a");
    const struct value keys[] = {text("1"), number("2"), text("3"), number("1")};
    ask(&run, keys, 2);
    assert_string_equal(run.read.rows.p, "number:1\ntext:3\n");
    ask_run_done(&run);
}

static void many_keys_are_one_question(void **state)
{
    (void)state;
    static struct value keys[KEY_ASK_MAX];
    static char names[KEY_ASK_MAX][16];
    struct ask_run run;
    start(&run, "select id, name from users", "id");
    for (size_t i = 0; i < KEY_ASK_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%zu", 1 + 7 * i);
        keys[i] = number(names[i]);
    }
    for (int again = 0; again < 8; again++) { /* the server chooses its plans anew */
        ask(&run, keys, KEY_ASK_MAX);
        assert_int_equal(run.read.row_count, KEY_ASK_MAX);
    }
    ask_run_done(&run);
}

static long scans(const char *column, const char *table)
{
    char sql[200];
    snprintf(sql, sizeof sql, "select %s from pg_stat_user_tables where relname = '%s'", column,
             table);
    return postgres_server_number(&server, NULL, sql);
}

static const char *counted_table;
static long scans_before;

static bool is_counted(struct ask_run *run)
{
    (void)run;
    return scans("idx_scan", counted_table) > scans_before;
}

/* PostgreSQL counts scans when the session ends. */
static void expect_index(const char *sql, const char *key, const char *table,
                         const struct value *keys, size_t count)
{
    struct ask_run run, waiting;
    long whole = scans("seq_scan", table);
    scans_before = scans("idx_scan", table);
    counted_table = table;
    start(&run, sql, key);
    for (int again = 0; again < 8; again++)
        ask(&run, keys, count);
    assert_true(run.read.row_count > 0);
    ask_run_done(&run);
    ask_run_init(&waiting, &server, sql, key);
    ask_run_until(&waiting, is_counted);
    read_run_done(&waiting.read);
    if (scans("seq_scan", table) != whole)
        fail_msg("%s: %s was read as a whole", sql, table);
}

static void the_condition_reaches_the_index(void **state)
{
    (void)state;
    const struct value keys[] = {number("5"), number("77"), number("4711")};
    expect_index("select * from users", "id", "users", keys, 3);
    expect_index("select u.id, u.name, count(o.id) as orders, max(o.placed) as latest"
                 " from users u left join orders o on o.user_id = u.id group by u.id",
                 "id", "users", keys, 3);
    expect_index("select u.id, u.name, count(o.id) as orders, max(o.placed) as latest"
                 " from users u left join orders o on o.user_id = u.id group by u.id",
                 "id", "orders", keys, 3);
    expect_index("with t as (select user_id, sum(total) as total from orders group by user_id)"
                 " select * from t where total > 0",
                 "user_id", "orders", keys, 3);
}

static void the_condition_on_two_columns_reaches_the_index(void **state)
{
    (void)state;
    const struct value keys[] = {number("5"),  number("5"),  number("77"),
                                 number("77"), number("77"), number("5")};
    expect_index("select * from lines", "order_id,line", "lines", keys, 3);
    expect_index("select order_id, line, count(*) as n from lines group by order_id, line",
                 "order_id,line", "lines", keys, 3);
}

static void a_table_s_whole_keys_reach_its_index(void **state)
{
    (void)state;
    struct ask_run run;
    static char names[2 * KEY_ASK_MAX][16];
    static struct value keys[2 * KEY_ASK_MAX];
    for (size_t i = 0; i < KEY_ASK_MAX; i++) {
        snprintf(names[2 * i], sizeof names[0], "%zu", 1 + i / 10);
        snprintf(names[2 * i + 1], sizeof names[0], "%zu", 1 + i % 10);
        keys[2 * i] = number(names[2 * i]);
        keys[2 * i + 1] = number(names[2 * i + 1]);
    }
    static const char *const tables[] = {"lines", "public.lines", "line_counts"};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        ask_run_init(&run, &server, NULL, "order_id,line");
        run.read.model.table = tables[i];
        assert_true(ask_run_start(&run));
        ask(&run, keys, KEY_ASK_MAX);
        assert_int_equal(run.read.row_count, KEY_ASK_MAX);
        ask(&run, keys, 1);
        assert_int_equal(run.read.row_count, 1);
        ask_run_done(&run);
    }
}

static void a_table_in_part_is_asked_in_part(void **state)
{
    (void)state;
    static const char *const columns[] = {"name", "id"};
    const struct value keys[] = {number("4"), number("5"), number("8")};
    struct ask_run run;
    ask_run_init(&run, &server, NULL, "id");
    run.read.model.table = "users";
    run.read.model.columns = columns;
    run.read.model.column_count = ARRAY_LEN(columns);
    run.read.model.where = "id % 2 = 0 and name <> 'user 8' -- (even";
    assert_true(ask_run_start(&run));
    assert_string_equal(run.read.columns.p, "name:text:text\nid:integer:int\n");
    ask(&run, keys, 3);
    assert_string_equal(run.read.rows.p, "text:user 4\nnumber:4\n");
    ask_run_done(&run);
}

static void a_model_may_end_in_comments_and_semicolons(void **state)
{
    (void)state;
    static const char *const models[] = {
        "select 1 as id -- one",
        "select 1 as id; -- one",
        "select 1 as id;;\n/* all */ -- one",
        "/* a */ select 1 as id /* b */",
        "-- a\nselect 1 as id\n-- b",
        "table one",
        "values (1)",
        "(select 1 as id)",
        "with a as (select 1 as id) select * from a order by id limit 1",
    };
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        struct ask_run run;
        struct value key = number("1");
        start(&run, models[i], strstr(models[i], "values") ? "column1" : "id");
        ask(&run, &key, 1);
        assert_string_equal(run.read.rows.p, "number:1\n");
        ask_run_done(&run);
    }
}

static void a_model_is_one_statement_that_writes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *why;
        bool when_asked;
    } cases[] = {
        {"select 1 as id; delete from users", "multiple commands", false},
        {"select 1 as id) as a; delete from users; --", "syntax error", false},
        {"select 1 as id) as a where true or (true", "syntax error", false},
        {"delete from users returning id", "must be one SELECT", false},
        {"with d as (delete from users returning id) select id from d", "data-modifying", false},
        {"select nextval('counter') as id", "read-only transaction", true},
        {"select 1 as id, set_config('transaction_read_only', 'off', false)", "read-write mode",
         true},
    };
    struct value key = number("1");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ask_run run;
        ask_run_init(&run, &server, cases[i].sql, "id");
        bool started = ask_run_start(&run);
        assert_true(started == cases[i].when_asked);
        if (started)
            assert_false(ask_run_ask(&run, &key, 1));
        if (!strstr(run.err.text, cases[i].why))
            fail_msg("%s: %s", cases[i].sql, run.err.text);
        ask_run_done(&run);
    }
}

static void what_a_question_changes_in_its_session_ends_with_it(void **state)
{
    (void)state;
    struct ask_run run;
    struct value key = text("2026-01-02T00:00:00Z");
    start(&run,
          "select timestamptz '2026-01-02 00:00:00Z' as id,"
          " case when current_setting('a.b', true) = 'c' then 'kept' else 'gone' end as was,"
          " set_config('a.b', 'c', false) as now",
          "id");
    for (int again = 0; again < 2; again++) {
        ask(&run, &key, 1);
        assert_string_equal(run.read.rows.p, "text:2026-01-02T00:00:00Z\ntext:gone\ntext:c\n");
    }
    ask_run_done(&run);
}

/* A commit that the answer has seen lies before its horizon. */
static void the_horizon_is_behind_what_was_seen(void **state)
{
    (void)state;
    struct ask_run run;
    struct value key = number("1");
    start(&run, "select id, v from seen", "id");
    for (int i = 0; i < 20; i++) {
        PGconn *conn = postgres_server_connect(&server, NULL);
        PQclear(PQexec(conn, "update seen set v = v + 1"));
        PGresult *at = PQexec(conn, "select pg_current_wal_insert_lsn()");
        unsigned high, low;
        assert_int_equal(sscanf(PQgetvalue(at, 0, 0), "%X/%X", &high, &low), 2);
        PQclear(at);
        ask(&run, &key, 1);
        assert_true(run.horizon >= ((uint64_t)high << 32 | low));
        PQfinish(conn);
    }
    ask_run_done(&run);
}

static int set_up(void **state)
{
    (void)state;
    postgres_server_start(&server);
    postgres_server_run(
        &server, NULL,
        "create table users (id int primary key, name text);"
        "insert into users select i, 'user ' || i from generate_series(1, 20000) i;"
        "create table orders (id serial primary key, user_id int, total int, placed timestamptz);"
        "insert into orders (user_id, total, placed)"
        " select i % 20000 + 1, i, now() from generate_series(1, 40000) i;"
        "create index on orders (user_id);"
        "create table lines (order_id int, line int, n int, primary key (order_id, line));"
        "insert into lines select i, j, i * j from generate_series(1, 200) i,"
        " generate_series(1, 100) j;"
        "create view line_counts as select order_id, line, count(*) as n from lines group by 1, 2;"
        "create table one (id int); insert into one values (1);"
        "create table seen (id int primary key, v int); insert into seen values (1, 0);"
        "create sequence counter; analyze");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    postgres_server_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_the_keys_come_and_no_others),
        cmocka_unit_test(a_question_for_nothing_gives_the_horizon),
        cmocka_unit_test(composite_keys_are_compared_as_a_whole),
        cmocka_unit_test(many_keys_are_one_question),
        cmocka_unit_test(the_condition_reaches_the_index),
        cmocka_unit_test(the_condition_on_two_columns_reaches_the_index),
        cmocka_unit_test(a_table_s_whole_keys_reach_its_index),
        cmocka_unit_test(a_table_in_part_is_asked_in_part),
        cmocka_unit_test(a_model_may_end_in_comments_and_semicolons),
        cmocka_unit_test(a_model_is_one_statement_that_writes_nothing),
        cmocka_unit_test(what_a_question_changes_in_its_session_ends_with_it),
        cmocka_unit_test(the_horizon_is_behind_what_was_seen),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
