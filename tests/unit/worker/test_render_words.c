/* Every word of a tree, every placeholder and every filter, with every kind of value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/worker/render_sample.h"

static void assert_is_json(const struct kit *k)
{
    json_error_t error;
    json_t *j = json_loadb(k->rendered.body.p, k->rendered.body.n,
                           JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!j && !strstr(error.text, "too big"))
        fail_msg("%s: %.*s", error.text, (int)k->rendered.body.n, k->rendered.body.p);
    json_decref(j);
}

struct word {
    const char *tree;
    const char *body;
};

static const struct word WORDS[] = {
    {"{\"a\":1,\"b\":[true,null,\"x\\\"y\"],\"c\":{}}",
     "{\"a\":1,\"b\":[true,null,\"x\\\"y\"],\"c\":{}}"},
    {"\"{{records}}\"", "3"},
    {"{\"n\":\"{{records}} of {{batch}}\",\"at\":\"{{now}}\",\"ms\":\"{{now_ms}}\"}",
     "{\"n\":\"3 of b\",\"at\":1700000000,\"ms\":1700000000123}"},
    {"{\"s\":\"{{sync}}\",\"r\":\"{{run}}\",\"p\":\"{{part}}\",\"a\":\"{{attempt}}\",\"o\":\"{{"
     "object}}\"}",
     "{\"s\":\"s\",\"r\":\"r\",\"p\":\"p\",\"a\":3,\"o\":\"things\"}"},
    {"{\"by\":\"{{identify_by}}\",\"as\":\"{{key_as}}\"}", "{\"by\":\"id\",\"as\":\"ID\"}"},
    {"{\"{{identify_by}}\":1}", "{\"id\":1}"},
    {"{\"seq\":\"{{session.seq}}\",\"last\":\"{{session.last}}\"}", "{\"seq\":5,\"last\":true}"},
    {"{\"$records\":\"{{key}}\"}", "[1,\"k\\\"2\",3]"},
    {"{\"$records\":\"<{{key}}>\"}", "[\"<1>\",\"<k\\\"2>\",\"<3>\"]"},
    {"{\"$records\":\"{{op}}\"}", "[\"upsert\",\"update\",\"delete\"]"},
    {"{\"$records\":[\"{{index}}\",\"{{trace}}\"]}", "[[0,\"r4\"],[1,\"r7\"],[2,\"r9\"]]"},
    {"{\"$records\":\"{{keys.id}}\",\"only\":{\"op\":[\"delete\"]}}", "[3]"},
    {"[{\"$records\":\"{{index}}\",\"only\":{\"op\":[\"update\",\"delete\"]}},{\"$records\":\"{{"
     "index}}\"}]",
     "[[0,1],[0,1,2]]"},
    {"{\"$records\":\"{{key}}\",\"only\":{\"field\":\"home.city\",\"in\":[\"Ulm\",\"Bonn\"]}}",
     "[1]"},
    {"{\"$records\":\"{{key}}\",\"only\":{\"op\":[\"append\"]}}", "[]"},
    {"{\"$records\":\"{{fields.age}}\"}", "[123456789012345678901234567890,null,null]"},
    {"{\"$records\":\"{{fields.home.city}}\"}", "[\"Ulm\",null,null]"},
    {"{\"$records\":\"{{fields.unmapped}}\"}", "[null,null,null]"},
    {"{\"$records\":\"a{{fields.name}}b{{fields.note}}\"}", "[\"aA \\\"b\\\"b\",\"ab\",\"ab\"]"},
    {"{\"$records\":{\"t\":\"{{fields.tags}}\",\"in\":\"={{fields.tags}}\"}}",
     "[{\"t\":[1,\"x\"],\"in\":\"=[1,\\\"x\\\"]\"},{\"t\":null,\"in\":\"=null\"},"
     "{\"t\":null,\"in\":\"=\"}]"},
    {"{\"$records\":{\"$null\":\"omit\",\"n\":\"{{fields.name}}\",\"v\":\"{{fields.vip}}\"}}",
     "[{\"n\":\"A \\\"b\\\"\",\"v\":true},{\"v\":false},{}]"},
    {"{\"$records\":{\"$fields\":{}}}",
     "[{\"name\":\"A \\\"b\\\"\",\"age\":123456789012345678901234567890,\"vip\":true,\"note\":null,"
     "\"tags\":[1,\"x\"],\"home\":{\"city\":\"Ulm\"}},"
     "{\"name\":null,\"vip\":false,\"note\":\"\",\"tags\":null},{}]"},
    {"{\"$records\":{\"$fields\":{\"nested\":false,\"only\":[\"home.city\",\"vip\"]}}}",
     "[{\"vip\":true,\"home.city\":\"Ulm\"},{\"vip\":false},{}]"},
    {"{\"$records\":{\"x\":0,\"$fields\":{\"as\":\"text\",\"except\":[\"name\"]},\"y\":0}}",
     "[{\"x\":0,\"age\":\"123456789012345678901234567890\",\"vip\":\"true\",\"note\":null,"
     "\"tags\":\"[1,\\\"x\\\"]\",\"home\":{\"city\":\"Ulm\"},\"y\":0},"
     "{\"x\":0,\"vip\":\"false\",\"note\":\"\",\"tags\":\"null\",\"y\":0},{\"x\":0,\"y\":0}]"},
    {"{\"$records\":{\"$fields\":{\"null\":\"omit\",\"only\":[\"name\",\"vip\"]},\"k\":1}}",
     "[{\"name\":\"A \\\"b\\\"\",\"vip\":true,\"k\":1},{\"vip\":false,\"k\":1},{\"k\":1}]"},
    {"{\"$records\":{\"$fields\":{\"null\":\"#N/A\",\"only\":[\"name\"]}}}",
     "[{\"name\":\"A \\\"b\\\"\"},{\"name\":\"#N/A\"},{}]"},
    {"{\"$records\":{\"$keys\":{},\"$fields\":{\"only\":[\"vip\"]}}}",
     "[{\"id\":1,\"vip\":true},{\"id\":\"k\\\"2\",\"vip\":false},{\"id\":3}]"},
    {"{\"$columns\":{\"as\":{\"name\":\"NAME\"},\"except\":[\"age\",\"tags\"]}}",
     "[\"NAME\",\"vip\",\"note\",\"home.city\",\"home.zip\"]"},
    {"{\"$columns\":{\"only\":[\"vip\",\"nothing\",\"name\",\"id\"]}}",
     "[\"vip\",\"name\",\"id\"]"},
    {"{\"$records\":{\"$row\":{\"filler\":\"-\",\"only\":[\"vip\",\"name\",\"id\"]}}}",
     "[[true,\"A \\\"b\\\"\",1],[false,\"-\",\"k\\\"2\"],[\"-\",\"-\",3]]"},
    {"{\"$records\":{\"$row\":{\"filler\":{},\"cell\":{\"id\":\"{{cell}}\",\"of\":\"{{column}}\"},"
     "\"only\":[\"name\",\"age\"],\"as\":{\"age\":\"AGE\"}}}}",
     "[[{\"id\":\"A "
     "\\\"b\\\"\",\"of\":\"name\"},{\"id\":123456789012345678901234567890,\"of\":\"AGE\"}],"
     "[{},{}],[{},{}]]"},
    {"{\"$records\":{\"$op\":{\"upsert\":{\"u\":\"{{key}}\"},\"delete\":\"{{key}}\"}}}",
     "[{\"u\":1},null,3]"},
    {"{\"$records\":{\"a\":{\"$op\":{\"delete\":1,\"default\":\"{{op}}\"}},\"b\":2}}",
     "[{\"a\":\"upsert\",\"b\":2},{\"a\":\"update\",\"b\":2},{\"a\":1,\"b\":2}]"},
    {"{\"$records\":{\"$null\":\"omit\",\"a\":{\"$op\":{\"delete\":1}},\"b\":2}}",
     "[{\"b\":2},{\"b\":2},{\"a\":1,\"b\":2}]"},
    {"{\"$records\":{\"a\":{\"$if\":\"fields.home.city\",\"c\":\"{{fields.home.city}}\"},\"b\":0}}",
     "[{\"a\":{\"c\":\"Ulm\"},\"b\":0},{\"b\":0},{\"b\":0}]"},
    {"{\"$records\":{\"$if\":[\"fields.age\",\"fields.note\"],\"k\":\"{{key}}\"}}",
     "[{\"k\":1},{\"k\":\"k\\\"2\"}]"},
    {"{\"$records\":[{\"$if\":\"fields.name\",\"$value\":\"{{fields.name}}\"},"
     "{\"$if\":\"fields.vip\",\"$value\":\"{{fields.vip}}\"}]}",
     "[[\"A \\\"b\\\"\",true],[false],[]]"},
    {"{\"a\":{\"$if\":\"options.none\",\"x\":1},\"b\":{\"$if\":\"options.text\",\"x\":1},\"c\":1}",
     "{\"b\":{\"x\":1},\"c\":1}"},
    {"{\"t\":\"{{options.text}}\",\"n\":\"{{options.number}}\",\"f\":\"{{options.flag}}\","
     "\"m\":\"{{options.map}}\",\"x\":\"{{options.none}}\",\"y\":\"-{{options.none}}\"}",
     "{\"t\":\"o\\\"p\",\"n\":12,\"f\":false,\"m\":{\"a\":[1]},\"x\":null,\"y\":\"-\"}"},
    {"{\"v\":\"{{vars.job}}\",\"w\":\"{{vars.none}}\",\"t\":\"{{auth.token}}\",\"n\":\"{{vars.job|"
     "number}}\"}",
     "{\"v\":\"17\",\"w\":null,\"t\":\"tok\",\"n\":17}"},
    {"{\"$records\":\"{{found}}\"}", "[\"f0\",null,\"f2\"]"},
    {"{\"$records\":{\"$json\":\"{{fields.tags}}\"}}", "[[1,\"x\"],null,null]"},
    {"{\"$records\":{\"$json\":\"[{{fields.age}}, 2 ]\"}}",
     "[[123456789012345678901234567890,2],\"[, 2 ]\",\"[, 2 ]\"]"},
    {"{\"$records\":{\"$json\":\"{{fields.name}}\"}}", "[\"A \\\"b\\\"\",null,null]"},
};

static void every_word_of_a_tree_gives_what_it_says(void **state)
{
    (void)state;
    static const struct object_field keys[] = {{.name = "*"}, {.name = "id", .as = "ID"}};
    static const struct slice vars[] = {{"17", 2}, {NULL, 0}}, auth[] = {{"tok", 3}, {0}, {0}, {0}};
    static const struct slice found[] = {{"f0", 2}, {NULL, 0}, {"f2", 2}};
    struct sample s;
    sample_make(&s);
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        struct kit k;
        struct kit_batch b = BATCH;
        kit_init(&k);
        kit_option(&k, "text", OPTION_TEXT, "o\"p");
        kit_option(&k, "number", OPTION_NUMBER, "12");
        kit_option(&k, "flag", OPTION_BOOL, "false");
        kit_option(&k, "map", OPTION_MAP, "{\"a\":[1]}");
        kit_option(&k, "none", OPTION_TEXT, NULL);
        kit_var(&k, "job");
        kit_var(&k, "none");
        k.object.keys = keys;
        k.object.key_count = ARRAY_LEN(keys);
        b.sequence = 5;
        b.last = true;
        kit_json(&k, WORDS[i].tree);
        struct render_input in = {
            .vars = vars, .auth_vars = auth, .found = found, .now_ms = 1700000000123};
        render(&k, &b, s.records, 3, &in);
        assert_body(&k, WORDS[i].body);
        assert_is_json(&k);
        assert_int_equal(k.rendered.records, 3);
        assert_int_equal(k.rendered.ordinals[1], 7);
        assert_int_equal(k.rendered.ops[2], OP_DELETE);
        assert_true(slice_eq_str(k.rendered.keys[0], "1"));
        assert_true(slice_eq_str(k.rendered.keys[1], "k\"2"));
        kit_done(&k);
    }
}

static void the_object_says_how_fields_are_sent_unless_the_word_does(void **state)
{
    (void)state;
    static const struct word table[] = {
        {"{\"$records\":{\"$fields\":{\"only\":[\"name\",\"age\"]}}}",
         "[{\"name\":\"A "
         "\\\"b\\\"\",\"age\":\"123456789012345678901234567890\"},{\"name\":\"\"},{}]"},
        {"{\"$records\":{\"$fields\":{\"as\":\"native\",\"null\":\"send\",\"only\":[\"name\","
         "\"age\"]}}}",
         "[{\"name\":\"A \\\"b\\\"\",\"age\":123456789012345678901234567890},{\"name\":null},{}]"},
        {"{\"$records\":{\"$null\":\"omit\",\"$fields\":{\"only\":[\"name\"]}}}",
         "[{\"name\":\"A \\\"b\\\"\"},{},{}]"},
        {"{\"$records\":{\"$row\":{\"filler\":\"\",\"only\":[\"age\",\"vip\"]}}}",
         "[[\"123456789012345678901234567890\",\"true\"],[\"\",\"false\"],[\"\",\"\"]]"},
        {"{\"$records\":{\"$keys\":{}}}", "[{\"id\":\"1\"},{\"id\":\"k\\\"2\"},{\"id\":\"3\"}]"},
    };
    struct sample s;
    sample_make(&s);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct kit k;
        struct render_input in = {0};
        kit_init(&k);
        k.object.fields_as = AS_TEXT;
        k.object.null = (struct null_policy){NULL_TEXT, ""};
        kit_json(&k, table[i].tree);
        render(&k, &BATCH, s.records, 3, &in);
        assert_body(&k, table[i].body);
        kit_done(&k);
    }
}

/* ---- filters ---- */

static void filters_are_applied_left_to_right(void **state)
{
    (void)state;
    static const struct {
        const char *template, *json;
    } table[] = {
        {"{{fields.name|lower}}", "\"\xc3\xa4 mary@x\""},
        {"{{fields.name|upper}}", "\"\xc3\x84 MARY@X\""},
        {"{{fields.mail|lower|sha256}}",
         "\"f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79\""},
        {"{{fields.urist|md5}}", "\"62eeb292278cc15f5817cb78f7790b08\""},
        {"{{fields.abc|sha1}}", "\"a9993e364706816aba3e25717850c26c9cd0d89d\""},
        {"{{fields.abc|base64}}", "\"YWJj\""},
        {"{{fields.name|url}}", "\"%C3%84%20Mary%40x\""},
        {"{{fields.abc|json}}", "\"\\\"abc\\\"\""},
        {"{{fields.n|json}}", "\"7\""},
        {"{{fields.n|text}}", "\"7\""},
        {"{{fields.n|text|number}}", "7"},
        {"{{fields.abc|number}}", "\"abc\""},
        {"{{fields.none|lower|md5|base64}}", "null"},
        {"{{fields.abc|upper|text|base64|lower}}", "\"qujd\""},
        {"{{options.o|base64}}", "\"YWJj\""},
        {"{{fields.uuid|ulid}}", "\"01ARZ3NDEKTSV4RRFFQ69G5FAV\""},
        {"{{fields.abc|ulid}}", "\"abc\""},
    };
    static const char *const fields[] = {"name", "mail", "urist", "abc", "n", "none", "uuid", NULL};
    struct value key = sample_number("1");
    struct value v[] = {sample_text("\xc3\x84 Mary@x"),
                        sample_text("Mary@Example.com"),
                        sample_text("urist.mcvankab@freddiesjokes.com"),
                        sample_text("abc"),
                        sample_number("7"),
                        {.kind = VALUE_NULL},
                        sample_text("01563e3a-b5d3-D676-4c61-efb99302bd5b")};
    struct record r = {0, OP_UPSERT, &key, v};
    const struct kit_batch b = {.keys = ID, .fields = fields};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct kit k;
        struct render_input in = {0};
        char tree[256];
        kit_init(&k);
        kit_option(&k, "o", OPTION_TEXT, "abc");
        snprintf(tree, sizeof tree, "\"%s\"", table[i].template);
        kit_json(&k, tree);
        render(&k, &b, &r, 1, &in);
        assert_body(&k, table[i].json);
        kit_done(&k);
    }
}

static void what_arrays_choose_by_is_kept_for_the_answer(void **state)
{
    (void)state;
    struct sample s;
    sample_make(&s);
    struct kit k;
    struct kit_batch b = BATCH;
    struct render_input in = {0};
    kit_init(&k);
    kit_json(&k, "[{\"$records\":\"{{key}}\"},{\"$records\":\"{{key}}\",\"only\":{\"field\":"
                 "\"home.city\",\"in\":[\"Bonn\"]}}]");
    render(&k, &b, s.records, 3, &in);
    assert_non_null(k.rendered.chosen);
    assert_true(slice_eq_str(k.rendered.chosen[0], "Ulm"));
    assert_int_equal(k.rendered.chosen[1].n, 0);
    kit_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_of_a_tree_gives_what_it_says),
        cmocka_unit_test(the_object_says_how_fields_are_sent_unless_the_word_does),
        cmocka_unit_test(filters_are_applied_left_to_right),
        cmocka_unit_test(what_arrays_choose_by_is_kept_for_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
