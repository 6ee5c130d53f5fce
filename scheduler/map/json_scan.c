#include "scheduler/map/json_scan.h"

#include "protocol/base/json.h"

#include <stdint.h>

static bool scan(struct json_scan *s, int depth);

static bool fail(struct json_scan *s, const char *reason)
{
    s->reason = reason;
    return false;
}

static void skip_space(struct json_scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

bool json_scan_char(struct json_scan *s, char c)
{
    skip_space(s);
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four digits at p; -1 when they are not there. */
static int32_t hex4(const char *p, const char *end)
{
    if (end - p < 4)
        return -1;
    int32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

static bool scan_escape(struct json_scan *s)
{
    if (s->p == s->end)
        return fail(s, "a string does not end");
    char c = *s->p++;
    if (c == 'u') {
        if (hex4(s->p, s->end) < 0)
            return fail(s, "\\u without four digits");
        s->p += 4;
        return true;
    }
    return c && strchr("\"\\/bfnrt", c) ? true : fail(s, "unknown escape in a string");
}

static bool scan_string(struct json_scan *s)
{
    for (s->p++; s->p < s->end;) {
        unsigned char c = (unsigned char)*s->p++;
        if (c == '"')
            return true;
        if (c < 0x20)
            return fail(s, "control character in a string");
        if (c == '\\' && !scan_escape(s))
            return false;
    }
    return fail(s, "a string does not end");
}

static bool scan_word(struct json_scan *s)
{
    static const struct slice words[] = {{"null", 4}, {"true", 4}, {"false", 5}};
    const char *start = s->p;
    while (s->p < s->end && ((*s->p >= '0' && *s->p <= '9') || (*s->p >= 'a' && *s->p <= 'z') ||
                             *s->p == 'E' || *s->p == '+' || *s->p == '-' || *s->p == '.'))
        s->p++;
    struct slice word = slice_of(start, (size_t)(s->p - start));
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (slice_eq(word, words[i]))
            return true;
    return json_is_number(word) || fail(s, "neither a value nor a number");
}

static bool scan_array(struct json_scan *s, int depth)
{
    s->p++;
    if (json_scan_char(s, ']'))
        return true;
    do {
        if (!scan(s, depth + 1))
            return false;
    } while (json_scan_char(s, ','));
    return json_scan_char(s, ']') || fail(s, "an array does not end");
}

static bool scan_object(struct json_scan *s, int depth)
{
    s->p++;
    if (json_scan_char(s, '}'))
        return true;
    do {
        skip_space(s);
        if (s->p == s->end || *s->p != '"')
            return fail(s, "a name in an object is not a string");
        if (!scan_string(s))
            return false;
        if (!json_scan_char(s, ':'))
            return fail(s, "a name in an object without a colon");
        if (!scan(s, depth + 1))
            return false;
    } while (json_scan_char(s, ','));
    return json_scan_char(s, '}') || fail(s, "an object does not end");
}

static bool scan(struct json_scan *s, int depth)
{
    skip_space(s);
    if (s->p == s->end)
        return fail(s, "a value is missing");
    if (depth > JSON_DEPTH_MAX)
        return fail(s, "nested too deeply");
    if (*s->p == '"')
        return scan_string(s);
    if (*s->p == '[')
        return scan_array(s, depth);
    return *s->p == '{' ? scan_object(s, depth) : scan_word(s);
}

bool json_scan_value(struct json_scan *s, struct slice *ret_value)
{
    skip_space(s);
    const char *start = s->p;
    if (!scan(s, 1))
        return false;
    *ret_value = slice_of(start, (size_t)(s->p - start));
    return true;
}

bool json_scan_document(struct slice text, const char **ret_reason)
{
    const char *start = text.n ? text.p : "";
    struct json_scan s = {.p = start, .end = start + text.n};
    bool ok = scan(&s, 1);
    skip_space(&s);
    if (ok && s.p != s.end)
        ok = fail(&s, "something follows the value");
    *ret_reason = s.reason;
    return ok;
}

static char *put_utf8(char *o, uint32_t c)
{
    if (c < 0x80) {
        *o++ = (char)c;
        return o;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
    *o++ = (char)(lead[more] | c >> (6 * more));
    while (more--)
        *o++ = (char)(0x80 | (c >> (6 * more) & 0x3F));
    return o;
}

/* The character of a \u escape whose digits start at *p; 0 when it has none that text may hold. */
static uint32_t escaped_char(const char **p, const char *end)
{
    uint32_t c = (uint32_t)hex4(*p, end);
    *p += 4;
    if (c < 0xD800 || c > 0xDFFF)
        return c;
    if (c > 0xDBFF || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return 0;
    uint32_t low = (uint32_t)hex4(*p + 2, end);
    if (low < 0xDC00 || low > 0xDFFF)
        return 0;
    *p += 6;
    return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
}

const char *json_unescape(struct slice literal, char *out, size_t *ret_n)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    char *o = out;
    const char *p = literal.p + 1, *end = literal.p + literal.n - 1;
    while (p < end) {
        if (*p != '\\') {
            *o++ = *p++;
            continue;
        }
        char c = p[1];
        p += 2;
        const char *letter = strchr(letters, c);
        if (c == 'u') {
            uint32_t code = escaped_char(&p, end);
            if (!code)
                return "a string holds \\u0000 or half a surrogate pair";
            o = put_utf8(o, code);
        } else {
            *o++ = letter ? meanings[letter - letters] : c;
        }
    }
    *ret_n = (size_t)(o - out);
    return NULL;
}
