/* sha256, sha1, sha512, md5, hex, base64: of the bytes of the text, or of the bytes that a bytes
 * column holds. */
#include "scheduler/map/steps.h"

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

enum err_code step_bytes(struct step_env *env, const struct step *step, const struct value *v,
                         struct slice *ret, struct err *err)
{
    *ret = value_slice(*v);
    return step->of_bytes ? decode_base64(env, *ret, ret, err) : ERR_OK;
}

static enum err_code keep_hex(struct step_env *env, struct value *v, const void *p, size_t n,
                              struct err *err)
{
    char *out;
    enum err_code rc = scratch_room(&env->scratch, n * 2, &out, err);
    if (rc)
        return rc;
    digest_put_hex(out, p, n);
    return step_keep(env, v, out, n * 2);
}

enum err_code step_digest_of(struct step_env *env, struct value *v, enum digest_algorithm algorithm,
                             struct slice bytes, struct err *err)
{
    unsigned char digest[DIGEST_BYTES_MAX];
    enum err_code rc =
        digester_run(env->digester, algorithm, bytes, (struct slice){0}, digest, err);
    return rc ? rc : keep_hex(env, v, digest, digest_bytes(algorithm), err);
}

static enum err_code digest(struct step_env *env, const struct step *step, struct value *v,
                            enum digest_algorithm algorithm, struct err *err)
{
    struct slice bytes;
    enum err_code rc = step_bytes(env, step, v, &bytes, err);
    return rc ? rc : step_digest_of(env, v, algorithm, bytes, err);
}

enum err_code step_sha256(struct step_env *env, const struct step *step, struct value *v,
                          struct err *err)
{
    return digest(env, step, v, DIGEST_SHA256, err);
}

enum err_code step_sha1(struct step_env *env, const struct step *step, struct value *v,
                        struct err *err)
{
    return digest(env, step, v, DIGEST_SHA1, err);
}

enum err_code step_sha512(struct step_env *env, const struct step *step, struct value *v,
                          struct err *err)
{
    return digest(env, step, v, DIGEST_SHA512, err);
}

enum err_code step_md5(struct step_env *env, const struct step *step, struct value *v,
                       struct err *err)
{
    return digest(env, step, v, DIGEST_MD5, err);
}

enum err_code step_hex(struct step_env *env, const struct step *step, struct value *v,
                       struct err *err)
{
    struct slice bytes;
    enum err_code rc = step_bytes(env, step, v, &bytes, err);
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
