#include "scheduler/map/digester.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct digester {
    EVP_MD *md[DIGEST_COUNT];
    EVP_MD_CTX *context[DIGEST_COUNT];
};

static const struct {
    const char *name;
    size_t bytes;
    size_t block;
} algorithms[] = {
    [DIGEST_SHA256] = {"SHA256", 32, 64},
    [DIGEST_SHA1] = {"SHA1", 20, 64},
    [DIGEST_SHA512] = {"SHA512", 64, 128},
    [DIGEST_MD5] = {"MD5", 16, 64},
};

void digester_free(struct digester *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < DIGEST_COUNT; i++) {
        EVP_MD_CTX_free(d->context[i]);
        EVP_MD_free(d->md[i]);
    }
    free(d);
}

enum err_code digester_need(struct digester **ret, enum digest_algorithm algorithm, struct err *err)
{
    if (!*ret)
        *ret = calloc(1, sizeof **ret);
    struct digester *d = *ret;
    if (!d)
        return err_set(err, ERR_NOMEM, "no memory for hashing");
    if (d->context[algorithm])
        return ERR_OK;
    EVP_MD_free(d->md[algorithm]);
    d->md[algorithm] = EVP_MD_fetch(NULL, algorithms[algorithm].name, NULL);
    if (!d->md[algorithm])
        return err_set(err, ERR_CONFIG, "OpenSSL offers no %s on this machine",
                       algorithms[algorithm].name);
    d->context[algorithm] = EVP_MD_CTX_new();
    return d->context[algorithm] ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for hashing");
}

size_t digest_bytes(enum digest_algorithm algorithm)
{
    return algorithms[algorithm].bytes;
}

size_t digest_block_bytes(enum digest_algorithm algorithm)
{
    return algorithms[algorithm].block;
}

enum err_code digester_run(struct digester *d, enum digest_algorithm algorithm, struct slice first,
                           struct slice second, unsigned char *out, struct err *err)
{
    EVP_MD_CTX *context = d->context[algorithm];
    if (EVP_DigestInit_ex2(context, d->md[algorithm], NULL) &&
        EVP_DigestUpdate(context, first.p, first.n) &&
        (!second.n || EVP_DigestUpdate(context, second.p, second.n)) &&
        EVP_DigestFinal_ex(context, out, NULL))
        return ERR_OK;
    return err_set(err, ERR_NOMEM, "OpenSSL could not hash");
}

void digest_put_hex(char *out, const unsigned char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
}
