/*
 * phone: a telephone number as people write it, as "+" and the digits of E.164.
 *
 * A number that cannot be one becomes NULL. What a country's numbers look like matters only where
 * the writing leaves it open: whether a first 0 belongs to the number, and whether a number without
 * + or 00 has its country's code in front already.
 */
#include "scheduler/map/steps.h"

#include <utf8proc.h>

enum {
    DIALLED_MAX = 24, /* with 00 and what is dropped later */
    E164_MIN = 7,     /* code and number of the smallest countries */
    E164_MAX = 15,    /* ITU-T E.164 */
};

struct dialled {
    bool plus;
    size_t n;
    char digits[DIALLED_MAX];
};

/* Numbering plans without a first 0 that is left out from abroad. */
static const struct plan {
    const char *code;
    unsigned digits;  /* of a number within the country, at most */
    bool keeps_zero;  /* a first 0 belongs to the number */
    char also_before; /* what is dialled before it within the country, instead of 0 */
} plans[] = {
    {"1", 10, false, 0},  {"7", 10, false, '8'}, {"30", 10, false, 0}, {"34", 9, false, 0},
    {"39", 10, true, 0},  {"45", 8, false, 0},   {"47", 8, false, 0},  {"48", 9, false, 0},
    {"52", 10, false, 0}, {"56", 9, false, 0},   {"57", 10, false, 0}, {"65", 8, false, 0},
    {"216", 8, false, 0}, {"225", 10, true, 0},  {"242", 9, true, 0},  {"351", 9, false, 0},
    {"354", 7, false, 0}, {"356", 8, false, 0},  {"357", 8, false, 0}, {"371", 8, false, 0},
    {"372", 8, false, 0}, {"378", 10, true, 0},  {"420", 9, false, 0}, {"852", 8, false, 0},
    {"965", 8, false, 0}, {"968", 8, false, 0},  {"973", 8, false, 0}, {"974", 8, false, 0},
};

static const struct plan *plan_of(struct slice code)
{
    for (size_t i = 0; i < ARRAY_LEN(plans); i++)
        if (slice_eq_str(code, plans[i].code))
            return &plans[i];
    return NULL;
}

/* True where "(0)" stands after the code of a country: "+49 (0)30" is 49 30, but "+39 (0)6" 39 06.
 */
static bool drops_bracketed_zero(const struct dialled *d, struct slice rest)
{
    if (!d->n || rest.n < 3 || memcmp(rest.p, "(0)", 3) != 0)
        return false;
    size_t zeros = d->n > 2 && memcmp(d->digits, "00", 2) == 0 ? 2 : 0;
    const struct plan *plan = plan_of(slice_of(d->digits + zeros, d->n - zeros));
    return !plan || !plan->keeps_zero;
}

/* Bytes of a character that only groups digits; 0: it is none. */
static size_t grouping_at(struct slice s)
{
    if (*s.p >= 0)
        return strchr(" \t-.()/", *s.p) && *s.p ? 1 : 0;
    utf8proc_int32_t code;
    utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &code);
    if (n <= 0)
        return 0;
    utf8proc_category_t c = utf8proc_category(code);
    bool groups = c == UTF8PROC_CATEGORY_ZS || c == UTF8PROC_CATEGORY_PD ||
                  c == UTF8PROC_CATEGORY_CF || code == 0x2212; /* minus */
    return groups ? (size_t)n : 0;
}

static bool read_dialled(struct slice s, struct dialled *d)
{
    *d = (struct dialled){0};
    for (size_t i = 0, n; i < s.n; i += n) {
        char c = s.p[i];
        n = 1;
        if (c >= '0' && c <= '9') {
            if (d->n == DIALLED_MAX)
                return false;
            d->digits[d->n++] = c;
        } else if (c == '+' && !d->plus && !d->n) {
            d->plus = true;
        } else if (drops_bracketed_zero(d, slice_of(s.p + i, s.n - i))) {
            n = 3;
        } else {
            n = grouping_at(slice_of(s.p + i, s.n - i));
            if (!n)
                return false;
        }
    }
    return true;
}

/* Turns what is dialled within the country of code into what follows its code. Returns false where
 * code stands before it already. */
static bool within_country(struct slice *digits, struct slice code)
{
    const struct plan *plan = plan_of(code);
    bool zero = digits->n && digits->p[0] == '0';
    if (zero && !(plan && plan->keeps_zero))
        *digits = slice_of(digits->p + 1, digits->n - 1);
    if (zero)
        return true;
    bool has_code = digits->n > code.n && memcmp(digits->p, code.p, code.n) == 0;
    if (has_code && (!plan || digits->n > plan->digits))
        return false;
    if (plan && plan->also_before && digits->n == plan->digits + 1 &&
        digits->p[0] == plan->also_before)
        *digits = slice_of(digits->p + 1, digits->n - 1);
    return true;
}

static bool is_e164(struct slice code, struct slice digits)
{
    size_t n = code.n + digits.n;
    char first = code.n ? code.p[0] : digits.n ? digits.p[0] : '0';
    return n >= E164_MIN && n <= E164_MAX && first != '0';
}

enum err_code step_phone(struct step_env *env, const struct step *step, struct value *v,
                         struct err *err)
{
    struct dialled d;
    struct slice code = {0}, digits;
    bool readable = read_dialled(text_trim(value_slice(*v)), &d);
    digits = slice_of(d.digits, d.n);
    if (!d.plus && d.n > 2 && memcmp(d.digits, "00", 2) == 0)
        digits = slice_of(d.digits + 2, d.n - 2);
    else if (!d.plus && step->text.n && within_country(&digits, step->text))
        code = step->text;
    if (!readable || !is_e164(code, digits)) {
        *v = (struct value){.kind = VALUE_NULL};
        return ERR_OK;
    }
    char *out;
    enum err_code rc = scratch_room(&env->scratch, 1 + code.n + digits.n, &out, err);
    if (rc)
        return rc;
    char *o = out;
    *o++ = '+';
    if (code.n)
        o = mempcpy(o, code.p, code.n);
    o = mempcpy(o, digits.p, digits.n);
    return step_keep(env, v, out, (size_t)(o - out));
}
