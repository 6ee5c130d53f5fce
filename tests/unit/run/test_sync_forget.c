/* Forgetting single keys of a run that is fed: not what is in flight, and all but what is listed.
 */
#include "tests/unit/run/run_world.h"

#include "scheduler/state/entries.h"
#include "scheduler/state/key.h"
#include "scheduler/state/rejected.h"

#include <stdio.h>
#include <string.h>

static int start(void **state)
{
    static struct run_world w;
    struct err err;
    run_world_start(&w, "    mode: append\n    first_run: send\n");
    if (run_world_begin(&w, true, &err))
        fail_msg("%s", err.text);
    *state = &w;
    return 0;
}

static int stop(void **state)
{
    run_world_stop(*state);
    return 0;
}

static struct slice key_of(struct buf *b, int id)
{
    char text[16];
    struct err err;
    struct value v = {VALUE_NUMBER, (uint32_t)snprintf(text, sizeof text, "%d", id), text};
    buf_reset(b);
    assert_int_equal(key_encode(b, &v, 1, NULL, &err), ERR_OK);
    return buf_slice(b);
}

static void forget(struct run_world *w, int id)
{
    struct buf b CLEANUP(buf_done);
    struct err err;
    buf_init(&b, KEY_BYTES_MAX + 512);
    if (sync_run_forget(w->run, key_of(&b, id), &err))
        fail_msg("%s", err.text);
}

static bool is_known(struct run_world *w, int id)
{
    struct buf b CLEANUP(buf_done);
    struct entry_view view;
    struct err err;
    buf_init(&b, KEY_BYTES_MAX + 512);
    enum err_code rc = state_entry_look(w->state, w->sync->name, key_of(&b, id), &view, &err);
    assert_true(rc == ERR_OK || rc == ERR_NOTFOUND);
    return rc == ERR_OK;
}

static bool count_one(void *ctx, const struct rejected *r)
{
    (void)r;
    ++*(unsigned *)ctx;
    return true;
}

static unsigned listed(struct run_world *w)
{
    unsigned n = 0;
    struct err err;
    assert_int_equal(state_rejected_list(w->state, w->sync->name, 0, count_one, &n, &err), ERR_OK);
    return n;
}

static void plan(struct run_world *w, int id)
{
    assert_int_equal(run_world_row(w, id, "a", "x", 1, false), CHANGE_PLANNED);
    run_world_turn(w);
}

/* Settled, and not committed. */
static void answer(struct run_world *w, enum verdict verdict)
{
    size_t before = w->settled_count;
    run_world_answer(w, run_world_claim(w), verdict, 0);
    while (w->settled_count == before)
        run_world_loop(w);
}

static void what_is_in_flight_stays(void **state)
{
    struct run_world *w = *state;
    plan(w, 1);
    forget(w, 1);
    assert_true(is_known(w, 1));
    answer(w, VERDICT_OK);
    run_world_commit(w);
    assert_int_equal(run_world_row(w, 1, "a", "x", 2, false), CHANGE_DONE);
}

static void what_is_settled_goes_in_the_transaction_of_its_verdict(void **state)
{
    struct run_world *w = *state;
    plan(w, 1);
    answer(w, VERDICT_OK);
    assert_true(is_known(w, 1));
    forget(w, 1);
    assert_false(is_known(w, 1));
    run_world_commit(w);
    assert_false(is_known(w, 1));
    plan(w, 1); /* as if it had never been */
    answer(w, VERDICT_OK);
    run_world_commit(w);
    assert_true(is_known(w, 1));
}

static void what_was_refused_stays_listed(void **state)
{
    struct run_world *w = *state;
    plan(w, 1);
    answer(w, VERDICT_REJECTED);
    forget(w, 1);
    run_world_commit(w);
    assert_false(is_known(w, 1));
    assert_int_equal(listed(w), 1);
}

static void a_key_that_is_unknown_is_fine(void **state)
{
    struct run_world *w = *state;
    forget(w, 5);
    assert_false(is_known(w, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_in_flight_stays, start, stop),
        cmocka_unit_test_setup_teardown(what_is_settled_goes_in_the_transaction_of_its_verdict,
                                        start, stop),
        cmocka_unit_test_setup_teardown(what_was_refused_stays_listed, start, stop),
        cmocka_unit_test_setup_teardown(a_key_that_is_unknown_is_fine, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
