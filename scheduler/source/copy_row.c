#include "scheduler/source/copy_row.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (uint8_t)(c))

/* The split in hand: where the current cell began, which comes next, whether it holds a backslash.
 */
struct split {
    struct cells *cells;
    size_t next;
    char *start;
    bool escaped;
};

/* 0x80 in exactly those bytes of word that are zero. */
static inline uint64_t zero_bytes(uint64_t word)
{
    const uint64_t low = EACH_BYTE(0x7F);
    return ~(((word & low) + low) | word | low);
}

static char unescaped(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    case '\\':
        return '\\';
    default:
        return '\0';
    }
}

/* Undoes the escapes of cell in place. COPY TO writes no others than these (documentation of COPY,
 * text format). */
static bool unescape(struct cell *cell)
{
    char *p = cell->p, *end = cell->p + cell->n;
    if (cell->n == 2 && p[0] == '\\' && p[1] == 'N') {
        *cell = (struct cell){NULL, 0};
        return true;
    }
    char *out = p = memchr(p, '\\', cell->n);
    while (p < end) {
        char c = p + 1 < end ? unescaped(p[1]) : '\0';
        if (!c)
            return false;
        *out++ = c;
        p += 2;
        char *stop = p < end ? memchr(p, '\\', (size_t)(end - p)) : NULL;
        size_t run = (size_t)((stop ? stop : end) - p);
        memmove(out, p, run);
        out += run;
        p += run;
    }
    cell->n = (size_t)(out - cell->p);
    return true;
}

static inline bool end_cell(struct split *s, char *end)
{
    if (UNLIKELY(s->next == s->cells->count))
        return false;
    struct cell *cell = &s->cells->items[s->next++];
    *cell = (struct cell){s->start, (size_t)(end - s->start)};
    s->start = end + 1;
    if (LIKELY(!s->escaped))
        return true;
    s->escaped = false;
    return unescape(cell);
}

/* marks has 0x80 in each byte of the word at p that is a tab or a backslash. */
static inline bool take_marks(struct split *s, char *p, uint64_t marks)
{
    while (marks) {
        char *at = p + (__builtin_ctzll(marks) >> 3);
        marks &= marks - 1;
        if (*at == '\\')
            s->escaped = true;
        else if (UNLIKELY(!end_cell(s, at)))
            return false;
    }
    return true;
}

enum err_code copy_row_split(char *line, size_t n, struct cells *cells, struct err *err)
{
    struct split split = {.cells = cells, .start = line};
    uint64_t all = 0;
    for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, line + i, sizeof word);
        word = le64toh(word);
        if (UNLIKELY(n - i < sizeof word))
            word &= (UINT64_C(1) << (8 * (n - i))) - 1;
        all |= word;
        uint64_t marks = zero_bytes(word ^ EACH_BYTE('\t')) | zero_bytes(word ^ EACH_BYTE('\\'));
        if (UNLIKELY(!take_marks(&split, line + i, marks)))
            return err_set(err, ERR_INVALID, "the warehouse sent a row that is not COPY text");
    }
    if (!end_cell(&split, line + n) || split.next != cells->count)
        return err_set(err, ERR_INVALID, "the warehouse sent a row with a wrong number of columns");
    cells->ascii = !(all & EACH_BYTE(0x80));
    return ERR_OK;
}
