#include "scheduler/source/key_text.h"

#include "protocol/base/json.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

static enum err_code put_name(const struct key_text *k, size_t i, struct buf *out)
{
    char *quoted = PQescapeIdentifier(k->read.conn, k->keys[i], strlen(k->keys[i]));
    enum err_code rc = quoted ? buf_puts(out, quoted) : ERR_INVALID;
    PQfreemem(quoted);
    return rc;
}

/* Conditions on single columns are what PostgreSQL moves into groups. */
static enum err_code put_columns_in(const struct key_text *k, struct buf *out)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < k->key_count && !rc; i++) {
        rc = buf_puts(out, i ? " AND " : "");
        if (!rc)
            rc = put_name(k, i, out);
        if (!rc)
            rc = buf_printf(out, " = ANY ($%zu)", i + 1);
    }
    return rc;
}

static enum err_code put_tuples_in(const struct key_text *k, struct buf *out)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < k->key_count && !rc; i++) {
        rc = buf_puts(out, i ? ", " : "(");
        if (!rc)
            rc = put_name(k, i, out);
    }
    for (size_t i = 0; i < k->key_count && !rc; i++)
        rc = buf_printf(out, "%spg_catalog.unnest($%zu)",
                        i ? ", " : ") IN (SELECT * FROM ROWS FROM (", i + 1);
    return rc ? rc : buf_puts(out, "))");
}

static enum err_code put_condition(const struct key_text *k, bool columns, bool tuples,
                                   struct buf *out)
{
    enum err_code rc = buf_puts(out, "\n) AS sluice_asked WHERE ");
    if (!rc && columns)
        rc = put_columns_in(k, out);
    if (!rc && columns && tuples)
        rc = buf_puts(out, " AND ");
    return rc || !tuples ? rc : put_tuples_in(k, out);
}

static enum err_code put_question(const struct key_text *k, const char *head, bool columns,
                                  bool tuples, struct buf *out, size_t *ret_chars_before,
                                  struct err *err)
{
    size_t chars = strlen(head), inner = 0;
    if (buf_puts(out, head))
        return err_set(err, ERR_NOMEM, "no memory for the model's text");
    CLEANUP(buf_done) struct buf read;
    buf_init(&read, out->max);
    enum err_code rc = model_text_read(&k->read, k->statement, &read, &inner, err);
    if (rc)
        return rc;
    if (buf_put(out, read.p, read.len) || put_condition(k, columns, tuples, out))
        return err_set(err, ERR_NOMEM, "no memory for the model's text");
    *ret_chars_before = chars + inner;
    return ERR_OK;
}

enum err_code key_text_probe(const struct key_text *k, struct buf *out, struct err *err)
{
    size_t ignored;
    return put_question(k, "SELECT FROM (", true, false, out, &ignored, err);
}

enum err_code key_text_rows(const struct key_text *k, struct buf *out, size_t *ret_chars_before,
                            struct err *err)
{
    bool tuples = k->key_count > 1;
    return put_question(k, "SELECT * FROM (", !tuples || !k->plain, tuples, out, ret_chars_before,
                        err);
}

/* ---- values ---- */

/* 7.00, as a numeric column has it, without its zeros. */
static struct value whole_part(struct value v)
{
    const char *point = v.n ? memchr(v.p, '.', v.n) : NULL;
    size_t zeros = 0;
    while (point && point + 1 + zeros < v.p + v.n && point[1 + zeros] == '0')
        zeros++;
    if (zeros && point + 1 + zeros == v.p + v.n)
        v.n = (uint32_t)(point - v.p);
    return v;
}

static bool is_integer(struct value v)
{
    char text[24], *end;
    v = whole_part(v);
    if (v.n == 0 || v.n >= sizeof text)
        return false;
    memcpy(text, v.p, v.n);
    text[v.n] = '\0';
    errno = 0;
    (void)strtoll(text, &end, 10);
    bool digits = (text[0] >= '0' && text[0] <= '9') || text[0] == '-';
    return digits && *end == '\0' && end[-1] != '-' && errno == 0;
}

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

/* Whole groups of four with their padding, as convert.c writes them (RFC 4648 section 4). */
static bool is_base64(struct value v)
{
    uint32_t n = v.n;
    if (n % 4)
        return false;
    for (int padding = 0; padding < 2 && n && v.p[n - 1] == '='; padding++)
        n--;
    for (uint32_t i = 0; i < n; i++)
        if (base64_digit(v.p[i]) < 0)
            return false;
    return true;
}

/* shape: 0 stands for a digit, a for a hexadecimal one, anything else for itself. */
static bool has_shape(const char *p, const char *shape)
{
    for (; *shape; p++, shape++) {
        bool digit = *p >= '0' && *p <= '9';
        bool fits = *shape == '0'   ? digit
                    : *shape == 'a' ? digit || isxdigit((unsigned char)*p)
                                    : *p == *shape;
        if (!fits)
            return false;
    }
    return true;
}

static int two_digits(const char *p)
{
    return (p[0] - '0') * 10 + p[1] - '0';
}

/* p has the shape of a date. */
static bool is_day(const char *p)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = two_digits(p) * 100 + two_digits(p + 2);
    int month = two_digits(p + 5), day = two_digits(p + 8);
    bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;
    return year && month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (month == 2 && leap);
}

static bool is_date(struct value v)
{
    return v.n == 10 && has_shape(v.p, "0000-00-00") && is_day(v.p);
}

/* RFC 3339 in UTC, as convert.c writes it. */
static bool is_time(struct value v)
{
    static const char shape[] = "0000-00-00T00:00:00";
    const uint32_t n = sizeof shape - 1;
    if (v.n <= n || v.p[v.n - 1] != 'Z' || !has_shape(v.p, shape) || !is_day(v.p))
        return false;
    if (two_digits(v.p + 11) > 23 || two_digits(v.p + 14) > 59 || two_digits(v.p + 17) > 59)
        return false;
    for (uint32_t i = n + 1; i < v.n - 1; i++)
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
    return v.n == n + 1 || (v.p[n] == '.' && v.n > n + 2);
}

/* Also as other tables may have it: in capitals, without hyphens. */
static bool is_uuid(struct value v)
{
    return (v.n == 36 && has_shape(v.p, "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")) ||
           (v.n == 32 && has_shape(v.p, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

bool key_text_fits(struct key_kind kind, struct value v)
{
    if (kind.is_uuid)
        return is_uuid(v);
    switch (kind.type) {
    case COLUMN_INT:
        return is_integer(v);
    case COLUMN_NUMERIC:
    case COLUMN_FLOAT:
        return json_is_number(value_slice(v));
    case COLUMN_BOOL:
        return v.kind == VALUE_TRUE || v.kind == VALUE_FALSE;
    case COLUMN_DATE:
        return is_date(v);
    case COLUMN_TIMESTAMP:
        return is_time(v);
    case COLUMN_BYTES:
        return is_base64(v);
    case COLUMN_JSON:
        return v.kind == VALUE_JSON;
    case COLUMN_TEXT:
    case COLUMN_ARRAY:
    case COLUMN_OTHER:
        break;
    }
    return true;
}

static enum err_code put_hex(struct value v, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t bits = 0;
    int have = 0;
    enum err_code rc = buf_puts(out, "\"\\\\x");
    for (uint32_t i = 0; i < v.n && v.p[i] != '=' && !rc; i++) {
        bits = (bits << 6 | (uint32_t)base64_digit(v.p[i])) & 0xFFFF;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        uint32_t byte = bits >> have & 0xFF;
        rc = buf_put(out, (const char[]){digits[byte >> 4], digits[byte & 15]}, 2);
    }
    return rc ? rc : buf_putc(out, '"');
}

static enum err_code put_quoted(struct value v, struct buf *out)
{
    enum err_code rc = buf_putc(out, '"');
    for (uint32_t i = 0; i < v.n && !rc; i++) {
        if (v.p[i] == '"' || v.p[i] == '\\')
            rc = buf_putc(out, '\\');
        if (!rc)
            rc = buf_putc(out, v.p[i]);
    }
    return rc ? rc : buf_putc(out, '"');
}

enum err_code key_text_element(struct key_kind kind, struct value v, struct buf *out)
{
    enum err_code rc = buf_putc(out, out->len ? ',' : '{');
    if (rc)
        return rc;
    switch (v.kind) {
    case VALUE_FALSE:
    case VALUE_TRUE:
        return buf_putc(out, v.kind == VALUE_TRUE ? 't' : 'f');
    case VALUE_NUMBER:
    case VALUE_TEXT:
    case VALUE_JSON:
        if (kind.type == COLUMN_BYTES)
            return put_hex(v, out);
        return put_quoted(kind.type == COLUMN_INT ? whole_part(v) : v, out);
    case VALUE_NULL:
    case VALUE_ABSENT:
    case VALUE_BAD:
        break;
    }
    return ERR_INVALID;
}

enum err_code key_text_close(struct buf *out)
{
    return buf_puts(out, out->len ? "}" : "{}");
}
