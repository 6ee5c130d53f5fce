#include "protocol/config/reader.h"

#include "protocol/config/problem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SHOWN_BYTES = 80, /* longer values are not quoted in messages */
    NAME_BYTES = 100,
    LISTED_WORDS = 24, /* then … */
    TEXT_BYTES = 1024, /* of one message */
};

void *reader_alloc(struct reader *rd, size_t n)
{
    void *p = arena_alloc(&rd->project->arena, n);
    if (!p)
        rd->failed = ERR_NOMEM;
    return p;
}

char *reader_str(struct reader *rd, struct slice s)
{
    char *p = arena_str(&rd->project->arena, s);
    if (!p)
        rd->failed = ERR_NOMEM;
    return p;
}

static void format(char *text, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
static void format(char *text, const char *fmt, va_list ap)
{
    vsnprintf(text, TEXT_BYTES, fmt, ap);
}

const char *reader_printf(struct reader *rd, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    format(text, fmt, ap);
    va_end(ap);
    const char *copy = reader_str(rd, slice_str(text));
    return copy ? copy : "";
}

const char *reader_path(struct reader *rd, const char *path)
{
    size_t n = strlen(rd->project->dir) + strlen(path) + 2;
    char *whole = reader_alloc(rd, n);
    if (!whole)
        return NULL;
    if (*path == '/')
        memcpy(whole, path, strlen(path));
    else
        snprintf(whole, n, "%s/%s", rd->project->dir, path);
    return whole;
}

PRINTF_LIKE(4, 0)
static void report(struct reader *rd, enum problem_kind kind, struct config_place at,
                   const char *fmt, va_list ap)
{
    char text[TEXT_BYTES];
    format(text, fmt, ap);
    enum err_code rc = problem_add(rd->problems, kind, at, text);
    if (rc)
        rd->failed = rc;
}

void mistake(struct reader *rd, struct config_place at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(rd, PROBLEM_MISTAKE, at, fmt, ap);
    va_end(ap);
}

void unsupported(struct reader *rd, struct config_place at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(rd, PROBLEM_UNSUPPORTED, at, fmt, ap);
    va_end(ap);
}

void note(struct reader *rd, struct config_place at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(rd, PROBLEM_NOTE, at, fmt, ap);
    va_end(ap);
}

const char *shown_text(struct reader *rd, const char *text)
{
    /* Something with :// or @ may be an address with a password, written in the wrong place. */
    if (strlen(text) > SHOWN_BYTES || strstr(text, "://") || (*text && strchr(text + 1, '@')))
        return "this value";
    char copy[SHOWN_BYTES + 1];
    size_t n = 0;
    for (; text[n]; n++)
        copy[n] = iscntrl((unsigned char)text[n]) ? '?' : text[n];
    copy[n] = '\0';
    return reader_printf(rd, "\"%s\"", copy);
}

const char *shown(struct reader *rd, const struct node *node)
{
    return node->substituted ? "this value" : shown_text(rd, node->text);
}

const char *did_you_mean(struct reader *rd, const char *word, const char *const *candidates,
                         size_t count, const char *otherwise)
{
    /* Comparing is the dear part of a message that nobody will see. */
    const char *near = rd->problems->dropped ? NULL : nearest_name(word, candidates, count);
    return near ? reader_printf(rd, "did you mean %s?", shown_text(rd, near)) : otherwise;
}

const char *listed(struct reader *rd, const char *const *words)
{
    char text[TEXT_BYTES];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; words[i] && n < sizeof text; i++) {
        bool last = i == LISTED_WORDS;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? ", " : "",
                              last ? "…" : words[i]);
        if (last)
            break;
    }
    return reader_printf(rd, "%s", text);
}

static int by_name(const void *word, const void *entry)
{
    return strcmp(word, (*(const struct entry *const *)entry)->name);
}

const struct entry *reader_find(struct reader *rd, enum section_id id, const struct node *node)
{
    const struct section *s = &rd->sections[id];
    if (node->broken)
        return NULL;
    if (!node_is_text(node)) {
        mistake(rd, node->at, "this must be the name of a %s, but it is %s: write a name from `%s`",
                s->noun, node_kind_name(node), s->word);
        return NULL;
    }
    const struct entry *const *hit =
        s->count ? bsearch(node->text, s->sorted, s->count, sizeof *s->sorted, by_name) : NULL;
    if (hit)
        return *hit;
    const char *otherwise =
        reader_printf(rd, "add it under `%s`, or write a name that stands there", s->word);
    mistake(rd, node->at, "there is no %s %s: %s", s->noun, shown(rd, node),
            did_you_mean(rd, node->substituted ? "" : node->text, s->names, s->count, otherwise));
    return NULL;
}

size_t entry_index(const struct reader *rd, enum section_id id, const struct entry *entry)
{
    return (size_t)(entry - rd->sections[id].entries);
}

void name_check(struct reader *rd, struct config_place at, const char *name, const char *what)
{
    size_t n = strlen(name);
    if (n == 0)
        mistake(rd, at, "%s is empty: write a name", what);
    else if (n > NAME_BYTES)
        mistake(rd, at, "%s is longer than %d bytes: shorten it", what, NAME_BYTES);
    for (const char *p = name; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c > ' ' && c != 0x7f && c != '{' && c != '}')
            continue;
        mistake(rd, at,
                "%s must not have white space, control characters, { or } in it: use letters, "
                "digits, _ and -",
                what);
        return;
    }
}
