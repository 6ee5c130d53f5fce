/* Batches carried into a real Postgres by the session, and what is in the table afterwards. */
#include "worker/postgres/session.h"

#include <event2/event.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/harness/postgres_server.h"
#include "worker/postgres/rows.h"

enum { DEADLINE_S = 20, BODY_MAX = 64 << 20 };

static struct postgres_server server;
static struct event_base *base;
static char url[256];

/* A batch as the driver makes it: a shape and its rows. */
struct batch {
    struct arena arena;
    struct shape shape;
    struct buf rows;
};

static const struct slice key_names[] = {SLICE_LIT("id")};
static const struct slice names[] = {SLICE_LIT("email"), SLICE_LIT("score"), SLICE_LIT("tags"),
                                     SLICE_LIT("seen"), SLICE_LIT("photo")};
static const struct field_path paths[] = {
    {&names[0], 1}, {&names[1], 1}, {&names[2], 1}, {&names[3], 1}, {&names[4], 1}};

static void batch_init(struct batch *b, const char *table, const uint8_t *policies, int32_t newest)
{
    struct batch_head head = {
        .object = slice_str(table),
        .key_names = key_names,
        .key_count = 1,
        .fields = paths,
        .field_count = ARRAY_LEN(paths),
        .policies = policies,
        .newest_field = newest,
    };
    struct err err;
    arena_init(&b->arena, 1 << 20);
    buf_init(&b->rows, BODY_MAX);
    assert_int_equal(shape_make(&b->arena, &head, &b->shape, &err), ERR_OK);
}

static void batch_done(struct batch *b)
{
    arena_done(&b->arena);
    buf_done(&b->rows);
}

static struct value text(const char *s)
{
    return s ? value_of(VALUE_TEXT, slice_str(s)) : (struct value){.kind = VALUE_NULL};
}

static struct value number(const char *s)
{
    return value_of(VALUE_NUMBER, slice_str(s));
}

static struct value json(const char *s)
{
    return value_of(VALUE_JSON, slice_str(s));
}

static const struct value absent = {.kind = VALUE_ABSENT};
static const struct value null = {.kind = VALUE_NULL};

static void put(struct batch *b, enum record_op op, const char *id, const struct value *fields)
{
    struct value key = number(id);
    struct record r = {.op = op, .keys = &key, .fields = fields};
    assert_int_equal(rows_put(&b->rows, &b->shape, &r, b->shape.records), ERR_OK);
}

/* ---- carrying ---- */

struct heard {
    int kind;
    bool unsure;
    char sqlstate[6];
    char words[256];
    uint32_t missing[16];
    size_t missing_count;
    bool came;
};

static void on_answer(void *ctx, const struct session_answer *a)
{
    struct heard *h = ctx;
    h->kind = (int)a->kind;
    h->unsure = a->unsure;
    memcpy(h->sqlstate, a->sqlstate, sizeof h->sqlstate);
    snprintf(h->words, sizeof h->words, "%s", a->message ? a->message : "");
    for (size_t i = 0; i < a->missing_count && i < ARRAY_LEN(h->missing); i++)
        h->missing[h->missing_count++] = a->missing[i];
    h->came = true;
}

static struct heard carry_within(struct session *s, struct batch *b, uint64_t timeout_ms)
{
    struct heard h = {0};
    session_carry(s, &b->shape, buf_slice(&b->rows), timeout_ms, on_answer, &h);
    struct timeval deadline = {DEADLINE_S, 0};
    event_base_loopexit(base, &deadline);
    while (!h.came && event_base_loop(base, EVLOOP_ONCE) == 0 && !event_base_got_exit(base))
        ;
    assert_true(h.came);
    assert_true(session_is_idle(s));
    return h;
}

static struct heard carry(struct session *s, struct batch *b)
{
    return carry_within(s, b, DEADLINE_S * 1000);
}

static void expect(const char *sql, const char *wanted)
{
    PGconn *c = postgres_server_connect(&server, NULL);
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        fail_msg("%s", PQerrorMessage(c));
    assert_string_equal(PQntuples(r) ? PQgetvalue(r, 0, 0) : "", wanted);
    PQclear(r);
    PQfinish(c);
}

static const char all_rows[] =
    "select string_agg(concat_ws('|', id, coalesce(email,'-'), coalesce(score::text,'-'), "
    "coalesce(tags::text,'-'), coalesce(seen::text,'-'), coalesce(encode(photo,'escape'),'-')), "
    "';' order by id) from people";

static int fresh_table(void **state)
{
    postgres_server_run(&server, NULL,
                        "drop table if exists people cascade; create table people (id int primary "
                        "key, email text unique, score numeric, tags text[], seen timestamp, photo "
                        "bytea, kept text default 'kept')");
    *state = session_new(base, url);
    return *state ? 0 : -1;
}

static int end_session(void **state)
{
    session_free(*state);
    return 0;
}

/* ---- tests ---- */

static void upserts_create_and_change_rows_in_the_columns_own_types(void **state)
{
    struct batch b;
    batch_init(&b, "people", NULL, -1);
    put(&b, OP_UPSERT, "1",
        (struct value[]){text("a\tb\\c\nd"), number("12345678901234567890.50"),
                         json("[\"x\",\"y, z\"]"), text("2026-01-02T03:04:05"), text("aGk=")});
    put(&b, OP_UPSERT, "2", (struct value[]){null, null, null, null, null});
    assert_int_equal(carry(*state, &b).kind, SESSION_DONE);
    expect(all_rows, "1|a\tb\\c\nd|12345678901234567890.50|{x,\"y, z\"}|2026-01-02 "
                     "03:04:05|hi;2|-|-|-|-|-");
    batch_done(&b);
    batch_init(&b, "public.people", NULL, -1);
    put(&b, OP_UPSERT, "1", (struct value[]){text("new"), absent, absent, null, absent});
    put(&b, OP_UPSERT, "3", (struct value[]){absent, number("7"), absent, absent, absent});
    assert_int_equal(carry(*state, &b).kind, SESSION_DONE);
    expect(all_rows, "1|new|12345678901234567890.50|{x,\"y, z\"}|-|hi;2|-|-|-|-|-;3|-|7|-|-|-");
    expect("select string_agg(kept, ',') from people", "kept,kept,kept");
    batch_done(&b);
}

static void deletes_clears_and_inserts_go_together_in_one_batch(void **state)
{
    postgres_server_run(&server, NULL, "insert into people values (1,'a',1), (2,'b',2), (3,'c',3)");
    struct batch b;
    batch_init(&b, "people", NULL, -1);
    put(&b, OP_DELETE, "1", NULL);
    put(&b, OP_CLEAR, "2", NULL);
    put(&b, OP_INSERT, "3", (struct value[]){text("x"), number("9"), null, null, null});
    put(&b, OP_APPEND, "4", (struct value[]){text("d"), number("4"), null, null, null});
    assert_int_equal(carry(*state, &b).kind, SESSION_DONE);
    expect(all_rows, "2|-|-|-|-|-;3|c|3|-|-|-;4|d|4|-|-|-");
    batch_done(&b);
}

static void updates_name_the_records_that_do_not_exist(void **state)
{
    postgres_server_run(&server, NULL, "insert into people values (1,'a',1)");
    struct batch b;
    batch_init(&b, "people", NULL, -1);
    put(&b, OP_UPDATE, "7", (struct value[]){text("n"), null, null, null, null});
    put(&b, OP_UPDATE, "1", (struct value[]){text("y"), absent, null, null, null});
    put(&b, OP_UPDATE, "9", (struct value[]){text("n"), null, null, null, null});
    struct heard h = carry(*state, &b);
    assert_int_equal(h.kind, SESSION_DONE);
    assert_int_equal(h.missing_count, 2);
    assert_int_equal(h.missing[0], 0);
    assert_int_equal(h.missing[1], 2);
    expect(all_rows, "1|y|1|-|-|-");
    batch_done(&b);
}

static void policies_keep_merge_or_replace_what_is_there(void **state)
{
    static const uint8_t policies[] = {POLICY_SET_IF_EMPTY, POLICY_CREATE_ONLY, POLICY_MERGE,
                                       POLICY_OVERWRITE, POLICY_OVERWRITE};
    postgres_server_run(&server, NULL,
                        "insert into people values (1,'a',1,'{x}'), (2,null,2,null)");
    struct batch b;
    batch_init(&b, "people", policies, -1);
    struct value fields[] = {text("new"), number("9"), json("[\"y\",\"x\"]"), null, null};
    put(&b, OP_UPSERT, "1", fields);
    fields[0] = text("other");
    put(&b, OP_UPSERT, "2", fields);
    fields[0] = text("third");
    put(&b, OP_UPSERT, "3", fields);
    assert_int_equal(carry(*state, &b).kind, SESSION_DONE);
    expect(all_rows, "1|a|1|{x,y}|-|-;2|other|2|{y,x}|-|-;3|third|9|{y,x}|-|-");
    batch_done(&b);
}

static void an_older_record_leaves_a_newer_row_alone(void **state)
{
    postgres_server_run(&server, NULL,
                        "insert into people (id, email, seen) values (1,'now','2026-06-01'), "
                        "(2,'then','2025-06-01'), (3,'never',null)");
    struct batch b;
    batch_init(&b, "people", NULL, 3);
    for (int i = 0; i < 3; i++)
        put(&b, OP_UPSERT, (const char *[]){"1", "2", "3"}[i],
            (struct value[]){text((const char *[]){"a", "b", "c"}[i]), null, null,
                             text("2026-01-01T00:00:00"), null});
    assert_int_equal(carry(*state, &b).kind, SESSION_DONE);
    expect("select string_agg(email, ',' order by id) from people", "now,b,c");
    batch_done(&b);
}

static void a_refused_batch_writes_nothing_and_the_session_goes_on(void **state)
{
    struct batch b, good;
    batch_init(&b, "people", NULL, -1);
    put(&b, OP_UPSERT, "1", (struct value[]){text("a"), number("1"), null, null, null});
    put(&b, OP_UPSERT, "2", (struct value[]){text("b"), text("no number"), null, null, null});
    struct heard h = carry(*state, &b);
    assert_int_equal(h.kind, SESSION_REFUSED);
    assert_string_equal(h.sqlstate, "22P02");
    expect("select count(*) from people", "0");
    batch_init(&good, "people", NULL, -1);
    put(&good, OP_UPSERT, "1", (struct value[]){text("a"), number("1"), null, null, null});
    assert_int_equal(carry(*state, &good).kind, SESSION_DONE);
    expect("select count(*) from people", "1");
    batch_done(&b);
    batch_done(&good);
}

static void tables_and_columns_that_do_not_exist_are_named(void **state)
{
    struct batch b;
    batch_init(&b, "no_such", NULL, -1);
    put(&b, OP_DELETE, "1", NULL);
    struct heard h = carry(*state, &b);
    assert_int_equal(h.kind, SESSION_REFUSED);
    assert_string_equal(h.sqlstate, "42P01");
    batch_done(&b);
    postgres_server_run(&server, NULL, "alter table people drop column photo");
    batch_init(&b, "people", NULL, -1);
    put(&b, OP_DELETE, "1", NULL);
    h = carry(*state, &b);
    assert_int_equal(h.kind, SESSION_REFUSED);
    assert_string_equal(h.sqlstate, "42703");
    assert_non_null(strstr(h.words, "photo"));
    batch_done(&b);
}

static void a_lock_that_lasts_makes_the_server_give_up_in_time(void **state)
{
    PGconn *blocker = postgres_server_connect(&server, NULL);
    PQclear(PQexec(blocker, "begin; lock table people"));
    struct batch b;
    batch_init(&b, "people", NULL, -1);
    put(&b, OP_UPSERT, "1", (struct value[]){text("a"), null, null, null, null});
    struct heard h = carry_within(*state, &b, 2000);
    assert_int_equal(h.kind, SESSION_REFUSED);
    assert_string_equal(h.sqlstate, "57014");
    PQclear(PQexec(blocker, "rollback"));
    PQfinish(blocker);
    assert_int_equal(carry(*state, &b).kind, SESSION_DONE);
    expect("select count(*) from people", "1");
    batch_done(&b);
}

static void a_connection_that_was_ended_between_batches_is_opened_again(void **state)
{
    struct batch b;
    batch_init(&b, "people", NULL, -1);
    put(&b, OP_UPSERT, "1", (struct value[]){text("a"), null, null, null, null});
    assert_int_equal(carry(*state, &b).kind, SESSION_DONE);
    postgres_server_run(&server, NULL,
                        "select pg_terminate_backend(pid) from pg_stat_activity where "
                        "application_name = 'sluice'");
    struct heard h = carry(*state, &b);
    if (h.kind == SESSION_LOST) /* it was used before its end was seen: nothing was committed */
        h = carry(*state, &b);
    assert_int_equal(h.kind, SESSION_DONE);
    batch_done(&b);
}

static void many_rows_travel_in_one_batch(void **state)
{
    struct batch b;
    char id[16];
    batch_init(&b, "people", NULL, -1);
    for (int i = 1; i <= 50000; i++) {
        snprintf(id, sizeof id, "%d", i);
        put(&b, OP_UPSERT, id, (struct value[]){text(id), number(id), null, null, null});
    }
    assert_int_equal(carry(*state, &b).kind, SESSION_DONE);
    expect("select count(*) || ' ' || sum(score) from people", "50000 1250025000");
    batch_done(&b);
}

static void a_url_that_is_none_is_not_repeated(void **state)
{
    (void)state;
    struct session *s = session_new(base, "hunter2");
    struct batch b;
    batch_init(&b, "people", NULL, -1);
    put(&b, OP_DELETE, "1", NULL);
    struct heard h = carry(s, &b);
    assert_int_equal(h.kind, SESSION_LOST);
    assert_false(h.unsure);
    assert_null(strstr(h.words, "hunter2"));
    session_free(s);
    batch_done(&b);
}

static int start(void **state)
{
    (void)state;
    postgres_server_start(&server);
    base = event_base_new();
    snprintf(url, sizeof url, "host=%s dbname=postgres user=postgres", server.dir);
    return base ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    event_base_free(base);
    postgres_server_stop(&server);
    return 0;
}

#define ON_TABLE(f) cmocka_unit_test_setup_teardown(f, fresh_table, end_session)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_TABLE(upserts_create_and_change_rows_in_the_columns_own_types),
        ON_TABLE(deletes_clears_and_inserts_go_together_in_one_batch),
        ON_TABLE(updates_name_the_records_that_do_not_exist),
        ON_TABLE(policies_keep_merge_or_replace_what_is_there),
        ON_TABLE(an_older_record_leaves_a_newer_row_alone),
        ON_TABLE(a_refused_batch_writes_nothing_and_the_session_goes_on),
        ON_TABLE(tables_and_columns_that_do_not_exist_are_named),
        ON_TABLE(a_lock_that_lasts_makes_the_server_give_up_in_time),
        ON_TABLE(a_connection_that_was_ended_between_batches_is_opened_again),
        ON_TABLE(many_rows_travel_in_one_batch),
        ON_TABLE(a_url_that_is_none_is_not_repeated),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
