/* The times of schedules: by hand where a rule is at stake, by walking minute by minute for all. */
#include "scheduler/schedule/times.h"

#include "protocol/config/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

/* 2026-03-29T01:00:00Z */
static int64_t utc(const char *text)
{
    struct tm tm = {0};
    char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    assert_true(end && !*end);
    return timegm(&tm);
}

static struct cron line(const char *text)
{
    struct cron cron;
    const char *problem = cron_read(text, &cron);
    if (problem)
        fail_msg("%s: %s", text, problem);
    return cron;
}

static struct zone *zone_of(const char *name)
{
    struct zone *zone;
    struct err err;
    if (zone_load(name, &zone, &err))
        fail_msg("%s", err.text);
    return zone;
}

static const struct {
    const char *what, *zone, *line, *after, *times[4];
} clock_cases[] = {
    {"forward, north",
     "Europe/Berlin",
     "30 2 * * *",
     "2026-03-28T00:00:00Z",
     {"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
    {"back, north",
     "Europe/Berlin",
     "30 2 * * *",
     "2026-10-24T00:00:00Z",
     {"2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
    {"four times in the gap are one",
     "Europe/Berlin",
     "*/15 2 * * *",
     "2026-03-28T01:45:00Z",
     {"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T00:15:00Z"}},
    {"the gap's end and a time of its own are one",
     "Europe/Berlin",
     "0 2,3 * * *",
     "2026-03-29T00:00:00Z",
     {"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T01:00:00Z"}},
    {"each minute rests while local time repeats",
     "Europe/Berlin",
     "* * * * *",
     "2026-10-25T00:58:00Z",
     {"2026-10-25T00:59:00Z", "2026-10-25T02:00:00Z", "2026-10-25T02:01:00Z"}},
    {"forward, America",
     "America/New_York",
     "30 2 * * *",
     "2026-03-08T00:00:00Z",
     {"2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"}},
    {"back, America",
     "America/New_York",
     "30 1 * * *",
     "2026-11-01T00:00:00Z",
     {"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"}},
    {"forward, south",
     "Australia/Sydney",
     "30 2 * * *",
     "2026-10-03T00:00:00Z",
     {"2026-10-03T16:00:00Z", "2026-10-04T15:30:00Z"}},
    {"back, south",
     "Australia/Sydney",
     "30 2 * * *",
     "2026-04-03T20:00:00Z",
     {"2026-04-04T15:30:00Z", "2026-04-05T16:30:00Z"}},
    {"forward by half an hour",
     "Australia/Lord_Howe",
     "15 2 * * *",
     "2026-10-03T00:00:00Z",
     {"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
    {"back by half an hour",
     "Australia/Lord_Howe",
     "45 1 * * *",
     "2026-04-04T00:00:00Z",
     {"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
    {"back by half an hour, beside it",
     "Australia/Lord_Howe",
     "15 1 * * *",
     "2026-04-04T00:00:00Z",
     {"2026-04-04T14:15:00Z", "2026-04-05T14:45:00Z"}},
    {"midnight that does not exist",
     "America/Santiago",
     "0 0 * * *",
     "2026-09-05T12:00:00Z",
     {"2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"}},
    {"a day that does not exist",
     "Pacific/Apia",
     "0 12 * * *",
     "2011-12-29T00:00:00Z",
     {"2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"}},
    {"behind the zone's table",
     "Europe/Berlin",
     "30 2 * * *",
     "2099-03-28T12:00:00Z",
     {"2099-03-29T01:00:00Z", "2099-03-30T00:30:00Z"}},
    {"weekdays are local",
     "Asia/Tokyo",
     "0 6 * * 1-5",
     "2026-01-02T00:00:00Z",
     {"2026-01-04T21:00:00Z", "2026-01-05T21:00:00Z"}},
    {"either day field",
     NULL,
     "0 0 13 * fri",
     "2026-11-01T00:00:00Z",
     {"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"}},
    {"both day fields, one begins with *",
     NULL,
     "0 0 */2 * mon",
     "2026-06-01T00:00:00Z",
     {"2026-06-15T00:00:00Z", "2026-06-29T00:00:00Z", "2026-07-13T00:00:00Z"}},
    {"leap years, over 2100",
     NULL,
     "0 0 29 2 *",
     "2096-03-01T00:00:00Z",
     {"2104-02-29T00:00:00Z", "2108-02-29T00:00:00Z"}},
    {"a Sunday 29 February, over 2100",
     NULL,
     "0 0 29 2 */7",
     "2088-03-01T00:00:00Z",
     {"2128-02-29T00:00:00Z"}},
    {"31st",
     NULL,
     "0 0 31 * *",
     "2026-01-31T00:00:00Z",
     {"2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"}},
    {"seconds round up", NULL, "* * * * *", "2026-01-01T00:00:01Z", {"2026-01-01T00:01:00Z"}},
    {"the last minute of a year",
     NULL,
     "59 23 31 12 *",
     "2026-12-31T23:58:59Z",
     {"2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"}},
};

static void clocks_that_change_skip_and_repeat_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(clock_cases); i++) {
        struct zone *zone = zone_of(clock_cases[i].zone);
        struct cron cron = line(clock_cases[i].line);
        int64_t at = utc(clock_cases[i].after);
        for (size_t n = 0; n < ARRAY_LEN(clock_cases[i].times) && clock_cases[i].times[n]; n++) {
            at = times_cron_next(&cron, zone, at);
            if (at != utc(clock_cases[i].times[n]))
                fail_msg("%s: %lld instead of %s", clock_cases[i].what, (long long)at,
                         clock_cases[i].times[n]);
        }
        zone_free(zone);
    }
}

static void check_reference_line(char *text)
{
    char *rest = text;
    const char *name = strsep(&rest, "\t"), *cron_text = strsep(&rest, "\t");
    int64_t from = strtoll(strsep(&rest, "\t"), NULL, 10);
    int64_t until = strtoll(strsep(&rest, "\t"), NULL, 10);
    struct cron cron = line(cron_text);
    struct schedule schedule = {.kind = SCHEDULE_CRON, .cron = cron};
    struct zone *zone = zone_of(name);
    const struct times t = {&schedule, zone, 0};
    int64_t at = from;
    for (const char *word = strsep(&rest, "\t"); word; word = strsep(&rest, "\t")) {
        int64_t want = strtoll(word, NULL, 10), is = times_cron_next(&cron, zone, at);
        if (is != want)
            fail_msg("%s, %s: after %lld comes %lld, not %lld", name, cron_text, (long long)at,
                     (long long)want, (long long)is);
        at = want;
    }
    assert_true(times_cron_next(&cron, zone, at) > until);
    assert_int_equal(times_latest(&t, from * 1000, until * 1000 + 999),
                     at > from ? at * 1000 : INT64_MIN);
    zone_free(zone);
}

static void times_are_those_of_a_walk_minute_by_minute(void **state)
{
    (void)state;
    char command[512], *text = NULL;
    size_t room = 0, count = 0;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    snprintf(command, sizeof command, "/usr/bin/python3 %s times %u", REFERENCE, seed);
    FILE *reference = popen(command, "r");
    assert_non_null(reference);
    for (ssize_t n; (n = getline(&text, &room, reference)) > 0; count++) {
        text[n - 1] = '\0';
        check_reference_line(text);
    }
    free(text);
    assert_int_equal(pclose(reference), 0);
    assert_true(count > 500);
}

static void every_counts_from_1970_in_utc(void **state)
{
    (void)state;
    static const struct {
        uint64_t every_ms;
        int64_t late_ms, after_ms, next_ms;
    } cases[] = {
        {900000, 0, 0, 900000},
        {900000, 0, 899999, 900000},
        {900000, 0, 900000, 1800000},
        {900000, 300000, 900000, 1200000},
        {900000, 300000, 1200000, 2100000},
        {900000, 300000, 0, 300000},
        {3600000, 0, 1774745999999, 1774746000000}, /* over a change of clocks */
        {3600000, 0, 1774746000000, 1774749600000},
        {7000, 0, 1774746000000, 1774746000000 + 7000 - 1774746000000 % 7000},
        {1000, 0, -1500, -1000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct schedule s = {.kind = SCHEDULE_EVERY, .every_ms = cases[i].every_ms};
        const struct times t = {&s, NULL, cases[i].late_ms};
        assert_int_equal(times_next(&t, cases[i].after_ms), cases[i].next_ms);
        assert_int_equal(times_latest(&t, cases[i].after_ms, cases[i].next_ms), cases[i].next_ms);
        assert_int_equal(times_latest(&t, cases[i].after_ms, cases[i].next_ms - 1), INT64_MIN);
    }
}

static void the_latest_of_many_missed_times_is_found_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *line, *after, *until, *latest; /* NULL: none */
    } cases[] = {
        {"* * * * *", "2000-01-01T00:00:00Z", "2026-11-28T20:00:30Z", "2026-11-28T20:00:00Z"},
        {"0 0 1 1 *", "2000-01-01T00:00:00Z", "2026-11-28T20:00:30Z", "2026-01-01T00:00:00Z"},
        {"0 0 29 2 *", "2000-01-01T00:00:00Z", "2026-11-28T20:00:30Z", "2024-02-29T00:00:00Z"},
        {"0 0 29 2 *", "2024-02-29T00:00:00Z", "2028-02-28T23:59:59Z", NULL},
        {"0 0 29 2 *", "2024-02-28T23:59:59Z", "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
    };
    struct zone *zone = zone_of(NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct schedule s = {.kind = SCHEDULE_CRON, .cron = line(cases[i].line)};
        const struct times t = {&s, zone, 0};
        int64_t latest = times_latest(&t, utc(cases[i].after) * 1000, utc(cases[i].until) * 1000);
        assert_int_equal(latest, cases[i].latest ? utc(cases[i].latest) * 1000 : INT64_MIN);
    }
    zone_free(zone);
}

static void jitter_moves_a_cron_time_as_it_is(void **state)
{
    (void)state;
    struct zone *zone = zone_of("Europe/Berlin");
    struct schedule s = {.kind = SCHEDULE_CRON, .cron = line("30 2 * * *")};
    const struct times t = {&s, zone, 61500};
    int64_t time = utc("2026-03-29T01:00:00Z") * 1000;
    assert_int_equal(times_next(&t, time), time + 61500);
    assert_int_equal(times_next(&t, time + 61499), time + 61500);
    assert_int_equal(times_next(&t, time + 61500), utc("2026-03-30T00:30:00Z") * 1000 + 61500);
    zone_free(zone);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_that_change_skip_and_repeat_nothing),
        cmocka_unit_test(every_counts_from_1970_in_utc),
        cmocka_unit_test(the_latest_of_many_missed_times_is_found_at_once),
        cmocka_unit_test(jitter_moves_a_cron_time_as_it_is),
        cmocka_unit_test(times_are_those_of_a_walk_minute_by_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
