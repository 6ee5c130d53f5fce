/* What a change data capture feed does when things go wrong, and what it tells the server. */
#include "tests/unit/stream/cdc_fixture.h"

#include "protocol/base/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

static const char kill_walsenders[] =
    "select count(pg_terminate_backend(pid)) from pg_stat_replication";

/* ---- connections ---- */

static void a_lost_connection_gives_again_as_keys(void **state)
{
    (void)state;
    go("create table t(id int primary key, name text)");
    world_sql(&w, "insert into t values (1, 'a'), (2, 'b'); delete from t where id = 2");
    world_wait(&w, "mark");
    world_forget(&w);
    world_sql(&w, kill_walsenders);
    world_wait(&w, "mark");
    assert_int_equal(strncmp(world_log(&w), "lost: ", 6), 0);
    assert_true(world_has(&w, "back\nkey number:1\nkey number:2\nkey number:2\nmark\n"));
    world_settle(&w);
    world_sql(&w, "insert into t values (3, 'c')");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "row number:3|text:c\nmark\n");
}

static void what_was_confirmed_does_not_come_again(void **state)
{
    (void)state;
    w.confirms = true;
    go("create table t(id int primary key, name text)");
    world_sql(&w, "insert into t values (1, 'a')");
    world_wait(&w, "mark");
    world_stop(&w); /* the confirmation may not have been told: the position says it */
    world_forget(&w);
    world_sql(&w, "insert into t values (2, 'b')");
    world_start(&w);
    world_wait(&w, "mark");
    assert_false(world_has(&w, "number:1"));
    assert_true(world_has(&w, "key number:2\nmark\n"));
    assert_false(world_has(&w, "resync"));
}

static void a_restarted_server_is_found_again(void **state)
{
    (void)state;
    go("create table t(id int primary key, name text)");
    world_sql(&w, "insert into t values (1, 'a')");
    world_wait(&w, "mark");
    postgres_server_halt(&server, 1);
    world_wait_count(&w, &w.losses, 2);
    postgres_server_go_on(&server);
    world_wait_count(&w, &w.backs, 2);
    world_wait(&w, "key number:1\nmark\n");
    assert_int_equal(w.resyncs_told, 1); /* the one at the beginning */
}

/* A server that shuts down waits until readers of slots have confirmed all: it must not wait for
 * what a destination does not take. */
static void a_server_that_shuts_down_need_not_wait(void **state)
{
    (void)state;
    go("create table t(id int primary key, name text)");
    world_sql(&w, "insert into t values (1, 'a')");
    world_wait(&w, "mark");
    kill(server.pid, SIGINT);
    int64_t deadline = clock_mono_ms() + 60000;
    while (waitpid(server.pid, NULL, WNOHANG) == 0) {
        assert_true(clock_mono_ms() < deadline);
        world_run_ms(&w, 5);
    }
    server.pid = 0;
    postgres_server_go_on(&server);
    world_wait_count(&w, &w.backs, 2);
    world_wait(&w, "key number:1\nmark\n");
}

static void a_paused_feed_lets_the_server_shut_down(void **state)
{
    (void)state;
    go("create table t(id int primary key, name text)");
    w.feed->ops->pause(w.feed);
    world_sql(&w, "insert into t values (1, 'a')");
    kill(server.pid, SIGINT);
    int64_t deadline = clock_mono_ms() + 60000;
    while (waitpid(server.pid, NULL, WNOHANG) == 0) {
        assert_true(clock_mono_ms() < deadline);
        world_run_ms(&w, 5);
    }
    server.pid = 0;
    postgres_server_go_on(&server);
    world_wait_count(&w, &w.backs, 2);
    w.feed->ops->resume(w.feed);
    world_wait(&w, "key number:1\nmark\n");
}

static void a_pause_outlives_the_servers_patience(void **state)
{
    (void)state;
    world_sql(&w, "alter system set wal_sender_timeout = '2s'");
    world_sql(&w, "select pg_reload_conf()");
    go("create table t(id int primary key, name text)");
    w.feed->ops->pause(w.feed);
    world_sql(&w, "insert into t select g, repeat('x', 1000) from generate_series(1, 20000) g");
    world_run_ms(&w, 5000); /* what is tested is that nothing happens for longer than the timeout */
    assert_string_equal(world_log(&w), "");
    assert_int_equal(w.losses, 0);
    w.counts = true;
    w.feed->ops->resume(w.feed);
    world_wait_count(&w, &w.marks, 1);
    assert_int_equal(w.changes, 20000);
    assert_int_equal(w.losses, 0);
    world_sql(&w, "alter system reset wal_sender_timeout");
    world_sql(&w, "select pg_reload_conf()");
}

/* ---- what the server is told ---- */

static void the_slot_moves_with_confirm_and_never_further(void **state)
{
    (void)state;
    go("create table t(id int primary key, name text)");
    uint64_t before = world_confirmed(&w);
    world_sql(&w, "insert into t values (1, 'a')");
    world_wait(&w, "mark");
    struct feed_position first = w.mark;
    world_forget(&w);
    world_sql(&w, "insert into t values (2, 'b')");
    world_wait(&w, "mark");
    world_run_ms(&w, 300);
    assert_true(world_confirmed(&w) == before);
    uint64_t between = world_end(&w);
    w.feed->ops->confirm(w.feed, &first);
    world_wait_sql(&w, "select confirmed_flush_lsn > restart_lsn and (confirmed_flush_lsn - "
                       "'0/0')::bigint > 0 from pg_replication_slots");
    int64_t deadline = clock_mono_ms() + 60000;
    while (world_confirmed(&w) == before) {
        assert_true(clock_mono_ms() < deadline);
        world_run_ms(&w, 2);
    }
    uint64_t confirmed = world_confirmed(&w);
    assert_true(confirmed > before && confirmed < between);
    world_run_ms(&w, 1500);
    assert_true(world_confirmed(&w) == confirmed);
    w.feed->ops->confirm(w.feed, &w.mark);
    while (world_confirmed(&w) == confirmed) {
        assert_true(clock_mono_ms() < deadline);
        world_run_ms(&w, 2);
    }
}

static void an_idle_stream_lets_the_log_of_others_go(void **state)
{
    (void)state;
    w.confirms = true;
    go("create table t(id int primary key, name text)");
    world_sql(&w, "insert into apart select generate_series(1, 10000)");
    uint64_t behind = world_end(&w);
    int64_t deadline = clock_mono_ms() + 60000;
    while (world_confirmed(&w) < behind) {
        assert_true(clock_mono_ms() < deadline);
        world_run_ms(&w, 5);
    }
    struct feed_lag lag;
    w.feed->ops->lag(w.feed, &lag);
    assert_int_equal(lag.behind_ms, 0);
    assert_true(lag.place[0] != '\0' && lag.note[0] == '\0');
}

static void lag_tells_how_far_the_feed_is_behind(void **state)
{
    (void)state;
    struct feed_lag lag;
    go("create table t(id int primary key, name text)");
    world_sql(&w, "insert into t select g, repeat('x', 100) from generate_series(1, 20000) g");
    world_wait(&w, "mark");
    w.feed->ops->lag(w.feed, &lag);
    assert_true(lag.bytes > 20000 * 100);
    w.feed->ops->confirm(w.feed, &w.mark);
    w.feed->ops->lag(w.feed, &lag);
    assert_true(lag.bytes >= 0 && lag.bytes < 1 << 20);
    assert_int_equal(lag.records, -1);
}

/* ---- what cannot be told ---- */

static void a_truncate_asks_for_the_whole_model_once(void **state)
{
    (void)state;
    w.resyncs = false;
    world_sql(&w, "create table t(id int primary key); insert into t values (1)");
    world_start(&w);
    world_wait_count(&w, &w.resyncs_told, 1);
    w.feed->ops->resynced(w.feed);
    world_settle(&w);
    world_sql(&w, "insert into t values (2); truncate t; insert into t values (3)");
    world_wait(&w, "resync: table public.t was truncated");
    assert_true(world_has(&w, "row number:2\nresync"));
    world_run_ms(&w, 200);
    assert_false(world_has(&w, "number:3"));
    w.feed->ops->resynced(w.feed);
    world_wait(&w, "key number:3\nmark");
    /* Not again after a lost connection. */
    world_forget(&w);
    world_sql(&w, kill_walsenders);
    world_wait(&w, "key number:3\nmark");
    assert_false(world_has(&w, "resync"));
}

static void changed_columns_make_the_model_another(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "alter table t add extra int",
        "alter table t drop name",
        "alter table t alter n type bigint",
        "alter table t rename name to title",
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        w.confirms = true;
        w.resyncs = i == 0;
        world_sql(&w, "drop table if exists t");
        world_sql(&w, "create table t(id int primary key, name text, n int)");
        w.resyncs = true;
        world_start(&w);
        world_settle(&w);
        w.resyncs = false;
        world_sql(&w, "insert into t values (1, 'a', 1)");
        world_wait(&w, "row number:1|text:a|number:1\nmark\n");
        world_sql(&w, changes[i]);
        world_sql(&w, "insert into t(id) values (2)");
        world_wait(&w, "resync: the columns of table public.t have changed");
        assert_int_equal(w.why, ERR_STALE);
        /* The owner begins anew with the columns of now, from where it was. */
        world_stop(&w);
        world_forget(&w);
        world_start(&w);
        world_wait(&w, "key number:2\nmark\n");
        assert_false(world_has(&w, "number:1"));
        assert_false(world_has(&w, "resync"));
        world_done(&w);
        world_init(&w, &server);
    }
}

/* Rows of before a column was added come while the model has it already. */
static void rows_of_an_older_shape_are_asked_for(void **state)
{
    (void)state;
    w.confirms = true;
    go("create table t(id int primary key)");
    world_stop(&w);
    world_sql(&w, "insert into t values (1)");
    world_sql(&w, "alter table t add name text");
    world_sql(&w, "insert into t values (2, 'b')");
    world_forget(&w);
    world_start(&w);
    world_wait(&w, "key number:2");
    assert_true(world_has(&w, "key number:1\nmark\nkey number:2"));
    assert_int_equal(w.resyncs_told, 1); /* the first time: it goes on from where it began */
}

static void a_slot_dropped_behind_our_back_is_made_anew(void **state)
{
    (void)state;
    w.confirms = true;
    go("create table t(id int primary key)");
    world_sql(&w, "insert into t values (1)");
    world_wait(&w, "mark");
    world_stop(&w);
    world_wait_sql(&w, "select not active from pg_replication_slots");
    world_sql(&w, "select pg_drop_replication_slot(slot_name) from pg_replication_slots");
    world_sql(&w, "insert into t values (2)");
    world_forget(&w);
    world_start(&w);
    world_wait(&w, "resync: replication slot \"sluice_abcdef12_live\" was gone");
    assert_true(w.snapshot[0] != '\0');
    world_settle(&w);
    world_sql(&w, "insert into t values (3)");
    world_wait(&w, "row number:3\nmark");
}

static void a_slot_dropped_in_the_flow_is_made_anew(void **state)
{
    (void)state;
    go("create table t(id int primary key)");
    world_sql(&w, "select pg_terminate_backend(active_pid) from pg_replication_slots; "
                  "do $$ begin loop begin perform pg_drop_replication_slot(slot_name) from "
                  "pg_replication_slots; exit; exception when object_in_use then perform "
                  "pg_sleep(0.001); end; end loop; end $$");
    world_wait(&w, "resync: replication slot");
    world_settle(&w);
    world_sql(&w, "insert into t values (3)");
    world_wait(&w, "row number:3\nmark");
}

/* max_slot_wal_keep_size is the server's own limit: beyond it a slot is lost. */
static void a_slot_that_the_server_gave_up_is_made_anew(void **state)
{
    (void)state;
    w.confirms = true;
    go("create table t(id int primary key, name text)");
    world_sql(&w, "insert into t values (1, 'a')");
    world_wait(&w, "mark");
    world_stop(&w);
    world_wait_sql(&w, "select not active from pg_replication_slots");
    world_sql(&w, "alter system set max_slot_wal_keep_size = '1MB'");
    world_sql(&w, "select pg_reload_conf()");
    for (int i = 0; i < 4; i++) {
        world_sql(&w, "insert into apart select generate_series(1, 20000)");
        world_sql(&w, "select pg_switch_wal()");
    }
    world_sql(&w, "checkpoint");
    world_wait_sql(&w, "select wal_status = 'lost' from pg_replication_slots");
    world_sql(&w, "alter system reset max_slot_wal_keep_size");
    world_sql(&w, "select pg_reload_conf()");
    world_forget(&w);
    world_start(&w);
    world_wait(&w, "resync: replication slot \"sluice_abcdef12_live\" was lost: it held back too "
                   "much");
    world_settle(&w);
    world_sql(&w, "insert into t values (2, 'b')");
    world_wait(&w, "row number:2|text:b\nmark");
}

/* A read that began before the slot was made anew has seen too little. */
static void a_slot_made_anew_during_the_read_needs_another_read(void **state)
{
    (void)state;
    w.resyncs = false;
    w.sync.schedule.stream.max_slot_bytes = 4 << 20;
    world_sql(&w, "create table t(id int primary key, name text)");
    world_start(&w);
    world_wait_count(&w, &w.resyncs_told, 1);
    world_sql(&w, "insert into t select g, repeat('x', 1000) from generate_series(1, 10000) g");
    world_wait_count(&w, &w.resyncs_told, 2);
    assert_true(world_has(&w, "is given up\nresync:"));
    w.feed->ops->resynced(w.feed);
    world_wait_count(&w, &w.resyncs_told, 3);
    assert_int_equal(w.flows, 0);
    assert_true(w.snapshot[0] != '\0');
    w.feed->ops->resynced(w.feed);
    world_settle(&w);
    world_sql(&w, "insert into t values (0, 'a')");
    world_wait(&w, "row number:0|text:a\nmark");
    assert_int_equal(w.resyncs_told, 3);
}

static void a_slot_confirmed_by_somebody_else_means_a_resync(void **state)
{
    (void)state;
    w.confirms = true;
    go("create table t(id int primary key)");
    world_sql(&w, "insert into t values (1)");
    world_wait(&w, "mark");
    world_stop(&w);
    world_wait_sql(&w, "select not active from pg_replication_slots");
    world_sql(&w, "insert into t values (2)");
    world_sql(&w, "select pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) from "
                  "pg_replication_slots");
    world_forget(&w);
    world_start(&w);
    world_wait(&w, "resync: replication slot \"sluice_abcdef12_live\" was confirmed up to");
    assert_string_equal(w.snapshot, "");
}

static void a_slot_that_holds_back_too_much_is_given_up(void **state)
{
    (void)state;
    w.sync.schedule.stream.max_slot_bytes = 4 << 20;
    go("create table t(id int primary key, name text)");
    w.feed->ops->pause(w.feed);
    uint64_t before = world_confirmed(&w);
    world_sql(&w, "insert into t select g, repeat('x', 1000) from generate_series(1, 10000) g");
    uint64_t behind = world_end(&w);
    world_wait(&w, "is given up\nresync:");
    assert_true(w.snapshot[0] != '\0');
    assert_true(world_confirmed(&w) > behind && before < behind);
    w.feed->ops->resume(w.feed);
    world_settle(&w);
    world_sql(&w, "insert into t values (0, 'a')");
    world_wait(&w, "row number:0|text:a\nmark\n");
    assert_false(world_has(&w, "number:1|"));
}

static void a_users_slot_that_holds_back_too_much_is_dropped_and_said_so(void **state)
{
    (void)state;
    w.sync.schedule.stream.create = false;
    w.sync.schedule.stream.slot = "theirs";
    w.sync.schedule.stream.publication = "theirs";
    w.sync.schedule.stream.max_slot_bytes = 4 << 20;
    world_sql(&w, "create table t(id int primary key, name text); create publication theirs for "
                  "table t");
    world_sql(&w, "select pg_create_logical_replication_slot('theirs', 'pgoutput')");
    world_start(&w);
    world_settle(&w);
    w.feed->ops->pause(w.feed);
    world_sql(&w, "insert into t select g, repeat('x', 1000) from generate_series(1, 10000) g");
    world_wait(&w, "failed: ");
    assert_true(world_has(&w, "it was dropped"));
    assert_true(world_has(&w, "pg_create_logical_replication_slot('theirs', 'pgoutput')"));
    assert_int_equal(
        postgres_server_number(&server, NULL, "select count(*) from pg_replication_slots"), 0);
}

static void another_server_is_noticed(void **state)
{
    (void)state;
    w.confirms = true;
    go("create table t(id int primary key)");
    world_sql(&w, "insert into t values (1)");
    world_wait(&w, "mark");
    world_stop(&w);
    w.from.bytes[3] ^= 1; /* of the system's identifier */
    world_forget(&w);
    world_start(&w);
    world_wait(&w, "resync: the warehouse is another server than before (another cluster)");
}

static void a_table_made_anew_is_read_anew(void **state)
{
    (void)state;
    w.confirms = true;
    go("create table t(id int primary key)");
    world_sql(&w, "insert into t values (1)");
    world_wait(&w, "mark");
    world_stop(&w);
    world_sql(&w, "drop table t");
    world_sql(&w, "create table t(id int primary key)");
    world_forget(&w);
    world_start(&w);
    world_wait(&w, "resync: publication \"sluice_abcdef12_live\" was gone, or lacked a table");
    assert_true(w.snapshot[0] != '\0');
    world_settle(&w);
    world_sql(&w, "insert into t values (2)");
    world_wait(&w, "row number:2\nmark\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(a_lost_connection_gives_again_as_keys),
        EACH(what_was_confirmed_does_not_come_again),
        EACH(a_restarted_server_is_found_again),
        EACH(a_server_that_shuts_down_need_not_wait),
        EACH(a_paused_feed_lets_the_server_shut_down),
        EACH(a_pause_outlives_the_servers_patience),
        EACH(the_slot_moves_with_confirm_and_never_further),
        EACH(an_idle_stream_lets_the_log_of_others_go),
        EACH(lag_tells_how_far_the_feed_is_behind),
        EACH(a_truncate_asks_for_the_whole_model_once),
        EACH(changed_columns_make_the_model_another),
        EACH(rows_of_an_older_shape_are_asked_for),
        EACH(a_slot_dropped_behind_our_back_is_made_anew),
        EACH(a_slot_dropped_in_the_flow_is_made_anew),
        EACH(a_slot_that_the_server_gave_up_is_made_anew),
        EACH(a_slot_made_anew_during_the_read_needs_another_read),
        EACH(a_slot_confirmed_by_somebody_else_means_a_resync),
        EACH(a_slot_that_holds_back_too_much_is_given_up),
        EACH(a_users_slot_that_holds_back_too_much_is_dropped_and_said_so),
        EACH(another_server_is_noticed),
        EACH(a_table_made_anew_is_read_anew),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
