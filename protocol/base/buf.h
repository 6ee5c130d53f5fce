/*
 * A growing byte buffer with a ceiling.
 *
 * Reads nothing, gives contiguous bytes. Invariant: len <= cap <= max. An append that would pass
 * max, or an allocation that fails, returns an error and leaves the buffer as it was. One thread.
 */
#ifndef SLUICE_BASE_BUF_H
#define SLUICE_BASE_BUF_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

#include <stdint.h>

struct buf {
    char *p;
    size_t len;
    size_t cap;
    size_t max; /* bytes */
};

/** Starts empty; allocates nothing. */
void buf_init(struct buf *b, size_t max_bytes);
/** Frees the bytes; the buffer is empty and usable afterwards. */
void buf_done(struct buf *b);
/** Forgets the content, keeps the memory. */
static inline void buf_reset(struct buf *b)
{
    b->len = 0;
}

/** Makes room for n more bytes. Errors: ERR_FULL past max, ERR_NOMEM. */
enum err_code buf_grow(struct buf *b, size_t n) MUST_CHECK;

/** Makes room for n more bytes; the common case is inline. */
static inline enum err_code buf_reserve(struct buf *b, size_t n)
{
    return LIKELY(b->cap - b->len >= n) ? ERR_OK : buf_grow(b, n);
}

enum err_code buf_put(struct buf *b, const void *p, size_t n) MUST_CHECK;
enum err_code buf_putc(struct buf *b, char c) MUST_CHECK;
enum err_code buf_puts(struct buf *b, const char *s) MUST_CHECK;
enum err_code buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
/** Ends the content with a NUL that does not count in len and returns it; NULL on failure. */
const char *buf_cstr(struct buf *b);

static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->p, b->len};
}

#endif
