/* Where the words of a good project come from: the environment, several files, aliases; and what a
 * program makes of them. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void values_come_from_the_environment_and_from_files(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    char text[1024], path[128];
    snprintf(path, sizeof path, "%s/token", f.path);
    folder_write(&f, "token", "abc\n");
    setenv("SLUICE_T_URL", "http://h/a: {b", 1);
    setenv("SLUICE_T_EMPTY", "", 1);
    setenv("SLUICE_T_N", "12", 1);
    snprintf(
        text, sizeof text,
        "settings: {redis: \"${SLUICE_T_EMPTY}\", state_dir: \"${SLUICE_T_EMPTY:-data}/x\"}\n"
        "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
        "models: {m: {source: w, primary_key: id, sql: \"select '$${x}' || '$x'\"}}\n"
        "destinations: {d: {type: webhook, url: \"http://h/\", concurrency: \"${SLUICE_T_N}\",\n"
        "  bearer: \"${file:%s}\", headers: {A: \"x${SLUICE_T_URL}y${SLUICE_T_N}\", B: "
        "\"${file:token}\"}}}\n"
        "syncs: {s: {model: m, destination: d, mappings: [{value: \"${SLUICE_T_N}\", to: n}]}}\n",
        path);
    folder_load_good(&f, text);
    assert_int_equal(f.project->settings.redis_count, 0);
    assert_non_null(strstr(f.project->settings.state_dir, "/data/x"));
    assert_string_equal(f.project->models[0].sql, "select '${x}' || '$x'");
    const struct destination *d = &f.project->destinations[0];
    assert_int_equal(d->concurrency, 12);
    assert_string_equal(destination_option(d, "bearer"), "abc");
    assert_string_equal(d->headers[0].value, "xhttp://h/a: {by12");
    assert_string_equal(d->headers[1].value, "abc");
    assert_string_equal(f.project->syncs[0].mappings[0].constant, "\"12\"");
    folder_done(&f);
}

static void files_are_merged_and_others_are_skipped(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_write(&f, "a/sources.yml",
                 "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n");
    folder_write(&f, "b/models.yaml", "models: {m: {source: w, primary_key: id, sql: select 1}}\n");
    folder_write(&f, "settings.yaml", "settings: {state_dir: data/state}\nalerts:\n");
    folder_write(&f, "rest.yaml",
                 "destinations: {d: {type: webhook, url: \"http://h/\"}}\n"
                 "syncs: {s: {model: m, destination: d, mappings: all}}\n");
    folder_write(&f, "compose.yaml", "services: {a: {image: '${NOT_SET}', image: b}}\n");
    folder_write(&f, "empty.yml", "");
    folder_write(&f, "dbt_project.yml",
                 "name: x\nconfig-version: 2\nmodels: {x: {materialized: table}}\n");
    folder_write(&f, "dbt/schema.yml", "version: 2\nmodels:\n  - name: m\n");
    folder_write(&f, "dbt/sources.yml", "version: 2\nsources:\n  - name: m\n");
    static const char *const never[] = {".git/x.yaml",       "node_modules/x.yaml",
                                        "a/target/x.yaml",   "dbt_packages/x.yaml",
                                        "data/state/x.yaml", "a/x.yaml.bak"};
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        folder_write(&f, never[i], "models: {{{");
    folder_load(&f);
    if (f.rc)
        folder_print(&f);
    assert_int_equal(f.rc, ERR_OK);
    assert_int_equal(f.project->skipped_count, 5);
    assert_string_equal(f.project->skipped_files[0], "compose.yaml");
    assert_string_equal(f.project->skipped_files[1], "dbt/schema.yml");
    assert_string_equal(f.project->syncs[0].place.file, "rest.yaml");
    folder_done(&f);
}

static void aliases_and_merge_keys_work(void **state)
{
    (void)state;
    struct folder f;
    folder_init(&f);
    folder_load_good(
        &f, "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
            "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
            "destinations: {d: &d {type: webhook, url: \"http://h/\", timeout: 5s}, e: {<<: *d, "
            "timeout: 7s}}\n"
            "syncs:\n"
            "  a: &a {model: m, destination: d, mappings: &all [{from: x, to: y}], priority: low}\n"
            "  b: {<<: [{priority: high}, *a], destination: e}\n"
            "  c: {model: m, destination: d, mappings: *all}\n");
    assert_int_equal(project_destination(f.project, "e")->timeout_ms, 7000);
    const struct sync *b = project_sync(f.project, "b");
    assert_string_equal(b->destination->name, "e");
    assert_int_equal(b->priority, PRIORITY_HIGH);
    assert_int_equal(project_sync(f.project, "c")->mapping_count, 1);
    folder_done(&f);
}

static void fingerprint_of(const char *more, char *out)
{
    struct folder f;
    char text[1024];
    folder_init(&f);
    snprintf(text, sizeof text, "destinations: {d: {type: webhook, url: \"http://h/\"%s}}\n", more);
    folder_load_good(&f, text);
    strcpy(out, f.project->destinations[0].fingerprint);
    folder_done(&f);
}

static void the_fingerprint_follows_what_is_sent(void **state)
{
    (void)state;
    static const char *const changes[] = {
        ", bearer: a",         ", bearer: b",    ", basic: {user: a, password: b}",
        ", sign: {secret: a}", ", gzip: true",   ", headers: {a: b}",
        ", headers: {a: c}",   ", timeout: 29s", ", rate_limits: [{requests: 1, per: 1s}]",
        ", batch_bytes: 1MiB", ", quota: q",
    };
    char first[33], again[33], seen[ARRAY_LEN(changes)][33];
    fingerprint_of("", first);
    fingerprint_of("", again);
    assert_string_equal(first, again);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        fingerprint_of(changes[i], seen[i]);
        assert_string_not_equal(first, seen[i]);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
}

static void a_worker_does_without_the_secrets_of_sources_and_alerts(void **state)
{
    (void)state;
    struct folder f;
    struct err err;
    char fingerprint[33];
    const char *text = "sources: {w: {type: postgres, url: \"${SLUICE_T_NONE}\"}}\n"
                       "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
                       "destinations: {d: {type: webhook, url: \"http://h/\", bearer: x}}\n"
                       "syncs: {s: {model: m, destination: d, mappings: all}}\n"
                       "alerts: {a: {type: slack, url: \"http://${SLUICE_T_NONE}\"}}\n";
    unsetenv("SLUICE_T_NONE");
    folder_init(&f);
    folder_load_text(&f, text);
    assert_int_equal(f.rc, ERR_CONFIG);
    problem_list_done(&f.problems);
    problem_list_init(&f.problems);
    assert_int_equal(project_load_worker(f.path, &f.project, &f.problems, &err), ERR_OK);
    strcpy(fingerprint, f.project->destinations[0].fingerprint);
    folder_done(&f);
    setenv("SLUICE_T_NONE", "postgresql://h/d", 1);
    folder_init(&f);
    folder_load_good(&f, text);
    assert_string_equal(f.project->destinations[0].fingerprint, fingerprint);
    folder_done(&f);
    unsetenv("SLUICE_T_NONE");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_from_the_environment_and_from_files),
        cmocka_unit_test(files_are_merged_and_others_are_skipped),
        cmocka_unit_test(aliases_and_merge_keys_work),
        cmocka_unit_test(the_fingerprint_follows_what_is_sent),
        cmocka_unit_test(a_worker_does_without_the_secrets_of_sources_and_alerts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
