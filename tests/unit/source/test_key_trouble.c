/* What goes wrong while rows are asked for: mistakes, connections, columns, servers that lack
 * something. */
#include "tests/unit/source/ask_helper.h"
#include "tests/unit/source/proxy.h"

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

static void a_mistake_is_told_with_its_place(void **state)
{
    (void)state;
    struct ask_run run;
    ask_run_init(&run, &server, "select id,\n nonsense from users", "id");
    assert_false(ask_run_start(&run));
    assert_non_null(strstr(run.err.text, "at 2:2 of the model"));
    assert_int_equal(run.err.code, ERR_SQL);
    ask_run_done(&run);
    ask_run_init(&run, &server, "select 1 as id", "id,other");
    assert_false(ask_run_start(&run));
    assert_non_null(strstr(run.err.text, "the primary key's column other is not one"));
    ask_run_done(&run);
    ask_run_init(&run, &server, "select 1 as id", "id");
    run.read.params[0].value = "/nowhere";
    assert_false(ask_run_start(&run));
    assert_int_equal(run.err.code, ERR_UNREACHABLE);
    ask_run_done(&run);
}

static void an_error_ends_the_question_and_the_next_is_answered(void **state)
{
    (void)state;
    struct ask_run run;
    struct value keys[] = {number("1"), number("0")};
    start(&run, "select id, 1 / id as part from (values (0), (1)) v (id)", "id");
    assert_false(ask_run_ask(&run, keys, 2));
    assert_non_null(strstr(run.err.text, "division by zero"));
    assert_int_equal(run.err.code, ERR_SQL);
    ask(&run, keys, 1);
    assert_string_equal(run.read.rows.p, "number:1\nnumber:1\n");
    run.refuse_row = 1;
    assert_false(ask_run_ask(&run, keys, 1));
    assert_int_equal(run.err.code, ERR_STOPPED);
    assert_non_null(strstr(run.err.text, "refused at row 1"));
    run.refuse_row = 0;
    ask(&run, keys, 1);
    assert_int_equal(run.read.row_count, 1);
    assert_int_equal(run.read.column_calls, 1);
    ask_run_done(&run);
}

static long sessions(void)
{
    return postgres_server_number(
        &server, NULL, "select count(*) from pg_stat_activity where application_name = 'sluice'");
}

static bool has_no_session(struct ask_run *run)
{
    (void)run;
    return sessions() == 0;
}

static void an_idle_connection_is_closed_and_opened_again(void **state)
{
    (void)state;
    struct ask_run run;
    struct value key = number("1");
    start(&run, "select 1 as id", "id");
    ask(&run, &key, 1);
    assert_true(sessions() >= 1); /* one before may not be quite gone */
    key_ask_idle_after(run.ask, 20);
    for (int again = 0; again < 2; again++) {
        ask_run_until(&run, has_no_session);
        ask(&run, &key, 1);
        assert_string_equal(run.read.rows.p, "number:1\n");
        assert_int_equal(run.read.column_calls, 1);
    }
    ask_run_done(&run);
}

static const char end_sessions[] = "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                                   " where application_name = 'sluice'";

static bool is_asleep(struct ask_run *run)
{
    (void)run;
    return postgres_server_number(&server, NULL,
                                  "select count(*) from pg_stat_activity where"
                                  " application_name = 'sluice' and wait_event = 'PgSleep'") > 0;
}

static void a_lost_connection_fails_the_question_and_is_made_again(void **state)
{
    (void)state;
    struct ask_run run;
    struct value key = number("1");
    start(&run, "select id from ones where id > 0", "id");
    ask(&run, &key, 1);
    assert_true(postgres_server_number(&server, NULL, end_sessions) >= 1);
    ask_run_until(&run, has_no_session);
    if (!ask_run_ask(&run, &key, 1)) /* the loop may not have seen the end */
        assert_int_equal(err_class(run.err.code), ERR_CLASS_RETRY);
    ask(&run, &key, 1);
    assert_string_equal(run.read.rows.p, "number:1\n");
    ask_run_done(&run);

    start(&run, "select id, pg_sleep(1000)::text as s from ones", "id");
    assert_int_equal(key_ask_send(run.ask, &key, 1, &run.err), ERR_OK);
    ask_run_until(&run, is_asleep);
    assert_true(postgres_server_number(&server, NULL, end_sessions) >= 1);
    ask_run_until(&run, ask_run_is_answered);
    assert_false(run.ok);
    assert_int_equal(run.err.code, ERR_UNREACHABLE);
    ask_run_done(&run);
}

static void a_question_that_is_given_up_is_stopped(void **state)
{
    (void)state;
    struct ask_run run;
    struct value key = number("1");
    start(&run, "select id, pg_sleep(1000)::text as s from ones", "id");
    assert_int_equal(key_ask_send(run.ask, &key, 1, &run.err), ERR_OK);
    ask_run_until(&run, is_asleep);
    key_ask_free(run.ask);
    run.ask = NULL;
    ask_run_until(&run, has_no_session);
    ask_run_done(&run);
}

static void other_columns_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *zone, *ddl;
        enum err_code code;
    } cases[] = {
        {"select * from changing", NULL, "alter table changing add more int", ERR_STALE},
        {"select * from changing", "Europe/Berlin", "alter table changing add more int", ERR_STALE},
        {"select * from changing", NULL, "alter table changing alter v type bigint", ERR_STALE},
        {"select * from changing", NULL, "alter table changing rename v to w", ERR_STALE},
        {"select id, v from changing", NULL, "alter table changing drop v", ERR_SQL},
        {"select id, v from changing", NULL, "alter table changing add more int", ERR_OK},
        {"select * from changing", NULL, "create index on changing (v)", ERR_OK},
    };
    struct value key = number("1");
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        struct ask_run run;
        bool between = i >= ARRAY_LEN(cases); /* while no connection is held */
        size_t c = i % ARRAY_LEN(cases);
        postgres_server_run(&server, NULL,
                            "drop table if exists changing;"
                            "create table changing (id int primary key, v int, t timestamp);"
                            "insert into changing values (1, 2, now())");
        ask_run_init(&run, &server, cases[c].sql, "id");
        run.read.model.timezone = cases[c].zone;
        assert_true(ask_run_start(&run));
        ask(&run, &key, 1);
        key_ask_idle_after(run.ask, between ? 1 : 60000);
        if (between)
            ask_run_until(&run, has_no_session);
        postgres_server_run(&server, NULL, cases[c].ddl);
        bool ok = ask_run_ask(&run, &key, 1);
        if (ok != (cases[c].code == ERR_OK) || (!ok && run.err.code != cases[c].code))
            fail_msg("%s, %s: %s", cases[c].sql, cases[c].ddl, ok ? "answered" : run.err.text);
        if (!ok)
            assert_int_equal(run.read.row_count, 0);
        ask_run_done(&run);
    }
}

static void a_server_without_a_log_has_no_horizon(void **state)
{
    (void)state;
    static const struct proxy_rule rules[] = {
        {0, "pg_current_wal_insert_lsn", "pg_current_wal_nowhere_xx"}};
    struct ask_run run;
    struct value key = number("1");
    ask_run_init(&run, &server, "select id from ones", "id");
    struct proxy *proxy = proxy_new(run.read.base, server.dir, rules, ARRAY_LEN(rules), 0);
    run.read.params[2] = (struct param){"port", "5433"};
    assert_true(ask_run_start(&run));
    assert_true(proxy_applied(proxy) > 0);
    for (int again = 0; again < 2; again++) {
        ask(&run, &key, 1);
        assert_string_equal(run.read.rows.p, "number:1\n");
        assert_int_equal(run.horizon, 0);
        ask(&run, NULL, 0);
        assert_int_equal(run.horizon, 0);
    }
    key_ask_free(run.ask);
    run.ask = NULL;
    proxy_free(proxy);
    ask_run_done(&run);
}

static void a_server_that_refuses_a_setting_is_asked_for_less(void **state)
{
    (void)state;
    static const struct proxy_rule rules[] = {
        {0, "client_connection_check_interval", "client_connection_check_nonsense"}};
    struct ask_run run;
    struct value key = number("1");
    ask_run_init(&run, &server, "select id, '\\x00'::bytea as b from ones", "id");
    struct proxy *proxy = proxy_new(run.read.base, server.dir, rules, ARRAY_LEN(rules), 0);
    run.read.params[2] = (struct param){"port", "5433"};
    assert_true(ask_run_start(&run));
    assert_true(proxy_applied(proxy) > 0);
    ask(&run, &key, 1);
    assert_string_equal(run.read.rows.p, "number:1\ntext:AA==\n");
    key_ask_free(run.ask);
    run.ask = NULL;
    proxy_free(proxy);
    ask_run_done(&run);
}

static int set_up(void **state)
{
    (void)state;
    postgres_server_start(&server);
    postgres_server_run(&server, NULL,
                        "create table users (id int primary key, name text);"
                        "create table ones (id int); insert into ones values (1)");
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
        cmocka_unit_test(a_mistake_is_told_with_its_place),
        cmocka_unit_test(an_error_ends_the_question_and_the_next_is_answered),
        cmocka_unit_test(an_idle_connection_is_closed_and_opened_again),
        cmocka_unit_test(a_lost_connection_fails_the_question_and_is_made_again),
        cmocka_unit_test(a_question_that_is_given_up_is_stopped),
        cmocka_unit_test(other_columns_are_told),
        cmocka_unit_test(a_server_without_a_log_has_no_horizon),
        cmocka_unit_test(a_server_that_refuses_a_setting_is_asked_for_less),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
