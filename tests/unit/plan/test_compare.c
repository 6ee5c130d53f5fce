/* What two versions of a project differ in, told in the words that they are written in. */
#include "scheduler/plan/compare.h"
#include "tests/unit/config/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define HEAD                                                                                       \
    "sources: {w: {type: postgres, url: \"postgresql://h/d\", connections: 2}}\n"                  \
    "models:\n  m: {source: w, primary_key: id, sql: \"select 1 as id\"}\n"                        \
    "  n: {source: w, primary_key: id, sql_file: n.sql}\n"                                         \
    "destinations:\n  d: {type: webhook, url: \"http://h/\", concurrency: 2}\n"                    \
    "  e: {type: webhook, url: \"http://i/\"}\nsyncs:\n"
#define SYNC_S "  s: {model: m, destination: d, mode: upsert, mappings: [{from: id, to: id}]}\n"
#define SYNC_T "  t: {model: n, destination: e, mappings: all}\n"
#define BASE HEAD SYNC_S SYNC_T

struct versions {
    struct folder was, is;
    struct comparison c;
};

static void compare(struct versions *v, const char *was, const char *is)
{
    struct err err;
    folder_init(&v->was);
    folder_init(&v->is);
    folder_write(&v->was, "n.sql", "select 2 as id");
    folder_write(&v->is, "n.sql", "select 2 as id");
    folder_load_good(&v->was, was);
    folder_load_good(&v->is, is);
    assert_int_equal(comparison_make(v->was.project, v->is.project, &v->c, &err), ERR_OK);
}

static void done(struct versions *v)
{
    comparison_done(&v->c);
    folder_done(&v->was);
    folder_done(&v->is);
}

/* BASE with each `old` in the place of `new`. */
static const char *changed(const char *old, const char *new, char out[4096])
{
    const char *at = strstr(BASE, old);
    assert_non_null(at);
    snprintf(out, 4096, "%.*s%s%s", (int)(at - BASE), BASE, new, at + strlen(old));
    return out;
}

static void what_is_written_otherwise_and_means_the_same_is_no_change(void **state)
{
    (void)state;
    struct versions v;
    compare(&v, BASE,
            "syncs:\n" SYNC_T
            "  s:\n    mappings:\n      - to: id\n        from: id\n    mode: upsert # or not\n"
            "    destination: \"d\"\n    model: m\n"
            "destinations:\n  e: {url: \"http://i/\", type: webhook}\n"
            "  d: {type: webhook, url: \"http://h/\", concurrency: 2}\n"
            "models:\n  n: {source: w, primary_key: id, sql_file: n.sql}\n"
            "  m: {source: w, primary_key: id, sql: select 1 as id}\n"
            "sources: {w: {type: postgres, url: \"postgresql://h/d\", connections: 2}}\n");
    assert_int_equal(v.c.count, 0);
    assert_int_equal(v.c.same, 2);
    assert_string_equal(v.c.settings, "");
    done(&v);
}

static void each_change_is_named_where_it_was_made(void **state)
{
    (void)state;
    static const struct {
        const char *old, *new, *sync, *what;
        bool alters, target;
    } cases[] = {
        {"mode: upsert, mappings: [{from: id, to: id}]",
         "mode: mirror, mappings: [{from: id, to: id}, {value: a, to: b}]", "s", "mode, mappings",
         true, false},
        {"mode: upsert", "mode: upsert, identify_by: id", "s", "identify_by", true, true},
        {"mode: upsert", "schedule: {every: 5m}, mode: upsert", "s", "schedule", false, false},
        {"select 1 as id", "select 3 as id", "s", "model m: sql", true, false},
        {"primary_key: id, sql:", "primary_key: [id, id2], sql:", "s", "model m: primary_key", true,
         true},
        {"connections: 2", "connections: 3", "s", "source w: connections", false, false},
        {"postgresql://h/d", "postgresql://h/e", "s", "source w: url", true, false},
        {"concurrency: 2", "concurrency: 3", "s", "destination d: concurrency", false, false},
        {"http://h/", "http://other/", "s", "destination d: url", true, true},
        {"destination: d", "destination: e", "s", "destination", true, true},
        {"model: m", "model: n", "s", "model", true, false},
        {"model: n, destination: e, mappings: all",
         "model: n, destination: e, mappings: all, object: o", "t", "object", true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct versions v;
        char text[4096];
        compare(&v, BASE, changed(cases[i].old, cases[i].new, text));
        const struct sync_change *c = comparison_of(&v.c, cases[i].sync);
        assert_non_null(c);
        assert_int_equal(c->kind, CHANGE_OTHER);
        assert_string_equal(c->what, cases[i].what);
        assert_int_equal(c->alters, cases[i].alters);
        assert_int_equal(c->target, cases[i].target);
        assert_int_equal(v.c.count + v.c.same, 2);
        done(&v);
    }
}

static void several_places_are_told_one_after_the_other(void **state)
{
    (void)state;
    struct versions v;
    compare(&v, BASE,
            "sources: {w: {type: postgres, url: \"postgresql://h/d\", connections: 3}}\n"
            "models: {m: {source: w, primary_key: id, table: m, where: a}, n: {source: w, "
            "primary_key: id, sql_file: n.sql}}\n"
            "destinations: {d: {type: webhook, url: \"http://h/\"}, e: {type: webhook, url: "
            "\"http://i/\"}}\n"
            "syncs:\n" SYNC_T "  s: {model: m, destination: d, mappings: [id]}\n");
    assert_string_equal(comparison_of(&v.c, "s")->what,
                        "mode, mappings; model m: sql, table, where; source w: connections; "
                        "destination d: concurrency");
    assert_string_equal(comparison_of(&v.c, "t")->what, "source w: connections");
    assert_false(comparison_of(&v.c, "t")->alters);
    done(&v);
}

static void a_query_in_a_file_counts_as_what_is_in_it(void **state)
{
    (void)state;
    struct versions v;
    struct err err;
    compare(&v, BASE, BASE);
    comparison_done(&v.c);
    project_free(v.is.project);
    v.is.project = NULL;
    folder_write(&v.is, "n.sql", "select 3 as id");
    folder_load(&v.is);
    assert_int_equal(comparison_make(v.was.project, v.is.project, &v.c, &err), ERR_OK);
    assert_string_equal(comparison_of(&v.c, "t")->what, "model n: sql_file");
    assert_true(comparison_of(&v.c, "t")->alters);
    assert_null(comparison_of(&v.c, "s"));
    done(&v);
}

static void syncs_come_go_and_get_other_names(void **state)
{
    (void)state;
    struct versions v;
    compare(&v, BASE,
            HEAD "  u: {model: m, destination: d, mode: upsert, mappings: [{from: id, to: id}]}\n"
                 "  w: {model: m, destination: e, mappings: all}\n");
    assert_int_equal(v.c.count, 4);
    assert_int_equal(comparison_of(&v.c, "u")->kind, CHANGE_NEW);
    assert_string_equal(comparison_of(&v.c, "u")->renamed->name, "s");
    assert_int_equal(comparison_of(&v.c, "w")->kind, CHANGE_NEW);
    assert_null(comparison_of(&v.c, "w")->renamed);
    assert_int_equal(comparison_of(&v.c, "s")->kind, CHANGE_GONE);
    assert_int_equal(comparison_of(&v.c, "t")->kind, CHANGE_GONE);
    assert_null(comparison_of(&v.c, "t")->is);
    done(&v);
}

static void settings_that_a_scheduler_refuses_while_it_runs_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *was, *is, *keys;
        bool restart;
    } cases[] = {
        {"", "settings: {history: 1GB}\n", "history", false},
        {"settings: {listen: \"off\"}\n", "settings: {listen: \"127.0.0.1:1\", history: 1GB}\n",
         "listen, history", true},
        {"settings: {redis: \"redis://a\"}\n", "settings: {redis: \"redis://b\"}\n", "redis",
         false},
        {"", "settings: {redis: \"redis://b\"}\n", "redis", true},
        {"settings: {shards: 2}\n", "settings: {shards: 3}\n", "shards", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct versions v;
        char was[4096], is[4096];
        snprintf(was, sizeof was, "%s%s", cases[i].was, BASE);
        snprintf(is, sizeof is, "%s%s", cases[i].is, BASE);
        compare(&v, was, is);
        assert_string_equal(v.c.settings, cases[i].keys);
        assert_int_equal(v.c.restart, cases[i].restart);
        done(&v);
    }
}

static void project_of_long_names(char out[4096], int number)
{
    char name[101];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(out, 4096,
             "sources: {%s: {type: postgres, url: \"postgresql://h/d\", connections: %d}}\n"
             "models: {%s: {source: %s, primary_key: id, sql: select %d}}\n"
             "destinations: {%s: {type: webhook, url: \"http://h/\", concurrency: %d}}\n"
             "syncs: {s: {model: %s, destination: %s, priority: %s, mappings: all}}\n",
             name, number, name, name, number, name, number, name, name,
             number == 1 ? "low" : "high");
}

static void words_that_are_too_long_are_cut(void **state)
{
    (void)state;
    struct versions v;
    char was[4096], is[4096];
    project_of_long_names(was, 1);
    project_of_long_names(is, 2);
    compare(&v, was, is);
    const char *what = comparison_of(&v.c, "s")->what;
    assert_int_equal(strncmp(what, "priority; model nnnn", 20), 0);
    assert_string_equal(what + strlen(what) - 3, "…");
    assert_true(strlen(what) < CHANGE_WHAT_BYTES);
    done(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_otherwise_and_means_the_same_is_no_change),
        cmocka_unit_test(each_change_is_named_where_it_was_made),
        cmocka_unit_test(several_places_are_told_one_after_the_other),
        cmocka_unit_test(a_query_in_a_file_counts_as_what_is_in_it),
        cmocka_unit_test(syncs_come_go_and_get_other_names),
        cmocka_unit_test(settings_that_a_scheduler_refuses_while_it_runs_are_told_apart),
        cmocka_unit_test(words_that_are_too_long_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
