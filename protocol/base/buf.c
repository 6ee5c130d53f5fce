#include "protocol/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST_BYTES = 256 };

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_done(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

enum err_code buf_grow(struct buf *b, size_t n)
{
    if (n > b->max || b->len > b->max - n)
        return ERR_FULL;
    size_t want = b->len + n;
    if (want <= b->cap)
        return ERR_OK;
    size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;
    while (cap < want)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max)
        cap = b->max;
    char *p = realloc(b->p, cap);
    if (!p)
        return ERR_NOMEM;
    b->p = p;
    b->cap = cap;
    return ERR_OK;
}

enum err_code buf_put(struct buf *b, const void *p, size_t n)
{
    enum err_code rc = buf_reserve(b, n);
    if (rc)
        return rc;
    if (n)
        memcpy(b->p + b->len, p, n);
    b->len += n;
    return ERR_OK;
}

enum err_code buf_putc(struct buf *b, char c)
{
    return buf_put(b, &c, 1);
}

enum err_code buf_puts(struct buf *b, const char *s)
{
    return buf_put(b, s, strlen(s));
}

enum err_code buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    enum err_code rc = n < 0 ? ERR_INVALID : buf_reserve(b, (size_t)n + 1);
    if (!rc) {
        vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return rc;
}

const char *buf_cstr(struct buf *b)
{
    if (buf_reserve(b, 1))
        return NULL;
    b->p[b->len] = '\0';
    return b->p;
}
