/* Cron schedules: minute hour day-of-month month weekday, with lists, ranges, steps and names. */
#include "protocol/config/parts.h"

#include <ctype.h>
#include <strings.h>

struct cron_field {
    const char *problem;
    unsigned min;
    unsigned max;
    const char *const *names; /* of min, min + 1 …; NULL: none */
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                     "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

enum { CRON_MINUTE, CRON_HOUR, CRON_DAY, CRON_MONTH, CRON_WEEKDAY, CRON_FIELDS };
static const struct cron_field cron_fields[CRON_FIELDS] = {
    [CRON_MINUTE] = {"the minute must be from 0 to 59", 0, 59, NULL},
    [CRON_HOUR] = {"the hour must be from 0 to 23", 0, 23, NULL},
    [CRON_DAY] = {"the day of the month must be from 1 to 31", 1, 31, NULL},
    [CRON_MONTH] = {"the month must be from 1 to 12 or jan to dec", 1, 12, months},
    [CRON_WEEKDAY] = {"the weekday must be from 0 to 7 or sun to sat", 0, 7, weekdays},
};

static bool take_number(const char **p, unsigned *ret)
{
    unsigned n = 0;
    const char *start = *p;
    for (; isdigit((unsigned char)**p) && n < 1000; (*p)++)
        n = n * 10 + (unsigned)(**p - '0');
    *ret = n;
    return *p > start;
}

static bool take_value(const char **p, const struct cron_field *f, unsigned *ret)
{
    for (unsigned i = 0; f->names && f->names[i]; i++) {
        if (strncasecmp(*p, f->names[i], 3) == 0) {
            *p += 3;
            *ret = f->min + i;
            return true;
        }
    }
    return take_number(p, ret) && *ret >= f->min && *ret <= f->max;
}

/* One item of a list: *, 5, 1-5, each with /2 after it; adds its values to set. */
static bool take_item(const char **p, const struct cron_field *f, uint64_t *set)
{
    unsigned from = f->min, to = f->max, step = 1;
    bool range = true;
    if (**p == '*') {
        (*p)++;
    } else {
        if (!take_value(p, f, &from))
            return false;
        to = from;
        range = **p == '-';
        if (range && ((*p)++, !take_value(p, f, &to)))
            return false;
    }
    if (**p == '/') {
        (*p)++;
        if (!take_number(p, &step) || step == 0)
            return false;
        if (!range)
            to = f->max; /* 5/15: from 5 on */
    }
    for (unsigned v = from; v <= to; v += step)
        *set |= 1ull << v;
    return from <= to;
}

static bool take_field(const char **p, const struct cron_field *f, uint64_t *set)
{
    do {
        if (!take_item(p, f, set))
            return false;
    } while (**p == ',' && (*p)++);
    return **p == '\0' || isspace((unsigned char)**p);
}

/* 31 February and its like, where no weekday helps. */
static bool never_comes(const uint64_t *sets, bool any_weekday)
{
    static const unsigned days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (unsigned month = 1; month <= 12; month++)
        if ((sets[CRON_MONTH] & 1ull << month) && (sets[CRON_DAY] & ((2ull << days[month]) - 1)))
            return false;
    return any_weekday;
}

static bool is_word(const char *text)
{
    static const char *const words[] = {"@hourly",  "@daily",  "@midnight", "@weekly",
                                        "@monthly", "@yearly", "@annually"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(words[i], text) == 0)
            return true;
    return false;
}

const char *cron_problem(const char *text)
{
    uint64_t sets[CRON_FIELDS] = {0};
    const char *p = text;
    bool any_weekday = false;
    if (*text == '@')
        return is_word(text) ? NULL
                             : "the words are @hourly, @daily, @weekly, @monthly and @yearly";
    for (int i = 0; i < CRON_FIELDS; i++) {
        p += strspn(p, " \t");
        if (!*p)
            return "it has fewer than five fields";
        if (i == CRON_WEEKDAY)
            any_weekday = *p == '*';
        if (!take_field(&p, &cron_fields[i], &sets[i]))
            return cron_fields[i].problem;
    }
    if (p[strspn(p, " \t\n")])
        return "it has more than five fields";
    return never_comes(sets, any_weekday) ? "no month has that day" : NULL;
}
