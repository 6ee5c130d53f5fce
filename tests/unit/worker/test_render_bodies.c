/* Bodies that are no JSON tree: NDJSON, CSV, forms, text, joined texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/worker/render_sample.h"

static void every_record_is_a_line_of_ndjson(void **state)
{
    (void)state;
    static const struct {
        const char *tree, *body;
    } table[] = {
        {"{\"k\":\"{{key}}\",\"i\":\"{{index}}\"}",
         "{\"k\":1,\"i\":0}\n{\"k\":\"k\\\"2\",\"i\":1}\n{\"k\":3,\"i\":2}\n"},
        {"{\"$if\":\"fields.name\",\"n\":\"{{fields.name}}\"}", "{\"n\":\"A \\\"b\\\"\"}\n"},
        {"{\"$op\":{\"delete\":{\"d\":\"{{key}}\"},\"default\":{\"s\":\"{{key}}\"}}}",
         "{\"s\":1}\n{\"s\":\"k\\\"2\"}\n{\"d\":3}\n"},
        {"{\"$json\":\"{ \\\"a\\\" : {{fields.vip}}\\n}\"}",
         "{\"a\":true}\n{\"a\":false}\n\"{ \\\"a\\\" : \\n}\"\n"},
    };
    struct sample s;
    sample_make(&s);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct kit k;
        struct render_input in = {0};
        kit_init(&k);
        k.step.body = BODY_NDJSON;
        k.step.json = kit_tree(&k, table[i].tree);
        render(&k, &BATCH, s.records, 3, &in);
        assert_body(&k, table[i].body);
        kit_done(&k);
    }
}

/* ---- CSV ---- */

static void a_csv_holds_one_row_per_record_quoted_where_needed(void **state)
{
    (void)state;
    static const char *const only[] = {"note", "id", "name", "none"};
    static const struct param names[] = {{"name", "Full, name"}};
    const struct {
        const char *what;
        struct csv_form form;
        const char *body;
    } table[] = {
        {"all",
         {.fields = {.policy = -1}, .header = true, .delimiter = ',', .line = "\n"},
         "name,age,vip,note,tags,home.city,home.zip\n"
         "\"A \"\"b\"\"\",123456789012345678901234567890,true,,\"[1,\"\"x\"\"]\",Ulm,\n"
         ",,false,,null,,\n,,,,,,\n"},
        {"key first",
         {.fields = {.policy = -1,
                     .except = (const char *const[]){"age", "tags"},
                     .except_count = 2,
                     .null = {NULL_TEXT, "#N/A"}},
          .header = true,
          .delimiter = ',',
          .line = "\r\n",
          .key_first = true},
         "id,name,vip,note,home.city,home.zip\r\n1,\"A \"\"b\"\"\",true,#N/A,Ulm,\r\n"
         "\"k\"\"2\",#N/A,false,,,\r\n3,,,,,\r\n"},
        {"empty as null",
         {.fields = {.policy = -1,
                     .except = (const char *const[]){"age", "tags"},
                     .except_count = 2,
                     .null = {NULL_TEXT, "#N/A"}},
          .header = true,
          .delimiter = ',',
          .line = "\n",
          .empty_as_null = true},
         "name,vip,note,home.city,home.zip\n\"A \"\"b\"\"\",true,#N/A,Ulm,\n"
         "#N/A,false,#N/A,,\n,,,,\n"},
        {"named",
         {.fields = {.policy = -1, .only = only, .only_count = 4, .names = names, .name_count = 1},
          .header = true,
          .delimiter = ';',
          .line = "\n"},
         "note;id;Full, name\n;1;\"A \"\"b\"\"\"\n;\"k\"\"2\";\n;3;\n"},
        {"no header",
         {.fields = {.policy = -1, .only = only + 1, .only_count = 1},
          .delimiter = ',',
          .line = "\n"},
         "1\n\"k\"\"2\"\n3\n"},
    };
    struct sample s;
    sample_make(&s);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct kit k;
        struct render_input in = {0};
        kit_init(&k);
        k.step.body = BODY_CSV;
        k.step.csv = table[i].form;
        render(&k, &BATCH, s.records, 3, &in);
        assert_body(&k, table[i].body);
        kit_done(&k);
    }
}

static void a_csv_quotes_what_would_end_a_field(void **state)
{
    (void)state;
    static const char *const id[] = {"id", NULL}, *const fields[] = {"x", NULL};
    static const struct {
        const char *text, *cell;
    } table[] = {
        {"plain", "plain"},
        {"a,b", "\"a,b\""},
        {"a;b", "a;b"},
        {"a\nb", "\"a\nb\""},
        {"a\rb", "\"a\rb\""},
        {"\"", "\"\"\"\""},
        {" lead", "\" lead\""},
        {"trail ", "\"trail \""},
        {"\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80"},
        {"", ""},
    };
    const struct kit_batch b = {.keys = id, .fields = fields};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct kit k;
        char expected[64];
        struct render_input in = {0};
        struct value key = sample_number("1"), v = sample_text(table[i].text);
        struct record r = {0, OP_UPSERT, &key, &v};
        kit_init(&k);
        k.step.body = BODY_CSV;
        k.step.csv = (struct csv_form){.fields = {.policy = -1}, .delimiter = ',', .line = "\n"};
        render(&k, &b, &r, 1, &in);
        snprintf(expected, sizeof expected, "%s\n", table[i].cell);
        assert_body(&k, expected);
        kit_done(&k);
    }
}

static void a_csv_of_removals_holds_the_keys(void **state)
{
    (void)state;
    struct sample s;
    struct kit k;
    struct render_input in = {0};
    sample_make(&s);
    kit_init(&k);
    k.request.ops = 1U << OP_DELETE;
    k.step.body = BODY_CSV;
    k.step.csv =
        (struct csv_form){.fields = {.policy = -1}, .header = true, .delimiter = ',', .line = "\n"};
    render(&k, &BATCH, &s.records[2], 1, &in);
    assert_body(&k, "id\n3\n");
    kit_done(&k);
}

/* ---- forms and text ---- */

static void a_form_is_percent_encoded(void **state)
{
    (void)state;
    struct sample s;
    struct kit k;
    struct render_input in = {0};
    sample_make(&s);
    kit_init(&k);
    kit_option(&k, "key", OPTION_TEXT, "a&b=c");
    k.step.body = BODY_FORM;
    struct form_member form[] = {
        {.name = "api key", .text = kit_template(&k, "{{options.key}}")},
        {.name = "none", .text = kit_template(&k, "{{fields.home.zip}}")},
        {.name = "mixed", .text = kit_template(&k, "x {{fields.home.zip}}y/{{fields.name}}")},
        {.name = "events", .json = kit_tree(&k, "[{\"$records\":{\"id\":\"{{key}}\"}}]")},
    };
    k.step.form = form;
    k.step.form_count = ARRAY_LEN(form);
    k.auth.body = kit_named(&k, &k.auth.body_count, (const char *const[]){"token: t+1", NULL});
    k.context.auth = &k.auth;
    render(&k, &BATCH, s.records, 1, &in);
    assert_body(&k,
                "api%20key=a%26b%3Dc&mixed=x%20y%2FA%20%22b%22&events=%5B%5B%7B%22id%22%3A1%7D%5D"
                "%5D&token=t%2B1");
    kit_done(&k);
}

static void joined_texts_are_escaped_and_skip_what_is_absent(void **state)
{
    (void)state;
    static const struct param escapes[] = {{"'", "\\'"}, {"\\", "\\\\"}};
    static const struct slice found[] = {{"it's \\", 6}, {NULL, 0}, {"c", 1}};
    struct sample s;
    struct kit k;
    struct render_input in = {.found = found};
    sample_make(&s);
    kit_init(&k);
    struct join joins[] = {
        {.name = "ids",
         .each = kit_template(&k, "'{{found}}'"),
         .by = ",",
         .escapes = escapes,
         .escape_count = 2,
         .skip_absent = true},
        {.name = "all", .each = kit_template(&k, "{{key}}={{found}}"), .by = " & "},
    };
    k.step.joins = joins;
    k.step.join_count = 2;
    k.step.body = BODY_TEXT;
    k.step.text = kit_template(&k, "IN ({{joins.0}}); {{joins.1}}");
    k.step.url = kit_template(&k, "http://x/q?q={{joins.0}}");
    render(&k, &BATCH, s.records, 3, &in);
    assert_body(&k, "IN ('it\\'s \\\\','c'); 1=it's \\ & k\"2= & 3=c");
    assert_string_equal(k.rendered.url, "http://x/q?q=%27it%5C%27s%20%5C%5C%27%2C%27c%27");
    assert_int_equal(k.rendered.ordinals[2], 9);
    kit_done(&k);
}

static void a_value_that_a_list_cannot_carry_refuses_its_record_alone(void **state)
{
    (void)state;
    struct sample s;
    struct kit k;
    struct render_input in = {0};
    struct err err;
    sample_make(&s);
    kit_init(&k);
    struct join joins[] = {
        {.name = "keys", .each = kit_template(&k, "{{key}}"), .by = ",", .refuse = ",\""}};
    k.step.joins = joins;
    k.step.join_count = 1;
    k.step.url = kit_template(&k, "http://x/q?q={{joins.0}}");
    assert_int_equal(kit_render(&k, &BATCH, s.records, 3, &in, &err), ERR_FULL);
    assert_int_equal(kit_render(&k, &BATCH, s.records + 1, 1, &in, &err), ERR_REFUSED);
    assert_non_null(strstr(err.text, "a value with `\"`"));
    assert_int_equal(kit_render(&k, &BATCH, s.records, 1, &in, &err), ERR_OK);
    assert_string_equal(k.rendered.url, "http://x/q?q=1");
    kit_done(&k);
}

static void a_request_without_a_body_has_none_and_knows_its_records(void **state)
{
    (void)state;
    struct sample s;
    struct kit k;
    struct render_input in = {0};
    sample_make(&s);
    kit_init(&k);
    k.step.method = "GET";
    render(&k, &BATCH, s.records, 3, &in);
    assert_body(&k, "");
    assert_string_equal(k.rendered.method, "GET");
    assert_int_equal(k.rendered.header_count, 0);
    assert_int_equal(k.rendered.records, 3);
    assert_int_equal(k.rendered.ordinals[0], 4);
    assert_true(slice_eq_str(k.rendered.keys[1], "k\"2"));
    kit_done(&k);
}

static void auth_adds_members_at_the_root_alone(void **state)
{
    (void)state;
    static const struct {
        const char *tree, *body;
    } table[] = {
        {"{}", "{\"api_key\":\"k\"}"},
        {"{\"a\":{},\"b\":{\"$records\":{}}}", "{\"api_key\":\"k\",\"a\":{},\"b\":[{}]}"},
        {"[{}]", "[{}]"},
        {"{\"$record\":{\"$fields\":{\"only\":[\"vip\"]}}}", "{\"api_key\":\"k\",\"vip\":true}"},
        {"{\"$op\":{\"upsert\":{\"x\":1}}}", "{\"api_key\":\"k\",\"x\":1}"},
    };
    struct sample s;
    sample_make(&s);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct kit k;
        struct render_input in = {0};
        kit_init(&k);
        kit_option(&k, "key", OPTION_TEXT, "k");
        k.auth.body = kit_named(&k, &k.auth.body_count,
                                (const char *const[]){"api_key: {{options.key}}", NULL});
        k.context.auth = &k.auth;
        kit_json(&k, table[i].tree);
        render(&k, &BATCH, s.records, 1, &in);
        assert_body(&k, table[i].body);
        kit_done(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_a_line_of_ndjson),
        cmocka_unit_test(a_csv_holds_one_row_per_record_quoted_where_needed),
        cmocka_unit_test(a_csv_quotes_what_would_end_a_field),
        cmocka_unit_test(a_csv_of_removals_holds_the_keys),
        cmocka_unit_test(a_form_is_percent_encoded),
        cmocka_unit_test(joined_texts_are_escaped_and_skip_what_is_absent),
        cmocka_unit_test(a_value_that_a_list_cannot_carry_refuses_its_record_alone),
        cmocka_unit_test(a_request_without_a_body_has_none_and_knows_its_records),
        cmocka_unit_test(auth_adds_members_at_the_root_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
