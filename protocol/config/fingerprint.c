/*
 * A destination's fingerprint: equal in all programs that read the same configuration and
 * environment.
 *
 * It goes through Redis in the clear, so no secret may be read or guessed from it. All that is not
 * secret goes into one SHA-256. The secrets (bearer, basic, sign, header values) go through PBKDF2
 * first, of which only 16 bits are used: enough to notice a changed secret but once in 65536, and
 * whoever tries secrets against it is left with every 65536th of all there are, after much work.
 */
#include "protocol/config/parts.h"

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

static enum err_code put_numbers(struct buf *b, const struct destination *d)
{
    enum err_code rc = buf_printf(
        b, "|%" PRIu32 "|%" PRIu64 "|%" PRIu32 "|%" PRIu64 "|%" PRIu32 "|%d|", d->concurrency,
        d->timeout_ms, d->batch_size, d->batch_bytes, d->batch_max, d->gzip);
    if (!rc)
        rc = buf_printf(b, "%" PRIu32 "|%" PRIu64 "|%" PRIu64 "|%" PRIu64, d->retry.attempts,
                        d->retry.base_ms, d->retry.max_ms, d->retry.throttled_max_ms);
    for (size_t i = 0; !rc && i < d->limit_count; i++)
        rc = buf_printf(b, "|%d %" PRIu64 " %" PRIu64, (int)d->limits[i].kind, d->limits[i].count,
                        d->limits[i].per_ms);
    return rc;
}

/* The file of authorities is left out: its path differs between hosts, and it changes nothing that
 * is sent. */
static enum err_code put_public(struct buf *b, const struct destination *d)
{
    const char *const texts[] = {"sluice destination 1", d->name, d->type, d->quota, d->url};
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < ARRAY_LEN(texts); i++)
        rc = put_text(b, texts[i]);
    for (size_t i = 0; !rc && i < d->header_count; i++)
        rc = put_text(b, d->headers[i].name);
    return rc ? rc : put_numbers(b, d);
}

static enum err_code put_secret(struct buf *b, const struct destination *d)
{
    const char *const texts[] = {d->bearer, d->basic_user, d->basic_password, d->sign_secret};
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < ARRAY_LEN(texts); i++)
        rc = put_text(b, texts[i]);
    for (size_t i = 0; !rc && i < d->header_count; i++)
        rc = put_text(b, d->headers[i].value);
    return rc;
}

static bool has_secret(const struct destination *d)
{
    return d->bearer || d->basic_user || d->sign_secret || d->header_count > 0;
}

static enum err_code digest(const struct destination *d, struct buf *text, struct buf *secret,
                            unsigned char *out)
{
    unsigned char bits[SECRET_BYTES] = {0};
    enum err_code rc = put_public(text, d);
    if (!rc)
        rc = put_secret(secret, d);
    if (rc)
        return rc;
    if (has_secret(d) &&
        !PKCS5_PBKDF2_HMAC(secret->p, (int)secret->len, (const unsigned char *)text->p,
                           (int)text->len, SECRET_ROUNDS, EVP_sha256(), SECRET_BYTES, bits))
        return ERR_NOMEM;
    rc = buf_put(text, bits, sizeof bits);
    if (!rc && !EVP_Digest(text->p, text->len, out, NULL, EVP_sha256(), NULL))
        rc = ERR_NOMEM;
    return rc;
}

void fingerprint_make(struct reader *rd, struct destination *d)
{
    struct buf text CLEANUP(buf_done), secret CLEANUP(buf_done);
    unsigned char sum[EVP_MAX_MD_SIZE];
    buf_init(&text, TEXT_MAX);
    buf_init(&secret, TEXT_MAX);
    enum err_code rc = digest(d, &text, &secret, sum);
    if (rc == ERR_FULL)
        mistake(rd, d->place,
                "the headers and credentials of this destination are too long: shorten them");
    else if (rc)
        rd->failed = rc;
    for (size_t i = 0; !rc && i < DIGEST_BYTES; i++)
        snprintf(d->fingerprint + 2 * i, 3, "%02x", sum[i]);
}
