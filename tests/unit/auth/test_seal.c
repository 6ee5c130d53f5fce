#include "worker/auth/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct seal_key key_of(const char *text)
{
    struct seal_key key;
    assert_int_equal(seal_key_of(text, &key), ERR_OK);
    return key;
}

static void what_was_sealed_opens_with_the_same_key_and_name(void **state)
{
    (void)state;
    struct seal_key key = key_of("a text of more than thirty-two characters");
    struct buf sealed CLEANUP(buf_done), plain CLEANUP(buf_done);
    buf_init(&sealed, 1 << 20);
    buf_init(&plain, 1 << 20);
    struct slice secret = SLICE_LIT("refresh-token-1");
    assert_int_equal(seal_put(&sealed, &key, SLICE_LIT("auth:crm"), secret), ERR_OK);
    assert_int_equal(sealed.len, secret.n + SEAL_OVERHEAD_BYTES);
    assert_null(memmem(sealed.p, sealed.len, "refresh", 7));
    assert_int_equal(seal_open(&plain, &key, SLICE_LIT("auth:crm"), buf_slice(&sealed)), ERR_OK);
    assert_true(slice_eq(buf_slice(&plain), secret));
}

static void nothing_opens_with_another_key_name_or_a_changed_byte(void **state)
{
    (void)state;
    struct seal_key key = key_of("a text of more than thirty-two characters");
    struct seal_key other = key_of("another text of more than thirty-two char");
    struct buf sealed CLEANUP(buf_done), plain CLEANUP(buf_done);
    buf_init(&sealed, 1 << 20);
    buf_init(&plain, 1 << 20);
    struct slice name = SLICE_LIT("auth:crm");
    assert_int_equal(seal_put(&sealed, &key, name, SLICE_LIT("secret")), ERR_OK);
    struct slice whole = buf_slice(&sealed);
    assert_int_equal(seal_open(&plain, &other, name, whole), ERR_INVALID);
    assert_int_equal(seal_open(&plain, &key, SLICE_LIT("auth:ads"), whole), ERR_INVALID);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.p[i] ^= 1;
        assert_int_equal(seal_open(&plain, &key, name, whole), ERR_INVALID);
        sealed.p[i] ^= 1;
        assert_int_equal(seal_open(&plain, &key, name, slice_of(whole.p, i)), ERR_INVALID);
    }
    assert_int_equal(plain.len, 0);
}

static void two_sealings_of_one_value_differ(void **state)
{
    (void)state;
    struct seal_key key = key_of("a text of more than thirty-two characters");
    struct buf a CLEANUP(buf_done), b CLEANUP(buf_done);
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    assert_int_equal(seal_put(&a, &key, SLICE_LIT("n"), SLICE_LIT("secret")), ERR_OK);
    assert_int_equal(seal_put(&b, &key, SLICE_LIT("n"), SLICE_LIT("secret")), ERR_OK);
    assert_false(slice_eq(buf_slice(&a), buf_slice(&b)));
}

static void sixty_four_hex_digits_are_the_key_itself(void **state)
{
    (void)state;
    struct seal_key key =
        key_of("000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F");
    for (unsigned i = 0; i < SEAL_KEY_BYTES; i++)
        assert_int_equal(key.bytes[i], i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens_with_the_same_key_and_name),
        cmocka_unit_test(nothing_opens_with_another_key_name_or_a_changed_byte),
        cmocka_unit_test(two_sealings_of_one_value_differ),
        cmocka_unit_test(sixty_four_hex_digits_are_the_key_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
