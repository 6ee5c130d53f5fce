/* The typed calls against a real redis-server: what goes in comes out, and every refusal has its
 * error. */
#include "tests/unit/redis/fixture.h"

#include "protocol/queue/queue.h"
#include "tests/harness/redis_server.h"

#include <stdio.h>
#include <string.h>

enum { LEASE_MS = 40000, PERMIT_MS = 10000 };

static const char STATE[] = "0123456789abcdef0123456789abcdef";
static const char EPOCH[] = "11111111111111111111111111111111";
static const char RESULT[] = "a result";

/* What the callbacks of one call saw. Slices are copied. */
struct seen {
    unsigned calls;
    unsigned claims;
    int64_t number;
    struct err err;
    struct err claim_err;
    struct queue_opened opened;
    struct queue_claimed claimed;
    char epoch[64], batch[64], part[64], ordset[64], sync[64], destination[64], payload[64];
    struct queue_stats stats;
    struct queue_sync_stats sync_stats;
    struct queue_window window;
    uint64_t used;
    size_t results;
    char position[64];
    char body[64];
    char woken[64];
};

struct bench {
    struct redis_server server;
    struct fixture f;
    struct queue *q;
    struct seen seen;
    struct err err;
};

static void keep(char *out, struct slice s)
{
    snprintf(out, 64, "%.*s", (int)s.n, s.p);
}

static void note(struct seen *s, const struct err *err)
{
    s->calls++;
    s->err = err ? *err : (struct err){0};
}

static void on_done(void *ctx, int64_t number, const struct err *err)
{
    struct seen *s = ctx;
    note(s, err);
    s->number = number;
}

static void on_opened(void *ctx, const struct queue_opened *o, const struct err *err)
{
    struct seen *s = ctx;
    assert_true((o != NULL) != (err != NULL));
    note(s, err);
    if (o)
        s->opened = *o;
}

static void on_stats(void *ctx, const struct queue_stats *stats, const struct err *err)
{
    struct seen *s = ctx;
    assert_true((stats != NULL) != (err != NULL));
    note(s, err);
    if (!stats)
        return;
    s->stats = *stats;
    if (stats->sync_count) {
        s->sync_stats = stats->syncs[0];
        keep(s->sync, stats->syncs[0].sync);
    }
    if (stats->window_count)
        s->window = stats->windows[0];
    s->used = stats->limit_count ? stats->limit_used[0] : 0;
}

static void on_claimed(void *ctx, const struct queue_claimed *c, const struct err *err)
{
    struct seen *s = ctx;
    assert_true((c != NULL) != (err != NULL));
    s->claims++;
    s->claim_err = err ? *err : (struct err){0};
    if (!c)
        return;
    s->claimed = *c;
    keep(s->epoch, c->epoch);
    keep(s->batch, c->batch);
    keep(s->part, c->part);
    keep(s->ordset, c->ordset);
    keep(s->sync, c->sync);
    keep(s->destination, c->destination);
    keep(s->payload, c->payload);
}

static void on_results(void *ctx, const struct queue_result *results, size_t count,
                       const struct err *err)
{
    struct seen *s = ctx;
    note(s, err);
    s->results = count;
    if (!count)
        return;
    keep(s->position, results[count - 1].stream_id);
    keep(s->batch, results[0].batch);
    keep(s->sync, results[0].sync);
    keep(s->body, results[0].body);
}

static void on_woken(void *ctx, struct slice quota, const struct err *err)
{
    struct seen *s = ctx;
    note(s, err);
    keep(s->woken, quota);
}

/* Waits for the answer of the call that was just made. */
static void answered(struct bench *b, enum err_code rc)
{
    assert_int_equal(rc, ERR_OK);
    fixture_until(&b->f, &b->seen.calls, 1);
    b->seen.calls = 0;
}

static int64_t number(struct bench *b, enum err_code rc)
{
    answered(b, rc);
    if (b->seen.err.code)
        fail_msg("%s", b->seen.err.text);
    return b->seen.number;
}

static enum err_code refused(struct bench *b, enum err_code rc)
{
    answered(b, rc);
    assert_int_not_equal(b->seen.err.text[0], '\0');
    return b->seen.err.code;
}

#define number(b, call) number((b), call)

static void open_epoch(struct bench *b, const struct rate_limit *limits, size_t limit_count)
{
    struct queue_epoch e = {
        .state_id = STATE,
        .epoch = EPOCH,
        .permit_ms = PERMIT_MS,
        .commit = 7,
        .limits = limits,
        .limit_count = limit_count,
        .concurrency = 4,
        .slack_ms = 20,
    };
    assert_true(number(b, queue_open(b->q, &e, on_done, &b->seen, &b->err)) > 0);
}

static const struct queue_sync SYNC = {.sync = "customers",
                                       .run = "r1",
                                       .destination = "crm",
                                       .fingerprint = "f1",
                                       .weight = 1,
                                       .cap_bytes = 100};

static struct queue_batch batch(uint64_t n, const char *id, uint32_t records, const char *payload)
{
    return (struct queue_batch){
        .number = n, .id = slice_str(id), .records = records, .payload = slice_str(payload)};
}

static void enqueue_one(struct bench *b, uint64_t n, const char *id)
{
    struct queue_batch one = batch(n, id, 3, "payload");
    assert_int_equal(
        number(b, queue_enqueue(b->q, EPOCH, &SYNC, &one, 1, on_done, &b->seen, &b->err)), 1);
}

static const struct queue_ability ABLE[] = {{"crm", "f1"}};

static struct queue_claim claim_of(uint64_t token)
{
    return (struct queue_claim){.worker = "w1",
                                .token = token,
                                .lease_ms = LEASE_MS,
                                .abilities = ABLE,
                                .ability_count = ARRAY_LEN(ABLE)};
}

static void claim(struct bench *b, const struct queue_claim *c)
{
    b->seen.claims = 0;
    assert_int_equal(queue_claim(b->q, c, on_claimed, &b->seen, &b->err), ERR_OK);
    fixture_until(&b->f, &b->seen.claims, 1);
    if (b->seen.claim_err.code)
        fail_msg("%s", b->seen.claim_err.text);
}

static struct queue_settle settle_of(uint64_t token, enum settle_kind kind)
{
    return (struct queue_settle){.epoch = slice_str(EPOCH),
                                 .worker = "w1",
                                 .token = token,
                                 .kind = kind,
                                 .result = slice_str(RESULT)};
}

static int64_t settle(struct bench *b, const struct queue_settle *s)
{
    return number(b, queue_settle(b->q, s, on_done, NULL, NULL, &b->seen, &b->err));
}

static void audit(struct bench *b)
{
    assert_int_equal(number(b, queue_audit(b->q, on_done, &b->seen, &b->err)), 0);
}

static int setup(void **state)
{
    struct bench *b = test_calloc(1, sizeof *b);
    redis_server_start(&b->server, NULL);
    fixture_open(&b->f, b->server.url, NULL);
    fixture_ready(&b->f);
    b->q = queue_new(b->f.redis, "crm");
    assert_non_null(b->q);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    fixture_close(&b->f);
    queue_free(b->q);
    redis_server_stop(&b->server);
    test_free(b);
    return 0;
}

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
    static const struct rate_limit limits[] = {{RATE_REQUESTS, 1, 3600000},
                                               {RATE_RECORDS, 100, 60000}};
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
    answered(b, queue_wait(b->f.redis, 5, on_woken, &b->seen, &b->err));
    assert_string_equal(b->seen.woken, "");
    assert_int_equal(queue_wake(b->q, &b->err), ERR_OK);
    answered(b, queue_wait(b->f.redis, 8000, on_woken, &b->seen, &b->err));
    assert_string_equal(b->seen.woken, "crm");
    for (int i = 0; i < 200; i++)
        assert_int_equal(queue_wake(b->q, &b->err), ERR_OK);
    answered(b, queue_look(b->q, STATE, on_opened, &b->seen, &b->err));
    assert_true(redis_server_ask_int(&b->server, "LLEN", "sluice:wake", NULL) <= 64);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
