/* The text form of PostgreSQL's arrays (documentation, "Array Input and Output Syntax") to JSON. */
#include "scheduler/source/convert.h"

#include "protocol/base/json.h"
#include "protocol/base/utf8.h"

#include <strings.h>

/* PostgreSQL allows six dimensions; domains over arrays may nest further, each with its own. */
enum { DIMENSION_LIMIT = 6, NESTED_ARRAY_LIMIT = 8 };

static const char malformed[] = "an array that is not in the form the warehouse should print";
static const char too_deep[] = "an array that is nested too deeply";
static const char too_large[] = "an array that is too large as JSON";

struct parse {
    char *p;
    char *end;
    const struct converter *array;
    struct buf *out;
    int nesting; /* arrays around this one */
};

static const char *put_array(const struct converter *c, struct cell cell, struct buf *out,
                             int nesting);

static bool put_char(struct parse *a, char c)
{
    return buf_putc(a->out, c) == ERR_OK;
}

/* Undoes a quoted element in place: a->p behind the opening quote → behind the closing one. */
static bool take_quoted(struct parse *a, struct cell *ret)
{
    char *out = a->p;
    *ret = (struct cell){a->p, 0};
    while (a->p < a->end && *a->p != '"') {
        if (*a->p == '\\' && ++a->p == a->end)
            return false;
        *out++ = *a->p++;
    }
    if (a->p == a->end)
        return false;
    a->p++;
    ret->n = (size_t)(out - ret->p);
    return true;
}

/* An element without quotes; NULL is the null. It must not be empty (an empty text is printed
 * quoted). */
static bool take_plain(struct parse *a, struct cell *ret)
{
    char *start = a->p;
    while (a->p < a->end && *a->p != a->array->delimiter && *a->p != '}' && *a->p != '{' &&
           *a->p != '"' && *a->p != '\\')
        a->p++;
    *ret = (struct cell){start, (size_t)(a->p - start)};
    if (ret->n == 4 && strncasecmp(start, "NULL", 4) == 0)
        ret->p = NULL;
    return ret->n > 0;
}

static const char *put_element(struct parse *a, struct cell cell)
{
    const struct converter *c = a->array->element;
    if (!cell.p)
        return buf_puts(a->out, "null") ? too_large : NULL;
    if (c->kind == CONVERT_ARRAY)
        return put_array(c, cell, a->out, a->nesting + 1);
    /* The whole array was found to be UTF-8; quotes and backslashes gone do not change that. */
    struct value v = convert_cell(c, cell, true);
    if (v.kind == VALUE_BAD)
        return v.p;
    return json_put_value(a->out, v) ? too_large : NULL;
}

/*
 * The element's text may be rewritten including the byte behind it (the delimiter), so that byte is
 * read first: *ret_next is what stands behind the element, '\0' at the end.
 */
static const char *take_element(struct parse *a, char *ret_next)
{
    struct cell cell;
    bool quoted = *a->p == '"';
    if (quoted)
        a->p++;
    if (quoted ? !take_quoted(a, &cell) : !take_plain(a, &cell))
        return malformed;
    *ret_next = a->p < a->end ? *a->p : '\0';
    return put_element(a, cell);
}

static const char *put_items(struct parse *a, int depth);

/* a->p at an opening brace; moves behind the closing one. */
static const char *put_braces(struct parse *a, int depth)
{
    if (depth > DIMENSION_LIMIT)
        return too_deep;
    a->p++;
    if (!put_char(a, '['))
        return too_large;
    if (a->p < a->end && *a->p == '}')
        a->p++;
    else {
        const char *why = put_items(a, depth);
        if (why)
            return why;
    }
    return put_char(a, ']') ? NULL : too_large;
}

static const char *put_items(struct parse *a, int depth)
{
    while (a->p < a->end) {
        char next = '\0';
        const char *why;
        if (*a->p == '{') {
            why = put_braces(a, depth + 1);
            next = a->p < a->end ? *a->p : '\0';
        } else {
            why = take_element(a, &next);
        }
        if (why)
            return why;
        a->p++;
        if (next == '}')
            return NULL;
        if (next != a->array->delimiter)
            return malformed;
        if (!put_char(a, ','))
            return too_large;
    }
    return malformed;
}

/* `[0:2][1:3]={…}`: bounds other than from 1 are printed in front; JSON has no place for them. */
static bool skip_bounds(struct parse *a)
{
    if (a->p == a->end || *a->p != '[')
        return true;
    while (a->p < a->end && strchr("[]0123456789+-:", *a->p) && *a->p)
        a->p++;
    if (a->p == a->end || *a->p != '=' || a->p[-1] != ']')
        return false;
    a->p++;
    return true;
}

static const char *put_array(const struct converter *c, struct cell cell, struct buf *out,
                             int nesting)
{
    struct parse a = {
        .p = cell.p, .end = cell.p + cell.n, .array = c, .out = out, .nesting = nesting};
    if (nesting > NESTED_ARRAY_LIMIT)
        return too_deep;
    if (!skip_bounds(&a) || a.p == a.end || *a.p != '{')
        return malformed;
    const char *why = put_braces(&a, 1);
    if (!why && a.p != a.end)
        why = malformed;
    return why;
}

const char *convert_array(const struct converter *c, struct cell cell, bool ascii, struct buf *out)
{
    if (!ascii && !utf8_valid(slice_of(cell.p, cell.n)))
        return convert_not_utf8;
    size_t start = out->len;
    const char *why = put_array(c, cell, out, 0);
    if (why)
        out->len = start;
    return why;
}
