#include "scheduler/state/key.h"

#include "protocol/base/json.h"

/* Tags; 'h' is not among them: state marks hashed keys with it. */
enum { TAG_INTEGER = 'i', TAG_NUMBER = 'n', TAG_TEXT = 't', TAG_JSON = 'j', TAG_BOOL = 'b' };
enum { INTEGER_DIGITS_MAX = 255 };

static bool plain_integer(struct slice s)
{
    if (s.n == 0 || s.n > INTEGER_DIGITS_MAX || (s.p[0] == '0' && s.n > 1))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

static enum err_code put_text(struct buf *out, char tag, struct slice s)
{
    if (s.n && memchr(s.p, '\0', s.n))
        return ERR_INVALID;
    enum err_code code = buf_reserve(out, s.n + 2);
    if (code)
        return code;
    out->p[out->len++] = tag;
    if (s.n)
        memcpy(out->p + out->len, s.p, s.n);
    out->len += s.n;
    out->p[out->len++] = '\0';
    return ERR_OK;
}

static enum err_code put_number(struct buf *out, struct slice s)
{
    if (!plain_integer(s))
        return put_text(out, TAG_NUMBER, s);
    enum err_code code = buf_reserve(out, s.n + 2);
    if (code)
        return code;
    out->p[out->len++] = TAG_INTEGER;
    out->p[out->len++] = (char)(uint8_t)s.n;
    memcpy(out->p + out->len, s.p, s.n);
    out->len += s.n;
    return ERR_OK;
}

static enum err_code put_value(struct buf *out, struct value v)
{
    switch (v.kind) {
    case VALUE_NUMBER:
        return put_number(out, value_slice(v));
    case VALUE_TEXT:
        return put_text(out, TAG_TEXT, value_slice(v));
    case VALUE_JSON:
        return put_text(out, TAG_JSON, value_slice(v));
    case VALUE_FALSE:
    case VALUE_TRUE:
        return buf_put(out, v.kind == VALUE_TRUE ? "b1" : "b0", 2);
    case VALUE_NULL:
    case VALUE_ABSENT:
    case VALUE_BAD:
        break;
    }
    return ERR_INVALID;
}

static enum err_code refuse(struct value v, const struct slice *names, size_t i, struct err *err)
{
    const char *name = names ? names[i].p : "";
    int n = names ? (int)names[i].n : 0;
    if (v.kind == VALUE_NULL || v.kind == VALUE_ABSENT)
        return err_set(err, ERR_INVALID, "null key: %.*s", n, name);
    if (v.kind == VALUE_BAD)
        return err_set(err, ERR_INVALID, "key %.*s: %.*s", n, name, (int)v.n, v.p);
    return err_set(err, ERR_INVALID, "key %.*s: cannot be used as a key", n, name);
}

enum err_code key_encode(struct buf *out, const struct value *values, size_t count,
                         const struct slice *names, struct err *err)
{
    size_t before = out->len;
    for (size_t i = 0; i < count; i++) {
        enum err_code code = put_value(out, values[i]);
        if (!code && out->len - before > KEY_BYTES_MAX)
            code = ERR_FULL;
        if (!code)
            continue;
        out->len = before;
        if (code == ERR_INVALID)
            return refuse(values[i], names, i, err);
        if (code == ERR_FULL)
            return err_set(err, ERR_INVALID, "key: longer than %d bytes", KEY_BYTES_MAX);
        return err_set(err, code, "key: out of memory");
    }
    return ERR_OK;
}

/* Takes one value off the front of s. */
static bool take_value(struct slice *s, struct value *ret)
{
    if (s->n < 2)
        return false;
    char tag = s->p[0];
    struct slice rest = {s->p + 1, s->n - 1};
    size_t used;
    if (tag == TAG_INTEGER) {
        size_t n = (uint8_t)rest.p[0];
        if (n > rest.n - 1)
            return false;
        *ret = value_of(VALUE_NUMBER, slice_of(rest.p + 1, n));
        used = n + 1;
    } else if (tag == TAG_BOOL) {
        *ret = (struct value){.kind = rest.p[0] == '1' ? VALUE_TRUE : VALUE_FALSE};
        used = 1;
    } else {
        const char *end = memchr(rest.p, '\0', rest.n);
        if (!end || (tag != TAG_NUMBER && tag != TAG_TEXT && tag != TAG_JSON))
            return false;
        enum value_kind kind = tag == TAG_NUMBER ? VALUE_NUMBER
                               : tag == TAG_TEXT ? VALUE_TEXT
                                                 : VALUE_JSON;
        *ret = value_of(kind, slice_of(rest.p, (size_t)(end - rest.p)));
        used = (size_t)(end - rest.p) + 1;
    }
    *s = slice_of(rest.p + used, rest.n - used);
    return true;
}

enum err_code key_decode(struct slice key, struct value *values, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!take_value(&key, &values[i]))
            return err_set(err, ERR_INVALID, "key bytes: value %zu of %zu is not one", i + 1,
                           count);
    return key.n ? err_set(err, ERR_INVALID, "key bytes: more than %zu values", count) : ERR_OK;
}

static enum err_code put_member(struct buf *out, struct slice name, struct value v)
{
    enum err_code code = json_put_string(out, name);
    if (!code)
        code = buf_putc(out, ':');
    if (!code && (v.kind == VALUE_ABSENT || v.kind == VALUE_BAD))
        return buf_puts(out, "null");
    return code ? code : json_put_value(out, v);
}

enum err_code key_values_json(struct buf *out, const struct value *values,
                              const struct slice *names, size_t count, struct err *err)
{
    enum err_code code = buf_putc(out, '{');
    for (size_t i = 0; i < count && !code; i++) {
        if (i)
            code = buf_putc(out, ',');
        if (!code)
            code = put_member(out, names[i], values[i]);
    }
    if (!code)
        code = buf_putc(out, '}');
    return code ? err_set(err, code, "key: cannot write it as JSON: %s", err_name(code)) : ERR_OK;
}

enum err_code key_json(struct buf *out, struct slice key, const struct slice *names, size_t count,
                       struct err *err)
{
    struct value values[KEY_VALUES_MAX];
    if (count > KEY_VALUES_MAX)
        return err_set(err, ERR_INVALID, "key: more than %d values", KEY_VALUES_MAX);
    enum err_code code = key_decode(key, values, count, err);
    return code ? code : key_values_json(out, values, names, count, err);
}
