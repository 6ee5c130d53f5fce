/* A run that is fed changes: what is in flight, what is told of it, what it ends with, and what a
 * crash leaves. */
#include "scheduler/state/entries.h"
#include "tests/unit/run/run_world.h"

#include <string.h>

static const char upsert[] = "    mode: upsert\n";
static const char mirror[] = "    mode: mirror\n    guard: off\n    identify_by: email\n";
static const char events[] = "    mode: upsert\n    identify_by: email\n"
                             "    schedule: {stream: {from: events}}\n";
static const char guarded[] = "    mode: mirror\n    guard: {max_removed: 1, max_changed: 2}\n";

static int start(void **state, const char *sync)
{
    static struct run_world w;
    run_world_start(&w, sync);
    *state = &w;
    return 0;
}

static int start_upsert(void **state)
{
    return start(state, upsert);
}

static int start_mirror(void **state)
{
    return start(state, mirror);
}

static int start_guarded(void **state)
{
    return start(state, guarded);
}

static int start_events(void **state)
{
    static struct run_world w;
    run_world_start_events(&w, events);
    *state = &w;
    return 0;
}

static int stop(void **state)
{
    run_world_stop(*state);
    return 0;
}

static void begin(struct run_world *w)
{
    struct err err;
    if (run_world_begin(w, true, &err))
        fail_msg("%s", err.text);
}

/* A turn of these rows, accepted; ids from 1, e-mails a, b, … */
static void accept_rows(struct run_world *w, int count)
{
    size_t before = w->settled_count;
    for (int i = 0; i < count; i++) {
        char email[2] = {(char)('a' + i), '\0'};
        assert_int_equal(run_world_row(w, i + 1, email, "x", (uint64_t)i, false), CHANGE_PLANNED);
    }
    run_world_turn(w);
    run_world_answer(w, run_world_claim(w), VERDICT_OK, 0);
    run_world_settled(w, before + (size_t)count);
}

static void balances(const struct run_record *r)
{
    const struct run_counts *c = &r->counts;
    assert_string_equal(r->error, "");
    assert_true(r->stream);
    assert_int_equal(c->changes,
                     c->planned + c->unchanged + c->coalesced + c->invalid + c->quarantined);
    assert_int_equal(c->rows, c->changes - c->removed);
    struct run_sums sums;
    assert_true(run_counts_balance(c, &sums));
}

static void a_change_is_published_in_its_turn_and_settled_with_its_mark(void **state)
{
    struct run_world *w = *state;
    begin(w);
    assert_false(sync_run_reads(w->run));
    assert_int_equal(run_world_row(w, 7, "a", "x", 41, false), CHANGE_PLANNED);
    assert_int_equal(run_world_row(w, 7, "a", "y", 42, false), CHANGE_BUSY);
    run_world_turn(w);
    assert_int_equal(sync_run_in_flight(w->run), 1);
    assert_int_equal(sync_run_batches_open(w->run), 1);
    size_t claim = run_world_claim(w); /* while the run goes on */
    assert_int_equal(w->claims[claim].records, 1);
    assert_int_equal(run_world_row(w, 7, "a", "y", 42, false), CHANGE_BUSY);
    run_world_answer(w, claim, VERDICT_OK, 0);
    run_world_settled(w, 1);
    assert_int_equal(w->settled[0].mark, 41);
    assert_int_equal(w->settled[0].tries, 42);
    assert_int_equal(w->settled[0].id, 7);
    assert_int_equal(w->settled[0].how, SETTLED_SENT);
    assert_int_equal(sync_run_in_flight(w->run), 0);
    assert_int_equal(sync_run_batches_open(w->run), 0);
    assert_int_equal(run_world_row(w, 7, "a", "x", 43, false), CHANGE_DONE);
    assert_int_equal(run_world_row(w, 7, "a", "y", 44, false), CHANGE_PLANNED);
    sync_run_coalesced(w->run, 5);
    assert_int_equal(sync_run_changes(w->run), 8);
    sync_run_finish(w->run);
    assert_int_equal(run_world_row(w, 9, "b", "x", 45, false), CHANGE_BUSY);
    run_world_answer(w, run_world_claim(w), VERDICT_OK, 0);
    struct run_record r = run_world_end(w);
    balances(&r);
    assert_int_equal(r.status, RUN_SUCCESS);
    assert_true(r.read_ended);
    assert_int_equal(r.counts.changes, 8);
    assert_int_equal(r.counts.coalesced, 5);
    assert_int_equal(r.counts.added, 1);
    assert_int_equal(r.counts.changed, 1);
    assert_int_equal(r.counts.unchanged, 1);
    assert_int_equal(r.counts.succeeded, 2);
}

static void a_record_stays_in_flight_until_its_verdict_is_committed(void **state)
{
    struct run_world *w = *state;
    begin(w);
    run_world_row(w, 7, "a", "x", 41, false);
    run_world_turn(w);
    run_world_answer(w, run_world_claim(w), VERDICT_OK, 0);
    while (!w->settled_count)
        run_world_loop(w);
    assert_int_equal(sync_run_in_flight(w->run), 0);
    assert_false(sync_run_awaits_commit(w->run));
    assert_int_equal(run_world_row(w, 7, "a", "y", 42, false), CHANGE_BUSY);
    assert_true(sync_run_awaits_commit(w->run));
    assert_int_equal(w->landed_count, 0);
    run_world_commit(w);
    assert_int_equal(w->landed_count, 1);
    assert_false(sync_run_awaits_commit(w->run));
    assert_int_equal(run_world_row(w, 7, "a", "y", 42, false), CHANGE_PLANNED);
    sync_run_finish(w->run);
    run_world_answer(w, run_world_claim(w), VERDICT_OK, 0);
    struct run_record r = run_world_end(w);
    balances(&r);
}

static void the_worst_verdict_of_a_change_is_told_once(void **state)
{
    struct run_world *w = *state;
    begin(w);
    accept_rows(w, 1);
    assert_int_equal(run_world_row(w, 1, "b", "x", 5, false), CHANGE_PLANNED);
    run_world_turn(w); /* the new identity, and the removal of the old one */
    assert_int_equal(sync_run_in_flight(w->run), 2);
    size_t claim = run_world_claim(w);
    assert_int_equal(w->claims[claim].records, 2);
    run_world_answer_first(w, claim, VERDICT_FAILED, VERDICT_OK);
    run_world_settled(w, 2);
    assert_int_equal(w->settled[1].mark, 5);
    assert_int_equal(w->settled[1].how, SETTLED_FAILED);
    sync_run_finish(w->run);
    struct run_record r = run_world_end(w);
    balances(&r);
    assert_int_equal(r.status, RUN_WARNING);
    assert_int_equal(r.counts.changes, 3); /* one for the identity that was left */
    assert_int_equal(r.counts.rows, 2);
    assert_int_equal(r.counts.removed, 1);
}

static void gone_rows_are_removed_and_rows_with_their_identity_take_it_over(void **state)
{
    struct run_world *w = *state;
    begin(w);
    accept_rows(w, 3);
    assert_int_equal(run_world_row(w, 9, "a", "x", 10, false), CHANGE_ASIDE);
    assert_int_equal(run_world_gone(w, 1, 11), CHANGE_PLANNED);
    assert_int_equal(run_world_gone(w, 2, 12), CHANGE_PLANNED);
    assert_int_equal(run_world_gone(w, 77, 13), CHANGE_DONE);
    assert_int_equal(run_world_row(w, 9, "a", "x", 10, true), CHANGE_PLANNED);
    assert_int_equal(w->settled_count, 3);
    run_world_turn(w);
    run_world_settled(w, 4); /* nothing was to be removed of row 1 */
    assert_int_equal(w->settled[3].mark, 11);
    assert_int_equal(w->settled[3].how, SETTLED_SENT);
    assert_int_equal(sync_run_in_flight(w->run), 2);
    run_world_answer_all(w, 6, VERDICT_OK);
    assert_null(sync_run_wants_read(w->run));
    sync_run_finish(w->run);
    struct run_record r = run_world_end(w);
    balances(&r);
    assert_int_equal(r.status, RUN_SUCCESS);
    assert_int_equal(r.counts.added, 4);
    assert_int_equal(r.counts.removed, 1);
    assert_int_equal(r.counts.unchanged, 2);
}

static void what_is_invalid_is_counted_and_a_refused_identity_asks_for_a_read(void **state)
{
    struct run_world *w = *state;
    begin(w);
    accept_rows(w, 1);
    assert_int_equal(run_world_row(w, 2, "a", "y", 10, false), CHANGE_ASIDE);
    assert_int_equal(run_world_row(w, 2, "a", "y", 10, true), CHANGE_DONE);
    assert_int_equal(run_world_row(w, 3, NULL, "y", 10, false), CHANGE_DONE);
    run_world_turn(w);
    assert_null(sync_run_wants_read(w->run));
    run_world_gone(w, 1, 11);
    run_world_turn(w);
    assert_non_null(sync_run_wants_read(w->run));
    sync_run_finish(w->run);
    struct run_record r = run_world_end(w);
    balances(&r);
    assert_int_equal(r.status, RUN_WARNING);
    assert_int_equal(r.counts.invalid, 2);
}

static void guards_hold_within_the_hour_over_runs(void **state)
{
    struct run_world *w = *state;
    begin(w);
    accept_rows(w, 10);
    sync_run_finish(w->run);
    run_world_end(w);
    begin(w);
    assert_int_equal(run_world_gone(w, 1, 1), CHANGE_PLANNED);
    assert_null(sync_run_guard(w->run));
    assert_int_equal(run_world_gone(w, 2, 2), CHANGE_BUSY);
    assert_string_equal(
        sync_run_guard(w->run),
        "guard max_removed: 2 of 10 accepted records within an hour, allowed are 1");
    assert_int_equal(run_world_row(w, 3, "c", "y", 3, false), CHANGE_PLANNED);
    sync_run_finish(w->run); /* in the middle of a turn */
    run_world_answer_all(w, 2, VERDICT_OK);
    struct run_record r = run_world_end(w);
    balances(&r);
    assert_int_equal(r.counts.removed, 1);
    begin(w);
    assert_int_equal(run_world_gone(w, 2, 2), CHANGE_BUSY);
    assert_string_equal(
        sync_run_guard(w->run),
        "guard max_removed: 2 of 10 accepted records within an hour, allowed are 1");
    assert_int_equal(run_world_row(w, 4, "d", "y", 3, false), CHANGE_PLANNED);
    assert_int_equal(run_world_row(w, 5, "e", "y", 3, false), CHANGE_BUSY);
    assert_int_equal(run_world_row(w, 50, "f", "y", 3, false), CHANGE_PLANNED);
    sync_run_stop(w->run, RUN_STOP_CANCEL, "enough");
    run_world_end(w);
}

static void what_is_stopped_is_settled_as_cancelled(void **state)
{
    struct run_world *w = *state;
    begin(w);
    accept_rows(w, 2);
    assert_int_equal(run_world_row(w, 1, "a", "y", 10, false), CHANGE_PLANNED);
    assert_int_equal(run_world_gone(w, 2, 11), CHANGE_PLANNED);
    sync_run_stop(w->run, RUN_STOP_CANCEL, "enough");
    struct run_record r = run_world_end(w);
    assert_int_equal(w->settled_count, 4);
    assert_int_equal(w->settled[2].how, SETTLED_CANCELLED);
    assert_int_equal(w->settled[3].how, SETTLED_CANCELLED);
    assert_int_equal(r.status, RUN_CANCELLED);
    assert_int_equal(r.counts.cancelled, 2);
    struct run_sums sums;
    assert_true(run_counts_balance(&r.counts, &sums));
}

static void twenty_single_refusals_stop_it_and_condemn_nothing(void **state)
{
    struct run_world *w = *state;
    begin(w);
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(run_world_row(w, i, "a", "x", (uint64_t)i, false), CHANGE_PLANNED);
        run_world_turn(w);
        assert_int_equal(w->settled_count, 0);
        run_world_answer(w, run_world_claim(w), VERDICT_REJECTED, RESULT_SINGLE);
    }
    struct run_record r = run_world_end(w);
    assert_int_equal(w->settled_count, 20);
    assert_int_equal(w->settled[0].how, SETTLED_FAILED);
    assert_int_equal(r.status, RUN_FAILED);
    assert_int_equal(r.counts.failed, 20);
    assert_non_null(strstr(r.error, "refused 20 single records"));
}

static void single_refusals_count_once_something_was_accepted(void **state)
{
    struct run_world *w = *state;
    begin(w);
    run_world_row(w, 1, "a", "x", 1, false);
    run_world_turn(w);
    run_world_answer(w, run_world_claim(w), VERDICT_REJECTED, RESULT_SINGLE);
    run_world_row(w, 2, "a", "x", 2, false);
    run_world_turn(w);
    run_world_answer(w, run_world_claim(w), VERDICT_OK, 0);
    run_world_settled(w, 2);
    assert_int_equal(w->settled[0].mark + w->settled[1].mark, 3);
    assert_int_equal(run_world_row(w, 1, "a", "x", 3, false), CHANGE_DONE);
    sync_run_finish(w->run);
    struct run_record r = run_world_end(w);
    balances(&r);
    assert_int_equal(r.counts.rejected, 1);
    assert_int_equal(r.counts.quarantined, 1);
}

static void a_crash_leaves_one_ordered_lane_and_nothing_interrupted(void **state)
{
    struct run_world *w = *state;
    begin(w);
    accept_rows(w, 1);
    for (int i = 2; i < 5; i++) {
        run_world_row(w, i, "z", "x", (uint64_t)i, false);
        run_world_turn(w);
    }
    sync_run_coalesced(w->run, 2);
    run_world_row(w, 1, "a", "x", 1, false);
    run_world_claim(w); /* a worker has the first when everything dies */
    run_world_crash(w);
    w->claim_count = 0;
    size_t first = run_world_claim(w);
    assert_non_null(strstr(w->claims[first].batch, ".1"));
    assert_false(run_world_try_claim(w)); /* one at a time */
    run_world_answer(w, first, VERDICT_OK, 0);
    first = run_world_claim(w);
    assert_non_null(strstr(w->claims[first].batch, ".2"));
    assert_false(run_world_try_claim(w));
    run_world_answer(w, first, VERDICT_OK, 0);
    run_world_answer(w, run_world_claim(w), VERDICT_REJECTED, 0);
    struct run_record r = run_world_end(w);
    balances(&r);
    assert_int_equal(w->settled_count, 0); /* the stream that knew their marks is gone */
    assert_int_equal(r.status, RUN_WARNING);
    assert_true(r.read_ended);
    assert_int_equal(r.counts.added, 4);
    assert_int_equal(r.counts.unchanged, 1);
    assert_int_equal(r.counts.coalesced, 2);
    assert_int_equal(r.counts.changes, 7);
    assert_int_equal(r.counts.succeeded, 3);
    assert_int_equal(r.counts.rejected, 1);
}

static void a_crash_before_anything_was_planned_is_a_success(void **state)
{
    struct run_world *w = *state;
    begin(w);
    run_world_crash(w);
    struct run_record r = run_world_end(w);
    balances(&r);
    assert_int_equal(r.status, RUN_SUCCESS);
    assert_int_equal(r.counts.changes, 0);
}

static void what_a_crash_left_of_a_sync_that_is_gone_is_cancelled(void **state)
{
    struct run_world *w = *state;
    begin(w);
    accept_rows(w, 1);
    run_world_row(w, 2, "b", "x", 2, false);
    run_world_turn(w);
    run_world_crash_to(w, NULL);
    struct run_record r = run_world_end(w);
    assert_int_equal(r.status, RUN_CANCELLED);
    assert_int_equal(r.counts.succeeded, 1);
    assert_int_equal(r.counts.cancelled, 1);
    struct run_sums sums;
    assert_true(run_counts_balance(&r.counts, &sums));
}

static void give_another_target(struct run_world *w)
{
    struct state_sync *ss;
    struct err err;
    assert_int_equal(state_sync_open(w->state, "s", &ss, &err), ERR_OK);
    assert_int_equal(state_sync_set_target(ss, (const uint8_t *)"another account.", &err), ERR_OK);
    state_sync_close(ss);
}

static void another_target_is_for_a_read_to_judge(void **state)
{
    struct run_world *w = *state;
    struct err err;
    begin(w);
    sync_run_finish(w->run);
    run_world_end(w);
    give_another_target(w);
    begin(w); /* nothing was accepted there */
    accept_rows(w, 1);
    sync_run_finish(w->run);
    run_world_end(w);
    give_another_target(w);
    assert_int_equal(run_world_begin(w, true, &err), ERR_STALE);
    assert_non_null(strstr(err.text, "the target changed"));
    sync_run_stop(w->run, RUN_STOP_CANCEL, err.text);
    struct run_record r = run_world_end(w);
    assert_int_equal(r.status, RUN_CANCELLED);
    assert_int_equal(run_world_begin(w, false, &err), ERR_OK);
    run_world_read(w, 1, "a", "x");
    sync_run_read_end(w->run, NULL);
    r = run_world_end(w);
    assert_int_equal(r.status, RUN_HELD);
    assert_true(r.fresh);
}

/* What only a read could judge must not keep them from flowing. */
static void events_go_on_whatever_changes_around_them(void **state)
{
    struct run_world *w = *state;
    struct err err;
    struct run_start stream = {.stream = true};
    begin(w);
    accept_rows(w, 1);
    sync_run_finish(w->run);
    run_world_end(w);
    if (run_world_begin_with(w, &stream, "name", COLUMN_NUMERIC, &err))
        fail_msg("%s", err.text);
    assert_int_equal(run_world_row(w, 1, "a", "x", 1, false), CHANGE_DONE);
    assert_int_equal(run_world_row(w, 2, "a", "x", 2, false), CHANGE_ASIDE);
    assert_int_equal(run_world_row(w, 2, "a", "x", 2, true), CHANGE_DONE);
    run_world_turn(w);
    assert_int_equal(run_world_row(w, 1, "b", "x", 3, false), CHANGE_PLANNED);
    assert_null(sync_run_wants_read(w->run));
    sync_run_stop(w->run, RUN_STOP_CANCEL, "enough");
    run_world_end(w);
    give_another_target(w);
    begin(w); /* nothing of it is there */
    assert_int_equal(run_world_row(w, 1, "a", "x", 1, false), CHANGE_PLANNED);
    sync_run_stop(w->run, RUN_STOP_CANCEL, "enough");
    struct run_record r = run_world_end(w);
    assert_int_equal(r.counts.added, 1);
}

static void columns_that_changed_are_for_a_read_to_judge(void **state)
{
    struct run_world *w = *state;
    struct err err;
    struct run_start stream = {.stream = true};
    begin(w);
    accept_rows(w, 1);
    sync_run_finish(w->run);
    run_world_end(w);
    assert_int_equal(run_world_begin_with(w, &stream, "name", COLUMN_INT, &err), ERR_STALE);
    assert_non_null(strstr(err.text, "column name"));
    sync_run_finish(w->run);
    struct run_record r = run_world_end(w);
    assert_int_equal(r.counts.changes, 0);
    assert_false(r.read_ended);
    begin(w);
    assert_int_equal(run_world_row(w, 1, "a", "x", 1, false), CHANGE_DONE);
    sync_run_finish(w->run);
    run_world_end(w);
}

static void a_read_that_is_asked_to_be_held_is_held_whatever_it_plans(void **state)
{
    struct run_world *w = *state;
    struct err err;
    struct run_start start = {.hold = "a guard held the stream"};
    assert_int_equal(run_world_begin_with(w, &start, "name", COLUMN_TEXT, &err), ERR_OK);
    assert_true(sync_run_reads(w->run));
    assert_string_equal(sync_run_asked_hold(w->run), "a guard held the stream");
    run_world_read(w, 1, "a", "x");
    sync_run_read_end(w->run, NULL);
    struct run_record r = run_world_end(w);
    assert_int_equal(r.status, RUN_HELD);
    assert_string_equal(r.reason, "a guard held the stream");
    assert_int_equal(r.counts.planned, 1);
    assert_false(r.stream);
}

static void a_record_keeps_what_belongs_to_a_stream(void **state)
{
    struct run_world *w = *state;
    struct run_record kept;
    struct err err;
    begin(w);
    sync_run_coalesced(w->run, 3);
    sync_run_finish(w->run);
    struct run_record r = run_world_end(w);
    assert_int_equal(state_run_get(w->state, r.id, &kept, &err), ERR_OK);
    assert_true(kept.stream);
    assert_int_equal(kept.counts.coalesced, 3);
    assert_int_equal(kept.counts.changes, 3);
    assert_int_equal(kept.counts.rows, 3);
}

#define with(setup, f) cmocka_unit_test_setup_teardown(f, setup, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(start_upsert, a_change_is_published_in_its_turn_and_settled_with_its_mark),
        with(start_mirror, a_record_stays_in_flight_until_its_verdict_is_committed),
        with(start_mirror, the_worst_verdict_of_a_change_is_told_once),
        with(start_mirror, gone_rows_are_removed_and_rows_with_their_identity_take_it_over),
        with(start_mirror, what_is_invalid_is_counted_and_a_refused_identity_asks_for_a_read),
        with(start_guarded, guards_hold_within_the_hour_over_runs),
        with(start_mirror, what_is_stopped_is_settled_as_cancelled),
        with(start_upsert, twenty_single_refusals_stop_it_and_condemn_nothing),
        with(start_upsert, single_refusals_count_once_something_was_accepted),
        with(start_upsert, a_crash_leaves_one_ordered_lane_and_nothing_interrupted),
        with(start_upsert, a_crash_before_anything_was_planned_is_a_success),
        with(start_upsert, what_a_crash_left_of_a_sync_that_is_gone_is_cancelled),
        with(start_upsert, another_target_is_for_a_read_to_judge),
        with(start_events, events_go_on_whatever_changes_around_them),
        with(start_upsert, columns_that_changed_are_for_a_read_to_judge),
        with(start_upsert, a_read_that_is_asked_to_be_held_is_held_whatever_it_plans),
        with(start_upsert, a_record_keeps_what_belongs_to_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
