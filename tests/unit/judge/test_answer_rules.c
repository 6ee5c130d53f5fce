/* Which rule decides, and what it says: conditions, words, doubt, waiting. */
#include "tests/unit/judge/judging.h"
#include "worker/judge/pattern.h"

struct rule_case {
    const char *when; /* conditions of the first rule, which halts; the second is reject */
    uint32_t status;
    const char *headers;
    const char *body;
    bool holds;
};

static void check_rule(const struct rule_case *c, uint32_t records, enum record_op op)
{
    CLEANUP(judging_done) struct judging g;
    char step[512];
    snprintf(step, sizeof step, "answers: [{%s%sdo: halt}, {do: reject}]", c->when,
             *c->when ? ", " : "");
    judging_init(&g, step, NULL);
    judging_records(&g, records, op);
    struct judged v = judging_headers(&g, c->status, c->headers, c->body);
    if (v.act != (c->holds ? DO_HALT : DO_REJECT))
        fail_msg("%s for %u %s %s: %d", c->when, c->status, c->headers ? c->headers : "", c->body,
                 v.act);
}

static void every_condition_must_hold(void **state)
{
    (void)state;
    static const struct rule_case table[] = {
        {"status: 429", 429, NULL, "", true},
        {"status: 429", 428, NULL, "", false},
        {"status: 4xx", 499, NULL, "", true},
        {"status: 4xx", 500, NULL, "", false},
        {"status: [200, '500-599']", 550, NULL, "", true},
        {"status: [200, '500-599']", 201, NULL, "", false},
        {"header: {name: X-A, exists: true}", 200, "x-a: 1", "", true},
        {"header: {name: X-A, exists: true}", 200, NULL, "", false},
        {"header: {name: X-A, exists: false}", 200, NULL, "", true},
        {"header: {name: X-A, exists: false}", 200, "X-A: ", "", false},
        {"header: {name: X-A, equals: go}", 200, "X-A: stay\nX-A: go", "", true},
        {"header: {name: X-A, matches: '^g.$'}", 200, "X-A: go", "", true},
        {"header: {name: X-A, matches: '^g.$'}", 200, "X-A: gone", "", false},
        {"header: {name: X-A, at_least: 5}", 200, "X-A: 5, per minute", "", true},
        {"header: {name: X-A, at_most: 5}", 200, "X-A: 5.5", "", false},
        {"json: {at: /code, equals: 7}", 200, NULL, "{\"code\":7}", true},
        {"json: {at: /code, equals: 7}", 200, NULL, "{\"code\":\"7\"}", true},
        {"json: {at: /code, equals: 7}", 200, NULL, "{\"code\":7.0}", true},
        {"json: {at: /code, equals: 7}", 200, NULL, "{\"code\":70}", false},
        {"json: {at: /code, equals: 7}", 200, NULL, "{\"code\":[7]}", false},
        {"json: {at: /code, equals: 7}", 200, NULL, "{\"code\":7", false},
        {"json: {at: /code, in: [a, b]}", 200, NULL, "{\"code\":\"b\"}", true},
        {"json: {at: /ok, equals: false}", 200, NULL, "{\"ok\":false}", true},
        {"json: {at: /ok, equals: true}", 200, NULL, "{\"ok\":false}", false},
        {"json: {at: /big, equals: 9007199254740993}", 200, NULL, "{\"big\":9007199254740992}",
         false},
        {"json: {at: /big, equals: 9007199254740993}", 200, NULL, "{\"big\":9007199254740993}",
         true},
        {"json: {at: /e/*/c, in: [x]}", 200, NULL, "{\"e\":[{\"c\":\"y\"},{\"c\":\"x\"}]}", true},
        {"json: {at: /e/*/c, in: [x]}", 200, NULL, "{\"e\":[]}", false},
        {"json: {at: /e/*/c, at_least: 5}", 200, NULL, "{\"e\":[{\"c\":1},{\"c\":6}]}", true},
        {"json: {at: /e/*/c, matches: 'b+'}", 200, NULL, "{\"e\":[{\"c\":1},{\"c\":\"abb\"}]}",
         true},
        {"json: {at: /a, exists: true}", 200, NULL, "{\"a\":{}}", true},
        {"json: {at: /a, exists: true}", 200, NULL, "{\"a\":null}", false},
        {"json: {at: /a, exists: false}", 200, NULL, "{\"a\":null}", true},
        {"json: {at: /a, exists: false}", 200, NULL, "{}", true},
        {"json: {at: /a, exists: false}", 200, NULL, "no json", false},
        {"json: {at: '', equals: 0}", 200, NULL, "0", true},
        {"json: [{at: /a, equals: 1}, {at: /b, equals: 2}]", 200, NULL, "{\"a\":1,\"b\":2}", true},
        {"json: [{at: /a, equals: 1}, {at: /b, equals: 2}]", 200, NULL, "{\"a\":1,\"b\":3}", false},
        {"body: not_json", 200, NULL, "<html>", true},
        {"body: not_json", 200, NULL, "", true},
        {"body: not_json", 200, NULL, "[]", false},
        {"body: json", 200, NULL, "[]", true},
        {"body: json", 200, NULL, "[", false},
        {"body: empty", 200, NULL, "", true},
        {"body: empty", 200, NULL, " ", false},
        {"status: 403, body: not_json", 403, NULL, "no", true},
        {"status: 403, body: not_json", 404, NULL, "no", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        check_rule(&table[i], 3, OP_UPSERT);
}

static void conditions_know_the_request(void **state)
{
    (void)state;
    static const struct rule_case one = {"records: one", 400, NULL, "", true};
    static const struct rule_case not_one = {"records: one", 400, NULL, "", false};
    static const struct rule_case many = {"records: many", 400, NULL, "", true};
    static const struct rule_case not_many = {"records: many", 400, NULL, "", false};
    check_rule(&one, 1, OP_UPSERT);
    check_rule(&not_one, 2, OP_UPSERT);
    check_rule(&many, 2, OP_UPSERT);
    check_rule(&not_many, 1, OP_UPSERT);
    static const struct rule_case removal = {"op: [delete, clear]", 404, NULL, "", true};
    static const struct rule_case no_removal = {"op: [delete, clear]", 404, NULL, "", false};
    check_rule(&removal, 2, OP_CLEAR);
    check_rule(&no_removal, 2, OP_UPDATE);
}

static struct judged without_answer(struct judging *g, uint32_t status, const char *error,
                                    bool reached)
{
    struct http_answer answer = {
        .status = status, .error = error, .reached = reached, .retry_after_ms = -1};
    return judging_answer(g, &answer);
}

static void no_answer_is_told_from_one_that_surely_never_left(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    judging_init(&g,
                 "answers: [{no_answer: unsent, do: throttle, wait: 1s}, {no_answer: true, do: "
                 "fail}, {status: '200-299', do: ok}, {do: halt}]",
                 NULL);
    struct judged v = without_answer(&g, 0, "could not connect", false);
    assert_int_equal(v.act, DO_THROTTLE);
    assert_false(v.unsure);
    assert_words(v.message, "could not connect");
    v = without_answer(&g, 0, "timed out", true);
    assert_int_equal(v.act, DO_FAIL);
    assert_true(v.unsure);
    assert_int_equal(without_answer(&g, 200, "broke off", true).act, DO_FAIL);
    assert_int_equal(without_answer(&g, 100, NULL, true).act, DO_FAIL);
    assert_int_equal(without_answer(&g, 500, "broke off", true).act, DO_HALT);
    assert_int_equal(judging_body(&g, 200, "").act, DO_OK);
}

static void doubt_is_as_the_rule_says_or_follows_what_is_done(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        bool unsure;
    } table[] = {
        {"{do: retry}", true},     {"{do: retry, unsure: false}", false},
        {"{do: throttle}", false}, {"{do: throttle, unsure: true}", true},
        {"{do: split}", false},    {"{do: fail}", false},
        {"{do: restart}", false},  {"{do: reject}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        char step[128];
        snprintf(step, sizeof step, "answers: [%s]", table[i].rule);
        judging_init(&g, step, NULL);
        assert_int_equal(judging_body(&g, 500, "").unsure, table[i].unsure);
    }
}

static void the_rules_words_are_found_where_it_says(void **state)
{
    (void)state;
    static const struct {
        const char *words_from;
        uint32_t status;
        const char *body;
        const char *words;
    } table[] = {
        {"", 400, "{\"message\":\"usual\",\"msg\":\"other\"}", "HTTP 400: usual"},
        {", message: /msg", 400, "{\"message\":\"usual\",\"msg\":\"other\"}", "HTTP 400: other"},
        {", message: /msg", 400, "{\"message\":\"usual\"}", "HTTP 400: usual"},
        {", message: /msg", 400, "{\"message\":\"usual\",\"msg\":null}", "HTTP 400: usual"},
        {", message: /msg", 400, "{\"message\":\"usual\",\"msg\":17}", "HTTP 400: 17"},
        {", message: [/none, /e/*/text]", 400, "{\"e\":[{\"text\":\"\"},{\"text\":\"second\"}]}",
         "HTTP 400: second"},
        {", message: /error", 400, "{\"error\":{\"type\":\"T\",\"message\":\"within\"}}",
         "HTTP 400: within"},
        {", message: /error", 400, "{\"error\":{\"type\":\"T\"}}", "HTTP 400: {\"type\":\"T\"}"},
        {", message: /msg", 200, "{\"msg\":\"refused\"}", "refused"},
        {", text: own words", 200, "{\"message\":\"x\"}", "own words"},
        {", text: own words", 403, "{\"message\":\"x\"}", "HTTP 403: own words"},
        {", message: /msg", 400, "{\"msg\":\"two\\nlines\\u0000 \\ud83d\\ude00\"}",
         "HTTP 400: two lines \xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        char step[256];
        snprintf(step, sizeof step, "answers: [{do: reject%s}]", table[i].words_from);
        judging_init(&g, step, NULL);
        assert_words(judging_body(&g, table[i].status, table[i].body).message, table[i].words);
    }
}

static void a_throttling_rule_hears_retry_after_even_unasked(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    judging_init(&g, "answers: [{status: 420, do: throttle}, {status: 423, do: retry, wait: 2s}]",
                 NULL);
    assert_int_equal(judging_headers(&g, 420, "Retry-After: 9", "").wait_ms, 9000);
    assert_int_equal(judging_body(&g, 420, "").wait_ms, -1);
    assert_int_equal(judging_headers(&g, 423, "Retry-After: 9", "").wait_ms, 2000);
    assert_int_equal(judging_headers(&g, 500, "Retry-After: 9", "").wait_ms, -1);
}

static void a_pattern_that_runs_wild_ends_and_matches_nothing(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    judging_init(&g, "answers: [{json: {at: /*, matches: '^(a+)+$'}, do: halt}, {do: reject}]",
                 NULL);
    enum { VALUES = 20000, VALUE_BYTES = 48 };
    char *body = malloc(VALUES * VALUE_BYTES);
    size_t n = 0;
    for (int i = 0; i < VALUES; i++)
        n +=
            (size_t)sprintf(body + n, "%c\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"", i ? ',' : '[');
    memcpy(body + n, "]", 2);
    assert_int_equal(judging_body(&g, 200, body).act, DO_REJECT);
    /* The next answer starts afresh. */
    assert_int_equal(judging_body(&g, 200, "[\"aaa\"]").act, DO_HALT);
    free(body);
}

static void patterns_take_any_bytes(void **state)
{
    (void)state;
    struct err err;
    struct pattern *p;
    struct slice group;
    assert_int_equal(pattern_new("(\\d+)|x", &p, &err), ERR_OK);
    assert_true(pattern_match(p, SLICE_LIT("\xff\xfe 17\xc3"), &group));
    assert_true(slice_eq_str(group, "17"));
    assert_true(pattern_match(p, SLICE_LIT("x"), &group));
    assert_null(group.p);
    assert_false(pattern_match(p, (struct slice){0}, &group));
    pattern_free(p);
    assert_int_equal(pattern_new("(", &p, &err), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_condition_must_hold),
        cmocka_unit_test(conditions_know_the_request),
        cmocka_unit_test(no_answer_is_told_from_one_that_surely_never_left),
        cmocka_unit_test(doubt_is_as_the_rule_says_or_follows_what_is_done),
        cmocka_unit_test(the_rules_words_are_found_where_it_says),
        cmocka_unit_test(a_throttling_rule_hears_retry_after_even_unasked),
        cmocka_unit_test(a_pattern_that_runs_wild_ends_and_matches_nothing),
        cmocka_unit_test(patterns_take_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
