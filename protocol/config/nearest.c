/* The name somebody probably meant: optimal string alignment distance, without regard to letter
 * case. */
#include "protocol/config/config.h"

#include <ctype.h>
#include <string.h>

enum { NEAREST_BYTES = 64 }; /* longer words are not compared */

static size_t least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t distance(struct slice a, struct slice b)
{
    size_t rows[3][NEAREST_BYTES + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.n; j++)
        above[j] = before[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            bool equal = same(a.p[i - 1], b.p[j - 1]);
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + !equal);
            bool swapped =
                i > 1 && j > 1 && same(a.p[i - 1], b.p[j - 2]) && same(a.p[i - 2], b.p[j - 1]);
            if (swapped && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.n];
}

const char *nearest_name(const char *word, const char *const *candidates, size_t count)
{
    struct slice given = slice_str(word);
    if (given.n == 0 || given.n > NEAREST_BYTES)
        return NULL;
    size_t limit = (given.n + 2) / 3; /* a third of the word may be wrong */
    if (limit >= given.n)
        limit = given.n - 1;
    const char *best = NULL;
    for (size_t i = 0; i < count && candidates[i]; i++) {
        struct slice name = slice_str(candidates[i]);
        size_t apart = name.n > given.n ? name.n - given.n : given.n - name.n;
        if (name.n == 0 || name.n > NEAREST_BYTES || apart > limit)
            continue;
        size_t d = distance(given, name);
        if (d < limit + !best) {
            best = candidates[i];
            limit = d;
        }
    }
    return best;
}
