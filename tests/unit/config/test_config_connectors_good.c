/* What destinations and syncs are given by their connector: defaults, secrets, recipes,
 * fingerprints. */
#include "crm.h"

#include "protocol/config/recipes.h"
#include "protocol/connector/connector.h"

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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_object_can_do_is_let_through),
        cmocka_unit_test(what_is_not_said_comes_from_the_connector),
        cmocka_unit_test(secrets_are_gathered),
        cmocka_unit_test(recipes_follow_the_mapping),
        cmocka_unit_test(the_fingerprint_covers_options_and_the_connector_itself),
        cmocka_unit_test(what_is_built_in_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
