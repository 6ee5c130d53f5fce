#include "protocol/wire/result.h"
#include "tests/unit/wire/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define BYTES(s) ((struct slice){(s), sizeof(s) - 1})

static void assert_same(const struct result *want, const struct result *got)
{
    assert_true(slice_eq(want->ordset, got->ordset) && slice_eq(want->message, got->message));
    assert_int_equal(want->rest, got->rest);
    assert_int_equal(want->flags, got->flags);
    assert_int_equal(want->requests, got->requests);
    assert_int_equal(want->retries, got->retries);
    assert_int_equal(want->bytes, got->bytes);
    assert_int_equal(want->status, got->status);
    assert_int_equal(want->duration_ms, got->duration_ms);
    assert_int_equal(want->kills, got->kills);
    assert_int_equal(want->entry_count, got->entry_count);
    for (size_t i = 0; i < want->entry_count; i++) {
        assert_int_equal(want->entries[i].ordinal, got->entries[i].ordinal);
        assert_int_equal(want->entries[i].verdict, got->entries[i].verdict);
        assert_int_equal(want->entries[i].doubt, got->entries[i].doubt);
        assert_true(slice_eq(want->entries[i].message, got->entries[i].message));
    }
}

static void test_random_results_come_back(void **state)
{
    (void)state;
    struct prng rng = {5};
    struct result_reader *reader = result_reader_new();
    for (int round = 0; round < 500; round++) {
        struct verdict_entry entries[50];
        struct result r = {
            .ordset = SLICE_LIT("0-49,70"), .message = SLICE_LIT("größer"), .entries = entries};
        r.rest = prng_below(&rng, VERDICT_CANCELLED + 1);
        r.flags = prng_below(&rng, 16);
        r.requests = (uint32_t)prng_next(&rng);
        r.retries = prng_below(&rng, 300);
        r.bytes = prng_next(&rng) >> prng_below(&rng, 64);
        r.status = prng_below(&rng, 600);
        r.duration_ms = (uint32_t)prng_next(&rng);
        r.entry_count = prng_below(&rng, 50);
        for (uint32_t i = 0; i < r.entry_count; i++)
            entries[i] = (struct verdict_entry){i * 1000, prng_below(&rng, 6), prng_below(&rng, 2),
                                                SLICE_LIT("bad mail")};
        struct buf b;
        struct result got;
        struct err err;
        buf_init(&b, 1 << 20);
        assert_int_equal(ERR_OK, result_put(&b, &r));
        assert_int_equal(ERR_OK, result_parse(reader, buf_slice(&b), &got, &err));
        assert_same(&r, &got);
        buf_done(&b);
    }
    result_reader_free(reader);
}

/* What Redis' own cmsgpack.pack wrote for these tables. */
static void test_results_made_by_lua_are_read(void **state)
{
    (void)state;
    struct result_reader *reader = result_reader_new();
    struct result got;
    struct err err;
    struct slice killed =
        BYTES("\x9c\x01\xa5\x30\x2d\x32\x2c\x37\x04\x01\xb2\x6c\x6f\x73\x74\x20\x74\x68\x72\x65\x65"
              "\x20\x77\x6f\x72\x6b\x65\x72\x73\x00\x00\xcf\x00\x00\x00\x01\x2a\x05\xf2\x00\x00\x00"
              "\x03\x91\x94\x07\x02\x00\xa2\x6e\x6f");
    struct verdict_entry entry = {7, VERDICT_REJECTED, false, SLICE_LIT("no")};
    assert_int_equal(ERR_OK, result_parse(reader, killed, &got, &err));
    assert_same(&(struct result){.ordset = SLICE_LIT("0-2,7"),
                                 .rest = VERDICT_FAILED,
                                 .flags = RESULT_DOUBT,
                                 .message = SLICE_LIT("lost three workers"),
                                 .bytes = 5000000000,
                                 .kills = 3,
                                 .entries = &entry,
                                 .entry_count = 1},
                &got);
    struct slice cancelled =
        BYTES("\x9c\x01\xa0\x05\x00\xad\x72\x75\x6e\x20\x63\x61\x6e\x63\x65\x6c\x6c\x65\x64\x00\xcd"
              "\x01\x2c\xcf\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x90");
    assert_int_equal(ERR_OK, result_parse(reader, cancelled, &got, &err));
    assert_same(&(struct result){.rest = VERDICT_CANCELLED,
                                 .message = SLICE_LIT("run cancelled"),
                                 .retries = 300,
                                 .bytes = (uint64_t)1 << 40},
                &got);
    result_reader_free(reader);
}

static void test_other_ways_to_write_the_same_are_read(void **state)
{
    (void)state;
    /* bin for texts, signed ints, float32 and float64 for whole numbers, nil for no message, true,
     * an empty map */
    struct slice bytes = BYTES("\xdc\x00\x0c\xd0\x01\xc4\x01"
                               "3"
                               "\xd1\x00\x02\xca\x40\x00\x00\x00\xc0"
                               "\xd2\x00\x00\x00\x05\xd3\x00\x00\x00\x00\x00\x00\x00\x06"
                               "\xcb\x41\xf0\x00\x00\x00\x00\x00\x00\xcd\x00\xc8\x09\x01\x80");
    struct result_reader *reader = result_reader_new();
    struct result got;
    struct err err;
    assert_int_equal(ERR_OK, result_parse(reader, bytes, &got, &err));
    assert_same(&(struct result){.ordset = SLICE_LIT("3"),
                                 .rest = VERDICT_REJECTED,
                                 .flags = RESULT_SINGLE,
                                 .requests = 5,
                                 .retries = 6,
                                 .bytes = (uint64_t)1 << 32,
                                 .status = 200,
                                 .duration_ms = 9,
                                 .kills = 1},
                &got);
    struct slice doubt =
        BYTES("\x9c\x01\xa0\x01\x00\xa0\x01\x00\x00\x00\x00\x00\x91\x94\x00\x04\xc3\xc0");
    assert_int_equal(ERR_OK, result_parse(reader, doubt, &got, &err));
    assert_true(got.entries[0].doubt);
    result_reader_free(reader);
}

static void test_words_of_a_destination_are_cut_between_characters(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'x', sizeof text);
    memcpy(text + RESULT_MESSAGE_MAX - 1, "\xc3\xb6", 2);
    struct verdict_entry entry = {0, VERDICT_REJECTED, false, slice_of(text, sizeof text)};
    struct result r = {.rest = VERDICT_OK,
                       .message = entry.message,
                       .entries = &entry,
                       .entry_count = 1},
                  got;
    struct result_reader *reader = result_reader_new();
    struct buf b;
    struct err err;
    buf_init(&b, 1 << 20);
    assert_int_equal(ERR_OK, result_put(&b, &r));
    assert_int_equal(ERR_OK, result_parse(reader, buf_slice(&b), &got, &err));
    assert_int_equal(RESULT_MESSAGE_MAX - 1, got.message.n);
    assert_int_equal(RESULT_MESSAGE_MAX - 1, got.entries[0].message.n);
    buf_done(&b);
    result_reader_free(reader);
}

static void test_what_is_no_result_is_refused(void **state)
{
    (void)state;
    static const struct slice cases[] = {
        BYTES(""),
        BYTES("\x9c"),
        BYTES("\x9c\x02\xa0\x01\x00\xa0\x01\x00\x00\x00\x00\x00\x90"),             /* version */
        BYTES("\x9b\x01\xa0\x01\x00\xa0\x01\x00\x00\x00\x00\x90"),                 /* items */
        BYTES("\x9c\x01\xa0\x06\x00\xa0\x01\x00\x00\x00\x00\x00\x90"),             /* verdict */
        BYTES("\x9c\x01\xa0\xff\x00\xa0\x01\x00\x00\x00\x00\x00\x90"),             /* negative */
        BYTES("\x9c\x01\xa0\x01\x00\xa0\xca\x3f\x00\x00\x00\x00\x00\x00\x00\x90"), /* one half */
        BYTES("\x9c\x01\xa0\x01\x00\xa0\xca\x7f\xc0\x00\x00\x00\x00\x00\x00\x90"), /* NaN */
        BYTES("\x9c\x01\xa0\x01\x00\xa0\x01\x00\x00\x00\x00\x00\x90\x00"),         /* trailing */
        BYTES("\x9c\x01\xa0\x01\x00\xa0\x01\x00\x00\x00\x00\x00\x92\x94\x01\x01\x00\xa0\x94\x01\x01"
              "\x00\xa0"),
        BYTES("\x9c\x01\xa0\x01\x00\xa0\x01\x00\x00\x00\x00\x00\xdd\xff\xff\xff\xff\x94\x01\x01\x00"
              "\xa0"),
        BYTES(
            "\x9c\x01\xa0\x01\x00\xa0\x01\x00\x00\x00\x00\x00\x91\x94\x01\x01\x02\xa0"), /* doubt */
        BYTES("\x9c\x01\xa0\x01\x00\xa0\x01\x00\x00\x00\x00\x00\x91\x94\xcd\xff\xff\x01\x01\xa0"),
    };
    struct result_reader *reader = result_reader_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct result got;
        struct err err;
        if (result_parse(reader, cases[i], &got, &err) != ERR_INVALID)
            fail_msg("case %zu was taken for a result", i);
    }
    result_reader_free(reader);
}

static void test_cut_or_damaged_results_never_lead_outside(void **state)
{
    (void)state;
    struct verdict_entry entries[] = {
        {3, VERDICT_OK, false, SLICE_LIT("")},
        {900, VERDICT_REJECTED, true, SLICE_LIT("too long for the field")}};
    struct result r = {.ordset = SLICE_LIT("0-3,900"),
                       .message = SLICE_LIT("message"),
                       .bytes = 1 << 20,
                       .requests = 70000,
                       .entries = entries,
                       .entry_count = 2};
    struct result_reader *reader = result_reader_new();
    struct result got;
    struct buf b;
    struct err err;
    buf_init(&b, 1 << 20);
    assert_int_equal(ERR_OK, result_put(&b, &r));
    for (size_t n = 0; n < b.len; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, b.p, n);
        assert_int_equal(ERR_INVALID, result_parse(reader, slice_of(copy, n), &got, &err));
        free(copy);
    }
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        char *copy = malloc(b.len);
        memcpy(copy, b.p, b.len);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        enum err_code rc = result_parse(reader, slice_of(copy, b.len), &got, &err);
        assert_true(rc == ERR_OK || rc == ERR_INVALID);
        free(copy);
    }
    buf_done(&b);
    result_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_results_come_back),
        cmocka_unit_test(test_results_made_by_lua_are_read),
        cmocka_unit_test(test_other_ways_to_write_the_same_are_read),
        cmocka_unit_test(test_words_of_a_destination_are_cut_between_characters),
        cmocka_unit_test(test_what_is_no_result_is_refused),
        cmocka_unit_test(test_cut_or_damaged_results_never_lead_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
