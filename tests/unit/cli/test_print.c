#include "scheduler/cli/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void numbers_have_separators(void **state)
{
    (void)state;
    char out[PRINT_NUMBER_BYTES];
    static const struct {
        uint64_t n;
        const char *text;
    } cases[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1,000"},
                 {1234567, "1,234,567"},
                 {UINT64_MAX, "18,446,744,073,709,551,615"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(print_number(cases[i].n, out), cases[i].text);
}

static void durations_are_said_as_people_say_them(void **state)
{
    (void)state;
    char out[PRINT_NUMBER_BYTES];
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {{0, "0.0 s"},
                 {1540, "1.5 s"},
                 {45000, "45 s"},
                 {200000, "3 min 20 s"},
                 {7500000, "2 h 5 min"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(print_duration(cases[i].ms, out), cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_separators),
        cmocka_unit_test(durations_are_said_as_people_say_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
