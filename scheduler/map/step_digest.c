/* sha256, md5, hex, base64: of the bytes of the text, or of the bytes that a bytes column holds. */
#include "scheduler/map/steps.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct step_digest {
    EVP_MD_CTX *context;
    EVP_MD *sha256;
    EVP_MD *md5;
};

void step_digest_free(struct step_digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->context);
    EVP_MD_free(d->sha256);
    EVP_MD_free(d->md5);
    free(d);
}

/* Fetched once: OpenSSL would look the algorithm up by name for every value otherwise. */
enum err_code step_digest_need(struct step_env *env, struct err *err)
{
    if (env->digest)
        return ERR_OK;
    struct step_digest *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(err, ERR_NOMEM, "no memory for hashing");
    d->context = EVP_MD_CTX_new();
    d->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    d->md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    if (!d->context || !d->sha256 || !d->md5) {
        step_digest_free(d);
        return err_set(err, ERR_CONFIG, "OpenSSL offers no SHA-256 or no MD5 on this machine");
    }
    env->digest = d;
    return ERR_OK;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static enum err_code decode_base64(struct step_env *env, struct slice text, struct slice *ret,
                                   struct err *err)
{
    char *out;
    enum err_code rc = scratch_room(&env->scratch, text.n, &out, err);
    if (rc)
        return rc;
    uint32_t bits = 0;
    int have = 0;
    size_t n = 0;
    while (text.n && text.p[text.n - 1] == '=')
        text.n--;
    for (size_t i = 0; i < text.n; i++) {
        int digit = base64_digit(text.p[i]);
        if (digit < 0)
            return err_set(err, ERR_INVALID, "the bytes are not in base64");
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have);
        }
    }
    scratch_keep(&env->scratch, n);
    *ret = slice_of(out, n);
    return ERR_OK;
}

static enum err_code input_bytes(struct step_env *env, const struct step *step,
                                 const struct value *v, struct slice *ret, struct err *err)
{
    *ret = value_slice(*v);
    return step->of_bytes ? decode_base64(env, *ret, ret, err) : ERR_OK;
}

static void put_hex(char *o, const unsigned char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *o++ = digits[p[i] >> 4];
        *o++ = digits[p[i] & 15];
    }
}

static enum err_code keep_hex(struct step_env *env, struct value *v, const void *p, size_t n,
                              struct err *err)
{
    char *out;
    enum err_code rc = scratch_room(&env->scratch, n * 2, &out, err);
    if (rc)
        return rc;
    put_hex(out, p, n);
    return step_keep(env, v, out, n * 2);
}

static enum err_code hash(struct step_env *env, const struct step *step, struct value *v,
                          const EVP_MD *md, struct err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct slice bytes;
    enum err_code rc = input_bytes(env, step, v, &bytes, err);
    if (rc)
        return rc;
    EVP_MD_CTX *context = env->digest->context;
    if (!EVP_DigestInit_ex2(context, md, NULL) || !EVP_DigestUpdate(context, bytes.p, bytes.n) ||
        !EVP_DigestFinal_ex(context, digest, &n))
        return err_set(err, ERR_NOMEM, "OpenSSL could not hash");
    return keep_hex(env, v, digest, n, err);
}

enum err_code step_sha256(struct step_env *env, const struct step *step, struct value *v,
                          struct err *err)
{
    return hash(env, step, v, env->digest->sha256, err);
}

enum err_code step_md5(struct step_env *env, const struct step *step, struct value *v,
                       struct err *err)
{
    return hash(env, step, v, env->digest->md5, err);
}

enum err_code step_hex(struct step_env *env, const struct step *step, struct value *v,
                       struct err *err)
{
    struct slice bytes;
    enum err_code rc = input_bytes(env, step, v, &bytes, err);
    return rc ? rc : keep_hex(env, v, bytes.p, bytes.n, err);
}

enum err_code step_base64(struct step_env *env, const struct step *step, struct value *v,
                          struct err *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (step->of_bytes)
        return ERR_OK;
    char *out;
    enum err_code rc = scratch_room(&env->scratch, ((size_t)v->n + 2) / 3 * 4, &out, err);
    if (rc)
        return rc;
    char *o = out;
    for (size_t i = 0; i < v->n; i += 3) {
        size_t have = v->n - i < 3 ? v->n - i : 3;
        unsigned char in[3] = {0};
        memcpy(in, v->p + i, have);
        *o++ = digits[in[0] >> 2];
        *o++ = digits[(in[0] & 3) << 4 | in[1] >> 4];
        *o++ = have > 1 ? digits[(in[1] & 15) << 2 | in[2] >> 6] : '=';
        *o++ = have > 2 ? digits[in[2] & 63] : '=';
    }
    return step_keep(env, v, out, (size_t)(o - out));
}
