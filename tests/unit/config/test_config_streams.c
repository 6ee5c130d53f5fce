/* Streams as they are written: what they are once loaded, and each mistake at its place. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SECRET "hunter2"
/* Models: q a query, t a table, b a table with a key of two columns, d dbt's, r of redshift. */
#define HEAD                                                                                       \
    "sources: {w: {type: postgres, url: \"postgresql://u:" SECRET "@h/d\"}, v: {type: postgres, "  \
    "url: \"postgresql://h/e\"}, rs: {type: redshift, url: \"postgresql://h/d\"}}\n"               \
    "models: {q: {source: w, primary_key: id, sql: select 1}, t: {source: w, primary_key: id, "    \
    "table: public.t}, b: {source: w, primary_key: [x, y], table: b}, d: {source: w, "             \
    "primary_key: id, dbt: {manifest: m.json, model: d}}, r: {source: rs, primary_key: id, "       \
    "table: r}, o: {source: v, primary_key: id, table: o}}\n"                                      \
    "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"
#define SYNC(name, model, stream)                                                                  \
    "  " name ": {model: " model ", destination: d, mappings: all, schedule: {stream: {" stream    \
    "}}}\n"
/* A stream begins in column 67 of line 5. */
#define ONE(model, stream) HEAD "syncs:\n" SYNC("s", model, stream)

static const struct schedule_stream *stream_of(const struct folder *f, const char *sync)
{
    const struct schedule *s = &project_sync(f->project, sync)->schedule;
    assert_int_equal(s->kind, SCHEDULE_STREAM);
    return &s->stream;
}

static void streams_are_read_with_their_defaults(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(&f, HEAD "syncs:\n" SYNC("c", "t", "from: cdc, create: true")
                             SYNC("k", "q", "from: keys, create: true, keys: {orders: customer_id}")
                                 SYNC("p", "d", "from: poll, cursor: updated_at"));
    const struct schedule_stream *c = stream_of(&f, "c"), *k = stream_of(&f, "k"),
                                 *p = stream_of(&f, "p");
    assert_int_equal(c->from, STREAM_CDC);
    assert_true(c->create);
    assert_null(c->slot);
    assert_null(c->publication);
    assert_int_equal(c->max_slot_bytes, 10ull << 30);
    assert_int_equal(c->roll_ms, 300000);
    assert_int_equal(c->linger_ms, 0);
    assert_int_equal(c->reconcile_ms, 86400000);
    assert_int_equal(k->from, STREAM_KEYS);
    assert_int_equal(k->table_count, 1);
    assert_string_equal(k->tables[0].table, "orders");
    assert_string_equal(k->tables[0].columns[0], "customer_id");
    assert_int_equal(p->from, STREAM_POLL);
    assert_string_equal(p->cursor, "updated_at");
    assert_int_equal(p->poll_ms, 5000);
    assert_int_equal(p->overlap_ms, 60000);
    assert_null(p->notify);
    folder_done(&f);
}

static void everything_of_a_stream_can_be_said(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(
        &f,
        HEAD "syncs:\n" SYNC("c", "t",
                             "from: cdc, slot: my_slot_1, publication: My Pub, max_slot_lag: "
                             "1GB, roll: 1s, linger: 250ms, reconcile: off")
            SYNC("k", "b",
                 "from: keys, create: true, slot: other, keys: {public.orders: [bx, "
                 "by], lines: [x, y]}, reconcile: {every: 1h}")
                SYNC("p", "q", "from: poll, cursor: n, every: 100ms, overlap: 0s, notify: changed")
                    SYNC("o", "o", "from: cdc, slot: my_slot_1, publication: p"));
    const struct schedule_stream *c = stream_of(&f, "c"), *k = stream_of(&f, "k"),
                                 *p = stream_of(&f, "p");
    assert_false(c->create);
    assert_string_equal(c->slot, "my_slot_1");
    assert_string_equal(c->publication, "My Pub");
    assert_int_equal(c->max_slot_bytes, 1000000000);
    assert_int_equal(c->roll_ms, 1000);
    assert_int_equal(c->linger_ms, 250);
    assert_int_equal(c->reconcile_ms, 0);
    assert_string_equal(k->slot, "other");
    assert_int_equal(k->table_count, 2);
    assert_string_equal(k->tables[0].table, "public.orders");
    assert_string_equal(k->tables[0].columns[1], "by");
    assert_string_equal(k->tables[1].columns[0], "x");
    assert_int_equal(k->reconcile_ms, 3600000);
    assert_int_equal(p->poll_ms, 100);
    assert_int_equal(p->overlap_ms, 0);
    assert_string_equal(p->notify, "changed");
    assert_string_equal(stream_of(&f, "o")->slot, "my_slot_1"); /* of another source */
    folder_done(&f);
}

static void check_cases(const struct folder_case *cases)
{
    folder_check_cases(cases, SECRET);
}

static void mistakes_of_streams_have_places(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {HEAD "syncs: {s: {model: t, destination: d, mappings: all, schedule: {stream: cdc}}}\n",
         "4:73", "must be a map of keys, but this is text"},
        {ONE("t", "create: true"), "5:67", "no `from`: write one of cdc, keys, poll, events"},
        {ONE("t", "from: cdcc"), "5:74", "did you mean \"cdc\"?"},
        {ONE("t", "from: cdc, create: true, slots: a"), "5:93", "did you mean \"slot\"?"},
        {ONE("t", "from: cdc, create: maybe"), "5:87", "true or false"},
        {ONE("t", "from: cdc, create: true, roll: 500ms"), "5:99", "from 1s to 1d"},
        {ONE("t", "from: cdc, create: true, linger: 2m"), "5:101", "from 0 to 1m"},
        {ONE("t", "from: cdc, create: true, max_slot_lag: 1kB"), "5:107", "from 1MiB to"},
        {ONE("t", "from: cdc, create: true, reconcile: never"), "5:104", "off or a map"},
        {ONE("t", "from: cdc, create: true, reconcile: {}"), "5:104", "no `every`"},
        {ONE("t", "from: cdc, create: true, reconcile: {every: 500ms}"), "5:112", "from 1s to"},
        {ONE("t", "from: poll, cursor: u, every: 10ms"), "5:98", "from 100ms to 1d"},
        {ONE("t", "from: poll, cursor: u, overlap: 2d"), "5:100", "from 0 to 1d"},
        {0}});
}

static void keys_of_another_way_are_mistakes(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {ONE("t", "from: cdc, create: true, cursor: u"), "5:101",
         "`cursor` belongs to `from` poll: remove it"},
        {ONE("t", "from: cdc, create: true, every: 5s"), "5:100", "belongs to `from` poll"},
        {ONE("t", "from: cdc, create: true, overlap: 5s"), "5:102", "belongs to `from` poll"},
        {ONE("t", "from: cdc, create: true, notify: c"), "5:101", "belongs to `from` poll"},
        {ONE("t", "from: cdc, create: true, keys: {a: b}"), "5:99", "belongs to `from` keys"},
        {ONE("t", "from: cdc, create: true, group: g"), "5:100", "belongs to `from` events"},
        {ONE("t", "from: poll, cursor: u, create: true"), "5:99", "belongs to `from` cdc and keys"},
        {ONE("t", "from: poll, cursor: u, slot: s"), "5:97", "belongs to `from` cdc and keys"},
        {ONE("t", "from: poll, cursor: u, publication: s"), "5:104",
         "belongs to `from` cdc and keys"},
        {ONE("t", "from: poll, cursor: u, max_slot_lag: 1GB"), "5:105",
         "belongs to `from` cdc and keys"},
        {HEAD "syncs: {s: {model: t, destination: d, mappings: all, schedule: {stream: {from: cdc, "
              "create: true}, missed: skip}}}\n",
         "4:108", "belongs to `every` and `cron`"},
        {HEAD "syncs: {s: {model: t, destination: d, mappings: all, schedule: {every: 1h, stream: "
              "{from: cdc, create: true}}}}\n",
         "4:76", "`stream` and `every` exclude each other"},
        {0}});
}

static void what_a_way_needs_is_asked_for(void **state)
{
    (void)state;
    check_cases((const struct folder_case[]){
        {ONE("t", "from: cdc"), "5:67", "`create: true`, or both `slot` and `publication`"},
        {ONE("t", "from: cdc, slot: s"), "5:67", "both `slot` and `publication`"},
        {ONE("t", "from: cdc, create: false, publication: s"), "5:67",
         "both `slot` and `publication`"},
        {ONE("t", "from: cdc, create: true, slot: My-Slot"), "5:99", "lower-case letters"},
        {ONE("t", "from: cdc, create: true, slot: "
                  "a23456789b23456789c23456789d23456789e23456789f23456789g23456789h234"),
         "5:99", "63 bytes at most"},
        {ONE("t", "from: cdc, create: true, publication: "
                  "a23456789b23456789c23456789d23456789e23456789f23456789g23456789h234"),
         "5:106", "longer than 63 bytes"},
        {ONE("q", "from: cdc, create: true"), "5:74", "is a query: name the `table`"},
        {ONE("d", "from: cdc, create: true"), "5:74", "is dbt's: name the `table`"},
        {ONE("r", "from: cdc, create: true"), "5:74", "needs a postgres source"},
        {ONE("r", "from: poll, cursor: u"), "5:74", "needs a postgres source"},
        {ONE("q", "from: keys, create: true"), "5:67", "no `keys`"},
        {ONE("q", "from: keys, keys: {a: b}"), "5:67", "`create: true`, or both"},
        {ONE("q", "from: keys, create: true, keys: a"), "5:100", "a map of tables"},
        {ONE("q", "from: keys, create: true, keys: {}"), "5:100", "a map of tables"},
        {ONE("q", "from: keys, create: true, keys: {a: [b, c]}"), "5:104",
         "\"a\" has 2 columns here, and the primary key of \"q\" has 1"},
        {ONE("b", "from: keys, create: true, keys: {a: b}"), "5:104",
         "has 1 column here, and the primary key of \"b\" has 2"},
        {ONE("b", "from: keys, create: true, keys: {a: [b, b]}"), "5:108", "twice"},
        {ONE("q", "from: keys, create: true, keys: {a: 5}"), "5:104", "put it in quotes"},
        {ONE("q", "from: poll"), "5:67", "no `cursor`"},
        {ONE("q", "from: poll, cursor: ''"), "5:88", "is empty"},
        {"sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
         "models: {m: {source: w, primary_key: id, table: t, columns: [id, a]}}\n"
         "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"
         "syncs:\n" SYNC("s", "m", "from: poll, cursor: u"),
         "5:88", "\"u\" is not one of the `columns` of the model"},
        {ONE("q", "from: poll, cursor: u, notify: "
                  "a23456789b23456789c23456789d23456789e23456789f23456789g23456789h234"),
         "5:99", "longer than 63 bytes"},
        {ONE("q", "from: events"), "5:74", "needs a model of a redis source"},
        {HEAD "syncs: {s: {model: t, destination: d, mappings: all, mode: full, schedule: {stream: "
              "{from: cdc, create: true}}}}\n",
         "4:85", "all records each time, so it cannot stream"},
        {0}});
}

static void a_session_cannot_stream(void **state)
{
    (void)state;
    folder_check_cases(
        (const struct folder_case[]){
            {"connectors: {c: {title: C, auth: [], options: {base_url: {default: \"http://h\"}}, "
             "objects: {one: {modes: [upsert], max_records: 10, session: true, requests: "
             "{upsert: {steps: [{method: POST, url: \"{{options.base_url}}/{{session.id}}/"
             "{{session.seq}}/{{session.last}}\", body: {json: {$records: {$row: {}}}}}]}}}}}}\n"
             "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
             "models: {m: {source: w, primary_key: id, table: t}}\n"
             "destinations: {d: {type: c}}\n"
             "syncs:\n"
             "  s: {model: m, destination: d, mappings: all, schedule: {stream: "
             "{from: cdc, create: true}}}\n",
             "6:67", "as one whole, so it cannot stream"},
            {0}},
        SECRET);
}

static void a_slot_serves_one_sync(void **state)
{
    (void)state;
    folder_check_cases(
        (const struct folder_case[]){
            {HEAD "syncs:\n" SYNC("a", "t", "from: cdc, slot: one, publication: p")
                 SYNC("o", "o", "from: cdc, slot: one, publication: p")
                     SYNC("c", "q", "from: keys, create: true, slot: one, keys: {x: y}"),
             "7:100", "the sync \"a\" uses this `slot` already"},
            {0}},
        SECRET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_read_with_their_defaults),
        cmocka_unit_test(everything_of_a_stream_can_be_said),
        cmocka_unit_test(mistakes_of_streams_have_places),
        cmocka_unit_test(keys_of_another_way_are_mistakes),
        cmocka_unit_test(what_a_way_needs_is_asked_for),
        cmocka_unit_test(a_session_cannot_stream),
        cmocka_unit_test(a_slot_serves_one_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
