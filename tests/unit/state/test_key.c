/* Key bytes: equal keys are equal bytes, and the values come back. */
#include "place.h"

#include "scheduler/state/key.h"

static struct value val(enum value_kind kind, const char *s)
{
    return value_of(kind, slice_str(s));
}

static struct slice encode(struct buf *b, struct value v)
{
    buf_reset(b);
    must(key_encode(b, &v, 1, NULL, &err));
    return buf_slice(b);
}

static void every_kind_of_key_comes_back_from_its_bytes(void **state)
{
    (void)state;
    const struct value values[] = {
        val(VALUE_NUMBER, "0"),
        val(VALUE_NUMBER, "7"),
        val(VALUE_NUMBER, "-7"),
        val(VALUE_NUMBER, "7.50"),
        val(VALUE_NUMBER, "1e300"),
        val(VALUE_TEXT, ""),
        val(VALUE_TEXT, "h\xc3\xa9"),
        val(VALUE_JSON, "{\"a\":1}"),
        {.kind = VALUE_TRUE},
        {.kind = VALUE_FALSE},
        val(VALUE_NUMBER, "98765432109876543210"),
        val(VALUE_TEXT, "7"),
    };
    size_t count = ARRAY_LEN(values);
    struct value got[ARRAY_LEN(values)];
    struct buf b;
    buf_init(&b, 4096);
    must(key_encode(&b, values, count, NULL, &err));
    must(key_decode(buf_slice(&b), got, count, &err));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(got[i].kind, values[i].kind);
        assert_true(slice_eq(value_slice(got[i]), value_slice(values[i])));
    }
    for (size_t cut = 0; cut < b.len; cut++) {
        struct err why;
        assert_int_equal(key_decode(slice_of(b.p, cut), got, count, &why), ERR_INVALID);
    }
    buf_done(&b);
}

static void whole_numbers_sort_by_size_and_kinds_differ(void **state)
{
    (void)state;
    static const char *const ascending[] = {
        "0", "1", "9", "10", "99", "100", "12345678901234567890"};
    struct buf a, b;
    buf_init(&a, 4096);
    buf_init(&b, 4096);
    for (size_t i = 1; i < ARRAY_LEN(ascending); i++) {
        struct slice x = encode(&a, val(VALUE_NUMBER, ascending[i - 1]));
        struct slice y = encode(&b, val(VALUE_NUMBER, ascending[i]));
        assert_true(memcmp(x.p, y.p, x.n < y.n ? x.n : y.n) < 0);
    }
    assert_false(slice_eq(encode(&a, val(VALUE_NUMBER, "7")), encode(&b, val(VALUE_TEXT, "7"))));
    assert_false(
        slice_eq(encode(&a, val(VALUE_NUMBER, "7")), encode(&b, val(VALUE_NUMBER, "7.0"))));
    buf_done(&a);
    buf_done(&b);
}

static void a_null_or_bad_component_is_named_and_leaves_the_buffer(void **state)
{
    (void)state;
    const struct slice names[] = {SLICE_LIT("a"), SLICE_LIT("b")};
    struct value v[2] = {val(VALUE_NUMBER, "1"), {.kind = VALUE_NULL}};
    struct buf b;
    struct err why;
    buf_init(&b, 4096);
    assert_int_equal(key_encode(&b, v, 2, names, &why), ERR_INVALID);
    assert_string_equal(why.text, "null key: b");
    v[1] = val(VALUE_BAD, "not UTF-8");
    assert_int_equal(key_encode(&b, v, 2, names, &why), ERR_INVALID);
    assert_string_equal(why.text, "key b: not UTF-8");
    assert_int_equal(b.len, 0);
    v[1] = val(VALUE_TEXT, "x\"y");
    must(key_values_json(&b, v, names, 2, &err));
    assert_string_equal(buf_cstr(&b), "{\"a\":1,\"b\":\"x\\\"y\"}");
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_key_comes_back_from_its_bytes),
        cmocka_unit_test(whole_numbers_sort_by_size_and_kinds_differ),
        cmocka_unit_test(a_null_or_bad_component_is_named_and_leaves_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
