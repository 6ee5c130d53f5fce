#include "scheduler/run/guard.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct guard_limit number(double value)
{
    return (struct guard_limit){.set = true, .value = value};
}

static struct guard_limit percent(double value)
{
    return (struct guard_limit){.set = true, .percent = true, .value = value};
}

static bool holds(struct guard g, struct guard_facts f, const char *word)
{
    char reason[512] = "";
    bool held = guard_holds(&g, &f, reason, sizeof reason);
    if (held)
        assert_non_null(strstr(reason, word));
    return held;
}

static void a_first_run_is_never_held(void **state)
{
    (void)state;
    struct guard strict = {
        .max_removed = number(0), .max_changed = number(0), .min_rows = number(1000)};
    assert_false(holds(strict, (struct guard_facts){.accepted = 0, .rows = 0, .removed = 9}, ""));
    assert_false(guard_waits(&strict, 0));
    assert_true(guard_waits(&strict, 1));
}

static void an_empty_model_is_held_unless_it_is_allowed(void **state)
{
    (void)state;
    struct guard_facts empty = {.accepted = 5, .rows = 0, .removed = 5};
    assert_true(holds((struct guard){0}, empty, "no row"));
    assert_false(holds((struct guard){.allow_empty = true}, empty, ""));
}

static void limits_hold_only_what_is_above_them(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        bool removed, is_percent;
        double limit;
        uint64_t part, accepted;
        bool held;
    } cases[] = {
        {"max_removed", true, true, 10, 10, 100, false},
        {"max_removed", true, true, 10, 11, 100, true},
        {"max_removed", true, true, 0, 0, 100, false},
        {"max_removed", true, true, 0, 1, 100, true},
        {"max_removed", true, false, 3, 3, 100, false},
        {"max_removed", true, false, 3, 4, 100, true},
        {"max_changed", false, true, 50, 50, 100, false},
        {"max_changed", false, true, 50, 51, 100, true},
        {"max_changed", false, false, 7, 8, 100, true},
        {"max_removed", true, true, 33.3, 333, 1000, false},
        {"max_removed", true, true, 33.3, 334, 1000, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guard_limit limit =
            cases[i].is_percent ? percent(cases[i].limit) : number(cases[i].limit);
        struct guard g = {0};
        struct guard_facts f = {.accepted = cases[i].accepted, .rows = 50};
        if (cases[i].removed) {
            g.max_removed = limit;
            f.removed = cases[i].part;
        } else {
            g.max_changed = limit;
            f.changed = cases[i].part;
        }
        assert_int_equal(holds(g, f, cases[i].word), cases[i].held);
    }
}

static void too_few_rows_are_held(void **state)
{
    (void)state;
    assert_true(holds((struct guard){.min_rows = number(100)},
                      (struct guard_facts){.accepted = 1, .rows = 99}, "min_rows"));
    assert_false(holds((struct guard){.min_rows = number(100)},
                       (struct guard_facts){.accepted = 1, .rows = 100}, ""));
    assert_true(holds((struct guard){.min_rows = percent(90)},
                      (struct guard_facts){.accepted = 100, .rows = 89}, "min_rows"));
    assert_false(holds((struct guard){.min_rows = percent(90)},
                       (struct guard_facts){.accepted = 100, .rows = 90}, ""));
}

static void refusals_are_judged_from_the_200th_verdict_on(void **state)
{
    (void)state;
    char reason[512];
    struct guard g = {.max_rejected = percent(5)};
    assert_false(guard_stops(&g, GUARD_VERDICTS_LEAST - 1, 199, reason, sizeof reason));
    assert_false(guard_stops(&g, GUARD_VERDICTS_LEAST, 10, reason, sizeof reason));
    assert_true(guard_stops(&g, GUARD_VERDICTS_LEAST, 11, reason, sizeof reason));
    assert_false(guard_stops(&(struct guard){0}, 1000, 1000, reason, sizeof reason));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_run_is_never_held),
        cmocka_unit_test(an_empty_model_is_held_unless_it_is_allowed),
        cmocka_unit_test(limits_hold_only_what_is_above_them),
        cmocka_unit_test(too_few_rows_are_held),
        cmocka_unit_test(refusals_are_judged_from_the_200th_verdict_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
