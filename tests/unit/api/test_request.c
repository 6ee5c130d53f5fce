/* A request's first line and headers, the cap of requests, keys as people write them. */
#include "scheduler/api/request.h"

#include "scheduler/api/error_groups.h"
#include "scheduler/api/output.h"
#include "scheduler/api/rate.h"
#include "scheduler/api/record_key.h"
#include "scheduler/state/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static void paths_are_split_before_they_are_decoded(void **state)
{
    (void)state;
    struct request_target t;
    struct err err;
    assert_int_equal(
        request_target_parse("/a%2Fb/%C3%A4+c?x=1%262&y=a+b&z&&x=3&%3d=%3D#f?g", &t, &err), ERR_OK);
    assert_int_equal(t.segment_count, 2);
    assert_string_equal(t.segments[0], "a/b");
    assert_string_equal(t.segments[1], "ä+c");
    assert_string_equal(request_query(&t, "x"), "1&2");
    assert_string_equal(request_query(&t, "y"), "a b");
    assert_string_equal(request_query(&t, "z"), "");
    assert_string_equal(request_query(&t, "="), "=");
    assert_null(request_query(&t, "f"));
    assert_int_equal(request_target_parse("/", &t, &err), ERR_OK);
    assert_int_equal(t.segment_count, 0);
    assert_int_equal(request_target_parse("http://host:1/a/", &t, &err), ERR_OK);
    assert_int_equal(t.segment_count, 2);
    assert_string_equal(t.segments[1], "");
}

static void bad_targets_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "a",
        "*",
        "http://h",
        "/%",
        "/%4",
        "/%zz",
        "/%00",
        "/%ff",
        "/%c3",
        "/a?%ff=1",
        "/a?b=%",
        "/a?b=%00",
        "/\xff",
        "/1/2/3/4/5/6/7/8/9",
        "/?1=&2=&3=&4=&5=&6=&7=&8=&9=&10=&11=&12=&13=&14=&15=&16=&17="};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request_target t;
        struct err err;
        if (request_target_parse(cases[i], &t, &err) != ERR_INVALID)
            fail_msg("%s was taken", cases[i]);
    }
}

static void numbers_of_a_query_have_bounds(void **state)
{
    (void)state;
    struct request_target t;
    struct err err;
    uint64_t n = 7;
    assert_int_equal(
        request_target_parse("/?a=18446744073709551615&b=18446744073709551616&c=-1&d=+1"
                             "&e=%201&f=1.0",
                             &t, &err),
        ERR_OK);
    assert_int_equal(request_query_number(&t, "none", 1, 9, &n, &err), ERR_OK);
    assert_int_equal(n, 7);
    assert_int_equal(request_query_number(&t, "a", 0, UINT64_MAX, &n, &err), ERR_OK);
    assert_true(n == UINT64_MAX);
    for (const char *name = "b\0c\0d\0e\0f\0"; *name; name += 2)
        assert_int_equal(request_query_number(&t, name, 0, UINT64_MAX, &n, &err), ERR_INVALID);
    assert_int_equal(request_query_number(&t, "a", 0, 5, &n, &err), ERR_INVALID);
}

static void cookies_and_tokens_are_found_in_headers(void **state)
{
    (void)state;
    struct slice s;
    assert_true(request_cookie("a=1; sid=2; sid=3", "sid", &s));
    assert_true(slice_eq_str(s, "2"));
    assert_true(request_cookie("xsid=1;sid=a=b  ", "sid", &s));
    assert_true(slice_eq_str(s, "a=b"));
    assert_true(request_cookie("sid=", "sid", &s));
    assert_int_equal(s.n, 0);
    assert_false(request_cookie("xsid=1; sidx=2; sid", "sid", &s));
    assert_false(request_cookie("", "sid", &s));
    assert_false(request_cookie(NULL, "sid", &s));
    assert_true(request_bearer("bearer  abc def", &s));
    assert_true(slice_eq_str(s, "abc"));
    assert_false(request_bearer("Bearerabc", &s));
    assert_false(request_bearer(NULL, &s));
}

static void hosts_and_origins_are_compared(void **state)
{
    (void)state;
    char host[32];
    assert_true(request_host("[::1]:80", host, sizeof host));
    assert_string_equal(host, "::1");
    assert_true(request_host("a.b", host, sizeof host));
    static const char *const bad[] = {"",
                                      ":80",
                                      "a:b",
                                      "[::1",
                                      "[]",
                                      "a:80:90",
                                      "[::1]x",
                                      "a]",
                                      "a b",
                                      "a/b",
                                      "[a]]",
                                      "ä",
                                      "a-name-that-is-longer-than-there-is-room-for"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(request_host(bad[i], host, sizeof host));
    assert_false(request_host(NULL, host, sizeof host));
    assert_true(request_origin_is("http://A.b:80", "a.B:80"));
    assert_false(request_origin_is("http://a.b", "a.b:80"));
    assert_false(request_origin_is("null", "a.b"));
    assert_false(request_origin_is("http://a.b", NULL));
}

static void a_bucket_refills_steadily(void **state)
{
    (void)state;
    static struct rate rate;
    int64_t now = 1000;
    for (int i = 0; i < RATE_PER_SECOND; i++)
        assert_true(rate_take(&rate, 1, now));
    assert_false(rate_take(&rate, 1, now));
    assert_true(rate_take(&rate, 3, now)); /* somebody else's */
    assert_false(rate_take(&rate, 1, now + 5));
    assert_true(rate_take(&rate, 1, now + 11));
    assert_false(rate_take(&rate, 1, now + 11));
    for (int i = 0; i < RATE_PER_SECOND; i++) /* never more than one second's */
        assert_true(rate_take(&rate, 1, now + 60000));
    assert_false(rate_take(&rate, 1, now + 60000));
    for (uint64_t key = 1; key < 1 + (uint64_t)RATE_SETS * RATE_WAYS * 4; key += RATE_SETS)
        assert_true(rate_take(&rate, key, now + 70000)); /* of one set: the oldest make room */
}

static bool key_is(const struct model *m, const char *text, const char *wanted)
{
    CLEANUP(buf_done) struct buf b, json;
    size_t ends[RECORD_KEYS_MAX], count, from = 0;
    struct slice names[2] = {slice_str(m->primary_key[0]), {0}};
    struct err err;
    if (m->primary_key_count == 2)
        names[1] = slice_str(m->primary_key[1]);
    buf_init(&b, 1 << 16);
    buf_init(&json, 1 << 16);
    if (record_keys(m, text, &b, ends, &count, &err))
        return !*wanted;
    for (size_t i = 0; i < count; from = ends[i++])
        if (key_json(&json, slice_of(b.p + from, ends[i] - from), names, m->primary_key_count,
                     &err))
            fail_msg("%s", err.text);
    if (!slice_eq_str(buf_slice(&json), wanted))
        print_error("%s is %.*s\n", text, (int)json.len, json.p);
    return slice_eq_str(buf_slice(&json), wanted);
}

static void keys_are_read_as_people_write_them(void **state)
{
    (void)state;
    static const char *const id[] = {"id"}, *const two[] = {"shop", "nr"};
    const struct model one = {.primary_key = id, .primary_key_count = 1};
    const struct model both = {.primary_key = two, .primary_key_count = 2};
    assert_true(key_is(&one, "42", "{\"id\":42}{\"id\":\"42\"}"));
    assert_true(key_is(&one, "007", "{\"id\":\"007\"}"));
    assert_true(key_is(&one, "123456789012345678901234567890.50",
                       "{\"id\":123456789012345678901234567890.50}"
                       "{\"id\":\"123456789012345678901234567890.50\"}"));
    assert_true(key_is(&one, "true", "{\"id\":true}{\"id\":\"true\"}"));
    assert_true(key_is(&one, "a@b.c", "{\"id\":\"a@b.c\"}"));
    assert_true(key_is(&one, " {\"id\" : 42 } ", "{\"id\":\" {\\\"id\\\" : 42 } \"}"));
    assert_true(key_is(&one, "{\"id\" : \"\\u00e4\\n\"}", "{\"id\":\"ä\\n\"}"));
    assert_true(key_is(&one, "{\"id\":[1,2]}", "{\"id\":[1,2]}"));
    assert_true(key_is(&one, "{x", "{\"id\":\"{x\"}"));
    assert_true(key_is(&one, "", ""));
    assert_true(key_is(&both, "{\"nr\":7,\"shop\":\"a\"}", "{\"shop\":\"a\",\"nr\":7}"));
    static const char *const bad[] = {"7",
                                      "{\"nr\":7}",
                                      "{\"nr\":7,\"shop\":null}",
                                      "{\"nr\":7,\"nr\":8}",
                                      "{\"nr\":7,\"shop\":1,\"x\":1}",
                                      "{\"nr\":7,\"shop\":1} x",
                                      "{}",
                                      "{\"nr\":7,\"shop\":"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(key_is(&both, bad[i], ""));
}

static void groups_beyond_the_limit_are_counted(void **state)
{
    (void)state;
    struct error_groups *g = error_groups_new();
    size_t count;
    uint64_t other;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < ERROR_GROUPS_MAX + 7; i++) {
            char message[32];
            snprintf(message, sizeof message, "m%d", i);
            struct rejected r = {.kind = REJECTED_FAILED,
                                 .text = SLICE_LIT("{}"),
                                 .message = slice_str(message),
                                 .time_ms = 1000 - round};
            assert_int_equal(error_groups_add(g, "x", &r), ERR_OK);
            if (i == 500)
                assert_int_equal(error_groups_add(g, "x", &r), ERR_OK);
        }
    const struct error_group *groups = error_groups_list(g, &count, &other);
    assert_int_equal(count, ERROR_GROUPS_MAX);
    assert_int_equal(other, 14);
    assert_string_equal(groups[0].message, "m500");
    assert_int_equal(groups[0].count, 4);
    assert_int_equal(groups[0].first_ms, 999);
    assert_int_equal(groups[0].last_ms, 1000);
    error_groups_free(g);
}

static void output_sets_commas_and_stays_failed(void **state)
{
    (void)state;
    struct output o;
    output_init(&o);
    output_open(&o, NULL, '{');
    output_open(&o, "a", '[');
    output_close(&o, ']');
    output_text(&o, "b", "x\"\n");
    output_open(&o, "c", '[');
    output_count(&o, NULL, UINT64_MAX);
    output_open(&o, NULL, '{');
    output_time(&o, "t", 0);
    output_close(&o, '}');
    output_decimal(&o, NULL, 0.25);
    output_close(&o, ']');
    output_flag(&o, "d", false);
    output_close(&o, '}');
    assert_int_equal(o.failed, ERR_OK);
    assert_true(slice_eq_str(buf_slice(&o.buf), "{\"a\":[],\"b\":\"x\\\"\\n\",\"c\":["
                                                "18446744073709551615,{\"t\":null},0.250],"
                                                "\"d\":false}"));
    output_done(&o);
    output_init(&o);
    o.buf.max = 8;
    output_text(&o, "name", "a long text");
    output_close(&o, '}');
    assert_int_equal(o.failed, ERR_FULL);
    output_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_split_before_they_are_decoded),
        cmocka_unit_test(bad_targets_are_refused),
        cmocka_unit_test(numbers_of_a_query_have_bounds),
        cmocka_unit_test(cookies_and_tokens_are_found_in_headers),
        cmocka_unit_test(hosts_and_origins_are_compared),
        cmocka_unit_test(a_bucket_refills_steadily),
        cmocka_unit_test(keys_are_read_as_people_write_them),
        cmocka_unit_test(groups_beyond_the_limit_are_counted),
        cmocka_unit_test(output_sets_commas_and_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
