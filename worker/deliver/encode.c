#include "worker/deliver/encode.h"

#include "protocol/base/json.h"

#include <openssl/evp.h>

enum { PERCENT_BYTES = 3 };

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool is_url_text(unsigned char c)
{
    return c > ' ' && c < 0x7F && !strchr("\"<>\\^`{|}", c);
}

static enum err_code percent(struct buf *out, struct slice s, bool (*passes)(unsigned char c))
{
    static const char hex[] = "0123456789ABCDEF";
    enum err_code rc = buf_reserve(out, s.n * PERCENT_BYTES);
    if (rc)
        return rc;
    char *o = out->p + out->len;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (passes(c)) {
            *o++ = (char)c;
            continue;
        }
        *o++ = '%';
        *o++ = hex[c >> 4];
        *o++ = hex[c & 15];
    }
    out->len = (size_t)(o - out->p);
    return ERR_OK;
}

enum err_code encode_url(struct buf *out, struct slice s)
{
    return s.n ? percent(out, s, is_unreserved) : ERR_OK;
}

enum err_code encode_url_text(struct buf *out, struct slice s)
{
    return s.n ? percent(out, s, is_url_text) : ERR_OK;
}

enum err_code encode_json(struct buf *out, struct slice s)
{
    size_t start = out->len;
    enum err_code rc = json_put_string(out, s);
    if (rc)
        return rc;
    size_t n = out->len - start - 2;
    memmove(out->p + start, out->p + start + 1, n);
    out->len = start + n;
    return ERR_OK;
}

static bool needs_quotes(struct slice s, char delimiter)
{
    if (!s.n)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == delimiter || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r')
            return true;
    /* Many readers trim what is not quoted. */
    return s.p[0] == ' ' || s.p[s.n - 1] == ' ';
}

enum err_code encode_csv(struct buf *out, struct slice s, char delimiter)
{
    if (!needs_quotes(s, delimiter))
        return s.n ? buf_put(out, s.p, s.n) : ERR_OK;
    enum err_code rc = buf_reserve(out, 2 * s.n + 2);
    if (rc)
        return rc;
    char *o = out->p + out->len;
    *o++ = '"';
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            *o++ = '"';
        *o++ = s.p[i];
    }
    *o++ = '"';
    out->len = (size_t)(o - out->p);
    return ERR_OK;
}

enum err_code encode_hex(struct buf *out, struct slice s)
{
    static const char digits[] = "0123456789abcdef";
    enum err_code rc = buf_reserve(out, 2 * s.n);
    if (rc)
        return rc;
    char *o = out->p + out->len;
    for (size_t i = 0; i < s.n; i++) {
        *o++ = digits[(unsigned char)s.p[i] >> 4];
        *o++ = digits[(unsigned char)s.p[i] & 15];
    }
    out->len = (size_t)(o - out->p);
    return ERR_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 128 bits are 26 digits of five bits each, the first of which holds only three. */
enum err_code encode_ulid(struct buf *out, struct slice uuid)
{
    enum { DIGITS = 26, NIBBLES = 32 };
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    unsigned __int128 bits = 0;
    size_t nibbles = 0;
    for (size_t i = 0; i < uuid.n; i++) {
        int d = hex_digit(uuid.p[i]);
        if (d < 0 && uuid.p[i] != '-')
            return buf_put(out, uuid.p, uuid.n);
        if (d < 0)
            continue;
        bits = bits << 4 | (unsigned)d;
        nibbles++;
    }
    if (nibbles != NIBBLES)
        return buf_put(out, uuid.p, uuid.n);
    char text[DIGITS];
    for (size_t i = DIGITS; i-- > 0; bits >>= 5)
        text[i] = digits[bits & 31];
    return buf_put(out, text, DIGITS);
}

enum err_code encode_base64(struct buf *out, struct slice s)
{
    enum err_code rc = buf_reserve(out, (s.n + 2) / 3 * 4 + 1);
    if (rc || !s.n)
        return rc;
    int n =
        EVP_EncodeBlock((unsigned char *)out->p + out->len, (const unsigned char *)s.p, (int)s.n);
    out->len += (size_t)n;
    return ERR_OK;
}

char *encode_u32(char *out, uint32_t n)
{
    char digits[10];
    size_t i = sizeof digits;
    do
        digits[--i] = (char)('0' + n % 10);
    while (n /= 10);
    memcpy(out, digits + i, sizeof digits - i);
    return out + sizeof digits - i;
}
