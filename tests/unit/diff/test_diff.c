/* Diff and tally, sentence by sentence: which rows are sent, and what a verdict leaves behind. */
#include "tests/unit/diff/suite.h"

/* ---- entry ---- */

static void a_new_row_is_added_and_after_acceptance_unchanged(void **state)
{
    struct world *w = *state;
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_ADDED);
    assert_int_equal(w->tallies[TALLY_SUCCEEDED], 1);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_OK, false), DIFF_CHANGED);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_OK, false), DIFF_UNCHANGED);
}

static void other_target_names_make_every_row_changed(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    w->o.names.bytes[3] = 7;
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_CHANGED);
}

static void a_refused_row_is_quarantined_until_its_values_change(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_REJECTED, false);
    assert_int_equal(listed(w).kind, REJECTED_REFUSED);
    assert_string_equal(listed(w).text, "{\"id\":1}");
    assert_string_equal(listed(w).message, "no such thing");
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_QUARANTINED);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_OK, false), DIFF_ADDED);
    assert_int_equal(listed(w).count, 0);
    assert_int_equal(state_sync_counts(w->ss).refused, 0);
}

static void a_refused_row_is_tried_again_when_the_mapping_changes(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_REJECTED, false);
    w->o.mapping.bytes[0] ^= 1;
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_ADDED);
}

static void a_refused_row_is_tried_again_after_retry(void **state)
{
    struct world *w = *state;
    struct err err;
    uint64_t position = 0, count = 0;
    bool more;
    world_one(w, 1, "a", "x", VERDICT_REJECTED, false);
    struct retry_filter other = {.message = "quota"},
                        same = {.message = "SUCH", .key = "{\"id\":1}"};
    world_check(state_retry(w->ss, &other, &position, 10, &count, &more, &err), &err);
    assert_int_equal(count, 0);
    position = 0;
    world_check(state_retry(w->ss, &same, &position, 10, &count, &more, &err), &err);
    assert_int_equal(count, 1);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_ADDED);
}

static void the_hash_that_was_accepted_is_unchanged_and_the_refusal_is_forgotten(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_REJECTED, false), DIFF_CHANGED);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_OK, false), DIFF_QUARANTINED);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(listed(w).count, 0);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_OK, false), DIFF_CHANGED);
}

static void a_vanished_row_is_removed_once_accepted_and_else_dropped_silently(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    assert_int_equal(world_one(w, 2, "b", "x", VERDICT_REJECTED, false), DIFF_ADDED);
    /* 1 is gone in the run of 2 already: its removal was refused with everything else */
    assert_true(entry_of(w, 1).flags & ENTRY_REMOVAL_REFUSED);
    assert_int_equal(world_empty(w), 0);
    assert_int_equal(state_sync_counts(w->ss).stored, 1);
    assert_int_equal(entry_of(w, 2).flags, 0);
}

static void a_refused_removal_is_not_sent_again_until_the_row_returns(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    assert_int_equal(world_empty(w), 1);
    world_all(w, VERDICT_REJECTED, false);
    assert_int_equal(listed(w).kind, REJECTED_REMOVAL);
    assert_int_equal(world_empty(w), 0);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(world_empty(w), 1);
}

static void a_refused_removal_is_sent_again_under_another_mapping_or_after_retry(void **state)
{
    struct world *w = *state;
    struct err err;
    uint64_t position = 0, count = 0;
    bool more;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    assert_int_equal(world_empty(w), 1);
    world_all(w, VERDICT_REJECTED, false);
    w->o.mapping.bytes[5] ^= 1;
    assert_int_equal(world_empty(w), 1);
    world_all(w, VERDICT_REJECTED, false);
    assert_int_equal(world_empty(w), 0);
    world_check(state_retry(w->ss, &(struct retry_filter){0}, &position, 10, &count, &more, &err),
                &err);
    assert_int_equal(count, 1);
    assert_int_equal(world_empty(w), 1);
}

static void an_accepted_removal_leaves_nothing_and_its_slot_waits_for_the_next_run(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_begin(w);
    world_finish(w, true);
    world_all(w, VERDICT_OK, false);
    assert_int_equal(state_sync_counts(w->ss).stored, 0);
    struct err err;
    uint32_t slot;
    bool added;
    world_check(state_key_take(w->ss, SLICE_LIT("t5\0"), &slot, &added, &err), &err);
    assert_int_equal(slot, 1);
    world_check(state_sync_begin(w->ss, &err), &err);
    world_check(state_key_take(w->ss, SLICE_LIT("t6\0"), &slot, &added, &err), &err);
    assert_int_equal(slot, 0);
}

static void a_removal_of_what_is_not_there_has_succeeded(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    assert_int_equal(world_empty(w), 1);
    world_all(w, VERDICT_NOT_FOUND, false);
    assert_int_equal(w->tallies[TALLY_SUCCEEDED], 1);
    assert_int_equal(state_sync_counts(w->ss).stored, 0);
}

/* ---- doubt ---- */

static void a_record_in_doubt_is_never_unchanged(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_FAILED, true), DIFF_CHANGED);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_CHANGED);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(state_sync_counts(w->ss).doubt, 0);
}

static void a_new_record_in_doubt_gets_an_entry_and_is_removed_with_its_row(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_CANCELLED, true);
    assert_int_equal(entry_of(w, 1).flags, ENTRY_DOUBT);
    assert_int_equal(world_empty(w), 1);
    world_all(w, VERDICT_OK, false);
    assert_int_equal(state_sync_counts(w->ss).stored, 0);
}

static void what_surely_never_arrived_leaves_the_entry_as_it_was(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    struct entry before = entry_of(w, 1);
    world_one(w, 1, "a", "y", VERDICT_CANCELLED, false);
    struct entry after = entry_of(w, 1);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(w->tallies[TALLY_CANCELLED], 1);
    assert_int_equal(world_one(w, 2, "b", "x", VERDICT_FAILED, false), DIFF_ADDED);
    assert_int_equal(listed(w).kind, REJECTED_FAILED);
    assert_int_equal(world_empty(w), 1); /* only 1 was ever there */
}

static void a_removal_in_doubt_makes_the_row_be_sent_when_it_returns(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    assert_int_equal(world_empty(w), 1);
    world_all(w, VERDICT_FAILED, true);
    assert_int_equal(world_empty(w), 1);
    world_all(w, VERDICT_FAILED, true);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_CHANGED);
}

static void a_refusal_says_nothing_of_an_earlier_attempt_in_doubt(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_FAILED, true);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_REJECTED, false), DIFF_ADDED);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_OK, false), DIFF_QUARANTINED);
    assert_int_equal(world_empty(w), 1);
}

/* ---- rows ---- */

static void the_first_row_of_a_key_wins(void **state)
{
    struct world *w = *state;
    world_begin(w);
    assert_int_equal(world_row(w, 1, "a", "x"), DIFF_ADDED);
    assert_int_equal(world_row(w, 1, "a", "y"), DIFF_INVALID);
    assert_non_null(strstr(w->reason, "duplicate key"));
    world_finish(w, true);
    world_all(w, VERDICT_OK, false);
    assert_string_equal(w->planned[0].text, "x");
    assert_int_equal(listed(w).count, 1); /* the acceptance of the first does not hide the second */
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(listed(w).count, 0); /* a whole read without it does */
}

static void a_null_key_is_invalid_and_kept_with_its_reason(void **state)
{
    struct world *w = *state;
    assert_int_equal(world_one(w, 0, "a", "x", VERDICT_OK, false), DIFF_INVALID);
    assert_string_equal(w->reason, "null key: id");
    assert_string_equal(listed(w).text, "{\"id\":null}");
}

static void a_row_whose_key_is_readable_is_never_removed_for_being_invalid(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_begin(w);
    assert_int_equal(world_row_invalid(w, 1, NULL, NULL, "name: cannot be mapped"), DIFF_INVALID);
    world_finish(w, true);
    assert_int_equal(w->planned_count, 0);
    assert_string_equal(listed(w).message, "name: cannot be mapped");
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(listed(w).count, 0);
}

static void a_quarantined_row_is_never_removed(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_one(w, 1, "a", "y", VERDICT_REJECTED, false);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_OK, false), DIFF_QUARANTINED);
    assert_int_equal(w->planned_count, 0);
    assert_true(entry_of(w, 1).flags & ENTRY_ACCEPTED);
}

static void a_read_that_did_not_end_removes_nothing(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    world_begin(w);
    world_row(w, 2, "b", "x");
    world_finish(w, false);
    assert_int_equal(diff_counts(w->d).removed, 0);
    assert_int_equal(diff_counts(w->d).added, 1);
}

static void a_row_that_cannot_be_batched_counts_as_invalid(void **state)
{
    struct world *w = *state;
    struct err err;
    world_begin(w);
    world_row(w, 1, "a", "x");
    struct diff_decision g = {
        .class = DIFF_ADDED, .slot = w->planned[0].record.slot, .key = w->planned[0].record.key};
    world_check(diff_refuse(w->d, &g, SLICE_LIT("too large"), &err), &err);
    w->planned_count = 0;
    world_finish(w, true);
    assert_int_equal(diff_counts(w->d).invalid, 1);
    assert_string_equal(listed(w).message, "too large");
}

/* ---- modes ---- */

static void insert_and_append_take_over_the_hash_of_a_change(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 2; i++) {
        int id = i + 1;
        w->o.mode = i ? MODE_APPEND : MODE_INSERT;
        w->o.on_removed = REMOVED_IGNORE;
        assert_int_equal(world_one(w, id, "a", "x", VERDICT_OK, false), DIFF_ADDED);
        assert_int_equal(w->planned[0].record.op, i ? OP_APPEND : OP_INSERT);
        assert_int_equal(world_one(w, id, "a", "y", VERDICT_OK, false), DIFF_UNCHANGED);
        w->o.mode = MODE_UPSERT;
        assert_int_equal(world_one(w, id, "a", "y", VERDICT_OK, false), DIFF_UNCHANGED);
    }
}

static void a_full_run_sends_known_keys_as_changed_and_skips_quarantined_rows(void **state)
{
    struct world *w = *state;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    w->o.mode = MODE_FULL;
    w->o.on_removed = REMOVED_DELETE;
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_REJECTED, false), DIFF_CHANGED);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_QUARANTINED);
    assert_int_equal(world_empty(w), 1);
    w->o.mode = MODE_APPEND;
    w->o.full = true;
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
}

static void no_such_record_is_rejected_and_due_again_after_a_day(void **state)
{
    struct world *w = *state;
    w->o.mode = MODE_UPDATE;
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_NOT_FOUND, false), DIFF_ADDED);
    assert_int_equal(w->planned[0].record.op, OP_UPDATE);
    assert_int_equal(w->tallies[TALLY_REJECTED], 1);
    w->now_ms += 23 * 3600 * 1000;
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_QUARANTINED);
    w->now_ms += 2 * 3600 * 1000;
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_ADDED);
}

static void a_mode_that_does_not_remove_marks_absent_and_a_later_one_removes(void **state)
{
    struct world *w = *state;
    w->o.mode = MODE_UPSERT;
    w->o.on_removed = REMOVED_IGNORE;
    world_one(w, 1, "a", "x", VERDICT_OK, false);
    assert_int_equal(world_empty(w), 0);
    assert_int_equal(state_sync_counts(w->ss).absent, 1);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(state_sync_counts(w->ss).absent, 0);
    assert_int_equal(world_empty(w), 0);
    w->o.on_removed = REMOVED_CLEAR;
    assert_int_equal(world_empty(w), 1);
    assert_int_equal(w->planned[0].record.op, OP_CLEAR);
}

static void first_run_skip_takes_the_rows_as_synced(void **state)
{
    struct world *w = *state;
    w->o.skip_first = true;
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(state_sync_counts(w->ss).accepted, 1);
    w->o.skip_first = false;
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
    assert_int_equal(world_one(w, 1, "a", "y", VERDICT_OK, false), DIFF_CHANGED);
}

/* ---- crash ---- */

static void a_verdict_after_a_crash_finds_its_entry_by_key(void **state)
{
    struct world *w = *state;
    struct err err;
    world_begin(w);
    world_row(w, 1, "a", "x");
    world_finish(w, true);
    diff_free(w->d);
    w->d = NULL;
    world_check(state_rollback(w->s, &err), &err);
    assert_int_equal(state_sync_counts(w->ss).stored, 0);
    w->planned[0].record.slot = SLOT_NONE;
    world_all(w, VERDICT_OK, false);
    assert_int_equal(world_one(w, 1, "a", "x", VERDICT_OK, false), DIFF_UNCHANGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_ids(a_new_row_is_added_and_after_acceptance_unchanged),
        with_emails(a_new_row_is_added_and_after_acceptance_unchanged),
        with_ids(other_target_names_make_every_row_changed),
        with_ids(a_refused_row_is_quarantined_until_its_values_change),
        with_ids(a_refused_row_is_tried_again_when_the_mapping_changes),
        with_ids(a_refused_row_is_tried_again_after_retry),
        with_ids(the_hash_that_was_accepted_is_unchanged_and_the_refusal_is_forgotten),
        with_ids(a_vanished_row_is_removed_once_accepted_and_else_dropped_silently),
        with_ids(a_refused_removal_is_not_sent_again_until_the_row_returns),
        with_ids(a_refused_removal_is_sent_again_under_another_mapping_or_after_retry),
        with_emails(a_refused_removal_is_sent_again_under_another_mapping_or_after_retry),
        with_ids(an_accepted_removal_leaves_nothing_and_its_slot_waits_for_the_next_run),
        with_ids(a_removal_of_what_is_not_there_has_succeeded),
        with_ids(a_record_in_doubt_is_never_unchanged),
        with_emails(a_record_in_doubt_is_never_unchanged),
        with_ids(a_new_record_in_doubt_gets_an_entry_and_is_removed_with_its_row),
        with_ids(what_surely_never_arrived_leaves_the_entry_as_it_was),
        with_ids(a_removal_in_doubt_makes_the_row_be_sent_when_it_returns),
        with_emails(a_removal_in_doubt_makes_the_row_be_sent_when_it_returns),
        with_ids(a_refusal_says_nothing_of_an_earlier_attempt_in_doubt),
        with_emails(a_refusal_says_nothing_of_an_earlier_attempt_in_doubt),
        with_ids(the_first_row_of_a_key_wins),
        with_ids(a_null_key_is_invalid_and_kept_with_its_reason),
        with_ids(a_row_whose_key_is_readable_is_never_removed_for_being_invalid),
        with_ids(a_quarantined_row_is_never_removed),
        with_ids(a_read_that_did_not_end_removes_nothing),
        with_ids(a_row_that_cannot_be_batched_counts_as_invalid),
        with_ids(insert_and_append_take_over_the_hash_of_a_change),
        with_ids(a_full_run_sends_known_keys_as_changed_and_skips_quarantined_rows),
        with_ids(no_such_record_is_rejected_and_due_again_after_a_day),
        with_ids(a_mode_that_does_not_remove_marks_absent_and_a_later_one_removes),
        with_ids(first_run_skip_takes_the_rows_as_synced),
        with_emails(first_run_skip_takes_the_rows_as_synced),
        with_ids(a_verdict_after_a_crash_finds_its_entry_by_key),
        with_emails(a_verdict_after_a_crash_finds_its_entry_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
