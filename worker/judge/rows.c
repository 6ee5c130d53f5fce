#include "worker/judge/rows.h"

#include "protocol/base/json.h"

/* ---- fields ---- */

/* Reads one field without its quotes into out as it is; *ret_last: the row ends with it. */
static enum rows_read read_quoted(struct rows *r, struct arena *a, struct slice *ret)
{
    const char *from = ++r->p;
    size_t doubled = 0;
    for (;; r->p++) {
        r->p = memchr(r->p, '"', (size_t)(r->end - r->p));
        if (!r->p) {
            r->p = r->end;
            return ROWS_BROKEN;
        }
        if (r->p + 1 == r->end || r->p[1] != '"')
            break;
        doubled++;
        r->p++;
    }
    size_t n = (size_t)(r->p++ - from);
    *ret = slice_of(from, n);
    if (!doubled)
        return ROWS_ROW;
    char *plain = arena_alloc(a, n);
    if (!plain)
        return ROWS_NO_MEMORY;
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        plain[len++] = from[i];
        i += from[i] == '"';
    }
    *ret = slice_of(plain, len);
    return ROWS_ROW;
}

static enum rows_read read_field(struct rows *r, struct arena *a, struct slice *ret, bool *ret_last)
{
    if (r->p < r->end && *r->p == '"') {
        enum rows_read rc = read_quoted(r, a, ret);
        if (rc != ROWS_ROW)
            return rc;
    } else {
        const char *from = r->p;
        while (r->p < r->end && *r->p != ',' && *r->p != '\n' && *r->p != '\r')
            r->p++;
        *ret = slice_of(from, (size_t)(r->p - from));
    }
    *ret_last = true;
    if (r->p == r->end)
        return ROWS_ROW;
    if (*r->p == ',') {
        r->p++;
        *ret_last = false;
        return ROWS_ROW;
    }
    if (*r->p != '\n' && *r->p != '\r')
        return ROWS_BROKEN;
    r->p += *r->p == '\r' && r->p + 1 < r->end && r->p[1] == '\n' ? 2 : 1;
    return ROWS_ROW;
}

static void skip_empty_lines(struct rows *r)
{
    while (r->p < r->end && (*r->p == '\n' || *r->p == '\r'))
        r->p++;
}

/* ---- names ---- */

static enum rows_read read_names(struct rows *r, struct arena *a)
{
    bool last = false;
    r->name_ends = arena_alloc(a, ROWS_COLUMNS_MAX * sizeof *r->name_ends);
    if (!r->name_ends)
        return ROWS_NO_MEMORY;
    while (!last) {
        struct slice name;
        enum rows_read rc = read_field(r, r->row, &name, &last);
        if (rc != ROWS_ROW)
            return rc;
        if (r->columns == ROWS_COLUMNS_MAX)
            return ROWS_BROKEN;
        if (json_put_string(&r->names, name) || buf_putc(&r->names, ':'))
            return ROWS_NO_MEMORY;
        r->name_ends[r->columns++] = r->names.len;
    }
    return ROWS_ROW;
}

enum rows_read rows_open(struct rows *r, struct slice text, bool csv, struct arena *a,
                         struct arena *row)
{
    *r = (struct rows){.p = text.p, .end = text.p + text.n, .csv = csv, .row = row};
    buf_init(&r->names, ROWS_ROW_MAX);
    buf_init(&r->text, ROWS_ROW_MAX);
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        r->p += 3;
    skip_empty_lines(r);
    return csv && r->p < r->end ? read_names(r, a) : ROWS_ROW;
}

void rows_done(struct rows *r)
{
    buf_done(&r->names);
    buf_done(&r->text);
}

/* ---- rows ---- */

/* A row with too few or too many fields says nothing sure. */
static enum rows_read read_csv(struct rows *r)
{
    bool last = false;
    size_t column = 0, name_at = 0;
    if (buf_putc(&r->text, '{'))
        return ROWS_NO_MEMORY;
    for (; !last; column++) {
        struct slice field;
        enum rows_read rc = read_field(r, r->row, &field, &last);
        if (rc != ROWS_ROW)
            return rc;
        if (column == r->columns)
            return ROWS_BROKEN;
        size_t name_bytes = r->name_ends[column] - name_at;
        if ((column && buf_putc(&r->text, ',')) ||
            buf_put(&r->text, r->names.p + name_at, name_bytes) || json_put_string(&r->text, field))
            return ROWS_NO_MEMORY;
        name_at += name_bytes;
    }
    if (column != r->columns)
        return ROWS_BROKEN;
    return buf_putc(&r->text, '}') ? ROWS_NO_MEMORY : ROWS_ROW;
}

static struct slice read_line(struct rows *r)
{
    const char *from = r->p;
    const char *end = memchr(from, '\n', (size_t)(r->end - from));
    r->p = end ? end + 1 : r->end;
    return slice_of(from, (size_t)((end ? end : r->end) - from));
}

enum rows_read rows_next(struct rows *r, struct doc *ret_doc)
{
    arena_reset(r->row);
    buf_reset(&r->text);
    skip_empty_lines(r);
    if (r->p == r->end)
        return ROWS_END;
    struct slice line;
    if (r->csv) {
        enum rows_read rc = read_csv(r);
        if (rc != ROWS_ROW)
            return rc;
        line = buf_slice(&r->text);
    } else {
        line = read_line(r);
    }
    bool is = false;
    if (doc_parse(r->row, line, ret_doc, &is) == ERR_NOMEM)
        return ROWS_NO_MEMORY;
    return is ? ROWS_ROW : ROWS_BROKEN;
}
