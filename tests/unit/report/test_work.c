/* How many workers a backlog is worth: a table of cases, and laws that hold for any. */
#include "scheduler/report/work.h"

#include "scheduler/capacity/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static const struct work_fleet fleet = {.slots = 32, .drain_ms = 120000};

#define LIMIT(kind_, count_, seconds)                                                              \
    {                                                                                              \
        .kind = RATE_##kind_, .count = (count_), .per_ms = (seconds)*1000ull                       \
    }

/* What a case does not say is as usual. */
static struct work_quota usual(struct work_quota q)
{
    q.factor = q.factor > 0 ? q.factor : 1;
    q.concurrency = q.concurrency ? q.concurrency : 10000;
    q.batch_records = q.batch_records > 0 ? q.batch_records : 100;
    return q;
}

static struct work_quota quota_of(uint64_t batches, double request_ms)
{
    return usual((struct work_quota){
        .open = true,
        .batches = batches,
        .at_once = batches,
        .cost = {.request_ms = request_ms, .requests_per_batch = 1},
    });
}

static uint64_t workers_of(const struct work_quota *q, enum work_why *ret_why, double *ret_load)
{
    struct work_need need;
    struct work_sum sum = {0};
    work_judge(q, &fleet, &need);
    work_add(&sum, &need);
    if (ret_why)
        *ret_why = need.why;
    if (ret_load)
        *ret_load = work_load(&sum, &fleet);
    return work_workers(&sum, &fleet);
}

struct told {
    const char *what;
    struct work_quota quota;
    uint64_t workers;
    enum work_why why;
};

static void check(const struct told *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum work_why why;
        double load;
        struct work_quota q = usual(cases[i].quota);
        uint64_t n = workers_of(&q, &why, &load);
        if (n != cases[i].workers || why != cases[i].why)
            fail_msg("%s: %llu workers (%.3f), %s", cases[i].what, (unsigned long long)n, load,
                     work_why_name(why));
    }
}

#define QUOTA(...)                                                                                 \
    {                                                                                              \
        .open = true, __VA_ARGS__                                                                  \
    }
#define COST(ms)                                                                                   \
    {                                                                                              \
        (ms), 1                                                                                    \
    }
#define BATCHES(n) .batches = (n), .at_once = (n)

static void a_backlog_is_worth_what_sends_it_in_time(void **state)
{
    (void)state;
    static const struct told cases[] = {
        {"nothing is there", QUOTA(.cost = COST(100)), 0, WORK_NOTHING},
        {"one batch", QUOTA(BATCHES(1), .cost = COST(100)), 1, WORK_BACKLOG},
        {"a thousand are 8 a second, one slot", QUOTA(BATCHES(1000), .cost = COST(100)), 1,
         WORK_BACKLOG},
        /* 100,000 in 120 s: 833 a second, 83 slots, a quarter more */
        {"a hundred thousand", QUOTA(BATCHES(100000), .cost = COST(100)), 4, WORK_BACKLOG},
        {"a million", QUOTA(BATCHES(1000000), .cost = COST(100)), 33, WORK_BACKLOG},
        {"the same in requests of 2 s", QUOTA(BATCHES(100000), .cost = COST(2000)), 66,
         WORK_BACKLOG},
        {"as many requests as ten times the batches", QUOTA(BATCHES(10000), .cost = {100, 10}), 4,
         WORK_BACKLOG},
    };
    check(cases, ARRAY_LEN(cases));
}

static const struct capacity_costs costs = {
#define X(name, value) .name = (value),
    CAPACITY_COSTS(X)
#undef X
};

/* 833 short requests a second take few slots: it is the processor that decides, with half as much
 * again for what was measured on another machine. */
static void bodies_are_worth_the_processors_that_they_keep_busy(void **state)
{
    (void)state;
    static const struct {
        double us; /* of a processor, each */
        uint64_t workers;
    } cases[] = {{1000, 2}, {1300, 2}, {7000, 9}, {39000, 49}};
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        struct work_quota q = quota_of(100000, 1);
        q.https = i % 2;
        double head = costs.worker_request_us + q.batch_records * costs.worker_record_us +
                      (q.https ? costs.worker_https_request_us : 0);
        double kib = costs.worker_kib_us + (q.https ? costs.worker_https_kib_us : 0);
        q.request_kib = (cases[i / 2].us - head) / kib;
        assert_int_equal(workers_of(&q, NULL, NULL), cases[i / 2].workers);
    }
}

static void a_limit_is_worth_its_own_pace(void **state)
{
    (void)state;
    static const struct told cases[] = {
        /* 10 a second, 200 ms each: 2 slots */
        {"100 per 10 s",
         QUOTA(BATCHES(1000000), .cost = COST(200), .limit_count = 1,
               .limits = {LIMIT(REQUESTS, 100, 10)}),
         1, WORK_LIMIT},
        {"all of its tokens are there: no more",
         QUOTA(BATCHES(1000000), .cost = COST(200), .limit_count = 1,
               .limits = {LIMIT(REQUESTS, 1000, 60)}),
         1, WORK_LIMIT},
        /* 1,000 a second, 200 ms each: 200 slots and a quarter more, 250 */
        {"10,000 per 10 s",
         QUOTA(BATCHES(1000000), .cost = COST(200), .limit_count = 1,
               .limits = {LIMIT(REQUESTS, 10000, 10)}),
         8, WORK_LIMIT},
        {"lowered to a half after throttling",
         QUOTA(BATCHES(1000000), .cost = COST(200), .factor = 0.5, .limit_count = 1,
               .limits = {LIMIT(REQUESTS, 10000, 10)}),
         4, WORK_LIMIT},
        {"100,000 records per 10 s in batches of 100: 100 a second",
         QUOTA(BATCHES(1000000), .cost = COST(1000), .limit_count = 1,
               .limits = {LIMIT(RECORDS, 100000, 10)}),
         4, WORK_LIMIT},
        {"a batch above the limit runs alone",
         QUOTA(BATCHES(1000000), .cost = COST(1000), .batch_records = 500, .limit_count = 1,
               .limits = {LIMIT(RECORDS, 100, 10)}),
         1, WORK_LIMIT},
        {"the tightest of three counts",
         QUOTA(BATCHES(1000000), .cost = COST(200), .limit_count = 3,
               .limits = {LIMIT(REQUESTS, 10000, 10), LIMIT(REQUESTS, 5, 1),
                          LIMIT(RECORDS, 1000000, 1)}),
         1, WORK_LIMIT},
    };
    check(cases, ARRAY_LEN(cases));
}

static void a_long_limit_is_a_budget(void **state)
{
    (void)state;
    struct work_quota day = quota_of(1000000, 300);
    day.limits[0] = (struct work_limit)LIMIT(REQUESTS, 1000000, 86400);
    day.limit_count = 1;
    assert_int_equal(workers_of(&day, NULL, NULL), 98); /* spent in two minutes, if it is wanted */
    day.batches = day.at_once = 1000;
    assert_int_equal(workers_of(&day, NULL, NULL), 1);
    day.batches = day.at_once = 1000000;
    day.limits[0].used = 900000;
    assert_int_equal(workers_of(&day, NULL, NULL), 10);
    day.limits[0].used = 1000000; /* all is spent, and nothing comes back soon */
    enum work_why why;
    assert_int_equal(workers_of(&day, &why, NULL), 0);
    assert_int_equal(why, WORK_LIMIT);
    day.limits[0].returns = 1; /* but for this one */
    assert_int_equal(workers_of(&day, NULL, NULL), 1);
    day.limits[0].returns = 0;
    day.leased = 3; /* what is under way is not to be cut off */
    assert_int_equal(workers_of(&day, NULL, NULL), 1);
}

static void what_cannot_run_is_worth_nothing(void **state)
{
    (void)state;
    static const struct told cases[] = {
        {"not open", {.batches = 5, .at_once = 5, .concurrency = 8}, 0, WORK_CLOSED},
        {"paused", QUOTA(BATCHES(1000000), .paused = true, .cost = COST(100)), 0, WORK_PAUSED},
        {"paused, with requests under way",
         QUOTA(BATCHES(1000000), .paused = true, .leased = 1, .cost = COST(100)), 1, WORK_PAUSED},
        {"closed for longer than the backlog is to take",
         QUOTA(BATCHES(1000000), .closed_ms = 3600000, .cost = COST(100)), 0, WORK_THROTTLED},
        {"closed for half of it", QUOTA(BATCHES(1000000), .closed_ms = 60000, .cost = COST(100)),
         17, WORK_THROTTLED},
        {"parked for another try", QUOTA(.parked = 5000, .cost = COST(100)), 1, WORK_NOTHING},
        {"eight at a time", QUOTA(BATCHES(1000000), .concurrency = 8, .cost = COST(100)), 1,
         WORK_CONCURRENCY},
        {"a hundred at a time, of a slow destination",
         QUOTA(BATCHES(1000000), .concurrency = 100, .cost = COST(30000)), 4, WORK_CONCURRENCY},
        {"the same, lowered to its fifth",
         QUOTA(BATCHES(1000000), .concurrency = 100, .factor = 0.2, .cost = COST(30000)), 1,
         WORK_CONCURRENCY},
        {"one behind the other",
         {.open = true,
          .batches = 1000000,
          .at_once = 1,
          .factor = 1,
          .concurrency = 500,
          .cost = COST(1000)},
         1,
         WORK_CONCURRENCY},
        {"nothing was answered yet", QUOTA(BATCHES(1000000), .cost = COST(0)), 1, WORK_UNMEASURED},
    };
    check(cases, ARRAY_LEN(cases));
}

static void quotas_share_workers(void **state)
{
    (void)state;
    struct work_sum sum = {0};
    struct work_need need;
    struct work_quota slow = quota_of(1000000, 1000), small = quota_of(10, 100),
                      fresh = quota_of(1000000, 0);
    slow.concurrency = 10;
    for (int i = 0; i < 6; i++) { /* 60 slots in all */
        work_judge(&slow, &fleet, &need);
        work_add(&sum, &need);
    }
    work_judge(&small, &fleet, &need);
    work_add(&sum, &need);
    assert_int_equal(work_workers(&sum, &fleet), 2);
    for (int i = 0; i < 50; i++) { /* nobody knows how long these take: one worker finds out */
        work_judge(&fresh, &fleet, &need);
        work_add(&sum, &need);
    }
    assert_int_equal(work_workers(&sum, &fleet), 3);
    struct work_fleet many = fleet;
    many.quotas = 57; /* 114 slots, all of which have work */
    assert_int_equal(work_slots(&sum, &many), 114);
    assert_int_equal(work_workers(&sum, &many), 1);
    struct work_fleet single = fleet;
    single.single = true;
    assert_int_equal(work_workers(&sum, &single), 1);
}

static void a_worker_keeps_a_slot_for_whom_has_nothing_to_do(void **state)
{
    (void)state;
    struct work_quota q = quota_of(1000000, 1000);
    q.concurrency = 64;
    static const struct {
        uint32_t slots, quotas, left;
    } cases[] = {{32, 1, 32}, {32, 2, 31}, {32, 16, 17}, {32, 17, 18}, {32, 100, 101}, {1, 1, 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct work_fleet f = {cases[i].slots, cases[i].quotas, 120000, false};
        struct work_sum sum = {0};
        struct work_need need;
        assert_int_equal(work_slots(&sum, &f), cases[i].left);
        work_judge(&q, &f, &need);
        work_add(&sum, &need);
        assert_int_equal(work_slots(&sum, &f), cases[i].left);
        assert_int_equal(work_workers(&sum, &f), (64 + cases[i].left - 1) / cases[i].left);
    }
}

/* Each of four schedulers rounds up for itself; unrounded they may be added. */
static void loads_of_several_schedulers_add_up(void **state)
{
    (void)state;
    double all = 0;
    for (int i = 0; i < 4; i++) {
        struct work_quota q = quota_of(10000, 100);
        double load;
        assert_int_equal(workers_of(&q, NULL, &load), 1);
        all += load;
    }
    assert_true(all > 1 && all < 2); /* two workers carry what four are asked for one by one */
}

/* ---- laws ---- */

static uint64_t seed;

static uint64_t any(uint64_t below)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (seed >> 33) % below;
}

static struct work_quota any_quota(void)
{
    static const uint64_t windows[] = {1000, 10000, 60000, 600000, 3600000, 86400000};
    struct work_quota q = quota_of(any(2) ? any(50) : any(3000000), (double)any(20000) / 10);
    q.at_once = any(3) ? q.batches : any(q.batches + 1);
    if (q.batches && !q.at_once)
        q.at_once = 1;
    q.parked = any(4) ? 0 : any(1000);
    q.leased = any(2) ? 0 : any(200);
    q.closed_ms = any(3) ? 0 : (int64_t)any(300000);
    q.factor = any(2) ? 1 : (double)(1 + any(10)) / 10;
    q.concurrency = (uint32_t)(1 + any(any(2) ? 16 : 10000));
    q.paused = !any(10);
    q.open = any(10) != 0;
    q.batch_records = (double)(1 + any(1000));
    q.request_kib = (double)any(1000);
    q.https = any(2);
    q.cost.requests_per_batch = any(3) ? 1 : 1 + (double)any(50) / 10;
    q.limit_count = any(4);
    for (size_t i = 0; i < q.limit_count; i++) {
        struct work_limit *l = &q.limits[i];
        *l = (struct work_limit){.kind = any(2) ? RATE_REQUESTS : RATE_RECORDS,
                                 .count = 1 + any(100000),
                                 .per_ms = windows[any(ARRAY_LEN(windows))]};
        l->used = any(l->count + 1);
        l->returns = any(l->used + 1);
    }
    return q;
}

/* What a person would count on their fingers: nothing may run at all. */
static bool is_idle(const struct work_quota *q)
{
    bool spent = false;
    for (size_t i = 0; i < q->limit_count; i++)
        spent |= q->limits[i].per_ms > fleet.drain_ms &&
                 q->limits[i].count + q->limits[i].returns <= q->limits[i].used;
    bool held = !q->open || q->paused || spent || q->closed_ms >= (int64_t)fleet.drain_ms;
    bool waits = q->open && !q->paused && q->parked;
    return !q->leased && !waits && (!q->batches || held);
}

/* The most that may go on at the same time. */
static uint64_t most_of(const struct work_quota *q)
{
    uint64_t most = q->at_once < q->batches ? q->at_once : q->batches;
    return most < q->concurrency ? most : q->concurrency;
}

static void show(const struct work_quota *q, const char *law)
{
    fail_msg("%s: batches %llu at once %llu leased %llu parked %llu closed %lld factor %.1f "
             "concurrency %u limits %zu request %.1f ms (seed %llu)",
             law, (unsigned long long)q->batches, (unsigned long long)q->at_once,
             (unsigned long long)q->leased, (unsigned long long)q->parked, (long long)q->closed_ms,
             q->factor, q->concurrency, q->limit_count, q->cost.request_ms,
             (unsigned long long)seed);
}

static void the_laws_hold_for_any_quota(void **state)
{
    (void)state;
    seed = 20261129;
    for (int round = 0; round < 200000; round++) {
        struct work_quota q = any_quota();
        uint64_t workers = workers_of(&q, NULL, NULL), most = most_of(&q);
        if (is_idle(&q) != (workers == 0))
            show(&q, "0 exactly where nothing may run");
        if (workers > 1 && workers > most)
            show(&q, "no worker without a batch of its own");
        struct work_quota longer = q;
        uint64_t more = any(100000);
        longer.batches += more;
        longer.at_once += any(2) ? more : 0;
        if (workers_of(&longer, NULL, NULL) < workers)
            show(&q, "never fewer for a longer backlog");
        struct work_quota spent = q;
        for (size_t i = 0; i < spent.limit_count; i++)
            if (spent.limits[i].per_ms <= fleet.drain_ms)
                spent.limits[i].used = any(spent.limits[i].count + 1);
        if (workers_of(&spent, NULL, NULL) != workers)
            show(&q, "what a short window has left at the moment does not count");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backlog_is_worth_what_sends_it_in_time),
        cmocka_unit_test(bodies_are_worth_the_processors_that_they_keep_busy),
        cmocka_unit_test(a_limit_is_worth_its_own_pace),
        cmocka_unit_test(a_long_limit_is_a_budget),
        cmocka_unit_test(what_cannot_run_is_worth_nothing),
        cmocka_unit_test(quotas_share_workers),
        cmocka_unit_test(a_worker_keeps_a_slot_for_whom_has_nothing_to_do),
        cmocka_unit_test(loads_of_several_schedulers_add_up),
        cmocka_unit_test(the_laws_hold_for_any_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
