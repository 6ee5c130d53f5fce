/*
 * Without floating point. A number below 10^11 in amount counts seconds since 1970, above it
 * milliseconds (10^11 ms was in 1973, 10^11 s is beyond the year 5000).
 */
#include "scheduler/map/moment.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    NANO_DIGITS = 9,
    NANOS = 1000000000,
    DAY_SECONDS = 86400,
    NUMBER_DIGITS_MAX = 40,
    EXPONENT_ENOUGH = 1 << 30, /* beyond it, the digits no longer matter */
};

static const int64_t MILLIS_FROM = 100000000000;
static const int64_t SECONDS_MIN = -62135596800; /* 0001-01-01T00:00:00Z */
static const int64_t SECONDS_MAX = 253402300799; /* 9999-12-31T23:59:59Z */

struct instant {
    int64_t seconds; /* since 1970, rounded down */
    uint32_t nanos;
    int digits; /* of the fraction, as it was written */
};

struct civil {
    int64_t year;
    int month, day;
};

/* Days since 1970 in the proleptic Gregorian calendar. */
static int64_t days_of(struct civil c)
{
    int64_t year = c.month <= 2 ? c.year - 1 : c.year;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (c.month + (c.month > 2 ? -3 : 9)) + 2) / 5 + c.day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct civil civil_of(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    struct civil c = {.day = (int)(of_year - (153 * month + 2) / 5 + 1)};
    c.month = (int)(month < 10 ? month + 3 : month - 9);
    c.year = year + era * 400 + (c.month <= 2);
    return c;
}

static int days_in(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool take_number(struct slice *s, size_t digits, int *ret)
{
    if (s->n < digits)
        return false;
    int v = 0;
    for (size_t i = 0; i < digits; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        v = v * 10 + (s->p[i] - '0');
    }
    *s = slice_of(s->p + digits, s->n - digits);
    *ret = v;
    return true;
}

static bool take_char(struct slice *s, const char *any_of)
{
    if (!s->n || !s->p[0] || !strchr(any_of, s->p[0]))
        return false;
    *s = slice_of(s->p + 1, s->n - 1);
    return true;
}

static bool take_date(struct slice *s, struct civil *ret)
{
    int year;
    bool ok = take_number(s, 4, &year) && take_char(s, "-") && take_number(s, 2, &ret->month) &&
              take_char(s, "-") && take_number(s, 2, &ret->day);
    ret->year = year;
    return ok && year >= 1 && ret->month >= 1 && ret->month <= 12 && ret->day >= 1 &&
           ret->day <= days_in(year, ret->month);
}

static bool take_fraction(struct slice *s, struct instant *t)
{
    int digit, places = 0;
    for (; take_number(s, 1, &digit); places++)
        if (places < NANO_DIGITS)
            t->nanos = t->nanos * 10 + (uint32_t)digit;
    t->digits = places < NANO_DIGITS ? places : NANO_DIGITS;
    for (int i = t->digits; i < NANO_DIGITS; i++)
        t->nanos *= 10;
    return places > 0;
}

static bool take_clock(struct slice *s, struct instant *t)
{
    int hour, minute, second = 0;
    if (!take_number(s, 2, &hour) || !take_char(s, ":") || !take_number(s, 2, &minute))
        return false;
    if (take_char(s, ":") && !take_number(s, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    t->seconds += hour * 3600 + minute * 60 + second;
    return !take_char(s, ".,") || take_fraction(s, t);
}

/* Z, +hh, +hhmm, +hh:mm; nothing means UTC. */
static bool take_zone(struct slice *s, struct instant *t)
{
    if (!s->n || take_char(s, "Zz"))
        return true;
    bool west = s->p[0] == '-';
    int hours, minutes = 0;
    if (!take_char(s, "+-") || !take_number(s, 2, &hours))
        return false;
    bool colon = take_char(s, ":");
    if ((colon || s->n) && !take_number(s, 2, &minutes))
        return false;
    if (hours > 23 || minutes > 59)
        return false;
    int offset = hours * 3600 + minutes * 60;
    t->seconds += west ? offset : -offset;
    return true;
}

static bool read_written(struct slice s, struct instant *t)
{
    struct civil date;
    if (!take_date(&s, &date))
        return false;
    t->seconds = days_of(date) * DAY_SECONDS;
    if (!s.n)
        return true;
    return take_char(&s, "Tt ") && take_clock(&s, t) && take_zone(&s, t) && !s.n;
}

/* A decimal: digits without the point, and how many of them stand before it. */
struct decimal {
    char digits[NUMBER_DIGITS_MAX];
    int count;
    int64_t point;
    bool negative;
};

static void take_digits(struct slice *s, struct decimal *d, int64_t before_point)
{
    int digit;
    while (take_number(s, 1, &digit)) {
        d->point += before_point;
        if (d->count == 0 && digit == 0)
            d->point -= 1; /* a leading zero is no digit */
        else if (d->count < NUMBER_DIGITS_MAX)
            d->digits[d->count++] = (char)digit;
    }
}

static bool read_decimal(struct slice s, struct decimal *d)
{
    int64_t exponent = 0;
    int digit;
    d->negative = take_char(&s, "-");
    size_t before = s.n;
    take_digits(&s, d, 1);
    if (s.n == before)
        return false;
    if (take_char(&s, "."))
        take_digits(&s, d, 0);
    if (take_char(&s, "eE")) {
        bool minus = s.n && s.p[0] == '-';
        (void)take_char(&s, "+-");
        while (take_number(&s, 1, &digit))
            if (exponent < EXPONENT_ENOUGH)
                exponent = exponent * 10 + digit;
        d->point += minus ? -exponent : exponent;
    }
    return !s.n;
}

static int digit_at(const struct decimal *d, int64_t i)
{
    return i >= 0 && i < d->count ? d->digits[i] : 0;
}

static bool read_number(struct slice s, struct instant *t)
{
    enum { WHOLE_DIGITS_MAX = 17 };
    struct decimal d = {0};
    if (!read_decimal(s, &d) || d.point > WHOLE_DIGITS_MAX)
        return false;
    int64_t whole = 0;
    for (int64_t i = 0; i < d.point; i++)
        whole = whole * 10 + digit_at(&d, i);
    if (whole >= MILLIS_FROM)
        d.point -= 3;
    whole = 0;
    for (int64_t i = 0; i < d.point; i++)
        whole = whole * 10 + digit_at(&d, i);
    for (int i = 0; i < NANO_DIGITS; i++) {
        int digit = digit_at(&d, d.point + i);
        t->nanos = t->nanos * 10 + (uint32_t)digit;
        if (digit)
            t->digits = i + 1;
    }
    t->seconds = d.negative ? -whole : whole;
    if (d.negative && t->nanos) {
        t->seconds--;
        t->nanos = NANOS - t->nanos;
    }
    return true;
}

static char *put_padded(char *o, uint64_t v, int width)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        o[i] = (char)('0' + v % 10);
    return o + width;
}

static char *put_integer(char *o, int64_t v)
{
    uint64_t amount = v < 0 ? -(uint64_t)v : (uint64_t)v;
    int width = 1;
    for (uint64_t rest = amount / 10; rest; rest /= 10)
        width++;
    if (v < 0)
        *o++ = '-';
    return put_padded(o, amount, width);
}

static char *put_date(char *o, int64_t days)
{
    struct civil c = civil_of(days);
    o = put_padded(o, (uint64_t)c.year, 4);
    *o++ = '-';
    o = put_padded(o, (uint64_t)c.month, 2);
    *o++ = '-';
    return put_padded(o, (uint64_t)c.day, 2);
}

static char *put_rfc3339(char *o, const struct instant *t)
{
    int64_t days = (t->seconds - SECONDS_MIN) / DAY_SECONDS + SECONDS_MIN / DAY_SECONDS;
    uint64_t clock = (uint64_t)(t->seconds - days * DAY_SECONDS);
    o = put_date(o, days);
    *o++ = 'T';
    o = put_padded(o, clock / 3600, 2);
    *o++ = ':';
    o = put_padded(o, clock / 60 % 60, 2);
    *o++ = ':';
    o = put_padded(o, clock % 60, 2);
    if (t->digits) {
        *o++ = '.';
        put_padded(o, t->nanos, NANO_DIGITS);
        o += t->digits;
    }
    *o++ = 'Z';
    return o;
}

static char *put_instant(char *o, const struct instant *t, enum date_format format)
{
    switch (format) {
    case DATE_RFC3339:
        return put_rfc3339(o, t);
    case DATE_DATE:
        return put_date(o, (t->seconds - SECONDS_MIN) / DAY_SECONDS + SECONDS_MIN / DAY_SECONDS);
    case DATE_UNIX:
        return put_integer(o, t->seconds);
    case DATE_UNIX_MS:
        return put_integer(o, t->seconds * 1000 + t->nanos / (NANOS / 1000));
    }
    return o;
}

enum err_code moment_text(struct slice s, enum date_format format, char *out, size_t *ret_n,
                          struct err *err)
{
    struct instant t = {0};
    if (!read_written(s, &t)) {
        t = (struct instant){0};
        if (!read_number(s, &t))
            return err_set(err, ERR_INVALID,
                           "the value is neither a date, an RFC 3339 time nor Unix time");
    }
    if (t.seconds < SECONDS_MIN || t.seconds > SECONDS_MAX)
        return err_set(err, ERR_INVALID, "the time is outside the years 1 to 9999");
    *ret_n = (size_t)(put_instant(out, &t, format) - out);
    return ERR_OK;
}
