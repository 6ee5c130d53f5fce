#include "protocol/wire/ordset.h"
#include "tests/unit/wire/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

enum { PLANNED_MAX = 700 };

static void test_a_set_is_written_as_ranges(void **state)
{
    (void)state;
    static const struct {
        uint32_t ordinals[8];
        size_t count;
        uint32_t planned;
        const char *text;
    } cases[] = {
        {{0}, 1, 2, "0"},
        {{0, 1, 2}, 3, 3, ""},
        {{0, 1, 2}, 3, 4, "0-2"},
        {{3, 5, 6, 9}, 4, 10, "3,5-6,9"},
        {{65534}, 1, 65535, "65534"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        buf_init(&b, 100);
        assert_int_equal(ERR_OK,
                         ordset_put(&b, cases[i].ordinals, cases[i].count, cases[i].planned));
        assert_true(slice_eq_str(buf_slice(&b), cases[i].text));
        buf_done(&b);
    }
}

static void test_random_sets_equal_a_bitmap(void **state)
{
    (void)state;
    struct prng rng = {42};
    for (int round = 0; round < 3000; round++) {
        uint32_t planned = 1 + prng_below(&rng, PLANNED_MAX), ordinals[PLANNED_MAX];
        uint32_t density = 1 + prng_below(&rng, 10);
        uint8_t want[PLANNED_MAX / 8 + 1] = {0}, got[PLANNED_MAX / 8 + 2];
        size_t count = 0, bytes = (planned + 7) / 8;
        for (uint32_t i = 0; i < planned; i++)
            if (prng_below(&rng, 10) < density)
                ordinals[count++] = i;
        if (!count)
            continue;
        for (size_t i = 0; i < count; i++)
            want[ordinals[i] / 8] = (uint8_t)(want[ordinals[i] / 8] | 1u << ordinals[i] % 8);
        struct buf b;
        struct err err;
        buf_init(&b, 10000);
        memset(got, 0xaa, sizeof got);
        assert_int_equal(ERR_OK, ordset_put(&b, ordinals, count, planned));
        assert_int_equal(ERR_OK, ordset_bits(buf_slice(&b), planned, got, &err));
        assert_memory_equal(want, got, bytes);
        assert_int_equal(0xaa, got[bytes]);
        buf_done(&b);
    }
}

static void test_what_is_no_set_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        ",",     "1,",  "-",     "1-",         "-1",
        "a",     "1 ",  " 1",    "2,1",        "1,1",
        "3-2",   "1-1", "10",    "0-10",       "1--2",
        "1-2-3", "01",  "0-02",  "4294967296", "18446744073709551616",
        "1,,2",  "1;2", "0-3,3", "5-6,2",
    };
    uint8_t bits[2];
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err err;
        if (ordset_bits(slice_str(texts[i]), 10, bits, &err) != ERR_INVALID)
            fail_msg("'%s' was taken for a set", texts[i]);
    }
}

static void test_a_set_outside_its_batch_is_our_own_bug(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 12);
    assert_int_equal(ERR_BUG, ordset_put(&b, (uint32_t[]){0}, 0, 1));
    assert_int_equal(ERR_BUG, ordset_put(&b, (uint32_t[]){3}, 1, 3));
    assert_int_equal(ERR_BUG, ordset_put(&b, (uint32_t[]){2, 1}, 2, 3));
    assert_int_equal(ERR_BUG, ordset_put(&b, (uint32_t[]){1, 1}, 2, 3));
    assert_int_equal(ERR_OK, buf_puts(&b, "before"));
    assert_int_equal(ERR_FULL, ordset_put(&b, (uint32_t[]){100, 200, 300}, 3, 400));
    assert_true(slice_eq_str(buf_slice(&b), "before"));
    buf_done(&b);
}

static void test_a_part_has_an_id_of_its_own_that_never_changes(void **state)
{
    (void)state;
    char whole[BATCH_PART_ID_BYTES], half[BATCH_PART_ID_BYTES], other[BATCH_PART_ID_BYTES];
    assert_int_equal(ERR_OK, batch_part_id(SLICE_LIT("b-1"), SLICE_LIT(""), whole, sizeof whole));
    assert_string_equal("b-1", whole);
    assert_int_equal(ERR_OK,
                     batch_part_id(SLICE_LIT("b-1"), SLICE_LIT("0-249"), half, sizeof half));
    assert_string_equal("b-1-85dee5f6bcd91c93", half);
    assert_int_equal(ERR_OK,
                     batch_part_id(SLICE_LIT("b-1"), SLICE_LIT("250-499"), other, sizeof other));
    assert_string_not_equal(half, other);
    assert_int_equal(ERR_FULL, batch_part_id(SLICE_LIT("b-1"), SLICE_LIT("1"), half, 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_is_written_as_ranges),
        cmocka_unit_test(test_random_sets_equal_a_bitmap),
        cmocka_unit_test(test_what_is_no_set_is_refused),
        cmocka_unit_test(test_a_set_outside_its_batch_is_our_own_bug),
        cmocka_unit_test(test_a_part_has_an_id_of_its_own_that_never_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
