#include "protocol/base/utf8.h"

#include <stdint.h>

static bool continues(const unsigned char *p, int n)
{
    for (int i = 1; i <= n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return false;
    return true;
}

/* Length of the character at p (n bytes left), 0 when it is malformed. */
static size_t char_length(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        return n >= 2 && continues(p, 1) ? 2 : 0;
    if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        if (n < 3 || !continues(p, 2))
            return 0;
        bool overlong = p[0] == 0xE0 && p[1] < 0xA0;
        bool surrogate = p[0] == 0xED && p[1] > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        if (n < 4 || !continues(p, 3))
            return 0;
        bool overlong = p[0] == 0xF0 && p[1] < 0x90;
        bool too_large = p[0] == 0xF4 && p[1] > 0x8F;
        return overlong || too_large ? 0 : 4;
    }
    return 0;
}

bool utf8_valid(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t left = s.n;
    while (left) {
        uint64_t word;
        if (left >= sizeof word) {
            memcpy(&word, p, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                p += sizeof word;
                left -= sizeof word;
                continue;
            }
        }
        size_t n = char_length(p, left);
        if (!n)
            return false;
        p += n;
        left -= n;
    }
    return true;
}

size_t utf8_character(struct slice s)
{
    return s.n ? char_length((const unsigned char *)s.p, s.n) : 0;
}

struct slice utf8_prefix(struct slice s, size_t max)
{
    if (s.n <= max)
        return s;
    while (max && ((unsigned char)s.p[max] & 0xC0) == 0x80)
        max--;
    return slice_of(s.p, max);
}

enum err_code utf8_put(struct buf *b, struct slice s)
{
    enum err_code rc = ERR_OK;
    while (s.n && !rc) {
        size_t n = *s.p ? utf8_character(s) : 0;
        rc = n ? buf_put(b, s.p, n) : buf_puts(b, "\xEF\xBF\xBD");
        s = slice_of(s.p + (n ? n : 1), s.n - (n ? n : 1));
    }
    return rc;
}
