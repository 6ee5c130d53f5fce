/* hash, hmac, unless_hashed: hashing of values of which some may be hashed already. */
#include "scheduler/map/steps.h"

#include <stdio.h>

enum { SHA256_HEX = 64, RESULT_TEXT_BYTES = 64 };

struct step_hmac {
    enum digest_algorithm algorithm;
    unsigned char inner[DIGEST_BLOCK_BYTES_MAX]; /* key xor ipad, key xor opad (RFC 2104) */
    unsigned char outer[DIGEST_BLOCK_BYTES_MAX];
};

static bool is_hex(char c)
{
    char low = (char)(c | 0x20);
    return (c >= '0' && c <= '9') || (low >= 'a' && low <= 'f');
}

/* True where v is a SHA-256 in hex, white space around it aside; *ret becomes its digits. */
static bool is_hashed(const struct value *v, struct slice *ret)
{
    if (v->kind != VALUE_TEXT || v->n < SHA256_HEX)
        return false;
    *ret = text_trim(value_slice(*v));
    if (ret->n != SHA256_HEX)
        return false;
    for (size_t i = 0; i < SHA256_HEX; i++)
        if (!is_hex(ret->p[i]))
            return false;
    return true;
}

enum err_code step_hash(struct step_env *env, const struct step *step, struct value *v,
                        struct err *err)
{
    struct slice s;
    if (!step->of_bytes && is_hashed(v, &s)) {
        *v = value_of(VALUE_TEXT, s);
        return step_lower(env, step, v, err);
    }
    enum err_code rc = step_bytes(env, step, v, &s, err);
    if (rc)
        return rc;
    /* The hash of nothing would match everybody who has nothing there. */
    if (!s.n || (!step->of_bytes && !text_trim(s).n)) {
        *v = (struct value){.kind = VALUE_NULL};
        return ERR_OK;
    }
    return step_digest_of(env, v, DIGEST_SHA256, s, err);
}

static enum digest_algorithm algorithm_of(const char *word)
{
    if (word && strcmp(word, "sha1") == 0)
        return DIGEST_SHA1;
    return word && strcmp(word, "sha512") == 0 ? DIGEST_SHA512 : DIGEST_SHA256;
}

enum err_code step_hmac_compile(struct step *step, const struct transform *t, struct step_env *env,
                                struct arena *arena, struct err *err)
{
    enum { INNER_PAD = 0x36, OUTER_PAD = 0x5C };
    struct slice secret = slice_str(t->text);
    unsigned char key[DIGEST_BLOCK_BYTES_MAX] = {0};
    struct step_hmac *h = arena_alloc(arena, sizeof *h);
    if (!h)
        return err_set(err, ERR_NOMEM, "no memory for a key");
    if (!secret.n)
        return err_set(err, ERR_CONFIG, "transform hmac needs a secret that is not empty");
    h->algorithm = algorithm_of(t->with);
    enum err_code rc = digester_need(&env->digester, h->algorithm, err);
    if (!rc && secret.n > digest_block_bytes(h->algorithm))
        rc = digester_run(env->digester, h->algorithm, secret, (struct slice){0}, key, err);
    else if (!rc)
        memcpy(key, secret.p, secret.n);
    for (size_t i = 0; i < sizeof key; i++) {
        h->inner[i] = key[i] ^ INNER_PAD;
        h->outer[i] = key[i] ^ OUTER_PAD;
    }
    explicit_bzero(key, sizeof key);
    step->hmac = h;
    return rc;
}

enum err_code step_hmac(struct step_env *env, const struct step *step, struct value *v,
                        struct err *err)
{
    const struct step_hmac *h = step->hmac;
    size_t block = digest_block_bytes(h->algorithm), n = digest_bytes(h->algorithm);
    unsigned char digest[DIGEST_BYTES_MAX];
    struct slice bytes;
    char *out;
    enum err_code rc = step_bytes(env, step, v, &bytes, err);
    rc = rc ? rc
            : digester_run(env->digester, h->algorithm, slice_of(h->inner, block), bytes, digest,
                           err);
    rc = rc ? rc
            : digester_run(env->digester, h->algorithm, slice_of(h->outer, block),
                           slice_of(digest, n), digest, err);
    rc = rc ? rc : scratch_room(&env->scratch, n * 2, &out, err);
    if (rc)
        return rc;
    digest_put_hex(out, digest, n);
    return step_keep(env, v, out, n * 2);
}

/* The steps inside see what comes in; what goes out is theirs, or a text that was hashed. */
enum err_code step_unless_hashed_compile(struct step *step, const struct transform *t,
                                         struct step_env *env, struct arena *arena,
                                         struct step_input *input, struct err *err)
{
    const unsigned text = 1u << VALUE_TEXT;
    char what[RESULT_TEXT_BYTES];
    struct step_input inside = *input;
    step->inner = arena_alloc(arena, (t->inner_count ? t->inner_count : 1) * sizeof *step->inner);
    if (!step->inner)
        return err_set(err, ERR_NOMEM, "no memory for the transforms of unless_hashed");
    for (size_t i = 0; i < t->inner_count; i++) {
        if (i) {
            snprintf(what, sizeof what, "the result of %s", step_name(t->inner[i - 1].kind));
            inside.what = what;
        }
        step->inner_count++;
        enum err_code rc = step_compile(&step->inner[i], &t->inner[i], env, arena, &inside, err);
        if (rc)
            return rc;
    }
    input->kinds = (input->kinds & text) | inside.kinds;
    input->is_bytes = inside.is_bytes;
    return ERR_OK;
}

enum err_code step_unless_hashed(struct step_env *env, const struct step *step, struct value *v,
                                 struct err *err)
{
    struct slice hashed;
    if (is_hashed(v, &hashed))
        return ERR_OK;
    for (size_t i = 0; i < step->inner_count && v->kind != VALUE_NULL; i++) {
        enum err_code rc = step_run(env, &step->inner[i], v, err);
        if (UNLIKELY(rc))
            return rc;
    }
    return ERR_OK;
}
