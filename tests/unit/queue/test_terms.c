/* Terms: of two schedulers on copies of one state, Redis hears only the later one. */
#include "bench.h"

static const char OTHER[] = "fedcba9876543210fedcba9876543210";

static void take_term(struct bench *b, const char *state, uint64_t number, const char *holder)
{
    struct queue_term t = {.number = number};
    snprintf(t.state_id, sizeof t.state_id, "%s", state);
    snprintf(t.holder, sizeof t.holder, "%s", holder);
    queue_set_term(b->q, &t);
}

static enum err_code open_as(struct bench *b, const char *state)
{
    struct queue_epoch e = {
        .state_id = state, .epoch = EPOCH, .permit_ms = PERMIT_MS, .commit = 7, .concurrency = 4};
    answered(b, queue_open(b->q, &e, on_done, &b->seen, &b->err));
    return b->seen.err.code;
}

static enum err_code fence(struct bench *b)
{
    answered(b, queue_fence(b->q, on_done, &b->seen, &b->err));
    return b->seen.err.code;
}

static enum err_code clear(struct bench *b)
{
    answered(b, queue_clear(b->q, on_done, &b->seen, &b->err));
    return b->seen.err.code;
}

static void look(struct bench *b, const char *state, uint64_t want, const char *holder)
{
    answered(b, queue_look(b->q, state, on_opened, &b->seen, &b->err));
    assert_int_equal(b->seen.err.code, ERR_OK);
    assert_int_equal(b->seen.opened.term, want);
    assert_string_equal(b->seen.opened.holder, holder);
}

static void an_open_tells_its_term_to_later_looks_of_that_state_alone(void **state)
{
    struct bench *b = *state;
    look(b, STATE, 0, "");
    take_term(b, STATE, 5, "aa");
    assert_int_equal(open_as(b, STATE), ERR_OK);
    look(b, STATE, 5, "aa");
    look(b, OTHER, 0, "");
}

static void whoever_is_older_changes_nothing(void **state)
{
    static const struct {
        uint64_t number;
        const char *holder;
        enum err_code want;
    } cases[] = {
        {4, "aa", ERR_STALE}, {5, "bb", ERR_STALE}, {4, "bb", ERR_STALE},
        {5, "aa", ERR_OK},    {6, "bb", ERR_OK},
    };
    struct bench *b = *state;
    take_term(b, STATE, 5, "aa");
    assert_int_equal(open_as(b, STATE), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        take_term(b, STATE, cases[i].number, cases[i].holder);
        enum err_code want = cases[i].want;
        assert_int_equal(fence(b), want);
        answered(b, queue_reap(b->q, "w", true, on_done, &b->seen, &b->err));
        assert_int_equal(b->seen.err.code, want);
        assert_int_equal(clear(b), want);
        assert_int_equal(open_as(b, STATE), want);
        if (want) /* the epoch that is there is whole */
            look(b, STATE, 5, "aa");
        else
            look(b, STATE, cases[i].number, cases[i].holder);
        if (want) {
            take_term(b, STATE, 5, "aa");
            answered(b,
                     queue_permit(b->q, EPOCH, PERMIT_MS, 8, NULL, 0, on_stats, &b->seen, &b->err));
            assert_int_equal(b->seen.err.code, ERR_OK);
        }
    }
}

/* Between two steps of the older one the later one comes: none of the older one's steps follows. */
static void every_step_is_refused_once_a_later_one_fenced(void **state)
{
    struct bench *b = *state;
    for (int step = 0; step < 3; step++) {
        uint64_t first = (uint64_t)step * 10 + 1;
        take_term(b, STATE, first, "aa");
        assert_int_equal(fence(b), ERR_OK);
        assert_int_equal(clear(b), ERR_OK);
        assert_int_equal(open_as(b, STATE), ERR_OK);
        if (step)
            assert_int_equal(fence(b), ERR_OK);
        if (step == 2)
            assert_int_equal(clear(b), ERR_OK);
        take_term(b, STATE, first + 1, "bb");
        assert_int_equal(fence(b), ERR_OK);
        take_term(b, STATE, first, "aa");
        assert_int_equal(fence(b), ERR_STALE);
        assert_int_equal(clear(b), ERR_STALE);
        assert_int_equal(open_as(b, STATE), ERR_STALE);
        take_term(b, STATE, first + 1, "bb");
        assert_int_equal(clear(b), ERR_OK);
        assert_int_equal(open_as(b, STATE), ERR_OK);
        look(b, STATE, first + 1, "bb");
    }
}

/* Another state's number says nothing about this one's; after it opened, the first one's is gone.
 */
static void another_state_is_not_measured_by_this_ones_term(void **state)
{
    struct bench *b = *state;
    take_term(b, STATE, 9, "aa");
    assert_int_equal(open_as(b, STATE), ERR_OK);
    take_term(b, OTHER, 1, "cc");
    assert_int_equal(fence(b), ERR_OK);
    look(b, STATE, 9, "aa");
    assert_int_equal(clear(b), ERR_OK);
    assert_int_equal(open_as(b, OTHER), ERR_OK);
    look(b, OTHER, 1, "cc");
    look(b, STATE, 0, "");
}

static void a_term_outlives_a_clear_and_a_caller_without_one_is_not_refused(void **state)
{
    struct bench *b = *state;
    take_term(b, STATE, 5, "aa");
    assert_int_equal(open_as(b, STATE), ERR_OK);
    assert_int_equal(fence(b), ERR_OK);
    assert_int_equal(clear(b), ERR_OK);
    look(b, STATE, 5, "aa");
    take_term(b, STATE, 4, "aa");
    assert_int_equal(open_as(b, STATE), ERR_STALE);
    take_term(b, STATE, 0, "");
    assert_int_equal(open_as(b, STATE), ERR_OK);
    look(b, STATE, 0, "");
}

static enum err_code wipe(struct bench *b, const char *state, uint64_t commit, bool fenced)
{
    answered(b, queue_wipe(b->q, state, commit, fenced, on_done, &b->seen, &b->err));
    return b->seen.err.code;
}

static void nobody_wipes_what_a_later_scheduler_left_or_knows_of(void **state)
{
    static const struct {
        const char *state;
        uint64_t term, commit;
        bool fenced;
        enum err_code want;
    } cases[] = {
        {STATE, 4, 7, true, ERR_STALE}, /* superseded */
        {STATE, 6, 6, true, ERR_BUSY},  /* restored: what is here is newer than the state */
        {OTHER, 6, 7, false, ERR_BUSY}, /* another state's by now */
        {STATE, 5, 7, false, ERR_OK},   {OTHER, 6, 0, true, ERR_OK},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        take_term(b, STATE, 5, "aa");
        assert_int_equal(fence(b), ERR_OK);
        assert_int_equal(clear(b), ERR_OK);
        assert_int_equal(open_as(b, STATE), ERR_OK); /* at commit 7 */
        assert_int_equal(fence(b), ERR_OK);
        assert_int_equal(clear(b), ERR_OK);
        take_term(b, cases[i].state, cases[i].term, "aa");
        assert_int_equal(wipe(b, cases[i].state, cases[i].commit, cases[i].fenced), cases[i].want);
        assert_int_equal(redis_server_ask_int(&b->server, "EXISTS", "sluice:{crm}:meta", NULL),
                         cases[i].want != ERR_OK);
    }
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(an_open_tells_its_term_to_later_looks_of_that_state_alone),
        WITH_SERVER(whoever_is_older_changes_nothing),
        WITH_SERVER(every_step_is_refused_once_a_later_one_fenced),
        WITH_SERVER(another_state_is_not_measured_by_this_ones_term),
        WITH_SERVER(a_term_outlives_a_clear_and_a_caller_without_one_is_not_refused),
        WITH_SERVER(nobody_wipes_what_a_later_scheduler_left_or_knows_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
