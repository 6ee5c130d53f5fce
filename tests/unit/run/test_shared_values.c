#include "scheduler/run/shared_values.h"

#include "scheduler/state/limits.h"
#include "scheduler/state/state.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static int setup(void **st)
{
    char dir[] = "/tmp/sluice-shared-XXXXXX";
    struct state *s = NULL;
    struct err err;
    if (!mkdtemp(dir) || state_open(dir, NULL, &s, &err))
        return -1;
    *st = s;
    return 0;
}

static int teardown(void **st)
{
    state_close(*st);
    return 0;
}

static void nothing_saved_is_nothing_to_restore(void **st)
{
    struct shared_values v = {0};
    struct err err;
    assert_int_equal(shared_values_load(&v, *st, "ads", &err), ERR_OK);
    assert_int_equal(v.count, 0);
    shared_values_done(&v);
}

static void what_was_saved_comes_back_byte_for_byte(void **st)
{
    const struct queue_shared_value saved[] = {
        {.name = SLICE_LIT("auth:ads"), .value = SLICE_LIT("SL1\0\xff bytes"), .version = 7},
        {.name = SLICE_LIT("auth:b"), .value = SLICE_LIT("x"), .version = 9, .left_ms = 3600000},
    };
    struct shared_values v = {0};
    struct err err;
    assert_int_equal(shared_values_save(*st, "ads", saved, 2, 12, &err), ERR_OK);
    assert_int_equal(shared_values_load(&v, *st, "ads", &err), ERR_OK);
    assert_int_equal(v.count, 2);
    assert_int_equal(v.version, 12);
    assert_true(slice_eq(v.items[0].name, saved[0].name));
    assert_true(slice_eq(v.items[0].value, saved[0].value));
    assert_int_equal(v.items[0].version, 7);
    assert_int_equal(v.items[0].left_ms, 0);
    assert_true(v.items[1].left_ms > 0 && v.items[1].left_ms <= 3600000);
    assert_int_equal(shared_values_load(&v, *st, "other", &err), ERR_OK);
    assert_int_equal(v.count, 0);
    shared_values_done(&v);
}

static void damaged_bytes_are_an_error_not_a_value(void **st)
{
    const struct slice damaged[] = {SLICE_LIT("\x09 more"), SLICE_LIT("\x01ttttttttt\xff\xff\xff")};
    struct shared_values v = {0};
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        assert_int_equal(state_misc_put(*st, "shared:ads", damaged[i], &err), ERR_OK);
        assert_int_equal(shared_values_load(&v, *st, "ads", &err), ERR_INVALID);
    }
    shared_values_done(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_saved_is_nothing_to_restore, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_saved_comes_back_byte_for_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_bytes_are_an_error_not_a_value, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
