#include "scheduler/source/sql_text.h"

#include <ctype.h>
#include <strings.h>

enum token { TOKEN_SPACE, TOKEN_SEMICOLON, TOKEN_OTHER };

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_word(char c)
{
    return is_word_start(c) || (c >= '0' && c <= '9') || c == '$';
}

static const char *skip_line_comment(const char *p, const char *end)
{
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

/* p at the opening; block comments nest in PostgreSQL. NULL when it does not end. */
static const char *skip_block_comment(const char *p, const char *end)
{
    int depth = 0;
    while (p < end) {
        bool pair = end - p >= 2;
        if (pair && p[0] == '/' && p[1] == '*') {
            depth++;
            p += 2;
        } else if (pair && p[0] == '*' && p[1] == '/') {
            p += 2;
            if (--depth == 0)
                return p;
        } else {
            p++;
        }
    }
    return NULL;
}

/* p at the opening quote; returns the place behind the closing one. A doubled quote stays inside.
 */
static const char *skip_quoted(const char *p, const char *end, bool backslashes)
{
    char quote = *p++;
    for (; p < end; p++) {
        if (backslashes && *p == '\\' && p + 1 < end) {
            p++;
        } else if (*p == quote) {
            if (p + 1 == end || p[1] != quote)
                return p + 1;
            p++;
        }
    }
    return end;
}

/* An E'' string goes on, with its backslashes, in a quote that only line breaks part from it. */
static const char *skip_escape_string(const char *p, const char *end)
{
    for (;;) {
        p = skip_quoted(p, end, true);
        const char *next = p;
        bool line_break = false;
        while (next < end &&
               (is_space(*next) || (end - next >= 2 && next[0] == '-' && next[1] == '-'))) {
            line_break |= *next == '\n' || *next == '\r';
            next = *next == '-' ? skip_line_comment(next, end) : next + 1;
        }
        if (!line_break || next == end || *next != '\'')
            return p;
        p = next;
    }
}

/* p at a dollar sign: the place behind a whole $tag$…$tag$, or behind the sign alone. */
static const char *skip_dollar(const char *p, const char *end)
{
    const char *tag_end = p + 1;
    if (tag_end < end && is_word_start(*tag_end))
        while (tag_end < end && is_word(*tag_end) && *tag_end != '$')
            tag_end++;
    if (tag_end == end || *tag_end != '$')
        return p + 1;
    size_t tag = (size_t)(tag_end + 1 - p);
    const char *close = memmem(p + tag, (size_t)(end - p) - tag, p, tag);
    return close ? close + tag : end;
}

static const char *skip_word(const char *p, const char *end)
{
    const char *start = p;
    while (p < end && is_word(*p))
        p++;
    bool escape = p - start == 1 && (*start == 'e' || *start == 'E');
    return escape && p < end && *p == '\'' ? skip_escape_string(p, end) : p;
}

/* Moves *p behind one token. */
static enum token next_token(const char **p, const char *end)
{
    const char *s = *p;
    char next = end - s >= 2 ? s[1] : '\0';
    enum token token = TOKEN_OTHER;
    if (is_space(*s) || (*s == '-' && next == '-')) {
        token = TOKEN_SPACE;
        *p = is_space(*s) ? s + 1 : skip_line_comment(s, end);
    } else if (*s == '/' && next == '*') {
        const char *close = skip_block_comment(s, end);
        token = close ? TOKEN_SPACE
                      : TOKEN_OTHER; /* one that does not end is for the server to refuse */
        *p = close ? close : end;
    } else if (*s == ';') {
        token = TOKEN_SEMICOLON;
        *p = s + 1;
    } else if (*s == '\'' || *s == '"') {
        *p = skip_quoted(s, end, false);
    } else if (*s == '$') {
        *p = skip_dollar(s, end);
    } else {
        *p = is_word_start(*s) ? skip_word(s, end) : s + 1;
    }
    return token;
}

struct slice sql_text_statement(struct slice text)
{
    const char *p = text.p, *end = text.p + text.n, *last = p;
    while (p < end)
        if (next_token(&p, end) == TOKEN_OTHER)
            last = p;
    return slice_of(text.p, (size_t)(last - text.p));
}

bool sql_text_is_query(struct slice text)
{
    static const char *const words[] = {"select", "with", "values", "table"};
    const char *p = text.p, *end = text.p + text.n, *start = p;
    while (p < end) {
        start = p;
        if (next_token(&p, end) != TOKEN_SPACE)
            break;
        start = p;
    }
    if (start == end)
        return false;
    if (*start == '(')
        return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == (size_t)(p - start) &&
            strncasecmp(words[i], start, (size_t)(p - start)) == 0)
            return true;
    return false;
}

bool sql_text_is_enclosed(struct slice text)
{
    const char *p = text.p, *end = text.p + text.n;
    int depth = 0;
    while (p < end && depth >= 0) {
        const char *start = p;
        if (next_token(&p, end) == TOKEN_SEMICOLON)
            return false;
        depth += p - start == 1 && *start == '(' ? 1 : p - start == 1 && *start == ')' ? -1 : 0;
    }
    return depth == 0;
}

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

struct sql_place sql_text_place(struct slice text, size_t n)
{
    struct sql_place place = {1, 1};
    size_t seen = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (!begins_character(text.p[i]))
            continue;
        if (seen++ == n)
            break;
        place.col++;
        if (text.p[i] == '\n') {
            place.line++;
            place.col = 1;
        }
    }
    return place;
}

size_t sql_text_chars(struct slice text)
{
    size_t chars = 0;
    for (size_t i = 0; i < text.n; i++)
        chars += begins_character(text.p[i]);
    return chars;
}

bool sql_text_name_part(struct slice *name, char *out, size_t *ret_n)
{
    const char *p = name->p, *end = name->p + name->n;
    bool quoted = p < end && *p == '"';
    size_t n = 0;
    if (quoted) {
        const char *close = skip_quoted(p, end, false);
        if (close - p < 2 || close[-1] != '"')
            return false;
        for (p++; p < close - 1; p++) {
            out[n++] = *p;
            if (*p == '"')
                p++;
        }
        p = close;
    } else {
        while (p < end && *p != '.' && *p != '"')
            out[n++] = *p++;
    }
    bool last = p == end;
    if (n == 0 || (!last && (*p != '.' || p + 1 == end)))
        return false;
    if (!last)
        p++;
    *name = slice_of(p, (size_t)(end - p));
    *ret_n = n;
    return true;
}
