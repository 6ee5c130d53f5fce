/* How long to wait, when days begin, and which of two moments is later. */
#include "tests/unit/judge/judging.h"
#include "worker/judge/delay.h"
#include "worker/judge/instant.h"

enum { NOW_S = 1700000000 /* Tue, 14 Nov 2023 22:13:20 UTC */ };
#define WEEK_MS ((int64_t)7 * 86400000)

struct wait_case {
    const char *wait; /* in the grammar */
    const char *headers;
    const char *body;
    int64_t wait_ms;
};

static void check_wait(const struct wait_case *c, int64_t now_ms)
{
    CLEANUP(judging_done) struct judging g;
    char step[512];
    snprintf(step, sizeof step, "answers: [{status: 429, do: throttle, wait: %s}]", c->wait);
    judging_init(&g, step, NULL);
    g.now_ms = now_ms;
    struct judged v = judging_headers(&g, 429, c->headers, c->body);
    assert_int_equal(v.act, DO_THROTTLE);
    if (v.wait_ms != c->wait_ms)
        fail_msg("%s with %s %s: %lld, not %lld", c->wait, c->headers ? c->headers : "", c->body,
                 (long long)v.wait_ms, (long long)c->wait_ms);
}

static void the_first_reader_that_finds_something_counts(void **state)
{
    (void)state;
    static const struct wait_case table[] = {
        {"30s", NULL, "", 30000},
        {"7d", NULL, "", WEEK_MS},
        {"[{header: Retry-After}, 30s]", NULL, "", 30000},
        {"[{header: Retry-After}, 30s]", "Retry-After: 7", "", 7000},
        {"[{header: Retry-After}, 30s]", "Retry-After: soon", "", 30000},
        {"[{header: Retry-After}]", NULL, "", -1},
        {"[{header: X-Again}]", "X-Again: Tue, 14 Nov 2023 22:13:30 GMT", "", 10000},
        {"[{header: X-Again}]", "x-again: 5", "", 5000},
        {"[{header: X, as: seconds}]", "X: 1.5", "", 1500},
        {"[{header: X, as: seconds}]", "X: -3", "", 0},
        {"[{header: X, as: seconds}]", "X: 99999999999", "", WEEK_MS},
        {"[{header: X, as: seconds}, 1s]", "X: inf", "", 1000},
        {"[{header: X, as: seconds}, 1s]", "X: 0x10", "", 0},
        {"[{header: X, as: seconds}, 1s]", "X: ", "", 1000},
        {"[{header: X, as: ms}]", "X: 250", "", 250},
        {"[{header: X, as: minutes}]", "X: 2", "", 120000},
        {"[{header: X, as: epoch}]", "X: 1700000060", "", 60000},
        {"[{header: X, as: epoch}]", "X: 1700000060.5", "", 60500},
        {"[{header: X, as: epoch}]", "X: 1700000060500", "", 60500},
        {"[{header: X, as: epoch}]", "X: 1699999999", "", 0},
        {"[{header: X, as: epoch}]", "X: 9999999999", "", WEEK_MS},
        {"[{json: /after}]", NULL, "{\"after\":3}", 3000},
        {"[{json: /after}]", NULL, "{\"after\":\"3\"}", 3000},
        {"[{json: /after}, 9s]", NULL, "{\"after\":null}", 9000},
        {"[{json: /after}, 9s]", NULL, "no json", 9000},
        {"[{json: '/*/*/minutes', as: minutes}]", NULL,
         "{\"a\":[{\"minutes\":1},{\"minutes\":4}],\"b\":[{\"minutes\":2}]}", 240000},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        check_wait(&table[i], (int64_t)NOW_S * 1000);
}

static void clocks_have_edges(void **state)
{
    (void)state;
    static const struct {
        const char *wait;
        int64_t now_s;
        int64_t wait_s;
    } table[] = {
        /* two seconds more, so that a clock that is ahead does not come too early */
        {"{until: utc_midnight}", NOW_S, 6400 + 2},
        {"{until: next_hour}", NOW_S, 2800 + 2},
        {"{until: next_second}", NOW_S, 1},
        /* and just behind the edge not a whole day */
        {"{until: utc_midnight}", 1700006405, 10},
        {"{until: next_hour}", 1700006405, 10},
        {"{until: utc_midnight}", 1700006411, 86400 - 11 + 2},
        /* Chicago: UTC-6 in winter, UTC-5 in summer */
        {"{until: central_midnight}", NOW_S, 28000 + 2},
        {"{until: central_midnight}", 1720000000, 69200 + 2},
        /* Los Angeles: two hours later */
        {"{until: pacific_midnight}", NOW_S, 28000 + 7200 + 2},
        {"{until: pacific_midnight}", 1720069200, 7200 + 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        check_wait(&(struct wait_case){table[i].wait, NULL, "", table[i].wait_s * 1000},
                   table[i].now_s * 1000);
}

static void days_begin_by_the_rules_of_the_zone(void **state)
{
    (void)state;
    static const struct {
        int64_t now_s;
        int64_t midnight_s;
        int32_t offset_h;
    } table[] = {
        {1700000000, 1700028000, -6}, /* 2023-11-14 16:13 */
        {1720000000, 1720069200, -5}, /* 2024-07-03 04:46 */
        {1710000000, 1710050400, -6}, /* 2024-03-09 10:00: until the night of the change */
        {1710057599, 1710133200, -6}, /* 2024-03-10 01:59:59: a day of 23 hours */
        {1710057600, 1710133200, -5}, /* an instant later */
        {1730610000, 1730700000, -5}, /* 2024-11-03 00:00: a day of 25 hours */
        {1730617199, 1730700000, -5}, /* 01:59:59 the first time */
        {1730617200, 1730700000, -6}, /* 01:00:00 the second time */
        {4102444800, 4102466400, -6}, /* 2100-01-01: beyond every table */
        {4118000000, 4118014800, -5}, /* 2100-06-30: by the rule */
    };
    struct zone by_law = {0}, z;
    assert_true(zone_parse_rule("CST6CDT,M3.2.0,M11.1.0", &by_law));
    zone_central(&z);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct zone *zones[] = {&z, &by_law};
        for (size_t k = 0; k < ARRAY_LEN(zones); k++) {
            assert_int_equal(zone_offset_s(zones[k], table[i].now_s), table[i].offset_h * 3600);
            assert_int_equal(zone_next_midnight_s(zones[k], table[i].now_s), table[i].midnight_s);
        }
    }
}

static void rules_of_other_zones_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        int64_t at_s;
        int32_t offset_s;
    } table[] = {
        {"UTC0", 1700000000, 0},
        {"<+0545>-5:45", 1700000000, 20700},
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1700000000, 3600},
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1720000000, 7200},
        {"NZST-12NZDT,M9.5.0,M4.1.0/3", 1700000000, 46800}, /* summer over the new year */
        {"NZST-12NZDT,M9.5.0,M4.1.0/3", 1720000000, 43200},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct zone z = {0};
        assert_true(zone_parse_rule(table[i].rule, &z));
        assert_int_equal(zone_offset_s(&z, table[i].at_s), table[i].offset_s);
    }
    static const char *const none[] = {"",
                                       "X",
                                       "CST",
                                       "CST6CDT,M13.1.0,M1.1.0",
                                       "CST6CDT,J60,J300",
                                       "CST6CDT,M3.2.0",
                                       "CST6CDT,M3.2.0,M11.1.0x",
                                       "<"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        struct zone z = {0};
        if (zone_parse_rule(none[i], &z))
            fail_msg("%s", none[i]);
    }
    struct zone z;
    assert_false(zone_parse(SLICE_LIT("TZif2"), &z));
    assert_false(
        zone_parse(SLICE_LIT("no zone at all, but long enough to hold a head of one"), &z));
}

static void moments_are_read_in_every_usual_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
        uint32_t nanos;
    } table[] = {
        {"2023-11-14T22:13:20Z", NOW_S, 0},
        {"2023-11-14t22:13:20z", NOW_S, 0},
        {"2023-11-14 22:13:20+00", NOW_S, 0},
        {"2023-11-14T22:13:20", NOW_S, 0},
        {"2023-11-14T23:13:20+01:00", NOW_S, 0},
        {"2023-11-14T16:13:20-0600", NOW_S, 0},
        {"2023-11-14T22:13:20.5Z", NOW_S, 500000000},
        {"2023-11-14T22:13:20.123456789123Z", NOW_S, 123456789},
        {"2023-11-14", NOW_S - 80000, 0},
        {"1969-12-31T23:59:59Z", -1, 0},
        {"2000-02-29T00:00:00Z", 951782400, 0},
        {"1700000000", NOW_S, 0},
        {"1700000000.25", NOW_S, 250000000},
        {"1700000000250", NOW_S, 250000000},
        {"1700000000250000", NOW_S, 250000000},
        {"1700000000250000000", NOW_S, 250000000},
        {"-1.5", -2, 500000000},
        {"0", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct instant t;
        if (!instant_parse(slice_str(table[i].text), &t) || t.seconds != table[i].seconds ||
            t.nanos != table[i].nanos)
            fail_msg("%s gives %lld.%u", table[i].text, (long long)t.seconds, t.nanos);
    }
    static const char *const none[] = {
        "",
        "x",
        "2023",
        "2023-13-01",
        "2023-00-10",
        "2023-11-32",
        "2023-11-14T",
        "2023-11-14T22",
        "2023-11-14T22:13:20Zx",
        "2023-11-14T22:13:20+1",
        "1e9",
        "--1",
        "999999999999999999999",
        "2023-11-14T22:13:20.Z",
    };
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        struct instant t;
        bool number = strcmp(none[i], "2023") == 0; /* a moment in 1970 */
        if (instant_parse(slice_str(none[i]), &t) != number)
            fail_msg("%s is taken", none[i]);
    }
}

static void signals_of_every_answer_are_heard(void **state)
{
    (void)state;
    static const struct {
        const char *signal;
        const char *headers;
        uint64_t pause_ms;
    } table[] = {
        {"{header: X-Left, at_most: 0, pause: 10s}", "X-Left: 0", 10000},
        {"{header: X-Left, at_most: 0, pause: 10s}", "X-Left: 1", 0},
        {"{header: X-Left, at_most: 0, pause: 10s}", "X-Left: none", 0},
        {"{header: X-Left, at_most: 0, pause: 10s}", NULL, 0},
        {"{header: X-Left, at_most: 0, pause: 10s}", "X-Left: 5\nx-left: 0", 10000},
        {"{header: X-Left, at_most: 0, pause: [{header: X-Reset, as: epoch}, 1s]}",
         "X-Left: 0\nX-Reset: 1700000009", 9000},
        {"{header: X-Left, at_most: 0, pause: [{header: X-Reset, as: epoch}, 1s]}", "X-Left: 0",
         1000},
        {"{header: L, as: ratio, at_least: 0.9, pause: 5m}", "L: api-usage=18/5000", 0},
        {"{header: L, as: ratio, at_least: 0.9, pause: 5m}", "L: api-usage=4500/5000", 300000},
        {"{header: L, as: ratio, at_least: 0.9, pause: 5m}",
         "L: api-usage=1/5000; per-app-api-usage=10/10(appName=x)", 300000},
        {"{header: L, as: ratio, at_least: 0.9, pause: 5m}", "L: 9/10", 300000},
        {"{header: L, as: ratio, at_least: 0.9, pause: 5m}", "L: 9/0", 0},
        {"{header: L, as: ratio, at_least: 0.9, pause: 5m}", "L: /", 0},
        {"{header: U, json: '/*/*/call_count', at_least: 95, pause: [{json: '/*/*/regain', as: "
         "minutes}, 1m]}",
         "U: {\"1\":[{\"call_count\":20,\"regain\":0}],\"2\":[{\"call_count\":100,\"regain\":3}]}",
         180000},
        {"{header: U, json: '/*/*/call_count', at_least: 95, pause: [{json: '/*/*/none', as: "
         "minutes}, 1m]}",
         "U: {\"1\":[{\"call_count\":96}]}", 60000},
        {"{header: U, json: '/*', at_least: 95, pause: 1m}", "U: {\"a\":94,\"b\":3}", 0},
        {"{header: U, json: '/*', at_least: 95, pause: 1m}", "U: {broken", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(judging_done) struct judging g;
        char beside[512];
        snprintf(beside, sizeof beside, "signals: [%s]", table[i].signal);
        judging_init(&g, "", beside);
        /* On answers that are fine as on others. */
        static const uint32_t statuses[] = {200, 400};
        for (size_t k = 0; k < ARRAY_LEN(statuses); k++) {
            struct judged v = judging_headers(&g, statuses[k], table[i].headers, "{}");
            if (v.pause_ms != table[i].pause_ms)
                fail_msg("%s with %s pauses %llu", table[i].signal, table[i].headers,
                         (unsigned long long)v.pause_ms);
            assert_int_equal(v.act, statuses[k] == 200 ? DO_OK : DO_SPLIT);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_reader_that_finds_something_counts),
        cmocka_unit_test(clocks_have_edges),
        cmocka_unit_test(days_begin_by_the_rules_of_the_zone),
        cmocka_unit_test(rules_of_other_zones_are_understood),
        cmocka_unit_test(moments_are_read_in_every_usual_form),
        cmocka_unit_test(signals_of_every_answer_are_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
