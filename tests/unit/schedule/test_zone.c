/* Time zones: what the zone database says at any moment, and files that are damaged. */
#include "scheduler/schedule/zone_rule.h"

#include "protocol/base/buf.h"
#include "protocol/config/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static void every_zone_has_the_offsets_that_python_finds(void **state)
{
    (void)state;
    char command[512], line[256], name[128], last[128] = "";
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    snprintf(command, sizeof command, "/usr/bin/python3 %s offsets %u", REFERENCE, seed);
    FILE *reference = popen(command, "r");
    assert_non_null(reference);
    struct zone *zone = NULL;
    size_t count = 0;
    while (fgets(line, sizeof line, reference)) {
        long long when;
        int offset;
        struct err err;
        assert_int_equal(sscanf(line, "%127[^\t]\t%lld\t%d", name, &when, &offset), 3);
        if (strcmp(name, last) != 0) {
            zone_free(zone);
            if (zone_load(name, &zone, &err))
                fail_msg("%s", err.text);
            strcpy(last, name);
        }
        struct zone_span span = zone_span_at(zone, when);
        if (span.offset_s != offset || span.start_s > when || span.end_s <= when)
            fail_msg("%s at %lld: %d, but Python says %d", name, when, span.offset_s, offset);
        count++;
    }
    zone_free(zone);
    assert_int_equal(pclose(reference), 0);
    assert_true(count > 10000);
}

static void spans_follow_each_other(void **state)
{
    (void)state;
    static const char *const names[] = {"UTC",           "Europe/Berlin",
                                        "Europe/Dublin", "Australia/Lord_Howe",
                                        "Asia/Kolkata",  "Africa/Casablanca"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct zone *zone;
        struct err err;
        assert_int_equal(zone_load(names[i], &zone, &err), ERR_OK);
        struct zone_span span = zone_span_at(zone, -ZONE_TIME_MAX);
        assert_true(span.start_s == INT64_MIN || span.start_s <= -ZONE_TIME_MAX);
        for (int n = 0; n < 1000 && span.end_s < 7000000000; n++) {
            struct zone_span next = zone_span_at(zone, span.end_s);
            assert_true(next.start_s == span.end_s && next.end_s > next.start_s);
            struct zone_span before = zone_span_at(zone, span.end_s - 1);
            assert_true(before.start_s == span.start_s && before.offset_s == span.offset_s);
            span = next;
        }
        assert_true(span.end_s >= 7000000000);
        zone_free(zone);
    }
}

static void rules_are_read_and_followed(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        int64_t time_s;
        int32_t offset_s;
    } cases[] = {
        {"UTC0", 0, 0},
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1775314799, 39600},
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1775314800, 37800},
        {"EST5EDT,M3.2.0,M11.1.0", 1772953199, -18000}, /* 2026-03-08 06:59:59 */
        {"EST5EDT,M3.2.0,M11.1.0", 1772953200, -14400},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", 1774745999, 0}, /* Dublin: winter is the exception */
        {"IST-1GMT0,M10.5.0,M3.5.0/1", 1774746000, 3600},
        {"XXX3EDT4,0/0,J365/23", 1767225600, -14400}, /* summer all the year */
        {"XXX3EDT4,0/0,J365/23", 1767243600, -14400},
        {"AAA-1BBB,J60,J300", 1772326800 - 1, 3600}, /* 1 March whether leap year or not */
        {"AAA-1BBB,J60,J300", 1772326800, 7200},
        {"AAA-1BBB,59,300", 1772326800 - 1, 3600}, /* the 60th day */
        {"AAA-1BBB,59,300", 1772326800, 7200},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1774745999, -7200},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1774746000, -3600},
        {"AAA0BBB,M1.1.0/167,M7.1.0", 1768027199, 0}, /* 2026-01-04 and 6 days 23 hours */
    };
    static const char *const bad[] = {"",
                                      "U0",
                                      "UTC",
                                      "UTC25",
                                      "UTC0x",
                                      "<UTC0",
                                      "AAA0BBB",
                                      "AAA0BBB,M3.2.0",
                                      "AAA0BBB,,",
                                      "AAA0BBB,M13.1.0,M4.1.0",
                                      "AAA0BBB,M3.0.0,M4.1.0",
                                      "AAA0BBB,M3.1.7,M4.1.0",
                                      "AAA0BBB,J0,J300",
                                      "AAA0BBB,J1,J366",
                                      "AAA0BBB,M3.1.0/168,M4.1.0",
                                      "AAA0:60",
                                      "AAA0BBB,M3.1.0,M4.1.0,",
                                      "AAA0BBB,M3.1.0/,M4.1.0"};
    struct zone_rule rule;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(zone_rule_parse(slice_str(cases[i].rule), &rule));
        if (zone_rule_span(&rule, cases[i].time_s).offset_s != cases[i].offset_s)
            fail_msg("%s at %lld: %d", cases[i].rule, (long long)cases[i].time_s,
                     zone_rule_span(&rule, cases[i].time_s).offset_s);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (zone_rule_parse(slice_str(bad[i]), &rule))
            fail_msg("%s is taken for a rule", bad[i]);
}

static void a_zone_that_cannot_be_loaded_is_told(void **state)
{
    (void)state;
    static const char *const names[] = {"Mars/Base", "../../../etc/passwd", "zone1970.tab",
                                        "Europe", "right/Europe/Berlin"};
    struct zone *zone = NULL;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(zone_load(names[i], &zone, &err), ERR_CONFIG);
        assert_int_equal(err.code, ERR_CONFIG);
        assert_non_null(strstr(err.text, names[i]));
        assert_null(zone);
    }
}

/* Cut anywhere, or with any byte changed: an error or a zone that answers. */
static void damaged_files_do_no_harm(void **state)
{
    (void)state;
    struct buf bytes CLEANUP(buf_done);
    struct zone *zone;
    struct err err;
    buf_init(&bytes, 1 << 20);
    assert_int_equal(file_read("/usr/share/zoneinfo/Europe/Berlin", &bytes, &err), ERR_OK);
    assert_int_equal(zone_parse(buf_slice(&bytes), &zone, &err), ERR_OK);
    zone_free(zone);
    for (size_t n = 0; n < bytes.len; n++) {
        char *cut = malloc(n ? n : 1); /* of its own size: reads behind it are noticed */
        assert_non_null(cut);
        memcpy(cut, bytes.p, n);
        assert_int_equal(zone_parse(slice_of(cut, n), &zone, &err), ERR_INVALID);
        free(cut);
    }
    for (size_t i = 0; i < bytes.len; i++) {
        char kept = bytes.p[i];
        bytes.p[i] = (char)~kept;
        if (!zone_parse(buf_slice(&bytes), &zone, &err)) {
            struct zone_span span = zone_span_at(zone, 1800000000);
            assert_true(span.start_s <= 1800000000 && span.end_s > 1800000000);
            zone_free(zone);
        }
        bytes.p[i] = kept;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_zone_has_the_offsets_that_python_finds),
        cmocka_unit_test(spans_follow_each_other),
        cmocka_unit_test(rules_are_read_and_followed),
        cmocka_unit_test(a_zone_that_cannot_be_loaded_is_told),
        cmocka_unit_test(damaged_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
