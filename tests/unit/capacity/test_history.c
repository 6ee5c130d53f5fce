/* What runs add up to: a day's load and its busiest hour. */
#include "scheduler/capacity/history.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scheduler/state/runs.h"

#define HOUR_MS 3600000ll
static const int64_t NOW = 1800000000000;

static struct run_record run_of(int64_t started_ms, int64_t ended_ms, uint64_t records)
{
    return (struct run_record){.started_ms = started_ms,
                               .ended_ms = ended_ms,
                               .batches = records / 100,
                               .counts = {.rows = records * 3,
                                          .planned = records,
                                          .succeeded = records,
                                          .requests = records / 50,
                                          .bytes = records * 200,
                                          .request_ms = records / 50 * 120}};
}

static void assert_near(double is, double should)
{
    if (fabs(is - should) > 1e-6 * fmax(1, fabs(should)))
        fail_msg("%.12g is not %.12g", is, should);
}

static void test_a_run_is_spread_over_the_hours_it_took(void **state)
{
    struct capacity_past *past = calloc(1, sizeof *past);
    struct run_record run = run_of(NOW - 3 * HOUR_MS / 2, NOW, 9000);
    struct capacity_load day, hour;
    (void)state;
    assert_true(capacity_past_add(past, &run, NOW));
    capacity_past_loads(past, 1, &day, &hour);
    assert_near(day.records, 9000);
    assert_near(day.requests, 180);
    assert_near(day.rows, 27000);
    assert_near(hour.records, 6000); /* an hour and a half: the last hour has two thirds */
    assert_near(past->request_ms / past->timed_requests, 120);
    free(past);
}

static void test_the_busiest_hour_is_that_of_all_runs_together(void **state)
{
    struct capacity_past *past = calloc(1, sizeof *past);
    struct run_record many[] = {run_of(NOW - 50 * HOUR_MS, NOW - 50 * HOUR_MS + 1000, 1000),
                                run_of(NOW - 50 * HOUR_MS + 2000, NOW - 50 * HOUR_MS + 3000, 500),
                                run_of(NOW - 20 * HOUR_MS, NOW - 20 * HOUR_MS + 1000, 1200)};
    struct capacity_load day, hour;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        assert_true(capacity_past_add(past, &many[i], NOW));
    capacity_past_loads(past, 3, &day, &hour);
    assert_near(day.records, 900);
    assert_near(hour.records, 1500);
    assert_int_equal(past->runs, 3);
    free(past);
}

static void test_what_is_older_than_the_hours_looked_at_does_not_count(void **state)
{
    struct capacity_past *past = calloc(1, sizeof *past);
    int64_t first = NOW - HISTORY_HOURS * HOUR_MS;
    struct run_record old = run_of(first - HOUR_MS, first - 1, 1000);
    struct run_record half = run_of(first - HOUR_MS, first + HOUR_MS, 1000);
    struct capacity_load day, hour;
    (void)state;
    assert_false(capacity_past_add(past, &old, NOW));
    assert_true(capacity_past_add(past, &half, NOW));
    capacity_past_loads(past, 7, &day, &hour);
    assert_near(day.records, 500.0 / 7);
    assert_near(hour.records, 500);
    free(past);
}

static void
test_a_run_under_way_counts_up_to_now_and_one_without_requests_has_no_batches(void **state)
{
    struct capacity_past *past = calloc(1, sizeof *past);
    struct run_record run = run_of(NOW - HOUR_MS / 2, 0, 1000);
    struct run_record held = {.started_ms = NOW - 1000,
                              .ended_ms = NOW - 1,
                              .batches = 50,
                              .counts = {.rows = 70, .planned = 5000}};
    (void)state;
    assert_true(capacity_past_add(past, &run, NOW));
    assert_true(capacity_past_add(past, &held, NOW));
    assert_near(past->total.records, 1000);
    assert_near(past->total.batches, 10);
    assert_near(past->total.rows, 3070);
    free(past);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_is_spread_over_the_hours_it_took),
        cmocka_unit_test(test_the_busiest_hour_is_that_of_all_runs_together),
        cmocka_unit_test(test_what_is_older_than_the_hours_looked_at_does_not_count),
        cmocka_unit_test(
            test_a_run_under_way_counts_up_to_now_and_one_without_requests_has_no_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
