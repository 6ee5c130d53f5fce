#include "scheduler/source/convert.h"

#include "protocol/base/json.h"
#include "protocol/base/utf8.h"

const char convert_not_utf8[] = "text that is not valid UTF-8; convert it in the model";

static struct value number(struct cell cell)
{
    struct slice s = slice_of(cell.p, cell.n);
    if (LIKELY(json_is_number(s)))
        return value_of(VALUE_NUMBER, s);
    if (slice_eq_str(s, "NaN"))
        return value_bad(
            "numeric NaN has no JSON number; cast it to text or filter it in the model");
    if (slice_eq_str(s, "Infinity") || slice_eq_str(s, "-Infinity"))
        return value_bad(
            "numeric Infinity has no JSON number; cast it to text or filter it in the model");
    return value_bad("a number that is not one in the form the warehouse should print");
}

static struct value boolean(struct cell cell)
{
    if (cell.n == 1 && (cell.p[0] == 't' || cell.p[0] == 'f'))
        return (struct value){cell.p[0] == 't' ? VALUE_TRUE : VALUE_FALSE, 0, NULL};
    return value_bad("a boolean that is not one in the form the warehouse should print");
}

/* shape: 0 stands for a digit, anything else for itself. */
static inline bool has_shape(const char *p, const char *shape, size_t n)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok &= shape[i] == '0' ? (unsigned char)(p[i] - '0') < 10 : p[i] == shape[i];
    return ok;
}

static struct value bad_time(struct cell cell)
{
    struct slice s = slice_of(cell.p, cell.n);
    if (slice_eq_str(s, "infinity") || slice_eq_str(s, "-infinity"))
        return value_bad(
            "an infinite date has no RFC 3339 form; cast it to text or filter it in the model");
    if (cell.n > 3 && memcmp(cell.p + cell.n - 3, " BC", 3) == 0)
        return value_bad(
            "a date before Christ has no RFC 3339 form; cast it to text or filter it in the model");
    size_t digits = 0;
    while (digits < cell.n && (unsigned char)(cell.p[digits] - '0') < 10)
        digits++;
    if (digits > 4)
        return value_bad(
            "a year above 9999 has no RFC 3339 form; cast it to text or filter it in the model");
    return value_bad(
        "a date that is not in ISO form and UTC; the model must not change DateStyle or TimeZone");
}

static struct value date(struct cell cell)
{
    static const char shape[] = "0000-00-00";
    if (cell.n == sizeof shape - 1 && has_shape(cell.p, shape, sizeof shape - 1))
        return value_of(VALUE_TEXT, slice_of(cell.p, cell.n));
    return bad_time(cell);
}

/*
 * `2026-01-02 03:04:05.678+00` → `2026-01-02T03:04:05.678Z` in place. A column without zone has
 * none here either, unless the model's timezone made it one with.
 */
static struct value timestamp(struct cell cell, bool zone_required)
{
    static const char shape[] = "0000-00-00 00:00:00";
    const size_t seconds = sizeof shape - 1;
    if (cell.n < seconds || !has_shape(cell.p, shape, seconds))
        return bad_time(cell);
    size_t n = seconds;
    if (n < cell.n && cell.p[n] == '.') {
        size_t fraction = ++n;
        while (n < cell.n && (unsigned char)(cell.p[n] - '0') < 10)
            n++;
        if (n == fraction)
            return bad_time(cell);
    }
    bool utc = cell.n - n == 3 && memcmp(cell.p + n, "+00", 3) == 0;
    if (!utc && (zone_required || n != cell.n))
        return bad_time(cell);
    cell.p[10] = 'T';
    cell.p[n] = 'Z';
    return value_of(VALUE_TEXT, slice_of(cell.p, n + 1));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Base64 (RFC 4648 section 4) is shorter than hex, so it can be written over what was read. */
static struct value bytes(struct cell cell)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (cell.n < 2 || cell.n % 2 || cell.p[0] != '\\' || cell.p[1] != 'x')
        return value_bad("bytea that is not in hex; the model must not change bytea_output");
    const char *p = cell.p + 2, *end = cell.p + cell.n;
    char *out = cell.p;
    while (p < end) {
        uint32_t group = 0;
        int have = 0;
        for (; have < 3 && p < end; have++, p += 2) {
            int high = hex_digit(p[0]), low = hex_digit(p[1]);
            if (high < 0 || low < 0)
                return value_bad(
                    "bytea that is not in hex; the model must not change bytea_output");
            group |= (uint32_t)(high << 4 | low) << (16 - 8 * have);
        }
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = have > 1 ? digits[group >> 6 & 63] : '=';
        *out++ = have > 2 ? digits[group & 63] : '=';
    }
    return value_of(VALUE_TEXT, slice_of(cell.p, (size_t)(out - cell.p)));
}

static struct value json(struct cell cell)
{
    /* Compact JSON is never longer, so the buffer may lie over the text itself. */
    struct buf out = {.p = cell.p, .cap = cell.n, .max = cell.n};
    if (cell.n == 0 || json_put_compact(&out, slice_of(cell.p, cell.n)))
        return value_bad("json that the warehouse printed empty");
    return value_of(VALUE_JSON, buf_slice(&out));
}

struct value convert_cell(const struct converter *c, struct cell cell, bool ascii)
{
    if (UNLIKELY(!ascii) && !utf8_valid(slice_of(cell.p, cell.n)))
        return value_bad(convert_not_utf8);
    switch (c->kind) {
    case CONVERT_TEXT:
        return value_of(VALUE_TEXT, slice_of(cell.p, cell.n));
    case CONVERT_NUMBER:
        return number(cell);
    case CONVERT_BOOL:
        return boolean(cell);
    case CONVERT_JSON:
        return json(cell);
    case CONVERT_DATE:
        return date(cell);
    case CONVERT_TIMESTAMP:
        return timestamp(cell, false);
    case CONVERT_TIMESTAMPTZ:
        return timestamp(cell, true);
    case CONVERT_BYTES:
        return bytes(cell);
    case CONVERT_ARRAY:
        break;
    }
    return value_bad("a type that the program did not expect here");
}
