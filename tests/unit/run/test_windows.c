#include "scheduler/run/windows.h"

#include "protocol/base/clock.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/state.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct rate_limit limits[] = {
    {RATE_REQUESTS, 100, 1000, 0},
    {RATE_REQUESTS, 250000, 86400000, 0},
};
static const struct destination crm = {
    .name = "crm", .quota = "crm", .limits = limits, .limit_count = 2, .timeout_ms = 30000};

static int setup(void **st)
{
    char dir[] = "/tmp/sluice-windows-XXXXXX";
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

static uint64_t tokens(const struct queue_window *items, size_t count, uint32_t limit)
{
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (items[i].limit == limit)
            n += items[i].count;
    return n;
}

static void note(struct windows *w, uint32_t limit, uint64_t left_ms, uint64_t count)
{
    struct queue_window one = {limit, left_ms, count};
    struct queue_stats stats = {.windows = &one, .window_count = 1};
    struct err err;
    assert_int_equal(windows_note(w, &stats, &err), ERR_OK);
}

static void nothing_saved_is_nothing_used(void **st)
{
    struct windows w = {0};
    const struct queue_window *items;
    size_t count;
    struct err err;
    assert_int_equal(windows_load(&w, *st, &crm, &items, &count, &err), ERR_OK);
    assert_int_equal(count, 0);
    windows_done(&w);
}

static void a_clean_end_keeps_exactly_what_was_used(void **st)
{
    struct windows w = {0};
    const struct queue_window *items;
    size_t count;
    struct err err;
    assert_int_equal(windows_load(&w, *st, &crm, &items, &count, &err), ERR_OK);
    assert_int_equal(windows_save(&w, *st, &crm, false, &err), ERR_OK);
    note(&w, 1, 80000000, 4321);
    assert_int_equal(windows_save(&w, *st, &crm, true, &err), ERR_OK);
    struct windows again = {0};
    assert_int_equal(windows_load(&again, *st, &crm, &items, &count, &err), ERR_OK);
    assert_int_equal(tokens(items, count, 0), 0);
    assert_int_equal(tokens(items, count, 1), 4321);
    assert_true(items[0].left_ms <= 80000000 && items[0].left_ms > 79990000);
    windows_done(&again);
    windows_done(&w);
}

static void an_unclean_end_counts_every_granted_token_as_used(void **st)
{
    struct windows w = {0};
    const struct queue_window *items;
    size_t count;
    struct err err;
    assert_int_equal(windows_load(&w, *st, &crm, &items, &count, &err), ERR_OK);
    assert_int_equal(windows_save(&w, *st, &crm, false, &err), ERR_OK);
    note(&w, 1, 80000000, 100);
    assert_int_equal(windows_save(&w, *st, &crm, false, &err), ERR_OK);
    uint64_t granted = w.grant[1];
    assert_true(granted > 0 && granted < limits[1].count);
    struct windows again = {0};
    assert_int_equal(windows_load(&again, *st, &crm, &items, &count, &err), ERR_OK);
    assert_int_equal(tokens(items, count, 0), 100); /* all of the short window */
    assert_int_equal(tokens(items, count, 1),
                     100 + 2 * granted); /* this renewal's and the last one's */
    windows_done(&again);
    windows_done(&w);
}

static void a_changed_number_keeps_its_window_and_a_changed_length_starts_afresh(void **st)
{
    static const struct rate_limit other[] = {{RATE_REQUESTS, 7, 86400000, 0},
                                              {RATE_RECORDS, 9, 86400000, 0},
                                              {RATE_REQUESTS, 7, 86400000, 2}};
    struct destination changed = crm;
    changed.limits = other;
    changed.limit_count = ARRAY_LEN(other);
    struct windows w = {0}, again = {0};
    const struct queue_window *items;
    size_t count;
    struct err err;
    assert_int_equal(windows_load(&w, *st, &crm, &items, &count, &err), ERR_OK);
    note(&w, 1, 5000000, 55);
    assert_int_equal(windows_save(&w, *st, &crm, true, &err), ERR_OK);
    assert_int_equal(windows_load(&again, *st, &changed, &items, &count, &err), ERR_OK);
    assert_int_equal(tokens(items, count, 0), 55);
    assert_int_equal(tokens(items, count, 1), 0);
    assert_int_equal(tokens(items, count, 2), 0); /* other requests than those */
    windows_done(&again);
    windows_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_saved_is_nothing_used, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clean_end_keeps_exactly_what_was_used, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unclean_end_counts_every_granted_token_as_used, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_changed_number_keeps_its_window_and_a_changed_length_starts_afresh, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
