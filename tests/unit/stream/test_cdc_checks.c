/* What has to be at the server for a stream: found missing, made when told to, and said. Base
 * tables of a model (from: keys). */
#include "scheduler/stream/slots.h"
#include "tests/unit/stream/cdc_fixture.h"

#include "protocol/base/clock.h"

#include <stdlib.h>

static void use_theirs(void)
{
    w.sync.schedule.stream.create = false;
    w.sync.schedule.stream.slot = "theirs";
    w.sync.schedule.stream.publication = "theirs";
}

static long publications(void)
{
    return postgres_server_number(&server, NULL, "select count(*) from pg_publication");
}

static long slots(void)
{
    return postgres_server_number(&server, NULL, "select count(*) from pg_replication_slots");
}

static void nothing_is_made_unasked(void **state)
{
    (void)state;
    use_theirs();
    world_sql(&w, "create table t(id int primary key)");
    world_start(&w);
    world_wait(&w, "failed: publication \"theirs\" does not exist: sluice stream sql live");
    world_stop(&w);
    world_forget(&w);
    world_sql(&w, "create publication theirs");
    world_start(&w);
    world_wait(&w, "failed: publication \"theirs\" does not tell of table public.t: run ALTER "
                   "PUBLICATION \"theirs\" ADD TABLE public.t");
    world_stop(&w);
    world_forget(&w);
    world_sql(&w, "alter publication theirs add table t");
    world_start(&w);
    world_wait(&w, "failed: replication slot \"theirs\" does not exist: run SELECT "
                   "pg_create_logical_replication_slot('theirs', 'pgoutput')");
    world_stop(&w);
    world_forget(&w);
    world_sql(&w, "select pg_create_logical_replication_slot('theirs', 'pgoutput')");
    world_start(&w);
    world_wait(&w, "resync: the stream begins: its slot \"theirs\" was there already");
    assert_string_equal(w.snapshot, "");
    world_settle(&w);
    world_sql(&w, "insert into t values (1)");
    world_wait(&w, "row number:1\nmark\n");
}

static void slots_of_other_kinds_are_refused(void **state)
{
    (void)state;
    use_theirs();
    world_sql(&w, "create table t(id int primary key); create publication theirs for table t");
    world_sql(&w, "select pg_create_physical_replication_slot('theirs')");
    world_start(&w);
    world_wait(&w, "failed: replication slot \"theirs\" is not one of pgoutput in this database");
}

static void a_slot_in_use_is_waited_for(void **state)
{
    (void)state;
    go("create table t(id int primary key)");
    struct feed *first = w.feed;
    world_start(&w); /* a second reader of the same slot */
    world_wait(&w, "lost: replication slot \"sluice_abcdef12_live\" is in use by process");
    first->ops->free(first);
    world_wait(&w, "resync: the stream begins: its slot");
    world_wait_count(&w, &w.flows, 1);
}

static void a_table_without_identity_is_not_published(void **state)
{
    (void)state;
    static const char *const tables[][2] = {
        {"create table t(id int)",
         "failed: table public.t has no replica identity, so PostgreSQL refuses its updates and "
         "deletes once they are published: give it a primary key or run ALTER TABLE t REPLICA "
         "IDENTITY FULL"},
        {"create table t(id int primary key); alter table t replica identity nothing",
         "run ALTER TABLE t REPLICA IDENTITY FULL"},
        {"create table t(id int, other int primary key)",
         "failed: the replica identity of table public.t does not hold the primary key of model m: "
         "run ALTER TABLE t REPLICA IDENTITY FULL"},
        {"create table t(id int, a int not null); create unique index t_a on t(a); alter table t "
         "replica identity using index t_a",
         "failed: the replica identity of table public.t does not hold the primary key of model m"},
        {"create table t(key int primary key)", "failed: table public.t has no column id"},
        {"create table t(id int primary key); create table orders() inherits (t)",
         "failed: other tables inherit from public.t"},
        {"create view t as select 1 as id", "failed: public.t is not a table"},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        world_sql(&w, tables[i][0]);
        world_start(&w);
        world_wait(&w, tables[i][1]);
        assert_int_equal(publications(), 0);
        assert_int_equal(slots(), 0);
        world_stop(&w);
        world_forget(&w);
        world_sql(&w, strstr(tables[i][0], "view") ? "drop view t" : "drop table t cascade");
    }
}

static void inserts_alone_need_no_identity(void **state)
{
    (void)state;
    w.sync.schedule.stream.publication = "theirs";
    world_sql(&w, "create publication theirs with (publish = 'insert')");
    go("create table t(id int, name text)");
    world_sql(&w, "insert into t values (1, 'a'); update t set name = 'b'; delete from t");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "row number:1|text:a\nmark\n");
    struct feed_lag lag;
    w.feed->ops->lag(w.feed, &lag);
    assert_string_equal(lag.note, "publication \"theirs\" does not tell of all kinds of changes");
}

static void an_identity_taken_away_in_the_flow_fails_with_the_cure(void **state)
{
    (void)state;
    go("create table t(id int primary key, other int not null); create unique index t_other on "
       "t(other)");
    world_sql(&w, "insert into t values (1, 2)");
    world_wait(&w, "row");
    world_sql(&w, "alter table t replica identity using index t_other");
    world_sql(&w, "delete from t");
    world_wait(&w, "failed: the replica identity of table public.t does not hold the primary key");
}

static void deletes_of_a_while_without_identity_are_read_anew(void **state)
{
    (void)state;
    go("create table t(id int primary key, other int not null); create unique index t_other on "
       "t(other)");
    w.feed->ops->pause(w.feed);
    world_sql(&w, "insert into t values (1, 2)");
    world_sql(&w, "alter table t replica identity using index t_other");
    world_sql(&w, "delete from t");
    world_sql(&w, "alter table t replica identity default");
    w.feed->ops->resume(w.feed);
    world_wait(&w, "resync: the replica identity of table public.t did not hold the model's key");
    world_settle(&w);
    world_sql(&w, "insert into t values (3, 3); delete from t");
    world_wait(&w, "gone number:3\nmark\n");
    assert_int_equal(w.resyncs_told, 2);
}

static void a_publication_of_partitions_is_refused(void **state)
{
    (void)state;
    use_theirs();
    world_sql(&w, "create table t(id int primary key) partition by range (id); create table t_1 "
                  "partition of t for values from (0) to (10); create publication theirs for "
                  "table t");
    world_sql(&w, "select pg_create_logical_replication_slot('theirs', 'pgoutput')");
    world_start(&w);
    world_wait(&w, "failed: table public.t is partitioned and publication \"theirs\" tells of its "
                   "partitions only: run ALTER PUBLICATION \"theirs\" SET "
                   "(publish_via_partition_root = true)");
}

static void a_role_that_may_not_replicate_is_told(void **state)
{
    (void)state;
    world_sql(&w, "drop role if exists reader; create role reader login; create table t(id int "
                  "primary key); grant select on t to reader");
    w.params[1].value = "reader";
    world_start(&w);
    world_wait(&w, "failed: role \"reader\" may not replicate: run ALTER ROLE \"reader\" "
                   "REPLICATION");
    world_stop(&w);
    world_forget(&w);
    world_sql(&w, "alter role reader replication");
    world_start(&w);
    world_wait(&w,
               "failed: publication \"sluice_abcdef12_live\" cannot be made: permission denied");
}

/* The log tells of all rows; the model has those that the role may see. */
static void rows_behind_row_security_are_asked_for(void **state)
{
    (void)state;
    world_sql(&w, "drop owned by reader; drop role reader");
    world_sql(&w, "create role reader login replication; create table t(id int primary key, name "
                  "text); alter table t enable row level security; create policy low on t using "
                  "(id < 5); grant select on t to reader; create publication theirs for table t");
    w.params[1].value = "reader";
    w.sync.schedule.stream.publication = "theirs";
    world_start(&w);
    world_settle(&w);
    world_sql(&w, "insert into t values (9, 'x')");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "key number:9\nmark\n");
}

/* Decoding what was written before a publication was made fails at the server: only a younger slot
 * can be read. */
static void a_publication_younger_than_its_slot_needs_another_slot(void **state)
{
    (void)state;
    world_sql(&w, "create table t(id int primary key)");
    world_sql(&w, "select pg_create_logical_replication_slot('sluice_abcdef12_live', 'pgoutput')");
    world_sql(&w, "insert into t values (1)");
    world_sql(&w, "create publication sluice_abcdef12_live for table t");
    world_start(&w);
    world_wait(&w, "lost: publication \"sluice_abcdef12_live\" does not exist");
    world_wait(&w, "resync: replication slot \"sluice_abcdef12_live\" was older than its "
                   "publication");
    world_settle(&w);
    world_sql(&w, "insert into t values (3)");
    world_wait(&w, "row number:3\nmark\n");
}

static void a_table_out_of_its_publication_for_a_while_is_read_anew(void **state)
{
    (void)state;
    w.confirms = true;
    go("create table t(id int primary key)");
    world_sql(&w, "insert into t values (1)");
    world_wait(&w, "mark");
    world_stop(&w);
    world_sql(&w, "alter publication sluice_abcdef12_live drop table t");
    world_sql(&w, "insert into t values (2)");
    world_sql(&w, "alter publication sluice_abcdef12_live add table t");
    world_forget(&w);
    world_start(&w);
    world_wait(&w, "resync: a table was made anew, or taken out of publication");
    assert_true(w.snapshot[0] != '\0');
    world_settle(&w);
    world_sql(&w, "insert into t values (3)");
    world_wait(&w, "row number:3\nmark\n");
}

/* A transaction that is under way when its table is published is not told: the model is read only
 * once it has ended. */
static void transactions_under_way_are_waited_for(void **state)
{
    (void)state;
    world_sql(&w, "create table t(id int primary key)");
    PGconn *conn = postgres_server_connect(&server, NULL);
    PQclear(PQexec(conn, "begin"));
    PQclear(PQexec(conn, "insert into t values (1)"));
    world_start(&w);
    world_wait_sql(&w, "select count(*) = 1 from pg_replication_slots");
    world_run_ms(&w, 200);
    assert_int_equal(w.resyncs_told, 0);
    PQclear(PQexec(conn, "commit"));
    PQfinish(conn);
    world_wait_count(&w, &w.resyncs_told, 1);
    world_read(&w);
    assert_string_equal(w.rows.p, "row number:1\n");
}

/* ---- keys ---- */

static const char *const customer[] = {"customer_id"};
static const char *const id[] = {"id"};
static const struct stream_table base_tables[] = {{"public.orders", customer},
                                                  {"public.customers", id}};

static void use_keys(void)
{
    w.model.table = NULL;
    w.model.sql = "select c.id, count(o.id) as orders from customers c left join orders o on "
                  "o.customer_id = c.id group by c.id";
    w.sync.schedule.stream.from = STREAM_KEYS;
    w.sync.schedule.stream.tables = base_tables;
    w.sync.schedule.stream.table_count = 2;
}

static void changes_of_base_tables_name_keys_of_the_model(void **state)
{
    (void)state;
    use_keys();
    go("create table customers(id bigint primary key, name text); create table orders(id int "
       "primary key, customer_id int); alter table orders replica identity full");
    world_sql(&w, "insert into customers values (7, 'a'); insert into orders values (1, 7), (2, "
                  "null); update orders set customer_id = 8 where id = 1; update orders set "
                  "customer_id = 9 where id = 2; delete from orders where id = 1; delete from "
                  "customers");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "key number:7\nkey number:7\nkey number:7\nkey number:8\n"
                                       "key number:9\nkey number:8\nkey number:7\nmark\n");
    struct feed_lag lag;
    w.feed->ops->lag(w.feed, &lag);
    assert_string_equal(lag.note, "");
}

static void a_base_table_whose_deletes_tell_nothing_is_noted(void **state)
{
    (void)state;
    use_keys();
    go("create table customers(id bigint primary key, name text); create table orders(id int "
       "primary key, customer_id int)");
    world_sql(&w, "insert into orders values (1, 7); update orders set customer_id = 8; delete "
                  "from orders; update customers set id = 1; insert into customers values (1)");
    world_wait(&w, "mark");
    assert_string_equal(world_log(&w), "key number:7\nkey number:8\nkey number:1\nmark\n");
    struct feed_lag lag;
    w.feed->ops->lag(w.feed, &lag);
    assert_non_null(strstr(lag.note, "deletes in public.orders, and rows there that move"));
    assert_non_null(strstr(lag.note, "ALTER TABLE orders REPLICA IDENTITY FULL"));
}

/* ---- commands ---- */

static void names_are_made_of_what_the_server_takes(void **state)
{
    (void)state;
    struct slot_names names;
    w.sync.name = "Käufe-to CRM";
    slot_names_of(&w.sync, "ABCDEF1234567890", &names);
    assert_string_equal(names.slot, "sluice_abcdef12_k__ufe_to_crm_e6e44281");
    w.sync.name = "a_name_that_is_much_longer_than_what_a_replication_slot_may_be_called";
    slot_names_of(&w.sync, "ABCDEF1234567890", &names);
    assert_int_equal(strlen(names.slot), 63);
    w.sync.schedule.stream.slot = "mine";
    slot_names_of(&w.sync, "ABCDEF1234567890", &names);
    assert_string_equal(names.slot, "mine");
    w.sync.schedule.stream.slot = NULL;
    w.sync.name = "live";
}

static void slots_are_looked_at_and_dropped(void **state)
{
    (void)state;
    struct slot_names names;
    struct slot_look look;
    struct slot_dropped dropped;
    struct err err;
    PGconn *conn = postgres_server_connect(&server, NULL);
    slot_names_of(&w.sync, "ABCDEF1234567890", &names);
    assert_int_equal(slot_look(conn, &names, &look, &err), ERR_OK);
    assert_false(look.slot_exists || look.publication_exists);
    assert_int_equal(look.held_bytes, -1);
    go("create table t(id int primary key)");
    assert_int_equal(slot_look(conn, &names, &look, &err), ERR_OK);
    assert_true(look.slot_exists && look.slot_active && look.publication_exists);
    assert_true(look.held_bytes >= 0 && strchr(look.confirmed, '/') && !look.slot_lost);
    assert_int_equal(slot_drop(conn, &names, &dropped, &err), ERR_BUSY);
    assert_false(dropped.slot || dropped.publication);
    world_stop(&w);
    world_wait_sql(&w, "select not active from pg_replication_slots");
    assert_int_equal(slot_drop(conn, &names, &dropped, &err), ERR_OK);
    assert_true(dropped.slot && dropped.publication);
    assert_int_equal(slot_drop(conn, &names, &dropped, &err), ERR_OK);
    assert_false(dropped.slot || dropped.publication);
    PQfinish(conn);
}

static void the_statements_that_are_printed_make_what_is_needed(void **state)
{
    (void)state;
    struct slot_names names;
    struct buf sql;
    struct err err;
    use_theirs();
    slot_names_of(&w.sync, "ABCDEF1234567890", &names);
    buf_init(&sql, 1 << 20);
    PGconn *conn = postgres_server_connect(&server, NULL);
    world_sql(&w, "create table t(id int)");
    assert_int_equal(slot_sql(conn, &w.sync, &names, &sql, &err), ERR_OK);
    assert_non_null(strstr(buf_cstr(&sql), "-- table public.t has no replica identity"));
    world_sql(&w, "alter table t add primary key (id)");
    buf_reset(&sql);
    assert_int_equal(slot_sql(conn, &w.sync, &names, &sql, &err), ERR_OK);
    assert_null(strstr(buf_cstr(&sql), "replica identity"));
    /* A slot is not made in a transaction that has written: one statement at a time. */
    char *line = sql.p, *end;
    for (; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (strncmp(line, "--", 2) != 0)
            world_sql(&w, line);
    }
    buf_reset(&sql);
    assert_int_equal(slot_sql(conn, &w.sync, &names, &sql, &err), ERR_OK);
    assert_string_equal(buf_cstr(&sql), "-- everything is there\n");
    PQfinish(conn);
    buf_done(&sql);
    world_start(&w);
    world_settle(&w);
    world_sql(&w, "insert into t values (1)");
    world_wait(&w, "row number:1\nmark\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(nothing_is_made_unasked),
        EACH(slots_of_other_kinds_are_refused),
        EACH(a_slot_in_use_is_waited_for),
        EACH(a_table_without_identity_is_not_published),
        EACH(inserts_alone_need_no_identity),
        EACH(an_identity_taken_away_in_the_flow_fails_with_the_cure),
        EACH(deletes_of_a_while_without_identity_are_read_anew),
        EACH(a_publication_of_partitions_is_refused),
        EACH(a_role_that_may_not_replicate_is_told),
        EACH(rows_behind_row_security_are_asked_for),
        EACH(a_publication_younger_than_its_slot_needs_another_slot),
        EACH(a_table_out_of_its_publication_for_a_while_is_read_anew),
        EACH(transactions_under_way_are_waited_for),
        EACH(changes_of_base_tables_name_keys_of_the_model),
        EACH(a_base_table_whose_deletes_tell_nothing_is_noted),
        EACH(names_are_made_of_what_the_server_takes),
        EACH(slots_are_looked_at_and_dropped),
        EACH(the_statements_that_are_printed_make_what_is_needed),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
