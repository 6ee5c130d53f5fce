#include "scheduler/schedule/zone_rule.h"

#include "scheduler/schedule/civil.h"

#include <ctype.h>

enum {
    HOUR_S = 3600,
    SUMMER_DEFAULT_S = HOUR_S, /* ahead of standard time */
    CHANGE_DEFAULT_S = 2 * HOUR_S,
    OFFSET_HOURS_MAX = 24,
    CHANGE_HOURS_MAX = 167, /* RFC 8536 3.3.1 */
};

/* ---- reading ---- */

static bool take(struct slice *s, char c)
{
    if (s->n == 0 || *s->p != c)
        return false;
    s->p++;
    s->n--;
    return true;
}

static bool take_number(struct slice *s, unsigned max, unsigned *ret)
{
    unsigned n = 0;
    size_t digits = 0;
    while (s->n && isdigit((unsigned char)*s->p) && digits < 4) {
        n = n * 10 + (unsigned)(*s->p - '0');
        s->p++;
        s->n--;
        digits++;
    }
    *ret = n;
    return digits > 0 && n <= max;
}

/* EST, or <+0330>. */
static bool take_name(struct slice *s)
{
    bool quoted = take(s, '<');
    size_t n = 0;
    while (n < s->n &&
           (isalpha((unsigned char)s->p[n]) ||
            (quoted && (isdigit((unsigned char)s->p[n]) || s->p[n] == '+' || s->p[n] == '-'))))
        n++;
    s->p += n;
    s->n -= n;
    return n >= 3 && (!quoted || take(s, '>'));
}

/* [+-]h[h[h]][:mm[:ss]] */
static bool take_time(struct slice *s, unsigned hours_max, int32_t *ret)
{
    unsigned part[3] = {0};
    bool minus = take(s, '-');
    if (!minus)
        take(s, '+');
    if (!take_number(s, hours_max, &part[0]))
        return false;
    for (int i = 1; i < 3 && take(s, ':'); i++)
        if (!take_number(s, 59, &part[i]))
            return false;
    int32_t n = (int32_t)(part[0] * HOUR_S + part[1] * 60 + part[2]);
    *ret = minus ? -n : n;
    return true;
}

static bool take_day(struct slice *s, struct zone_change *ret)
{
    if (take(s, 'M')) {
        ret->kind = ZONE_DAY_MONTH;
        return take_number(s, 12, &ret->month) && ret->month >= 1 && take(s, '.') &&
               take_number(s, 5, &ret->week) && ret->week >= 1 && take(s, '.') &&
               take_number(s, 6, &ret->day);
    }
    ret->kind = take(s, 'J') ? ZONE_DAY_JULIAN : ZONE_DAY_ZERO;
    return take_number(s, 365, &ret->day) && (ret->kind == ZONE_DAY_ZERO || ret->day >= 1);
}

static bool take_change(struct slice *s, struct zone_change *ret)
{
    ret->time_s = CHANGE_DEFAULT_S;
    if (!take(s, ',') || !take_day(s, ret))
        return false;
    return !take(s, '/') || take_time(s, CHANGE_HOURS_MAX, &ret->time_s);
}

bool zone_rule_parse(struct slice text, struct zone_rule *ret)
{
    struct zone_rule rule = {0};
    int32_t west; /* POSIX counts to the west */
    if (!take_name(&text) || !take_time(&text, OFFSET_HOURS_MAX, &west))
        return false;
    rule.offset_s = -west;
    if (text.n) {
        rule.has_summer = true;
        rule.summer_s = rule.offset_s + SUMMER_DEFAULT_S;
        if (!take_name(&text))
            return false;
        if (text.n && *text.p != ',') {
            if (!take_time(&text, OFFSET_HOURS_MAX, &west))
                return false;
            rule.summer_s = -west;
        }
        if (!take_change(&text, &rule.to_summer) || !take_change(&text, &rule.to_standard))
            return false;
    }
    *ret = rule;
    return text.n == 0;
}

/* ---- following ---- */

/* Days since 1970 of the day that the change names in that year. */
static int64_t change_day(const struct zone_change *c, int64_t year)
{
    int64_t january = civil_days((struct civil_date){year, 1, 1});
    if (c->kind == ZONE_DAY_ZERO)
        return january + c->day;
    if (c->kind == ZONE_DAY_JULIAN)
        return january + c->day - 1 + (civil_is_leap(year) && c->day >= 60);
    int64_t first = civil_days((struct civil_date){year, c->month, 1});
    unsigned to_weekday = (c->day + 7 - civil_weekday(first)) % 7;
    unsigned day = to_weekday + (c->week - 1) * 7;
    if (day >= civil_month_days(year, c->month))
        day -= 7;
    return first + day;
}

static int64_t change_time(const struct zone_change *c, int64_t year, int32_t offset_before_s)
{
    return change_day(c, year) * CIVIL_DAY_S + c->time_s - offset_before_s;
}

/* Where summer takes the whole year its end and its next start are one moment: summer wins. */
static void consider(struct zone_span *span, int64_t time_s, int64_t change_s, int32_t offset_s)
{
    if (change_s > time_s) {
        if (change_s < span->end_s)
            span->end_s = change_s;
    } else if (change_s >= span->start_s) {
        span->start_s = change_s;
        span->offset_s = offset_s;
    }
}

struct zone_span zone_rule_span(const struct zone_rule *rule, int64_t time_s)
{
    struct zone_span span = {INT64_MIN, INT64_MAX, rule->offset_s};
    if (!rule->has_summer)
        return span;
    /* A change may lie a week outside its year. */
    int64_t year = civil_date_of(civil_floor_div(time_s, CIVIL_DAY_S)).year;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        consider(&span, time_s, change_time(&rule->to_standard, y, rule->summer_s), rule->offset_s);
    }
    for (int64_t y = year - 1; y <= year + 1; y++)
        consider(&span, time_s, change_time(&rule->to_summer, y, rule->offset_s), rule->summer_s);
    return span;
}
