/* Addresses, headers, signatures, compression: everything of a request but its body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/hmac.h>
#include <zlib.h>

#include "tests/unit/worker/render_sample.h"

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *header_of(const struct kit *k, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < k->rendered.header_count; i++) {
        if (strncasecmp(k->rendered.headers[i], name, strlen(name)) == 0) {
            assert_null(found);
            found = k->rendered.headers[i] + strlen(name);
        }
    }
    return found;
}

static enum err_code render_one(struct kit *k, const char *key, struct render_input *in,
                                struct err *err)
{
    static const char *const id[] = {"id", NULL}, *const fields[] = {"x", NULL};
    const struct kit_batch b = {.keys = id, .fields = fields};
    struct value value = sample_text(key), v = {.kind = VALUE_NULL};
    struct record r = {0, OP_UPSERT, &value, &v};
    return kit_render(k, &b, &r, 1, in, err);
}

static void render_ok(struct kit *k, const char *key, struct render_input *in)
{
    struct err err;
    if (render_one(k, key, in, &err))
        fail_msg("%s", err.text);
}

/* ---- addresses ---- */

static void placeholders_in_an_address_are_percent_encoded(void **state)
{
    (void)state;
    static const struct {
        const char *template, *url; /* NULL: this record cannot be sent */
    } table[] = {
        {"http://x/in", "http://x/in"},
        {"{{options.base}}/v1/{{key}}", "https://api.x.com/v2/v1/a%20b%2Fc%3F%25%C3%A9"},
        {"{{vars.next}}", "https://n/?page=2&x=%20"},
        {"{{auth.token}}{{vars.path}}?q={{key}}",
         "https://t/services/data?q=a%20b%2Fc%3F%25%C3%A9"},
        {"http://x/{{options.base}}", "http://x/https%3A%2F%2Fapi.x.com%2Fv2"},
        {"http://x/{{vars.path}}", "http://x/%2Fservices%2Fdata"},
        {"http://x{{vars.path|raw}}", "http://x/services/data"},
        {"http://x/{{object}}/{{identify_by}}", "http://x/things/id"},
        {"http://x/a b?c=\"{d}\"", "http://x/a%20b?c=%22%7Bd%7D%22"},
        {"http://x/{{fields.x}}", NULL},
        {"http://x/{{found}}/y", NULL},
        {"http://x/?x={{fields.x}}", "http://x/?x="},
    };
    static const struct slice vars[] = {{"https://n/?page=2&x=%20", 23}, {"/services/data", 14}};
    static const struct slice auth[] = {{"https://t", 9}, {0}, {0}, {0}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct kit k;
        struct err err;
        struct render_input in = {.vars = vars, .auth_vars = auth};
        kit_init(&k);
        kit_option(&k, "base", OPTION_TEXT, "https://api.x.com/v2");
        kit_var(&k, "next");
        kit_var(&k, "path");
        k.step.url = kit_template(&k, table[i].template);
        enum err_code rc = render_one(&k, "a b/c?%\xc3\xa9", &in, &err);
        assert_int_equal(rc, table[i].url ? ERR_OK : ERR_REFUSED);
        if (table[i].url)
            assert_string_equal(k.rendered.url, table[i].url);
        kit_done(&k);
    }
}

static void a_path_never_loses_the_record_that_it_names(void **state)
{
    (void)state;
    static const char *const keys[] = {"", ".", ".."};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct kit k;
        struct err err;
        struct render_input in = {0};
        kit_init(&k);
        k.step.url = kit_template(&k, "http://x/contacts/{{key}}");
        assert_int_equal(render_one(&k, keys[i], &in, &err), ERR_REFUSED);
        kit_done(&k);
    }
}

static void a_query_leaves_out_what_is_absent(void **state)
{
    (void)state;
    const struct {
        const char *url;
        const char *const *query;
        const char *expected;
    } table[] = {
        {"http://x/in", LIST("a: {{key}}", "b: {{fields.x}}", "c d: 1,{{fields.x}}"),
         "http://x/in?a=k%26&c%20d=1%2C&token=t%2F"},
        {"http://x/in?z=1", LIST("a: {{options.none}}"), "http://x/in?z=1&token=t%2F"},
        {"http://x/in", LIST("now: {{now}}"), "http://x/in?now=17&token=t%2F"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct kit k;
        struct render_input in = {.now_ms = 17999};
        kit_init(&k);
        kit_option(&k, "none", OPTION_TEXT, "");
        kit_option(&k, "token", OPTION_TEXT, "t/");
        k.step.url = kit_template(&k, table[i].url);
        k.step.query = kit_named(&k, &k.step.query_count, table[i].query);
        k.auth.query = kit_named(&k, &k.auth.query_count, LIST("token: {{options.token}}"));
        k.context.auth = &k.auth;
        render_ok(&k, "k&", &in);
        assert_string_equal(k.rendered.url, table[i].expected);
        kit_done(&k);
    }
}

static void an_address_that_http_does_not_allow_stops_the_run(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "http://x/ y", "http://x/\r\nHost: z", "http://x/\x7f"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct kit k;
        struct err err;
        struct render_input in = {0};
        kit_init(&k);
        kit_option(&k, "base", OPTION_TEXT, wrong[i]);
        k.step.url = kit_template(&k, "{{options.base}}");
        assert_int_equal(render_one(&k, "k", &in, &err), ERR_CONFIG);
        assert_null(strstr(err.text, "Host"));
        kit_done(&k);
    }
}

/* ---- headers ---- */

static void every_kind_of_body_names_its_type(void **state)
{
    (void)state;
    static const char *const types[] = {
        [BODY_JSON_TREE] = "application/json",
        [BODY_NDJSON] = "application/x-ndjson",
        [BODY_FORM] = "application/x-www-form-urlencoded",
        [BODY_CSV] = "text/csv",
        [BODY_TEXT] = "text/plain",
    };
    for (enum body_kind kind = BODY_JSON_TREE; kind <= BODY_TEXT; kind++) {
        struct kit k;
        struct render_input in = {0};
        kit_init(&k);
        k.step.body = kind;
        k.step.json = kit_tree(&k, "{}");
        k.step.text = kit_template(&k, "x");
        k.step.csv = (struct csv_form){.fields = {.policy = -1}, .delimiter = ',', .line = "\n"};
        render_ok(&k, "k", &in);
        assert_string_equal(header_of(&k, "Content-Type: "), types[kind]);
        k.step.headers = kit_named(&k, &k.step.header_count, LIST("content-type: text/x"));
        render_ok(&k, "k", &in);
        assert_string_equal(header_of(&k, "Content-Type: "), "text/x");
        kit_done(&k);
    }
}

static void headers_come_from_step_auth_and_destination(void **state)
{
    (void)state;
    static const struct param own[] = {{"X-Team", "data"}, {"x-version", "9"}, {"X-Empty", ""}};
    static const struct slice auth_vars[] = {{"tok", 3}, {0}, {0}, {0}};
    struct kit k;
    struct render_input in = {.auth_vars = auth_vars};
    kit_init(&k);
    kit_option(&k, "none", OPTION_TEXT, NULL);
    k.step.headers = kit_named(&k, &k.step.header_count,
                               LIST("X-Version: 1", "X-Key: <{{key}}>", "X-None: {{options.none}}",
                                    "X-Null: {{fields.x}}", "X-Part: {{part}}"));
    k.auth.headers =
        kit_named(&k, &k.auth.header_count, LIST("Authorization: Bearer {{auth.token}}"));
    k.context.auth = &k.auth;
    k.step.idempotency = "Idempotency-Key";
    k.destination.headers = own;
    k.destination.header_count = ARRAY_LEN(own);
    render_ok(&k, "k", &in);
    assert_string_equal(header_of(&k, "X-Version: "), "9");
    assert_string_equal(header_of(&k, "X-Key: "), "<k>");
    assert_null(header_of(&k, "X-None"));
    assert_null(header_of(&k, "X-Null"));
    assert_string_equal(header_of(&k, "X-Part: "), "p");
    assert_string_equal(header_of(&k, "Authorization: "), "Bearer tok");
    assert_string_equal(header_of(&k, "Idempotency-Key: "), "p");
    assert_string_equal(header_of(&k, "X-Team: "), "data");
    assert_non_null(header_of(&k, "X-Empty;"));
    kit_done(&k);
}

static void user_and_password_are_encoded(void **state)
{
    (void)state;
    struct kit k;
    struct render_input in = {0};
    kit_init(&k);
    kit_option(&k, "user", OPTION_TEXT, "Aladdin");
    k.auth.basic = true;
    k.auth.user = kit_template(&k, "{{options.user}}");
    k.auth.password = kit_template(&k, "open sesame");
    k.context.auth = &k.auth;
    render_ok(&k, "k", &in);
    assert_string_equal(header_of(&k, "Authorization: "), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    kit_done(&k);
}

static void a_header_cannot_smuggle_in_another(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "X-A: 1\r\nX-B: 2", "X-A\r\nX-B: 1",        ": x", "X A: 1", "X:A: 1",
        "X-A: {{key}}",     "X-A: {{options.evil}}"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct kit k;
        struct err err;
        struct render_input in = {0};
        kit_init(&k);
        kit_option(&k, "evil", OPTION_TEXT, "1\r\nX-B: 2");
        k.step.headers = kit_named(&k, &k.step.header_count, LIST(wrong[i]));
        assert_int_equal(render_one(&k, "1\r\nX-B: 2", &in, &err), ERR_CONFIG);
        assert_null(strstr(err.text, "X-B"));
        kit_done(&k);
    }
}

/* ---- signatures and compression ---- */

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

static void a_body_is_compressed_and_signed_as_it_was_before(void **state)
{
    (void)state;
    static const char text[] = "{\"key\":\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"}";
    unsigned char mac[64];
    unsigned n = 0;
    char expected[160] = "sha512=";
    struct kit k;
    struct render_input in = {0};
    kit_init(&k);
    kit_option(&k, "secret", OPTION_TEXT, "geheim");
    kit_json(&k, "{\"key\":\"{{key}}\"}");
    kit_option(&k, "pack", OPTION_BOOL, "true");
    k.step.gzip_option = 1;
    k.auth.hmac = (struct hmac_sign){.header = "X-Sign",
                                     .algorithm = "sha512",
                                     .secret = kit_template(&k, "{{options.secret}}"),
                                     .of_body = true,
                                     .prefix = kit_template(&k, "sha512=")};
    k.context.auth = &k.auth;
    HMAC(EVP_sha512(), "geheim", 6, (const unsigned char *)text, strlen(text), mac, &n);
    for (unsigned i = 0; i < n; i++)
        sprintf(expected + 7 + 2 * i, "%02x", mac[i]);
    for (int again = 0; again < 2; again++) {
        char plain[256];
        size_t bytes;
        render_ok(&k, "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", &in);
        unpacked(k.rendered.body, plain, sizeof plain, &bytes);
        assert_int_equal(bytes, strlen(text));
        assert_memory_equal(plain, text, bytes);
        assert_string_equal(header_of(&k, "Content-Encoding: "), "gzip");
        assert_string_equal(header_of(&k, "X-Sign: "), expected);
    }
    k.option_values[1] = "false";
    render_ok(&k, "k", &in);
    assert_body(&k, "{\"key\":\"k\"}");
    assert_null(header_of(&k, "Content-Encoding: "));
    k.step.gzip = true;
    render_ok(&k, "k", &in);
    assert_string_equal(header_of(&k, "Content-Encoding: "), "gzip");
    kit_done(&k);
}

/* RFC 4231, test case 2. */
static void a_template_may_be_signed_into_the_query(void **state)
{
    (void)state;
    static const struct slice auth_vars[] = {{"what do ya want for nothing?", 28}, {0}, {0}, {0}};
    struct kit k;
    struct render_input in = {.auth_vars = auth_vars};
    kit_init(&k);
    k.auth.hmac = (struct hmac_sign){.query = "proof",
                                     .algorithm = "sha256",
                                     .secret = kit_template(&k, "Jefe"),
                                     .of = kit_template(&k, "{{auth.token}}")};
    k.context.auth = &k.auth;
    render_ok(&k, "k", &in);
    assert_string_equal(k.rendered.url, "http://x/in?proof=5bdcc146bf60754e6a042426089575c75a003f"
                                        "089d2739839dec58b964ec3843");
    k.auth.hmac.query = NULL;
    k.auth.hmac.header = "X-Sign";
    k.auth.hmac.encoding = HMAC_BASE64;
    render_ok(&k, "k", &in);
    assert_string_equal(header_of(&k, "X-Sign: "), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
    k.auth.hmac.algorithm = "rot13";
    struct err err;
    assert_int_equal(render_one(&k, "k", &in, &err), ERR_CONFIG);
    kit_done(&k);
}

static void what_signs_for_aws_is_handed_on(void **state)
{
    (void)state;
    struct kit k;
    struct render_input in = {0};
    kit_init(&k);
    kit_option(&k, "region", OPTION_TEXT, "eu-1");
    k.auth.sigv4 =
        (struct sigv4){true, kit_template(&k, "s3"), kit_template(&k, "{{options.region}}"),
                       kit_template(&k, "AK"), kit_template(&k, "SK")};
    k.context.auth = &k.auth;
    render_ok(&k, "k", &in);
    assert_string_equal(k.rendered.sigv4.service, "s3");
    assert_string_equal(k.rendered.sigv4.region, "eu-1");
    assert_string_equal(k.rendered.sigv4.key, "AK");
    assert_string_equal(k.rendered.sigv4.secret, "SK");
    kit_done(&k);
}

/* ---- without records ---- */

static void a_request_without_records_needs_no_batch(void **state)
{
    (void)state;
    static const struct slice auth_vars[] = {{NULL, 0}, {0}, {"re fresh", 8}, {0}};
    struct kit k;
    struct err err;
    struct render_plan *plan;
    struct render_input in = {.auth_vars = auth_vars, .now_ms = 5000};
    struct buf text;
    kit_init(&k);
    kit_option(&k, "id", OPTION_TEXT, "me");
    k.step.url = kit_template(&k, "http://x/token");
    k.step.body = BODY_FORM;
    struct form_member form[] = {{.name = "client", .text = kit_template(&k, "{{options.id}}")},
                                 {.name = "refresh", .text = kit_template(&k, "{{auth.refresh}}")}};
    k.step.form = form;
    k.step.form_count = 2;
    assert_int_equal(render_plan_new(&k.context, NULL, &plan, &err), ERR_OK);
    assert_int_equal(render_step(plan, &in, &k.rendered, &err), ERR_OK);
    assert_body(&k, "client=me&refresh=re%20fresh");
    assert_int_equal(k.rendered.records, 0);
    render_plan_free(plan);

    struct template t = kit_template(&k, "{{options.id}}:{{auth.refresh}}@{{now}}{{auth.token}}");
    buf_init(&text, 1 << 20);
    assert_int_equal(render_template(&k.context, &t, &in, false, &text, &err), ERR_OK);
    assert_string_equal(buf_cstr(&text), "me:re fresh@5");
    buf_reset(&text);
    assert_int_equal(render_template(&k.context, &t, &in, true, &text, &err), ERR_OK);
    assert_string_equal(buf_cstr(&text), "me%3Are%20fresh%405");
    buf_done(&text);
    kit_done(&k);
}

static void a_session_is_of_its_run_and_counts_its_batches(void **state)
{
    (void)state;
    static const char *const id[] = {"id", NULL}, *const fields[] = {"x", NULL};
    struct value key = sample_text("k"), v = {.kind = VALUE_NULL};
    struct record r = {0, OP_UPSERT, &key, &v};
    char first[96] = "";
    for (uint32_t seq = 1; seq <= 2; seq++) {
        const struct kit_batch b = {
            .keys = id, .fields = fields, .sequence = seq, .last = seq == 2};
        struct kit k;
        struct render_input in = {.now_ms = seq};
        struct err err;
        char expected[96];
        kit_init(&k);
        k.step.body = BODY_TEXT;
        k.step.text = kit_template(&k, "{{session.id}}");
        assert_int_equal(kit_render(&k, &b, &r, 1, &in, &err), ERR_OK);
        snprintf(expected, sizeof expected, "%.*s", (int)k.rendered.body.n, k.rendered.body.p);
        assert_true(strtoll(expected, NULL, 10) > 0);
        if (*first)
            assert_string_equal(first, expected);
        snprintf(first, sizeof first, "%s", expected);
        k.step.text = kit_template(&k, "{{session.seq}} {{session.last}}");
        assert_int_equal(kit_render(&k, &b, &r, 1, &in, &err), ERR_OK);
        assert_body(&k, seq == 2 ? "2 true" : "1 false");
        kit_done(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placeholders_in_an_address_are_percent_encoded),
        cmocka_unit_test(a_path_never_loses_the_record_that_it_names),
        cmocka_unit_test(a_query_leaves_out_what_is_absent),
        cmocka_unit_test(an_address_that_http_does_not_allow_stops_the_run),
        cmocka_unit_test(every_kind_of_body_names_its_type),
        cmocka_unit_test(headers_come_from_step_auth_and_destination),
        cmocka_unit_test(user_and_password_are_encoded),
        cmocka_unit_test(a_header_cannot_smuggle_in_another),
        cmocka_unit_test(a_body_is_compressed_and_signed_as_it_was_before),
        cmocka_unit_test(a_template_may_be_signed_into_the_query),
        cmocka_unit_test(what_signs_for_aws_is_handed_on),
        cmocka_unit_test(a_request_without_records_needs_no_batch),
        cmocka_unit_test(a_session_is_of_its_run_and_counts_its_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
