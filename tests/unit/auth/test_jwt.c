#include "worker/auth/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static const char header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";
static const char claims[] = "{\"iss\":\"me\",\"exp\":1}";

/* The key as PEM; with escaped, as it looks in an environment variable. */
static void pem_of(EVP_PKEY *key, bool escaped, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    for (long i = 0; i < n; i++)
        assert_int_equal(escaped && p[i] == '\n' ? buf_puts(out, "\\n") : buf_putc(out, p[i]),
                         ERR_OK);
    BIO_free(bio);
    assert_non_null(buf_cstr(out));
}

static size_t from_base64url(struct slice text, unsigned char *out)
{
    char padded[4096];
    assert_true(text.n + 4 < sizeof padded);
    size_t n = 0;
    for (; n < text.n; n++)
        padded[n] = text.p[n] == '-' ? '+' : text.p[n] == '_' ? '/' : text.p[n];
    size_t pad = (4 - n % 4) % 4;
    for (size_t i = 0; i < pad; i++)
        padded[n++] = '=';
    int got = EVP_DecodeBlock(out, (const unsigned char *)padded, (int)n);
    assert_true(got >= 0);
    return (size_t)got - pad;
}

static void check_token(EVP_PKEY *key, struct slice token)
{
    const char *dot = memchr(token.p, '.', token.n);
    const char *last = memrchr(token.p, '.', token.n);
    assert_true(dot && last && dot != last);
    unsigned char bytes[4096];
    size_t n = from_base64url(slice_of(token.p, (size_t)(dot - token.p)), bytes);
    assert_true(slice_eq_str(slice_of((char *)bytes, n), header));
    n = from_base64url(slice_of(dot + 1, (size_t)(last - dot - 1)), bytes);
    assert_true(slice_eq_str(slice_of((char *)bytes, n), claims));
    n = from_base64url(slice_of(last + 1, token.n - (size_t)(last + 1 - token.p)), bytes);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_true(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) > 0);
    assert_int_equal(
        EVP_DigestVerify(ctx, bytes, n, (const unsigned char *)token.p, (size_t)(last - token.p)),
        1);
    EVP_MD_CTX_free(ctx);
}

static void a_token_carries_its_claims_under_a_signature_that_verifies(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_RSA_gen(2048);
    assert_non_null(key);
    for (int escaped = 0; escaped < 2; escaped++) {
        struct buf pem CLEANUP(buf_done), token CLEANUP(buf_done);
        buf_init(&pem, 1 << 20);
        buf_init(&token, 1 << 20);
        pem_of(key, escaped, &pem);
        struct err err;
        assert_int_equal(jwt_put_rs256(&token, slice_str(header), slice_str(claims), pem.p, &err),
                         ERR_OK);
        check_token(key, buf_slice(&token));
    }
    EVP_PKEY_free(key);
}

static void a_key_of_another_kind_is_refused_without_a_byte_of_it(void **state)
{
    (void)state;
    EVP_PKEY *curve = EVP_EC_gen("P-256");
    struct buf pem CLEANUP(buf_done), token CLEANUP(buf_done);
    buf_init(&pem, 1 << 20);
    buf_init(&token, 1 << 20);
    pem_of(curve, false, &pem);
    struct err err;
    assert_int_equal(jwt_put_rs256(&token, slice_str(header), slice_str(claims), pem.p, &err),
                     ERR_CONFIG);
    assert_int_equal(jwt_put_rs256(&token, slice_str(header), slice_str(claims), "hunter2", &err),
                     ERR_CONFIG);
    assert_null(strstr(err.text, "hunter2"));
    assert_int_equal(token.len, 0);
    EVP_PKEY_free(curve);
}

static void base64url_has_no_padding_and_its_own_digits(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"\xfb\xff", "-_8"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out CLEANUP(buf_done);
        buf_init(&out, 100);
        assert_int_equal(jwt_put_base64url(&out, slice_str(cases[i].in)), ERR_OK);
        assert_true(slice_eq_str(buf_slice(&out), cases[i].out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_carries_its_claims_under_a_signature_that_verifies),
        cmocka_unit_test(a_key_of_another_kind_is_refused_without_a_byte_of_it),
        cmocka_unit_test(base64url_has_no_padding_and_its_own_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
