/* Signatures against AWS' own test suite, and what S3 wants besides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "worker/deliver/sigv4.h"

enum { NOW_S = 1440938160 }; /* 2015-08-30T12:36:00Z */

static const struct rendered_sigv4 keys = {"service", "us-east-1", "AKIDEXAMPLE",
                                           "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};

static void signatures_are_those_of_the_test_suite(void **state)
{
    (void)state;
    static const struct {
        const char *method, *url, *signature;
    } table[] = {
        /* get-vanilla, post-vanilla, get-vanilla-query-order-key-case */
        {"GET", "https://example.amazonaws.com/",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"GET", "https://example.amazonaws.com:443",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"POST", "https://example.amazonaws.com/",
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {"GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1",
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        /* not from there: a name comes before a longer one that begins with it */
        {"GET", "https://example.amazonaws.com/?a1=2&a=1",
         "aec7f90782b4b370f7be0a574b55c67226c3d5336a46214182f3f31ce7e74215"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sigv4_request r = {table[i].method, table[i].url, {0}, NOW_S * INT64_C(1000)};
        struct sigv4_lines lines;
        struct err err;
        assert_int_equal(sigv4_sign(&keys, &r, &lines, &err), ERR_OK);
        const char *found = strstr(lines.authorization, "Signature=");
        assert_non_null(found);
        assert_string_equal(found + strlen("Signature="), table[i].signature);
        assert_string_equal(lines.date, "x-amz-date: 20150830T123600Z");
        assert_string_equal(lines.content, "");
    }
}

static void the_same_query_in_other_words_has_the_same_signature(void **state)
{
    (void)state;
    struct sigv4_lines a, b;
    struct err err;
    struct sigv4_request r = {"GET", "https://h/p?b&a=%7e%2f&a=1", {0}, 0};
    assert_int_equal(sigv4_sign(&keys, &r, &a, &err), ERR_OK);
    r.url = "https://h/p?a=1&a=~%2F&b=";
    assert_int_equal(sigv4_sign(&keys, &r, &b, &err), ERR_OK);
    assert_string_equal(a.authorization, b.authorization);
}

static void s3_is_told_the_bodys_hash_too(void **state)
{
    (void)state;
    struct rendered_sigv4 s3 = keys;
    struct sigv4_request r = {"PUT", "https://b.s3.amazonaws.com/k%20ey", SLICE_LIT("x"), 0};
    struct sigv4_lines lines;
    struct err err;
    s3.service = "s3";
    assert_int_equal(sigv4_sign(&s3, &r, &lines, &err), ERR_OK);
    assert_string_equal(
        lines.content,
        "x-amz-content-sha256: 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
    assert_non_null(
        strstr(lines.authorization, "SignedHeaders=host;x-amz-content-sha256;x-amz-date"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_the_test_suite),
        cmocka_unit_test(the_same_query_in_other_words_has_the_same_signature),
        cmocka_unit_test(s3_is_told_the_bodys_hash_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
