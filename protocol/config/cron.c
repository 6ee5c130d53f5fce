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
enum { SUNDAY_LAST = 7 }; /* Sunday is 0 and 7 */
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
        if (range && f->names == weekdays && to == 0 && from > 0)
            to = SUNDAY_LAST; /* fri-sun */
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

static const char *line_of(const char *word)
{
    static const char *const words[][2] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
                                           {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
                                           {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
                                           {"@annually", "0 0 1 1 *"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(words[i][0], word) == 0)
            return words[i][1];
    return NULL;
}

static const char *read_fields(const char *p, uint64_t *sets, struct cron *cron)
{
    for (int i = 0; i < CRON_FIELDS; i++) {
        p += strspn(p, " \t\n");
        if (!*p)
            return "it has fewer than five fields";
        if (i == CRON_DAY)
            cron->any_day = *p == '*';
        if (i == CRON_WEEKDAY)
            cron->any_weekday = *p == '*';
        if (!take_field(&p, &cron_fields[i], &sets[i]))
            return cron_fields[i].problem;
    }
    return p[strspn(p, " \t\n")] ? "it has more than five fields" : NULL;
}

const char *cron_read(const char *text, struct cron *ret)
{
    uint64_t sets[CRON_FIELDS] = {0};
    struct cron cron = {0};
    if (*text == '@' && !(text = line_of(text)))
        return "the words are @hourly, @daily, @weekly, @monthly and @yearly";
    const char *problem = read_fields(text, sets, &cron);
    if (problem)
        return problem;
    if (never_comes(sets, cron.any_weekday))
        return "no month has that day";
    if (sets[CRON_WEEKDAY] & 1ull << SUNDAY_LAST)
        sets[CRON_WEEKDAY] |= 1;
    cron.minutes = sets[CRON_MINUTE];
    cron.hours = (uint32_t)sets[CRON_HOUR];
    cron.days = (uint32_t)sets[CRON_DAY];
    cron.months = (uint16_t)sets[CRON_MONTH];
    cron.weekdays = (uint8_t)(sets[CRON_WEEKDAY] & 0x7f);
    *ret = cron;
    return NULL;
}
