/* Days of the proleptic Gregorian calendar, counted from 1970-01-01, and back. Pure. */
#ifndef SLUICE_SCHEDULE_CIVIL_H
#define SLUICE_SCHEDULE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

enum { CIVIL_DAY_S = 86400 };

struct civil_date {
    int64_t year;
    unsigned month; /* from 1 */
    unsigned day;   /* from 1 */
};

static inline bool civil_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static inline unsigned civil_month_days(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && civil_is_leap(year) ? 29 : days[month - 1];
}

static inline int64_t civil_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/** Years are counted from March, so that the odd day is a year's last. */
static inline int64_t civil_days(struct civil_date d)
{
    int64_t year = d.year - (d.month <= 2);
    int64_t era = civil_floor_div(year, 400), of_era = year - era * 400;
    int64_t of_year = (153 * (int64_t)((d.month + 9) % 12) + 2) / 5 + d.day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static inline struct civil_date civil_date_of(int64_t days)
{
    int64_t from_march = days + 719468, era = civil_floor_div(from_march, 146097);
    int64_t of_era = from_march - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned march_month = (unsigned)((5 * of_year + 2) / 153);
    unsigned month = march_month < 10 ? march_month + 3 : march_month - 9;
    return (struct civil_date){
        .year = year + era * 400 + (month <= 2),
        .month = month,
        .day = (unsigned)(of_year - (153 * (int64_t)march_month + 2) / 5 + 1),
    };
}

/** Sunday is 0. */
static inline unsigned civil_weekday(int64_t days)
{
    int64_t of_week = (days + 4) % 7;
    return (unsigned)(of_week < 0 ? of_week + 7 : of_week);
}

#endif
