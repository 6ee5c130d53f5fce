/* Templates: text split into what stands as it is and placeholders. */
#include "protocol/connector/parts.h"

#include <strings.h>

enum { TEMPLATE_PIECES = 1000 };

static size_t count_braces(const char *text)
{
    size_t n = 0;
    for (const char *p = strstr(text, "{{"); p; p = strstr(p + 2, "{{"))
        n++;
    return n;
}

/* Text between placeholders, with `\{{` written as two braces. */
static bool put_text(struct scope *s, struct slice text, struct piece *pieces, size_t *count)
{
    char *copy = text.n ? reader_alloc(s->rd, text.n + 1) : NULL;
    size_t n = 0;
    if (!copy)
        return text.n == 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.n - i >= 3 && memcmp(text.p + i, "\\{{", 3) == 0)
            continue;
        copy[n++] = text.p[i];
    }
    pieces[(*count)++] = (struct piece){.kind = PIECE_TEXT, .text = copy};
    return true;
}

/* The next placeholder's opening, of three braces in a row the inner two; NULL: there is none. */
static const char *opening(const char *p)
{
    const char *open = strstr(p, "{{");
    while (open && open > p && open[-1] == '\\')
        open = strstr(open + 2, "{{");
    while (open && open[2] == '{')
        open++;
    return open;
}

bool template_text(struct scope *s, const char *text, struct config_place at, bool hidden,
                   struct template *out)
{
    size_t braces = count_braces(text);
    if (braces > TEMPLATE_PIECES) {
        mistake(s->rd, at, "this text has more than %d placeholders: use fewer", TEMPLATE_PIECES);
        return false;
    }
    struct piece *pieces = reader_alloc(s->rd, (2 * braces + 1) * sizeof *pieces);
    size_t count = 0;
    bool good = pieces != NULL;
    const char *p = text;
    for (const char *open = opening(p); pieces && open; open = opening(p)) {
        const char *close = strstr(open + 2, "}}");
        if (!close) {
            mistake(s->rd, at,
                    "a placeholder begins with {{ but does not end: write }} behind "
                    "it, or \\{{ for two braces");
            return false;
        }
        good = put_text(s, slice_of(p, (size_t)(open - p)), pieces, &count) && good;
        struct piece piece = {0};
        if (piece_read(s, slice_of(open + 2, (size_t)(close - open - 2)), at, hidden, &piece))
            pieces[count++] = piece;
        else
            good = false;
        p = close + 2;
    }
    if (pieces)
        good = put_text(s, slice_str(p), pieces, &count) && good;
    *out = (struct template){pieces, count, at};
    return good;
}

bool template_of(struct scope *s, const struct node *node, const char *key, struct template *out)
{
    if (node->broken)
        return false;
    if (node->kind != NODE_SCALAR || node->type == CORE_NULL) {
        wrong_type(s->rd, node, key, "text");
        return false;
    }
    return template_text(s, node->text, node->at, node->substituted, out);
}

bool url_of(struct scope *s, const struct node *node, struct template *out)
{
    if (!template_of(s, node, "url", out))
        return false;
    const struct piece *first = out->count ? out->pieces : NULL;
    if (first &&
        (first->kind == PIECE_OPTION || first->kind == PIECE_AUTH || first->kind == PIECE_VAR))
        return true;
    if (first && first->kind == PIECE_TEXT &&
        (strncasecmp(first->text, "https://", 8) == 0 ||
         strncasecmp(first->text, "http://", 7) == 0))
        return true;
    mistake(
        s->rd, node->at,
        "`url` must begin with https://, http:// or a placeholder such as {{options.base_url}}");
    return false;
}

void templates_of(struct scope *s, const struct node *node, const char *key,
                  const struct named_template **ret, size_t *ret_count)
{
    if (node->broken)
        return;
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, key, "a map of names to texts");
        return;
    }
    struct named_template *list = reader_alloc(s->rd, node->count * sizeof *list);
    size_t n = 0;
    for (size_t i = 0; list && i < node->count; i++) {
        list[n].name = node->pairs[i].key;
        n += template_of(s, node->pairs[i].value, node->pairs[i].key, &list[n].value);
    }
    *ret = list;
    *ret_count = n;
}
