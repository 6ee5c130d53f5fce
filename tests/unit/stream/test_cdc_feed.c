/* Changes of a table as they come from a real PostgreSQL: their kinds, their values, their order.
 */
#include "scheduler/stream/cdc_private.h"
#include "tests/unit/stream/cdc_fixture.h"

#include "protocol/base/clock.h"

static void inserts_updates_and_deletes_come_in_order(void **state)
{
    (void)state;
    go("create table t(id int primary key, name text); insert into t values (1, 'a')");
    world_sql(&w, "insert into t values (2, 'b'); update t set name = 'c' where id = 1; "
                  "delete from t where id = 2");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "row number:2|text:b\n"
                                       "row number:1|text:c\n"
                                       "gone number:2\n"
                                       "mark\n");
    assert_true(w.turns > 0);
}

static void the_first_start_reads_with_the_slots_snapshot(void **state)
{
    (void)state;
    w.resyncs = false;
    world_sql(&w, "create table t(id int primary key); insert into t values (1)");
    world_start(&w);
    world_wait_count(&w, &w.resyncs_told, 1);
    assert_true(w.snapshot[0] != '\0');
    world_sql(&w, "insert into t values (2)");
    char sql[256];
    snprintf(sql, sizeof sql,
             "begin isolation level repeatable read; set transaction snapshot '%s'; "
             "create temp table seen as select count(*) n from t; commit",
             w.snapshot);
    PGconn *conn = postgres_server_connect(&server, NULL);
    PGresult *result = PQexec(conn, sql);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    result = PQexec(conn, "select n from seen");
    assert_string_equal(PQgetvalue(result, 0, 0), "1");
    PQclear(result);
    PQfinish(conn);
    w.feed->ops->resynced(w.feed);
    world_wait(&w, "key number:2");
    assert_null(w.feed->ops->snapshot(w.feed));
}

static void a_changed_primary_key_is_gone_and_comes_anew(void **state)
{
    (void)state;
    go("create table t(id int primary key, name text); insert into t values (1, 'a')");
    world_sql(&w, "update t set id = 5");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "gone number:1\nrow number:5|text:a\nmark\n");
}

static void replica_identity_full_and_index_tell_the_same(void **state)
{
    (void)state;
    go("create table t(id int not null, name text); create unique index t_id on t(id); "
       "alter table t replica identity using index t_id; insert into t values (1, 'a')");
    world_sql(&w, "update t set id = 2; delete from t");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "gone number:1\nrow number:2|text:a\ngone number:2\nmark\n");
    world_forget(&w);
    world_sql(&w, "alter table t replica identity full; insert into t values (1, 'b'); "
                  "update t set name = 'c'; update t set id = 7; delete from t");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "row number:1|text:b\nrow number:1|text:c\n"
                                       "gone number:1\nrow number:7|text:c\ngone number:7\nmark\n");
}

static void a_value_out_of_line_that_did_not_change_is_asked_for(void **state)
{
    (void)state;
    go("create table t(id int primary key, n int, big text); "
       "alter table t alter big set storage external; "
       "insert into t values (1, 1, repeat('x', 10000)), (2, 1, 'small')");
    world_sql(&w, "update t set n = 2 where id = 1");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "key number:1\nmark\n");
    world_forget(&w);
    world_sql(&w, "update t set n = 2 where id = 2");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "row number:2|number:2|text:small\nmark\n");
}

/* An answer may have seen it. */
static void what_lies_before_the_horizon_of_an_answer_is_asked_for(void **state)
{
    (void)state;
    go("create table t(id int primary key, n int); insert into t values (1, 1)");
    w.feed->ops->horizon(w.feed, world_end(&w) + (1 << 20));
    world_sql(&w, "update t set n = 2 where id = 1");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "key number:1\nmark\n");
}

static void replica_identity_full_gives_the_value_out_of_line(void **state)
{
    (void)state;
    go("create table t(id int primary key, n int, big text); "
       "alter table t alter big set storage external; alter table t replica identity full; "
       "insert into t values (1, 1, repeat('x', 3000))");
    world_sql(&w, "update t set n = 2 where id = 1");
    world_wait(&w, "mark");
    char expected[3100];
    snprintf(expected, sizeof expected, "row number:1|number:2|text:%s\nmark\n",
             w.rows.p + strlen("row number:1|number:1|text:"));
    *strchr(strstr(expected, "xxx"), '\n') = '\0';
    strcat(expected, "\nmark\n");
    assert_string_equal(world_log(&w), expected);
}

static void every_type_is_as_a_batch_read_gives_it(void **state)
{
    (void)state;
    go("create extension if not exists hstore; create extension if not exists citext; "
       "drop type if exists mood, pair cascade; drop domain if exists email, price, prices, docs "
       "cascade; create type mood as enum ('sad', 'happy'); create type pair as (a int, b text); "
       "create domain email as text; create domain price as numeric(10,2); create domain prices as "
       "price[]; create domain docs as jsonb; "
       "create table t(id bigint primary key, a int2, b int4, c int8, d numeric, e "
       "numeric(10,2), f float4, g float8, h bool, i text, j varchar(20), k char(5), l citext, m "
       "name, n date, o timestamp, p timestamptz, q time, r timetz, s interval, t json, u jsonb, v "
       "bytea, w uuid, x inet, y money, z int4range, aa mood, ab pair, ac email, ad price, ae "
       "prices, af docs, ag int[], ah text[], ai timestamptz[], aj jsonb[], ak mood[], al hstore, "
       "am xml, an oid, ao \"char\", ap email[], aq bit(3), ar point, at bytea[], au timestamp[])");
    world_sql(
        &w,
        "insert into t values (1, -5, 7, 9223372036854775807, 123.4500, 1.5, 0.1, 0.1::float8 + "
        "0.2, true, E'tab\\t\\\\ \\n\"quote\" \\x01', 'Zoë 漢 😀', 'ab', 'CiText', 'name', "
        "'2026-01-02', '2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678901+02', '01:02:03', "
        "'01:02:03+02', '1 year 2 days 03:04:05', '{\"b\":  1.50, \"a\": [1, 2]}', '{\"b\": 1.50, "
        "\"a\": \"x  y\"}', '\\xdeadbeef', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', "
        "12.34, '[1,5)', 'happy', '(1,\"a b\")', 'a@b.c', 3.5, '{1.5,2}', '{\"z\": 1}', "
        "'{{1,2},{3,NULL}}', '{a,\"b c\",NULL,\"NULL\",\"q\\\"\"}', '{2026-01-02 03:04:05+02}', "
        "'{\"{\\\"a\\\": 1}\"}', '{sad,happy}', 'a=>1', '<a>b</a>', 42, 'x', '{a@b.c}', B'101', "
        "'(1.5,2)', '{\"\\\\xdead\"}', '{2026-01-02 03:04:05}'), (2, null, null, null, 'NaN', "
        "null, "
        "'NaN', 'Infinity', false, '', '', '', '', '', 'infinity', '-infinity', '0044-03-15 BC', "
        "null, null, null, 'null', '\"é\"', '', null, null, null, 'empty', null, null, null, null, "
        "'{}', null, '{}', '{}', '{infinity}', null, null, null, null, null, null, null, null, "
        "null, null, null), (3, null, null, null, 1e30, null, 1e-7, 1e300, null, 'x', null, null, "
        "null, null, '10000-01-01', null, '0001-01-01 00:00Z', null, null, '-1 mons', null, null, "
        "null, null, null, null, null, null, null, null, null, null, null, '[2:3]={1,2}', null, "
        "null, null, null, null, null, null, null, null, null, null, null, null)");
    world_wait(&w, "mark");
    world_read(&w);
    assert_int_equal(world_count(&w, "row"), 3);
    assert_true(buf_puts(&w.rows, "mark\n") == 0);
    assert_string_equal(world_log(&w), buf_cstr(&w.rows));
}

static void chosen_columns_come_in_the_models_order(void **state)
{
    (void)state;
    static const char *const columns[] = {"name", "id"};
    w.model.columns = columns;
    w.model.column_count = 2;
    go("create table t(id int primary key, other int, name text)");
    world_sql(&w, "insert into t values (1, 2, 'a'); update t set other = 3");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "row text:a|number:1\nrow text:a|number:1\nmark\n");
    world_forget(&w);
    /* A column that the model does not read may come and go. */
    world_sql(&w, "alter table t add extra int; insert into t values (2, 2, 'b', 4)");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "row text:b|number:2\nmark\n");
}

static void conditions_zones_and_generated_columns_are_asked_for(void **state)
{
    (void)state;
    w.model.where = "n > 1";
    w.confirms = true;
    go("create table t(id int primary key, n int)");
    world_sql(&w, "insert into t values (1, 2); update t set n = 0; delete from t");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "key number:1\nkey number:1\ngone number:1\nmark\n");
    world_stop(&w);
    world_forget(&w);
    w.model.where = NULL;
    world_sql(&w, "alter table t add twice int generated always as (n * 2) stored");
    world_start(&w);
    world_settle(&w);
    world_sql(&w, "insert into t values (2, 2)");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "key number:2\nmark\n");
}

static void rows_of_partitions_come_as_rows_of_their_root(void **state)
{
    (void)state;
    go("create table t(id int primary key, name text) partition by range (id); "
       "create table t_low partition of t for values from (0) to (10); "
       "create table t_high partition of t for values from (10) to (20)");
    world_sql(&w, "insert into t values (1, 'a'), (11, 'b'); update t set id = 12 where id = 1; "
                  "delete from t where id = 11; create table t_more partition of t for values from "
                  "(20) to (30); insert into t values (21, 'c')");
    world_wait(&w, "number:21");
    assert_true(world_has(&w, "row number:1|text:a\nrow number:11|text:b\n"));
    /* A row that moves between partitions is deleted there and inserted here. */
    assert_true(world_has(&w, "gone number:1\nrow number:12|text:a\ngone number:11\n"));
    world_sql(&w, "truncate t");
    world_wait(&w, "resync: table public.t was truncated");
}

/* Which happens every half a minute by itself. */
static void look_at_tables(void)
{
    struct cdc_feed *f = (struct cdc_feed *)w.feed;
    cdc_want(f, JOB_FIT);
    int64_t deadline = clock_mono_ms() + 60000;
    while (f->wants[JOB_FIT] || f->job != JOB_NONE) {
        assert_true(clock_mono_ms() < deadline);
        world_run_ms(&w, 2);
    }
}

/* PostgreSQL does not say that a single partition was emptied or dropped. */
static void partitions_that_go_by_themselves_are_noticed(void **state)
{
    (void)state;
    w.confirms = true;
    go("create table t(id int primary key, name text) partition by range (id); "
       "create table t_low partition of t for values from (0) to (10); "
       "create table t_high partition of t for values from (10) to (20)");
    world_sql(&w, "insert into t values (1, 'a'), (11, 'b'); create table t_more partition of t "
                  "for values from (20) to (30)");
    world_wait(&w, "mark");
    look_at_tables();
    assert_int_equal(w.resyncs_told, 1); /* a new one is empty */
    world_sql(&w, "drop table t_low");
    look_at_tables();
    world_wait(&w, "resync: a partition was dropped, detached or emptied by itself");
    world_settle(&w);
    world_sql(&w, "insert into t values (13, 'c')");
    world_wait(&w, "row number:13|text:c\nmark\n");
    world_stop(&w);
    world_sql(&w, "truncate t_high");
    world_start(&w);
    world_wait(&w, "resync: partitions came or went while nobody looked");
    world_settle(&w);
    world_sql(&w, "insert into t values (14, 'd')");
    world_wait(&w, "row number:14|text:d\nmark\n");
}

static void keys_of_several_columns_and_odd_names(void **state)
{
    (void)state;
    static const char *const two[] = {"b \"x\"", "A"};
    w.model.table = "public.\"Odd \"\"t\"\"\"";
    w.model.primary_key = two;
    w.model.primary_key_count = 2;
    go("drop table if exists \"Odd \"\"t\"\"\"; create table \"Odd \"\"t\"\"\"(\"A\" int, \"b "
       "\"\"x\"\"\" text, primary key (\"A\", \"b \"\"x\"\"\"))");
    world_sql(&w, "insert into \"Odd \"\"t\"\"\" values (1, 'k'); update \"Odd \"\"t\"\"\" set "
                  "\"A\" = 2; delete from \"Odd \"\"t\"\"\"");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "row number:1|text:k\ngone text:k|number:1\n"
                                       "row number:2|text:k\ngone text:k|number:2\nmark\n");
}

static void a_transaction_of_many_rows_has_one_mark(void **state)
{
    (void)state;
    go("create table t(id int primary key, name text)");
    uint64_t before = w.marks; /* where it began */
    w.counts = true;
    world_sql(&w, "insert into t select g, 'name ' || g from generate_series(1, 200000) g");
    world_wait_count(&w, &w.marks, before + 1);
    assert_int_equal(w.changes, 200000);
    assert_int_equal(w.marks, before + 1);
}

/* Every change of the table's definition describes it anew. */
static void a_table_may_be_described_any_number_of_times(void **state)
{
    (void)state;
    char columns[40000] = "";
    for (int i = 0, n = 0; i < 1500; i++)
        n += snprintf(columns + n, sizeof columns - (size_t)n, ", c%d int", i);
    char sql[41000];
    snprintf(sql, sizeof sql, "create table t(id int primary key%s)", columns);
    go(sql);
    w.counts = true;
    world_sql(&w, "do $$ begin for i in 1..470 loop alter table t replica identity full; alter "
                  "table t replica identity default; insert into t(id) values (i); commit; end "
                  "loop; end $$");
    world_wait_count(&w, &w.changes, 470);
    assert_int_equal(w.losses + w.failures, 0);
    assert_int_equal(w.resyncs_told, 1);
}

static void an_owner_that_refuses_ends_the_feed(void **state)
{
    (void)state;
    go("create table t(id int primary key)");
    w.refuses = true;
    world_sql(&w, "insert into t values (1), (2)");
    world_wait(&w, "failed: the owner refuses");
    assert_int_equal(w.changes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(inserts_updates_and_deletes_come_in_order),
        EACH(the_first_start_reads_with_the_slots_snapshot),
        EACH(a_changed_primary_key_is_gone_and_comes_anew),
        EACH(replica_identity_full_and_index_tell_the_same),
        EACH(a_value_out_of_line_that_did_not_change_is_asked_for),
        EACH(what_lies_before_the_horizon_of_an_answer_is_asked_for),
        EACH(replica_identity_full_gives_the_value_out_of_line),
        EACH(every_type_is_as_a_batch_read_gives_it),
        EACH(chosen_columns_come_in_the_models_order),
        EACH(conditions_zones_and_generated_columns_are_asked_for),
        EACH(rows_of_partitions_come_as_rows_of_their_root),
        EACH(partitions_that_go_by_themselves_are_noticed),
        EACH(keys_of_several_columns_and_odd_names),
        EACH(a_transaction_of_many_rows_has_one_mark),
        EACH(a_table_may_be_described_any_number_of_times),
        EACH(an_owner_that_refuses_ends_the_feed),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
