#include "scheduler/cli/markdown.h"

#include "protocol/base/utf8.h"

#include <ctype.h>

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* U+200B to U+200F, U+2028 to U+202E, U+2060 to U+2069, U+FEFF: not seen, or turn what is. */
static bool is_unseen(struct slice c)
{
    const unsigned char *p = (const unsigned char *)c.p;
    if (c.n != 3)
        return false;
    if (p[0] == 0xE2 && p[1] == 0x80)
        return (p[2] >= 0x8B && p[2] <= 0x8F) || (p[2] >= 0xA8 && p[2] <= 0xAE);
    if (p[0] == 0xE2 && p[1] == 0x81)
        return p[2] >= 0xA0 && p[2] <= 0xA9;
    return p[0] == 0xEF && p[1] == 0xBB && p[2] == 0xBF;
}

/* Of all punctuation, only what means nothing to Markdown, HTML, or those who look for links in
 * text. Inline code in HTML may hold Markdown, so that code alone would not keep it out. */
static enum err_code put_ascii(struct buf *b, unsigned char c)
{
    if (c < 0x20 || c == 0x7f)
        return buf_putc(b, ' ');
    if (isalnum(c) || strchr(" -,()/=%", c))
        return buf_putc(b, (char)c);
    return buf_printf(b, "&#%u;", c);
}

enum err_code markdown_text(struct buf *b, const char *text, size_t most)
{
    struct slice left = slice_str(text);
    bool cut = left.n > most;
    enum err_code rc = ERR_OK;
    if (cut)
        left.n = most;
    while (left.n && !rc) {
        size_t n = utf8_character(left);
        if (!n && cut && left.n < 4) /* the cut went through a character */
            break;
        struct slice c = slice_of(left.p, n ? n : 1);
        if (n == 1)
            rc = put_ascii(b, (unsigned char)*left.p);
        else if (!n || is_unseen(c))
            rc = buf_puts(b, replacement);
        else
            rc = buf_put(b, c.p, c.n);
        left = slice_of(left.p + c.n, left.n - c.n);
    }
    return rc || !cut ? rc : buf_puts(b, "…");
}

enum err_code markdown_code(struct buf *b, const char *text, size_t most)
{
    enum err_code rc = buf_puts(b, "<code>");
    rc = rc ? rc : markdown_text(b, text, most);
    return rc ? rc : buf_puts(b, "</code>");
}
