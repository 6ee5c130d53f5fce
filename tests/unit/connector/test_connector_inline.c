/* A destination that says itself how its API is spoken to, and looking things up in a connector. */
#include "tests/unit/connector/connector_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char one_object[] =
    "type: http\n"
    "quota: crm\n"
    "rate_limits: [{requests: 5, per: 1s}]\n"
    "headers: {X-Team: data}\n"
    "batch_size: 10\n"
    "auth: {headers: {Authorization: Bearer secret}}\n"
    "answers: {default: [{status: 404, do: reject}]}\n"
    "max_records: 50\n"
    "requests:\n"
    "  upsert:\n"
    "    url: https://x.example/{{object}}\n"
    "    body: {json: {items: {$records: {id: \"{{key}}\", $fields: {}}}}}\n"
    "  delete: {method: DELETE, url: \"https://x.example/{{key}}\", max_records: 1}\n";

static void a_destination_is_its_own_only_object(void **state)
{
    (void)state;
    struct connector_text t;
    connector_text_read_inline(&t, one_object);
    assert_string_equal(connector_text_said(&t), "");
    const struct connector *c = t.connector;
    assert_int_equal(c->object_count, 1);
    assert_int_equal(c->auth_count, 1);
    const struct object *o = &c->objects[0];
    assert_int_equal(o->max_records, 50);
    assert_int_equal(o->modes, 1 << MODE_UPSERT | 1 << MODE_FULL | 1 << MODE_MIRROR);
    assert_int_equal(o->removals, 1 << REMOVED_IGNORE | 1 << REMOVED_DELETE);
    assert_int_equal(o->requests[0].steps[0].answers->rules[0].act, DO_REJECT);
    struct slice star;
    assert_ptr_equal(connector_object(c, "people", &star), o);
    assert_true(slice_eq_str(star, "people"));
    assert_non_null(object_field(o, "whatever"));
    connector_text_done(&t);
}

static void a_destination_may_have_several_objects(void **state)
{
    (void)state;
    struct connector_text t;
    connector_text_read_inline(
        &t, "type: http\n"
            "objects:\n"
            "  a: {max_records: 1, requests: {append: {url: https://x.example}}}\n"
            "  b: {max_records: 1, requests: {append: {url: https://x.example}}}\n");
    assert_string_equal(connector_text_said(&t), "");
    assert_int_equal(t.connector->object_count, 2);
    struct slice star;
    assert_null(connector_object(t.connector, NULL, &star));
    connector_text_done(&t);
}

static void mistakes_of_a_destination_have_their_places(void **state)
{
    (void)state;
    struct connector_text t;
    connector_text_read_inline(
        &t, "type: http\n"
            "max_record: 5\n"
            "modes: [upsert]\n"
            "objects: {a: {max_records: 1, requests: {append: {url: https://x.example}}}}\n");
    assert_string_equal(connector_text_said(&t),
                        "2:1: unknown key \"max_record\" in a http destination: did you mean "
                        "\"max_records\"?\n"
                        "3:1: `modes` belongs to an object: move it into one of `objects`\n");
    connector_text_done(&t);
}

static void an_exact_name_goes_before_a_pattern_and_the_longest_pattern_first(void **state)
{
    (void)state;
    struct connector_text t;
#define REQUEST "{max_records: 1, requests: {append: {url: https://x.example}}}\n"
    connector_text_read(&t, "objects:\n"
                            "  \"*\": " REQUEST "  list/*: " REQUEST "  list/all: " REQUEST);
    assert_string_equal(connector_text_said(&t), "");
    const struct connector *c = t.connector;
    struct slice star;
    assert_string_equal(connector_object(c, "list/all", &star)->name, "list/all");
    assert_true(slice_eq_str(star, "list/all"));
    assert_string_equal(connector_object(c, "list/7", &star)->name, "list/*");
    assert_true(slice_eq_str(star, "7"));
    assert_string_equal(connector_object(c, "other", &star)->name, "*");
    assert_true(slice_eq_str(star, "other"));
    connector_text_done(&t);
}

static void limits_go_by_the_options_value(void **state)
{
    (void)state;
    struct connector_text t;
    connector_text_read(&t, "options: {tier: {one_of: [S, M]}}\n"
                            "limits: {by: tier, cases: {S: [{requests: 1, per: 1s}]}, default: "
                            "[{requests: 9, per: 1s}]}\n"
                            "objects: {o: " REQUEST "}\n");
    assert_string_equal(connector_text_said(&t), "");
    const char *small[] = {"S"}, *medium[] = {"M"}, *none[] = {NULL};
    assert_int_equal(connector_limits(t.connector, small)->limits[0].count, 1);
    assert_int_equal(connector_limits(t.connector, medium)->limits[0].count, 9);
    assert_int_equal(connector_limits(t.connector, none)->limits[0].count, 9);
    connector_text_done(&t);
}

/* What the webhook sends and how it reads answers is fixed by worker/README.md. */
static void the_webhook_sends_and_judges_as_documented(void **state)
{
    (void)state;
    struct connector_text t;
    connector_text_builtin(&t, "webhook");
    const struct object *o = &t.connector->objects[0];
    assert_int_equal(o->request_count, 1);
    for (int op = OP_UPSERT; op <= OP_APPEND; op++)
        assert_int_equal(o->request_of[op], 0);
    assert_int_equal(o->batch_records, 500);
    assert_int_equal(o->max_records, 10000);
    assert_int_equal(o->batch_bytes, 4 << 20);
    assert_int_equal(o->max_bytes, 64 << 20);
    const struct step *s = &o->requests[0].steps[0];
    static const char *const members[] = {"sync", "run", "batch", "attempt", "records"};
    assert_int_equal(s->json->count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(s->json->members[i].name.pieces[0].text, members[i]);
    assert_string_equal(s->idempotency, "Idempotency-Key");
    assert_true(s->carries);
    static const struct {
        uint16_t status;
        enum rule_do act;
    } table[] = {{200, DO_OK},    {204, DO_OK},    {429, DO_THROTTLE}, {503, DO_THROTTLE},
                 {408, DO_RETRY}, {500, DO_RETRY}, {599, DO_RETRY},    {401, DO_AUTH},
                 {403, DO_HALT},  {404, DO_HALT},  {405, DO_HALT},     {407, DO_HALT},
                 {410, DO_HALT},  {301, DO_HALT},  {413, DO_SPLIT},    {400, DO_SPLIT},
                 {409, DO_SPLIT}, {406, DO_SPLIT}, {100, DO_RETRY}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct rule *found = NULL;
        for (size_t r = 0; r < s->answers->count && !found; r++) {
            const struct condition *w = &s->answers->rules[r].when;
            bool holds = w->answer == ANSWER_CAME && w->status_count == 0;
            for (size_t k = 0; k < w->status_count; k++)
                holds = holds || (table[i].status >= w->statuses[k].from &&
                                  table[i].status <= w->statuses[k].to);
            found = holds ? &s->answers->rules[r] : NULL;
        }
        assert_non_null(found);
        assert_int_equal(found->act, table[i].act);
    }
    const char *values[6] = {"https://x.example", NULL, "user", "", "secret", NULL};
    const struct auth *a = connector_auth(t.connector, values);
    assert_non_null(a);
    assert_true(a->basic && a->hmac.header);
    connector_text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_destination_is_its_own_only_object),
        cmocka_unit_test(a_destination_may_have_several_objects),
        cmocka_unit_test(mistakes_of_a_destination_have_their_places),
        cmocka_unit_test(an_exact_name_goes_before_a_pattern_and_the_longest_pattern_first),
        cmocka_unit_test(limits_go_by_the_options_value),
        cmocka_unit_test(the_webhook_sends_and_judges_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
