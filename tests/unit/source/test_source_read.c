/* What every way of reading promises: completeness, order, an end that is one. */
#include "tests/unit/source/proxy.h"
#include "tests/unit/source/read_helper.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static struct postgres_server server;
static const enum read_method by_copy = READ_COPY, by_rows = READ_ROWS;

#define METHOD(state) (**(const enum read_method **)(state))

static void read_model(struct read_run *run, void **state, const char *sql)
{
    read_run_init(run, &server, METHOD(state), sql);
    read_run_go(run);
}

/* The sentence holds every one of the words. */
static void expect_error(void **state, const char *sql, enum err_code code,
                         const char *const *words)
{
    struct read_run run;
    read_model(&run, state, sql);
    assert_true(run.ended);
    assert_false(run.ok);
    for (; *words; words++) {
        if (!strstr(run.err.text, *words))
            print_error("%s: %s\nlacks: %s\n", sql, run.err.text, *words);
        assert_non_null(strstr(run.err.text, *words));
    }
    assert_int_equal(run.err.code, code);
    read_run_done(&run);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static long backends(void)
{
    return postgres_server_number(
        &server, NULL, "select count(*) from pg_stat_activity where application_name = 'sluice'");
}

/* Each question is a connection of its own, so this does not spin. */
static void wait_for_backends(long wanted)
{
    time_t deadline = time(NULL) + 20;
    while (backends() != wanted)
        if (time(NULL) > deadline)
            fail_msg("%ld connections, not %ld", backends(), wanted);
}

static void an_empty_result_gives_columns_and_an_end(void **state)
{
    struct read_run run;
    read_model(&run, state, "select 1 as a, 'x' as b where false");
    assert_true(run.ok);
    assert_int_equal(run.row_count, 0);
    assert_int_equal(run.column_calls, 1);
    assert_string_equal(run.columns.p, "a:integer:int\nb:text:text\n");
    read_run_done(&run);
}

static void expect_next_number(struct read_run *run, const struct row *row)
{
    char wanted[32];
    int n = snprintf(wanted, sizeof wanted, "%zu", run->row_count);
    assert_int_equal(row->n, 3);
    assert_int_equal(row->values[0].n, n);
    assert_memory_equal(row->values[0].p, wanted, (size_t)n);
}

static const char many_rows[] =
    "select i, 'name ' || i, array[i] from generate_series(1, 100000) i";

static void every_row_comes_once_and_in_order(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), many_rows);
    run.on_row = expect_next_number;
    read_run_go(&run);
    assert_true(run.ok);
    assert_int_equal(run.row_count, 100000);
    read_run_done(&run);
}

static void a_paused_read_stands_still_and_loses_nothing(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), many_rows);
    run.on_row = expect_next_number;
    run.pause_every = 3000;
    read_run_go(&run);
    assert_true(run.ok);
    assert_int_equal(run.row_count, 100000);
    assert_int_equal(run.rows_while_paused, 0);
    read_run_done(&run);
}

struct ticks {
    struct event *timer;
    size_t count;
    size_t rows_before; /* at the last tick */
    size_t most_rows;   /* between two ticks */
    struct read_run *run;
};

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct ticks *t = ctx;
    static const struct timeval next = {0, 0};
    size_t rows = t->run->row_count - t->rows_before;
    t->most_rows = rows > t->most_rows ? rows : t->most_rows;
    t->rows_before = t->run->row_count;
    t->count++;
    if (!t->run->ended)
        event_add(t->timer, &next);
}

static void the_loop_serves_others_while_a_large_model_is_read(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), many_rows);
    struct ticks ticks = {.run = &run};
    struct timeval first = {0, 0};
    ticks.timer = evtimer_new(run.base, on_tick, &ticks);
    evtimer_add(ticks.timer, &first);
    read_run_go(&run);
    assert_true(run.ok);
    assert_in_range(ticks.most_rows, 1, 4000);
    event_free(ticks.timer);
    read_run_done(&run);
}

static void an_error_in_the_middle_of_the_rows_is_no_end(void **state)
{
    struct read_run run;
    read_model(&run, state, "select 100 / (5000 - i) from generate_series(1, 10000) i");
    assert_true(run.ended);
    assert_false(run.ok);
    assert_int_equal(run.err.code, ERR_SQL);
    assert_non_null(strstr(run.err.text, "division by zero (SQLSTATE 22012)"));
    assert_in_range(run.row_count, 1, 4999);
    read_run_done(&run);
}

static void terminate_once(struct read_run *run, const struct row *row)
{
    (void)row;
    if (run->row_count == 100)
        postgres_server_run(&server, NULL,
                            "select pg_terminate_backend(pid) from pg_stat_activity where "
                            "application_name = 'sluice'");
}

static void a_terminated_backend_is_no_end(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, METHOD(state),
                  "select generate_series(1, 10000000) i, repeat('x', 500)");
    run.on_row = terminate_once;
    read_run_go(&run);
    assert_false(run.ok);
    assert_int_equal(run.err.code, ERR_UNREACHABLE);
    assert_true(strstr(run.err.text, "terminating connection") ||
                strstr(run.err.text, "connection to the warehouse"));
    read_run_done(&run);
}

static void the_statement_timeout_ends_the_read(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), "select 1 from pg_sleep(60)");
    run.source.statement_timeout_ms = 50;
    read_run_go(&run);
    assert_false(run.ok);
    assert_int_equal(run.err.code, ERR_TIMEOUT);
    assert_non_null(strstr(run.err.text, "statement timeout"));
    read_run_done(&run);
}

static void a_value_of_many_megabytes_comes_whole(void **state)
{
    struct read_run run;
    read_model(&run, state,
               "select repeat(E'0123456\\t89', 2000000) a, 1 b union all select 'x', 2");
    assert_string_equal(run.err.text, "");
    assert_int_equal(run.row_count, 2);
    assert_int_equal(run.rows.len, 5 + 20000000 + 1 + 9 + 7 + 9);
    assert_memory_equal(run.rows.p + 5 + 20000000, "\nnumber:1\ntext:x\nnumber:2\n", 26);
    for (size_t i = 5; i < 20000000; i += 1000000)
        assert_memory_equal(run.rows.p + i, "0123456\t89", 10);
    read_run_done(&run);
}

static void a_row_above_the_limit_is_a_clear_error(void **state)
{
    expect_error(state, "select repeat('x', 40000000) a, repeat('y', 40000000) b", ERR_INVALID,
                 WORDS("larger than 64 MB"));
}

static void a_read_its_owner_refuses_ends_with_that_error(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), "select generate_series(1, 100000000) i");
    run.refuse_row = 77;
    read_run_go(&run);
    assert_false(run.ok);
    assert_int_equal(run.row_count, 77);
    assert_string_equal(run.err.text, "model m: refused at row 77");
    read_run_done(&run);
    wait_for_backends(0);
}

static void freeing_a_running_read_frees_the_server(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), "select generate_series(1, 100000000) i");
    run.free_at_row = 10;
    read_run_go(&run);
    read_run_done(&run);
    wait_for_backends(0);
}

static void stop_when_it_sleeps(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct read_run *run = ctx;
    static const struct timeval again = {0, 2000};
    if (postgres_server_number(
            &server, NULL, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"))
        event_base_loopbreak(run->base);
    else
        event_base_once(run->base, -1, EV_TIMEOUT, stop_when_it_sleeps, run, &again);
}

static void freeing_a_read_that_computes_ends_the_statement(void **state)
{
    struct read_run run;
    static const struct timeval soon = {0, 2000};
    read_run_init(&run, &server, METHOD(state), "select 1 from pg_sleep(3600)");
    event_base_once(run.base, -1, EV_TIMEOUT, stop_when_it_sleeps, &run, &soon);
    run.free_at_row = 1;
    read_run_go(&run);
    assert_false(run.ended);
    read_run_done(&run);
    wait_for_backends(0);
}

static void no_connection_is_left(struct read_run *run)
{
    (void)run;
    wait_for_backends(0);
}

static void the_connection_is_closed_before_the_end_is_told(void **state)
{
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), "select 1");
    run.on_end = no_connection_is_left;
    read_run_go(&run);
    assert_true(run.ok);
    read_run_done(&run);
}

/* Reads through the proxy; gives how often its rules applied. */
static size_t read_by_proxy(struct read_run *run, const struct proxy_rule *rules, size_t count,
                            size_t cut_after)
{
    struct proxy *proxy = proxy_new(run->base, server.dir, rules, count, cut_after);
    run->params[3] = (struct param){"port", "5433"};
    run->source.param_count = 4;
    read_run_go(run);
    size_t applied = proxy_applied(proxy);
    proxy_free(proxy);
    return applied;
}

static void a_connection_that_breaks_is_no_end(void **state)
{
    static const size_t cuts[] = {10, 300, 900, 100000, 1000000};
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        struct read_run run;
        read_run_init(&run, &server, METHOD(state), many_rows);
        read_by_proxy(&run, NULL, 0, cuts[i]);
        assert_false(run.ok);
        assert_int_equal(run.err.code, ERR_UNREACHABLE);
        assert_in_range(run.row_count, 0, 99999);
        read_run_done(&run);
    }
}

/* The table changes between the model's own preparation and its run inside other text. */
static void a_place_is_the_model_s_own_inside_what_surrounds_it(void **state)
{
    static const struct proxy_rule dropped = {0, "FROM (select good", "FROM (select gone"};
    struct read_run run;
    read_run_init(&run, &server, METHOD(state),
                  "select good, timestamp '2026-01-01' as \"é\" from (select 1 as good) t;");
    run.model.timezone = "Europe/Berlin";
    assert_int_equal(read_by_proxy(&run, &dropped, 1, 0), 1);
    assert_false(run.ok);
    assert_non_null(strstr(run.err.text,
                           "column \"gone\" does not exist (SQLSTATE 42703) at 1:8 of the model"));
    read_run_done(&run);
}

static void a_server_that_refuses_settings_is_asked_for_less(void **state)
{
    static const struct proxy_rule rules[] = {
        {0, "client_connection_check_interval", "client_connection_check_intervaX"},
        {0, "REPEATABLE READ", "REPEATABLE REAX"},
        {0, "IntervalStyle", "IntervalStylX"},
    };
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), "select timestamptz '2026-01-01 00:00:00Z' as t");
    assert_int_equal(read_by_proxy(&run, rules, ARRAY_LEN(rules), 0), 1 + 1 + 2);
    assert_string_equal(run.err.text, "");
    assert_string_equal(run.rows.p, "text:2026-01-01T00:00:00Z\n");
    read_run_done(&run);
}

static void without_copy_the_rows_come_one_by_one(void **state)
{
    (void)state;
    static const struct proxy_rule no_copy = {0, "COPY (", "COPX ("};
    static const struct proxy_rule redshift = {1, "15.", "8.0"};
    struct read_run run;
    read_run_init(&run, &server, READ_AUTO, many_rows);
    run.on_row = expect_next_number;
    assert_int_equal(read_by_proxy(&run, &no_copy, 1, 0), 1);
    assert_string_equal(run.err.text, "");
    assert_int_equal(run.row_count, 100000);
    assert_int_equal(run.column_calls, 1);
    read_run_done(&run);

    read_run_init(&run, &server, READ_AUTO, "select 1 as a");
    read_by_proxy(&run, &redshift, 1, 0);
    assert_string_equal(run.err.text, "");
    assert_string_equal(run.rows.p, "number:1\n");
    read_run_done(&run);

    read_run_init(&run, &server, READ_COPY, "select 1 as a");
    read_by_proxy(&run, &no_copy, 1, 0);
    assert_false(run.ok);
    assert_non_null(strstr(run.err.text, "syntax error"));
    read_run_done(&run);
}

static void a_dbt_model_is_read_where_dbt_built_it(void **state)
{
    char path[200];
    snprintf(path, sizeof path, "%s/manifest.json", server.dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("{\"nodes\": {\"model.shop.one\": {\"resource_type\": \"model\", \"name\": \"one\","
          " \"relation_name\": \"\\\"postgres\\\".\\\"public\\\".\\\"one\\\"\"}}}",
          f);
    fclose(f);
    struct read_run run;
    read_run_init(&run, &server, METHOD(state), NULL);
    run.model.dbt_manifest = path;
    run.model.dbt_model = "one";
    read_run_go(&run);
    assert_string_equal(run.err.text, "");
    assert_string_equal(run.rows.p, "number:1\n");
    read_run_done(&run);

    read_run_init(&run, &server, METHOD(state), NULL);
    run.model.dbt_manifest = path;
    run.model.dbt_model = "oen";
    read_run_go(&run);
    assert_int_equal(run.err.code, ERR_CONFIG);
    assert_non_null(strstr(run.err.text, "did you mean one?"));
    read_run_done(&run);
}

static int start(void **state)
{
    (void)state;
    postgres_server_start(&server);
    postgres_server_run(&server, NULL, "create table one as select 1 as a");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    postgres_server_stop(&server);
    return 0;
}

#define BOTH(f)                                                                                    \
    {"copy: " #f, f, NULL, NULL, (void *)&by_copy},                                                \
    {                                                                                              \
        "rows: " #f, f, NULL, NULL, (void *)&by_rows                                               \
    }

/* Exports a snapshot that knows nothing of what is committed afterwards. */
static PGconn *export_snapshot(char *out, size_t n)
{
    PGconn *c = postgres_server_connect(&server, NULL);
    PQclear(PQexec(c, "begin isolation level repeatable read"));
    PGresult *r = PQexec(c, "select pg_export_snapshot()");
    assert_int_equal(PQntuples(r), 1);
    snprintf(out, n, "%s", PQgetvalue(r, 0, 0));
    PQclear(r);
    return c;
}

static void read_snap(struct read_run *run, void **state, const char *snapshot)
{
    read_run_init(run, &server, METHOD(state), "select v from snap order by v");
    run->snapshot = snapshot;
    read_run_go(run);
    assert_true(run->ok);
}

static void a_read_at_a_snapshot_sees_what_that_saw(void **state)
{
    struct read_run run;
    char snapshot[64];
    postgres_server_run(&server, NULL,
                        "create table if not exists snap (v int); truncate snap; "
                        "insert into snap values (1)");
    PGconn *c = export_snapshot(snapshot, sizeof snapshot);
    postgres_server_run(&server, NULL, "insert into snap values (2)");
    read_snap(&run, state, snapshot);
    assert_string_equal(run.rows.p, "number:1\n");
    assert_false(run.lost_snapshot);
    read_run_done(&run);
    PQclear(PQexec(c, "rollback")); /* and with it its snapshot */
    PQfinish(c);
    read_snap(&run, state, snapshot); /* it is gone */
    assert_string_equal(run.rows.p, "number:1\nnumber:2\n");
    assert_true(run.lost_snapshot);
    assert_int_equal(run.column_calls, 1);
    read_run_done(&run);
    read_snap(&run, state, "'; drop table snap; --");
    assert_true(run.lost_snapshot);
    assert_int_equal(run.row_count, 2);
    read_run_done(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(an_empty_result_gives_columns_and_an_end),
        BOTH(every_row_comes_once_and_in_order),
        BOTH(a_paused_read_stands_still_and_loses_nothing),
        BOTH(the_loop_serves_others_while_a_large_model_is_read),
        BOTH(an_error_in_the_middle_of_the_rows_is_no_end),
        BOTH(a_terminated_backend_is_no_end),
        BOTH(the_statement_timeout_ends_the_read),
        BOTH(a_value_of_many_megabytes_comes_whole),
        BOTH(a_row_above_the_limit_is_a_clear_error),
        BOTH(a_read_its_owner_refuses_ends_with_that_error),
        BOTH(freeing_a_running_read_frees_the_server),
        BOTH(freeing_a_read_that_computes_ends_the_statement),
        BOTH(the_connection_is_closed_before_the_end_is_told),
        BOTH(a_connection_that_breaks_is_no_end),
        BOTH(a_place_is_the_model_s_own_inside_what_surrounds_it),
        BOTH(a_server_that_refuses_settings_is_asked_for_less),
        cmocka_unit_test(without_copy_the_rows_come_one_by_one),
        BOTH(a_read_at_a_snapshot_sees_what_that_saw),
        BOTH(a_dbt_model_is_read_where_dbt_built_it),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
