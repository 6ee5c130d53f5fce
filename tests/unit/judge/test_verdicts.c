/* How an answer says what became of each record: every source. */
#include "tests/unit/judge/judging.h"

struct verdict_case {
    const char *verdicts; /* in the grammar */
    const char *body;
    const char *entries;
    bool bug;
};

static void check_verdicts(const struct verdict_case *c, const char *keys)
{
    CLEANUP(judging_done) struct judging g;
    char step[1024];
    snprintf(step, sizeof step, "verdicts: %s", c->verdicts);
    judging_init(&g, step, NULL);
    judging_keys(&g, keys, OP_UPDATE);
    struct judged v = judging_body(&g, 200, c->body);
    const char *entries = judging_entries(&g, &v);
    if (v.act != (c->bug ? DO_RETRY : DO_OK) || v.bug != c->bug || v.unsure != c->bug ||
        strcmp(entries, c->entries) != 0)
        fail_msg("%s of %s: act %d, bug %d, %s, %.*s", c->verdicts, c->body, v.act, v.bug, entries,
                 (int)v.message.n, v.message.p);
}

static void check_all(const struct verdict_case *table, size_t count, const char *keys)
{
    for (size_t i = 0; i < count; i++)
        check_verdicts(&table[i], keys);
}

static void by_position(void **state)
{
    (void)state;
    static const char each[] = "{at: /r, by: position, ok: {at: /s, equals: ok}, retryable: {at: "
                               "/s, in: [busy]}, not_found: {at: /s, equals: none}, accept: {at: "
                               "/s, equals: same}, message: /m}";
    static const struct verdict_case table[] = {
        {each, "{\"r\":[{\"s\":\"ok\"},{\"s\":\"ok\"},{\"s\":\"ok\"}]}", "", false},
        {each,
         "{\"r\":[{\"s\":\"bad\",\"m\":\"x\"},{\"s\":\"busy\",\"m\":\"y\"},{\"s\":\"none\",\"m\":"
         "\"z\"}]}",
         "0:rejected(x) 1:open(y) 2:not_found(z)", false},
        {each, "{\"r\":[{\"s\":\"same\"},{\"s\":\"ok\"},{\"m\":\"no s\"}]}", "2:rejected(no s)",
         false},
        {each, "{\"r\":[null,7,\"x\"]}", "0:rejected(r) 1:rejected(r) 2:rejected(r)", false},
        {each, "{\"r\":[{\"s\":\"ok\"},{\"s\":\"ok\"}]}", "", true},
        {each, "{\"r\":[{\"s\":\"ok\"},{\"s\":\"ok\"},{\"s\":\"ok\"},{\"s\":\"ok\"}]}", "", true},
        {each, "{\"r\":[]}", "", true},
        {each, "{\"r\":{\"s\":\"ok\"}}", "", true},
        {each, "{}", "", true},
        {each, "", "", true},
        {each, "<html>", "", true},
        {"{by: position, ok: {at: '', equals: 1}}", "[1,1,1]", "", false},
        {"{at: '/*/r', by: position, ok: {at: '', equals: 1}}", "[{\"r\":1},{\"r\":1},{\"r\":1}]",
         "", false},
    };
    check_all(table, ARRAY_LEN(table), "a b c");
}

static void by_index(void **state)
{
    (void)state;
    static const struct verdict_case table[] = {
        {"{at: /e, index: /i, base: 1, message: /m}", "{\"e\":[{\"i\":3,\"m\":\"x\"}]}",
         "2:rejected(x)", false},
        {"{at: /e, index: /i, base: 1}", "{\"e\":[{\"i\":0}]}", "", true},
        {"{at: /e, index: /i, base: 1}", "{\"e\":[{\"i\":4}]}", "", true},
        {"{at: /e, index: '', message: /m}", "{\"e\":[2,0]}", "0:rejected(e) 2:rejected(e)", false},
        {"{at: /e, index: /at/*, message: /m}", "{\"e\":[{\"at\":[0,2],\"m\":\"x\"}]}",
         "0:rejected(x) 2:rejected(x)", false},
        {"{at: /e, index: /i, in: {at: /a, equals: us}, message: /a}",
         "{\"e\":[{\"i\":1,\"a\":\"us\"},{\"i\":2,\"a\":\"them\"},{\"i\":9,\"a\":\"them\"}]}",
         "1:rejected(us)", false},
        {"{at: '/*/e', index: /i, message: /m}",
         "{\"x\":{\"e\":{\"i\":0,\"m\":\"a\"}},\"y\":{\"e\":{\"i\":1,\"m\":\"b\"}}}",
         "0:rejected(a) 1:rejected(b)", false},
        {"{at: '/0/e', index: /i, message: /m}", "[{\"e\":[{\"i\":0,\"m\":\"a\"}]}]",
         "0:rejected(a)", false},
        {"[{at: /e, index: /i, retryable: {at: '', exists: true}}, {at: /f, index: /i, message: "
         "/m}]",
         "{\"e\":[{\"i\":0},{\"i\":1,\"message\":\"again\"}],\"f\":[{\"i\":0,\"m\":\"final\"}]}",
         "0:rejected(final) 1:open(again)", false},
        {"{at: /e, index: /i}", "{\"\\u0065\":[{\"i\":1,\"message\":\"escaped name\"}]}",
         "1:rejected(escaped name)", false},
        {"{at: /e, index: /i, code: /c, message: /m}",
         "{\"e\":[{\"i\":0,\"c\":\"C1\",\"m\":\"x\"},{\"i\":1,\"c\":\"C2\",\"m\":\"C2: said\"},"
         "{\"i\":2,\"c\":12}]}",
         "0:rejected(C1: x) 1:rejected(C2: said) 2:rejected(12)", false},
    };
    check_all(table, ARRAY_LEN(table), "a b c");
}

static void by_lists_of_indexes(void **state)
{
    (void)state;
    static const struct verdict_case table[] = {
        {"{at: /e, indexes: ''}", "{\"e\":[0,2]}", "0:rejected(e) 2:rejected(e)", false},
        {"{at: /e, indexes: ''}", "{\"e\":{\"name\":[0],\"time\":[0,1]}}",
         "0:rejected(e: name) 1:rejected(e: time)", false},
        {"{at: '/e/*', indexes: ''}", "{\"e\":{\"name\":[0],\"time\":[1]}}",
         "0:rejected(e: name) 1:rejected(e: time)", false},
        {"{at: /e, indexes: /at}", "{\"e\":[{\"at\":[1,2],\"message\":\"x\"}]}",
         "1:rejected(x) 2:rejected(x)", false},
        {"{at: /e, indexes: '', base: 1}", "{\"e\":[1]}", "0:rejected(e)", false},
        {"{at: /e, indexes: ''}", "{\"e\":[]}", "", false},
        {"{at: /e, indexes: ''}", "{\"e\":{}}", "", false},
        {"{at: /e, indexes: ''}", "{\"e\":{\"name\":[]}}", "", false},
        {"{at: /e, indexes: ''}", "{\"e\":null}", "", false},
        {"{at: /e, indexes: ''}", "{\"e\":[3]}", "", true},
        {"{at: /e, indexes: ''}", "{\"e\":[-1]}", "", true},
        {"{at: /e, indexes: ''}", "{\"e\":[\"0\"]}", "", true},
        {"{at: /e, indexes: ''}", "{\"e\":{\"name\":[true]}}", "", true},
        {"{at: /e, indexes: /at}", "{\"e\":[{\"message\":\"of nobody\"}]}", "", true},
    };
    check_all(table, ARRAY_LEN(table), "a b c");
}

static void by_pointer(void **state)
{
    (void)state;
    static const char by[] =
        "{at: /errors, pointer: {at: /source/pointer, matches: '/data/(\\d+)/'}}";
    static const struct verdict_case table[] = {
        {by, "{\"errors\":[{\"detail\":\"x\",\"source\":{\"pointer\":\"/data/1/email\"}}]}",
         "1:rejected(x)", false},
        {by, "{\"errors\":[{\"source\":{\"pointer\":\"/data/3/email\"}}]}", "", true},
        {by, "{\"errors\":[{\"source\":{\"pointer\":\"/data/99999999999999999999/e\"}}]}", "",
         true},
        {by, "{\"errors\":[{\"source\":{\"pointer\":\"/data/x\"}}]}", "", true},
        {by, "{\"errors\":[{\"source\":{\"pointer\":7}}]}", "", true},
        {by, "{\"errors\":[{}]}", "", true},
        {by, "{\"errors\":[]}", "", false},
    };
    check_all(table, ARRAY_LEN(table), "a b c");
}

static void by_key(void **state)
{
    (void)state;
    static const struct verdict_case table[] = {
        {"{at: /bad, key: ''}", "{\"bad\":[\"b\",\"17\"]}", "1:rejected(bad) 2:rejected(bad)",
         false},
        {"{at: /bad, key: ''}", "{\"bad\":[17]}", "2:rejected(bad)", false},
        {"{at: /bad, key: ''}", "{\"bad\":[\"B\"]}", "", true},
        {"{at: /bad, key: '', key_as: lower}", "{\"bad\":[\"B\"]}", "1:rejected(bad)", false},
        {"{at: /bad, key: /id, key_as: lower}", "{\"bad\":[{\"id\":\"\\u00c4\",\"error\":\"x\"}]}",
         "3:rejected(x) 4:rejected(x)", false},
        {"{at: /bad, key: /id, key_as: md5_lower}",
         "{\"bad\":[{\"id\":\"92EB5FFEE6AE2FEC3AD71C777531578F\",\"error\":\"x\"}]}",
         "1:rejected(x)", false},
        {"{at: /bad, key: '/{{identify_by}}'}", "{\"bad\":[{\"id\":\"a\",\"error\":\"x\"}]}",
         "0:rejected(x)", false},
        {"{at: '/failed/*', key: '/*'}", "{\"failed\":{\"gone\":[\"a\"],\"odd\":[\"b\",\"17\"]}}",
         "0:rejected(failed: gone) 1:rejected(failed: odd) 2:rejected(failed: odd)", false},
        {"{at: /r, key: /k, ok: {at: /ok, equals: true}}",
         "{\"r\":[{\"k\":\"unknown\",\"ok\":true},{\"k\":\"a\",\"ok\":false,\"error\":\"x\"}]}",
         "0:rejected(x)", false},
        {"{at: /bad, key: /id}", "{\"bad\":[{\"error\":\"of nobody\"}]}", "", true},
        {"{at: /bad, key: /id}", "{\"bad\":[{\"id\":null}]}", "", true},
        {"{at: /bad, key: /id}", "{\"bad\":[{\"id\":\"zz\"}]}", "", true},
        {"{at: /bad, key: /id}", "{\"bad\":[]}", "", false},
    };
    check_all(table, ARRAY_LEN(table), "a b 17 \xc3\xa4 \xc3\x84");
}

static void by_trace(void **state)
{
    (void)state;
    static const char by[] = "{at: /errors, trace: '/context/ids/*', message: /m}";
    static const struct verdict_case table[] = {
        {by, "{\"errors\":[{\"m\":\"x\",\"context\":{\"ids\":[\"r20\",\"r0\"]}}]}",
         "0:rejected(x) 2:rejected(x)", false},
        {by, "{\"errors\":[{\"context\":{\"ids\":[\"r5\"]}}]}", "", true},
        {by, "{\"errors\":[{\"context\":{\"ids\":[\"r30\"]}}]}", "", true},
        {by, "{\"errors\":[{\"context\":{\"ids\":[\"0\"]}}]}", "", true},
        {by, "{\"errors\":[{\"context\":{\"ids\":[\"r-1\"]}}]}", "", true},
        {by, "{\"errors\":[{\"context\":{\"ids\":[]}}]}", "", true},
        {by, "{\"errors\":[{\"context\":{\"ids\":[[\"r0\"]]}}]}", "", true},
    };
    check_all(table, ARRAY_LEN(table), "a b c");
}

static void by_rows(void **state)
{
    (void)state;
    static const char csv[] = "{format: csv, column: Key, message: /Error}";
    static const char lines[] = "{format: ndjson, key: /k, message: /m}";
    static const struct verdict_case table[] = {
        {csv, "Key,Error\nb,bad\n", "1:rejected(bad)", false},
        {csv, "\xef\xbb\xbf\"Error\",\"Key\"\r\n\"say \"\"no\"\", twice\",\"c\"\r\n\"x\ny\",a",
         "0:rejected(x y) 2:rejected(say \"no\", twice)", false},
        {csv, "Key,Error\n\n\nb,\n", "1:rejected(listed without words)", false},
        {csv, "Key,Error\n", "", false},
        {csv, "", "", false},
        {csv, "Key,Error\nb\n", "", true},
        {csv, "Key,Error\nb,x,y\n", "", true},
        {csv, "Key,Error\n\"b,x\n", "", true},
        {csv, "Key,Error\n\"b\"x,x\n", "", true},
        {csv, "Key,Error\nz,x\n", "", true},
        {csv, "Other,Error\nb,x\n", "", true},
        {csv, "Key,Error\n\xff,x\n", "", true},
        {lines, "{\"k\":\"a\",\"m\":\"x\"}\n{\"k\":\"c\",\"m\":\"y\"}",
         "0:rejected(x) 2:rejected(y)", false},
        {lines, "{\"k\":\"a\",\"m\":\"x\"}\r\n", "0:rejected(x)", false},
        {lines, "", "", false},
        {lines, "{\"k\":\"a\"}\n{\"k\":", "", true},
        {lines, "{\"k\":\"z\"}\n", "", true},
    };
    check_all(table, ARRAY_LEN(table), "a b c");
}

static void a_record_that_is_listed_as_failed_is_never_accepted(void **state)
{
    (void)state;
    static const struct verdict_case table[] = {
        {"{at: /r, index: /i, ok: {at: /ok, equals: true}}",
         "{\"r\":[{\"i\":0,\"ok\":true},{\"i\":0,\"ok\":false,\"error\":\"x\"},{\"i\":0,\"ok\":"
         "true}]}",
         "0:rejected(x)", false},
        {"[{at: /r, index: /i, ok: {at: /ok, equals: true}, unmentioned: open}, {at: /e, index: "
         "/i}]",
         "{\"r\":[{\"i\":0,\"ok\":true},{\"i\":1,\"ok\":true}],\"e\":[{\"i\":1,\"error\":\"x\"}]}",
         "0:ok 1:rejected(x)", false},
        {"{at: /e, index: /i}", "{\"e\":[],\"e\":[{\"i\":1,\"error\":\"second list\"}]}",
         "1:rejected(second list)", false},
    };
    check_all(table, ARRAY_LEN(table), "a b c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_position),
        cmocka_unit_test(by_index),
        cmocka_unit_test(by_lists_of_indexes),
        cmocka_unit_test(by_pointer),
        cmocka_unit_test(by_key),
        cmocka_unit_test(by_trace),
        cmocka_unit_test(by_rows),
        cmocka_unit_test(a_record_that_is_listed_as_failed_is_never_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
