#include "worker/auth/jwt.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

enum { SIGNATURE_MAX = 2048 }; /* of a key of 16,384 bits */

enum err_code jwt_put_base64url(struct buf *out, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    enum err_code rc = buf_reserve(out, bytes.n * 4 / 3 + 4);
    if (rc)
        return rc;
    char *o = out->p + out->len;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i < 3 ? bytes.n - i : 3;
        uint32_t word = 0;
        for (size_t k = 0; k < 3; k++)
            word = word << 8 | (k < left ? (unsigned char)bytes.p[i + k] : 0);
        for (size_t k = 0; k <= left; k++)
            *o++ = digits[word >> (18 - 6 * k) & 63];
    }
    out->len = (size_t)(o - out->p);
    return ERR_OK;
}

/* A passphrase would be asked for at the terminal: such a key is none. */
static int no_passphrase(char *out, int size, int writing, void *ctx)
{
    (void)out, (void)size, (void)writing, (void)ctx;
    return -1;
}

/* Keys that travelled through the environment or JSON often have \n written out. */
static EVP_PKEY *read_key(const char *pem)
{
    struct buf text CLEANUP(buf_done);
    buf_init(&text, 1 << 20);
    for (const char *p = pem; *p; p++) {
        bool newline = p[0] == '\\' && p[1] == 'n';
        if (buf_putc(&text, newline ? '\n' : *p))
            return NULL;
        p += newline;
    }
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (text.len)
        OPENSSL_cleanse(text.p, text.len);
    return key;
}

static bool sign(EVP_PKEY *key, struct slice text, unsigned char *out, size_t *n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) > 0 &&
                EVP_DigestSign(ctx, out, n, (const unsigned char *)text.p, text.n) > 0;
    EVP_MD_CTX_free(ctx);
    return good;
}

enum err_code jwt_put_rs256(struct buf *out, struct slice header, struct slice claims,
                            const char *key_pem, struct err *err)
{
    size_t start = out->len, n = SIGNATURE_MAX;
    unsigned char signature[SIGNATURE_MAX];
    enum err_code rc = jwt_put_base64url(out, header);
    if (!rc)
        rc = buf_putc(out, '.');
    if (!rc)
        rc = jwt_put_base64url(out, claims);
    if (rc)
        return err_set(err, rc, "a signed token: %s", err_name(rc));
    EVP_PKEY *key = read_key(key_pem);
    bool fits =
        key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_size(key) <= SIGNATURE_MAX;
    bool signed_ = fits && sign(key, slice_of(out->p + start, out->len - start), signature, &n);
    EVP_PKEY_free(key);
    if (!signed_) {
        out->len = start;
        return err_set(err, ERR_CONFIG,
                       "the private key is no RSA key in PEM without a passphrase "
                       "(-----BEGIN PRIVATE KEY-----)");
    }
    rc = buf_putc(out, '.');
    if (!rc)
        rc = jwt_put_base64url(out, slice_of((const char *)signature, n));
    return rc ? err_set(err, rc, "a signed token: %s", err_name(rc)) : ERR_OK;
}
