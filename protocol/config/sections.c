/* The names of one section, gathered over all files of the project. */
#include "protocol/config/parts.h"

#include <stdlib.h>

static int by_name_then_order(const void *left, const void *right)
{
    const struct entry *a = *(const struct entry *const *)left,
                       *b = *(const struct entry *const *)right;
    int order = strcmp(a->name, b->name);
    return order ? order : (a > b) - (a < b);
}

static int by_order(const void *left, const void *right)
{
    const struct entry *a = *(const struct entry *const *)left,
                       *b = *(const struct entry *const *)right;
    return (a > b) - (a < b);
}

/* Keeps the first definition of each name; the map of one file has none twice, so two are of two
 * files. */
static void drop_repeated(struct reader *rd, struct section *s)
{
    size_t kept = 0;
    qsort(s->sorted, s->count, sizeof *s->sorted, by_name_then_order);
    for (size_t i = 0; i < s->count; i++) {
        const struct entry *first = kept ? s->sorted[kept - 1] : NULL;
        if (first && strcmp(first->name, s->sorted[i]->name) == 0)
            mistake(rd, s->sorted[i]->at,
                    "the %s %s is defined twice, first in %s:%u:%u: remove or rename one", s->noun,
                    shown_text(rd, first->name), first->at.file, first->at.line, first->at.col);
        else
            s->sorted[kept++] = s->sorted[i];
    }
    s->count = kept;
}

void section_index(struct reader *rd, struct section *s, const struct entry *all, size_t count)
{
    s->count = count;
    s->sorted = reader_alloc(rd, count * sizeof *s->sorted);
    if (!s->sorted)
        return;
    for (size_t i = 0; i < count; i++)
        s->sorted[i] = &all[i];
    drop_repeated(rd, s);
    s->names = reader_alloc(rd, s->count * sizeof *s->names);
    s->entries = reader_alloc(rd, s->count * sizeof *s->entries);
    if (!s->names || !s->entries)
        return;
    qsort(s->sorted, s->count, sizeof *s->sorted, by_order);
    for (size_t i = 0; i < s->count; i++) {
        s->entries[i] = *s->sorted[i];
        s->names[i] = s->entries[i].name;
        s->sorted[i] = &s->entries[i];
    }
    qsort(s->sorted, s->count, sizeof *s->sorted, by_name_then_order);
}
