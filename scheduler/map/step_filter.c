/* remove_spaces, digits, letters, ascii_letters, no_punctuation, strip_zeros: text without some of
 * its characters. */
#include "scheduler/map/steps.h"

#include <utf8proc.h>

/* What a character is; a filter is the set of those that stay. */
enum {
    CHAR_SPACE = 1,        /* Unicode's White_Space */
    CHAR_DIGIT = 2,        /* 0 to 9 */
    CHAR_ASCII_LETTER = 4, /* a to z, A to Z */
    CHAR_LETTER = 8,       /* letters and marks of all scripts */
    CHAR_NUMBER = 16,      /* other scripts' digits, fractions, … */
    CHAR_OTHER = 32,       /* punctuation, symbols, controls, what cannot be seen */
};

static unsigned class_of_ascii(char c)
{
    char low = (char)(c | 0x20);
    if (low >= 'a' && low <= 'z')
        return CHAR_ASCII_LETTER;
    if (c >= '0' && c <= '9')
        return CHAR_DIGIT;
    return c == ' ' || (c >= '\t' && c <= '\r') ? CHAR_SPACE : CHAR_OTHER;
}

static unsigned class_of_code(utf8proc_int32_t code)
{
    utf8proc_category_t category = utf8proc_category(code);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_ME)
        return CHAR_LETTER;
    if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
        return CHAR_NUMBER;
    return CHAR_OTHER;
}

/* Class of the character that s begins with; 0: the bytes are no UTF-8. */
static unsigned class_at(struct slice s, size_t *ret_bytes)
{
    *ret_bytes = 1;
    if (*s.p >= 0)
        return class_of_ascii(*s.p);
    *ret_bytes = text_space_at(s);
    if (*ret_bytes)
        return CHAR_SPACE;
    utf8proc_int32_t code;
    utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &code);
    *ret_bytes = n > 0 ? (size_t)n : 1;
    return n > 0 ? class_of_code(code) : 0;
}

/* Bytes at the start of s of which all stay. Most values are as they should be. */
static size_t staying(struct slice s, unsigned keep)
{
    size_t i = 0;
    while (i < s.n && s.p[i] >= 0 && class_of_ascii(s.p[i]) & keep)
        i++;
    return i;
}

static enum err_code filter(struct step_env *env, struct value *v, unsigned keep, struct err *err)
{
    size_t same = staying(value_slice(*v), keep);
    if (same == v->n)
        return ERR_OK;
    char *out;
    enum err_code rc = scratch_room(&env->scratch, v->n, &out, err);
    if (rc)
        return rc;
    char *o = mempcpy(out, v->p, same);
    for (size_t i = same, n; i < v->n; i += n) {
        unsigned class = class_at(slice_of(v->p + i, v->n - i), &n);
        if (UNLIKELY(!class))
            return err_set(err, ERR_INVALID, "the text is not UTF-8");
        if (class & keep)
            o = mempcpy(o, v->p + i, n);
    }
    return step_keep(env, v, out, (size_t)(o - out));
}

enum err_code step_remove_spaces(struct step_env *env, const struct step *step, struct value *v,
                                 struct err *err)
{
    (void)step;
    return filter(env, v, ~(unsigned)CHAR_SPACE, err);
}

enum err_code step_digits(struct step_env *env, const struct step *step, struct value *v,
                          struct err *err)
{
    (void)step;
    return filter(env, v, CHAR_DIGIT, err);
}

enum err_code step_letters(struct step_env *env, const struct step *step, struct value *v,
                           struct err *err)
{
    (void)step;
    return filter(env, v, CHAR_ASCII_LETTER | CHAR_LETTER, err);
}

enum err_code step_ascii_letters(struct step_env *env, const struct step *step, struct value *v,
                                 struct err *err)
{
    (void)step;
    return filter(env, v, CHAR_ASCII_LETTER, err);
}

enum err_code step_no_punctuation(struct step_env *env, const struct step *step, struct value *v,
                                  struct err *err)
{
    (void)step;
    return filter(env, v, ~(unsigned)CHAR_OTHER, err);
}

enum err_code step_strip_zeros(struct step_env *env, const struct step *step, struct value *v,
                               struct err *err)
{
    (void)env, (void)step, (void)err;
    uint32_t zeros = 0;
    while (zeros < v->n && v->p[zeros] == '0')
        zeros++;
    *v = (struct value){VALUE_TEXT, v->n - zeros, v->n ? v->p + zeros : v->p};
    return ERR_OK;
}
