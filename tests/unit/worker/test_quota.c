/* How a worker shares its slots among quotas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/claim/quota.h"

enum { SLOTS = 32, NOW = 1000 };

static struct quota_list list_of(struct quota *quotas, struct quota **items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        items[i] = &quotas[i];
        quotas[i].ability_count = 1;
    }
    return (struct quota_list){.items = items, .count = n};
}

static void alone_it_may_use_every_slot(void **state)
{
    (void)state;
    struct quota q[1] = {{.held = 31}}, *items[1];
    struct quota_list list = list_of(q, items, 1);
    assert_ptr_equal(quota_next(&list, SLOTS, 1, NOW), &q[0]);
    assert_null(quota_next(&list, SLOTS, 0, NOW));
}

static void at_most_half_while_another_could_run(void **state)
{
    (void)state;
    struct quota q[2] = {{.held = 16}, {.held = 3}}, *items[2];
    struct quota_list list = list_of(q, items, 2);
    assert_false(quota_may_take(&list, &q[0], 16, SLOTS, 13, NOW));
    assert_true(quota_may_take(&list, &q[0], 15, SLOTS, 13, NOW));
    assert_ptr_equal(quota_next(&list, SLOTS, 13, NOW), &q[1]);
    /* The other has nothing to do, waits, is being asked, or has its half. */
    q[1].ask_at_ms = QUOTA_ASK_WHEN_CALLED;
    assert_true(quota_may_take(&list, &q[0], 16, SLOTS, 13, NOW));
    q[1].ask_at_ms = NOW + 1;
    assert_true(quota_may_take(&list, &q[0], 16, SLOTS, 13, NOW));
    q[1].ask_at_ms = NOW;
    assert_false(quota_may_take(&list, &q[0], 16, SLOTS, 13, NOW));
    q[1].asking = true;
    assert_true(quota_may_take(&list, &q[0], 16, SLOTS, 13, NOW));
}

static void one_slot_is_kept_for_each_that_holds_none(void **state)
{
    (void)state;
    struct quota q[3] = {{.held = 29},
                         {.ask_at_ms = QUOTA_ASK_WHEN_CALLED},
                         {.ask_at_ms = QUOTA_ASK_WHEN_CALLED}},
                 *items[3];
    struct quota_list list = list_of(q, items, 3);
    assert_true(quota_may_take(&list, &q[0], 29, SLOTS, 3, NOW));
    assert_false(quota_may_take(&list, &q[0], 30, SLOTS, 2, NOW));
    assert_true(quota_may_take(&list, &q[1], 0, SLOTS, 2, NOW));
    q[2].ability_count = 0; /* no longer in the project */
    assert_true(quota_may_take(&list, &q[0], 30, SLOTS, 2, NOW));
}

static void there_are_slots_for_every_quota(void **state)
{
    (void)state;
    struct quota q[20] = {0}, *items[20];
    struct quota_list list = list_of(q, items, 20);
    assert_int_equal(quota_slots(&list, 8), 40);
    assert_int_equal(quota_slots(&list, 64), 64);
}

static void the_next_question_is_due_when_the_answer_said(void **state)
{
    (void)state;
    struct quota q[3] = {{.ask_at_ms = NOW - 5},
                         {.ask_at_ms = NOW + 70},
                         {.ask_at_ms = QUOTA_ASK_WHEN_CALLED}},
                 *items[3];
    struct quota_list list = list_of(q, items, 3);
    assert_int_equal(quota_wait_ms(&list, NOW), 70);
    assert_int_equal(quota_wait_ms(&list, NOW + 70), -1);
    assert_true(quota_due(&q[0], NOW));
    assert_false(quota_due(&q[1], NOW));
    assert_false(quota_due(&q[2], NOW));
}

static void quotas_that_nobody_called_for_are_asked_in_turn_and_few_at_a_time(void **state)
{
    (void)state;
    struct quota q[5] = {{.ask_at_ms = QUOTA_ASK_WHEN_CALLED},
                         {.ask_at_ms = QUOTA_ASK_WHEN_CALLED},
                         {.ask_at_ms = NOW + 70}, /* it asks by itself */
                         {.ask_at_ms = QUOTA_ASK_WHEN_CALLED},
                         {.ask_at_ms = QUOTA_ASK_WHEN_CALLED}},
                 *items[5];
    struct quota_list list = list_of(q, items, 5);
    q[3].ability_count = 0; /* no longer in the project */
    list.turn = 1;
    quota_list_ask(&list, 2, NOW);
    assert_false(quota_due(&q[0], NOW));
    assert_true(quota_due(&q[1], NOW));
    assert_false(quota_due(&q[2], NOW));
    assert_true(quota_due(&q[4], NOW));
    quota_list_ask(&list, 2, NOW); /* there is but one more */
    assert_true(quota_due(&q[0], NOW));
    assert_int_equal(q[3].ask_at_ms, QUOTA_ASK_WHEN_CALLED);
    struct quota_list none = {0};
    quota_list_ask(&none, 2, NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_it_may_use_every_slot),
        cmocka_unit_test(at_most_half_while_another_could_run),
        cmocka_unit_test(one_slot_is_kept_for_each_that_holds_none),
        cmocka_unit_test(there_are_slots_for_every_quota),
        cmocka_unit_test(the_next_question_is_due_when_the_answer_said),
        cmocka_unit_test(quotas_that_nobody_called_for_are_asked_in_turn_and_few_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
