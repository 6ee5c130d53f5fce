#include "worker/judge/doc.h"

#include <stdlib.h>

/* ---- values ---- */

enum doc_kind doc_kind(const struct doc *d, uint32_t node)
{
    switch (d->text[d->nodes[node].at]) {
    case '{':
        return DOC_OBJECT;
    case '[':
        return DOC_ARRAY;
    case '"':
        return DOC_STRING;
    case 't':
        return DOC_TRUE;
    case 'f':
        return DOC_FALSE;
    case 'n':
        return DOC_NULL;
    default:
        return DOC_NUMBER;
    }
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        uint32_t digit = (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        v = v << 4 | digit;
    }
    return v;
}

static char *put_character(char *o, uint32_t c)
{
    if (c < 0x80) {
        *o++ = (char)c;
    } else if (c < 0x800) {
        *o++ = (char)(0xC0 | c >> 6);
        *o++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *o++ = (char)(0xE0 | c >> 12);
        *o++ = (char)(0x80 | (c >> 6 & 0x3F));
        *o++ = (char)(0x80 | (c & 0x3F));
    } else {
        *o++ = (char)(0xF0 | c >> 18);
        *o++ = (char)(0x80 | (c >> 12 & 0x3F));
        *o++ = (char)(0x80 | (c >> 6 & 0x3F));
        *o++ = (char)(0x80 | (c & 0x3F));
    }
    return o;
}

/* p stands behind \u; half a pair is read as '?'. Gives how many bytes were read. */
static size_t read_unicode(const char *p, size_t left, uint32_t *ret)
{
    uint32_t c = hex4(p);
    *ret = c;
    if (c < 0xD800 || c > 0xDFFF)
        return 4;
    *ret = '?';
    if (c > 0xDBFF || left < 10 || p[4] != '\\' || p[5] != 'u')
        return 4;
    uint32_t low = hex4(p + 6);
    if (low < 0xDC00 || low > 0xDFFF)
        return 4;
    *ret = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    return 10;
}

/* s is the inside of a string that was parsed; out has room for as many bytes. */
static size_t unescape(struct slice s, char *out)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char *o = out;
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '\\') {
            *o++ = s.p[i++];
            continue;
        }
        char c = s.p[i + 1];
        i += 2;
        if (c == 'u') {
            uint32_t code;
            i += read_unicode(s.p + i, s.n - i, &code);
            o = put_character(o, code);
        } else {
            const char *known = strchr(from, c);
            *o++ = known ? to[known - from] : c;
        }
    }
    return (size_t)(o - out);
}

struct slice doc_text(const struct doc *d, uint32_t node, struct arena *a)
{
    struct slice raw = doc_raw(d, node);
    if (doc_kind(d, node) != DOC_STRING)
        return raw;
    raw = slice_of(raw.p + 1, raw.n - 2);
    if (!raw.n || !memchr(raw.p, '\\', raw.n))
        return raw;
    char *out = arena_alloc(a, raw.n);
    return out ? slice_of(out, unescape(raw, out)) : (struct slice){0};
}

bool doc_number(const struct doc *d, uint32_t node, double *ret)
{
    enum { NUMBER_BYTES = 64 };
    struct slice raw = doc_raw(d, node);
    enum doc_kind kind = doc_kind(d, node);
    if (kind == DOC_STRING)
        raw = slice_of(raw.p + 1, raw.n - 2);
    else if (kind != DOC_NUMBER)
        return false;
    char text[NUMBER_BYTES];
    if (!raw.n || raw.n >= sizeof text || !strchr("-0123456789", *raw.p))
        return false;
    memcpy(text, raw.p, raw.n);
    text[raw.n] = '\0';
    if (strspn(text, "+-.eE0123456789") != raw.n)
        return false;
    char *end;
    *ret = strtod(text, &end);
    return !*end && *ret == *ret;
}

uint32_t doc_first(const struct doc *d, uint32_t parent)
{
    if (doc_is_scalar(d, parent) || d->nodes[parent].next == parent + 1)
        return DOC_NONE;
    return parent + 1;
}

uint32_t doc_next(const struct doc *d, uint32_t parent, uint32_t child)
{
    bool named = doc_kind(d, parent) == DOC_OBJECT;
    uint32_t next = d->nodes[named ? child + 1 : child].next;
    return next < d->nodes[parent].next ? next : DOC_NONE;
}

uint32_t doc_length(const struct doc *d, uint32_t node)
{
    uint32_t n = 0;
    for (uint32_t c = doc_first(d, node); c != DOC_NONE; c = doc_next(d, node, c))
        n++;
    return n;
}

/* ---- pointers ---- */

static bool name_is(const struct doc *d, uint32_t node, const char *name, size_t bytes)
{
    enum { ESCAPED_MAX = 6, NAME_BYTES = 1536 };
    struct slice raw = doc_raw(d, node);
    raw = slice_of(raw.p + 1, raw.n - 2);
    if (raw.n == bytes && memcmp(raw.p, name, bytes) == 0)
        return !memchr(name, '\\', bytes);
    char plain[NAME_BYTES];
    if (raw.n <= bytes || raw.n > bytes * ESCAPED_MAX || raw.n > sizeof plain ||
        !memchr(raw.p, '\\', raw.n))
        return false;
    size_t n = unescape(raw, plain);
    return n == bytes && memcmp(plain, name, n) == 0;
}

uint32_t doc_member(const struct doc *d, uint32_t object, const char *name)
{
    uint32_t found = DOC_NONE;
    if (doc_kind(d, object) != DOC_OBJECT)
        return found;
    size_t bytes = strlen(name);
    for (uint32_t c = doc_first(d, object); c != DOC_NONE; c = doc_next(d, object, c))
        if (name_is(d, c, name, bytes))
            found = c + 1;
    return found;
}

static uint32_t item(const struct doc *d, uint32_t array, int64_t index)
{
    uint32_t c = index < 0 ? DOC_NONE : doc_first(d, array);
    while (c != DOC_NONE && index-- > 0)
        c = doc_next(d, array, c);
    return c;
}

struct walk {
    const struct doc_place *place;
    const struct pointer *pointer;
    doc_visit visit;
    void *ctx;
};

static bool walk_on(const struct walk *w, uint32_t node, uint32_t name, size_t level);

static bool walk_all(const struct walk *w, uint32_t node, uint32_t name, size_t level)
{
    const struct doc *d = w->place->doc;
    bool named = doc_kind(d, node) == DOC_OBJECT;
    for (uint32_t c = doc_first(d, node); c != DOC_NONE; c = doc_next(d, node, c))
        if (!walk_on(w, named ? c + 1 : c, named ? c : name, level + 1))
            return false;
    return true;
}

static bool walk_on(const struct walk *w, uint32_t node, uint32_t name, size_t level)
{
    if (level == w->pointer->count)
        return w->visit(w->ctx, node, name);
    const struct doc *d = w->place->doc;
    const struct pointer_level *l = &w->pointer->levels[level];
    if (l->kind == LEVEL_ANY)
        return walk_all(w, node, name, level);
    const char *wanted = l->kind == LEVEL_IDENTIFY_BY ? w->place->identify_by : l->name;
    bool named = doc_kind(d, node) == DOC_OBJECT;
    uint32_t found = DOC_NONE;
    if (named && wanted)
        found = doc_member(d, node, wanted);
    else if (doc_kind(d, node) == DOC_ARRAY && l->kind == LEVEL_NAME)
        found = item(d, node, l->index);
    return found == DOC_NONE || walk_on(w, found, named ? found - 1 : name, level + 1);
}

bool doc_walk(const struct doc_place *place, const struct pointer *pointer, doc_visit visit,
              void *ctx)
{
    struct walk w = {place, pointer, visit, ctx};
    return walk_on(&w, place->node, DOC_NONE, 0);
}

static bool take_first(void *ctx, uint32_t node, uint32_t name)
{
    (void)name;
    *(uint32_t *)ctx = node;
    return false;
}

uint32_t doc_at(const struct doc_place *place, const struct pointer *pointer)
{
    uint32_t found = DOC_NONE;
    doc_walk(place, pointer, take_first, &found);
    return found;
}
