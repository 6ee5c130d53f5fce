/* In flight: what has no verdict yet is found by its slot, whatever comes and goes. */
#include "scheduler/run/in_flight.h"

#include <stdint.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { SLOTS = 4000, STEPS = 200000 };

static void nothing_is_in_flight_at_first(void **state)
{
    (void)state;
    struct in_flight f = {0};
    assert_null(in_flight_find(&f, 0));
    in_flight_done(&f);
}

static void slots_that_come_and_go_at_random_are_never_mixed_up(void **state)
{
    (void)state;
    struct in_flight f = {0};
    struct err err;
    static uint64_t marks[SLOTS];
    size_t count = 0;
    uint32_t random = 12345;
    for (uint64_t step = 1; step <= STEPS; step++) {
        random = random * 1664525U + 1013904223U;
        uint32_t slot = (random >> 8) % SLOTS;
        struct flight *flight = in_flight_find(&f, slot);
        assert_int_equal(flight ? flight->mark : 0, marks[slot]);
        if (flight) {
            in_flight_drop(&f, flight);
            marks[slot] = 0;
            count--;
        } else {
            assert_int_equal(in_flight_add(&f, slot, step, 1, &err), ERR_OK);
            marks[slot] = step;
            count++;
        }
        assert_int_equal(f.count, count);
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        struct flight *flight = in_flight_find(&f, slot);
        assert_int_equal(flight ? flight->mark : 0, marks[slot]);
    }
    in_flight_done(&f);
}

static void those_that_landed_are_dropped_together(void **state)
{
    (void)state;
    struct in_flight f = {0};
    struct err err;
    uint32_t random = 777;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        assert_int_equal(in_flight_add(&f, slot * 977, slot + 1, 1, &err), ERR_OK);
        random = random * 1664525U + 1013904223U;
        in_flight_find(&f, slot * 977)->landed = random >> 31;
    }
    bool landed[SLOTS];
    size_t left = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        landed[slot] = in_flight_find(&f, slot * 977)->landed;
        left += !landed[slot];
    }
    in_flight_drop_landed(&f);
    assert_int_equal(f.count, left);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        assert_int_equal(in_flight_find(&f, slot * 977) == NULL, landed[slot]);
    in_flight_done(&f);
}

static void its_memory_follows_what_is_in_flight_not_what_ever_was(void **state)
{
    (void)state;
    struct in_flight f = {0};
    struct err err;
    for (uint32_t i = 0; i < 1000000; i++) {
        assert_int_equal(in_flight_add(&f, i, i, 0, &err), ERR_OK);
        if (i >= 100)
            in_flight_drop(&f, in_flight_find(&f, i - 100));
    }
    assert_int_equal(f.count, 100);
    assert_true(f.buckets <= 1024);
    in_flight_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_in_flight_at_first),
        cmocka_unit_test(slots_that_come_and_go_at_random_are_never_mixed_up),
        cmocka_unit_test(those_that_landed_are_dropped_together),
        cmocka_unit_test(its_memory_follows_what_is_in_flight_not_what_ever_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
