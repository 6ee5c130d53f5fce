#include "worker/postgres/rows.h"

enum { NUMBER_BYTES = 12, ESCAPED_BYTES = 2 }; /* per byte, at most */

static const struct value null_value = {.kind = VALUE_NULL};

static char *put_escaped(char *o, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        char escape = c == '\\' ? '\\' : c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : 0;
        if (escape)
            *o++ = '\\';
        *o++ = escape ? escape : c;
    }
    return o;
}

static char *put_plain(char *o, struct slice s)
{
    memcpy(o, s.p, s.n);
    return o + s.n;
}

static char *put_value(char *o, const struct value *v)
{
    *o++ = '\t';
    switch (v->kind) {
    case VALUE_TEXT:
    case VALUE_JSON:
        return put_escaped(o, value_slice(*v));
    case VALUE_NUMBER:
        return put_plain(o, value_slice(*v));
    case VALUE_TRUE:
        return put_plain(o, SLICE_LIT("t"));
    case VALUE_FALSE:
        return put_plain(o, SLICE_LIT("f"));
    case VALUE_NULL:
    case VALUE_ABSENT:
        return put_plain(o, SLICE_LIT("\\N"));
    case VALUE_BAD:
        break;
    }
    return NULL;
}

static size_t bytes_max(const struct value *values, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += 3 + (size_t)values[i].n * ESCAPED_BYTES;
    return n;
}

static char *put_number(char *o, uint32_t n)
{
    char digits[NUMBER_BYTES];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return put_plain(o, slice_of(digits + at, sizeof digits - at));
}

/* A digit per field: whether it is left as it is in the table. */
static char *put_absent(char *o, struct shape *shape, const struct record *r)
{
    *o++ = '\t';
    for (size_t i = 0; i < shape->field_count; i++) {
        bool absent = r->fields && r->fields[i].kind == VALUE_ABSENT;
        shape->absent |= absent;
        *o++ = absent ? '1' : '0';
    }
    return o;
}

enum err_code rows_put(struct buf *out, struct shape *shape, const struct record *r, uint32_t n)
{
    bool values = r->fields && r->op != OP_DELETE && r->op != OP_CLEAR;
    size_t most = NUMBER_BYTES + 8 + shape->field_count + bytes_max(r->keys, shape->key_count) +
                  (values ? bytes_max(r->fields, shape->field_count) : 3 * shape->field_count);
    enum err_code rc = buf_reserve(out, most);
    if (rc)
        return rc;
    char *o = put_number(out->p + out->len, n);
    *o++ = '\t';
    *o++ = shape_op(r->op);
    o = put_absent(o, shape, r);
    for (size_t i = 0; i < shape->key_count && o; i++)
        o = put_value(o, &r->keys[i]);
    for (size_t i = 0; i < shape->field_count && o; i++)
        o = put_value(o, values ? &r->fields[i] : &null_value);
    if (!o)
        return ERR_BUG;
    *o++ = '\n';
    out->len = (size_t)(o - out->p);
    shape->ops |= 1u << r->op;
    shape->records++;
    return ERR_OK;
}
