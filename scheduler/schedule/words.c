#include "scheduler/schedule/words.h"

#include <stdarg.h>
#include <stdio.h>

struct words words_into(char *out, size_t size)
{
    *out = '\0';
    return (struct words){out, size, 0};
}

/* A character of UTF-8 that was cut ends with bytes 10xxxxxx that its first byte wants more of. */
static size_t whole(const char *text, size_t n)
{
    size_t first = n;
    while (first > 0 && ((unsigned char)text[first - 1] & 0xc0) == 0x80)
        first--;
    if (first == 0)
        return n;
    unsigned char c = (unsigned char)text[first - 1];
    size_t wanted = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return n - (first - 1) < wanted ? first - 1 : n;
}

void words_put(struct words *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(w->text + w->used, w->size - w->used, fmt, args);
    va_end(args);
    if (n < 0) {
        w->text[w->used] = '\0';
    } else if ((size_t)n < w->size - w->used) {
        w->used += (size_t)n;
    } else {
        w->used = whole(w->text, w->size - 1);
        w->text[w->used] = '\0';
        w->size = w->used + 1; /* nothing follows a cut */
    }
}
