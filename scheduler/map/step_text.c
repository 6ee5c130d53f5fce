/* trim, lower, upper, substring, split: text that stays text, with fast ways for ASCII. */
#include "scheduler/map/steps.h"

#include "protocol/base/json.h"

#include <utf8proc.h>

/* Unicode 15, property White_Space. Length in bytes of such a character at p, 0: it is none. */
static size_t space_at(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80)
        return p[0] == ' ' || (p[0] >= 0x09 && p[0] <= 0x0D);
    if (p[0] == 0xC2 && n >= 2)
        return p[1] == 0x85 || p[1] == 0xA0 ? 2 : 0;
    if (n < 3 || p[0] < 0xE1 || p[0] > 0xE3)
        return 0;
    uint32_t c = (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    bool space = c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
                 c == 0x202F || c == 0x205F || c == 0x3000;
    return space ? 3 : 0;
}

/* Length of a white-space character that ends s, 0: there is none. */
static size_t space_before_end(struct slice s)
{
    size_t back = 1;
    while (back < s.n && back < 4 && ((unsigned char)s.p[s.n - back] & 0xC0) == 0x80)
        back++;
    return space_at((const unsigned char *)s.p + s.n - back, back) == back ? back : 0;
}

size_t text_space_at(struct slice s)
{
    return space_at((const unsigned char *)s.p, s.n);
}

struct slice text_trim(struct slice s)
{
    size_t n;
    while (s.n && (n = space_at((const unsigned char *)s.p, s.n)))
        s = slice_of(s.p + n, s.n - n);
    while (s.n && (n = space_before_end(s)))
        s.n -= n;
    return s;
}

enum err_code step_trim(struct step_env *env, const struct step *step, struct value *v,
                        struct err *err)
{
    (void)env, (void)step, (void)err;
    *v = value_of(VALUE_TEXT, text_trim(value_slice(*v)));
    return ERR_OK;
}

struct casing {
    char from, to; /* the ASCII letters that change */
    utf8proc_int32_t (*map)(utf8proc_int32_t c);
};

static const struct casing lower = {'A', 'Z', utf8proc_tolower};
static const struct casing upper = {'a', 'z', utf8proc_toupper};

enum { CASE_GROWTH = 2, CASE_SLACK = 4 }; /* two bytes may become three; ASCII never grows */

static char *put_cased(char *o, const char *p, const char *end, const struct casing *c)
{
    while (p < end) {
        if (*p >= 0) {
            bool changes = *p >= c->from && *p <= c->to;
            *o++ = (char)(changes ? *p ^ 0x20 : *p);
            p++;
            continue;
        }
        utf8proc_int32_t code;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)p, end - p, &code);
        if (n <= 0)
            return NULL;
        o += utf8proc_encode_char(c->map(code), (utf8proc_uint8_t *)o);
        p += n;
    }
    return o;
}

static enum err_code change_case(struct step_env *env, struct value *v, const struct casing *c,
                                 struct err *err)
{
    size_t same = 0;
    while (same < v->n && v->p[same] >= 0 && !(v->p[same] >= c->from && v->p[same] <= c->to))
        same++;
    if (same == v->n)
        return ERR_OK;
    char *out;
    enum err_code rc =
        scratch_room(&env->scratch, (size_t)v->n * CASE_GROWTH + CASE_SLACK, &out, err);
    if (rc)
        return rc;
    memcpy(out, v->p, same);
    char *end = put_cased(out + same, v->p + same, v->p + v->n, c);
    return end ? step_keep(env, v, out, (size_t)(end - out))
               : err_set(err, ERR_INVALID, "the text is not UTF-8");
}

enum err_code step_lower(struct step_env *env, const struct step *step, struct value *v,
                         struct err *err)
{
    (void)step;
    return change_case(env, v, &lower, err);
}

enum err_code step_upper(struct step_env *env, const struct step *step, struct value *v,
                         struct err *err)
{
    (void)step;
    return change_case(env, v, &upper, err);
}

static bool starts_char(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

size_t text_chars(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += starts_char(s.p[i]);
    return n;
}

/* Bytes of the first chars characters of s. */
static size_t bytes_of_chars(struct slice s, int64_t chars)
{
    size_t i = 0;
    for (; i < s.n; i++)
        if (starts_char(s.p[i]) && chars-- == 0)
            break;
    return i;
}

enum err_code step_substring(struct step_env *env, const struct step *step, struct value *v,
                             struct err *err)
{
    (void)env, (void)err;
    struct slice s = value_slice(*v);
    int64_t from = step->from;
    if (from < 0) {
        int64_t chars = (int64_t)text_chars(s);
        from = from < -chars ? 0 : chars + from;
    }
    size_t skip = bytes_of_chars(s, from);
    s = slice_of(s.n ? s.p + skip : "", s.n - skip);
    if (step->length >= 0)
        s.n = bytes_of_chars(s, step->length);
    *v = value_of(VALUE_TEXT, s);
    return ERR_OK;
}

enum {
    JSON_GROWTH = 6,
    PART_OVERHEAD = 3,
    JSON_SLACK = 16
}; /* \u001f for one byte; quotes and comma */

enum err_code step_split(struct step_env *env, const struct step *step, struct value *v,
                         struct err *err)
{
    size_t parts = 1;
    const char *end = v->p + v->n, *next;
    for (const char *p = v->p;
         v->n && (next = memmem(p, (size_t)(end - p), step->text.p, step->text.n)); parts++)
        p = next + step->text.n;
    size_t bound = (size_t)v->n * JSON_GROWTH + parts * PART_OVERHEAD + JSON_SLACK;
    char *room;
    enum err_code rc = scratch_room(&env->scratch, bound, &room, err);
    if (rc)
        return rc;
    struct buf out = {.p = room, .cap = bound, .max = bound};
    rc = buf_putc(&out, '[');
    for (const char *p = v->p; !rc && v->n && p; p = next ? next + step->text.n : NULL) {
        next = memmem(p, (size_t)(end - p), step->text.p, step->text.n);
        if (p != v->p)
            rc = buf_putc(&out, ',');
        rc = rc ? rc : json_put_string(&out, slice_of(p, (size_t)((next ? next : end) - p)));
    }
    rc = rc ? rc : buf_putc(&out, ']');
    if (rc)
        return err_set(err, rc, "the array does not fit");
    rc = step_keep(env, v, out.p, out.len);
    v->kind = VALUE_JSON;
    return rc;
}
