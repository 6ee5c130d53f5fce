#include "scheduler/batch/value_order.h"

#include <stdlib.h>

enum {
    DATE_TIME_BYTES = 19, /* 2026-01-31T23:59:59 */
    TIME_AT = 10,
    EXPONENT_MAX = 1000000000, /* beyond, digits no longer matter */
};

static int rank(const struct value *v)
{
    switch (v->kind) {
    case VALUE_NULL:
    case VALUE_ABSENT:
    case VALUE_BAD:
        return 0;
    case VALUE_FALSE:
        return 1;
    case VALUE_TRUE:
        return 2;
    case VALUE_NUMBER:
        return 3;
    case VALUE_TEXT:
        return 4;
    case VALUE_JSON:
        return 5;
    }
    return 0;
}

static int sign_of(int64_t n)
{
    return n < 0 ? -1 : n > 0;
}

/* ---- numbers ---- */

/* A JSON number (RFC 8259 section 6) as sign, digits without leading zeros, and where the point
 * stands: 0.digits × 10^point. */
struct decimal {
    bool negative;
    struct slice digits; /* a point may be among them; n 0: zero */
    int64_t point;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t exponent_of(struct slice s)
{
    int64_t n = 0;
    bool negative = s.n && *s.p == '-';
    for (size_t i = 0; i < s.n; i++)
        if (is_digit(s.p[i]) && n < EXPONENT_MAX)
            n = n * 10 + (s.p[i] - '0');
    return negative ? -n : n;
}

static struct decimal decimal_of(struct slice s)
{
    struct decimal d = {.negative = s.n && *s.p == '-'};
    size_t at = d.negative, end = at, whole = 0;
    bool fraction = false;
    while (end < s.n && s.p[end] != 'e' && s.p[end] != 'E') {
        fraction = fraction || s.p[end] == '.';
        whole += !fraction;
        end++;
    }
    d.point = (int64_t)whole;
    if (end < s.n)
        d.point += exponent_of(slice_of(s.p + end + 1, s.n - end - 1));
    for (; at < end && (s.p[at] == '0' || s.p[at] == '.'); at++)
        d.point -= s.p[at] == '0';
    d.digits = slice_of(s.p + at, end - at);
    return d;
}

static char next_digit(const struct decimal *d, size_t *at)
{
    if (*at < d->digits.n && d->digits.p[*at] == '.')
        ++*at;
    return *at < d->digits.n ? d->digits.p[(*at)++] : '0';
}

static int compare_digits(const struct decimal *a, const struct decimal *b)
{
    for (size_t i = 0, k = 0; i < a->digits.n || k < b->digits.n;) {
        int difference = next_digit(a, &i) - next_digit(b, &k);
        if (difference)
            return sign_of(difference);
    }
    return 0;
}

static int compare_numbers(const struct value *x, const struct value *y)
{
    struct decimal a = decimal_of(value_slice(*x)), b = decimal_of(value_slice(*y));
    int sign_a = !a.digits.n ? 0 : a.negative ? -1 : 1;
    int sign_b = !b.digits.n ? 0 : b.negative ? -1 : 1;
    if (sign_a != sign_b || !sign_a)
        return sign_of(sign_a - sign_b);
    int larger = a.point == b.point ? compare_digits(&a, &b) : sign_of(a.point - b.point);
    return sign_a * larger;
}

/* ---- text ---- */

/* 12:00:00Z is before 12:00:00.5Z, and that before 12:00:00.51Z: the zone counts as nothing. */
static int unit_at(const struct value *v, size_t at, bool time)
{
    if (at >= v->n || (time && v->p[at] == 'Z'))
        return -1;
    return (unsigned char)v->p[at];
}

static int compare_texts(const struct value *a, const struct value *b)
{
    size_t least = a->n < b->n ? a->n : b->n, at = 0;
    while (at < least && a->p[at] == b->p[at])
        at++;
    bool time = at >= DATE_TIME_BYTES && a->p[TIME_AT] == 'T';
    return sign_of(unit_at(a, at, time) - unit_at(b, at, time));
}

int value_compare(const struct value *a, const struct value *b)
{
    int first = rank(a), second = rank(b);
    if (first != second)
        return sign_of(first - second);
    if (a->kind == VALUE_NUMBER)
        return compare_numbers(a, b);
    return a->kind == VALUE_TEXT || a->kind == VALUE_JSON ? compare_texts(a, b) : 0;
}
