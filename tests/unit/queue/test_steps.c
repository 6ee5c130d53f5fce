/* Batches of several requests and shared values, through the calls as workers make them. */
#include "tests/unit/queue/bench.h"

#include "protocol/queue/shared.h"

/* What the callbacks of the shared calls saw. */
struct sight {
    struct seen *seen;
    struct queue_shared shared;
    size_t count;
    uint64_t version;
    char name[64], value[64], holder[64];
};

static void on_shared(void *ctx, const struct queue_shared *shared, const struct err *err)
{
    struct sight *s = ctx;
    note(s->seen, err);
    if (!shared)
        return;
    s->shared = *shared;
    keep(s->value, shared->value);
    keep(s->holder, shared->holder);
}

static void on_all(void *ctx, const struct queue_shared_value *values, size_t count,
                   uint64_t version, const struct err *err)
{
    struct sight *s = ctx;
    note(s->seen, err);
    s->count = count;
    s->version = version;
    if (!count)
        return;
    keep(s->name, values[0].name);
    keep(s->value, values[0].value);
}

static void next_step(struct bench *b, uint64_t token)
{
    struct queue_claim c = claim_of(token);
    claim(b, &c);
    assert_true(b->seen.claimed.got);
}

static void a_batch_brings_its_progress_to_the_next_claim(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    enqueue_one(b, 1, "b1");
    next_step(b, 1);
    assert_int_equal(b->seen.claimed.progress.n, 0);
    struct queue_settle s = settle_of(1, SETTLE_CONTINUE);
    s.progress = SLICE_LIT("0123456789");
    assert_int_equal(settle(b, &s), 1);
    next_step(b, 2);
    assert_int_equal(b->seen.claimed.progress.n, 10);
    const struct settle_part part = {SLICE_LIT("b1-x"), SLICE_LIT("0"), SLICE_LIT("one"), 1};
    s.token = 2;
    s.parts = &part;
    s.part_count = 1;
    s.progress = SLICE_LIT("abc");
    assert_int_equal(settle(b, &s), 1);
    next_step(b, 3);
    assert_string_equal(b->seen.part, "b1-x");
    assert_int_equal(b->seen.claimed.progress.n, 3);
    audit(b);
    s = settle_of(3, SETTLE_DONE);
    assert_int_equal(settle(b, &s), 1);
    audit(b);
}

static void progress_has_a_limit(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    enqueue_one(b, 1, "b1");
    next_step(b, 1);
    char *big = test_calloc(1, QUEUE_PROGRESS_MAX + 1);
    struct queue_settle s = settle_of(1, SETTLE_CONTINUE);
    s.progress = slice_of(big, QUEUE_PROGRESS_MAX + 1);
    assert_int_equal(queue_settle(b->q, &s, on_done, NULL, NULL, &b->seen, &b->err), ERR_BUG);
    s.progress.n--;
    assert_int_equal(settle(b, &s), 1);
    next_step(b, 2);
    assert_int_equal(b->seen.claimed.progress.n, QUEUE_PROGRESS_MAX);
    test_free(big);
    audit(b);
}

/* Waits until something may run, or nothing is known to come. */
static int64_t wait_of(struct bench *b, uint64_t token)
{
    struct queue_claim c = claim_of(token);
    claim(b, &c);
    assert_false(b->seen.claimed.got);
    return b->seen.claimed.wait_ms;
}

static void groups_and_costs_reach_the_limits(void **state)
{
    struct bench *b = *state;
    static const struct rate_limit limits[] = {{RATE_REQUESTS, 1, 3600000, 2},
                                               {RATE_RECORDS, 3, 60000, 0}};
    open_epoch(b, limits, ARRAY_LEN(limits));
    struct queue_batch all[] = {batch(1, "b1", 3, ""), batch(2, "b2", 3, "")};
    all[0].group = 2;
    all[0].costs = all[1].costs = QUEUE_NO_RECORDS;
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &SYNC, all, 2, on_done, &b->seen, &b->err)), 2);
    next_step(b, 1);
    struct queue_settle s = settle_of(1, SETTLE_CONTINUE);
    s.next_group = 2;
    s.next_records = QUEUE_NO_RECORDS;
    assert_int_equal(settle(b, &s), 1);
    next_step(b, 2); /* b1 waits for its group's limit */
    assert_string_equal(b->seen.batch, "b2");
    s = settle_of(2, SETTLE_CONTINUE); /* from now on of the main group, and all its records */
    assert_int_equal(settle(b, &s), 1);
    next_step(b, 3);
    assert_string_equal(b->seen.batch, "b2");
    answered(b, queue_permit(b->q, EPOCH, PERMIT_MS, 8, NULL, 0, on_stats, &b->seen, &b->err));
    assert_int_equal(b->seen.used, 1);
    s = settle_of(3, SETTLE_DONE);
    s.uncharge_records = true;
    assert_int_equal(settle(b, &s), 1);
    assert_in_range(wait_of(b, 4), 3590000, 3603700);
    audit(b);
}

static void jobs_are_capped(void **state)
{
    struct bench *b = *state;
    struct queue_epoch e = {
        .state_id = STATE, .epoch = EPOCH, .permit_ms = PERMIT_MS, .concurrency = 4, .max_open = 1};
    assert_true(number(b, queue_open(b->q, &e, on_done, &b->seen, &b->err)) > 0);
    struct queue_batch all[] = {batch(1, "b1", 3, ""), batch(2, "b2", 3, "")};
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &SYNC, all, 2, on_done, &b->seen, &b->err)), 2);
    next_step(b, 1);
    struct queue_settle s = settle_of(1, SETTLE_CONTINUE);
    s.open = true;
    s.delay_ms = 60000;
    assert_int_equal(settle(b, &s), 1);
    assert_in_range(wait_of(b, 2), 50000, 60000);
    struct queue_batch third = batch(3, "b3", 3, "");
    third.jobless = true;
    struct queue_sync other = SYNC;
    other.sync = "others";
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &other, &third, 1, on_done, &b->seen, &b->err)), 1);
    next_step(b, 3);
    assert_string_equal(b->seen.batch, "b3");
    audit(b);
}

static void a_pause_and_a_hold_wait(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    struct queue_batch all[] = {batch(1, "b1", 3, ""), batch(2, "b2", 3, "")};
    all[0].lane = all[1].lane = SLICE_LIT("channel");
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &SYNC, all, 2, on_done, &b->seen, &b->err)), 2);
    next_step(b, 1);
    struct queue_settle s = settle_of(1, SETTLE_DONE);
    s.hold_ms = 60000;
    assert_int_equal(settle(b, &s), 1);
    assert_in_range(wait_of(b, 2), 50000, 60020);
    struct queue_batch third = batch(3, "b3", 3, "");
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &SYNC, &third, 1, on_done, &b->seen, &b->err)), 1);
    next_step(b, 3);
    s = settle_of(3, SETTLE_DONE);
    s.pause_ms = 30000;
    assert_int_equal(settle(b, &s), 1);
    third.number = 4;
    third.id = SLICE_LIT("b4");
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &SYNC, &third, 1, on_done, &b->seen, &b->err)), 1);
    assert_in_range(wait_of(b, 4), 20000, 30000);
    audit(b);
}

static void a_shared_value_has_one_holder_and_outlives_the_epoch(void **state)
{
    struct bench *b = *state;
    struct sight s = {.seen = &b->seen};
    const struct slice name = SLICE_LIT("token");
    answered(b, queue_shared_get(b->q, name, on_shared, &s, &b->err));
    assert_int_equal(b->seen.err.code, ERR_STALE);
    open_epoch(b, NULL, 0);
    answered(b, queue_shared_lock(b->q, name, "w1", 60000, on_shared, &s, &b->err));
    assert_true(s.shared.granted);
    answered(b, queue_shared_lock(b->q, name, "w2", 60000, on_shared, &s, &b->err));
    assert_false(s.shared.granted);
    assert_string_equal(s.holder, "w1");
    assert_in_range(s.shared.holder_left_ms, 50000, 60000);
    struct queue_shared_put put = {.name = name,
                                   .value = SLICE_LIT("sealed"),
                                   .holder = "w1",
                                   .version = UINT64_MAX,
                                   .durable = true};
    answered(b, queue_shared_put(b->q, &put, on_shared, &s, &b->err));
    assert_true(s.shared.granted);
    assert_int_equal(s.shared.version, 1);
    answered(b, queue_shared_put(b->q, &put, on_shared, &s, &b->err));
    assert_false(s.shared.granted);
    answered(b, queue_shared_unlock(b->q, name, "w1", on_shared, &s, &b->err));
    assert_false(s.shared.granted);
    answered(b, queue_permit(b->q, EPOCH, PERMIT_MS, 8, NULL, 0, on_stats, &b->seen, &b->err));
    assert_int_equal(b->seen.stats.shared_version, 1);
    answered(b, queue_shared_all(b->q, on_all, &s, &b->err));
    assert_int_equal(s.count, 1);
    assert_int_equal(s.version, 1);
    assert_string_equal(s.name, "token");
    number(b, queue_fence(b->q, on_done, &b->seen, &b->err));
    number(b, queue_clear(b->q, on_done, &b->seen, &b->err));
    const struct queue_shared_value saved[] = {{name, SLICE_LIT("older"), 1, 0},
                                               {SLICE_LIT("lost"), SLICE_LIT("saved"), 7, 9000}};
    struct queue_epoch e = {.state_id = STATE,
                            .epoch = EPOCH,
                            .permit_ms = PERMIT_MS,
                            .concurrency = 4,
                            .shared = saved,
                            .shared_count = 2};
    assert_true(number(b, queue_open(b->q, &e, on_done, &b->seen, &b->err)) > 0);
    answered(b, queue_shared_get(b->q, name, on_shared, &s, &b->err));
    assert_string_equal(s.value, "sealed");
    answered(b, queue_shared_get(b->q, SLICE_LIT("lost"), on_shared, &s, &b->err));
    assert_string_equal(s.value, "saved");
    assert_in_range(s.shared.left_ms, 1, 9000);
    audit(b);
}

static void what_is_too_long_is_not_sent(void **state)
{
    struct bench *b = *state;
    struct sight s = {.seen = &b->seen};
    char *big = test_calloc(1, QUEUE_SHARED_VALUE_MAX + 1);
    struct queue_shared_put put = {.name = SLICE_LIT("n"),
                                   .value = slice_of(big, QUEUE_SHARED_VALUE_MAX + 1)};
    assert_int_equal(queue_shared_put(b->q, &put, on_shared, &s, &b->err), ERR_BUG);
    assert_int_equal(queue_shared_get(b->q, SLICE_LIT(""), on_shared, &s, &b->err), ERR_BUG);
    assert_int_equal(
        queue_shared_get(b->q, slice_of(big, QUEUE_NAME_MAX + 1), on_shared, &s, &b->err), ERR_BUG);
    test_free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_batch_brings_its_progress_to_the_next_claim, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(progress_has_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_and_costs_reach_the_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(jobs_are_capped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_and_a_hold_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shared_value_has_one_holder_and_outlives_the_epoch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_too_long_is_not_sent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
