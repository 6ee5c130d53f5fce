/* The typed calls against a real redis-server: what goes in comes out, and every refusal has its
 * error. */
#include "protocol/queue/scripts.h"
#include "tests/unit/queue/bench.h"

static void a_look_sees_nothing_then_the_epoch_then_its_owner(void **state)
{
    struct bench *b = *state;
    answered(b, queue_look(b->q, STATE, on_opened, &b->seen, &b->err));
    assert_true(b->seen.opened.fresh);
    assert_false(b->seen.opened.same_state);
    assert_string_equal(b->seen.opened.other_state, "");
    open_epoch(b, NULL, 0);
    answered(b, queue_look(b->q, STATE, on_opened, &b->seen, &b->err));
    assert_false(b->seen.opened.fresh);
    assert_true(b->seen.opened.same_state);
    assert_false(b->seen.opened.restarted);
    assert_int_equal(b->seen.opened.commit, 7);
    assert_in_range(b->seen.opened.permit_left_ms, PERMIT_MS - 5000, PERMIT_MS);
    answered(b, queue_look(b->q, "ffffffffffffffffffffffffffffffff", on_opened, &b->seen, &b->err));
    assert_false(b->seen.opened.same_state);
    assert_string_equal(b->seen.opened.other_state, STATE);
}

static void a_batch_comes_out_as_it_went_in_and_its_result_is_read(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    struct queue_batch one = {.number = 1,
                              .id = slice_str("b-1"),
                              .lane = slice_str("L"),
                              .ordset = slice_str("0-2,5"),
                              .records = 4,
                              .payload = slice_of("pay\0load", 8)};
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &SYNC, &one, 1, on_done, &b->seen, &b->err)), 1);
    struct queue_claim c = claim_of(1);
    claim(b, &c);
    struct queue_claimed *got = &b->seen.claimed;
    assert_true(got->got);
    assert_string_equal(b->seen.epoch, EPOCH);
    assert_string_equal(b->seen.batch, "b-1");
    assert_int_equal(strlen(b->seen.part), strlen("b-1-") + 16);
    assert_string_equal(b->seen.ordset, "0-2,5");
    assert_string_equal(b->seen.sync, "customers");
    assert_string_equal(b->seen.destination, "crm");
    assert_int_equal(got->payload.n, 8);
    assert_int_equal(got->records, 4);
    assert_int_equal(got->attempts + got->kills + got->unsure, 0);
    claim(b, &c);
    assert_true(got->got);
    assert_string_equal(b->seen.batch, "b-1");
    struct queue_settle s = settle_of(1, SETTLE_DONE);
    assert_int_equal(settle(b, &s), 1);
    assert_int_equal(settle(b, &s), 0);
    answered(b, queue_results(b->q, "", 10, 0, on_results, &b->seen, &b->err));
    assert_int_equal(b->seen.results, 1);
    assert_string_equal(b->seen.batch, "b-1");
    assert_string_equal(b->seen.sync, "customers");
    assert_string_equal(b->seen.body, RESULT);
    assert_int_equal(
        number(b, queue_trim(b->q, EPOCH, b->seen.position, on_done, &b->seen, &b->err)), 0);
    answered(b, queue_results(b->q, "", 10, 0, on_results, &b->seen, &b->err));
    assert_int_equal(b->seen.results, 0);
    claim(b, &c);
    assert_false(got->got);
    assert_true(got->stale);
    audit(b);
}

static void a_settle_with_a_claim_answers_both(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    enqueue_one(b, 1, "b1");
    enqueue_one(b, 2, "b2");
    struct queue_claim c = claim_of(1), next = claim_of(2);
    claim(b, &c);
    struct queue_settle s = settle_of(1, SETTLE_RETRY);
    s.delay_ms = 60000;
    s.unsure = true;
    b->seen.claims = 0;
    assert_int_equal(
        number(b, queue_settle(b->q, &s, on_done, &next, on_claimed, &b->seen, &b->err)), 1);
    assert_int_equal(b->seen.claims, 1);
    assert_true(b->seen.claimed.got);
    assert_string_equal(b->seen.batch, "b2");
    c = claim_of(3);
    claim(b, &c);
    assert_false(b->seen.claimed.got);
    assert_in_range(b->seen.claimed.wait_ms, 50000, 60000);
    audit(b);
}

static void a_split_gives_two_parts_and_a_throttle_closes_the_destination(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    enqueue_one(b, 1, "b1");
    struct queue_claim c = claim_of(1);
    claim(b, &c);
    const struct settle_part parts[] = {
        {slice_str("b1-x"), slice_str("0"), slice_str("one"), 1},
        {slice_str("b1-y"), slice_str("1-2"), slice_str("two"), 2},
    };
    struct queue_settle s = settle_of(1, SETTLE_SPLIT);
    s.result = slice_str("");
    s.parts = parts;
    s.part_count = 1;
    assert_int_equal(refused(b, queue_settle(b->q, &s, on_done, NULL, NULL, &b->seen, &b->err)),
                     ERR_BUG);
    s.part_count = 2;
    assert_int_equal(settle(b, &s), 1);
    c = claim_of(2);
    claim(b, &c);
    assert_string_equal(b->seen.part, "b1-x");
    assert_string_equal(b->seen.payload, "one");
    s = settle_of(2, SETTLE_THROTTLE);
    s.delay_ms = 30000;
    assert_int_equal(settle(b, &s), 1);
    c = claim_of(3);
    claim(b, &c);
    assert_false(b->seen.claimed.got);
    assert_in_range(b->seen.claimed.wait_ms, 20000, 30000);
    answered(b, queue_permit(b->q, EPOCH, PERMIT_MS, 8, NULL, 0, on_stats, &b->seen, &b->err));
    assert_in_range(b->seen.stats.throttled_left_ms, 20000, 30000);
    assert_true(b->seen.stats.throttled_for_ms > 0);
    assert_true(b->seen.stats.factor > 0.69 && b->seen.stats.factor < 0.71);
    audit(b);
}

static void a_limit_is_kept_and_told_with_its_windows(void **state)
{
    struct bench *b = *state;
    static const struct rate_limit limits[] = {{RATE_REQUESTS, 1, 3600000, 0},
                                               {RATE_RECORDS, 100, 60000, 0}};
    open_epoch(b, limits, ARRAY_LEN(limits));
    enqueue_one(b, 1, "b1");
    enqueue_one(b, 2, "b2");
    struct queue_claim c = claim_of(1);
    claim(b, &c);
    struct queue_settle s = settle_of(1, SETTLE_DONE);
    s.charge_age_ms = 1000;
    assert_int_equal(settle(b, &s), 1);
    c = claim_of(2);
    claim(b, &c);
    assert_false(b->seen.claimed.got);
    assert_in_range(b->seen.claimed.wait_ms, 3590000, 3602700);
    uint64_t grants[] = {5, 0};
    answered(b, queue_permit(b->q, EPOCH, PERMIT_MS, 8, grants, 2, on_stats, &b->seen, &b->err));
    assert_int_equal(b->seen.stats.limit_count, 2);
    assert_int_equal(b->seen.stats.window_count, 2);
    assert_int_equal(b->seen.used, 1);
    assert_int_equal(b->seen.window.limit, 0);
    assert_int_equal(b->seen.window.count, 1);
    assert_in_range(b->seen.window.left_ms, 3590000, 3620000);
    assert_string_equal(b->seen.sync, "customers");
    assert_int_equal(b->seen.sync_stats.queued, 1);
    assert_int_equal(b->seen.sync_stats.bytes, strlen("payload") + strlen(RESULT));
    audit(b);
}

static void the_cap_refuses_all_but_two_batches(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    char big[90];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    struct queue_batch all[] = {batch(1, "b1", 1, big), batch(2, "b2", 1, big),
                                batch(3, "b3", 1, big)};
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &SYNC, all, 3, on_done, &b->seen, &b->err)), 2);
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &SYNC, all, 3, on_done, &b->seen, &b->err)), 2);
    struct queue_sync other = SYNC;
    other.run = "r2";
    assert_int_equal(
        refused(b, queue_enqueue(b->q, EPOCH, &other, all, 1, on_done, &b->seen, &b->err)),
        ERR_BUSY);
    assert_int_equal(
        queue_enqueue(b->q, EPOCH, &SYNC, all, QUEUE_ENQUEUE_MAX + 1, on_done, &b->seen, &b->err),
        ERR_BUG);
    audit(b);
}

static void a_dead_worker_is_reaped_and_a_cancelled_sync_takes_nothing_more(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    enqueue_one(b, 1, "b1");
    enqueue_one(b, 2, "b2");
    struct queue_claim c = claim_of(1);
    claim(b, &c);
    uint64_t tokens[] = {1, 99};
    assert_int_equal(
        number(b, queue_beat(b->q, "w1", tokens, 2, LEASE_MS, on_done, &b->seen, &b->err)), 1);
    assert_int_equal(number(b, queue_reap(b->q, "", false, on_done, &b->seen, &b->err)), 1);
    assert_int_equal(number(b, queue_control(b->q, EPOCH, QUEUE_CANCEL_SYNC, "customers", on_done,
                                             &b->seen, &b->err)),
                     1);
    assert_int_equal(number(b, queue_reap(b->q, "w", true, on_done, &b->seen, &b->err)), 0);
    struct queue_batch third = batch(3, "b3", 1, "");
    assert_int_equal(
        refused(b, queue_enqueue(b->q, EPOCH, &SYNC, &third, 1, on_done, &b->seen, &b->err)),
        ERR_STOPPED);
    answered(b, queue_results(b->q, NULL, 10, 0, on_results, &b->seen, &b->err));
    assert_int_equal(b->seen.results, 2);
    assert_int_equal(number(b, queue_control(b->q, EPOCH, QUEUE_FORGET_SYNC, "customers", on_done,
                                             &b->seen, &b->err)),
                     0);
    audit(b);
}

static void a_pause_holds_and_another_configuration_is_told(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    enqueue_one(b, 1, "b1");
    struct queue_claim c = claim_of(1);
    number(b,
           queue_control(b->q, EPOCH, QUEUE_PAUSE_DESTINATION, "crm", on_done, &b->seen, &b->err));
    claim(b, &c);
    assert_false(b->seen.claimed.got);
    assert_int_equal(b->seen.claimed.wait_ms, -1);
    number(b,
           queue_control(b->q, EPOCH, QUEUE_RESUME_DESTINATION, "crm", on_done, &b->seen, &b->err));
    number(b,
           queue_control(b->q, EPOCH, QUEUE_PAUSE_SYNC, "customers", on_done, &b->seen, &b->err));
    claim(b, &c);
    assert_false(b->seen.claimed.got);
    number(b,
           queue_control(b->q, EPOCH, QUEUE_RESUME_SYNC, "customers", on_done, &b->seen, &b->err));
    static const struct queue_ability old[] = {{"crm", "f0"}};
    c.abilities = old;
    claim(b, &c);
    assert_false(b->seen.claimed.got);
    assert_true(b->seen.claimed.mismatch);
    c.abilities = ABLE;
    claim(b, &c);
    assert_true(b->seen.claimed.got);
}

static void a_fence_stops_claims_but_not_settles_and_a_clear_needs_it(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    enqueue_one(b, 1, "b1");
    enqueue_one(b, 2, "b2");
    struct queue_claim c = claim_of(1);
    claim(b, &c);
    assert_int_equal(refused(b, queue_clear(b->q, on_done, &b->seen, &b->err)), ERR_BUSY);
    assert_int_equal(number(b, queue_fence(b->q, on_done, &b->seen, &b->err)), 1);
    c = claim_of(2);
    claim(b, &c);
    assert_false(b->seen.claimed.got);
    assert_true(b->seen.claimed.refused);
    answered(b, queue_permit(b->q, EPOCH, PERMIT_MS, 8, NULL, 0, on_stats, &b->seen, &b->err));
    assert_int_equal(b->seen.err.code, ERR_STALE);
    struct queue_settle s = settle_of(1, SETTLE_DONE);
    assert_int_equal(settle(b, &s), 1);
    assert_int_equal(number(b, queue_clear(b->q, on_done, &b->seen, &b->err)), 0);
    answered(b, queue_results(b->q, "", 10, 0, on_results, &b->seen, &b->err));
    assert_int_equal(b->seen.results, 1);
    open_epoch(b, NULL, 0);
    audit(b);
}

static void a_server_that_came_back_empty_or_from_its_disk_is_noticed(void **state)
{
    struct bench *b = *state;
    open_epoch(b, NULL, 0);
    enqueue_one(b, 1, "b1");
    freeReplyObject(redis_server_ask(&b->server, "SAVE", NULL));
    redis_server_signal(&b->server, 9);
    fixture_until(&b->f, &b->f.losses, 1);
    redis_server_restart(&b->server);
    fixture_ready(&b->f);
    struct queue_claim c = claim_of(1);
    claim(b, &c);
    assert_false(b->seen.claimed.got);
    assert_true(b->seen.claimed.refused);
    answered(b, queue_look(b->q, STATE, on_opened, &b->seen, &b->err));
    assert_true(b->seen.opened.fresh || b->seen.opened.restarted);
}

static void who_waits_is_woken_and_otherwise_waits_no_longer_than_asked(void **state)
{
    struct bench *b = *state;
    answered(b, queue_wait(b->f.redis, "sluice:wake", 5, on_woken, &b->seen, &b->err));
    assert_string_equal(b->seen.woken, "");
    assert_int_equal(queue_wake(b->q, &b->err), ERR_OK);
    answered(b, queue_wait(b->f.redis, "sluice:wake", 8000, on_woken, &b->seen, &b->err));
    assert_string_equal(b->seen.woken, "crm");
    for (int i = 0; i < 200; i++)
        assert_int_equal(queue_wake(b->q, &b->err), ERR_OK);
    answered(b, queue_look(b->q, STATE, on_opened, &b->seen, &b->err));
    assert_true(redis_server_ask_int(&b->server, "LLEN", "sluice:wake", NULL) <= 64);
}

static struct queue_claim claim_by(const char *worker, uint64_t token)
{
    struct queue_claim c = claim_of(token);
    c.worker = worker;
    return c;
}

static bool unwatched(struct bench *b)
{
    answered(b, queue_permit(b->q, EPOCH, PERMIT_MS, 8, NULL, 0, on_stats, &b->seen, &b->err));
    return b->seen.stats.unwatched;
}

static void one_worker_asks_again_for_all_and_a_permit_tells_when_none_does(void **state)
{
    struct bench *b = *state;
    const struct rate_limit limits[] = {{RATE_REQUESTS, 1, 60000, 0}};
    open_epoch(b, limits, 1);
    struct queue_claim one = claim_by("w1", 1), other = claim_by("w2", 1);
    claim(b, &one);
    assert_int_equal(b->seen.claimed.wait_ms, -1);
    assert_false(unwatched(b)); /* there is nothing to ask for */
    enqueue_one(b, 1, "b1");
    enqueue_one(b, 2, "b2");
    assert_true(unwatched(b));
    one.token = 2;
    claim(b, &one);
    assert_true(b->seen.claimed.got);
    other.token = 2;
    claim(b, &other); /* the only token is on its way: it watches */
    assert_true(b->seen.claimed.wait_ms > 0);
    assert_false(unwatched(b));
    one.token = 3;
    claim(b, &one); /* another one asks by then */
    assert_false(b->seen.claimed.got);
    assert_int_equal(b->seen.claimed.wait_ms, -1);
    other.token = 3;
    claim(b, &other); /* it goes on watching */
    assert_true(b->seen.claimed.wait_ms > 0);
    audit(b);
}

static void the_digests_of_the_scripts_are_theirs(void **state)
{
    (void)state;
    for (size_t i = 0; i < QUEUE_SCRIPTS; i++) {
        struct redis_script again;
        redis_script_init(&again, queue_scripts[i].name, queue_scripts[i].text);
        assert_string_equal(queue_scripts[i].sha, again.sha);
    }
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_look_sees_nothing_then_the_epoch_then_its_owner),
        WITH_SERVER(a_batch_comes_out_as_it_went_in_and_its_result_is_read),
        WITH_SERVER(a_settle_with_a_claim_answers_both),
        WITH_SERVER(a_split_gives_two_parts_and_a_throttle_closes_the_destination),
        WITH_SERVER(a_limit_is_kept_and_told_with_its_windows),
        WITH_SERVER(the_cap_refuses_all_but_two_batches),
        WITH_SERVER(a_dead_worker_is_reaped_and_a_cancelled_sync_takes_nothing_more),
        WITH_SERVER(a_pause_holds_and_another_configuration_is_told),
        WITH_SERVER(a_fence_stops_claims_but_not_settles_and_a_clear_needs_it),
        WITH_SERVER(a_server_that_came_back_empty_or_from_its_disk_is_noticed),
        WITH_SERVER(who_waits_is_woken_and_otherwise_waits_no_longer_than_asked),
        WITH_SERVER(one_worker_asks_again_for_all_and_a_permit_tells_when_none_does),
        cmocka_unit_test(the_digests_of_the_scripts_are_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
