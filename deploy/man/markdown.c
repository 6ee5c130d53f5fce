#include "deploy/man/markdown.h"

#include "deploy/man/roff.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 16384, CELLS_MAX = 8 };

enum block { BLOCK_NONE, BLOCK_TEXT, BLOCK_LIST, BLOCK_TABLE, BLOCK_CODE };

struct page {
    enum block block;
    char text[LINE_BYTES]; /* the paragraph or item so far */
    char heads[CELLS_MAX][64];
    size_t head_count;
    bool started; /* behind the first heading of a section */
    bool fresh;   /* nothing since a heading: no empty line wanted */
};

static void flush_text(struct page *p)
{
    if (*p->text)
        roff_text(p->text);
    *p->text = '\0';
}

static void close_block(struct page *p)
{
    flush_text(p);
    if (p->block == BLOCK_LIST || p->block == BLOCK_TABLE)
        puts(".El");
    if (p->block == BLOCK_CODE)
        puts(".Ed");
    p->fresh &= p->block == BLOCK_NONE;
    p->block = BLOCK_NONE;
    p->head_count = 0;
}

static void add_text(struct page *p, const char *line)
{
    size_t n = strlen(p->text);
    while (*line == ' ')
        line++;
    snprintf(p->text + n, sizeof p->text - n, "%s%s", n ? " " : "", line);
}

/* ---- tables ---- */

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    for (size_t n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
        s[n - 1] = '\0';
    return s;
}

/* Bars inside of code stand for themselves when they are escaped. */
static size_t split_row(char *line, char *cells[CELLS_MAX])
{
    size_t n = 0;
    char *p = line + 1;
    while (*p && n < CELLS_MAX) {
        char *start = p;
        while (*p && !(*p == '|' && p[-1] != '\\'))
            p++;
        if (*p)
            *p++ = '\0';
        cells[n++] = trim(start);
    }
    if (n && !*cells[n - 1])
        n--;
    return n;
}

static void table_row(struct page *p, char *line)
{
    char *cells[CELLS_MAX] = {""};
    if (strspn(line, "|-: ") == strlen(line))
        return;
    bool last_empty = strlen(line) > 2 && strcmp(line + strlen(line) - 3, "| |") == 0;
    size_t n = split_row(line, cells);
    if (p->block != BLOCK_TABLE) {
        close_block(p);
        p->block = BLOCK_TABLE;
        p->head_count = n;
        for (size_t i = 0; i < n; i++)
            snprintf(p->heads[i], sizeof p->heads[i], "%s", cells[i]);
        puts(".Bl -tag -width Ds");
        return;
    }
    char facts[LINE_BYTES] = "";
    size_t words = last_empty ? n : n - 1; /* of the row, in front of its meaning */
    for (size_t i = 1; i < words && i < p->head_count; i++) {
        size_t used = strlen(facts);
        if (*cells[i])
            snprintf(facts + used, sizeof facts - used, "%s%s: %s", used ? "; " : "", p->heads[i],
                     cells[i]);
    }
    roff_macro(".It", cells[0]);
    if (*facts) {
        snprintf(facts + strlen(facts), sizeof facts - strlen(facts), ".");
        roff_text(facts);
    }
    if (!last_empty && n > 1)
        roff_text(cells[n - 1]);
}

/* ---- lines ---- */

static bool is_contents(const char *line)
{
    return strncmp(line, "- [", 3) == 0 && strstr(line, "](#");
}

static void heading(struct page *p, const char *line)
{
    size_t depth = strspn(line, "#");
    const char *text = line + depth + 1;
    close_block(p);
    p->started |= depth > 1;
    if (depth == 2)
        roff_section(text);
    else if (depth > 2)
        roff_subsection(text);
    p->fresh = true;
}

static void fence(struct page *p)
{
    if (p->block == BLOCK_CODE) {
        close_block(p);
        return;
    }
    close_block(p);
    puts(".Bd -literal -offset indent");
    p->block = BLOCK_CODE;
}

static void item(struct page *p, const char *line)
{
    flush_text(p);
    if (p->block != BLOCK_LIST) {
        close_block(p);
        puts(".Bl -bullet");
        p->block = BLOCK_LIST;
    }
    puts(".It");
    add_text(p, line + 2);
}

static void paragraph(struct page *p, const char *line)
{
    if (p->block == BLOCK_LIST && *line == ' ') {
        add_text(p, line);
        return;
    }
    if (p->block != BLOCK_TEXT) {
        bool fresh = p->fresh && p->block == BLOCK_NONE;
        close_block(p);
        if (!fresh)
            puts(".Pp");
        p->block = BLOCK_TEXT;
        p->fresh = false;
    }
    add_text(p, line);
}

static void take(struct page *p, char *line)
{
    if (strncmp(line, "```", 3) == 0)
        fence(p);
    else if (p->block == BLOCK_CODE)
        roff_literal(line);
    else if (*line == '#')
        heading(p, line);
    else if (!*line)
        close_block(p);
    else if (*line == '|')
        table_row(p, line);
    else if (strncmp(line, "- ", 2) == 0 || strncmp(line, "* ", 2) == 0)
        item(p, line);
    else
        paragraph(p, line);
}

void markdown_print(FILE *in)
{
    static struct page p;
    static char line[LINE_BYTES];
    bool contents = false;
    p.fresh = true;
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        contents = is_contents(line) || (contents && (*line == ' ' || is_contents(line)));
        if (!contents)
            take(&p, line);
    }
    close_block(&p);
}
