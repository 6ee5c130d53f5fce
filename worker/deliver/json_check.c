#include "worker/deliver/json_check.h"

#include "protocol/base/json.h"
#include "protocol/base/utf8.h"

struct cursor {
    const char *p;
    const char *end;
};

static bool check_value(struct cursor *c, int depth);

static void skip_space(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
        c->p++;
}

static bool take(struct cursor *c, char wanted)
{
    if (c->p == c->end || *c->p != wanted)
        return false;
    c->p++;
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool check_escape(struct cursor *c)
{
    if (c->p == c->end)
        return false;
    char kind = *c->p++;
    if (kind != 'u')
        return kind && strchr("\"\\/bfnrt", kind);
    for (int i = 0; i < 4; i++, c->p++)
        if (c->p == c->end || !is_hex(*c->p))
            return false;
    return true;
}

static bool check_string(struct cursor *c)
{
    if (!take(c, '"'))
        return false;
    while (c->p < c->end) {
        char b = *c->p++;
        if (b == '"')
            return true;
        if ((unsigned char)b < ' ' || (b == '\\' && !check_escape(c)))
            return false;
    }
    return false;
}

static bool check_members(struct cursor *c, bool named, int depth)
{
    char close = named ? '}' : ']';
    skip_space(c);
    if (take(c, close))
        return true;
    do {
        skip_space(c);
        if (named) {
            if (!check_string(c))
                return false;
            skip_space(c);
            if (!take(c, ':'))
                return false;
        }
        if (!check_value(c, depth))
            return false;
        skip_space(c);
    } while (take(c, ','));
    return take(c, close);
}

static bool check_word(struct cursor *c)
{
    const char *start = c->p;
    while (c->p < c->end && !strchr(" \t\r\n,]}", *c->p))
        c->p++;
    struct slice word = slice_of(start, (size_t)(c->p - start));
    return slice_eq_str(word, "null") || slice_eq_str(word, "true") ||
           slice_eq_str(word, "false") || json_is_number(word);
}

static bool check_value(struct cursor *c, int depth)
{
    if (depth == JSON_CHECK_DEPTH_MAX)
        return false;
    skip_space(c);
    if (c->p == c->end)
        return false;
    if (*c->p == '"')
        return check_string(c);
    if (take(c, '{'))
        return check_members(c, true, depth + 1);
    if (take(c, '['))
        return check_members(c, false, depth + 1);
    return check_word(c);
}

bool json_check(struct slice text)
{
    if (!text.n || !utf8_valid(text))
        return false;
    struct cursor c = {text.p, text.p + text.n};
    if (!check_value(&c, 0))
        return false;
    skip_space(&c);
    return c.p == c.end;
}
