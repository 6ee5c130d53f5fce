/* Reads: options, answers of token requests, values of the fleet. Gives: auth vars to rendering.
 * Invariant: the values are those of one answer, except for a refresh token that it did not renew.
 * A crash here: the fleet's value is what the next worker goes on with. */
#include "worker/auth/token_private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/clock.h"

static struct token *of(struct prelude *p)
{
    return (struct token *)p;
}

static void fingerprint(struct slice text, uint8_t *out)
{
    unsigned char sum[EVP_MAX_MD_SIZE] = {0};
    if (!EVP_Digest(text.p, text.n, sum, NULL, EVP_sha256(), NULL))
        memset(sum, 0, sizeof sum);
    memcpy(out, sum, 16);
}

/* ---- values ---- */

static void wipe(struct buf *b)
{
    if (b->cap)
        OPENSSL_cleanse(b->p, b->cap);
    buf_done(b);
}

enum err_code token_set(struct token *t, const struct slice *values)
{
    struct buf fresh;
    buf_init(&fresh, TOKEN_BYTES_MAX);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < t->value_count; i++) {
        struct slice v = values[i].p ? values[i] : t->values[i];
        rc = v.p ? buf_put(&fresh, v.p, v.n) : ERR_OK;
        if (!rc && v.p)
            rc = buf_putc(&fresh, '\0');
    }
    if (rc) {
        wipe(&fresh);
        return rc;
    }
    const char *at = fresh.p;
    for (size_t i = 0; i < t->value_count; i++) {
        struct slice v = values[i].p ? values[i] : t->values[i];
        if (!v.p)
            continue;
        t->values[i] = slice_of(at, v.n);
        at += v.n + 1;
    }
    wipe(&t->text);
    t->text = fresh;
    t->prelude.generation++;
    t->prelude.unused = false; /* unless it was got here: token_classify says so */
    return ERR_OK;
}

/* ---- what a slot asks ---- */

static int64_t margin_ms(const struct token *t)
{
    int64_t tenth = t->life_ms / 10;
    return tenth < TOKEN_MARGIN_MS ? tenth : TOKEN_MARGIN_MS;
}

static bool ready(struct prelude *p, int64_t now_ms)
{
    const struct token *t = of(p);
    return t->ends_ms && now_ms < t->ends_ms - margin_ms(t);
}

static bool learn(struct prelude *p, struct slice value, int64_t now_ms)
{
    struct token *t = of(p);
    uint8_t print[16];
    if (!token_unseal(t, value, now_ms))
        return false;
    fingerprint(t->values[AUTH_TOKEN], print);
    if (t->has_refused && memcmp(print, t->refused, sizeof print) == 0)
        t->ends_ms = 0;
    return ready(p, now_ms);
}

static void refuse(struct prelude *p, uint64_t generation)
{
    struct token *t = of(p);
    if (generation != p->generation || !t->values[AUTH_TOKEN].p)
        return; /* another one has come meanwhile */
    fingerprint(t->values[AUTH_TOKEN], t->refused);
    t->has_refused = true;
    t->ends_ms = 0;
}

static const struct slice *values(const struct prelude *p)
{
    return ((const struct token *)p)->values;
}

static enum err_code render(struct prelude *p, const struct delivery *d, struct rendered *out,
                            struct err *err)
{
    return token_render(of(p), d, out, err);
}

static enum err_code classify(struct prelude *p, const struct delivery *d, struct rendered *r,
                              const struct http_answer *answer, struct prelude_answer *ret_answer,
                              struct err *err)
{
    return token_classify(of(p), d, r, answer, ret_answer, err);
}

static void token_free(struct prelude *p)
{
    struct token *t = of(p);
    if (!t)
        return;
    OPENSSL_cleanse(&t->key, sizeof t->key);
    wipe(&t->text);
    free(t->values);
    free(t->name);
    free(t);
}

/* ---- life ---- */

/* The refresh token of the configuration is the first one; what comes from it carries its mark. */
static enum err_code take_configured(struct token *t, struct err *err)
{
    struct buf first;
    buf_init(&first, TOKEN_BYTES_MAX);
    const struct delivery none = {0};
    struct render_input in = {.delivery = &none, .auth_vars = t->values, .now_ms = clock_wall_ms()};
    enum err_code rc = render_template(&t->context, &t->request->refresh, &in, false, &first, err);
    uint8_t print[16];
    fingerprint(buf_slice(&first), print);
    for (size_t i = 0; i < 8; i++)
        snprintf(t->origin + 2 * i, 3, "%02x", print[i]);
    struct slice *start = calloc(t->value_count, sizeof *start);
    if (!rc && !start)
        rc = err_set(err, ERR_NOMEM, "no memory for a token");
    if (!rc && first.len) {
        start[AUTH_REFRESH] = buf_slice(&first);
        if (token_set(t, start))
            rc = err_set(err, ERR_NOMEM, "no memory for a token");
    }
    free(start);
    wipe(&first);
    return rc;
}

static enum err_code fill(struct token *t, const char *seal_key, struct err *err)
{
    const char *destination = t->context.destination->name;
    size_t n = strlen(destination) + sizeof "auth:";
    t->value_count = t->context.connector->auth_var_count;
    t->values = calloc(t->value_count, sizeof *t->values);
    t->name = malloc(n);
    if (!t->values || !t->name || (seal_key && seal_key_of(seal_key, &t->key)))
        return err_set(err, ERR_NOMEM, "no memory for a token");
    snprintf(t->name, n, "auth:%s", destination);
    t->prelude.name = t->name;
    t->prelude.shared = seal_key != NULL;
    return take_configured(t, err);
}

enum err_code token_new(const struct render_context *context, const char *seal_key,
                        struct prelude **ret_prelude, struct err *err)
{
    static const struct prelude_ops ops = {
        .ready = ready,
        .learn = learn,
        .render = render,
        .classify = classify,
        .refuse = refuse,
        .values = values,
        .free = token_free,
    };
    struct token *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(err, ERR_NOMEM, "no memory for a token");
    t->prelude.ops = &ops;
    t->context = *context;
    t->request = context->auth->token;
    buf_init(&t->text, TOKEN_BYTES_MAX);
    enum err_code rc = fill(t, seal_key, err);
    if (rc)
        token_free(&t->prelude);
    else
        *ret_prelude = &t->prelude;
    return rc;
}
