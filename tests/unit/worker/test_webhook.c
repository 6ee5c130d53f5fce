/* The exact bytes that the webhook connector sends, its headers, signature and compression. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/hmac.h>
#include <zlib.h>

#include "tests/unit/worker/there.h"

#define PLAIN "{type: webhook, url: \"http://x/in\"}"

static const char *const KEY_ID[] = {"id", NULL};

/* What one record becomes, between the opening and the closing of a body. */
static void assert_record(struct there *b, const char *const *fields, const struct record *r,
                          const char *expected)
{
    struct err err;
    struct sample_head h = {"s", "r", "b", "hook", "f", KEY_ID, fields, 0};
    if (there_render(b, &h, r, 1, &err))
        fail_msg("%s", err.text);
    char whole[2048];
    snprintf(whole, sizeof whole,
             "{\"sync\":\"s\",\"run\":\"r\",\"batch\":\"b\",\"attempt\":3,\"records\":[%s]}",
             expected);
    if (!slice_eq_str(b->rendered.body, whole))
        fail_msg("\n%.*s\nis not\n%s", (int)b->rendered.body.n, b->rendered.body.p, whole);
}

static const char *header_of(const struct rendered *r, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < r->header_count; i++) {
        if (strncmp(r->headers[i], name, strlen(name)) == 0) {
            assert_null(found);
            found = r->headers[i] + strlen(name);
        }
    }
    return found;
}

static void open_plain(struct there *b)
{
    struct err err;
    assert_int_equal(there_open(b, PLAIN, NULL, &err), ERR_OK);
}

static void values_keep_their_types_and_every_digit(void **state)
{
    (void)state;
    static const char *const fields[] = {"a", "b", "c", "d", "e", "f", NULL};
    struct there b;
    open_plain(&b);
    struct value key = sample_number("9007199254740993");
    struct value values[] = {
        sample_number("12345678901234567890.123456789"),
        {.kind = VALUE_TRUE},
        {.kind = VALUE_FALSE},
        {.kind = VALUE_NULL},
        sample_json("{\"n\":1.10}"),
        sample_json("[1,\"x\"]"),
    };
    struct record r = {0, OP_UPSERT, &key, values};
    assert_record(&b, fields, &r,
                  "{\"op\":\"upsert\",\"key\":{\"id\":9007199254740993},\"fields\":{"
                  "\"a\":12345678901234567890.123456789,\"b\":true,\"c\":false,\"d\":null,"
                  "\"e\":{\"n\":1.10},\"f\":[1,\"x\"]}}");
    there_close(&b);
}

static void every_operation_has_its_name(void **state)
{
    (void)state;
    static const char *const fields[] = {"id", "email", NULL};
    static const struct {
        enum record_op op;
        const char *text;
    } table[] = {
        {OP_UPSERT,
         "{\"op\":\"upsert\",\"key\":{\"id\":1},\"fields\":{\"id\":1,\"email\":\"a@b.c\"}}"},
        {OP_INSERT,
         "{\"op\":\"insert\",\"key\":{\"id\":1},\"fields\":{\"id\":1,\"email\":\"a@b.c\"}}"},
        {OP_UPDATE,
         "{\"op\":\"update\",\"key\":{\"id\":1},\"fields\":{\"id\":1,\"email\":\"a@b.c\"}}"},
        {OP_APPEND,
         "{\"op\":\"append\",\"key\":{\"id\":1},\"fields\":{\"id\":1,\"email\":\"a@b.c\"}}"},
        {OP_DELETE, "{\"op\":\"delete\",\"key\":{\"id\":1},\"fields\":{}}"},
        {OP_CLEAR, "{\"op\":\"clear\",\"key\":{\"id\":1},\"fields\":{\"email\":null}}"},
    };
    struct there b;
    open_plain(&b);
    struct value key = sample_number("1"), values[] = {sample_number("1"), sample_text("a@b.c")};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        bool bare = table[i].op == OP_DELETE || table[i].op == OP_CLEAR;
        struct record r = {0, table[i].op, &key, bare ? NULL : values};
        assert_record(&b, fields, &r, table[i].text);
    }
    there_close(&b);
}

static void paths_that_begin_alike_share_an_object(void **state)
{
    (void)state;
    static const char *const fields[] = {"address.city", "email",           "address.geo.lat",
                                         "address.zip",  "address.geo.lon", NULL};
    struct there b;
    open_plain(&b);
    struct value key = sample_text("k");
    struct value v[] = {sample_text("Ulm"), sample_text("e"), sample_number("1"), sample_text("89"),
                        sample_number("2")};
    struct record r = {0, OP_UPSERT, &key, v};
    assert_record(
        &b, fields, &r,
        "{\"op\":\"upsert\",\"key\":{\"id\":\"k\"},\"fields\":{\"address\":{\"city\":\"Ulm\","
        "\"geo\":{\"lat\":1,\"lon\":2},\"zip\":\"89\"},\"email\":\"e\"}}");
    v[0].kind = v[3].kind = VALUE_ABSENT;
    assert_record(&b, fields, &r,
                  "{\"op\":\"upsert\",\"key\":{\"id\":\"k\"},\"fields\":{\"address\":{"
                  "\"geo\":{\"lat\":1,\"lon\":2}},\"email\":\"e\"}}");
    v[2].kind = v[4].kind = VALUE_ABSENT;
    assert_record(&b, fields, &r,
                  "{\"op\":\"upsert\",\"key\":{\"id\":\"k\"},\"fields\":{\"email\":\"e\"}}");
    v[1].kind = VALUE_ABSENT;
    assert_record(&b, fields, &r, "{\"op\":\"upsert\",\"key\":{\"id\":\"k\"},\"fields\":{}}");
    r.op = OP_CLEAR;
    r.fields = NULL;
    assert_record(&b, fields, &r,
                  "{\"op\":\"clear\",\"key\":{\"id\":\"k\"},\"fields\":{\"address\":{\"city\":null,"
                  "\"geo\":{\"lat\":null,\"lon\":null},\"zip\":null},\"email\":null}}");
    there_close(&b);
}

static void text_is_escaped_and_nothing_more(void **state)
{
    (void)state;
    static const char *const fields[] = {"a \"quoted\" name", "b", NULL};
    struct there b;
    open_plain(&b);
    struct value key = sample_text("\\ \" / \x7f \xc3\xa9 \xf0\x9f\x98\x80");
    struct value v[] = {sample_text("\b\f\n\r\t\x01\x1f"), sample_text("{")};
    struct record r = {0, OP_UPSERT, &key, v};
    assert_record(&b, fields, &r,
                  "{\"op\":\"upsert\",\"key\":{\"id\":\"\\\\ \\\" / \x7f \xc3\xa9 "
                  "\xf0\x9f\x98\x80\"},\"fields\":{"
                  "\"a \\\"quoted\\\" name\":\"\\b\\f\\n\\r\\t\\u0001\\u001f\",\"b\":\"{\"}}");
    there_close(&b);
}

static void keys_may_be_of_any_type_and_of_several_parts(void **state)
{
    (void)state;
    static const char *const keys[] = {"n", "t", "b", NULL}, *const fields[] = {"x", NULL};
    struct there b;
    open_plain(&b);
    struct value key[] = {sample_number("-1.5e3"), sample_text("t"), {.kind = VALUE_TRUE}};
    struct value v = sample_number("0");
    struct record records[] = {{4, OP_UPSERT, key, &v}, {9, OP_DELETE, key, NULL}};
    struct sample_head h = {"s", "r", "b", "hook", "f", keys, fields, 20};
    struct err err;
    assert_int_equal(there_render(&b, &h, records, 2, &err), ERR_OK);
    assert_true(slice_eq_str(
        b.rendered.body,
        "{\"sync\":\"s\",\"run\":\"r\",\"batch\":\"b\",\"attempt\":3,\"records\":["
        "{\"op\":\"upsert\",\"key\":{\"n\":-1.5e3,\"t\":\"t\",\"b\":true},\"fields\":{\"x\":0}},"
        "{\"op\":\"delete\",\"key\":{\"n\":-1.5e3,\"t\":\"t\",\"b\":true},\"fields\":{}}]}"));
    assert_int_equal(b.rendered.records, 2);
    assert_int_equal(b.rendered.ordinals[0], 4);
    assert_int_equal(b.rendered.ordinals[1], 9);
    assert_int_equal(b.rendered.ops[1], OP_DELETE);
    there_close(&b);
}

static void a_field_that_stands_inside_another_stops_the_run(void **state)
{
    (void)state;
    static const char *const wrong[][3] = {
        {"a", "a.b", NULL}, {"a.b", "a", NULL}, {"a", "a", NULL}};
    struct there b;
    open_plain(&b);
    struct value key = sample_number("1"), v[] = {sample_number("1"), sample_number("2")};
    struct record r = {0, OP_UPSERT, &key, v};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct sample_head h = {"s", "r", "b", "hook", "f", KEY_ID, wrong[i], 0};
        struct err err;
        assert_int_equal(there_render(&b, &h, &r, 1, &err), ERR_CONFIG);
    }
    there_close(&b);
}

static void many_heads_take_turns_in_the_cache(void **state)
{
    (void)state;
    struct there b;
    open_plain(&b);
    struct value key = sample_number("1"), v = sample_number("2");
    struct record r = {0, OP_UPSERT, &key, &v};
    for (int i = 0; i < 120; i++) {
        char name[16], expected[128];
        snprintf(name, sizeof name, "f%d", i % 40);
        const char *fields[] = {name, NULL};
        snprintf(expected, sizeof expected,
                 "{\"op\":\"upsert\",\"key\":{\"id\":1},\"fields\":{\"f%d\":2}}", i % 40);
        assert_record(&b, fields, &r, expected);
    }
    there_close(&b);
}

/* ---- headers ---- */

static void render_one(struct there *b)
{
    static const char *const fields[] = {"x", NULL};
    struct value key = sample_number("1"),
                 v = sample_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    struct record r = {0, OP_UPSERT, &key, &v};
    struct sample_head h = {"s", "r", "b", "hook", "f", KEY_ID, fields, 0};
    struct err err;
    assert_int_equal(there_render(b, &h, &r, 1, &err), ERR_OK);
}

static void a_request_names_its_records_and_its_type(void **state)
{
    (void)state;
    struct there b;
    open_plain(&b);
    for (int i = 0; i < 2; i++) {
        render_one(&b);
        assert_string_equal(b.rendered.url, "http://x/in");
        assert_string_equal(header_of(&b.rendered, "Content-Type: "), "application/json");
        assert_string_equal(header_of(&b.rendered, "Idempotency-Key: "), "batch-7-00ff");
        assert_int_equal(b.rendered.header_count, 2);
    }
    there_close(&b);
}

static void configured_headers_and_credentials_go_with_it(void **state)
{
    (void)state;
    struct there b;
    struct err err;
    assert_int_equal(there_open(&b,
                                "{type: webhook, url: \"http://x/in\", bearer: t0ken, headers: "
                                "{X-Team: data, X-Empty: \"\"}}",
                                NULL, &err),
                     ERR_OK);
    render_one(&b);
    assert_string_equal(header_of(&b.rendered, "X-Team: "), "data");
    assert_string_equal(header_of(&b.rendered, "Content-Type: "), "application/json");
    assert_string_equal(header_of(&b.rendered, "Authorization: "), "Bearer t0ken");
    assert_non_null(header_of(&b.rendered, "X-Empty;"));
    there_close(&b);

    assert_int_equal(there_open(&b,
                                "{type: webhook, url: \"http://x/in\", basic: {user: Aladdin, "
                                "password: open sesame}}",
                                NULL, &err),
                     ERR_OK);
    render_one(&b);
    assert_string_equal(header_of(&b.rendered, "Authorization: "),
                        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    there_close(&b);
}

static void unpacked(struct slice body, char *out, size_t room, size_t *ret_n)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body.p,
                  .avail_in = (uInt)body.n,
                  .next_out = (Bytef *)out,
                  .avail_out = (uInt)room};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    *ret_n = z.total_out;
    inflateEnd(&z);
}

static void the_signature_is_of_the_json_whether_compressed_or_not(void **state)
{
    (void)state;
    for (int gzip = 0; gzip < 2; gzip++) {
        struct there b;
        struct err err;
        assert_int_equal(there_open(&b,
                                    gzip ? "{type: webhook, url: \"http://x/in\", sign: {secret: "
                                           "geheim}, gzip: true}"
                                         : "{type: webhook, url: \"http://x/in\", sign: {secret: "
                                           "geheim}}",
                                    NULL, &err),
                         ERR_OK);
        for (int again = 0; again < 2; again++) {
            render_one(&b);
            char json[1024];
            size_t n = b.rendered.body.n;
            if (gzip)
                unpacked(b.rendered.body, json, sizeof json, &n);
            else
                memcpy(json, b.rendered.body.p, n);
            assert_true(n > 100);
            assert_memory_equal(json, "{\"sync\":", 8);
            unsigned char mac[32];
            char expected[80] = "sha256=";
            HMAC(EVP_sha256(), "geheim", 6, (unsigned char *)json, n, mac, NULL);
            for (size_t i = 0; i < sizeof mac; i++)
                sprintf(expected + 7 + 2 * i, "%02x", mac[i]);
            assert_string_equal(header_of(&b.rendered, "X-Sluice-Signature: "), expected);
            if (gzip)
                assert_string_equal(header_of(&b.rendered, "Content-Encoding: "), "gzip");
            else
                assert_null(header_of(&b.rendered, "Content-Encoding: "));
        }
        there_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_keep_their_types_and_every_digit),
        cmocka_unit_test(every_operation_has_its_name),
        cmocka_unit_test(paths_that_begin_alike_share_an_object),
        cmocka_unit_test(text_is_escaped_and_nothing_more),
        cmocka_unit_test(keys_may_be_of_any_type_and_of_several_parts),
        cmocka_unit_test(a_field_that_stands_inside_another_stops_the_run),
        cmocka_unit_test(many_heads_take_turns_in_the_cache),
        cmocka_unit_test(a_request_names_its_records_and_its_type),
        cmocka_unit_test(configured_headers_and_credentials_go_with_it),
        cmocka_unit_test(the_signature_is_of_the_json_whether_compressed_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
