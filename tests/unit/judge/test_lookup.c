/* What lookups find, what must not be overwritten, and what is kept of an answer. */
#include "tests/unit/judge/judging.h"

static void ids_are_found_by_key(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    judging_init(&g,
                 "lookup: {entries: /results, key: /email, key_as: lower, id: /id, missing: keep}",
                 NULL);
    judging_keys(&g, "a@x b@x c@x A@X", OP_UPSERT);
    struct judged v = judging_body(
        &g, 200,
        "{\"results\":[{\"id\":9007199254740993,\"email\":\"A@x\"},{\"id\":\"c-1\",\"email\":\"c@"
        "x\"},"
        "{\"id\":\"c-2\",\"email\":\"c@x\"},{\"id\":5,\"email\":\"other@x\"},{\"id\":6},{\"email\":"
        "\"b@x\"},{\"id\":null,\"email\":\"b@x\"},{\"id\":{},\"email\":\"b@x\"},7,null]}");
    assert_int_equal(v.act, DO_OK);
    assert_words(v.found[0].id, "9007199254740993");
    assert_words(v.found[3].id, "9007199254740993");
    assert_words(v.found[2].id, "c-1");
    assert_false(v.found[1].exists);
    assert_null(v.found[1].id.p);
}

static void an_answer_that_cannot_be_understood_finds_nothing_sure(void **state)
{
    (void)state;
    static const struct {
        uint32_t status;
        const char *body;
        bool cut, bug;
    } table[] = {
        {200, "<html>", false, true},
        {200, "{\"results\":[", true, true},
        {200, "{\"results\":[]}", false, false},
        {200, "{}", false, false},
        {200, "", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        judging_init(&g, "lookup: {entries: /results, key: /k, id: /id, missing: create}", NULL);
        judging_keys(&g, "a b", OP_UPSERT);
        struct http_answer answer = {.status = table[i].status,
                                     .body = slice_str(table[i].body),
                                     .body_cut = table[i].cut,
                                     .reached = true,
                                     .retry_after_ms = -1};
        struct judged v = judging_answer(&g, &answer);
        assert_int_equal(v.bug, table[i].bug);
        assert_int_equal(v.act, table[i].bug ? DO_RETRY : DO_OK);
        assert_true(table[i].bug || !v.found[0].exists);
    }
}

/* A request of one record; the answer is about it. */
static struct judged single(struct judging *g, const char *id, uint32_t status, const char *body)
{
    static const char form[] = "max_records: 1, lookup: {single: true%s, missing: keep}, answers: "
                               "[{status: [200, 404], do: ok}]";
    char step[256];
    snprintf(step, sizeof step, form, id);
    judging_init(g, step, NULL);
    judging_keys(g, "a", OP_UPSERT);
    return judging_body(g, status, body);
}

static void an_answer_may_be_about_the_one_record(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        uint32_t status;
        const char *body;
        const char *found; /* NULL: it does not exist */
    } table[] = {
        {", id: /id", 200, "{\"id\":\"7\"}", "7"},
        {", id: /data/0/id", 200, "{\"data\":[]}", NULL},
        {", id: /id", 404, "{\"id\":\"x\"}", NULL},
        {", id: /id", 404, "not found", NULL},
        {"", 200, "{\"x\":1}", ""},
        {"", 404, "{\"x\":1}", NULL},
        {"", 200, "null", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        struct judged v = single(&g, table[i].id, table[i].status, table[i].body);
        assert_int_equal(v.act, DO_OK);
        assert_int_equal(v.found[0].exists, table[i].found != NULL);
        assert_words(v.found[0].id, table[i].found ? table[i].found : "");
    }
}

/* ---- policies ---- */

static void fields_with_a_policy_are_left_out_where_something_is_there(void **state)
{
    (void)state;
    static const struct slice first[] = {SLICE_LIT("first")},
                              home[] = {SLICE_LIT("home"), SLICE_LIT("city")},
                              plain[] = {SLICE_LIT("plain")}, born[] = {SLICE_LIT("born")},
                              list[] = {SLICE_LIT("list")};
    static const struct field_path fields[] = {
        {first, 1}, {plain, 1}, {home, 2}, {born, 1}, {list, 1}};
    static const uint8_t policies[] = {POLICY_SET_IF_EMPTY, POLICY_OVERWRITE, POLICY_SET_IF_EMPTY,
                                       POLICY_CREATE_ONLY, POLICY_MERGE};
    static const struct {
        const char *values;
        const char *entry;
        uint64_t left_out; /* bits: first, home.city, born, list */
    } table[] = {
        {"{'*': /f}", "{\"k\":\"a\"}", 4},
        {"{'*': /f}", "{\"k\":\"a\",\"f\":{\"first\":\"x\",\"home\":{\"city\":\"y\"}}}", 7},
        {"{'*': /f}", "{\"k\":\"a\",\"f\":{\"first\":\"\",\"home\":{\"city\":null}}}", 4},
        {"{'*': /f}", "{\"k\":\"a\",\"f\":{\"first\":0,\"home\":{\"city\":[]}}}", 5},
        {"{'*': /f}", "{\"k\":\"a\",\"f\":{\"first\":false,\"list\":[1]}}", 5},
        {"{'*': '/f/*/value'}", "{\"k\":\"a\",\"f\":{\"first\":{\"value\":\"x\"}}}", 5},
        {"{first: /given, '*': /f}",
         "{\"k\":\"a\",\"given\":\"x\",\"f\":{\"home\":{\"city\":\"y\"}}}", 7},
        {"{home.city: /town}", "{\"k\":\"a\",\"town\":\"y\"}", 6},
        {"{home.city: /town}", "{\"k\":\"b\",\"town\":\"y\"}", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        char step[256], body[256];
        snprintf(step, sizeof step, "lookup: {entries: /r, key: /k, missing: keep, values: %s}",
                 table[i].values);
        judging_init(&g, step, NULL);
        judging_keys(&g, "a", OP_UPSERT);
        g.head = (struct batch_head){.fields = fields,
                                     .field_count = ARRAY_LEN(fields),
                                     .policies = policies,
                                     .newest_field = -1};
        snprintf(body, sizeof body, "{\"r\":[%s]}", table[i].entry);
        struct judged v = judging_body(&g, 200, body);
        if (v.found[0].left_out != table[i].left_out)
            fail_msg("%s of %s: %llx", table[i].values, table[i].entry,
                     (unsigned long long)v.found[0].left_out);
    }
}

static void a_record_is_skipped_where_a_newer_one_is_there(void **state)
{
    (void)state;
    static const struct {
        const char *there;
        const char *own;
        bool skip;
    } table[] = {
        {"\"2024-05-01T10:00:00Z\"", "2024-05-01T09:59:59Z", true},
        {"\"2024-05-01T10:00:00Z\"", "2024-05-01T10:00:00Z", false},
        {"\"2024-05-01T10:00:00.000001Z\"", "2024-05-01T10:00:00Z", true},
        {"\"2024-05-01T12:00:00+02:00\"", "2024-05-01T10:00:00Z", false},
        {"1714557600", "2024-05-01T09:59:59Z", true},
        {"\"1714557600000\"", "2024-05-01T10:00:01Z", false},
        {"null", "2024-05-01T10:00:01Z", false},
        {"\"yesterday\"", "2024-05-01T10:00:01Z", false},
        {"1714557600", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        judging_init(&g, "lookup: {entries: /r, key: /k, missing: keep, updated: /at}", NULL);
        judging_keys(&g, "a", OP_UPSERT);
        char body[256];
        snprintf(body, sizeof body, "{\"r\":[{\"k\":\"a\",\"at\":%s}]}", table[i].there);
        struct slice own = slice_str(table[i].own);
        g.updated = &own;
        struct judged v = judging_body(&g, 200, body);
        assert_true(v.found[0].exists);
        if (v.found[0].skip != table[i].skip)
            fail_msg("%s against %s: %d", table[i].there, table[i].own, v.found[0].skip);
        g.updated = NULL;
        assert_false(judging_body(&g, 200, body).found[0].skip);
    }
}

/* ---- captures and pages ---- */

static void values_are_kept_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *capture;
        const char *headers;
        const char *body;
        const char *text; /* NULL: it was not there */
    } table[] = {
        {"{json: /id}", NULL, "{\"id\":\"x\\u0041\"}", "xA"},
        {"{json: /id}", NULL, "{\"id\":12345678901234567890}", "12345678901234567890"},
        {"{json: /id}", NULL, "{\"id\":true}", "true"},
        {"{json: /id}", NULL, "{\"id\":null}", NULL},
        {"{json: /id}", NULL, "{\"id\":\"\"}", NULL},
        {"{json: /id}", NULL, "{\"id\":{}}", NULL},
        {"{json: /id}", NULL, "{\"id\":\"a\\u0000b\"}", NULL},
        {"{json: /id}", NULL, "no json", NULL},
        {"{json: /r/*/id}", NULL, "{\"r\":[{},{\"id\":2},{\"id\":3}]}", "2"},
        {"{header: Location}", "location: /jobs/7", "", "/jobs/7"},
        {"{header: Location}", NULL, "", NULL},
        {"{header: Location}", "Location: caf\xe9", "", NULL},
        {"{header: Location, matches: 'jobs/(\\d+)'}", "Location: /jobs/7?x", "", "7"},
        {"{header: Location, matches: 'jobs/(\\d+)'}", "Location: /none", "", NULL},
        {"{json: /data, named: /name, take: /id}", NULL,
         "{\"data\":[{\"name\":\"other\",\"id\":1},{\"name\":\"people\",\"id\":2}]}", "2"},
        {"{json: /data, named: /name, take: /id}", NULL,
         "{\"data\":[{\"name\":\"other\",\"id\":1}]}", NULL},
        {"{json: '/data/*', named: /name, take: /id}", NULL,
         "{\"data\":{\"a\":{\"name\":\"people\",\"id\":3}}}", "3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        char step[256];
        snprintf(step, sizeof step, "capture: {job: %s}", table[i].capture);
        judging_init(&g, step, NULL);
        g.object = SLICE_LIT("people");
        struct judged v = judging_headers(&g, 200, table[i].headers, table[i].body);
        assert_int_equal(v.act, DO_OK);
        if (!v.captured[0].p != !table[i].text ||
            !slice_eq_str(v.captured[0], table[i].text ? table[i].text : ""))
            fail_msg("%s of %s: %.*s", table[i].capture, table[i].body, (int)v.captured[0].n,
                     v.captured[0].p ? v.captured[0].p : "nothing");
    }
}

static void nothing_is_kept_of_an_answer_that_is_not_ok(void **state)
{
    (void)state;
    CLEANUP(judging_done) struct judging g;
    judging_init(&g, "capture: {job: {json: /id}}", NULL);
    assert_null(judging_body(&g, 400, "{\"id\":1}").captured);
    assert_non_null(judging_body(&g, 200, "{\"id\":1}").captured);
}

static void the_next_page_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *next;
        const char *headers;
        const char *body;
        const char *text;
    } table[] = {
        {"{json: /next}", NULL, "{\"next\":\"c2\"}", "c2"},
        {"{json: /next}", NULL, "{\"next\":null}", NULL},
        {"{json: /next, matches: 'cursor=([^&]+)'}", NULL, "{\"next\":\"http://x?cursor=ab&n=1\"}",
         "ab"},
        {"{header: X-Next}", "X-Next: 3", "", "3"},
        {"{header: X-Next}", NULL, "", NULL},
        {"{header: Link}", "Link: <http://x/?p=1>; rel=\"prev\", <http://x/?p=3>; rel=\"next\"", "",
         "http://x/?p=3"},
        {"{header: Link}", "Link: <http://x/?p=1>; rel=\"prev\"", "", NULL},
        {"{header: Link}", "Link: <<>;rel=next", "", "<"},
        {"{header: Link}", "Link: <", "", NULL},
        {"{json: /n}, of: /of", NULL, "{\"n\":1,\"of\":3}", "2"},
        {"{json: /n}, of: /of", NULL, "{\"n\":\"2\",\"of\":\"3\"}", "3"},
        {"{json: /n}, of: /of", NULL, "{\"n\":3,\"of\":3}", NULL},
        {"{json: /n}, of: /of", NULL, "{\"n\":1,\"of\":0}", NULL},
        {"{json: /n}, of: /of", NULL, "{\"n\":1}", NULL},
        {"{json: /n}, of: /of", NULL, "{\"n\":\"nan\",\"of\":\"inf\"}", NULL},
        {"{json: /n}, of: /of", NULL, "{\"n\":1e300,\"of\":1e301}", NULL},
        {"{json: /n}, of: /of", NULL, "{\"n\":-1,\"of\":3}", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        char step[256];
        snprintf(step, sizeof step, "pages: {next: %s, var: page}", table[i].next);
        judging_init(&g, step, NULL);
        struct judged v = judging_headers(&g, 200, table[i].headers, table[i].body);
        assert_words(v.next_page, table[i].text ? table[i].text : "");
        assert_int_equal(v.next_page.p != NULL, table[i].text != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found_by_key),
        cmocka_unit_test(an_answer_that_cannot_be_understood_finds_nothing_sure),
        cmocka_unit_test(an_answer_may_be_about_the_one_record),
        cmocka_unit_test(fields_with_a_policy_are_left_out_where_something_is_there),
        cmocka_unit_test(a_record_is_skipped_where_a_newer_one_is_there),
        cmocka_unit_test(values_are_kept_as_text),
        cmocka_unit_test(nothing_is_kept_of_an_answer_that_is_not_ok),
        cmocka_unit_test(the_next_page_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
