/* Which shard a quota belongs to, and what one shard sees of a project. */
#include "folder.h"

#include "protocol/config/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define HEAD                                                                                       \
    "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"                                  \
    "models: {m: {source: w, primary_key: id, sql: select 1}}\n"
#define HOOK "type: webhook, url: \"http://h/\""
#define SENDS "mode: upsert, mappings: all"

enum { QUOTAS = 3000 };

static void name_quota(char out[32], int i)
{
    snprintf(out, 32, "quota-%d", i);
}

static void quotas_spread_evenly(void **state)
{
    (void)state;
    char name[32];
    for (uint32_t shards = 1; shards <= 8; shards++) {
        int of[8] = {0};
        for (int i = 0; i < QUOTAS; i++) {
            name_quota(name, i);
            uint32_t shard = shard_of_quota(name, shards);
            assert_true(shard < shards);
            of[shard]++;
        }
        for (uint32_t i = 0; i < shards; i++) {
            assert_true(of[i] > QUOTAS / (int)shards * 8 / 10);
            assert_true(of[i] < QUOTAS / (int)shards * 12 / 10 + 1);
        }
    }
}

static void one_more_shard_moves_quotas_to_itself_alone(void **state)
{
    (void)state;
    char name[32];
    for (uint32_t shards = 1; shards < 8; shards++) {
        int moved = 0;
        for (int i = 0; i < QUOTAS; i++) {
            name_quota(name, i);
            uint32_t before = shard_of_quota(name, shards);
            uint32_t after = shard_of_quota(name, shards + 1);
            assert_true(after == before || after == shards);
            moved += after != before;
        }
        assert_true(moved > QUOTAS / (int)(shards + 1) * 8 / 10);
        assert_true(moved < QUOTAS / (int)(shards + 1) * 12 / 10);
    }
}

/* These decide where state lies: another version must find it there. */
static void the_shard_of_a_name_never_changes(void **state)
{
    (void)state;
    static const struct {
        const char *quota;
        uint32_t of_2, of_3, of_16;
    } known[] = {
        {"crm", 0, 0, 9},
        {"hubspot-portal-1", 0, 0, 0},
        {"a", 0, 0, 3},
        {"ads", 1, 2, 9},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        assert_int_equal(shard_of_quota(known[i].quota, 2), known[i].of_2);
        assert_int_equal(shard_of_quota(known[i].quota, 3), known[i].of_3);
        assert_int_equal(shard_of_quota(known[i].quota, 16), known[i].of_16);
    }
}

static void a_shard_is_a_number_or_the_end_of_a_host_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        int want; /* -1: refused */
    } cases[] = {
        {"0", NULL, 0},
        {"255", NULL, 255},
        {"256", NULL, -1},
        {"-1", NULL, -1},
        {"+1", NULL, -1},
        {" 1", NULL, -1},
        {"1x", NULL, -1},
        {"", NULL, -1},
        {"host", NULL, -1},
        {"99999999999999999999", NULL, -1},
        {"hostname", "sluice-scheduler-2", 2},
        {"hostname", "sluice-scheduler-12.sluice.svc.cluster.local", 12},
        {"hostname", "s0", 0},
        {"hostname", "7", 7},
        {"hostname", "sluice", -1},
        {"hostname", "sluice-", -1},
        {"hostname", "node-300", -1},
        {"hostname", "a-1-b", -1},
        {"hostname", "", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t shard = 0;
        struct err err;
        enum err_code rc = shard_parse(cases[i].text, cases[i].host, &shard, &err);
        if (rc != (cases[i].want < 0 ? ERR_CONFIG : ERR_OK) ||
            (!rc && shard != (uint32_t)cases[i].want))
            fail_msg("%s of %s: %d, %u", cases[i].text, cases[i].host, (int)rc, shard);
    }
}

/* ---- projects ---- */

#define PROJECT                                                                                    \
    "settings: {shards: 3, state_dir: st}\n" HEAD "destinations:\n"                                \
    "  a: {" HOOK ", shard: 0}\n"                                                                  \
    "  b: {" HOOK ", shard: 2}\n"                                                                  \
    "  c: {" HOOK ", quota: b, shard: 2}\n"                                                        \
    "  d: {" HOOK ", shard: 0}\n"                                                                  \
    "syncs:\n"                                                                                     \
    "  s1: {model: m, destination: b, " SENDS "}\n"                                                \
    "  s2: {model: m, destination: a, " SENDS "}\n"                                                \
    "  s3: {model: m, destination: c, " SENDS ", schedule: {after: s1}}\n"                         \
    "  s4: {model: m, destination: d, " SENDS ", schedule: {after: s2}}\n"                         \
    "alerts:\n"                                                                                    \
    "  x: {type: webhook, url: \"http://h/\", syncs: [s4, s1]}\n"

static void load_shard(struct folder *f, const char *shard, const char *text)
{
    folder_init(f);
    assert_int_equal(shard ? setenv(SHARD_VARIABLE, shard, 1) : unsetenv(SHARD_VARIABLE), 0);
    folder_load_text(f, text);
    unsetenv(SHARD_VARIABLE);
    if (!f->project)
        folder_print(f);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static void a_shard_sees_its_own_syncs_and_destinations(void **state)
{
    (void)state;
    struct folder f;
    load_shard(&f, "2", PROJECT);
    const struct project *p = f.project;
    assert_non_null(p);
    assert_int_equal(p->sync_count, 2);
    assert_string_equal(p->syncs[0].name, "s1");
    assert_string_equal(p->syncs[1].name, "s3");
    assert_string_equal(p->syncs[0].destination->name, "b");
    assert_string_equal(p->syncs[1].destination->name, "c");
    assert_ptr_equal(p->syncs[1].schedule.after[0], &p->syncs[0]);
    assert_int_equal(p->destination_count, 2);
    assert_string_equal(p->destinations[0].name, "b");
    assert_string_equal(p->destinations[1].name, "c");
    assert_ptr_equal(p->syncs[0].destination, &p->destinations[0]);
    assert_int_equal(p->elsewhere_count, 2);
    assert_string_equal(p->elsewhere[0].name, "s2");
    assert_string_equal(p->elsewhere[1].destination->name, "d");
    assert_ptr_equal(p->elsewhere[1].schedule.after[0], &p->elsewhere[0]);
    assert_string_equal(p->alerts[0].syncs[0]->name, "s4");
    assert_ptr_equal(p->alerts[0].syncs[1], &p->syncs[0]);
    assert_true(ends_with(p->settings.state_dir, "/st/shard-2"));
    assert_true(ends_with(p->settings.state_root, "/st"));
    struct err err;
    assert_int_equal(project_no_sync(p, "s4", &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "belongs to shard 0"));
    folder_done(&f);
}

static void without_a_shard_the_project_is_whole(void **state)
{
    (void)state;
    struct folder f;
    load_shard(&f, NULL, PROJECT);
    assert_non_null(f.project);
    assert_int_equal(f.project->sync_count, 4);
    assert_int_equal(f.project->elsewhere_count, 0);
    assert_int_equal(f.project->settings.shard, -1);
    assert_true(ends_with(f.project->settings.state_dir, "/st"));
    folder_done(&f);
    load_shard(&f, "0",
               HEAD "destinations: {a: {" HOOK "}}\n"
                    "syncs: {s: {model: m, destination: a, " SENDS "}}\n");
    assert_non_null(f.project);
    assert_int_equal(f.project->settings.shards, 1);
    assert_true(ends_with(f.project->settings.state_dir, "/.sluice"));
    folder_done(&f);
}

static void a_worker_sees_all_of_every_shard(void **state)
{
    (void)state;
    struct folder f;
    struct project *p = NULL;
    struct problem_list problems;
    struct err err;
    folder_init(&f);
    folder_write(&f, "sluice.yaml", PROJECT);
    problem_list_init(&problems);
    setenv(SHARD_VARIABLE, "1", 1);
    assert_int_equal(project_load_worker(f.path, &p, &problems, &err), ERR_OK);
    unsetenv(SHARD_VARIABLE);
    assert_int_equal(p->sync_count, 4);
    assert_int_equal(p->destination_count, 4);
    assert_true(ends_with(p->settings.state_dir, "/st/shard-1"));
    project_free(p);
    problem_list_done(&problems);
    folder_load(&f); /* what folder_done frees */
    folder_done(&f);
}

static void mistakes_of_shards_are_told(void **state)
{
    (void)state;
    struct folder f;
    folder_check_cases(
        (const struct folder_case[]){
            {"settings: {shards: 0}\n" HEAD, "1:20", "`shards` must be"},
            {"settings: {shards: 2}\n" HEAD "destinations: {a: {" HOOK ", shard: 2}}\n", "4:60",
             "from 0 to 1"},
            {HEAD "destinations: {a: {" HOOK ", shard: 1}}\n", "3:60", "from 0 to 0"},
            {"settings: {shards: 2}\n" HEAD "destinations:\n  a: {" HOOK ", quota: q, shard: 0}\n"
             "  b: {" HOOK ", quota: q, shard: 1}\n",
             "6:3", "differ in `shard`"},
            {"settings: {shards: 2}\n" HEAD "destinations:\n  a: {" HOOK ", shard: 0}\n"
             "  b: {" HOOK ", shard: 1}\nsyncs:\n  s: {model: m, destination: a, " SENDS "}\n"
             "  t: {model: m, destination: b, " SENDS ", schedule: {after: s}}\n",
             "9:3", "a scheduler knows only the runs of its own shard"},
            {0}},
        "hunter2");
    load_shard(&f, "3", PROJECT);
    assert_true(folder_says(&f, SHARD_VARIABLE ":0:0", "there is no shard 3"));
    folder_done(&f);
    load_shard(&f, "many", PROJECT);
    assert_true(folder_says(&f, SHARD_VARIABLE ":0:0", "a number from 0 to 255, or hostname"));
    folder_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotas_spread_evenly),
        cmocka_unit_test(one_more_shard_moves_quotas_to_itself_alone),
        cmocka_unit_test(the_shard_of_a_name_never_changes),
        cmocka_unit_test(a_shard_is_a_number_or_the_end_of_a_host_name),
        cmocka_unit_test(a_shard_sees_its_own_syncs_and_destinations),
        cmocka_unit_test(without_a_shard_the_project_is_whole),
        cmocka_unit_test(a_worker_sees_all_of_every_shard),
        cmocka_unit_test(mistakes_of_shards_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
