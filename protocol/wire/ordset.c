#include "protocol/wire/ordset.h"

#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Two numbers of ten digits, a dash and a comma. */
enum { RANGE_TEXT_BYTES = 24 };

static enum err_code put_range(struct buf *out, bool first, uint32_t from, uint32_t to)
{
    char text[RANGE_TEXT_BYTES];
    const char *comma = first ? "" : ",";
    int n = from == to ? snprintf(text, sizeof text, "%s%u", comma, from)
                       : snprintf(text, sizeof text, "%s%u-%u", comma, from, to);
    return buf_put(out, text, (size_t)n);
}

enum err_code ordset_put(struct buf *out, const uint32_t *ordinals, size_t count, uint32_t planned)
{
    if (!count || count > planned)
        return ERR_BUG;
    for (size_t i = 0; i < count; i++)
        if (ordinals[i] >= planned || (i && ordinals[i] <= ordinals[i - 1]))
            return ERR_BUG;
    if (count == planned)
        return ERR_OK;
    size_t start = out->len;
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && ordinals[end] == ordinals[end - 1] + 1;)
            end++;
        enum err_code rc = put_range(out, i == 0, ordinals[i], ordinals[end - 1]);
        if (rc) {
            out->len = start;
            return rc;
        }
    }
    return ERR_OK;
}

/* Reads a number below limit at *p; false when there is none. */
static bool read_number(const char **p, const char *end, uint32_t limit, uint32_t *ret)
{
    const char *start = *p;
    uint64_t v = 0;
    while (*p < end && **p >= '0' && **p <= '9') {
        v = v * 10 + (uint64_t)(**p - '0');
        if (v >= limit)
            return false;
        ++*p;
    }
    *ret = (uint32_t)v;
    return *p > start && (*start != '0' || *p == start + 1);
}

static bool read_ranges(struct slice text, uint32_t planned, uint8_t *bits)
{
    uint32_t least = 0;
    for (const char *p = text.p, *end = text.p + text.n;; p++) {
        uint32_t from, to;
        if (!read_number(&p, end, planned, &from) || from < least)
            return false;
        to = from;
        if (p < end && *p == '-') {
            p++;
            if (!read_number(&p, end, planned, &to) || to <= from)
                return false;
        }
        for (uint32_t i = from; i <= to; i++)
            bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << i % 8);
        least = to + 1;
        if (p == end)
            return true;
        if (*p != ',')
            return false;
    }
}

enum err_code ordset_bits(struct slice text, uint32_t planned, uint8_t *bits, struct err *err)
{
    size_t bytes = ((size_t)planned + 7) / 8;
    memset(bits, text.n ? 0 : 0xff, bytes);
    if (!text.n && planned % 8)
        bits[bytes - 1] = (uint8_t)((1u << planned % 8) - 1);
    if (text.n && !read_ranges(text, planned, bits))
        return err_set(err, ERR_INVALID, "not a set of ordinals below %u: '%.*s'", planned,
                       (int)(text.n < 100 ? text.n : 100), text.p);
    return ERR_OK;
}

enum err_code batch_part_id(struct slice batch_id, struct slice ordset, char *out, size_t out_bytes)
{
    int n;
    if (!ordset.n)
        n = snprintf(out, out_bytes, "%.*s", (int)batch_id.n, batch_id.p);
    else
        n = snprintf(out, out_bytes, "%.*s-%016llx", (int)batch_id.n, batch_id.p,
                     (unsigned long long)XXH3_64bits(ordset.p, ordset.n));
    return n < 0 || (size_t)n >= out_bytes ? ERR_FULL : ERR_OK;
}
