/* What a connector of the project's own is told about itself, and syncs about it: options that an
 * object needs, recipes, requests and keys for removals. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SOURCE "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
#define MODEL                                                                                      \
    "models: {m: {source: w, primary_key: email, table: t}, n: {source: w, primary_key: id, "      \
    "table: t}}\n"

struct own_case {
    const char *text;
    const char *place; /* line:col in sluice.yaml; NULL ends a table */
    const char *words; /* of the only mistake */
};

static bool case_holds(const struct own_case *c)
{
    struct folder f;
    char place[64];
    folder_init(&f);
    folder_load_text(&f, c->text);
    snprintf(place, sizeof place, "sluice.yaml:%s", c->place);
    bool holds = folder_says(&f, place, c->words) && f.problems.mistakes == 1;
    if (!holds) {
        print_error("%s wanted alone: %s: %s; said:\n", c->text, place, c->words);
        folder_print(&f);
    }
    folder_done(&f);
    return holds;
}

static void check_cases(const struct own_case *cases)
{
    bool all = true;
    for (; cases->place; cases++)
        all = case_holds(cases) && all;
    assert_true(all);
}

static void load_good(struct folder *f, const char *text)
{
    folder_init(f);
    folder_load_text(f, text);
    if (f->rc)
        folder_print(f);
    assert_int_equal(f->rc, ERR_OK);
}

static void options_that_an_object_needs_must_be_there(void **state)
{
    (void)state;
#define ADS                                                                                        \
    "connectors: {ads: {options: {account: number, secret: {secret: true}}, objects: {\"all\": "   \
    "{max_records: 1, requests: {upsert: {url: \"https://h/\"}}}, \"named/*\": {needs: [account, " \
    "secret], max_records: 1, requests: {upsert: {url: \"https://h/{{options.account}}\"}}}}}}\n"
#define OF_ADS "syncs: {s: {model: m, destination: d, mappings: all, object: "
    check_cases((const struct own_case[]){
        {SOURCE MODEL ADS "destinations: {d: {type: ads, secret: s}}\n" OF_ADS "named/x}}\n",
         "5:62",
         "ads named/* needs `account` of its destination, and \"d\" has none: add it there"},
        {SOURCE MODEL ADS "destinations: {d: {type: ads, account: 5}}\n" OF_ADS "named/x}}\n",
         "5:62", "ads named/* needs `secret` of its destination"},
        {0}});
    struct folder f;
    load_good(&f, SOURCE MODEL ADS "destinations: {d: {type: ads}}\n" OF_ADS "all}}\n");
    folder_done(&f);
    load_good(&f, SOURCE MODEL ADS "destinations: {d: {type: ads, account: 5, secret: s}}\n" OF_ADS
                                   "named/x}}\n");
    folder_done(&f);
}

static void who_wrote_the_connector_is_told_which_request_lacks(void **state)
{
    (void)state;
#define OWN                                                                                        \
    SOURCE MODEL "destinations: {d: {type: http, max_records: 1, requests: {upsert: {url: "        \
                 "\"https://h/\"}}}}\nsyncs: {s: {model: m, destination: d, mappings: all, "
    check_cases((const struct own_case[]){
        {OWN "mode: mirror}}\n", "4:60",
         "http cannot do mode mirror: write a `mode` it takes (upsert, full), or add a request for "
         "delete to it"},
        {OWN "on_removed: clear}}\n", "4:66",
         "write what it takes (ignore), or add a request for clear to it"},
        {0}});
}

static void accounts_of_digits_take_nothing_else(void **state)
{
    (void)state;
    check_cases((const struct own_case[]){
        {"destinations: {d: {type: google, account: 123-456-7890, client_id: a, client_secret: b, "
         "refresh_token: c}}\n",
         "1:43",
         "`account` is made of digits only (number of the Google Ads account, without dashes)"},
        {"destinations: {d: {type: meta, access_token: t, ad_account: act_11}}\n", "1:61",
         "`ad_account` is made of digits only"},
        {0}});
    struct folder f;
    load_good(&f,
              SOURCE "destinations: {a: {type: meta, access_token: t, ad_account: 0011}, b: {type: "
                     "meta, access_token: t, ad_account: \"11\"}}\n");
    assert_string_equal(destination_option(project_destination(f.project, "a"), "ad_account"),
                        "0011");
    folder_done(&f);
}

static void recipes_that_there_are_not_are_named_where_they_stand(void **state)
{
    (void)state;
    check_cases((const struct own_case[]){
        {"connectors: {p: {objects: {o: {keys: {id: {recipe: plane_email}}, max_records: 1, "
         "requests: "
         "{upsert: {url: \"https://h/\"}}}}}}\n",
         "1:52", "no recipe \"plane_email\" for the field \"id\": did you mean \"plain_email\"?"},
        {"connectors: {p: {objects: {o: {fields: {a: {}, b: {recipe: qqqqqqqqqqqqqqqqqqq}}, "
         "max_records: 1, requests: {upsert: {url: \"https://h/\"}}}}}}\n",
         "1:60", "for the field \"b\": correct or remove it"},
        {"destinations: {d: {type: http, fields: {a: {recipe: meta_emial}}, max_records: 1, "
         "requests: "
         "{upsert: {url: \"https://h/\"}}}}\n",
         "1:53", "did you mean \"meta_email\"?"},
        {0}});
}

static void keys_that_cannot_delete_are_refused_for_removals(void **state)
{
    (void)state;
#define PEOPLE                                                                                     \
    "connectors: {p: {objects: {people: {keys: {id: {}, email: {remove: false}}, max_records: 1, " \
    "requests: {upsert: {url: \"https://h/\"}, clear: upsert, delete: {url: "                      \
    "\"https://h/\"}}}}}}\n"                                                                       \
    "destinations: {d: {type: p}}\n"
#define OF_PEOPLE "syncs: {s: {destination: d, object: people, mappings: all, "
    check_cases((const struct own_case[]){
        {SOURCE MODEL PEOPLE OF_PEOPLE "model: m, mode: mirror}}\n", "5:76",
         "p people cannot delete records that are named by \"email\": name them by another of its "
         "keys (`identify_by`: id), or delete none"},
        {SOURCE MODEL PEOPLE OF_PEOPLE "model: n, identify_by: email, on_removed: delete}}\n",
         "5:102", "p people cannot delete records that are named by \"email\""},
        {0}});
    static const char *const good[] = {"model: m", "model: m, on_removed: clear",
                                       "model: n, mode: mirror",
                                       "model: m, identify_by: id, mode: mirror"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct folder f;
        char text[1024];
        snprintf(text, sizeof text, "%s%s}}\n", SOURCE MODEL PEOPLE OF_PEOPLE, good[i]);
        load_good(&f, text);
        folder_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_an_object_needs_must_be_there),
        cmocka_unit_test(who_wrote_the_connector_is_told_which_request_lacks),
        cmocka_unit_test(accounts_of_digits_take_nothing_else),
        cmocka_unit_test(recipes_that_there_are_not_are_named_where_they_stand),
        cmocka_unit_test(keys_that_cannot_delete_are_refused_for_removals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
