/* Identities: who owns one, what a change of it sends, and which old ones are removed. */
#include "tests/unit/diff/suite.h"

static void a_changed_identity_is_one_change_and_one_removal_of_the_old(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    assert_int_equal(world_one(w, 1, "b", "x", VERDICT_OK, false), DIFF_CHANGED);
    assert_int_equal(w->planned_count, 2);
    assert_string_equal(w->planned[0].name, "b");
    assert_int_equal(w->planned[1].why, REMOVAL_IDENTITY_CHANGED);
    assert_string_equal(w->planned[1].name, "a");
    assert_int_equal(world_one(w, 1, "b", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(w->planned_count, 0);
}

static void the_entry_keeps_both_identities_until_both_have_verdicts(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_begin(w);
    world_row(w, 1, "b", "x");
    world_finish(w, true);
    world_verdict(w, 0, VERDICT_FAILED, true);
    world_verdict(w, 1, VERDICT_FAILED, true);
    assert_int_equal(world_empty(w), 2); /* the row is gone: both may be there */
}

static void in_a_mode_that_does_not_remove_the_old_identity_stays(void **state)
{
    struct world *w = *state;
    w->o.mode = MODE_UPSERT;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_one(w, 1, "b", "x", VERDICT_OK, false);
    assert_int_equal(w->planned_count, 1);
}

static void an_identity_taken_by_another_row_is_not_removed(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_begin(w);
    assert_int_equal(world_row(w, 2, "a", "y"), DIFF_ASIDE);
    assert_int_equal(world_row(w, 1, "b", "x"), DIFF_CHANGED);
    world_finish(w, true);
    assert_int_equal(w->planned_count, 2);
    assert_int_equal(w->planned[1].class, DIFF_ADDED);
    assert_int_equal(diff_counts(w->d).removed, 0);
    assert_string_equal(w->planned[1].text, "y");
}

static void a_row_takes_the_identity_of_an_owner_that_is_gone(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_begin(w);
    assert_int_equal(world_row(w, 2, "a", "x"), DIFF_ASIDE);
    world_finish(w, true);
    assert_int_equal(w->planned_count, 1);
    assert_int_equal(w->planned[0].class, DIFF_ADDED);
    world_all(w, VERDICT_CANCELLED, false);
    assert_int_equal(world_empty(w),
                     1); /* what the first owner left there is still to be removed */
    assert_string_equal(w->planned[0].name, "a");
}

static void a_row_with_the_identity_of_a_live_row_is_invalid(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_begin(w);
    assert_int_equal(world_row(w, 2, "a", "x"), DIFF_ASIDE);
    assert_int_equal(world_row(w, 1, "a", "x"), DIFF_UNCHANGED);
    world_finish(w, true);
    assert_int_equal(w->planned_count, 0);
    assert_string_equal(w->reason, "same identity as key {\"id\":1}");
}

static void two_rows_that_swap_identities_are_two_changes(void **state)
{
    struct world *w = *state;
    world_begin(w);
    world_row(w, 1, "a", "x");
    world_row(w, 2, "b", "y");
    world_finish(w, true);
    world_all(w, VERDICT_OK, false);
    world_begin(w);
    assert_int_equal(world_row(w, 1, "b", "x"), DIFF_ASIDE);
    assert_int_equal(world_row(w, 2, "a", "y"), DIFF_ASIDE);
    world_finish(w, true);
    assert_int_equal(diff_counts(w->d).changed, 2);
    assert_int_equal(diff_counts(w->d).removed, 0);
}

static void a_read_that_did_not_end_decides_no_identity(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_begin(w);
    assert_int_equal(world_row(w, 2, "a", "x"), DIFF_ASIDE);
    world_finish(w, false);
    assert_int_equal(w->planned_count, 0);
    assert_int_equal(diff_counts(w->d).invalid, 1);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
}

static void a_row_without_an_identity_is_invalid_and_stays(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    assert_int_equal(world_one(w, 1, NULL, "x", VERDICT_OK, false), DIFF_INVALID);
    assert_int_equal(w->planned_count, 0);
}

static void a_refused_removal_of_an_old_identity_is_not_sent_again(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_begin(w);
    world_row(w, 1, "b", "x");
    world_finish(w, true);
    world_verdict(w, 0, VERDICT_OK, false);
    world_verdict(w, 1, VERDICT_REJECTED, false);
    assert_int_equal(world_one(w, 1, "b", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(w->planned_count, 0);
    w->o.mapping.bytes[0] ^= 1;
    world_one(w, 1, "b", "x", VERDICT_OK, false);
    assert_int_equal(w->planned_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_emails(a_changed_identity_is_one_change_and_one_removal_of_the_old),
        with_emails(the_entry_keeps_both_identities_until_both_have_verdicts),
        with_emails(in_a_mode_that_does_not_remove_the_old_identity_stays),
        with_emails(an_identity_taken_by_another_row_is_not_removed),
        with_emails(a_row_takes_the_identity_of_an_owner_that_is_gone),
        with_emails(a_row_with_the_identity_of_a_live_row_is_invalid),
        with_emails(two_rows_that_swap_identities_are_two_changes),
        with_emails(a_read_that_did_not_end_decides_no_identity),
        with_emails(a_row_without_an_identity_is_invalid_and_stays),
        with_emails(a_refused_removal_of_an_old_identity_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
