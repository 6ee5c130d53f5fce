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

static int set_up(void **state)
{
    (void)state;
    postgres_server_start(&server);
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
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
