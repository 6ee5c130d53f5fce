/* A project as a whole: all mistakes at once, between files, without end, and without secrets. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SOURCE "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
#define MODEL "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
#define DESTINATION "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"
#define SECRET "hunter2"

static void all_mistakes_are_told_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *place, *words;
    } wanted[] = {
        {"sluice.yaml:4:15", "whx"},     {"sluice.yaml:6:53", "colour"},
        {"sluice.yaml:8:42", "upsrt"},   {"sluice.yaml:9:15", "nope"},
        {"sluice.yaml:9:87", "parsecs"},
    };
    struct folder f;
    folder_init(&f);
    folder_load_text(&f, "sources:\n"
                         "  wh: {type: postgres, url: \"postgresql://u:" SECRET "@h/d\"}\n"
                         "models:\n"
                         "  m: {source: whx, primary_key: id, sql: \"select 1 id\"}\n"
                         "destinations:\n"
                         "  hook: {type: webhook, url: \"http://127.0.0.1:80\", colour: red}\n"
                         "syncs:\n"
                         "  s: {model: m, destination: hook, mode: upsrt, mappings: all}\n"
                         "  s2: {model: nope, destination: hook, mode: upsert, mappings: all, "
                         "schedule: {every: 5 parsecs}}\n");
    assert_int_equal(f.rc, ERR_CONFIG);
    assert_int_equal(f.problems.mistakes, ARRAY_LEN(wanted));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (folder_says(&f, wanted[i].place, wanted[i].words))
            continue;
        folder_print(&f);
        fail_msg("%s: %s", wanted[i].place, wanted[i].words);
    }
    for (size_t i = 1; i < f.problems.count; i++)
        assert_true(f.problems.items[i - 1].place.line <= f.problems.items[i].place.line);
    folder_done(&f);
}

static void mistakes_between_files_name_both(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_write(&f, "a.yaml", "settings: {window: 2MB}\n" SOURCE);
    folder_write(&f, "b/c.yaml", "models: {}\nsettings: {window: 2MB}\n" SOURCE);
    folder_write(&f, "bad.yml", "models:\n\t- a\n");
    folder_write_bytes(&f, "latin.yaml", "models: {}\n# \xe9\n", 15);
    folder_load(&f);
    assert_true(folder_says(&f, "b/c.yaml:2:1", "in a.yaml already"));
    assert_true(folder_says(&f, "b/c.yaml:3:11", "defined twice, first in a.yaml:2:11"));
    assert_true(folder_says(&f, "bad.yml:2:1", "not YAML"));
    assert_true(folder_says(&f, "latin.yaml:2:3", "not YAML"));
    assert_int_equal(f.problems.mistakes, 4);
    folder_done(&f);
}

static void circles_of_after_are_found(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_text(&f, SOURCE MODEL DESTINATION
                     "syncs:\n"
                     "  a: {model: m, destination: d, mappings: all, schedule: {after: b}}\n"
                     "  b: {model: m, destination: d, mappings: all, schedule: {after: [c, e]}}\n"
                     "  c: {model: m, destination: d, mappings: all, schedule: {after: a}}\n"
                     "  e: {model: m, destination: d, mappings: all}\n");
    assert_true(folder_says(&f, "sluice.yaml:7:66", "circle (\"a\", then \"b\", then \"c\")"));
    assert_int_equal(f.problems.mistakes, 1);
    folder_done(&f);
}

static void what_after_cannot_mean_is_told(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_text(&f, SOURCE MODEL DESTINATION
                     "syncs:\n"
                     "  a: {model: m, destination: d, mappings: all}\n"
                     "  b: {model: m, destination: d, mappings: all, schedule: {after: [a, a]}}\n"
                     "  c: {model: m, destination: d, mappings: all, schedule: {after: []}}\n"
                     "  e: {model: m, destination: d, mappings: all, schedule: {after: a, on: "
                     "failure}}\n"
                     "  f: {model: m, destination: d, mappings: all, schedule: {after: bb}}\n");
    assert_true(folder_says(&f, "sluice.yaml:6:70", "\"a\" is twice in `after`"));
    assert_true(folder_says(&f, "sluice.yaml:7:66", "`after` is empty"));
    assert_true(folder_says(&f, "sluice.yaml:8:73", "allowed: success, warning, any"));
    assert_true(folder_says(&f, "sluice.yaml:9:66", "did you mean"));
    assert_int_equal(f.problems.mistakes, 4);
    folder_done(&f);
}

static void folders_without_a_project_say_so(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load(&f);
    assert_true(folder_says(&f, ".:0:0", "no .yaml or .yml file"));
    folder_done(&f);
    folder_init(&f);
    folder_load_text(&f, "services: {}\n");
    assert_true(folder_says(&f, ".:0:0", "no YAML file"));
    folder_done(&f);
    folder_init(&f);
    rmdir(f.path);
    folder_load(&f);
    assert_int_equal(f.rc, ERR_CONFIG);
    assert_int_equal(f.problems.items[0].place.line, 0);
    folder_done(&f);
}

static char *repeat(const char *before, const char *part, size_t n, const char *after)
{
    size_t len = strlen(part);
    char *text = malloc(strlen(before) + n * len + strlen(after) + 1);
    assert_non_null(text);
    char *p = stpcpy(text, before);
    for (size_t i = 0; i < n; i++)
        p = stpcpy(p, part);
    strcpy(p, after);
    return text;
}

static void nothing_grows_without_a_limit(void **state)
{
    (void)state;
    static const struct {
        const char *before, *part;
        size_t n;
        const char *after, *words;
    } cases[] = {
        {"models: ", "[", 500, "\n", "deeply"},
        {"models: {}\nsyncs: {", "a: ", 0,
         "<<: {a: &a [1,1,1,1,1,1,1,1,1,1], b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a],"
         " c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b], d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c],"
         " e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d], f: [*e,*e]}}\n",
         "too many values"},
        {"models: {}\nsyncs: [", "x,", 300000, "x]\n", "too many values"},
        {"models: {}\n# ", "x", 1 << 20, "\n", "longer than"},
        {"models: {}\nx: [", "&a 1,", 1001, "1]\n", "too many anchors"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct folder f;
        char *text = repeat(cases[i].before, cases[i].part, cases[i].n, cases[i].after);
        folder_init(&f);
        folder_load_text(&f, text);
        bool said = false;
        for (size_t j = 0; j < f.problems.count; j++)
            said = said || strstr(f.problems.items[j].text, cases[i].words);
        if (!said) {
            folder_print(&f);
            fail_msg("case %zu: no %s", i, cases[i].words);
        }
        folder_done(&f);
        free(text);
    }
}

static void thousands_of_mistakes_are_cut_short(void **state)
{
    (void)state;
    struct folder f;
    char *text = malloc(200000);
    assert_non_null(text);
    char *p = stpcpy(text, "models:\n");
    for (int i = 0; i < 3000; i++)
        p += sprintf(p, "  m%d: {source: nowhere%d}\n", i, i);
    folder_init(&f);
    folder_load_text(&f, text);
    assert_int_equal(f.problems.count, 1000);
    assert_int_equal(f.problems.mistakes, 9000);
    folder_done(&f);
    free(text);
}

static void secrets_from_outside_are_never_shown(void **state)
{
    (void)state;
    setenv("SLUICE_T_SECRET", SECRET, 1);
    struct folder f;
    folder_init(&f);
    folder_load_text(&f,
                     "settings: {redis: \"${SLUICE_T_SECRET}\", window: \"${SLUICE_T_SECRET}\"}\n"
                     "sources: {w: {type: \"${SLUICE_T_SECRET}\"}, x: {type: postgres, url: "
                     "\"${SLUICE_T_SECRET}\"}}\n"
                     "models: {m: {source: \"${SLUICE_T_SECRET}\", primary_key: id, sql_file: a}}\n"
                     "destinations: {d: {type: webhook, url: \"${SLUICE_T_SECRET}\", timeout: "
                     "\"${SLUICE_T_SECRET}\"}}\n"
                     "syncs: {s: {model: m, destination: d, mode: \"${SLUICE_T_SECRET}\", "
                     "mappings: \"${SLUICE_T_SECRET}\",\n"
                     "   schedule: {cron: \"${SLUICE_T_SECRET}\"}, guard: {min_rows: "
                     "\"${SLUICE_T_SECRET}\"}}}\n");
    assert_true(f.problems.mistakes >= 10);
    for (size_t i = 0; i < f.problems.count; i++)
        assert_null(strstr(f.problems.items[i].text, SECRET));
    folder_done(&f);
}

int main(void)
{
    unsetenv("SLUICE_T_UNSET");
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(mistakes_between_files_name_both),
        cmocka_unit_test(circles_of_after_are_found),
        cmocka_unit_test(what_after_cannot_mean_is_told),
        cmocka_unit_test(folders_without_a_project_say_so),
        cmocka_unit_test(nothing_grows_without_a_limit),
        cmocka_unit_test(thousands_of_mistakes_are_cut_short),
        cmocka_unit_test(secrets_from_outside_are_never_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
