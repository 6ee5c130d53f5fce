/* Which transactions others can see, and what a position holds. */
#include "scheduler/stream/cdc_private.h"
#include "tests/unit/stream/cdc_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static void snapshots_say_who_has_ended(void **state)
{
    (void)state;
    struct cdc_seen seen = {0};
    assert_false(cdc_seen_has(&seen, 1)); /* nothing is known yet */
    cdc_seen_read(&seen, "100:105:101,103");
    static const struct {
        uint32_t xid;
        bool seen;
    } cases[] = {{3, true},    {99, true},  {100, true},  {101, false}, {102, true},
                 {103, false}, {104, true}, {105, false}, {200, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(cdc_seen_has(&seen, cases[i].xid), cases[i].seen);
    cdc_seen_read(&seen, "7:7:");
    assert_true(cdc_seen_has(&seen, 6));
    assert_false(cdc_seen_has(&seen, 7));
}

static void ids_go_round(void **state)
{
    (void)state;
    struct cdc_seen seen = {0};
    /* The second time around: 2^32 + 5, whose lower half is 5. */
    cdc_seen_read(&seen, "4294967290:4294967301:4294967299");
    assert_true(cdc_seen_has(&seen, 4294967289u));
    assert_true(cdc_seen_has(&seen, 2));
    assert_false(cdc_seen_has(&seen, 3));
    assert_true(cdc_seen_has(&seen, 4));
    assert_false(cdc_seen_has(&seen, 5));
}

static void what_is_no_snapshot_says_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "1", "1:", "1:2", "x:y:", "1:9:a", "1:9:3,,4"};
    struct cdc_seen seen = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cdc_seen_read(&seen, texts[i]);
        assert_false(cdc_seen_has(&seen, 5));
    }
    char many[32 * 2000];
    size_t n = (size_t)snprintf(many, sizeof many, "10:100000:10");
    for (int i = 11; i < 3000; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, ",%d", i);
    cdc_seen_read(&seen, many);
    assert_true(cdc_seen_has(&seen, 9));
    assert_false(cdc_seen_has(&seen, 50000));
}

static void positions_come_back_as_they_were(void **state)
{
    (void)state;
    struct cdc_place place = {UINT64_C(0xFEDCBA9876543210), 7, UINT64_C(0x123456789ABCDEF0),
                              UINT64_C(0x42), UINT64_C(0x1600000042)};
    struct cdc_place back;
    struct feed_position position = {0};
    assert_false(cdc_place_get(&position, &back));
    cdc_place_put(&place, &position);
    assert_true(cdc_place_get(&position, &back));
    assert_true(back.system == place.system && back.timeline == place.timeline &&
                back.cover == place.cover && back.parts == place.parts && back.lsn == place.lsn);
    position.bytes[0]++; /* of another version */
    assert_false(cdc_place_get(&position, &back));
}

static void set_standby(struct cdc_world *w, const char *name)
{
    char sql[128];
    snprintf(sql, sizeof sql, "alter system set synchronous_standby_names = '%s'", name);
    world_sql(w, sql);
    world_sql(w, "select pg_reload_conf()");
    snprintf(sql, sizeof sql, "select current_setting('synchronous_standby_names') = '%s'", name);
    world_wait_sql(w, sql);
}

static void write_unseen(struct cdc_world *w, const char *sql, const char *comes)
{
    PGconn *writer = postgres_server_connect(w->server, NULL);
    world_forget(w);
    assert_true(PQsendQuery(writer, sql));
    world_wait_sql(w, "select count(*) = 1 from pg_stat_activity where wait_event = 'SyncRep'");
    world_run_ms(w, 300);
    assert_string_equal(world_log(w), "");
    postgres_server_number(w->server, NULL,
                           "select count(pg_cancel_backend(pid)) from pg_stat_activity where "
                           "wait_event = 'SyncRep'");
    world_wait(w, comes);
    PQfinish(writer);
}

/* With a synchronous standby that does not answer, the log tells of a transaction that nobody sees
 * yet, and that is lost if the standby takes over. */
static void nothing_is_given_before_others_see_it(void **state)
{
    (void)state;
    static struct postgres_server server;
    struct cdc_world w;
    postgres_server_start(&server);
    world_init(&w, &server);
    world_sql(&w, "create table t(id int primary key)");
    w.keys_only = true;
    world_start(&w);
    world_settle(&w);
    set_standby(&w, "nobody");
    write_unseen(&w, "insert into t values (1)", "key number:1\nmark\n");
    world_stop(&w);
    w.keys_only = false;
    world_start(&w);
    world_wait(&w, "back\nkey number:1\nmark\n");
    world_sql(&w, "set synchronous_commit = local; insert into apart values (1)");
    write_unseen(&w, "insert into t values (2)", "row number:2\nmark\n");
    world_sql(&w, "alter system reset synchronous_standby_names");
    world_sql(&w, "select pg_reload_conf()");
    world_done(&w);
    postgres_server_stop(&server);
}

static void only_the_newest_that_were_given_are_kept(void **state)
{
    (void)state;
    static struct cdc_given given;
    struct cdc_seen seen = {0};
    cdc_given_add(&given, 7);
    cdc_given_add(&given, 7);
    cdc_given_add(&given, 9);
    assert_int_equal(given.count, 2);
    assert_int_equal(cdc_given_look(&given, &seen), 0);
    cdc_seen_read(&seen, "8:10:9");
    assert_int_equal(cdc_given_look(&given, &seen), 1);
    for (uint32_t xid = 10; xid < 10 + CDC_GIVEN_MAX; xid++)
        cdc_given_add(&given, xid);
    assert_int_equal(cdc_given_look(&given, &seen), 2);
    cdc_seen_read(&seen, "2000:2000:");
    assert_int_equal(cdc_given_look(&given, &seen), 2 + CDC_GIVEN_MAX);
}

/* A row is given as the log tells it; that others see it not yet is known, and told once they do.
 */
static void that_others_see_what_was_given_is_told(void **state)
{
    (void)state;
    static struct postgres_server server;
    struct cdc_world w;
    postgres_server_start(&server);
    world_init(&w, &server);
    world_sql(&w, "create table t(id int primary key)");
    world_start(&w);
    world_settle(&w);
    uint64_t before = w.feed->ops->given_rows(w.feed);
    set_standby(&w, "nobody"); /* the feed looks for it every few seconds only */
    PGconn *writer = postgres_server_connect(w.server, NULL);
    assert_true(PQsendQuery(writer, "insert into t values (1)"));
    world_wait(&w, "row number:1\nmark\n");
    assert_int_equal(w.feed->ops->given_rows(w.feed), before + 1);
    assert_true(w.feed->ops->sees(w.feed, 0));
    assert_false(w.feed->ops->sees(w.feed, before + 1));
    size_t turns = w.turns;
    world_run_ms(&w, 300);
    assert_false(w.feed->ops->sees(w.feed, before + 1));
    assert_int_equal(w.turns, turns);
    set_standby(&w, "");
    world_wait_count(&w, &w.turns, turns + 1);
    assert_true(w.feed->ops->sees(w.feed, before + 1));
    PQfinish(writer);
    world_done(&w);
    postgres_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshots_say_who_has_ended),
        cmocka_unit_test(ids_go_round),
        cmocka_unit_test(what_is_no_snapshot_says_nothing),
        cmocka_unit_test(positions_come_back_as_they_were),
        cmocka_unit_test(nothing_is_given_before_others_see_it),
        cmocka_unit_test(only_the_newest_that_were_given_are_kept),
        cmocka_unit_test(that_others_see_what_was_given_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
