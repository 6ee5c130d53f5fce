#include "deploy/man/roff.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 76, TEXT_BYTES = 32768 };

/* A growing text of fixed room: pages are the project's own. */
struct text {
    char p[TEXT_BYTES];
    size_t n;
};

static void put(struct text *t, const char *s, size_t n)
{
    if (t->n + n >= sizeof t->p) {
        fputs("manual: a paragraph is too long\n", stderr);
        exit(1);
    }
    memcpy(t->p + t->n, s, n);
    t->n += n;
    t->p[t->n] = '\0';
}

static void puts_to(struct text *t, const char *s)
{
    put(t, s, strlen(s));
}

static void put_char(struct text *t, char c)
{
    if (c == '\\')
        puts_to(t, "\\e");
    else if (c == '-')
        puts_to(t, "\\-");
    else
        put(t, &c, 1);
}

static const char *put_code(struct text *t, const char *p)
{
    puts_to(t, "\\fB");
    for (; *p && *p != '`'; p++) {
        if (p[0] == '\\' && p[1] == '|')
            continue;
        put_char(t, *p);
    }
    puts_to(t, "\\fR");
    return *p ? p + 1 : p;
}

/* [words](address): the words. */
static const char *put_link(struct text *t, const char *p);

/* One thing at p; returns what is behind it. */
static const char *put_inline(struct text *t, const char *p, bool *bold, bool *italic)
{
    if (*p == '`')
        return put_code(t, p + 1);
    if (*p == '[' && strstr(p, "]("))
        return put_link(t, p);
    if (p[0] == '*' && p[1] == '*') {
        *bold = !*bold;
        puts_to(t, *bold ? "\\fB" : "\\fR");
        return p + 2;
    }
    if (*p == '*' && (*italic || isalnum((unsigned char)p[1]) || p[1] == '[')) {
        *italic = !*italic;
        puts_to(t, *italic ? "\\fI" : "\\fR");
        return p + 1;
    }
    if (p[0] == '\\' && ispunct((unsigned char)p[1]))
        p++;
    put_char(t, *p);
    return p + 1;
}

static const char *put_link(struct text *t, const char *p)
{
    bool bold = false, italic = false;
    const char *end = strstr(p, "](");
    for (p++; p < end;)
        p = put_inline(t, p, &bold, &italic);
    const char *close = strchr(end, ')');
    return close ? close + 1 : end + strlen(end);
}

static void convert(struct text *t, const char *markdown)
{
    bool bold = false, italic = false;
    t->n = 0;
    t->p[0] = '\0';
    for (const char *p = markdown; *p;)
        p = put_inline(t, p, &bold, &italic);
}

/* ---- lines ---- */

static void print_line(const char *p, size_t n)
{
    if (n && (*p == '.' || *p == '\''))
        fputs("\\&", stdout);
    printf("%.*s\n", (int)n, p);
}

/* Where to break: at a space, a sentence's end gets a line of its own. */
static size_t line_end(const char *p)
{
    size_t best = 0, n = 0;
    for (; p[n]; n++) {
        if (p[n] != ' ')
            continue;
        if (n && strchr(".!?", p[n - 1]) && n > 2)
            return n;
        if (n > WIDTH && best)
            return best;
        best = n;
    }
    return n > WIDTH && best ? best : n;
}

void roff_text(const char *markdown)
{
    static struct text t;
    convert(&t, markdown);
    const char *p = t.p;
    while (*p == ' ')
        p++;
    while (*p) {
        size_t n = line_end(p);
        print_line(p, n);
        p += n;
        while (*p == ' ')
            p++;
    }
}

void roff_macro(const char *macro, const char *markdown)
{
    static struct text t;
    convert(&t, markdown);
    printf("%s \"", macro); /* one argument: no word of it is taken for a macro */
    for (const char *p = t.p; *p; p++)
        fputs(*p == '"' ? "\\(dq" : (char[]){*p, '\0'}, stdout);
    puts("\"");
}

void roff_literal(const char *line)
{
    static struct text t;
    t.n = 0;
    t.p[0] = '\0';
    for (const char *p = line; *p; p++)
        put_char(&t, *p);
    print_line(t.p, t.n);
}

void roff_head(const char *title, int section)
{
    printf(".Dd November 28, 2026\n.Dt %s %d\n.Os Sluice\n", title, section);
}

void roff_section(const char *text)
{
    fputs(".Sh ", stdout);
    for (; *text; text++)
        putchar(toupper((unsigned char)*text));
    putchar('\n');
}

void roff_subsection(const char *text)
{
    roff_macro(".Ss", text);
}
