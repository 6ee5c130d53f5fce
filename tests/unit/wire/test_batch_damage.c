/* Bytes that no writer made are refused, and never lead a reader outside. */
#include "tests/unit/wire/sample.h"

/* The whole batch is read first, so that a reader that looked beyond its end would find the right
 * bytes. */
static void test_a_batch_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct sample *s = sample_new(17, 6);
    struct buf out;
    struct err err;
    uint32_t records;
    struct batch_reader *r = batch_reader_new();
    seal(s, false, &out);
    for (size_t n = 0; n < out.len; n++) {
        assert_int_equal(ERR_OK, open_copy(r, buf_slice(&out), &err));
        assert_int_equal(ERR_OK, read_all(r, &records));
        struct buf cut;
        buf_init(&cut, BATCH_BYTES_MAX);
        assert_int_equal(ERR_OK, buf_put(&cut, out.p, n));
        if (n >= PREFIX)
            for (size_t i = 1; i < PREFIX; i++)
                cut.p[i] = (char)((n - PREFIX) >> (8 * (PREFIX - 1 - i)));
        enum err_code rc = open_copy(r, slice_of(n ? cut.p : "", n), &err);
        if (!rc)
            rc = read_all(r, &records);
        assert_int_equal(ERR_INVALID, rc);
        buf_done(&cut);
    }
    batch_reader_free(r);
    buf_done(&out);
    sample_free(s);
}

static void flip_every_bit(const struct buf *out)
{
    struct batch_reader *r = batch_reader_new();
    struct err err;
    uint32_t records;
    char *copy = malloc(out->len);
    for (size_t bit = 0; bit < out->len * 8; bit++) {
        memcpy(copy, out->p, out->len);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        enum err_code rc = batch_reader_open(r, slice_of(copy, out->len), &err);
        if (!rc)
            rc = read_all(r, &records);
        assert_true(rc == ERR_OK || rc == ERR_INVALID);
    }
    free(copy);
    batch_reader_free(r);
}

static void test_flipped_bits_never_lead_outside(void **state)
{
    (void)state;
    for (int compress = 0; compress < 2; compress++) {
        struct sample *s = sample_new(23, 8);
        struct buf out;
        seal(s, compress, &out);
        flip_every_bit(&out);
        buf_done(&out);
        sample_free(s);
    }
}

static void test_foreign_bytes_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *reason;
    } cases[] = {
        {"", 0, "shorter than its prefix"},
        {"\x00\x00\x00\x00\x00", 5, "no head"},
        {"\x02\x00\x00\x00\x01x", 6, "unknown codec"},
        {"\x00\x00\x00\x00\x09x", 6, "length differs"},
        {"\x00\x04\x00\x00\x01x", 6, "larger than 64 MiB"},
        {"\x01\xff\xff\xff\xffx", 6, "larger than 64 MiB"},
        {"\x01\x04\x00\x00\x00x", 6, "length differs"},
        {"\x01\x00\x00\x00\x00x", 6, "length differs"},
        {"\x01\x00\x00\x00\x09x", 6, "damaged"},
        {"\x00\x00\x00\x00\x0c\x9b\x03\0\0\0\0\0\0\0\0\0\0", 17, "version 3"},
    };
    struct batch_reader *r = batch_reader_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        assert_int_equal(ERR_INVALID, open_copy(r, slice_of(cases[i].bytes, cases[i].n), &err));
        if (!strstr(err.text, cases[i].reason))
            fail_msg("case %zu says: %s", i, err.text);
    }
    batch_reader_free(r);
}

static void test_ordinals_must_ascend_and_be_planned(void **state)
{
    (void)state;
    static const uint32_t wrong[][2] = {{1, 1}, {2, 1}, {0, 3}};
    struct batch_reader *r = batch_reader_new();
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct buf rows, out;
        struct err err;
        size_t at;
        uint32_t records;
        buf_init(&rows, 1000);
        buf_init(&out, 1000);
        for (size_t j = 0; j < 2; j++)
            assert_int_equal(ERR_OK,
                             batch_put_record(&rows,
                                              &(struct record){wrong[i][j], OP_DELETE, NULL, NULL},
                                              0, 0, &at));
        struct batch_head head = {.planned = 3, .newest_field = -1};
        assert_int_equal(ERR_OK, batch_seal(&out, &head, 2, buf_slice(&rows), false, &err));
        assert_int_equal(ERR_OK, open_copy(r, buf_slice(&out), &err));
        assert_int_equal(ERR_INVALID, read_all(r, &records));
        assert_int_equal(1, records);
        buf_done(&rows);
        buf_done(&out);
    }
    batch_reader_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_cut_anywhere_is_refused),
        cmocka_unit_test(test_flipped_bits_never_lead_outside),
        cmocka_unit_test(test_foreign_bytes_are_refused_with_a_reason),
        cmocka_unit_test(test_ordinals_must_ascend_and_be_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
