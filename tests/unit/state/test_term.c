/* The term of a state: who is the newest of its schedulers, and whether its file is a copy. */
#include "place.h"

#include "scheduler/state/term.h"

#include <fcntl.h>

static struct state_term raise(struct place *p, uint64_t above)
{
    struct state_term t;
    must(state_term_raise(p->s, above, &t, &err));
    must(state_commit(p->s, &err));
    return t;
}

static void each_start_has_a_higher_term_and_a_holder_of_its_own(void **state)
{
    struct place *p = *state;
    struct state_term t;
    bool copy;
    must(state_term_get(p->s, &t, &copy, &err));
    assert_int_equal(t.number, 0);
    assert_false(copy);
    struct state_term first = raise(p, 0), second = raise(p, 0), third = raise(p, 40);
    assert_int_equal(first.number, 1);
    assert_int_equal(second.number, 2);
    assert_int_equal(third.number, 41);
    assert_string_not_equal(first.holder, second.holder);
    assert_int_equal(strlen(third.holder), TERM_HOLDER_BYTES - 1);
    place_reopen(p);
    must(state_term_get(p->s, &t, &copy, &err));
    assert_int_equal(t.number, 41);
    assert_string_equal(t.holder, third.holder);
    char boot[TERM_BOOT_BYTES];
    state_term_boot(boot);
    assert_string_equal(t.boot, boot);
    assert_false(copy);
}

static void a_term_that_was_not_committed_is_not_there(void **state)
{
    struct place *p = *state;
    struct state_term t;
    bool copy;
    raise(p, 0);
    must(state_term_raise(p->s, 0, &t, &err));
    place_reopen(p);
    must(state_term_get(p->s, &t, &copy, &err));
    assert_int_equal(t.number, 1);
}

static void only_what_is_older_is_behind(void **state)
{
    (void)state;
    struct state_term own = {.number = 5, .holder = "aa"};
    assert_false(state_term_is_behind(&own, 0, ""));
    assert_false(state_term_is_behind(&own, 4, "bb"));
    assert_false(state_term_is_behind(&own, 5, "aa"));
    assert_true(state_term_is_behind(&own, 5, "bb"));
    assert_true(state_term_is_behind(&own, 6, "aa"));
    struct state_term none = {0};
    assert_false(state_term_is_behind(&none, 0, ""));
    assert_true(state_term_is_behind(&none, 1, "aa"));
}

static void a_copied_file_is_known_as_one_until_its_term_is_raised(void **state)
{
    struct place *p = *state, *q;
    struct state_term t;
    bool copy;
    void *other;
    place_setup(&other);
    q = other;
    raise(p, 0);
    state_close(q->s);
    q->s = NULL;
    char from[256], to[256];
    snprintf(from, sizeof from, "%s/state.lmdb", p->dir);
    snprintf(to, sizeof to, "%s/state.lmdb", q->dir);
    assert_int_equal(unlink(to), 0);
    must(state_copy(p->dir, q->dir, &err));
    must(state_open(q->dir, NULL, &q->s, &err));
    must(state_term_get(q->s, &t, &copy, &err));
    assert_int_equal(t.number, 1);
    assert_true(copy);
    raise(q, 0);
    must(state_term_get(q->s, &t, &copy, &err));
    assert_false(copy);
    must(state_term_get(p->s, &t, &copy, &err));
    assert_false(copy);
    place_teardown(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_start_has_a_higher_term_and_a_holder_of_its_own,
                                        place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(a_term_that_was_not_committed_is_not_there, place_setup,
                                        place_teardown),
        cmocka_unit_test(only_what_is_older_is_behind),
        cmocka_unit_test_setup_teardown(a_copied_file_is_known_as_one_until_its_term_is_raised,
                                        place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
