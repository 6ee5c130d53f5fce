#include "protocol/config/node.h"

#include "protocol/base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct pair *node_get(const struct node *node, const char *key)
{
    if (!node || node->kind != NODE_MAP)
        return NULL;
    for (size_t i = 0; i < node->count; i++)
        if (strcmp(node->pairs[i].key, key) == 0)
            return &node->pairs[i];
    return NULL;
}

bool node_is_text(const struct node *node)
{
    return node->kind == NODE_SCALAR && node->type == CORE_TEXT;
}

bool node_is_word(const struct node *node, const char *word)
{
    return node_is_text(node) && strcmp(node->text, word) == 0;
}

bool node_is_core(const struct node *node, enum core_type type)
{
    if (node->kind != NODE_SCALAR)
        return false;
    return node->type == type || (node->substituted && core_type_of(node->text) == type);
}

bool node_is_true(const struct node *node)
{
    return strcasecmp(node->text, "true") == 0;
}

const char *node_kind_name(const struct node *node)
{
    if (node->kind == NODE_MAP)
        return "a map";
    if (node->kind == NODE_LIST)
        return "a list";
    switch (node->type) {
    case CORE_NULL:
        return "empty";
    case CORE_BOOL:
        return "true or false";
    case CORE_INT:
    case CORE_FLOAT:
        return "a number";
    case CORE_TEXT:
        break;
    }
    return "text";
}

static bool one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static const char *digits(const char *p, const char *set)
{
    return p + strspn(p, set);
}

static bool is_int(const char *text)
{
    if (text[0] == '0' && (text[1] == 'o' || text[1] == 'x')) {
        const char *end = digits(text + 2, text[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF");
        return end > text + 2 && !*end;
    }
    const char *p = text + (*text == '-' || *text == '+');
    const char *end = digits(p, "0123456789");
    return end > p && !*end;
}

static bool is_float(const char *text)
{
    static const char *const infinite[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
    const char *p = text + (*text == '-' || *text == '+');
    if (one_of(p, infinite) || one_of(text, nan))
        return true;
    const char *whole = digits(p, "0123456789");
    const char *end = whole;
    if (*end == '.')
        end = digits(end + 1, "0123456789");
    if (end - p - (*whole == '.') < 1)
        return false;
    if (*end == 'e' || *end == 'E') {
        const char *exponent = end + 1 + (end[1] == '-' || end[1] == '+');
        end = digits(exponent, "0123456789");
        if (end == exponent)
            return false;
    }
    return !*end;
}

enum core_type core_type_of(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const bools[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};
    if (one_of(text, nulls))
        return CORE_NULL;
    if (one_of(text, bools))
        return CORE_BOOL;
    if (is_int(text))
        return CORE_INT;
    return is_float(text) ? CORE_FLOAT : CORE_TEXT;
}

bool core_whole(const char *text, uint64_t *ret)
{
    if (!is_int(text) || *text == '-')
        return false;
    int base = text[0] == '0' && text[1] == 'x' ? 16 : text[0] == '0' && text[1] == 'o' ? 8 : 10;
    errno = 0;
    unsigned long long n = strtoull(base == 10 ? text : text + 2, NULL, base);
    if (errno)
        return false;
    *ret = n;
    return true;
}

/* YAML knows spellings that JSON lacks: +1, 007, 1., .5, 0x1F, .inf. */
static enum err_code put_number(struct buf *b, const char *text)
{
    if (json_is_number(slice_str(text)))
        return buf_puts(b, text);
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'o')) {
        uint64_t n;
        return core_whole(text, &n) ? buf_printf(b, "%" PRIu64, n) : ERR_INVALID;
    }
    const char *p = text;
    enum err_code rc = *p == '-' ? buf_putc(b, '-') : ERR_OK;
    p += *p == '-' || *p == '+';
    if (*p < '0' && p[1] > '9')
        return ERR_INVALID; /* .inf */
    while (p[0] == '0' && p[1] >= '0' && p[1] <= '9')
        p++;
    if (!rc && *p == '.')
        rc = buf_putc(b, '0');
    size_t whole = strcspn(p, ".");
    if (!rc)
        rc = buf_put(b, p, whole);
    bool bare_point = p[whole] == '.' && !(p[whole + 1] >= '0' && p[whole + 1] <= '9');
    return rc ? rc : buf_puts(b, p + whole + bare_point);
}

static enum err_code put_scalar(struct buf *b, const struct node *node)
{
    switch (node->type) {
    case CORE_NULL:
        return buf_puts(b, "null");
    case CORE_BOOL:
        return buf_puts(b, node_is_true(node) ? "true" : "false");
    case CORE_INT:
    case CORE_FLOAT:
        return put_number(b, node->text);
    case CORE_TEXT:
        break;
    }
    return json_put_string(b, slice_str(node->text));
}

enum err_code node_put_json(struct buf *b, const struct node *node)
{
    if (node->kind == NODE_SCALAR)
        return put_scalar(b, node);
    bool map = node->kind == NODE_MAP;
    enum err_code rc = buf_putc(b, map ? '{' : '[');
    for (size_t i = 0; !rc && i < node->count; i++) {
        if (i > 0)
            rc = buf_putc(b, ',');
        if (!rc && map)
            rc = json_put_string(b, slice_str(node->pairs[i].key));
        if (!rc && map)
            rc = buf_putc(b, ':');
        if (!rc)
            rc = node_put_json(b, map ? node->pairs[i].value : node->items[i]);
    }
    return rc ? rc : buf_putc(b, map ? '}' : ']');
}
