/* Single changes: what is in flight waits, identities change hands within a turn, removals come at
 * its end. */
#include "tests/unit/diff/change_world.h"

#include "scheduler/diff/turn.h"

static void rows_are_decided_as_in_a_read(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    assert_int_equal(change_row(c, 1, "a", "x", false), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_ADDED);
    change_turn(c);
    change_answers(c, 0, VERDICT_OK);
    assert_int_equal(change_row(c, 1, "a", "x", false), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_UNCHANGED);
    assert_int_equal(change_row(c, 0, "a", "x", false), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_INVALID);
    change_turn(c);
    assert_int_equal(change_row(c, 1, "a", "y", false), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_CHANGED);
    change_turn(c);
    change_answers(c, 1, VERDICT_REJECTED);
    change_row(c, 1, "a", "y", false);
    assert_int_equal(c->last.class, DIFF_QUARANTINED);
    change_row(c, 1, "a", "x", false); /* as it was accepted: the refusal is past */
    assert_int_equal(c->last.class, DIFF_UNCHANGED);
    assert_int_equal(listed(&c->w).kind, REJECTED_INVALID);
    assert_int_equal(listed(&c->w).count, 1);
}

static void a_row_in_doubt_is_sent_though_it_is_unchanged(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    change_row(c, 1, "a", "y", false);
    change_turn(c);
    change_verdict(c, 1, VERDICT_FAILED, true);
    change_row(c, 1, "a", "x", false);
    assert_int_equal(c->last.class, DIFF_CHANGED);
}

static void a_record_in_flight_is_left_alone(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_row(c, 1, "a", "x", false);
    struct diff_counts before = diff_counts(c->w.d);
    assert_int_equal(change_row(c, 1, "a", "y", false), DIFF_BUSY);
    assert_int_equal(change_gone(c, 1), DIFF_BUSY);
    change_turn(c);
    assert_int_equal(change_row(c, 1, "a", "y", false), DIFF_BUSY);
    assert_int_equal(change_gone(c, 1), DIFF_BUSY);
    struct diff_counts after = diff_counts(c->w.d);
    assert_memory_equal(&before, &after, sizeof before);
    change_answers(c, 0, VERDICT_OK);
    assert_int_equal(change_gone(c, 1), DIFF_OPEN);
    assert_int_equal(change_turn(c), 1);
    assert_int_equal(change_row(c, 1, "a", "y", false), DIFF_BUSY); /* until it was removed */
    change_answers(c, 1, VERDICT_OK);
    change_row(c, 1, "a", "y", false);
    assert_int_equal(c->last.class, DIFF_ADDED);
}

static void a_gone_key_is_removed_at_the_end_of_the_turn(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    assert_int_equal(change_gone(c, 1), DIFF_OPEN);
    assert_int_equal(change_gone(c, 7), DIFF_TAKEN); /* nobody knows it */
    assert_int_equal(c->w.planned_count, 1);
    assert_int_equal(change_turn(c), 1);
    assert_int_equal(c->w.planned[1].why, REMOVAL_ROW_GONE);
    assert_int_equal(diff_counts(c->w.d).unchanged, 1);
    assert_true(entry_of(&c->w, 1).flags & ENTRY_ABSENT);
    change_answers(c, 1, VERDICT_OK);
    assert_int_equal(entry_of(&c->w, 1).flags, 0);
    assert_int_equal(state_sync_counts(c->w.ss).stored, 0);
}

static void a_row_that_was_never_accepted_goes_without_a_removal(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_row(c, 1, "a", "x", false);
    change_turn(c);
    change_answers(c, 0, VERDICT_REJECTED);
    assert_int_equal(listed(&c->w).count, 1);
    assert_int_equal(change_gone(c, 1), DIFF_TAKEN);
    assert_int_equal(change_turn(c), 0);
    assert_int_equal(state_sync_counts(c->w.ss).stored, 0);
    assert_int_equal(listed(&c->w).count, 0);
}

static void a_mode_that_does_not_remove_marks_the_entry_absent(void **state)
{
    struct change_world *c = *state;
    c->w.o.mode = MODE_UPSERT;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    assert_int_equal(change_gone(c, 1), DIFF_TAKEN);
    assert_int_equal(change_turn(c), 0);
    assert_int_equal(diff_counts(c->w.d).unchanged, 1);
    assert_true(entry_of(&c->w, 1).flags & ENTRY_ABSENT);
    change_row(c, 1, "a", "x", false);
    assert_int_equal(c->last.class, DIFF_UNCHANGED);
    assert_false(entry_of(&c->w, 1).flags & ENTRY_ABSENT);
}

static void a_refused_removal_is_not_sent_again_before_its_row_returns(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    change_gone(c, 1);
    assert_int_equal(change_turn(c), 1);
    change_answers(c, 1, VERDICT_REJECTED);
    assert_int_equal(change_gone(c, 1), DIFF_OPEN);
    assert_int_equal(change_turn(c), 0);
    assert_int_equal(diff_counts(c->w.d).unchanged, 1);
    change_row(c, 1, "a", "x", false);
    assert_int_equal(c->last.class, DIFF_UNCHANGED);
    change_gone(c, 1);
    assert_int_equal(change_turn(c), 1);
}

static void a_row_that_comes_back_within_the_turn_wins(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    assert_int_equal(change_gone(c, 1), DIFF_OPEN);
    assert_int_equal(change_row(c, 1, "a", "y", false), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_CHANGED);
    assert_int_equal(change_turn(c), 0);
    assert_int_equal(diff_counts(c->w.d).unchanged, 1);
}

static void the_guard_is_asked_before_anything_is_done(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    c->refuses = DIFF_CHANGED;
    assert_int_equal(change_row(c, 1, "a", "y", false), DIFF_BUSY);
    assert_int_equal(change_row(c, 1, "b", "x", false), DIFF_BUSY);
    assert_int_equal(change_row(c, 1, "a", "x", false), DIFF_TAKEN);
    assert_int_equal(change_row(c, 2, "z", "x", false), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_ADDED);
    c->refuses = DIFF_REMOVED;
    assert_int_equal(change_gone(c, 1), DIFF_BUSY);
    assert_int_equal(change_gone(c, 9), DIFF_TAKEN);
    assert_int_equal(change_turn(c), 0);
}

/* ---- identities ---- */

static void a_changed_identity_removes_the_old_one_with_the_turn(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    c->refuses = DIFF_REMOVED;
    assert_int_equal(change_row(c, 1, "b", "x", false), DIFF_BUSY);
    c->refuses = DIFF_UNCHANGED;
    assert_int_equal(change_row(c, 1, "b", "x", false), DIFF_OPEN);
    assert_int_equal(c->last.class, DIFF_CHANGED);
    assert_int_equal(change_turn(c), 1);
    assert_int_equal(c->w.planned[2].why, REMOVAL_IDENTITY_CHANGED);
    assert_string_equal(c->w.planned[2].name, "a");
    change_verdict(c, 1, VERDICT_OK, false);
    assert_int_equal(change_row(c, 1, "c", "x", false), DIFF_BUSY); /* a is not removed yet */
    change_verdict(c, 2, VERDICT_OK, false);
    assert_int_equal(change_row(c, 1, "b", "x", false), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_UNCHANGED);
}

static void two_rows_swap_identities_within_a_turn(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    change_accepted(c, 2, "b", "y");
    assert_int_equal(change_row(c, 1, "b", "x", false), DIFF_WAITS);
    assert_int_equal(change_row(c, 2, "a", "y", false), DIFF_WAITS);
    assert_int_equal(change_row(c, 1, "b", "x", true), DIFF_OPEN);
    assert_int_equal(c->last.class, DIFF_CHANGED);
    enum diff_taken second = change_row(c, 2, "a", "y", true);
    assert_true(second == DIFF_TAKEN || second == DIFF_OPEN);
    assert_int_equal(c->last.class, DIFF_CHANGED);
    assert_int_equal(change_turn(c), 0);
    change_answers(c, 2, VERDICT_OK);
    change_row(c, 1, "b", "x", false);
    assert_int_equal(c->last.class, DIFF_UNCHANGED);
    change_row(c, 2, "a", "y", false);
    assert_int_equal(c->last.class, DIFF_UNCHANGED);
    assert_null(diff_wants_read(c->w.d));
}

static void a_row_under_a_new_key_takes_its_identity_over(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    assert_int_equal(change_row(c, 2, "a", "x", false), DIFF_WAITS);
    assert_int_equal(change_gone(c, 1), DIFF_OPEN);
    assert_int_equal(change_row(c, 2, "a", "x", true), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_ADDED);
    assert_int_equal(change_turn(c), 0);
    assert_int_equal(c->closed, 2);
    assert_int_equal(diff_counts(c->w.d).unchanged, 1);
    assert_int_equal(state_sync_counts(c->w.ss).stored, 1);
    change_answers(c, 1, VERDICT_OK);
    change_gone(c, 2);
    assert_int_equal(change_turn(c), 1);
    assert_string_equal(c->w.planned[2].name, "a");
}

static void an_owner_in_flight_makes_the_other_row_wait(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_row(c, 1, "a", "x", false);
    change_turn(c);
    assert_int_equal(change_row(c, 2, "a", "y", false), DIFF_BUSY);
    assert_int_equal(change_row(c, 2, "a", "y", true), DIFF_BUSY);
    change_answers(c, 0, VERDICT_OK);
    assert_int_equal(change_row(c, 2, "a", "y", false), DIFF_WAITS);
}

static void an_owner_that_was_removed_but_not_answered_keeps_it_until_then(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    change_gone(c, 1);
    assert_int_equal(change_turn(c), 1);
    assert_int_equal(change_row(c, 2, "a", "y", false), DIFF_BUSY);
    change_verdict(c, 1, VERDICT_FAILED, true);
    assert_int_equal(change_row(c, 2, "a", "y", false), DIFF_WAITS);
    assert_int_equal(change_row(c, 2, "a", "y", true), DIFF_TAKEN); /* its row is gone still */
    assert_int_equal(c->last.class, DIFF_ADDED);
    assert_int_equal(change_turn(c), 0);
}

static void a_row_with_the_identity_of_a_live_row_is_invalid_and_holds_it(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    assert_int_equal(change_row(c, 2, "a", "y", false), DIFF_WAITS);
    assert_int_equal(change_row(c, 2, "a", "y", true), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_INVALID);
    assert_string_equal(c->w.reason, "same identity as key {\"id\":1}");
    change_turn(c);
    assert_null(diff_wants_read(c->w.d));
    change_gone(c, 1);
    assert_int_equal(change_turn(c), 0); /* another live row has it */
    assert_non_null(diff_wants_read(c->w.d));
    c->w.o.stream = NULL; /* and a read of the whole model gives it that row */
    world_begin(&c->w);
    assert_int_equal(world_row(&c->w, 2, "a", "y"), DIFF_ASIDE);
    world_finish(&c->w, true);
    assert_int_equal(c->w.planned_count, 1);
    assert_int_equal(c->w.planned[0].class, DIFF_ADDED);
}

static void an_owner_that_moves_away_from_a_held_identity_asks_for_a_read(void **state)
{
    struct change_world *c = *state;
    c->w.o.mode = MODE_UPSERT;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    change_row(c, 2, "a", "y", false);
    change_row(c, 2, "a", "y", true);
    change_turn(c);
    assert_null(diff_wants_read(c->w.d));
    change_row(c, 1, "b", "x", false);
    assert_non_null(diff_wants_read(c->w.d));
}

static void a_later_owner_within_the_turn_keeps_the_identity(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    change_gone(c, 1);
    assert_int_equal(change_row(c, 2, "a", "y", false), DIFF_WAITS);
    assert_int_equal(change_row(c, 3, "a", "z", false), DIFF_WAITS);
    assert_int_equal(change_row(c, 2, "a", "y", true), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_ADDED);
    assert_int_equal(change_row(c, 3, "a", "z", true), DIFF_TAKEN);
    assert_int_equal(c->last.class, DIFF_INVALID);
    assert_int_equal(change_turn(c), 0);
}

static void every_identity_of_a_gone_row_is_removed(void **state)
{
    struct change_world *c = *state;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    change_row(c, 1, "b", "x", false);
    change_turn(c);
    change_verdict(c, 1, VERDICT_FAILED, true);
    change_verdict(c, 2, VERDICT_FAILED, true);
    change_gone(c, 1);
    assert_int_equal(change_turn(c), 2);
    change_answers(c, 3, VERDICT_OK);
    assert_int_equal(state_sync_counts(c->w.ss).stored, 0);
}

static void an_insert_keeps_known_rows_and_still_removes_them(void **state)
{
    struct change_world *c = *state;
    c->w.o.mode = MODE_INSERT;
    c->w.o.on_removed = REMOVED_DELETE;
    change_begin(c);
    change_accepted(c, 1, "a", "x");
    change_row(c, 1, "a", "y", false);
    assert_int_equal(c->last.class, DIFF_UNCHANGED);
    change_turn(c);
    change_gone(c, 1);
    assert_int_equal(change_turn(c), 1);
    assert_null(diff_wants_read(c->w.d));
}

/* ---- turn ---- */

static void a_turn_finds_each_of_many_slots_and_forgets_them_all(void **state)
{
    (void)state;
    struct turn t;
    struct err err;
    turn_init(&t);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 5000; i++) {
            struct turn_item *item;
            uint32_t slot = i * 2654435761U; /* all over the place */
            world_check(turn_note(&t, slot, slice_of((char *)&i, sizeof i), &item, &err), &err);
            assert_int_equal(item->flags, 0);
            item->flags = TURN_GONE;
        }
        assert_int_equal(t.count, 5000);
        for (uint32_t i = 0; i < 5000; i++) {
            struct turn_item *item = turn_find(&t, i * 2654435761U);
            assert_non_null(item);
            assert_memory_equal(turn_key(&t, item).p, &i, sizeof i);
        }
        assert_null(turn_find(&t, 1));
        turn_reset(&t);
        assert_null(turn_find(&t, 0));
    }
    turn_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        change_ids(rows_are_decided_as_in_a_read),
        change_ids(a_row_in_doubt_is_sent_though_it_is_unchanged),
        change_ids(a_record_in_flight_is_left_alone),
        change_ids(a_gone_key_is_removed_at_the_end_of_the_turn),
        change_emails(a_gone_key_is_removed_at_the_end_of_the_turn),
        change_ids(a_row_that_was_never_accepted_goes_without_a_removal),
        change_emails(a_row_that_was_never_accepted_goes_without_a_removal),
        change_ids(a_mode_that_does_not_remove_marks_the_entry_absent),
        change_emails(a_mode_that_does_not_remove_marks_the_entry_absent),
        change_ids(a_refused_removal_is_not_sent_again_before_its_row_returns),
        change_ids(a_row_that_comes_back_within_the_turn_wins),
        change_emails(a_row_that_comes_back_within_the_turn_wins),
        change_ids(the_guard_is_asked_before_anything_is_done),
        change_emails(the_guard_is_asked_before_anything_is_done),
        change_emails(a_changed_identity_removes_the_old_one_with_the_turn),
        change_emails(two_rows_swap_identities_within_a_turn),
        change_emails(a_row_under_a_new_key_takes_its_identity_over),
        change_emails(an_owner_in_flight_makes_the_other_row_wait),
        change_emails(an_owner_that_was_removed_but_not_answered_keeps_it_until_then),
        change_emails(a_row_with_the_identity_of_a_live_row_is_invalid_and_holds_it),
        change_emails(an_owner_that_moves_away_from_a_held_identity_asks_for_a_read),
        change_emails(a_later_owner_within_the_turn_keeps_the_identity),
        change_emails(every_identity_of_a_gone_row_is_removed),
        change_emails(an_insert_keeps_known_rows_and_still_removes_them),
        cmocka_unit_test(a_turn_finds_each_of_many_slots_and_forgets_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
