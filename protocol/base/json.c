#include "protocol/base/json.h"

#include "protocol/base/utf8.h"

/* 0: as it is; 'u': \u00XX; anything else: backslash and that letter. */
static const char escapes[256] = {
    [0] = 'u',  [1] = 'u',    [2] = 'u',    [3] = 'u',    [4] = 'u',   [5] = 'u',     [6] = 'u',
    [7] = 'u',  ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', [11] = 'u',  ['\f'] = 'f',  ['\r'] = 'r',
    [14] = 'u', [15] = 'u',   [16] = 'u',   [17] = 'u',   [18] = 'u',  [19] = 'u',    [20] = 'u',
    [21] = 'u', [22] = 'u',   [23] = 'u',   [24] = 'u',   [25] = 'u',  [26] = 'u',    [27] = 'u',
    [28] = 'u', [29] = 'u',   [30] = 'u',   [31] = 'u',   ['"'] = '"', ['\\'] = '\\',
};

/* The caller has room for JSON_ESCAPE_BYTES. */
static char *put_escape(char *o, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    *o++ = '\\';
    *o++ = escapes[c];
    if (escapes[c] == 'u') {
        *o++ = '0';
        *o++ = '0';
        *o++ = hex[c >> 4];
        *o++ = hex[c & 15];
    }
    return o;
}

/* Not 0 when one of the eight bytes must be escaped: below space, a quote or a backslash. It never
 * misses one; a borrow out of such a byte may make it name a neighbour too, which is then looked at
 * by itself. */
static uint64_t must_escape(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101U, tops = 0x8080808080808080U;
    uint64_t quote = w ^ ones * '"', backslash = w ^ ones * '\\';
    return ((w - ones * ' ') | (quote - ones) | (backslash - ones)) & ~w & tops;
}

char *json_write_string(char *o, struct slice s)
{
    const char *p = s.n ? s.p : "", *end = p + s.n;
    *o++ = '"';
    for (;;) {
        uint64_t w;
        while (end - p >= (ptrdiff_t)sizeof w) {
            memcpy(&w, p, sizeof w);
            if (must_escape(w))
                break;
            memcpy(o, &w, sizeof w);
            o += sizeof w;
            p += sizeof w;
        }
        const char *stop = end - p >= (ptrdiff_t)sizeof w ? p + sizeof w : end;
        for (; p < stop; p++) {
            if (escapes[(unsigned char)*p])
                o = put_escape(o, (unsigned char)*p);
            else
                *o++ = *p;
        }
        if (p == end)
            break;
    }
    *o++ = '"';
    return o;
}

/* Reserves what it needs as it goes, so that a long text does not reserve six times its length. */
static enum err_code put_long_string(struct buf *b, struct slice s)
{
    size_t start = b->len;
    enum err_code rc = buf_putc(b, '"');
    for (const char *p = s.p, *end = s.p + s.n; !rc && p < end;) {
        const char *run = p;
        while (p < end && !escapes[(unsigned char)*p])
            p++;
        rc = buf_put(b, run, (size_t)(p - run));
        if (!rc && p < end)
            rc = buf_reserve(b, JSON_ESCAPE_BYTES);
        if (!rc && p < end)
            b->len = (size_t)(put_escape(b->p + b->len, (unsigned char)*p++) - b->p);
    }
    if (!rc)
        rc = buf_putc(b, '"');
    if (rc)
        b->len = start;
    return rc;
}

enum err_code json_put_string(struct buf *b, struct slice s)
{
    enum { LONG_BYTES = 4096 };
    if (s.n > LONG_BYTES)
        return put_long_string(b, s);
    enum err_code rc = buf_reserve(b, json_string_max(s.n));
    if (!rc)
        b->len = (size_t)(json_write_string(b->p + b->len, s) - b->p);
    return rc;
}

enum err_code json_put_words(struct buf *b, struct slice s)
{
    if (utf8_valid(s) && !(s.n && memchr(s.p, '\0', s.n)))
        return json_put_string(b, s);
    CLEANUP(buf_done) struct buf whole;
    buf_init(&whole, 3 * s.n);
    enum err_code rc = utf8_put(&whole, s);
    return rc ? rc : json_put_string(b, buf_slice(&whole));
}

enum err_code json_put_value(struct buf *b, struct value v)
{
    switch (v.kind) {
    case VALUE_NULL:
        return buf_put(b, "null", 4);
    case VALUE_FALSE:
        return buf_put(b, "false", 5);
    case VALUE_TRUE:
        return buf_put(b, "true", 4);
    case VALUE_NUMBER:
    case VALUE_JSON:
        return buf_put(b, v.p, v.n);
    case VALUE_TEXT:
        return json_put_string(b, value_slice(v));
    case VALUE_ABSENT:
    case VALUE_BAD:
        break;
    }
    return ERR_BUG;
}

enum err_code json_put_compact(struct buf *b, struct slice text)
{
    enum err_code rc = buf_reserve(b, text.n);
    if (rc)
        return rc;
    char *o = b->p + b->len;
    bool in_string = false;
    for (const char *p = text.p, *end = text.p + text.n; p < end; p++) {
        if (in_string) {
            *o++ = *p;
            if (*p == '\\' && p + 1 < end)
                *o++ = *++p;
            else if (*p == '"')
                in_string = false;
        } else if (*p != ' ' && *p != '\n' && *p != '\t' && *p != '\r') {
            in_string = *p == '"';
            *o++ = *p;
        }
    }
    b->len = (size_t)(o - b->p);
    return ERR_OK;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

bool json_is_number(struct slice s)
{
    const char *p = s.p, *end = s.p + s.n;
    if (p < end && *p == '-')
        p++;
    const char *digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return false;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        p = skip_digits(p, end);
        if (p == fraction)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        const char *exponent = p;
        p = skip_digits(p, end);
        if (p == exponent)
            return false;
    }
    return p == end;
}
