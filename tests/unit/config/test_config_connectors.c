/* Destinations and syncs go by their connector: what it has not or cannot do is refused at its
 * place, with words that name what it can. */
#include "crm.h"

#include "protocol/connector/connector.h"

static void options_that_are_wrong_are_named(void **state)
{
    (void)state;
    check_cases((const struct connector_case[]){
        {"destinations: {d: {type: crm}}\n", "1:16", "no credentials: add `token`, or `client.id`"},
        {"destinations: {d: {type: crmm, token: t}}\n", "1:26", "did you mean \"crm\"?"},
        {DESTINATION ", tokn: x}}\n", "1:41", "did you mean \"token\"?"},
        {DESTINATION ", colour: red}}\n", "1:41", "unknown key \"colour\" in a crm destination"},
        {DESTINATION ", tier: L}}\n", "1:47", "allowed: S, M"},
        {DESTINATION ", dry: maybe}}\n", "1:46", "true or false"},
        {DESTINATION ", extra: 5}}\n", "1:48", "a map"},
        {DESTINATION ", account: [5]}}\n", "1:50", "text"},
        {DESTINATION ", account: ''}}\n", "1:50", "is empty"},
        {DESTINATION ", base_url: 'ftp://" SECRET "'}}\n", "1:51", "http:// or https://"},
        {DESTINATION ", base_url: 'https://u:" SECRET "@h'}}\n", "1:51", "credentials"},
        {DESTINATION ", client: {id: a, secret: b}}}\n", "1:31", "exclude"},
        {"destinations: {d: {type: crm, token: \"a\\nb\"}}\n", "1:38", "line breaks"},
        {"destinations: {d: {type: crm, client: {id: 'a:b', secret: c}}}\n", "1:44", "colon"},
        {"destinations: {d: {type: crm, client: {id: a}}}\n", "1:31", "no `secret`"},
        {"destinations: {d: {type: crm, client: " SECRET "}}\n", "1:39", "a map"},
        {DESTINATION ", client: {id: a, secret: b, idd: c}}}\n", "1:68", "did you mean \"id\"?"},
        {DESTINATION ", headers: {authorization: x}}}\n", "1:51", "comes from `token`"},
        {DESTINATION ", batch_size: 101}}\n", "1:53", "from 1 to 100"},
        {DESTINATION ", batch_bytes: 5MiB}}\n", "1:54", "from 1024B to 4MiB"},
        {DESTINATION ", rate_limits: [{requests: 5, per: 1s, group: find}]}}\n", "1:85",
         "allowed: main, search"},
        {0}});
}

static void objects_that_are_not_there_are_named(void **state)
{
    (void)state;
    check_cases((const struct connector_case[]){
        {SYNC "mappings: all}}\n", "4:9",
         "has no `object`: write which of crm has (contacts, events/*, list/*)"},
        {SYNC "object: contact, mappings: all}}\n", "4:47",
         "crm has no object \"contact\": did you mean \"contacts\"? (objects: contacts, events/*, "
         "list/*)"},
        {SYNC "object: events, mappings: all}}\n", "4:47", "crm has no object \"events\""},
        {0}});
}

static void what_an_object_cannot_do_is_refused(void **state)
{
    (void)state;
    check_cases((const struct connector_case[]){
        {SYNC GOOD ", mode: insert}}\n", "4:88",
         "crm contacts cannot do mode insert: write a `mode` it takes (upsert, update, mirror)"},
        {SYNC "object: events/x, mappings: [email]}}\n", "4:9",
         "crm events/* cannot do mode upsert: add a `mode` it takes (append)"},
        {SYNC GOOD ", on_removed: clear}}\n", "4:94", "write what it takes (ignore, delete)"},
        {SYNC GOOD ", identify_by: name}}\n", "4:95", "must be one of its keys (email, code)"},
        {SOURCE MODEL DESTINATION "}}\nsyncs: {s: {model: n, destination: d, " GOOD "}}\n", "4:9",
         "crm contacts does not find records by \"id\", the primary key: add `identify_by` with "
         "one "
         "of its keys (email, code)"},
        {SYNC GOOD ", batch_size: 101}}\n", "4:94", "maximum of crm contacts, which is 100"},
        {SYNC GOOD ", newest_wins: sen}}\n", "4:95", "which no mapping fills"},
        {SYNC "object: events/x, mode: append, first_run: skip, mappings: [email, at], "
              "newest_wins: at}}\n",
         "4:111", "cannot do `newest_wins`"},
        {0}});
}

static void what_requests_are_about_must_be_there(void **state)
{
    (void)state;
    struct folder f;
    check_cases((const struct connector_case[]){
        {SYNC "object: list/x, mode: upsert, mappings: [email]}}\n", "4:9",
         "crm list/* needs the field list, which each of its requests is about: add a mapping"},
        {SYNC "object: list/x, mode: mirror, mappings: [email, list]}}\n", "4:61",
         "a removal knows only what names the record, and each request of crm list/* is about the "
         "field list"},
        {SYNC "object: list/x, on_removed: delete, mappings: [email, list]}}\n", "4:67",
         "a removal knows only what names the record"},
        {0}});
    load_good(&f,
              SYNC "object: list/x, mode: mirror, identify_by: list, mappings: [list]},\n"
                   "  t: {model: m, destination: d, object: list/x, mode: upsert, mappings: all},\n"
                   "  u: {model: m, destination: d, object: list/x, mode: upsert, "
                   "mappings: [email, {from: a, to: list}]}}\n");
    assert_int_equal(project_sync(f.project, "s")->target->requests[0].groups, 1);
    folder_done(&f);
}

static void fields_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    check_cases((const struct connector_case[]){
        {SYNC "object: contacts, mappings: [email, name, agee]}}\n", "4:81",
         "crm contacts has no field \"agee\": did you mean \"age\"?"},
        {SYNC "object: contacts, mappings: [email]}}\n", "4:9",
         "crm contacts needs the field name: add a mapping to it"},
        {SYNC "object: events/x, mode: append, first_run: skip, mappings: [name]}}\n", "4:9",
         "crm events/* needs one of the fields email, phone"},
        {SYNC "object: contacts, mappings: [email, name, {value: x, to: age}]}}\n", "4:81",
         "\"age\" of crm contacts is a number"},
        {SYNC "object: contacts, mappings: [email, {value: 5, to: name}]}}\n", "4:75",
         "\"name\" of crm contacts is text"},
        {SYNC "object: contacts, mappings: [email, name, {value: 1, to: vip}]}}\n", "4:81",
         "true or false"},
        {SYNC "object: contacts, mappings: [email, name, {value: x, to: tags}]}}\n", "4:81",
         "a list"},
        {SYNC "object: contacts, mappings: [email, name, {value: 5, to: born}]}}\n", "4:81",
         "a date"},
        {SYNC "object: contacts, mappings: [email, {from: name, to: name, on_conflict: "
              "create_only}]}}\n",
         "4:75",
         "cannot do `on_conflict: create_only`: remove it, or write what it can (on_conflict: "
         "overwrite, on_conflict: set_if_empty, arrays: merge)"},
        {SYNC "object: events/x, mode: append, first_run: skip, mappings: [email, {from: tags, to: "
              "tags, arrays: merge}]}}\n",
         "4:106", "cannot do `arrays: merge`"},
        {SYNC "object: contacts, mappings: [email, {from: name, to: name, arrays: merge, "
              "on_conflict: set_if_empty}]}}\n",
         "4:98", "exclude"},
        {0}});
}

/* A sync of so many mappings to a built-in connector, each on a line of its own from the fourth on.
 */
static void load_policies(struct folder *f, const char *destination, const char *sync, int count,
                          const char *policy)
{
    static char text[16384];
    int n = snprintf(text, sizeof text,
                     SOURCE MODEL "destinations: {d: {%s}}\nsyncs: {s: {model: m, destination: d, "
                                  "%s, mappings: [email,\n",
                     destination, sync);
    for (int i = 1; i <= count; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "{from: f%d, to: f%d, %s},\n", i, i,
                      policy);
    snprintf(text + n, sizeof text - (size_t)n, "plain]}}\n");
    load(f, text);
}

static void a_look_up_tells_64_fields_with_a_policy_apart(void **state)
{
    (void)state;
    struct folder f;
    const char *const hub[] = {"type: hubspot, token: t", "object: contacts, identify_by: email"};
    load_policies(&f, hub[0], hub[1], 64, "on_conflict: set_if_empty");
    assert_int_equal(f.problems.mistakes, 0);
    folder_done(&f);
    load_policies(&f, hub[0], hub[1], 67, "on_conflict: create_only");
    assert_true(folder_says(&f, "sluice.yaml:69:1", "hubspot contacts asks first what is there"));
    assert_true(folder_says(&f, "sluice.yaml:69:1", "64 fields with `on_conflict`"));
    assert_true(folder_says(&f, "sluice.yaml:69:1", "the sync has 67: remove it from 3 mappings"));
    assert_int_equal(f.problems.mistakes, 1);
    folder_done(&f);
    load_policies(&f, hub[0], hub[1], 100, "on_conflict: overwrite");
    assert_int_equal(f.problems.mistakes, 0);
    folder_done(&f);
    load_policies(&f, "type: amplitude, api_key: k",
                  "object: users, identify_by: user_id, mode: upsert", 100,
                  "on_conflict: set_if_empty"); /* nothing is asked there */
    assert_false(folder_says(&f, "sluice.yaml:69:1", "asks first"));
    folder_done(&f);
}

static void quotas_and_names_are_guarded(void **state)
{
    (void)state;
    check_cases((const struct connector_case[]){
        {"connectors: {webhook: {}}\nmodels: {}\n", "1:14", "is built in"},
        {"destinations: {a: {type: crm, token: t, quota: q}, b: {type: crm, token: t, tier: M, "
         "quota: q}}\n",
         "1:52", "differ in `rate_limits`"},
        {"destinations: {a: {type: crm, token: t, quota: q, rate_limits: [{requests: 1, per: 1s}]},"
         " b: {type: crm, token: t, quota: q, rate_limits: [{requests: 1, per: 1s, group: "
         "main}]}}\n",
         "1:91", "differ in `rate_limits`"},
        {"settings: {seal_key: " SECRET "}\n", "1:22", "32 characters or more, or 64 hex digits"},
        {0}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_are_wrong_are_named),
        cmocka_unit_test(objects_that_are_not_there_are_named),
        cmocka_unit_test(what_an_object_cannot_do_is_refused),
        cmocka_unit_test(what_requests_are_about_must_be_there),
        cmocka_unit_test(fields_that_do_not_fit_are_refused),
        cmocka_unit_test(a_look_up_tells_64_fields_with_a_policy_apart),
        cmocka_unit_test(quotas_and_names_are_guarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
