#include "worker/judge/zone.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/judge/instant.h"

enum { DAY_S = 86400, HEAD_BYTES = 44, COUNTS = 6, TYPE_BYTES = 6, RULE_BYTES = 64 };

/* ---- rules ---- */

static bool skip_name(const char **p)
{
    const char *from = *p;
    if (**p == '<') {
        *p += strcspn(*p, ">");
        if (!**p)
            return false;
        ++*p;
        return true;
    }
    while ((**p >= 'A' && **p <= 'Z') || (**p >= 'a' && **p <= 'z'))
        ++*p;
    return *p - from >= 3;
}

static bool read_int(const char **p, int max, int *ret)
{
    char *end;
    if (**p < '0' || **p > '9')
        return false;
    long v = strtol(*p, &end, 10);
    *p = end;
    *ret = (int)v;
    return v <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool read_clock(const char **p, int64_t *ret_s)
{
    int h, m = 0, s = 0;
    bool negative = **p == '-';
    if (**p == '-' || **p == '+')
        ++*p;
    if (!read_int(p, 167, &h))
        return false;
    if (**p == ':' && (++*p, !read_int(p, 59, &m)))
        return false;
    if (**p == ':' && (++*p, !read_int(p, 59, &s)))
        return false;
    *ret_s = (h * 3600 + m * 60 + s) * (negative ? -1 : 1);
    return true;
}

/* ,Mm.w.d[/time] */
static bool read_day(const char **p, struct zone_day *ret)
{
    ret->at_s = 2 * 3600;
    if (strncmp(*p, ",M", 2) != 0)
        return false;
    *p += 2;
    if (!read_int(p, 12, &ret->month) || *(*p)++ != '.' || !read_int(p, 5, &ret->week) ||
        *(*p)++ != '.' || !read_int(p, 6, &ret->weekday) || !ret->month || !ret->week)
        return false;
    if (**p != '/')
        return true;
    ++*p;
    return read_clock(p, &ret->at_s);
}

bool zone_parse_rule(const char *rule, struct zone *ret)
{
    const char *p = rule;
    int64_t west;
    if (!skip_name(&p) || !read_clock(&p, &west))
        return false;
    ret->standard_s = (int32_t)-west;
    ret->has_summer = *p != '\0';
    if (!*p)
        return true;
    ret->summer_s = ret->standard_s + 3600;
    if (!skip_name(&p))
        return false;
    if (*p != ',') {
        if (!read_clock(&p, &west))
            return false;
        ret->summer_s = (int32_t)-west;
    }
    return read_day(&p, &ret->begins) && read_day(&p, &ret->ends) && !*p;
}

/* ---- files ---- */

static int64_t be(const unsigned char *p, size_t bytes)
{
    uint64_t v = bytes == 8 || !(p[0] & 0x80) ? 0 : UINT64_MAX;
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

/* isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt */
static bool read_head(struct slice file, size_t at, size_t counts[COUNTS])
{
    if (file.n < at + HEAD_BYTES || memcmp(file.p + at, "TZif", 4) != 0)
        return false;
    for (size_t i = 0; i < COUNTS; i++) {
        int64_t n = be((const unsigned char *)file.p + at + 20 + i * 4, 4);
        if (n < 0 || n > ZONE_FILE_MAX)
            return false;
        counts[i] = (size_t)n;
    }
    return true;
}

static size_t block_bytes(const size_t c[COUNTS], size_t time_bytes)
{
    return c[3] * time_bytes + c[3] + c[4] * TYPE_BYTES + c[5] + c[2] * (time_bytes + 4) + c[1] +
           c[0];
}

static bool read_changes(const unsigned char *block, const size_t c[COUNTS], struct zone *ret)
{
    const unsigned char *types = block + c[3] * 8, *infos = types + c[3];
    if (c[3] > ZONE_CHANGES_MAX)
        return false;
    for (size_t i = 0; i < c[3]; i++) {
        if (types[i] >= c[4])
            return false;
        ret->at_s[i] = be(block + i * 8, 8);
        ret->offset_s[i] = (int32_t)be(infos + types[i] * TYPE_BYTES, 4);
    }
    ret->count = (uint32_t)c[3];
    return true;
}

bool zone_parse(struct slice file, struct zone *ret)
{
    size_t c[COUNTS];
    *ret = (struct zone){0};
    if (!read_head(file, 0, c) || file.p[4] < '2')
        return false;
    size_t second = HEAD_BYTES + block_bytes(c, 4); /* the first block has times of 32 bits */
    if (!read_head(file, second, c))
        return false;
    size_t rule_at = second + HEAD_BYTES + block_bytes(c, 8);
    if (file.n <= rule_at + 1 || file.p[rule_at] != '\n' ||
        !read_changes((const unsigned char *)file.p + second + HEAD_BYTES, c, ret))
        return false;
    const char *rule = file.p + rule_at + 1;
    const char *end = memchr(rule, '\n', file.n - rule_at - 1);
    char text[RULE_BYTES];
    if (!end || (size_t)(end - rule) >= sizeof text)
        return false;
    memcpy(text, rule, (size_t)(end - rule));
    text[end - rule] = '\0';
    return zone_parse_rule(text, ret);
}

void zone_central(struct zone *ret)
{
    char *file = malloc(ZONE_FILE_MAX);
    int fd = open("/usr/share/zoneinfo/America/Chicago", O_RDONLY | O_CLOEXEC);
    ssize_t n = file && fd >= 0 ? read(fd, file, ZONE_FILE_MAX) : -1;
    if (n <= 0 || !zone_parse(slice_of(file, (size_t)n), ret)) {
        *ret = (struct zone){0};
        if (!zone_parse_rule("CST6CDT,M3.2.0,M11.1.0", ret))
            ret->standard_s = -6 * 3600;
    }
    if (fd >= 0)
        close(fd);
    free(file);
}

/* ---- moments ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int year_of(int64_t days)
{
    int year = (int)floor_div(days * 400, 146097) + 1970;
    while (instant_days(year, 1, 1) > days)
        year--;
    while (instant_days(year + 1, 1, 1) <= days)
        year++;
    return year;
}

/* In seconds since 1970 by the clock there. */
static int64_t change_s(int year, const struct zone_day *day)
{
    int64_t first = instant_days(year, day->month, 1);
    int64_t next =
        day->month == 12 ? instant_days(year + 1, 1, 1) : instant_days(year, day->month + 1, 1);
    int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    int64_t days = first + (day->weekday - weekday + 7) % 7 + (day->week - 1) * 7;
    while (days >= next)
        days -= 7;
    return days * DAY_S + day->at_s;
}

static int32_t rule_offset_s(const struct zone *z, int64_t utc_s)
{
    if (!z->has_summer)
        return z->standard_s;
    int year = year_of(floor_div(utc_s + z->standard_s, DAY_S));
    int64_t begins = change_s(year, &z->begins) - z->standard_s;
    int64_t ends = change_s(year, &z->ends) - z->summer_s;
    bool summer = begins < ends ? utc_s >= begins && utc_s < ends : utc_s >= begins || utc_s < ends;
    return summer ? z->summer_s : z->standard_s;
}

int32_t zone_offset_s(const struct zone *z, int64_t utc_s)
{
    if (!z->count || utc_s >= z->at_s[z->count - 1])
        return rule_offset_s(z, utc_s);
    uint32_t low = 0, high = z->count; /* the first change after utc_s */
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (z->at_s[mid] > utc_s)
            high = mid;
        else
            low = mid + 1;
    }
    return low ? z->offset_s[low - 1] : z->offset_s[0];
}

int64_t zone_next_midnight_s(const struct zone *z, int64_t utc_s)
{
    int64_t midnight = (floor_div(utc_s + zone_offset_s(z, utc_s), DAY_S) + 1) * DAY_S;
    int64_t at = midnight - zone_offset_s(z, utc_s);
    return midnight - zone_offset_s(z, at); /* the offset that holds then */
}
