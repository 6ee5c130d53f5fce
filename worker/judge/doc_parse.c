#include "worker/judge/doc.h"

#include "protocol/base/utf8.h"

/* Reads the text twice with the same code: once to count the values, once to note them. */
struct parse {
    const char *p;
    const char *end;
    const char *text;
    struct doc_node *nodes; /* NULL: only counting */
    uint32_t count;
    bool too_much; /* a limit was met: it may be JSON or not */
    uint32_t depth;
    uint32_t open[DOC_DEPTH_MAX]; /* nodes of the arrays and objects around this place */
    char closer[DOC_DEPTH_MAX];
};

static void skip_space(struct parse *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static bool begin_node(struct parse *s)
{
    if (s->count >= DOC_NODES_MAX) {
        s->too_much = true;
        return false;
    }
    if (s->nodes)
        s->nodes[s->count].at = (uint32_t)(s->p - s->text);
    s->count++;
    return true;
}

/* What was begun as number `node` ends here, and with it everything below it. */
static void end_node(struct parse *s, uint32_t node)
{
    if (!s->nodes)
        return;
    s->nodes[node].bytes = (uint32_t)(s->p - s->text) - s->nodes[node].at;
    s->nodes[node].next = s->count;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool skip_escape(struct parse *s)
{
    if (++s->p == s->end)
        return false;
    if (*s->p == 'u') {
        if (s->end - s->p < 5)
            return false;
        for (int i = 1; i <= 4; i++)
            if (!is_hex(s->p[i]))
                return false;
        s->p += 5;
        return true;
    }
    if (!*s->p || !strchr("\"\\/bfnrt", *s->p))
        return false;
    s->p++;
    return true;
}

static bool skip_string(struct parse *s)
{
    s->p++;
    while (s->p < s->end && *s->p != '"') {
        if (*s->p != '\\')
            s->p++;
        else if (!skip_escape(s))
            return false;
    }
    if (s->p == s->end)
        return false;
    s->p++;
    return true;
}

static bool skip_digits(struct parse *s)
{
    const char *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
}

static bool skip_number(struct parse *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!skip_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!skip_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return skip_digits(s);
    }
    return true;
}

static bool skip_word(struct parse *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool read_scalar(struct parse *s)
{
    uint32_t node = s->count;
    if (!begin_node(s))
        return false;
    bool good = false;
    switch (*s->p) {
    case '"':
        good = skip_string(s);
        break;
    case 't':
        good = skip_word(s, "true");
        break;
    case 'f':
        good = skip_word(s, "false");
        break;
    case 'n':
        good = skip_word(s, "null");
        break;
    default:
        good = (*s->p == '-' || (*s->p >= '0' && *s->p <= '9')) && skip_number(s);
    }
    if (good)
        end_node(s, node);
    return good;
}

static bool read_name(struct parse *s)
{
    skip_space(s);
    if (s->p == s->end || *s->p != '"' || !read_scalar(s))
        return false;
    skip_space(s);
    return s->p < s->end && *s->p++ == ':';
}

/* An array or object begins. *ret_empty: and ends again. */
static bool open_bracket(struct parse *s, bool *ret_empty)
{
    uint32_t node = s->count;
    if (s->depth == DOC_DEPTH_MAX)
        s->too_much = true;
    if (s->too_much || !begin_node(s))
        return false;
    char closer = *s->p++ == '[' ? ']' : '}';
    skip_space(s);
    *ret_empty = s->p < s->end && *s->p == closer;
    if (*ret_empty) {
        s->p++;
        end_node(s, node);
        return true;
    }
    s->open[s->depth] = node;
    s->closer[s->depth++] = closer;
    return closer == ']' || read_name(s);
}

/* Behind a value: closes what ends here; true: another value follows, or the document is over. */
static bool after_value(struct parse *s)
{
    for (; s->depth; s->depth--) {
        skip_space(s);
        if (s->p == s->end)
            return false;
        char closer = s->closer[s->depth - 1];
        char c = *s->p++;
        if (c == ',')
            return closer == ']' || read_name(s);
        if (c != closer)
            return false;
        end_node(s, s->open[s->depth - 1]);
    }
    return true;
}

static bool read_document(struct parse *s)
{
    s->p = s->text;
    s->count = 0;
    s->depth = 0;
    if (s->end - s->p >= 3 && memcmp(s->p, "\xef\xbb\xbf", 3) == 0)
        s->p += 3;
    do {
        skip_space(s);
        bool scalar = s->p < s->end && *s->p != '[' && *s->p != '{';
        bool complete = true;
        if (s->p == s->end || !(scalar ? read_scalar(s) : open_bracket(s, &complete)))
            return false;
        if (complete && !after_value(s))
            return false;
    } while (s->depth);
    skip_space(s);
    return s->p == s->end;
}

/* Only what is no UTF-8 is replaced, so that lengths stay and keys beside it can be found. */
static struct slice repaired(struct arena *a, struct slice text)
{
    char *copy = arena_alloc(a, text.n);
    if (!copy)
        return (struct slice){0};
    memcpy(copy, text.p, text.n);
    for (size_t i = 0; i < text.n;) {
        size_t n = utf8_character(slice_of(text.p + i, text.n - i));
        if (!n)
            copy[i] = '?';
        i += n ? n : 1;
    }
    return slice_of(copy, text.n);
}

enum err_code doc_parse(struct arena *a, struct slice text, struct doc *ret_doc, bool *ret_is)
{
    *ret_is = false;
    while (text.n && !text.p[text.n - 1]) /* some write their string's end as well */
        text.n--;
    if (!text.n)
        return ERR_OK;
    if (text.n > DOC_BYTES_MAX)
        return ERR_FULL;
    if (!utf8_valid(text)) {
        text = repaired(a, text);
        if (!text.p)
            return ERR_NOMEM;
    }
    struct parse s = {.text = text.p, .end = text.p + text.n};
    if (!read_document(&s))
        return s.too_much ? ERR_FULL : ERR_OK;
    s.nodes = arena_alloc(a, s.count * sizeof *s.nodes);
    if (!s.nodes)
        return ERR_NOMEM;
    *ret_is = read_document(&s);
    *ret_doc = (struct doc){text.p, s.nodes, s.count};
    return ERR_OK;
}
