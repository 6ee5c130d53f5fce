/* What requests cost lately. */
#include "scheduler/run/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void nothing_is_known_before_the_first_answer(void **state)
{
    (void)state;
    struct meter m = {0};
    meter_note(&m, 0, 500, 3); /* the queue's own decision */
    meter_fade(&m, 60000);
    assert_true(meter_cost(&m).request_ms == 0);
    assert_true(meter_cost(&m).requests_per_batch == 1);
}

static void requests_are_timed_and_counted_by_batch(void **state)
{
    (void)state;
    struct meter m = {0};
    for (int i = 0; i < 100; i++) {
        meter_note(&m, 1, 100, 0); /* three steps, the last of which ends the batch */
        meter_note(&m, 1, 200, 0);
        meter_note(&m, 1, 300, 1);
    }
    assert_true(meter_cost(&m).request_ms == 200);
    assert_true(meter_cost(&m).requests_per_batch == 3);
    meter_note(&m, 1, 0, 1);
    assert_true(meter_cost(&m).request_ms > 0);
}

static void what_was_long_ago_fades(void **state)
{
    (void)state;
    struct meter m = {0};
    for (int i = 0; i < 1000; i++)
        meter_note(&m, 1, 10, 1);
    for (int s = 0; s < 60; s++) {
        for (int i = 0; i < 10; i++)
            meter_note(&m, 1, 1000, 1);
        meter_fade(&m, 1000);
    }
    assert_true(meter_cost(&m).request_ms > 600);
    double before = meter_cost(&m).request_ms;
    for (int s = 0; s < 36000; s++) /* ten hours in which nothing happens */
        meter_fade(&m, 1000);
    assert_true(meter_cost(&m).request_ms > before * 0.99);
    assert_true(meter_cost(&m).request_ms < before * 1.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_before_the_first_answer),
        cmocka_unit_test(requests_are_timed_and_counted_by_batch),
        cmocka_unit_test(what_was_long_ago_fades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
