/* Guards over a rolling hour: minutes go by, what is older than an hour counts no more. */
#include "scheduler/run/guard_hour.h"

#include <stdint.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { MINUTE = 60000, START = 123 * MINUTE };

static void what_is_older_than_an_hour_counts_no_more(void **state)
{
    (void)state;
    struct guard_hour h = {0};
    for (int m = 0; m < 90; m++) {
        guard_hour_turn(&h, START + m * (int64_t)MINUTE);
        guard_hour_count(&h, 1, 2);
        struct hour_sums s = guard_hour_sums(&h);
        assert_int_equal(s.changed, m < 60 ? m + 1 : 60);
        assert_int_equal(s.removed, 2 * s.changed);
    }
    guard_hour_turn(&h, START + 89 * (int64_t)MINUTE + 59 * (int64_t)MINUTE);
    assert_int_equal(guard_hour_sums(&h).changed, 1);
    guard_hour_turn(&h, START + 1000 * (int64_t)MINUTE);
    assert_int_equal(guard_hour_sums(&h).changed, 0);
    guard_hour_count(&h, 3, 0);
    guard_hour_turn(&h, START); /* a clock that stands still or goes back forgets nothing */
    assert_int_equal(guard_hour_sums(&h).changed, 3);
}

static bool lets(const struct guard *g, uint64_t had, uint64_t accepted, bool removal, char *why)
{
    struct guard_hour h = {0};
    guard_hour_turn(&h, START);
    guard_hour_count(&h, had, had);
    *why = '\0';
    return guard_hour_lets(g, &h, accepted, !removal, removal, why, 200);
}

static void a_guard_lets_as_much_through_as_it_says_and_then_names_itself(void **state)
{
    (void)state;
    char why[200];
    struct guard g = {.max_removed = {.set = true, .percent = true, .value = 10},
                      .max_changed = {.set = true, .value = 50}};
    assert_true(lets(&g, 9, 100, true, why));
    assert_string_equal(why, "");
    assert_false(lets(&g, 10, 100, true, why));
    assert_string_equal(why, "guard max_removed: 11 of 100 accepted records within an hour, "
                             "allowed are 10 %");
    assert_true(lets(&g, 49, 100, false, why));
    assert_false(lets(&g, 50, 100, false, why));
    assert_string_equal(why, "guard max_changed: 51 of 100 accepted records within an hour, "
                             "allowed are 50");
    assert_true(lets(&g, 1000, 0, true, why)); /* nothing was accepted: nothing can go wrong */
    struct guard off = {0};
    assert_true(lets(&off, 1000, 100, true, why));
    assert_true(lets(&off, 1000, 100, false, why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_older_than_an_hour_counts_no_more),
        cmocka_unit_test(a_guard_lets_as_much_through_as_it_says_and_then_names_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
