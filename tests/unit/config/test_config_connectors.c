/* Destinations and syncs go by their connector: what it has not or cannot do is refused at its
 * place, with words that name what it can. */
#include "folder.h"

#include "protocol/config/recipes.h"
#include "protocol/connector/connector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SECRET "hunter2-hunter2"

/* Written first, so that the lines of the cases do not move when it grows. */
static const char connector_file[] =
    "connectors:\n"
    "  crm:\n"
    "    title: Test CRM\n"
    "    options:\n"
    "      token: {secret: true}\n"
    "      client.id: {required: true}\n"
    "      client.secret: {secret: true, required: true}\n"
    "      account: number of the account\n"
    "      tier: {default: S, one_of: [S, M]}\n"
    "      dry: {kind: bool, default: false}\n"
    "      extra: {kind: map}\n"
    "      base_url: {default: \"https://api.example.com\"}\n"
    "    auth:\n"
    "      - {when: options.token, headers: {Authorization: \"Bearer {{options.token}}\"}}\n"
    "      - when: options.client.id\n"
    "        basic: {user: \"{{options.client.id}}\", password: \"{{options.client.secret}}\"}\n"
    "    limits: {by: tier, cases: {S: [{requests: 10, per: 1s}],\n"
    "      M: [{requests: 100, per: 1s}, {requests: 5, per: 1s, group: search}]}}\n"
    "    concurrency: 3\n"
    "    timeout: 20s\n"
    "    objects:\n"
    "      contacts:\n"
    "        keys: {email: {type: text}, code: {type: text}}\n"
    "        fields: {email: {recipe: plain_email}, code: {}, name: {type: text, required: true},\n"
    "          age: {type: number}, vip: {type: bool}, tags: {type: list}, seen: {type: "
    "timestamp},\n"
    "          born: {type: date}, more: {type: json}}\n"
    "        modes: [upsert, update, mirror]\n"
    "        remove: [delete]\n"
    "        conflicts: {set_if_empty: native, newest_wins: native, merge_arrays: native}\n"
    "        repeat: safe\n"
    "        max_records: 100\n"
    "        batch_records: 50\n"
    "        max_bytes: 1MB\n"
    "        requests:\n"
    "          upsert: &write\n"
    "            url: \"{{options.base_url}}/{{object}}\"\n"
    "            body: {json: {$records: {key: \"{{key}}\", $fields: {merge: {add: "
    "\"{{cell}}\"}}}}}\n"
    "          update: upsert\n"
    "          delete: {url: \"{{options.base_url}}/delete\", group: search, timeout: 90s,\n"
    "                   body: {json: {$records: {key: \"{{key}}\"}}}}\n"
    "      \"events/*\":\n"
    "        keys: {\"*\": {}}\n"
    "        fields: {\"*\": {}, at: {type: timestamp}}\n"
    "        any_of: [email, phone]\n"
    "        modes: [append]\n"
    "        repeat: double\n"
    "        conflicts: {}\n"
    "        max_records: 10\n"
    "        lane_by: channel\n"
    "        requests: {append: *write}\n"
    "      \"list/*\":\n"
    "        keys: {email: {}, list: {}}\n"
    "        fields: {email: {}, list: {}, name: {}}\n"
    "        max_records: 10\n"
    "        group_by: [list, name]\n"
    "        requests:\n"
    "          upsert: {url: \"{{options.base_url}}/{{group.list}}\"}\n"
    "          delete: {url: \"{{options.base_url}}/{{group.list}}\", query: {a: "
    "\"{{group.list}}\"}}\n";

#define SOURCE "sources: {w: {type: postgres, url: \"postgresql://h/d\"}}\n"
#define MODEL                                                                                      \
    "models: {m: {source: w, primary_key: email, table: t}, n: {source: w, primary_key: id, "      \
    "table: t}}\n"
#define DESTINATION "destinations: {d: {type: crm, token: t"
#define SYNC SOURCE MODEL DESTINATION "}}\nsyncs: {s: {model: m, destination: d, "
#define GOOD "object: contacts, mappings: [email, name]"

struct connector_case {
    const char *text;
    const char *place; /* line:col in sluice.yaml; NULL ends a table */
    const char *words;
};

static void load(struct folder *f, const char *text)
{
    folder_init(f);
    folder_write(f, "crm.yaml", connector_file);
    folder_load_text(f, text);
}

static bool case_holds(const struct connector_case *c)
{
    struct folder f;
    char place[64];
    load(&f, c->text);
    snprintf(place, sizeof place, "sluice.yaml:%s", c->place);
    bool holds = folder_says(&f, place, c->words) && f.problems.mistakes == 1;
    for (size_t i = 0; i < f.problems.count; i++)
        holds = holds && !strstr(f.problems.items[i].text, SECRET);
    if (!holds) {
        print_error("%s wanted alone: %s: %s; said:\n", c->text, place, c->words);
        folder_print(&f);
    }
    folder_done(&f);
    return holds;
}

static void check_cases(const struct connector_case *cases)
{
    bool all = true;
    for (; cases->place; cases++)
        all = case_holds(cases) && all;
    assert_true(all);
}

static void load_good(struct folder *f, const char *text)
{
    load(f, text);
    if (f->rc)
        folder_print(f);
    assert_int_equal(f->rc, ERR_OK);
}

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

static void what_an_object_can_do_is_let_through(void **state)
{
    (void)state;
    struct folder f;
    load_good(
        &f, SYNC
        "object: contacts, mode: mirror, newest_wins: seen, mappings: [\n"
        "  email, {from: name, to: name, on_conflict: set_if_empty}, {value: 5, to: age},\n"
        "  seen, {from: x, to: more.below.it}, {value: null, to: vip}, {value: [a], to: tags}]},\n"
        " e: {model: n, destination: d, object: events/x, mode: append, first_run: send,\n"
        "  mappings: [email, anything]}}\n");
    const struct sync *s = project_sync(f.project, "s"), *e = project_sync(f.project, "e");
    assert_string_equal(s->target->name, "contacts");
    assert_string_equal(e->target->name, "events/*");
    assert_true(slice_eq_str(e->star, "x"));
    assert_int_equal(s->mappings[1].on_conflict, ON_CONFLICT_SET_IF_EMPTY);
    assert_string_equal(s->newest_wins, "seen");
    assert_int_equal(s->batch_size, 50);
    assert_int_equal(s->batch_bytes, 1000000);
    assert_int_equal(e->batch_size, 10);
    assert_string_equal(e->lane_field, "channel");
    assert_null(s->lane_field);
    folder_done(&f);
}

static void what_is_not_said_comes_from_the_connector(void **state)
{
    (void)state;
    struct folder f;
    load_good(&f, "destinations:\n"
                  "  a: {type: crm, token: t, account: 0123}\n"
                  "  b: {type: crm, token: t, tier: M, concurrency: 9, timeout: 5s}\n"
                  "  c: {type: crm, client: {id: a, secret: ''}, dry: true, extra: {x: 1}}\n");
    const struct destination *a = project_destination(f.project, "a");
    const struct destination *b = project_destination(f.project, "b");
    const struct destination *c = project_destination(f.project, "c");
    assert_int_equal(a->limit_count, 1);
    assert_int_equal(a->limits[0].count, 10);
    assert_int_equal(a->concurrency, 3);
    assert_int_equal(a->timeout_ms, 90000); /* the longest step's */
    assert_string_equal(destination_option(a, "account"), "0123");
    assert_string_equal(destination_option(a, "base_url"), "https://api.example.com");
    assert_null(destination_option(a, "client.id"));
    assert_int_equal(b->limit_count, 2);
    assert_int_equal(b->limits[1].group, 2);
    assert_int_equal(b->concurrency, 9);
    assert_int_equal(b->timeout_ms, 5000);
    assert_string_equal(destination_option(c, "client.secret"), "");
    assert_string_equal(destination_option(c, "dry"), "true");
    assert_string_equal(destination_option(c, "extra"), "{\"x\":1}");
    folder_done(&f);
}

static bool is_secret(const struct destination *d, const char *text)
{
    for (size_t i = 0; i < d->secret_count; i++)
        if (strcmp(d->secrets[i], text) == 0)
            return true;
    return false;
}

static void secrets_are_gathered(void **state)
{
    (void)state;
    struct folder f;
    setenv("SLUICE_T_KEY", "from-outside", 1);
    load_good(&f,
              "connectors: {own: {options: {base_url: {default: 'http://h'}}, auth: {headers: "
              "{X-Key: \"${SLUICE_T_KEY}\"}},\n"
              "  objects: {x: {keys: {id: {}}, fields: {'*': {}}, modes: [upsert], max_records: 5, "
              "requests: "
              "{upsert: {url: "
              "\"{{options.base_url}}\", body: {json: {$records: {$fields: {}}}}}}}}}}\n"
              "destinations:\n"
              "  a: {type: crm, token: " SECRET ", account: public, headers: {X-A: in-header}}\n"
              "  b: {type: crm, client: {id: user, secret: pass-word}}\n"
              "  c: {type: own}\n");
    const struct destination *a = project_destination(f.project, "a");
    const struct destination *b = project_destination(f.project, "b");
    assert_true(is_secret(a, SECRET) && is_secret(a, "in-header") && !is_secret(a, "public"));
    assert_true(is_secret(b, "pass-word") && is_secret(b, "dXNlcjpwYXNzLXdvcmQ="));
    assert_true(is_secret(project_destination(f.project, "c"), "from-outside"));
    folder_done(&f);
    unsetenv("SLUICE_T_KEY");
}

static void recipes_follow_the_mapping(void **state)
{
    (void)state;
    struct folder f;
    load_good(
        &f, SYNC
        "object: contacts, mappings: [{from: email, to: email, transform: [trim]}, name]},\n"
        " off: {model: m, destination: d, object: contacts, mappings: [{from: email, to: email, "
        "recipe: off}, name]},\n"
        " hashed: {model: m, destination: d, object: contacts, mappings: [{from: email, to: "
        "email, transform: [trim, sha256]}, name]},\n"
        " twice: {model: m, destination: d, object: contacts, mappings: [{from: email, to: email, "
        "transform: plain_email}, name]},\n"
        " fixed: {model: m, destination: d, object: contacts, mappings: [{value: ' A@B.C', to: "
        "email}, name, {from: email, to: code}]},\n"
        " all: {model: m, destination: d, object: contacts, mappings: all}}\n");
    const struct mapping *own = &project_sync(f.project, "s")->mappings[0];
    const struct mapping *twice = &project_sync(f.project, "twice")->mappings[0];
    assert_int_equal(own->transforms[0].kind, TRANSFORM_TRIM);
    assert_true(own->recipe_count > 0);
    assert_int_equal(own->transform_count, 1 + own->recipe_count);
    assert_int_equal(project_sync(f.project, "off")->mappings[0].transform_count, 0);
    assert_int_equal(project_sync(f.project, "hashed")->mappings[0].transform_count, 2);
    assert_int_equal(twice->transform_count, own->recipe_count);
    assert_int_equal(project_sync(f.project, "fixed")->mappings[0].recipe_count, own->recipe_count);
    const struct sync *all = project_sync(f.project, "all");
    assert_int_equal(all->recipe_count, 1);
    assert_string_equal(all->recipes[0].field, "email");
    folder_done(&f);
}

static void fingerprint_of(const char *connector, const char *more, char *out)
{
    struct folder f;
    char text[1024];
    folder_init(&f);
    folder_write(&f, "crm.yaml", connector);
    snprintf(text, sizeof text, DESTINATION "%s}}\n", more);
    folder_load_text(&f, text);
    if (f.rc)
        folder_print(&f);
    assert_int_equal(f.rc, ERR_OK);
    strcpy(out, f.project->destinations[0].fingerprint);
    folder_done(&f);
}

static void the_fingerprint_covers_options_and_the_connector_itself(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "",
        ", account: 5",
        ", account: 6",
        ", tier: M",
        ", dry: true",
        ", extra: {a: 1}",
        ", base_url: 'http://h'",
        ", rate_limits: [{requests: 1, per: 1s}]",
        ", rate_limits: [{requests: 1, per: 1s, group: search}]",
    };
    char seen[ARRAY_LEN(changes) + 1][33], other[sizeof connector_file];
    for (size_t i = 0; i < ARRAY_LEN(changes); i++)
        fingerprint_of(connector_file, changes[i], seen[i]);
    memcpy(other, connector_file, sizeof other);
    memcpy(strstr(other, "max_records: 100"), "max_records: 101", 16);
    fingerprint_of(other, "", seen[ARRAY_LEN(changes)]);
    for (size_t i = 0; i <= ARRAY_LEN(changes); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
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

static bool recipes_are_known(struct reader *rd, const struct connector *c,
                              const struct object_field *fields, size_t count)
{
    bool known = true;
    for (size_t i = 0; i < count; i++) {
        size_t n;
        if (!fields[i].recipe || recipe_transforms(rd, fields[i].recipe, &n))
            continue;
        print_error("%s: the field %s has no recipe %s\n", c->name, fields[i].name,
                    fields[i].recipe);
        known = false;
    }
    return known;
}

static void what_is_built_in_is_right(void **state)
{
    (void)state;
    struct folder f;
    struct err err;
    bool known = true;
    folder_init(&f);
    enum err_code rc = project_load_connectors(f.path, &f.project, &f.problems, &err);
    folder_print(&f);
    assert_int_equal(rc, ERR_OK);
    assert_true(f.project->connector_count > 0);
    struct reader rd = {.project = f.project, .problems = &f.problems};
    for (size_t i = 0; i < f.project->connector_count; i++) {
        const struct connector *c = f.project->connectors[i];
        assert_true(c->builtin);
        for (size_t j = 0; j < c->object_count; j++) {
            const struct object *o = &c->objects[j];
            known = recipes_are_known(&rd, c, o->fields, o->field_count) && known;
            known = recipes_are_known(&rd, c, o->keys, o->key_count) && known;
        }
    }
    assert_true(known);
    folder_done(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_are_wrong_are_named),
        cmocka_unit_test(objects_that_are_not_there_are_named),
        cmocka_unit_test(what_an_object_cannot_do_is_refused),
        cmocka_unit_test(what_requests_are_about_must_be_there),
        cmocka_unit_test(fields_that_do_not_fit_are_refused),
        cmocka_unit_test(a_look_up_tells_64_fields_with_a_policy_apart),
        cmocka_unit_test(what_an_object_can_do_is_let_through),
        cmocka_unit_test(what_is_not_said_comes_from_the_connector),
        cmocka_unit_test(secrets_are_gathered),
        cmocka_unit_test(recipes_follow_the_mapping),
        cmocka_unit_test(the_fingerprint_covers_options_and_the_connector_itself),
        cmocka_unit_test(quotas_and_names_are_guarded),
        cmocka_unit_test(what_is_built_in_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
