/* Redis as a source: its models are streams of events, and their syncs stream them. */
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
#define BUS "sources:\n  bus: {type: redis, url: \"redis://u:" SECRET "@h:6379/1\"}\n"
#define BOTH BUS "  w: {type: postgres, url: \"postgresql://h/d\"}\n"
#define CARTS                                                                                      \
    "models:\n  carts: {source: bus, stream: cart_events, primary_key: id, columns: {id: text, "   \
    "amount: number, at: timestamp, items: json, paid: bool}}\n"
#define DESTINATION "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"
#define SYNC "syncs: {s: {model: carts, destination: d, mappings: all, "
#define EVENTS "schedule: {stream: {from: events}}"

struct mistake_case {
    const char *text;
    const char *place; /* line:col in sluice.yaml; NULL ends a table */
    const char *words;
};

/* Said at the place, and the secret of the source in no message. */
static bool case_holds(const struct mistake_case *c)
{
    struct folder f;
    char place[64];
    folder_init(&f);
    folder_load_text(&f, c->text);
    snprintf(place, sizeof place, "sluice.yaml:%s", c->place);
    bool holds = folder_says(&f, place, c->words);
    for (size_t i = 0; i < f.problems.count; i++)
        holds = holds && !strstr(f.problems.items[i].text, SECRET);
    if (!holds) {
        print_error("%s wanted: %s: %s; said:\n", c->text, place, c->words);
        folder_print(&f);
    }
    folder_done(&f);
    return holds;
}

static void check_cases(const struct mistake_case *cases)
{
    bool all = true;
    for (; cases->place; cases++)
        all = case_holds(cases) && all;
    assert_true(all);
}

static void a_stream_of_redis_is_a_model(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(&f, BOTH CARTS);
    const struct model *m = &f.project->models[0];
    assert_true(source_is_redis(m->source));
    assert_string_equal(m->source->redis, "redis://u:" SECRET "@h:6379/1");
    assert_false(source_is_redis(&f.project->sources[1]));
    assert_string_equal(m->stream, "cart_events");
    assert_null(m->sql);
    assert_null(m->table);
    static const struct event_column columns[] = {{"id", EVENT_TEXT},
                                                  {"amount", EVENT_NUMBER},
                                                  {"at", EVENT_TIMESTAMP},
                                                  {"items", EVENT_JSON},
                                                  {"paid", EVENT_BOOL}};
    assert_int_equal(m->event_column_count, ARRAY_LEN(columns));
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        assert_string_equal(m->event_columns[i].name, columns[i].name);
        assert_int_equal(m->event_columns[i].type, columns[i].type);
    }
    folder_done(&f);
}

static void a_sync_streams_its_events(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(&f, BUS CARTS DESTINATION
                     "syncs:\n"
                     "  a: {model: carts, destination: d, mappings: all, " EVENTS "}\n"
                     "  b: {model: carts, destination: d, mappings: all, mode: append, "
                     "first_run: skip, schedule: {stream: {from: events, group: g}}}\n"
                     "  c: {model: carts, destination: d, mappings: all, " EVENTS "}\n");
    const struct schedule_stream *a = &f.project->syncs[0].schedule.stream;
    assert_int_equal(a->from, STREAM_EVENTS);
    assert_int_equal(a->reconcile_ms, 0);
    assert_string_equal(a->group, "sluice:a");
    assert_string_equal(f.project->syncs[1].schedule.stream.group, "g");
    assert_string_equal(f.project->syncs[2].schedule.stream.group, "sluice:c");
    folder_done(&f);
}

static void a_worker_needs_no_address_of_the_source(void **state)
{
    (void)state;
    struct folder f;
    struct err err;
    unsetenv("SLUICE_T_NONE");
    folder_init(&f);
    folder_write(&f, "sluice.yaml",
                 "sources: {bus: {type: redis, url: \"${SLUICE_T_NONE}\"}}\n" CARTS);
    assert_int_equal(project_load_worker(f.path, &f.project, &f.problems, &err), ERR_OK);
    folder_done(&f);
}

#define M "models: {carts: {source: bus, primary_key: id, "
static void mistakes_of_sources_and_models_have_places(void **state)
{
    (void)state;
    check_cases((const struct mistake_case[]){
        {"sources: {bus: {type: redis}}\n", "1:11", "no `url`"},
        {"sources: {bus: {type: redis, url: 'http://" SECRET "'}}\n", "1:35", "redis://host:port"},
        {"sources: {bus: {type: redis, url: 'redis://h', connections: 2}}\n", "1:48",
         "unknown key \"connections\""},
        {BUS M "columns: {id: text}}}\n", "3:10", "no `stream`"},
        {BUS M "stream: s}}\n", "3:10", "no `columns`"},
        {BUS M "stream: s, columns: [id]}}\n", "3:68", "a map of fields and their types"},
        {BUS M "stream: s, columns: {}}}\n", "3:68", "1 to 500 fields"},
        {BUS M "stream: s, columns: {id: string}}}\n", "3:73", "allowed: text, number, bool"},
        {BUS M "stream: s, columns: {idd: text}}}\n", "3:44", "did you mean \"idd\"?"},
        {BUS M "stream: s, columns: {id: text, _id: number}}}\n", "3:84", "write text"},
        {BUS M "stream: s, columns: {id: text, _time: text}}}\n", "3:86", "write timestamp"},
        {BUS M "stream: s, columns: {id: text}, sql: select 1}}\n", "3:80", "a postgres source"},
        {BUS M "table: t}}\n", "3:48", "a postgres source"},
        {BOTH "models: {m: {source: w, primary_key: id, table: t, stream: s}}\n", "4:52",
         "belongs to a model of a redis source"},
        {BUS "settings: {warehouse_log: {source: bus}}\n", "3:36", "redis has no tables"},
        {0}});
}

static void mistakes_of_syncs_have_places(void **state)
{
    (void)state;
    check_cases((const struct mistake_case[]){
        {BUS CARTS DESTINATION SYNC "schedule: {every: 15m}}}\n", "6:68", "from: events"},
        {BUS CARTS DESTINATION SYNC "schedule: {on_change: select 1}}}\n", "6:68", "from: events"},
        {BUS CARTS DESTINATION SYNC "priority: low}}\n", "6:9", "from: events"},
        {BUS CARTS DESTINATION SYNC "schedule: {stream: {from: cdc}}}}\n", "6:68", "from: events"},
        {BUS CARTS DESTINATION SYNC EVENTS ", mode: mirror}}\n", "6:100", "append or upsert"},
        {BUS CARTS DESTINATION SYNC EVENTS ", mode: insert}}\n", "6:100", "append or upsert"},
        {BUS CARTS DESTINATION SYNC EVENTS ", on_removed: delete}}\n", "6:106",
         "remove `on_removed`"},
        {BUS CARTS DESTINATION SYNC EVENTS ", mode: append}}\n", "6:9", "no `first_run`"},
        {BOTH "models: {m: {source: w, primary_key: id, table: t}}\n" DESTINATION
              "syncs: {s: {model: m, destination: d, mappings: all, " EVENTS "}}\n",
         "6:80", "needs a model of a redis source"},
        {BUS CARTS DESTINATION SYNC EVENTS ", guard: {max_changed: 5%}}}\n", "6:101",
         "only `max_rejected`"},
        {BUS CARTS DESTINATION SYNC
         "schedule: {stream: {from: events, reconcile: {every: 1d}}}}}\n",
         "6:103", "cdc, keys and poll"},
        {BUS CARTS DESTINATION "syncs:\n"
                               "  a: {model: carts, destination: d, mappings: all, schedule: "
                               "{stream: {from: events, group: g}}}\n"
                               "  b: {model: carts, destination: d, mappings: all, schedule: "
                               "{stream: {from: events, group: g}}}\n",
         "8:3", "the `group` of \"a\""},
        {0}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_of_redis_is_a_model),
        cmocka_unit_test(a_sync_streams_its_events),
        cmocka_unit_test(a_worker_needs_no_address_of_the_source),
        cmocka_unit_test(mistakes_of_sources_and_models_have_places),
        cmocka_unit_test(mistakes_of_syncs_have_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
