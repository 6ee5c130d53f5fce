#include "worker/auth/seal.h"

#include <openssl/evp.h>

#include "protocol/base/random.h"

enum { NONCE_BYTES = 12, TAG_BYTES = 16, MAGIC_BYTES = 3, PLAIN_MAX = 1 << 20 };

static const char magic[MAGIC_BYTES] = {'S', 'L', '1'};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool from_hex(const char *text, unsigned char *out)
{
    for (size_t i = 0; i < SEAL_KEY_BYTES; i++) {
        int high = hex_value(text[2 * i]), low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return text[(size_t)2 * SEAL_KEY_BYTES] == '\0';
}

enum err_code seal_key_of(const char *text, struct seal_key *ret_key)
{
    static const char salt[] = "sluice seal key 1";
    unsigned char sum[EVP_MAX_MD_SIZE];
    if (from_hex(text, ret_key->bytes))
        return ERR_OK;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
                EVP_DigestUpdate(ctx, salt, sizeof salt) &&
                EVP_DigestUpdate(ctx, text, strlen(text)) && EVP_DigestFinal_ex(ctx, sum, NULL);
    EVP_MD_CTX_free(ctx);
    if (!good)
        return ERR_NOMEM;
    memcpy(ret_key->bytes, sum, SEAL_KEY_BYTES);
    OPENSSL_cleanse(sum, sizeof sum);
    return ERR_OK;
}

static bool encrypt(EVP_CIPHER_CTX *ctx, const struct seal_key *key, struct slice name,
                    struct slice plain, unsigned char *nonce)
{
    unsigned char *text = nonce + NONCE_BYTES;
    int n = 0;
    return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) &&
           EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)name.p, (int)name.n) &&
           EVP_EncryptUpdate(ctx, text, &n, (const unsigned char *)plain.p, (int)plain.n) &&
           EVP_EncryptFinal_ex(ctx, text + n, &n) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, text + plain.n);
}

enum err_code seal_put(struct buf *out, const struct seal_key *key, struct slice name,
                       struct slice plain)
{
    if (plain.n > PLAIN_MAX)
        return ERR_FULL;
    enum err_code rc = buf_reserve(out, plain.n + SEAL_OVERHEAD_BYTES);
    if (rc)
        return rc;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    char *at = out->p + out->len;
    memcpy(at, magic, MAGIC_BYTES);
    random_bytes(at + MAGIC_BYTES, NONCE_BYTES);
    bool good = ctx && encrypt(ctx, key, name, plain, (unsigned char *)at + MAGIC_BYTES);
    EVP_CIPHER_CTX_free(ctx);
    if (!good)
        return ERR_NOMEM;
    out->len += plain.n + SEAL_OVERHEAD_BYTES;
    return ERR_OK;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const struct seal_key *key, struct slice name,
                    struct slice sealed, unsigned char *out)
{
    const unsigned char *nonce = (const unsigned char *)sealed.p + MAGIC_BYTES;
    const unsigned char *text = nonce + NONCE_BYTES;
    size_t bytes = sealed.n - SEAL_OVERHEAD_BYTES;
    unsigned char tag[TAG_BYTES];
    int n = 0;
    memcpy(tag, text + bytes, TAG_BYTES);
    return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) &&
           EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)name.p, (int)name.n) &&
           EVP_DecryptUpdate(ctx, out, &n, text, (int)bytes) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) &&
           EVP_DecryptFinal_ex(ctx, out + n, &n);
}

enum err_code seal_open(struct buf *out, const struct seal_key *key, struct slice name,
                        struct slice sealed)
{
    if (sealed.n < SEAL_OVERHEAD_BYTES || sealed.n > PLAIN_MAX + SEAL_OVERHEAD_BYTES ||
        memcmp(sealed.p, magic, MAGIC_BYTES) != 0)
        return ERR_INVALID;
    size_t bytes = sealed.n - SEAL_OVERHEAD_BYTES;
    enum err_code rc = buf_reserve(out, bytes + 1);
    if (rc)
        return rc;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return ERR_NOMEM;
    bool good = decrypt(ctx, key, name, sealed, (unsigned char *)out->p + out->len);
    EVP_CIPHER_CTX_free(ctx);
    if (!good) {
        OPENSSL_cleanse(out->p + out->len, bytes);
        return ERR_INVALID;
    }
    out->len += bytes;
    return ERR_OK;
}
