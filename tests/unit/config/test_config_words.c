/* The small languages inside values: types, amounts, cron, near names. */
#include "protocol/config/node.h"
#include "protocol/config/parts.h"
#include "protocol/config/quantity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void plain_scalars_have_the_types_of_yaml_1_2(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum core_type type;
    } cases[] = {
        {"no", CORE_TEXT},    {"n", CORE_TEXT},      {"on", CORE_TEXT},
        {"yes", CORE_TEXT},   {"off", CORE_TEXT},    {"True", CORE_BOOL},
        {"false", CORE_BOOL}, {"tRue", CORE_TEXT},   {"", CORE_NULL},
        {"~", CORE_NULL},     {"Null", CORE_NULL},   {"nUll", CORE_TEXT},
        {"0", CORE_INT},      {"-12", CORE_INT},     {"+7", CORE_INT},
        {"007", CORE_INT},    {"0o17", CORE_INT},    {"0x1F", CORE_INT},
        {"0o18", CORE_TEXT},  {"0x", CORE_TEXT},     {"1_000", CORE_TEXT},
        {"12:30", CORE_TEXT}, {"1.5", CORE_FLOAT},   {".5", CORE_FLOAT},
        {"1.", CORE_FLOAT},   {"1e3", CORE_FLOAT},   {"-1.5E-3", CORE_FLOAT},
        {".inf", CORE_FLOAT}, {"-.INF", CORE_FLOAT}, {".nan", CORE_FLOAT},
        {".", CORE_TEXT},     {"-", CORE_TEXT},      {"e5", CORE_TEXT},
        {"1e", CORE_TEXT},    {"1.2.3", CORE_TEXT},  {"2026-01-02", CORE_TEXT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (core_type_of(cases[i].text) != cases[i].type)
            fail_msg("%s: type %d", cases[i].text, (int)core_type_of(cases[i].text));
}

static void numbers_keep_every_digit_as_json(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json; /* NULL: JSON does not have it */
    } cases[] = {
        {"12345678901234567890123", "12345678901234567890123"},
        {"1.10", "1.10"},
        {"-0", "-0"},
        {"+7", "7"},
        {"007", "7"},
        {"000", "0"},
        {"-007.50", "-7.50"},
        {".5", "0.5"},
        {"-.5e3", "-0.5e3"},
        {"1.", "1"},
        {"1.e5", "1e5"},
        {"+1e5", "1e5"},
        {"0x1F", "31"},
        {"0o17", "15"},
        {".inf", NULL},
        {"-.Inf", NULL},
        {".nan", NULL},
        {"0xFFFFFFFFFFFFFFFFF", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct node node = {
            .kind = NODE_SCALAR, .type = core_type_of(cases[i].text), .text = cases[i].text};
        struct buf b CLEANUP(buf_done);
        buf_init(&b, 1000);
        enum err_code rc = node_put_json(&b, &node);
        assert_int_equal(rc, cases[i].json ? ERR_OK : ERR_INVALID);
        if (cases[i].json)
            assert_string_equal(buf_cstr(&b), cases[i].json);
    }
}

static void durations_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
    } cases[] = {
        {"500ms", 500},
        {"10s", 10000},
        {"5m", 300000},
        {"1h", 3600000},
        {"1d", 86400000},
        {"1w", 604800000},
        {"1.5s", 1500},
        {"1h30m", 5400000},
        {"0.1s", 100},
        {"0s", 0},
        {"10", -1},
        {"", -1},
        {"s", -1},
        {"5 parsecs", -1},
        {"5parsecs", -1},
        {"10 s", -1},
        {"-1s", -1},
        {"30m1h", -1},
        {"1s1s", -1},
        {"1M", -1},
        {"1e3s", -1},
        {"0x1s", -1},
        {"infs", -1},
        {"0.0001s", -1},
        {"1.s", -1},
        {"99999999999999999999d", -1},
        {"9999999999999d", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ms = 77;
        bool ok = duration_parse(cases[i].text, &ms);
        if (ok != (cases[i].ms >= 0) || (ok && ms != (uint64_t)cases[i].ms))
            fail_msg("%s: %d %lu", cases[i].text, ok, (unsigned long)ms);
    }
}

static void sizes_tell_thousands_from_1024(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        {"64MB", 64000000},
        {"1MiB", 1048576},
        {"500kB", 500000},
        {"4KiB", 4096},
        {"1.5MB", 1500000},
        {"1024", 1024},
        {"12B", 12},
        {"2GiB", 2147483648},
        {"1TB", 1000000000000},
        {"64mb", 64000000},
        {"M", -1},
        {"64 MB", -1},
        {"64X", -1},
        {"-1", -1},
        {"", -1},
        {"1.5", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t bytes = 77;
        bool ok = size_parse(cases[i].text, &bytes);
        if (ok != (cases[i].bytes >= 0) || (ok && bytes != (uint64_t)cases[i].bytes))
            fail_msg("%s: %d %lu", cases[i].text, ok, (unsigned long)bytes);
    }
}

static void percentages_and_periods_are_read(void **state)
{
    (void)state;
    double percent;
    uint64_t ms;
    assert_true(percent_parse("10%", &percent) && percent == 10);
    assert_true(percent_parse("0.5%", &percent) && percent == 0.5);
    assert_true(percent_parse("100%", &percent));
    assert_false(percent_parse("101%", &percent));
    assert_false(percent_parse("10", &percent));
    assert_false(percent_parse("-1%", &percent));
    assert_false(percent_parse("10%%", &percent));
    assert_true(period_parse("s", &ms) && ms == 1000);
    assert_true(period_parse("minute", &ms) && ms == 60000);
    assert_true(period_parse("10s", &ms) && ms == 10000);
    assert_false(period_parse("parsec", &ms));
}

static void cron_lines_are_checked(void **state)
{
    (void)state;
    static const char *const good[] = {
        "* * * * *",    "0 6 * * 1-5",  "*/15 0,12 1-15/2 jan-mar MON,wed",
        "5/15 * * * 7", "@daily",       "0 0 29 2 *",
        "0 0 31 2 mon", " 0  6 * * * ", "59 23 31 12 0",
    };
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"* * * *", "fewer"},
        {"* * * * * *", "more"},
        {"60 * * * *", "minute"},
        {"* 24 * * *", "hour"},
        {"* * 0 * *", "day"},
        {"* * * 13 *", "month"},
        {"* * * * 8", "weekday"},
        {"5-1 * * * *", "minute"},
        {"*/0 * * * *", "minute"},
        {"1,, * * * *", "minute"},
        {"a * * * *", "minute"},
        {"0 0 31 2 *", "no month"},
        {"@reboot", "@hourly"},
        {"", "fewer"},
        {"1x * * * *", "minute"},
        {"0 0 30 feb *", "no month"},
        {"99999999999 * * * *", "minute"},
    };
    struct cron cron;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (cron_read(good[i], &cron))
            fail_msg("%s: %s", good[i], cron_read(good[i], &cron));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *problem = cron_read(bad[i].text, &cron);
        if (!problem || !strstr(problem, bad[i].words))
            fail_msg("%s: %s", bad[i].text, problem ? problem : "(fine)");
    }
}

static void cron_lines_become_sets(void **state)
{
    (void)state;
    const uint64_t every_minute = (1ull << 60) - 1;
    const uint32_t every_hour = (1u << 24) - 1, every_day = ~1u;
    const uint16_t every_month = 0x1ffe;
    static const uint8_t all_week = 0x7f;
    const struct {
        const char *text;
        struct cron cron;
    } cases[] = {
        {"* * * * *", {every_minute, every_hour, every_day, every_month, all_week, true, true}},
        {"0 6 * * 1-5", {1, 1u << 6, every_day, every_month, 0x3e, true, false}},
        {"0 6 * * MON-fri", {1, 1u << 6, every_day, every_month, 0x3e, true, false}},
        {"30 0 1,15 JAN 7", {1ull << 30, 1, 0x8002, 2, 1, false, false}},
        {"0 0 * * fri-sun", {1, 1, every_day, every_month, 0x61, true, false}},
        {"0 0 * * 5-7", {1, 1, every_day, every_month, 0x61, true, false}},
        {"0 0 * * sun-tue", {1, 1, every_day, every_month, 0x07, true, false}},
        {"50/4 20-22 */10 oct-dec *",
         {1ull << 50 | 1ull << 54 | 1ull << 58, 7u << 20, 1u << 1 | 1u << 11 | 1u << 21 | 1u << 31,
          7u << 10, all_week, true, true}},
        {"@hourly", {1, every_hour, every_day, every_month, all_week, true, true}},
        {"@daily", {1, 1, every_day, every_month, all_week, true, true}},
        {"@weekly", {1, 1, every_day, every_month, 1, true, false}},
        {"@monthly", {1, 1, 2, every_month, all_week, false, true}},
        {"@yearly", {1, 1, 2, 2, all_week, false, true}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cron is, want = cases[i].cron;
        assert_null(cron_read(cases[i].text, &is));
        if (is.minutes != want.minutes || is.hours != want.hours || is.days != want.days ||
            is.months != want.months || is.weekdays != want.weekdays ||
            is.any_day != want.any_day || is.any_weekday != want.any_weekday)
            fail_msg("%s", cases[i].text);
    }
}

static void the_nearest_name_is_what_was_meant(void **state)
{
    (void)state;
    static const char *const names[] = {"upsert", "insert",    "update", "mirror",
                                        "wh",     "customers", NULL};
    static const struct {
        const char *word, *name;
    } cases[] = {
        {"upsrt", "upsert"},  {"UPSERT", "upsert"},       {"updaet", "update"}, {"whx", "wh"},
        {"mirorr", "mirror"}, {"custommer", "customers"}, {"nope", NULL},       {"", NULL},
        {"x", NULL},          {"warehouse", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *name = nearest_name(cases[i].word, names, ARRAY_LEN(names));
        if (!name != !cases[i].name || (name && strcmp(name, cases[i].name) != 0))
            fail_msg("%s: %s", cases[i].word, name ? name : "(none)");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_scalars_have_the_types_of_yaml_1_2),
        cmocka_unit_test(numbers_keep_every_digit_as_json),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(sizes_tell_thousands_from_1024),
        cmocka_unit_test(percentages_and_periods_are_read),
        cmocka_unit_test(cron_lines_are_checked),
        cmocka_unit_test(cron_lines_become_sets),
        cmocka_unit_test(the_nearest_name_is_what_was_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
