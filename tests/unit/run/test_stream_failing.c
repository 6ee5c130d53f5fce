/* When an event that fails again and again is given up. */
#include "scheduler/run/stream_failing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/slice.h"

static const struct slice bad = {"bad", 3}, good = {"good", 4};

static void one_that_fails_while_others_are_accepted_is_given_up(void **state)
{
    (void)state;
    struct failing f = {0};
    int64_t now = 1000;
    for (int i = 1; i < FAILING_TRIES; i++) {
        assert_false(failing_again(&f, bad, now));
        failing_accepted(&f, good);
        now += FAILING_MS / 4;
    }
    assert_true(failing_again(&f, bad, now));
    assert_int_equal(f.count, 0);
    assert_false(failing_again(&f, bad, now)); /* begins anew */
}

static void while_nothing_is_accepted_nothing_is_given_up(void **state)
{
    (void)state;
    struct failing f = {0};
    int64_t now = 1000;
    failing_accepted(&f, good);
    for (int i = 0; i < 1000; i++, now += FAILING_MS)
        assert_false(failing_again(&f, bad, now));
}

static void not_before_the_time_has_passed(void **state)
{
    (void)state;
    struct failing f = {0};
    for (int i = 0; i < 1000; i++) {
        assert_false(failing_again(&f, bad, 1000 + i));
        failing_accepted(&f, good);
    }
    assert_true(failing_again(&f, bad, 1000 + FAILING_MS));
}

static void one_that_is_accepted_begins_anew(void **state)
{
    (void)state;
    struct failing f = {0};
    for (int i = 1; i < FAILING_TRIES; i++) {
        assert_false(failing_again(&f, bad, 1000));
        failing_accepted(&f, good);
    }
    failing_accepted(&f, bad);
    assert_int_equal(f.count, 0);
    assert_false(failing_again(&f, bad, 1000 + FAILING_MS));
}

static void more_than_there_is_room_for_are_all_tried_on(void **state)
{
    (void)state;
    struct failing f = {0};
    char key[16];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3 * FAILING_MAX; i++) {
            struct slice s = {key, (size_t)snprintf(key, sizeof key, "k%d", i)};
            assert_false(failing_again(&f, s, 1000));
            failing_accepted(&f, good);
        }
        assert_int_equal(f.count, FAILING_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_fails_while_others_are_accepted_is_given_up),
        cmocka_unit_test(while_nothing_is_accepted_nothing_is_given_up),
        cmocka_unit_test(not_before_the_time_has_passed),
        cmocka_unit_test(one_that_is_accepted_begins_anew),
        cmocka_unit_test(more_than_there_is_room_for_are_all_tried_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
