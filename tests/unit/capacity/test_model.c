/* The capacity model: known cases, and that more of anything never needs less. */
#include "scheduler/capacity/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR_MS 3600000ull
#define DAY_MS (24 * HOUR_MS)
enum { ROUNDS = 2000 };

static const struct rate_limit hubspot[] = {{RATE_REQUESTS, 100, 10000, 0},
                                            {RATE_REQUESTS, 250000, DAY_MS, 0}};
static const struct rate_limit by_record[] = {{RATE_RECORDS, 6000, 60000, 0},
                                              {RATE_REQUESTS, 1, DAY_MS, 2}};

static void assert_near(double is, double should)
{
    if (fabs(is - should) > 1e-9 * fmax(1, fabs(should)))
        fail_msg("%.12g is not %.12g", is, should);
}

static struct capacity_target target(const struct rate_limit *limits, size_t count)
{
    return (struct capacity_target){.name = "crm",
                                    .limits = limits,
                                    .limit_count = count,
                                    .batch_records = 100,
                                    .requests_per_batch = 1,
                                    .request_ms = 200};
}

static void set_load(struct capacity_target *t, double records_day, double peak)
{
    t->day = (struct capacity_load){records_day, records_day / 100 * t->requests_per_batch,
                                    records_day / 100, records_day * 250, records_day * 2};
    t->hour = (struct capacity_load){0};
    capacity_load_add(&t->hour, &t->day, peak);
}

/* ---- what limits allow ---- */

static void test_the_tightest_limit_says_how_many_records_a_day_can_go(void **state)
{
    static const struct {
        const struct rate_limit *limits;
        size_t count;
        uint32_t concurrency;
        double requests_per_batch, records;
        int bound;
    } cases[] = {
        {NULL, 0, 0, 1, INFINITY, CAPACITY_UNLIMITED},
        {hubspot, 1, 0, 1, 86400000, 0},
        {hubspot, 2, 0, 1, 25000000, 1},
        {hubspot, 2, 0, 2, 12500000, 1},  /* two requests for each batch */
        {by_record, 2, 0, 1, 8640000, 0}, /* the second counts another group */
        {hubspot, 2, 1, 1, 25000000, 1},  /* 432,000 requests of 200 ms, one by one */
        {hubspot, 1, 1, 1, 43200000, CAPACITY_CONCURRENCY},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct capacity_target t = target(cases[i].limits, cases[i].count);
        struct capacity_room r;
        t.concurrency = cases[i].concurrency;
        t.requests_per_batch = cases[i].requests_per_batch;
        capacity_room(&t, &r);
        assert_int_equal(r.bound, cases[i].bound);
        if (isinf(cases[i].records))
            assert_true(isinf(r.records_day));
        else
            assert_near(r.records_day, cases[i].records);
    }
}

static void test_more_records_than_a_limit_carries_are_impossible(void **state)
{
    struct capacity_target t = target(hubspot, 2);
    struct capacity_room r;
    (void)state;
    set_load(&t, 25000000, 0.125);
    capacity_room(&t, &r);
    assert_true(r.possible);
    set_load(&t, 25000001, 0.125);
    capacity_room(&t, &r);
    assert_false(r.possible);
    assert_int_equal(r.bound, 1);
}

static void test_a_long_window_is_used_by_the_day_and_a_short_one_by_the_hour(void **state)
{
    struct capacity_target t = target(hubspot, 2);
    struct capacity_room r;
    (void)state;
    set_load(&t, 10000000, 0.5); /* 100,000 requests: 40 % of the day's, 139 % of an hour's */
    capacity_room(&t, &r);
    assert_int_equal(r.used_by, 0);
    assert_near(r.used, 50000.0 / 36000);
    assert_near(r.hour_takes, 50000.0 / 36000);
    set_load(&t, 10000000, 0.05);
    capacity_room(&t, &r);
    assert_int_equal(r.used_by, 1);
    assert_near(r.used, 0.4);
    assert_true(r.hour_takes < 1);
}

static void test_sending_everything_again_takes_as_long_as_the_limits_make_it(void **state)
{
    struct capacity_target t = target(hubspot, 2);
    struct capacity_room r;
    (void)state;
    t.full_records = 1000000;
    capacity_room(&t, &r);
    assert_near(r.full_hours, 99 * 10.0 / 3600); /* the last hundred of 10,000 requests */
    t.full_records = 60000000;
    capacity_room(&t, &r);
    assert_near(r.full_hours, 48); /* 600,000 requests: the third day's begin after two */
    t = target(NULL, 0);
    t.full_records = 1000000;
    t.concurrency = 4;
    capacity_room(&t, &r);
    assert_near(r.full_hours, 10000 * 0.2 / 4 / 3600);
}

static void test_requests_at_the_same_time_follow_littles_law(void **state)
{
    struct capacity_target t = target(NULL, 0);
    struct capacity_room r;
    (void)state;
    set_load(&t, 3600000, 1); /* 36,000 requests in an hour: 10 a second */
    capacity_room(&t, &r);
    assert_near(r.in_flight, 2);
    t.concurrency = 1;
    capacity_room(&t, &r);
    assert_near(r.in_flight, 1);
    t.concurrency = 0;
    t.limits = (struct rate_limit[]){{RATE_REQUESTS, 5, 1000, 0}};
    t.limit_count = 1;
    capacity_room(&t, &r);
    assert_near(r.in_flight, 1); /* five a second is what goes */
}

/* ---- what it needs ---- */

static void need_of(const struct capacity_target *t, size_t count,
                    const struct capacity_frame *frame, struct capacity_need *ret)
{
    struct capacity_room rooms[8];
    assert_true(count <= ARRAY_LEN(rooms));
    for (size_t i = 0; i < count; i++)
        capacity_room(&t[i], &rooms[i]);
    capacity_need(&capacity_measured, frame, t, rooms, count, ret);
}

static void test_slots_and_processors_make_workers(void **state)
{
    struct capacity_frame frame = {.window_bytes = 64e6, .worker_slots = 32};
    struct capacity_target t = target(NULL, 0);
    struct capacity_need n;
    (void)state;
    need_of(&t, 1, &frame, &n);
    assert_near(n.workers, 1);
    set_load(&t, 36000000, 1); /* 100 requests a second */
    t.request_ms = 3200;       /* 320 at a time: ten workers' slots, and half as many more */
    need_of(&t, 1, &frame, &n);
    assert_near(n.workers, 15);
    frame.worker_slots = 64;
    need_of(&t, 1, &frame, &n);
    assert_near(n.workers, 8);
    t.request_ms = 1;
    set_load(&t, 36e9, 1); /* 100,000 requests a second: their processors decide */
    need_of(&t, 1, &frame, &n);
    double us = capacity_measured.worker_request_us + 100 * capacity_measured.worker_record_us +
                25000.0 / 1024 * capacity_measured.worker_kib_us;
    assert_near(n.workers, ceil(0.1 * us * CAPACITY_HEADROOM));
    assert_true(n.primaries > 1);
}

static void test_memory_and_disk_follow_the_rows(void **state)
{
    struct capacity_frame frame = {.stored_rows = 1e6, .worker_slots = 32};
    struct capacity_target t = target(NULL, 0);
    struct capacity_need few, many;
    (void)state;
    need_of(&t, 1, &frame, &few);
    frame.stored_rows = 2e6;
    need_of(&t, 1, &frame, &many);
    assert_near(many.disk_bytes - few.disk_bytes,
                1e6 * capacity_measured.state_row_bytes * CAPACITY_HEADROOM);
    assert_near(many.scheduler_bytes - few.scheduler_bytes,
                1e6 * capacity_measured.scheduler_row_bits / 8 * CAPACITY_HEADROOM);
}

/* ---- more never needs less ---- */

static double any(double most)
{
    return most * (double)rand() / RAND_MAX;
}

static void any_target(struct capacity_target *t, struct rate_limit limits[2])
{
    limits[0] = (struct rate_limit){(enum rate_kind)(rand() % 2), 1 + (uint64_t)any(1000),
                                    1 + (uint64_t)any(20000), 0};
    limits[1] =
        (struct rate_limit){(enum rate_kind)(rand() % 2), 1 + (uint64_t)any(1e6), DAY_MS, 0};
    *t = target(limits, (size_t)rand() % 3);
    t->batch_records = 1 + floor(any(1000));
    t->requests_per_batch = 1 + any(3);
    t->request_ms = any(2000);
    t->concurrency = (uint32_t)any(40);
    t->https = rand() % 2;
    t->full_records = any(1e7);
    set_load(t, any(1e8), 0.04 + any(0.5));
}

/* None of it is less than before. */
static void assert_no_less(const struct capacity_need *before, const struct capacity_need *after,
                           unsigned seed)
{
    const double *a = (const double *)before, *b = (const double *)after;
    for (size_t i = 0; i < sizeof *before / sizeof *a; i++)
        if (b[i] < a[i] * (1 - 1e-9))
            fail_msg("seed %u: need %zu fell from %g to %g", seed, i, a[i], b[i]);
}

static void test_more_load_never_needs_less_and_never_becomes_possible(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= ROUNDS; seed++) {
        struct rate_limit limits[2];
        struct capacity_frame frame = {
            .window_bytes = 64e6, .stored_rows = 1e6, .worker_slots = 32};
        struct capacity_target t;
        struct capacity_need before, after;
        struct capacity_room r, more;
        srand(seed);
        any_target(&t, limits);
        need_of(&t, 1, &frame, &before);
        capacity_room(&t, &r);
        double factor = 1 + any(9);
        struct capacity_load day = t.day, hour = t.hour;
        t.day = t.hour = (struct capacity_load){0};
        capacity_load_add(&t.day, &day, factor);
        capacity_load_add(&t.hour, &hour, factor);
        t.full_records *= factor;
        frame.stored_rows *= factor;
        need_of(&t, 1, &frame, &after);
        capacity_room(&t, &more);
        assert_no_less(&before, &after, seed);
        assert_true(r.possible || !more.possible);
        assert_true(more.used >= r.used && more.full_hours >= r.full_hours);
        assert_true(more.records_day == r.records_day);
    }
}

static void test_a_wider_limit_never_carries_less_and_a_slower_one_never_more(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= ROUNDS; seed++) {
        struct rate_limit limits[2];
        struct capacity_target t;
        struct capacity_room r, wider, slower;
        srand(seed);
        any_target(&t, limits);
        t.limit_count = 2;
        capacity_room(&t, &r);
        limits[0].count *= 2;
        capacity_room(&t, &wider);
        assert_true(wider.records_day >= r.records_day && wider.used <= r.used);
        assert_true(wider.full_hours <= r.full_hours + 1e-9 && wider.in_flight >= r.in_flight);
        limits[0].count /= 2;
        t.request_ms *= 2;
        capacity_room(&t, &slower);
        assert_true(slower.records_day <= r.records_day && slower.in_flight >= r.in_flight);
        assert_true(slower.full_hours >= r.full_hours);
    }
}

static void test_another_destination_never_makes_the_need_less(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= ROUNDS; seed++) {
        struct rate_limit limits[2][2];
        struct capacity_frame frame = {
            .window_bytes = 64e6, .stored_rows = 1e6, .worker_slots = 32};
        struct capacity_target t[2];
        struct capacity_need one, two;
        srand(seed);
        any_target(&t[0], limits[0]);
        any_target(&t[1], limits[1]);
        /* The window is shared, so that batches that wait are those of the mean body: alike. */
        t[1].day = t[0].day;
        t[1].hour = t[0].hour;
        need_of(t, 1, &frame, &one);
        need_of(t, 2, &frame, &two);
        assert_no_less(&one, &two, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_tightest_limit_says_how_many_records_a_day_can_go),
        cmocka_unit_test(test_more_records_than_a_limit_carries_are_impossible),
        cmocka_unit_test(test_a_long_window_is_used_by_the_day_and_a_short_one_by_the_hour),
        cmocka_unit_test(test_sending_everything_again_takes_as_long_as_the_limits_make_it),
        cmocka_unit_test(test_requests_at_the_same_time_follow_littles_law),
        cmocka_unit_test(test_slots_and_processors_make_workers),
        cmocka_unit_test(test_memory_and_disk_follow_the_rows),
        cmocka_unit_test(test_more_load_never_needs_less_and_never_becomes_possible),
        cmocka_unit_test(test_a_wider_limit_never_carries_less_and_a_slower_one_never_more),
        cmocka_unit_test(test_another_destination_never_makes_the_need_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
