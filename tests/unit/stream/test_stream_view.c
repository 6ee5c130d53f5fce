/* What a view of a stream means to people. */
#include "scheduler/stream/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct stream_view view(enum stream_phase phase, const char *why)
{
    struct stream_view v = {.phase = phase, .lag = {.bytes = -1, .records = -1}};
    strcpy(v.why, why);
    return v;
}

static void phases_have_words(void **state)
{
    (void)state;
    assert_string_equal(stream_phase_name(STREAM_OPENING), "opening");
    assert_string_equal(stream_phase_name(STREAM_HELD), "held");
    assert_string_equal(stream_phase_name(STREAM_RESTING), "resting");
    assert_string_equal(stream_phase_name((enum stream_phase)99), "unknown");
}

static void a_stream_ails_while_it_does_not_get_its_changes(void **state)
{
    (void)state;
    static const struct {
        enum stream_phase phase;
        const char *why;
        bool ails;
    } cases[] = {
        {STREAM_OPENING, "", true},
        {STREAM_RESTING, "connection refused", true},
        {STREAM_FLOWING, "", false},
        {STREAM_FLOWING, "connection lost", true},
        {STREAM_ROLLING, "", false},
        {STREAM_ROLLING, "connection lost", true},
        {STREAM_READING, "the model is read: the first time", false},
        {STREAM_HELD, "90 % would be removed", false}, /* told as held */
        {STREAM_PAUSED, "connection lost", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stream_view v = view(cases[i].phase, cases[i].why);
        assert_int_equal(stream_ails(&v), cases[i].ails);
    }
}

static void a_stream_is_fresh_up_to_the_oldest_change_that_waits(void **state)
{
    (void)state;
    struct stream_view v = view(STREAM_FLOWING, "");
    assert_int_equal(stream_fresh_ms(&v, 100000), 100000);
    v.waits_ms = 700;
    assert_int_equal(stream_fresh_ms(&v, 100000), 99300);
    v.lag.behind_ms = 5000; /* what is not given yet is older */
    assert_int_equal(stream_fresh_ms(&v, 100000), 95000);
    v.lag.behind_ms = -1; /* the source does not say */
    assert_int_equal(stream_fresh_ms(&v, 100000), 99300);
    strcpy(v.why, "connection lost"); /* nobody knows what it misses */
    assert_int_equal(stream_fresh_ms(&v, 100000), 0);
    v = view(STREAM_FLOWING, "the destination is down");
    v.waits_ms = 60000;
    assert_int_equal(stream_fresh_ms(&v, 100000), 40000);
    v = view(STREAM_READING, "");
    assert_int_equal(stream_fresh_ms(&v, 100000), 0);
    v = view(STREAM_RESTING, "");
    assert_int_equal(stream_fresh_ms(&v, 100000), 0);
    v = view(STREAM_PAUSED, "");
    v.waits_ms = 1000;
    assert_int_equal(stream_fresh_ms(&v, 100000), 99000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_have_words),
        cmocka_unit_test(a_stream_ails_while_it_does_not_get_its_changes),
        cmocka_unit_test(a_stream_is_fresh_up_to_the_oldest_change_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
