/*
 * A destination's fingerprint: equal in all programs that read the same configuration and
 * environment.
 *
 * It goes through Redis in the clear, so no secret may be read or guessed from it. All that is not
 * secret goes into one SHA-256. The secrets (values of secret options and of headers, and whatever
 * the environment put into a connector of the project) go through PBKDF2 first, of which only 16
 * bits are used: enough to notice a changed secret but once in 65536, and whoever tries secrets
 * against it is left with every 65536th of all there are, after much work.
 */
#include "protocol/config/parts.h"
#include "protocol/connector/read.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>

enum {
    TEXT_MAX = 4 << 20,
    SECRET_ROUNDS = 10000,
    SECRET_BYTES = 2,
    DIGEST_BYTES = 16, /* of SHA-256's 32 */
};

/* Length first, so that no two lists of texts give the same bytes. */
static enum err_code put_text(struct buf *b, const char *text)
{
    if (!text)
        return buf_putc(b, '-');
    enum err_code rc = buf_printf(b, "%zu:", strlen(text));
    return rc ? rc : buf_puts(b, text);
}

struct digesting {
    struct buf text;   /* what anybody may see */
    struct buf secret; /* the rest */
};

static enum err_code put_numbers(struct buf *b, const struct destination *d)
{
    enum err_code rc = buf_printf(b, "|%" PRIu32 "|%" PRIu64 "|%" PRIu32 "|%" PRIu64 "|",
                                  d->concurrency, d->timeout_ms, d->batch_size, d->batch_bytes);
    if (!rc)
        rc = buf_printf(b, "%" PRIu32 "|%" PRIu64 "|%" PRIu64 "|%" PRIu64, d->retry.attempts,
                        d->retry.base_ms, d->retry.max_ms, d->retry.throttled_max_ms);
    for (size_t i = 0; !rc && i < d->limit_count; i++)
        rc = buf_printf(b, "|%d %" PRIu64 " %" PRIu64 " %" PRIu32, (int)d->limits[i].kind,
                        d->limits[i].count, d->limits[i].per_ms, d->limits[i].group);
    return rc ? rc : buf_putc(b, '|');
}

static enum err_code put_options(struct digesting *g, const struct destination *d)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < d->connector->option_count; i++) {
        const struct option *o = &d->connector->options[i];
        rc = put_text(&g->text, o->name);
        if (!rc)
            rc = put_text(o->secret ? &g->secret : &g->text, d->options ? d->options[i] : NULL);
    }
    return rc;
}

/* A connector of the project, as it is written there. */
static enum err_code put_node(struct digesting *g, const struct node *node)
{
    enum err_code rc = buf_printf(&g->text, "(%d %zu", (int)node->kind,
                                  node->kind == NODE_SCALAR ? 0 : node->count);
    if (!rc && node->kind == NODE_SCALAR)
        rc = put_text(node->substituted ? &g->secret : &g->text, node->text);
    for (size_t i = 0; !rc && i < node->count && node->kind != NODE_SCALAR; i++) {
        if (node->kind == NODE_MAP)
            rc = put_text(&g->text, node->pairs[i].key);
        if (!rc)
            rc = put_node(g, node->kind == NODE_MAP ? node->pairs[i].value : node->items[i]);
    }
    return rc;
}

/* The file of authorities is left out: its path differs between hosts, and it changes nothing that
 * is sent. */
static enum err_code put_all(struct digesting *g, const struct node *definition,
                             const struct destination *d)
{
    const char *const texts[] = {"sluice destination 2", d->name, d->type, d->quota};
    struct slice builtin =
        d->connector->builtin ? connector_builtin_text(d->type) : (struct slice){0};
    enum err_code rc = buf_put(&g->text, builtin.p, builtin.n);
    for (size_t i = 0; !rc && i < ARRAY_LEN(texts); i++)
        rc = put_text(&g->text, texts[i]);
    for (size_t i = 0; !rc && i < d->header_count; i++) {
        rc = put_text(&g->text, d->headers[i].name);
        if (!rc)
            rc = put_text(&g->secret, d->headers[i].value);
    }
    if (!rc)
        rc = put_options(g, d);
    if (!rc && definition)
        rc = put_node(g, definition);
    return rc ? rc : put_numbers(&g->text, d);
}

static enum err_code digest(const struct node *definition, const struct destination *d,
                            struct digesting *g, unsigned char *out)
{
    unsigned char bits[SECRET_BYTES] = {0};
    struct buf *text = &g->text, *secret = &g->secret;
    enum err_code rc = put_all(g, definition, d);
    if (rc)
        return rc;
    if (d->secret_count &&
        !PKCS5_PBKDF2_HMAC(secret->p, (int)secret->len, (const unsigned char *)text->p,
                           (int)text->len, SECRET_ROUNDS, EVP_sha256(), SECRET_BYTES, bits))
        return ERR_NOMEM;
    rc = buf_put(text, bits, sizeof bits);
    if (!rc && !EVP_Digest(text->p, text->len, out, NULL, EVP_sha256(), NULL))
        rc = ERR_NOMEM;
    return rc;
}

void fingerprint_make(struct reader *rd, const struct node *definition, struct destination *d)
{
    struct digesting g;
    unsigned char sum[EVP_MAX_MD_SIZE];
    buf_init(&g.text, TEXT_MAX);
    buf_init(&g.secret, TEXT_MAX);
    enum err_code rc = digest(definition, d, &g, sum);
    buf_done(&g.text);
    buf_done(&g.secret);
    if (rc == ERR_FULL)
        mistake(rd, d->place,
                "the headers, options and credentials of this destination are too long: shorten "
                "them");
    else if (rc)
        rd->failed = rc;
    for (size_t i = 0; !rc && i < DIGEST_BYTES; i++)
        snprintf(d->fingerprint + 2 * i, 3, "%02x", sum[i]);
}
