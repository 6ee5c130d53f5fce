/* Logs in the warehouse, in a real PostgreSQL. */
#include "protocol/base/clock.h"
#include "scheduler/report/warehouse.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/rejected.h"
#include "tests/harness/postgres_server.h"
#include "tests/unit/report/fake_control.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000 };

static struct postgres_server server;

struct lab {
    struct control control;
    struct event_base *base;
    struct event *pulse;
    FILE *log_file;
    struct log log;
    struct warehouse *warehouse;
};

static void on_pulse(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct lab *l = ctx;
    warehouse_turn(l->warehouse);
}

static void begin(struct lab *l)
{
    struct err err;
    if (warehouse_new(l->base, &l->control, &l->log, &l->warehouse, &err))
        fail_msg("%s", err.text);
}

static void setup(struct lab *l, const char *user, const char *schema)
{
    char yaml[2000];
    struct timeval every = {0, 20000};
    snprintf(yaml, sizeof yaml,
             "settings: {warehouse_log: {source: w, schema: '%s'}}\n"
             "sources: {w: {type: postgres, host: %s, user: %s, dbname: postgres}}\n"
             "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
             "destinations: {d: {type: webhook, url: 'http://h/1'}}\n"
             "syncs: {a: {model: m, destination: d, mappings: all},\n"
             "        b: {model: m, destination: d, mappings: all}}\n",
             schema, server.dir, user);
    *l = (struct lab){.base = event_base_new(), .log_file = tmpfile()};
    fake_control_init(&l->control, yaml);
    l->log = (struct log){.program = "t", .level = LOG_DEBUG, .fd = fileno(l->log_file)};
    begin(l);
    assert_non_null(l->warehouse);
    l->pulse = event_new(l->base, -1, EV_PERSIST, on_pulse, l);
    event_add(l->pulse, &every);
}

static void teardown(struct lab *l)
{
    event_free(l->pulse);
    warehouse_free(l->warehouse);
    event_base_free(l->base);
    fclose(l->log_file);
    fake_control_done(&l->control);
}

static long number(const char *sql)
{
    return postgres_server_number(&server, NULL, sql);
}

/* Turns the loop until state says that the sync is written up to a run's end. */
static void written_is(struct lab *l, const char *sync, int64_t ended_ms)
{
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    char name[100], text[32];
    struct err err;
    snprintf(name, sizeof name, "warehouse:%s", sync);
    snprintf(text, sizeof text, "%lld", (long long)ended_ms);
    for (;;) {
        struct buf got CLEANUP(buf_done);
        buf_init(&got, 100);
        if (!state_misc_get(l->control.state, name, &got, &err) &&
            slice_eq_str(buf_slice(&got), text))
            return;
        if (clock_mono_ms() > end_ms)
            fail_msg("not written up to %s", text);
        event_base_loop(l->base, EVLOOP_ONCE);
    }
}

static const char *logged(struct lab *l)
{
    static char log[20000];
    rewind(l->log_file);
    log[fread(log, 1, sizeof log - 1, l->log_file)] = '\0';
    return log;
}

static void log_has(struct lab *l, const char *words)
{
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    for (;;) {
        if (strstr(logged(l), words))
            return;
        if (clock_mono_ms() > end_ms)
            fail_msg("no %s in %s", words, logged(l));
        event_base_loop(l->base, EVLOOP_ONCE);
    }
}

static void reject(struct lab *l, const char *sync, const char *run, const char *key,
                   struct slice message, int64_t time_ms)
{
    struct err err;
    struct state_sync *ss;
    struct rejected r = {.kind = REJECTED_REFUSED,
                         .key = slice_str(key),
                         .text = slice_str(key),
                         .message = message,
                         .run = slice_str(run),
                         .time_ms = time_ms};
    assert_int_equal(state_sync_open(l->control.state, sync, &ss, &err), ERR_OK);
    assert_int_equal(state_rejected_put(ss, &r, &err), ERR_OK);
    state_sync_close(ss);
}

static struct run_record a_run(const char *id, const char *sync, int64_t ended_ms)
{
    struct run_record r = fake_run(id, sync, RUN_WARNING, ended_ms, 10);
    r.scheduled_ms = r.started_ms - 60000;
    r.counts = (struct run_counts){.rows = 12,
                                   .added = 7,
                                   .invalid = 5,
                                   .planned = 7,
                                   .succeeded = 5,
                                   .rejected = 2,
                                   .bytes = 1ull << 40};
    strcpy(r.trigger, "schedule");
    strcpy(r.error, "it's \"quoted\" \xff");
    return r;
}

static void a_run_is_written_whole_and_once(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "postgres", "Sluice \"log\"");
    struct run_record r = a_run("r1", "a", 1700000000000);
    reject(&l, "a", "r0", "{\"id\":1}", SLICE_LIT("older"), r.started_ms - 5000);
    reject(&l, "a", "r1", "{\"id\":2}", SLICE_LIT("bad \0 byte and \xfe"), r.started_ms + 5000);
    reject(&l, "a", "r1", "{\"id\":3}", SLICE_LIT("it's no"), r.started_ms + 5000);
    fake_run_put(&l.control, &r);
    warehouse_run(l.warehouse, "a");
    written_is(&l, "a", r.ended_ms);
#define T "\"Sluice \"\"log\"\"\"."
    assert_int_equal(number("select count(*) from " T "sluice_runs where run = 'r1' and sync = 'a' "
                            "and status = 'warning' and trigger = 'schedule' and rows = 12 and "
                            "added = 7 and rejected = 2 and bytes = 1099511627776 and error = "
                            "'it''s \"quoted\" ' || chr(65533) and ended_at = '2023-11-14 "
                            "22:13:20+00' and started_at - scheduled_at = interval '60 s'"),
                     1);
    assert_int_equal(number("select sum(records) from " T
                            "sluice_changes where run = 'r1' and sync "
                            "= 'a' and class in ('added', 'invalid')"),
                     12);
    assert_int_equal(number("select count(*) from " T "sluice_changes"), 7);
    assert_int_equal(number("select count(*) from " T "sluice_rejected where run = 'r1'"), 2);
    assert_int_equal(number("select count(*) from " T
                            "sluice_rejected where key = '{\"id\":2}' and "
                            "kind = 'rejected' and message = 'bad ' || chr(65533) || ' byte and ' "
                            "|| chr(65533)"),
                     1);
    /* What was not noted as written is written again, and is there already. */
    struct err err;
    assert_int_equal(state_misc_put(l.control.state, "warehouse:a", (struct slice){0}, &err),
                     ERR_OK);
    warehouse_free(l.warehouse);
    begin(&l);
    written_is(&l, "a", r.ended_ms);
    assert_int_equal(number("select count(*) from " T "sluice_runs"), 1);
    assert_int_equal(number("select count(*) from " T "sluice_rejected"), 2);
    teardown(&l);
}

static void runs_of_all_syncs_are_made_up_for_in_their_order(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "postgres", "backlog");
    for (int i = 1; i <= 5; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        struct run_record r = a_run(id, i % 2 ? "a" : "b", i * 100000);
        fake_run_put(&l.control, &r);
    }
    struct run_record held = fake_run("r9", "a", RUN_HELD, 900000, 1);
    fake_run_put(&l.control, &held);
    written_is(&l, "a", 500000);
    written_is(&l, "b", 400000);
    assert_int_equal(number("select count(*) from backlog.sluice_runs"), 5);
    struct run_record r = a_run("r6", "b", 600000);
    fake_run_put(&l.control, &r);
    warehouse_run(l.warehouse, "b");
    written_is(&l, "b", 600000);
    assert_int_equal(number("select count(*) from backlog.sluice_runs"), 6);
    teardown(&l);
}

static void a_user_who_may_only_insert_is_enough_once_the_tables_are_there(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "reader", "backlog");
    struct run_record r = a_run("r7", "a", 700000);
    fake_run_put(&l.control, &r);
    log_has(
        &l,
        "warehouse_log_failed reason=\"permission denied for schema backlog (SQLSTATE 42501)\"");
    postgres_server_run(&server, NULL,
                        "grant usage on schema backlog to reader; grant select, insert on all "
                        "tables in schema backlog to reader");
    written_is(&l, "a", 700000);
    assert_int_equal(number("select count(*) from backlog.sluice_runs where run = 'r7'"), 1);
    teardown(&l);
}

static void trouble_is_waited_for_and_quotes_no_row(void **state)
{
    (void)state;
    struct lab l;
    setup(&l, "postgres", "trouble");
    postgres_server_run(&server, NULL,
                        "create schema trouble; create table trouble.sluice_runs (run text, sync "
                        "int)");
    struct run_record r = a_run("r8", "a", 800000);
    fake_run_put(&l.control, &r);
    log_has(&l, "warehouse_log_failed");
    postgres_server_run(&server, NULL, "drop table trouble.sluice_runs");
    written_is(&l, "a", 800000);
    log_has(&l, "again_ms=");
    assert_null(strstr(logged(&l), "quoted"));
    /* The server goes away while a connection is open, and comes back: nothing of it is lost. */
    r = a_run("r9", "a", 900000);
    postgres_server_run(
        &server, NULL,
        "create function trouble.slow() returns trigger language plpgsql as $$ "
        "begin perform pg_sleep(600); return new; end $$; create trigger slow before "
        "insert on trouble.sluice_runs for each row execute function "
        "trouble.slow()");
    fake_run_put(&l.control, &r);
    warehouse_run(l.warehouse, "a");
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    while (!number("select count(*) from pg_stat_activity where wait_event = 'PgSleep'")) {
        assert_true(clock_mono_ms() < end_ms);
        event_base_loop(l.base, EVLOOP_ONCE);
    }
    postgres_server_run(&server, NULL,
                        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = "
                        "'PgSleep'");
    postgres_server_run(&server, NULL, "drop trigger slow on trouble.sluice_runs");
    written_is(&l, "a", 900000);
    teardown(&l);
}

static void without_the_setting_nothing_is_written(void **state)
{
    (void)state;
    struct lab l = {.base = event_base_new()};
    struct err err;
    fake_control_init(&l.control, "sources: {w: {type: postgres, url: postgresql://h/d}}\n"
                                  "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
                                  "destinations: {d: {type: webhook, url: 'http://h/1'}}\n"
                                  "syncs: {a: {model: m, destination: d, mappings: all}}\n");
    assert_int_equal(warehouse_new(l.base, &l.control, &l.log, &l.warehouse, &err), ERR_OK);
    assert_null(l.warehouse);
    warehouse_run(NULL, "a");
    warehouse_turn(NULL);
    warehouse_free(NULL);
    event_base_free(l.base);
    fake_control_done(&l.control);
}

static int start_server(void **state)
{
    (void)state;
    postgres_server_start(&server);
    postgres_server_run(&server, NULL, "create role reader login");
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    postgres_server_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_written_whole_and_once),
        cmocka_unit_test(runs_of_all_syncs_are_made_up_for_in_their_order),
        cmocka_unit_test(a_user_who_may_only_insert_is_enough_once_the_tables_are_there),
        cmocka_unit_test(trouble_is_waited_for_and_quotes_no_row),
        cmocka_unit_test(without_the_setting_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
