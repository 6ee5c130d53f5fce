#include "scheduler/schedule/times.h"

#include "scheduler/schedule/civil.h"

enum {
    MINUTE_S = 60,
    HOUR_S = 3600,
    /* The longest pause between days of a line that comes at all: 29 February on a given weekday
       takes 40 years (over 2100). */
    PAUSE_YEARS_MAX = 50,
    /* Offsets differ by 51 hours at most: what ended longer ago is behind every clock. */
    LOOK_BACK_S = 3 * CIVIL_DAY_S,
    LOOK_BACK_FIRST_MS = 60000,
};

/* ---- local time ---- */

static bool day_fits(const struct cron *c, int64_t days, unsigned day)
{
    bool by_day = c->days & 1u << day;
    bool by_weekday = c->weekdays & 1u << civil_weekday(days);
    return c->any_day || c->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

/* The first day from that one on that fits, INT64_MAX where none comes. */
static int64_t next_day(const struct cron *c, int64_t days)
{
    struct civil_date d = civil_date_of(days);
    int64_t last_year = d.year + PAUSE_YEARS_MAX;
    while (d.year <= last_year) {
        unsigned length = civil_month_days(d.year, d.month);
        if (!(c->months & 1u << d.month)) {
            days += length - d.day + 1;
            d.day = length + 1;
        }
        for (; d.day <= length; d.day++, days++)
            if (day_fits(c, days, d.day))
                return days;
        d.day = 1;
        d.year += d.month == 12;
        d.month = d.month % 12 + 1;
    }
    return INT64_MAX;
}

/* The first bit of set from n on; 64 where there is none. */
static unsigned next_bit(uint64_t set, unsigned n)
{
    set = n < 64 ? set >> n << n : 0;
    return set ? (unsigned)__builtin_ctzll(set) : 64;
}

/* The first second of the day from second on that fits; CIVIL_DAY_S where there is none. */
static int64_t next_second(const struct cron *c, int64_t second)
{
    int64_t minute_of_day = (second + MINUTE_S - 1) / MINUTE_S;
    unsigned hour = (unsigned)(minute_of_day / 60);
    unsigned minute = next_bit(c->minutes, (unsigned)(minute_of_day % 60));
    unsigned fitting = next_bit(c->hours, hour);
    if (fitting == hour && minute < 60)
        return hour * HOUR_S + minute * MINUTE_S;
    if (fitting == hour)
        fitting = next_bit(c->hours, hour + 1);
    return fitting < 24 ? fitting * HOUR_S + next_bit(c->minutes, 0) * MINUTE_S : CIVIL_DAY_S;
}

/* The first local time at or after local_s that the line names. */
static int64_t next_local(const struct cron *c, int64_t local_s)
{
    int64_t today = civil_floor_div(local_s, CIVIL_DAY_S);
    int64_t days = next_day(c, today);
    if (days == today) {
        int64_t second = next_second(c, local_s - today * CIVIL_DAY_S);
        if (second < CIVIL_DAY_S)
            return today * CIVIL_DAY_S + second;
        days = next_day(c, today + 1);
    }
    return days == INT64_MAX ? INT64_MAX : days * CIVIL_DAY_S + next_second(c, 0);
}

/* ---- the zone's clock ---- */

/* Local times before it were reached before the span began, or passed over. */
static int64_t reached_before(const struct zone *zone, struct zone_span span)
{
    int64_t reached = INT64_MIN, newest_s = span.start_s;
    while (span.start_s > -ZONE_TIME_MAX && span.start_s > newest_s - LOOK_BACK_S) {
        int64_t end_s = span.start_s;
        span = zone_span_at(zone, end_s - 1);
        if (end_s + span.offset_s > reached)
            reached = end_s + span.offset_s;
    }
    return reached;
}

int64_t times_cron_next(const struct cron *cron, const struct zone *zone, int64_t after_s)
{
    if (after_s > ZONE_TIME_MAX)
        return INT64_MAX;
    if (after_s < -ZONE_TIME_MAX)
        after_s = -ZONE_TIME_MAX;
    struct zone_span span = zone_span_at(zone, after_s);
    int64_t reached = reached_before(zone, span);
    int64_t from = after_s + span.offset_s + 1;
    int64_t local = next_local(cron, from > reached ? from : reached);
    /* The first span whose clock reaches it; where the span begins behind it, it begins late. */
    while (local != INT64_MAX && span.end_s < ZONE_TIME_MAX && local >= span.end_s + span.offset_s)
        span = zone_span_at(zone, span.end_s);
    if (local == INT64_MAX)
        return INT64_MAX;
    int64_t time_s = local - span.offset_s;
    return time_s > span.start_s ? time_s : span.start_s;
}

/* ---- a schedule ---- */

static int64_t cron_next(const struct times *t, int64_t after_ms)
{
    int64_t next_s =
        times_cron_next(&t->schedule->cron, t->zone, civil_floor_div(after_ms - t->late_ms, 1000));
    return next_s >= ZONE_TIME_MAX / 1000 ? INT64_MAX : next_s * 1000 + t->late_ms;
}

/* The latest multiple at or before that moment. */
static int64_t every_until(const struct times *t, int64_t until_ms)
{
    int64_t every = (int64_t)t->schedule->every_ms;
    return civil_floor_div(until_ms - t->late_ms, every) * every + t->late_ms;
}

int64_t times_next(const struct times *t, int64_t after_ms)
{
    if (t->schedule->kind == SCHEDULE_EVERY)
        return every_until(t, after_ms) + (int64_t)t->schedule->every_ms;
    return cron_next(t, after_ms);
}

/* Looks back farther and farther, so that a year of missed minutes is not counted one by one. */
static int64_t cron_latest(const struct times *t, int64_t after_ms, int64_t until_ms)
{
    for (int64_t back_ms = LOOK_BACK_FIRST_MS;; back_ms *= 4) {
        bool whole = until_ms - after_ms <= back_ms;
        int64_t latest = INT64_MIN, time = whole ? after_ms : until_ms - back_ms;
        while ((time = cron_next(t, time)) <= until_ms)
            latest = time;
        if (latest != INT64_MIN || whole)
            return latest;
    }
}

int64_t times_latest(const struct times *t, int64_t after_ms, int64_t until_ms)
{
    if (t->schedule->kind == SCHEDULE_CRON)
        return cron_latest(t, after_ms, until_ms);
    int64_t latest = every_until(t, until_ms);
    return latest > after_ms ? latest : INT64_MIN;
}
