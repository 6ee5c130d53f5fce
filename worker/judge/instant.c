#include "worker/judge/instant.h"

enum { DAY_S = 86400, NANOS = 1000000000, NUMBER_DIGITS_MAX = 19 };

/* Seconds above this are taken for a finer unit. */
static const uint64_t seconds_max = 100000000000;

/* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil. */
int64_t instant_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct cursor {
    const char *p;
    const char *end;
};

static bool take(struct cursor *c, const char *any)
{
    if (c->p == c->end || !*c->p || !strchr(any, *c->p))
        return false;
    c->p++;
    return true;
}

/* Exactly so many digits. */
static bool take_number(struct cursor *c, int digits, int max, int *ret)
{
    int v = 0;
    if (c->end - c->p < digits)
        return false;
    for (int i = 0; i < digits; i++, c->p++) {
        if (*c->p < '0' || *c->p > '9')
            return false;
        v = v * 10 + (*c->p - '0');
    }
    *ret = v;
    return v <= max;
}

/* Behind a point: any digits, of which nine count. */
static bool take_fraction(struct cursor *c, uint32_t *ret_nanos)
{
    uint32_t nanos = 0, unit = NANOS / 10;
    const char *from = c->p;
    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++, unit /= 10)
        nanos += unit * (uint32_t)(*c->p - '0');
    *ret_nanos = nanos;
    return c->p > from;
}

static bool take_offset(struct cursor *c, int64_t *ret_seconds)
{
    *ret_seconds = 0;
    if (c->p == c->end || take(c, "Zz"))
        return c->p == c->end;
    bool west = *c->p == '-';
    int hours, minutes = 0;
    if (!take(c, "+-") || !take_number(c, 2, 23, &hours))
        return false;
    take(c, ":");
    if (c->p < c->end && !take_number(c, 2, 59, &minutes))
        return false;
    *ret_seconds = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
    return c->p == c->end;
}

static bool parse_date_time(struct cursor *c, struct instant *ret)
{
    int year, month, day, hour, minute, second = 0;
    if (!take_number(c, 4, 9999, &year) || !take(c, "-") || !take_number(c, 2, 12, &month) ||
        !take(c, "-") || !take_number(c, 2, 31, &day) || !month || !day)
        return false;
    *ret = (struct instant){instant_days(year, month, day) * DAY_S, 0};
    if (c->p == c->end)
        return true;
    int64_t offset;
    if (!take(c, "Tt ") || !take_number(c, 2, 24, &hour) || !take(c, ":") ||
        !take_number(c, 2, 59, &minute))
        return false;
    if (take(c, ":") && !take_number(c, 2, 60, &second))
        return false;
    if (take(c, ".,") && !take_fraction(c, &ret->nanos))
        return false;
    if (!take_offset(c, &offset))
        return false;
    ret->seconds += (hour * 60 + minute) * 60 + second - offset;
    return true;
}

static bool parse_number(struct cursor *c, struct instant *ret)
{
    bool before = take(c, "-");
    uint64_t whole = 0, per_second = 1;
    uint32_t nanos = 0;
    const char *from = c->p;
    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
        if (c->p - from == NUMBER_DIGITS_MAX)
            return false;
        whole = whole * 10 + (uint64_t)(*c->p - '0');
    }
    if (c->p == from || (take(c, ".") && !take_fraction(c, &nanos)) || c->p != c->end)
        return false;
    while (whole / per_second > seconds_max && per_second < NANOS)
        per_second *= 1000;
    if (per_second > 1)
        nanos = (uint32_t)(whole % per_second * (NANOS / per_second));
    *ret = (struct instant){(int64_t)(whole / per_second), nanos};
    if (before) /* nanos count forward */
        *ret = nanos ? (struct instant){-ret->seconds - 1, NANOS - nanos}
                     : (struct instant){-ret->seconds, 0};
    return true;
}

bool instant_parse(struct slice text, struct instant *ret)
{
    if (!text.n)
        return false;
    struct cursor c = {text.p, text.p + text.n};
    if (text.n > 4 && text.p[4] == '-')
        return parse_date_time(&c, ret);
    return parse_number(&c, ret);
}

int instant_compare(struct instant a, struct instant b)
{
    if (a.seconds != b.seconds)
        return a.seconds < b.seconds ? -1 : 1;
    return (a.nanos > b.nanos) - (a.nanos < b.nanos);
}
