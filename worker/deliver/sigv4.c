#include "worker/deliver/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "protocol/base/buf.h"

enum {
    SHA_BYTES = 32,
    HEX_BYTES = 2 * SHA_BYTES + 1,
    TEXT_BYTES_MAX = 1 << 20,
    PAIRS_MAX = 256,
    SECRET_BYTES_MAX = 256,
    SCOPE_BYTES = 256,
};

static const char digits[] = "0123456789abcdef";

static void put_hex(const unsigned char *bytes, char *out)
{
    for (size_t i = 0; i < SHA_BYTES; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * SHA_BYTES] = '\0';
}

static bool hash_hex(struct slice text, char *out)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(text.n ? text.p : "", text.n, sum, NULL, EVP_sha256(), NULL))
        return false;
    put_hex(sum, out);
    return true;
}

static bool mac(const void *key, size_t key_bytes, struct slice text, unsigned char *out)
{
    return HMAC(EVP_sha256(), key, (int)key_bytes, (const unsigned char *)text.p, text.n, out,
                NULL) != NULL;
}

/* ---- the canonical request ---- */

struct address {
    struct slice host;
    struct slice path;
    struct slice query;
};

static struct address split(const char *url)
{
    bool tls = strncasecmp(url, "https:", 6) == 0;
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t n = strcspn(host, "/?#");
    const char *path = host + n;
    size_t path_bytes = strcspn(path, "?#");
    const char *query = path[path_bytes] == '?' ? path + path_bytes + 1 : "";
    const char *port = tls ? ":443" : ":80";
    size_t port_bytes = strlen(port);
    if (n > port_bytes && strncmp(host + n - port_bytes, port, port_bytes) == 0)
        n -= port_bytes; /* not in the Host header either */
    return (struct address){{host, n}, {path, path_bytes}, {query, strcspn(query, "#")}};
}

static bool is_unreserved(unsigned char c)
{
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

static enum err_code put_encoded(struct buf *out, unsigned char c)
{
    return is_unreserved(c) ? buf_putc(out, (char)c) : buf_printf(out, "%%%02X", c);
}

static int digit_of(char c)
{
    const char *at = c ? strchr(digits, c | 32) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* A part of a query, decoded and encoded again in the one way that counts. */
static enum err_code put_part(struct buf *out, struct slice part)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < part.n && !rc; i++) {
        unsigned char c = (unsigned char)part.p[i];
        bool coded = c == '%' && i + 2 < part.n && digit_of(part.p[i + 1]) >= 0 &&
                     digit_of(part.p[i + 2]) >= 0;
        if (coded) {
            c = (unsigned char)(digit_of(part.p[i + 1]) << 4 | digit_of(part.p[i + 2]));
            i += 2;
        }
        rc = put_encoded(out, c);
    }
    return rc;
}

/* By name, then by value: the "=" between them, of which there is one, sorts below everything. */
static int by_name(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    while (*x && *x == *y)
        x++, y++;
    int left = *x == '=' ? 1 : (unsigned char)*x, right = *y == '=' ? 1 : (unsigned char)*y;
    return left - right;
}

static enum err_code put_pair(struct buf *out, struct slice pair)
{
    const char *equals = memchr(pair.p, '=', pair.n);
    size_t name = equals ? (size_t)(equals - pair.p) : pair.n;
    enum err_code rc = put_part(out, slice_of(pair.p, name));
    if (!rc)
        rc = buf_putc(out, '=');
    return rc || !equals ? rc : put_part(out, slice_of(equals + 1, pair.n - name - 1));
}

static enum err_code put_query(struct buf *out, struct slice query)
{
    char *pairs[PAIRS_MAX];
    size_t count = 0;
    enum err_code rc = ERR_OK;
    while (query.n && !rc) {
        const char *end = memchr(query.p, '&', query.n);
        size_t n = end ? (size_t)(end - query.p) : query.n;
        struct buf pair;
        buf_init(&pair, TEXT_BYTES_MAX);
        rc = count == PAIRS_MAX ? ERR_FULL : put_pair(&pair, slice_of(query.p, n));
        if (!rc && buf_cstr(&pair))
            pairs[count++] = pair.p;
        else
            buf_done(&pair);
        n += end != NULL;
        query = slice_of(query.p + n, query.n - n);
    }
    qsort(pairs, count, sizeof *pairs, by_name);
    for (size_t i = 0; i < count; i++) {
        if (!rc)
            rc = i ? buf_putc(out, '&') : ERR_OK;
        if (!rc)
            rc = buf_puts(out, pairs[i]);
        free(pairs[i]);
    }
    return rc;
}

/* Everywhere but at S3 the path counts encoded once more. */
static enum err_code put_path(struct buf *out, struct slice path, bool once)
{
    enum err_code rc = path.n ? ERR_OK : buf_putc(out, '/');
    for (size_t i = 0; i < path.n && !rc; i++)
        rc = once || path.p[i] == '/' ? buf_putc(out, path.p[i])
                                      : put_encoded(out, (unsigned char)path.p[i]);
    return rc;
}

static enum err_code put_canonical(struct buf *out, const struct sigv4_request *r, bool s3,
                                   const char *date, const char *content)
{
    struct address a = split(r->url);
    enum err_code rc = buf_printf(out, "%s\n", r->method);
    if (!rc)
        rc = put_path(out, a.path, s3);
    if (!rc)
        rc = buf_putc(out, '\n');
    if (!rc)
        rc = put_query(out, a.query);
    if (!rc)
        rc = buf_printf(out, "\nhost:%.*s\n", (int)a.host.n, a.host.p);
    if (!rc && s3)
        rc = buf_printf(out, "x-amz-content-sha256:%s\n", content);
    return rc ? rc
              : buf_printf(out, "x-amz-date:%s\n\nhost;%sx-amz-date\n%s", date,
                           s3 ? "x-amz-content-sha256;" : "", content);
}

/* ---- the signature ---- */

static bool sign(const struct rendered_sigv4 *keys, const char *day, struct slice text, char *out)
{
    char secret[SECRET_BYTES_MAX + 8];
    unsigned char key[EVP_MAX_MD_SIZE], next[EVP_MAX_MD_SIZE];
    const char *const parts[] = {day, keys->region, keys->service, "aws4_request"};
    int n = snprintf(secret, sizeof secret, "AWS4%s", keys->secret);
    bool good = mac(secret, (size_t)n, slice_str(parts[0]), key);
    for (size_t i = 1; good && i < ARRAY_LEN(parts); i++) {
        good = mac(key, SHA_BYTES, slice_str(parts[i]), next);
        memcpy(key, next, SHA_BYTES);
    }
    good = good && mac(key, SHA_BYTES, text, next);
    if (good)
        put_hex(next, out);
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(key, sizeof key);
    return good;
}

enum err_code sigv4_sign(const struct rendered_sigv4 *keys, const struct sigv4_request *r,
                         struct sigv4_lines *ret_lines, struct err *err)
{
    char date[32], day[16], content[HEX_BYTES], hash[HEX_BYTES], signature[HEX_BYTES];
    char scope[SCOPE_BYTES];
    struct sigv4_lines *out = ret_lines;
    bool s3 = strcmp(keys->service, "s3") == 0;
    time_t seconds = (time_t)(r->now_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &tm);
    strftime(day, sizeof day, "%Y%m%d", &tm);
    int n =
        snprintf(scope, sizeof scope, "%s/%s/%s/aws4_request", day, keys->region, keys->service);
    if (n < 0 || (size_t)n >= sizeof scope || strlen(keys->secret) > SECRET_BYTES_MAX)
        return err_set(err, ERR_CONFIG, "AWS keys, region or service are longer than any can be");
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    if (!hash_hex(r->body, content) || put_canonical(&text, r, s3, date, content) ||
        !hash_hex(buf_slice(&text), hash))
        return err_set(err, ERR_NOMEM, "no memory for a signature");
    buf_reset(&text);
    if (buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hash) ||
        !sign(keys, day, buf_slice(&text), signature))
        return err_set(err, ERR_NOMEM, "no memory for a signature");
    n = snprintf(out->authorization, sizeof out->authorization,
                 "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, "
                 "SignedHeaders=host;%sx-amz-date, Signature=%s",
                 keys->key, scope, s3 ? "x-amz-content-sha256;" : "", signature);
    if (n < 0 || (size_t)n >= sizeof out->authorization)
        return err_set(err, ERR_CONFIG, "the AWS access key is longer than any can be");
    snprintf(out->date, sizeof out->date, "x-amz-date: %s", date);
    out->content[0] = '\0';
    if (s3)
        snprintf(out->content, sizeof out->content, "x-amz-content-sha256: %s", content);
    return ERR_OK;
}
