/* What a body says of its records beyond single words; names of records; the webhook's body byte
 * for byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/worker/render_sample.h"

/* ---- one record ---- */

static void a_request_of_one_record_may_name_it_anywhere(void **state)
{
    (void)state;
    struct sample s;
    struct kit k;
    struct render_input in = {0};
    sample_make(&s);
    kit_init(&k);
    k.step.url = kit_template(&k, "http://x/{{key}}");
    kit_json(&k, "{\"id\":\"{{key}}\",\"all\":{\"$records\":\"{{trace}}\"},\"r\":{\"$record\":"
                 "{\"$fields\":{}}},\"i\":\"{{index}}\",\"op\":{\"$op\":{\"update\":1}}}");
    render(&k, &BATCH, &s.records[1], 1, &in);
    assert_body(&k, "{\"id\":\"k\\\"2\",\"all\":[\"r7\"],\"r\":{\"name\":null,\"vip\":false,"
                    "\"note\":\"\",\"tags\":null},\"i\":0,\"op\":1}");
    assert_string_equal(k.rendered.url, "http://x/k%222");
    struct err err;
    assert_int_equal(kit_render(&k, &BATCH, s.records, 2, &in, &err), ERR_BUG);
    kit_done(&k);
}

static void a_clear_sends_null_for_all_but_its_key(void **state)
{
    (void)state;
    static const char *const fields[] = {"id", "name", "home.city", NULL};
    static const struct {
        const char *tree, *body;
    } table[] = {
        {"{\"$records\":{\"$fields\":{}}}", "[{\"name\":null,\"home\":{\"city\":null}}]"},
        {"{\"$records\":{\"$fields\":{\"null\":\"omit\"}}}",
         "[{\"name\":null,\"home\":{\"city\":null}}]"},
        {"{\"$records\":{\"$fields\":{\"null\":\"~\",\"nested\":false}}}",
         "[{\"name\":\"~\",\"home.city\":\"~\"}]"},
        {"{\"$records\":{\"$row\":{\"filler\":\"\"}}}", "[[3,\"\",\"\"]]"},
        {"{\"$records\":[\"{{fields.id}}\",\"{{fields.name}}\"]}", "[[3,null]]"},
    };
    struct value key = sample_number("3");
    struct record r = {0, OP_CLEAR, &key, NULL};
    const struct kit_batch b = {.keys = ID, .fields = fields};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct kit k;
        struct render_input in = {0};
        kit_init(&k);
        kit_json(&k, table[i].tree);
        render(&k, &b, &r, 1, &in);
        assert_body(&k, table[i].body);
        kit_done(&k);
    }
}

static void columns_of_a_removal_are_its_keys(void **state)
{
    (void)state;
    static const char *const keys[] = {"email", "phone", NULL}, *const fields[] = {"email", "x",
                                                                                   NULL};
    struct value key[] = {sample_text("a@b.c"), {.kind = VALUE_NULL}};
    struct record r = {0, OP_DELETE, key, NULL};
    const struct kit_batch b = {.keys = keys, .fields = fields};
    struct render_input in = {0};
    struct kit k;
    kit_init(&k);
    k.request.ops = 1U << OP_DELETE;
    kit_json(&k, "{\"schema\":{\"$columns\":{\"as\":{\"email\":\"EMAIL\"}}},\"data\":{\"$records\":"
                 "{\"$row\":{\"filler\":\"\"}}}}");
    render(&k, &b, &r, 1, &in);
    assert_body(&k, "{\"schema\":[\"EMAIL\",\"phone\"],\"data\":[[\"a@b.c\",\"\"]]}");
    kit_done(&k);
}

static void what_a_policy_leaves_out_is_absent(void **state)
{
    (void)state;
    static const char *const fields[] = {"a", "b", "c", NULL};
    static const uint8_t policies[] = {POLICY_SET_IF_EMPTY, POLICY_OVERWRITE, POLICY_CREATE_ONLY};
    static const uint64_t left_out[] = {0, 1, 3};
    struct value key = sample_number("1"),
                 v[] = {sample_number("1"), sample_number("2"), sample_number("3")};
    struct record r[] = {{0, OP_UPSERT, &key, v}, {1, OP_UPSERT, &key, v}, {2, OP_UPSERT, &key, v}};
    const struct kit_batch b = {.keys = ID, .fields = fields, .policies = policies};
    struct render_input in = {.left_out = left_out};
    struct kit k;
    kit_init(&k);
    kit_json(&k, "{\"$records\":{\"$fields\":{},\"n\":\"{{fields.c}}\"}}");
    render(&k, &b, r, 3, &in);
    assert_body(
        &k, "[{\"a\":1,\"b\":2,\"c\":3,\"n\":3},{\"b\":2,\"c\":3,\"n\":3},{\"b\":2,\"n\":null}]");
    kit_done(&k);
}

/* Null adds nothing, but a clear says it; a nested object without members is taken back. */
static void a_list_that_is_added_has_a_form_of_its_own(void **state)
{
    (void)state;
    static const char *const fields[] = {"a", "b.c", "d", NULL};
    static const uint8_t policies[] = {POLICY_MERGE, POLICY_MERGE, POLICY_OVERWRITE};
    struct value key = sample_number("1"), list = value_of(VALUE_JSON, slice_str("[1,\"x\"]")),
                 null = {.kind = VALUE_NULL}, absent = {.kind = VALUE_ABSENT};
    struct value v[][3] = {{list, list, list}, {null, null, null}, {absent, absent, list}};
    struct record r[] = {{0, OP_UPSERT, &key, v[0]},
                         {1, OP_UPSERT, &key, v[1]},
                         {2, OP_UPSERT, &key, v[2]},
                         {3, OP_CLEAR, &key, NULL},
                         {4, OP_DELETE, &key, NULL}};
    const struct kit_batch b = {.keys = ID, .fields = fields, .policies = policies};
    struct render_input in = {0};
    struct kit k;
    kit_init(&k);
    kit_json(&k,
             "{\"$records\":{\"$fields\":{\"merge\":{\"add\":\"{{cell}}\",\"to\":\"{{column}}\"}}"
             ",\"n\":\"{{fields.a}}\"}}");
    render(&k, &b, r, 5, &in);
    assert_body(&k, "[{\"a\":{\"add\":[1,\"x\"],\"to\":\"a\"},"
                    "\"b\":{\"c\":{\"add\":[1,\"x\"],\"to\":\"c\"}},"
                    "\"d\":[1,\"x\"],\"n\":[1,\"x\"]},"
                    "{\"d\":null,\"n\":null},"
                    "{\"d\":[1,\"x\"],\"n\":null},"
                    "{\"a\":null,\"b\":{\"c\":null},\"d\":null,\"n\":null},"
                    "{\"n\":null}]");
    kit_done(&k);
}

/* Whatever the op: a field, or a key where it is called like it; without either no address. */
static void what_all_records_share_stands_anywhere(void **state)
{
    (void)state;
    static const char *const fields[] = {"list", "kind", NULL}, *const groups[] = {"kind", "id"};
    struct value key = sample_number("7"), kinds[] = {{.kind = VALUE_TEXT, 3, "a/b"}};
    struct value v[2] = {sample_number("1"), kinds[0]};
    struct record up[] = {{0, OP_UPSERT, &key, v}, {1, OP_UPSERT, &key, v}},
                  gone[] = {{0, OP_DELETE, &key, NULL}, {1, OP_DELETE, &key, NULL}};
    const struct kit_batch b = {.keys = ID, .fields = fields};
    struct render_input in = {0};
    struct err err;
    struct kit k;
    kit_init(&k);
    k.object.group_by = groups;
    k.object.group_count = 2;
    kit_json(
        &k,
        "{\"of\":\"{{group.kind|upper}}\",\"all\":{\"$records\":[\"{{group.id}}\",\"{{key}}\"]}}");
    k.step.url = kit_template(&k, "http://x/{{group.id}}?kind={{group.kind}}");
    render(&k, &b, up, 2, &in);
    assert_body(&k, "{\"of\":\"A/B\",\"all\":[[7,7],[7,7]]}");
    assert_string_equal(k.rendered.url, "http://x/7?kind=a%2Fb");
    render(&k, &b, gone, 2, &in);
    assert_body(&k, "{\"of\":null,\"all\":[[7,7],[7,7]]}");
    assert_string_equal(k.rendered.url, "http://x/7?kind=");
    kit_done(&k);
    kit_init(&k);
    k.object.group_by = groups;
    k.object.group_count = 2;
    k.step.url = kit_template(&k, "http://x/{{group.kind}}");
    assert_int_equal(kit_render(&k, &b, gone, 2, &in, &err), ERR_REFUSED);
    kit_done(&k);
}

static void a_member_of_the_templates_own_meets_a_field_of_that_name(void **state)
{
    (void)state;
    static const char *const fields[] = {"id", "name", NULL};
    static const struct {
        const char *tree, *body; /* NULL: refused */
    } table[] = {
        {"{\"$records\":{\"id\":\"{{key}}\",\"$fields\":{}}}", "[{\"id\":1,\"name\":\"n\"}]"},
        {"{\"$records\":{\"$fields\":{},\"$keys\":{}}}", "[{\"name\":\"n\",\"id\":1}]"},
        {"{\"$records\":{\"name\":\"{{fields.name|upper}}\",\"$fields\":{\"except\":[\"id\"]}}}",
         "[{\"name\":\"N\"}]"},
        {"{\"$records\":{\"name\":\"other\",\"$fields\":{}}}", NULL},
        {"{\"$records\":{\"name\":{\"x\":1},\"$fields\":{}}}", NULL},
    };
    struct value key = sample_number("1"), v[] = {sample_number("1"), sample_text("n")};
    struct record r = {0, OP_UPSERT, &key, v};
    const struct kit_batch b = {.keys = ID, .fields = fields};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct kit k;
        struct err err;
        struct render_input in = {0};
        kit_init(&k);
        kit_json(&k, table[i].tree);
        enum err_code rc = kit_render(&k, &b, &r, 1, &in, &err);
        assert_int_equal(rc, table[i].body ? ERR_OK : ERR_CONFIG);
        if (table[i].body)
            assert_body(&k, table[i].body);
        else
            assert_non_null(strstr(err.text, "name"));
        kit_done(&k);
    }
}

static void a_field_that_stands_inside_another_cannot_be_placed(void **state)
{
    (void)state;
    static const char *const wrong[][3] = {
        {"a", "a.b", NULL}, {"a.b", "a", NULL}, {"a", "a", NULL}};
    struct value key = sample_number("1"), v[] = {sample_number("1"), sample_number("2")};
    struct record r = {0, OP_UPSERT, &key, v};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        const struct kit_batch b = {.keys = ID, .fields = wrong[i]};
        struct kit k;
        struct err err;
        struct render_input in = {0};
        kit_init(&k);
        kit_json(&k, "{\"$records\":{\"$fields\":{}}}");
        assert_int_equal(kit_render(&k, &b, &r, 1, &in, &err), ERR_CONFIG);
        kit_done(&k);
    }
}

/* ---- names of records ---- */

static void a_trace_comes_back_as_its_ordinal(void **state)
{
    (void)state;
    static const uint32_t ordinals[] = {0, 7, 65534, UINT32_MAX};
    static const char *const foreign[] = {
        "", "r", "7", "r07", "r-1", "r4294967296", "R1", "r1 ", "r99999999999999999999"};
    uint32_t got;
    for (size_t i = 0; i < ARRAY_LEN(ordinals); i++) {
        char text[12];
        render_trace(ordinals[i], text);
        assert_true(render_trace_parse(slice_str(text), &got));
        assert_int_equal(got, ordinals[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        assert_false(render_trace_parse(slice_str(foreign[i]), &got));
}

static void uid_of(const struct record *r, uint32_t count, char *ret_uid)
{
    static const char *const fields[] = {"a", "b", NULL};
    const struct kit_batch b = {.keys = ID, .fields = fields, .planned = 50};
    struct render_input in = {.now_ms = 1000 + count};
    struct kit k;
    kit_init(&k);
    kit_json(&k, "{\"$records\":\"{{uid}}\",\"only\":{\"op\":[\"append\"]}}");
    render(&k, &b, r, count, &in);
    assert_int_equal(k.rendered.body.n, 40);
    memcpy(ret_uid, k.rendered.body.p + 2, 36);
    ret_uid[36] = '\0';
    kit_done(&k);
}

static void a_uid_is_of_the_record_and_not_of_its_request(void **state)
{
    (void)state;
    struct value key = sample_number("1"), other = sample_text("1");
    struct value v[] = {sample_text("x"), {.kind = VALUE_NULL}},
                 w[] = {sample_text("x"), sample_text("")};
    struct record alone = {3, OP_APPEND, &key, v}, changed = {3, OP_APPEND, &key, w},
                  elsewhere = {3, OP_APPEND, &other, v};
    struct record among[] = {{1, OP_DELETE, &other, NULL}, {3, OP_APPEND, &key, v}};
    char uid[37], again[37], different[37];
    uid_of(&alone, 1, uid);
    uid_of(among, 2, again);
    assert_string_equal(uid, again);
    assert_int_equal(uid[14], '5');
    assert_non_null(strchr("89ab", uid[19]));
    for (size_t i = 0; i < 36; i++)
        assert_int_equal(uid[i] == '-', i == 8 || i == 13 || i == 18 || i == 23);
    uid_of(&changed, 1, different);
    assert_string_not_equal(uid, different);
    uid_of(&elsewhere, 1, different);
    assert_string_not_equal(uid, different);
    /* It is written down by destinations: it may not change from one release to the next. */
    assert_string_equal(uid, "23422d39-6d47-5cfb-b45e-93f4757a701f");
}

/* ---- the webhook ---- */

static void the_generic_words_give_the_webhooks_body(void **state)
{
    (void)state;
    struct sample s;
    sample_make(&s);
    struct record clear = {11, OP_CLEAR, &s.keys[2], NULL};
    struct record all[] = {s.records[0], s.records[1], s.records[2], clear};
    struct kit k;
    struct render_input in = {0};
    kit_init(&k);
    kit_json(&k,
             "{\"sync\":\"{{sync}}\",\"run\":\"{{run}}\",\"batch\":\"{{batch}}\",\"attempt\":"
             "\"{{attempt}}\",\"records\":{\"$records\":{\"op\":\"{{op}}\",\"key\":{\"$keys\":{}},"
             "\"fields\":{\"$fields\":{}}}}}");
    render(&k, &BATCH, all, ARRAY_LEN(all), &in);
    assert_body(
        &k, "{\"sync\":\"s\",\"run\":\"r\",\"batch\":\"b\",\"attempt\":3,\"records\":[{"
            "\"op\":\"upsert\",\"key\":{\"id\":1},\"fields\":{\"name\":\"A "
            "\\\"b\\\"\",\"age\":123456789012345678901234567890,\"vip\":true,\"note\":null,"
            "\"tags\":[1,\"x\"],\"home\":{\"city\":\"Ulm\"}}},"
            "{\"op\":\"update\",\"key\":{\"id\":\"k\\\"2\"},\"fields\":{\"name\":null,\"vip\":"
            "false,\"note\":\"\",\"tags\":null}},"
            "{\"op\":\"delete\",\"key\":{\"id\":3},\"fields\":{}},"
            "{\"op\":\"clear\",\"key\":{\"id\":3},\"fields\":{\"name\":null,\"age\":null,\"vip\":"
            "null,\"note\":null,\"tags\":null,\"home\":{\"city\":null,\"zip\":null}}}]}");
    kit_done(&k);
}

static void a_plan_serves_the_batches_of_its_key(void **state)
{
    (void)state;
    struct slice names[] = {SLICE_LIT("a"), SLICE_LIT("b"), SLICE_LIT("ab")};
    struct field_path one = {names, 1}, two = {names, 2}, other = {names + 1, 1};
    struct batch_head heads[] = {
        {.sync = SLICE_LIT("s"),
         .key_names = names,
         .key_count = 1,
         .fields = &one,
         .field_count = 1},
        {.sync = SLICE_LIT("t"),
         .key_names = names,
         .key_count = 1,
         .fields = &one,
         .field_count = 1},
        {.sync = SLICE_LIT("s"),
         .key_names = names,
         .key_count = 2,
         .fields = &one,
         .field_count = 1},
        {.sync = SLICE_LIT("s"),
         .key_names = names,
         .key_count = 1,
         .fields = &two,
         .field_count = 1},
        {.sync = SLICE_LIT("s"),
         .key_names = names,
         .key_count = 1,
         .fields = &other,
         .field_count = 1},
        {.sync = SLICE_LIT("s"),
         .key_names = names,
         .key_count = 1,
         .fields = &one,
         .field_count = 1,
         .policies = (const uint8_t[]){POLICY_MERGE}},
    };
    struct buf keys[ARRAY_LEN(heads)], again;
    buf_init(&again, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        buf_init(&keys[i], 1 << 20);
        assert_int_equal(render_plan_key(&keys[i], &heads[i]), ERR_OK);
        for (size_t j = 0; j < i; j++)
            assert_false(slice_eq(buf_slice(&keys[i]), buf_slice(&keys[j])));
    }
    heads[0].run = SLICE_LIT("another run");
    assert_int_equal(render_plan_key(&again, &heads[0]), ERR_OK);
    assert_true(slice_eq(buf_slice(&again), buf_slice(&keys[0])));
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        buf_done(&keys[i]);
    buf_done(&again);
}

static void a_body_above_the_requests_bytes_is_too_large(void **state)
{
    (void)state;
    struct sample s;
    struct kit k;
    struct render_input in = {0};
    struct err err;
    sample_make(&s);
    kit_init(&k);
    kit_json(&k, "{\"$records\":\"{{key}}\"}");
    k.object.max_bytes = 4;
    assert_int_equal(kit_render(&k, &BATCH, s.records, 3, &in, &err), ERR_FULL);
    k.request.max_bytes = 12; /* [1,"k\"2",3] */
    assert_int_equal(kit_render(&k, &BATCH, s.records, 3, &in, &err), ERR_OK);
    k.request.max_bytes = 11;
    assert_int_equal(kit_render(&k, &BATCH, s.records, 3, &in, &err), ERR_FULL);
    kit_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_of_one_record_may_name_it_anywhere),
        cmocka_unit_test(a_clear_sends_null_for_all_but_its_key),
        cmocka_unit_test(columns_of_a_removal_are_its_keys),
        cmocka_unit_test(what_a_policy_leaves_out_is_absent),
        cmocka_unit_test(a_list_that_is_added_has_a_form_of_its_own),
        cmocka_unit_test(what_all_records_share_stands_anywhere),
        cmocka_unit_test(a_member_of_the_templates_own_meets_a_field_of_that_name),
        cmocka_unit_test(a_field_that_stands_inside_another_cannot_be_placed),
        cmocka_unit_test(a_trace_comes_back_as_its_ordinal),
        cmocka_unit_test(a_uid_is_of_the_record_and_not_of_its_request),
        cmocka_unit_test(the_generic_words_give_the_webhooks_body),
        cmocka_unit_test(a_plan_serves_the_batches_of_its_key),
        cmocka_unit_test(a_body_above_the_requests_bytes_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
