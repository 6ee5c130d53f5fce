#include "protocol/base/arena.h"
#include "protocol/base/buf.h"
#include "protocol/base/json.h"
#include "protocol/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void a_buffer_refuses_to_pass_its_ceiling_and_stays_whole(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 300);
    char bytes[200] = {1};
    assert_int_equal(buf_put(&b, bytes, 200), ERR_OK);
    assert_int_equal(buf_put(&b, bytes, 101), ERR_FULL);
    assert_int_equal(b.len, 200);
    assert_int_equal(buf_put(&b, bytes, 100), ERR_OK);
    assert_int_equal(b.len, 300);
    assert_true(b.cap <= b.max);
    buf_done(&b);
}

static void an_arena_gives_zeroed_memory_until_its_ceiling(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 60000);
    char *p = arena_alloc(&a, 1000);
    assert_non_null(p);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    assert_null(arena_alloc(&a, 59000));
    assert_non_null(arena_alloc(&a, 20000));
    assert_string_equal(arena_str(&a, SLICE_LIT("name")), "name");
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 10));
    arena_done(&a);
}

static void a_json_string_escapes_what_must_be_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"q\"\\ \n\t\r\b\f", "\"q\\\"\\\\ \\n\\t\\r\\b\\f\""},
        {"\x01\x1f", "\"\\u0001\\u001f\""},
        {"é漢😀</script>", "\"é漢😀</script>\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        buf_init(&b, 1000);
        assert_int_equal(json_put_string(&b, slice_str(cases[i].in)), ERR_OK);
        assert_string_equal(buf_cstr(&b), cases[i].out);
        buf_done(&b);
    }
}

static void a_json_string_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    for (size_t max = 0; max < 60; max++) {
        struct buf b;
        buf_init(&b, max);
        enum err_code rc = json_put_string(&b, SLICE_LIT("\x01\x02\x03\x04\x05"));
        if (rc)
            assert_int_equal(b.len, 0);
        else
            assert_int_equal(b.len, 32);
        buf_done(&b);
    }
}

static void json_loses_the_white_space_between_its_tokens_only(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(json_put_compact(&b, SLICE_LIT("{ \"a b\" :\n [1, \"x\\\" y\"] }")), ERR_OK);
    assert_string_equal(buf_cstr(&b), "{\"a b\":[1,\"x\\\" y\"]}");
    buf_done(&b);
}

static void number_literals_are_those_of_json(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "-0", "12", "0.5", "-1.50", "1e20", "1E+5", "1.2e-7"};
    static const char *const bad[] = {"",    "-",        "01", "+1",  ".5", "1.",
                                      "NaN", "Infinity", "1e", "0x1", "1 "};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(json_is_number(slice_str(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(json_is_number(slice_str(bad[i])));
}

static void utf8_is_checked_by_the_letter_of_rfc_3629(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "ascii only, longer than a word", "é", "漢字", "😀", "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {
        "\x80",
        "\xC0\xAF",
        "\xC3",
        "\xE0\x80\xAF",
        "\xED\xA0\x80",
        "\xF5\x80\x80\x80",
        "\xF4\x90\x80\x80",
        "eight ch\xFF",
        "\xE6\xBC",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(utf8_valid(slice_str(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_valid(slice_str(bad[i])));
    assert_int_equal(utf8_prefix(SLICE_LIT("aé"), 2).n, 1);
    assert_int_equal(utf8_prefix(SLICE_LIT("aé"), 3).n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_refuses_to_pass_its_ceiling_and_stays_whole),
        cmocka_unit_test(an_arena_gives_zeroed_memory_until_its_ceiling),
        cmocka_unit_test(a_json_string_escapes_what_must_be_escaped),
        cmocka_unit_test(a_json_string_that_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(json_loses_the_white_space_between_its_tokens_only),
        cmocka_unit_test(number_literals_are_those_of_json),
        cmocka_unit_test(utf8_is_checked_by_the_letter_of_rfc_3629),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
