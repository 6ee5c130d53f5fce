/* Outcomes become settles: every record of a request keeps a place in the queue or gets a verdict,
 * never both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/wire/ordset.h"
#include "tests/unit/worker/sample.h"
#include "worker/settle/plan.h"

enum { RECORDS = 10, PLANNED = 20, PAYLOAD_MAX = 1 << 20, ROUNDS = 2000 };

static const struct retry_policy POLICY = {
    .attempts = 3, .base_ms = 100, .max_ms = 1000, .throttled_max_ms = 1};

struct bench {
    struct buf payload;
    struct batch_reader *reader;
    struct rendered rendered;
    struct settle_plan plan;
    struct settle_facts facts;
    struct result_reader *results;
};

static void bench_open(struct bench *b, uint32_t records)
{
    static const char *const names[] = {"id", NULL};
    struct sample_head h = {"s", "r", "batch-1", "hook", "f", names, names, PLANNED};
    struct err err;
    buf_init(&b->payload, PAYLOAD_MAX);
    sample_ids(&b->payload, &h, 100, records);
    b->reader = batch_reader_new();
    assert_int_equal(batch_reader_open(b->reader, buf_slice(&b->payload), &err), ERR_OK);
    rendered_init(&b->rendered);
    rendered_reset(&b->rendered);
    b->rendered.records = records;
    b->rendered.ordinals = arena_alloc(&b->rendered.arena, records * sizeof(uint32_t));
    for (uint32_t i = 0; i < records; i++)
        b->rendered.ordinals[i] = i;
    settle_plan_init(&b->plan);
    b->results = result_reader_new();
    b->facts = (struct settle_facts){.policy = &POLICY,
                                     .batch = SLICE_LIT("batch-1"),
                                     .ordset = SLICE_LIT("0-9"),
                                     .planned = PLANNED,
                                     .requests = 1,
                                     .status = 200};
}

static void bench_close(struct bench *b)
{
    buf_done(&b->payload);
    batch_reader_free(b->reader);
    rendered_done(&b->rendered);
    settle_plan_done(&b->plan);
    result_reader_free(b->results);
}

static struct result plan(struct bench *b, const struct outcome *o)
{
    struct err err;
    struct result r = {0};
    if (settle_plan_outcome(&b->plan, &b->facts, &b->rendered, o, b->reader, &err) ||
        result_parse(b->results, buf_slice(&b->plan.result), &r, &err))
        fail_msg("%s", err.text);
    return r;
}

static void a_failed_attempt_waits_within_full_jitter(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, RECORDS);
    struct outcome o = {.kind = OUTCOME_RETRY, .unsure = true, .retry_after_ms = -1};
    uint64_t least = UINT64_MAX, most = 0;
    b.facts.attempts = 1;
    b.facts.status = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct result r = plan(&b, &o);
        assert_int_equal(b.plan.kind, SETTLE_RETRY);
        assert_int_equal(r.rest, VERDICT_OPEN);
        assert_int_equal(r.retries, 1);
        assert_int_equal(b.plan.part_count, 0);
        assert_true(b.plan.unsure && b.plan.keep_throttle);
        least = b.plan.delay_ms < least ? b.plan.delay_ms : least;
        most = b.plan.delay_ms > most ? b.plan.delay_ms : most;
    }
    assert_in_range(least, 0, 20);
    assert_in_range(most, 180, 200);

    o.retry_after_ms = 5000; /* not before the destination asked for */
    for (int i = 0; i < ROUNDS; i++) {
        plan(&b, &o);
        assert_in_range(b.plan.delay_ms, 5000, 5200);
    }
    bench_close(&b);
}

static void used_up_attempts_fail_in_doubt_where_any_of_them_was(void **state)
{
    (void)state;
    for (int bits = 0; bits < 4; bits++) {
        struct bench b;
        bench_open(&b, RECORDS);
        b.facts.attempts = 2;
        b.facts.was_unsure = bits & 1;
        struct outcome o = {.kind = OUTCOME_RETRY,
                            .unsure = bits & 2,
                            .retry_after_ms = -1,
                            .message = SLICE_LIT("w")};
        struct result r = plan(&b, &o);
        assert_int_equal(b.plan.kind, SETTLE_DONE);
        assert_int_equal(r.rest, VERDICT_FAILED);
        assert_int_equal(r.flags, bits ? RESULT_DOUBT : 0);
        assert_true(slice_eq_str(r.message, "w"));
        bench_close(&b);
    }
}

static void throttling_is_no_attempt_and_grows_without_a_named_delay(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, RECORDS);
    struct outcome o = {.kind = OUTCOME_THROTTLE, .retry_after_ms = 4000};
    b.facts.attempts = 2;
    b.facts.status = 429;
    struct result r = plan(&b, &o);
    assert_int_equal(b.plan.kind, SETTLE_THROTTLE);
    assert_int_equal(b.plan.delay_ms, 4000);
    assert_int_equal(r.rest, VERDICT_OPEN);
    assert_false(b.plan.keep_throttle);
    static const struct {
        uint32_t before;
        uint64_t least, most;
    } table[] = {{0, 100, 100}, {1, 100, 200},  {2, 200, 400},
                 {3, 400, 800}, {9, 500, 1000}, {4000000000U, 500, 1000}};
    o.retry_after_ms = -1;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        b.facts.throttled = table[i].before;
        plan(&b, &o);
        assert_in_range(b.plan.delay_ms, table[i].least, table[i].most);
    }
    o.retry_after_ms = 0;
    plan(&b, &o);
    assert_int_equal(b.plan.delay_ms, SETTLE_THROTTLE_MIN_MS);
    bench_close(&b);
}

static void a_refused_batch_is_halved_and_a_refused_record_rejected(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, RECORDS - 1);
    struct outcome o = {.kind = OUTCOME_REFUSED, .retry_after_ms = -1, .message = SLICE_LIT("bad")};
    struct result r = plan(&b, &o);
    assert_int_equal(b.plan.kind, SETTLE_SPLIT);
    assert_int_equal(r.rest, VERDICT_OPEN);
    assert_int_equal(b.plan.part_count, 2);
    assert_true(slice_eq_str(b.plan.parts[0].ordset, "0-4"));
    assert_true(slice_eq_str(b.plan.parts[1].ordset, "5-8"));
    assert_int_equal(b.plan.parts[0].records + b.plan.parts[1].records, RECORDS - 1);
    assert_false(slice_eq(b.plan.parts[0].part, b.plan.parts[1].part));
    bench_close(&b);

    bench_open(&b, 1);
    r = plan(&b, &o);
    assert_int_equal(b.plan.kind, SETTLE_DONE);
    assert_int_equal(r.rest, VERDICT_REJECTED);
    assert_int_equal(r.flags, RESULT_SINGLE);
    bench_close(&b);
}

static void a_stop_cancels_and_says_why(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, RECORDS);
    struct outcome o = {
        .kind = OUTCOME_STOP, .retry_after_ms = -1, .message = SLICE_LIT("HTTP 401")};
    struct result r = plan(&b, &o);
    assert_int_equal(b.plan.kind, SETTLE_STOP);
    assert_true(b.plan.stop);
    assert_int_equal(r.rest, VERDICT_CANCELLED);
    assert_int_equal(r.flags, RESULT_STOP);
    b.facts.was_unsure = true;
    assert_int_equal(plan(&b, &o).flags, RESULT_STOP | RESULT_DOUBT);
    bench_close(&b);
}

static void a_batch_that_lost_its_workers_is_halved_unsent(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    struct result r;
    bench_open(&b, RECORDS);
    b.facts.requests = 0;
    b.facts.kills = 3;
    assert_int_equal(settle_plan_unsent(&b.plan, &b.facts, SLICE_LIT("lost"), true, b.reader, &err),
                     ERR_OK);
    assert_int_equal(b.plan.kind, SETTLE_SPLIT);
    assert_int_equal(b.plan.part_count, 2);
    assert_int_equal(b.plan.result.len, 0);
    assert_true(b.plan.keep_throttle);
    bench_close(&b);

    bench_open(&b, 1);
    b.facts.requests = 0;
    b.facts.kills = 3;
    assert_int_equal(settle_plan_unsent(&b.plan, &b.facts, SLICE_LIT("lost"), true, b.reader, &err),
                     ERR_OK);
    assert_int_equal(b.plan.kind, SETTLE_DONE);
    assert_int_equal(result_parse(b.results, buf_slice(&b.plan.result), &r, &err), ERR_OK);
    assert_int_equal(r.rest, VERDICT_FAILED);
    assert_int_equal(r.flags, RESULT_DOUBT);
    assert_int_equal(r.kills, 3);
    assert_int_equal(r.requests, 0);
    bench_close(&b);
}

/* ---- several requests ---- */

static void a_batch_goes_on_with_what_is_known_and_says_what_comes_next(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, RECORDS);
    struct outcome o = {.kind = OUTCOME_CONTINUE,
                        .retry_after_ms = -1,
                        .progress = SLICE_LIT("known"),
                        .delay_ms = 5000,
                        .pause_ms = 7,
                        .hold_ms = 8,
                        .next_group = 2,
                        .next_carries_none = true,
                        .open = true};
    struct result r = plan(&b, &o);
    assert_int_equal(b.plan.kind, SETTLE_CONTINUE);
    assert_int_equal(r.rest, VERDICT_OPEN);
    assert_int_equal(r.entry_count, 0);
    assert_int_equal(r.requests, 1);
    assert_int_equal(b.plan.part_count, 0);
    assert_int_equal(b.plan.delay_ms, 5000);
    assert_true(slice_eq_str(b.plan.progress, "known"));
    assert_int_equal(b.plan.pause_ms, 7);
    assert_int_equal(b.plan.hold_ms, 8);
    assert_int_equal(b.plan.next_group, 2);
    assert_int_equal(b.plan.next_records, QUEUE_NO_RECORDS);
    assert_true(b.plan.open && !b.plan.uncharge_records && !b.plan.unsure);
    b.facts.was_unsure = true; /* a doubt stays, though each settle says it anew */
    plan(&b, &o);
    assert_true(b.plan.unsure);
    bench_close(&b);
}

static void a_failed_or_throttled_step_keeps_what_is_known(void **state)
{
    (void)state;
    static const enum outcome_kind kinds[] = {OUTCOME_RETRY, OUTCOME_THROTTLE};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct bench b;
        bench_open(&b, RECORDS);
        struct outcome o = {.kind = kinds[i],
                            .retry_after_ms = -1,
                            .progress = SLICE_LIT("known"),
                            .next_group = 3,
                            .carried_none = true,
                            .open = true};
        plan(&b, &o);
        assert_true(slice_eq_str(b.plan.progress, "known"));
        assert_int_equal(b.plan.next_group, 3);
        assert_int_equal(b.plan.next_records, 0);
        assert_true(b.plan.open && b.plan.uncharge_records);
        bench_close(&b);
    }
}

static void halves_begin_anew_with_their_first_request(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    bench_open(&b, RECORDS);
    b.facts.first_group = 4;
    b.facts.first_carries_none = true;
    assert_int_equal(
        settle_plan_unsent(&b.plan, &b.facts, SLICE_LIT("large"), false, b.reader, &err), ERR_OK);
    assert_int_equal(b.plan.progress.n, 0);
    assert_int_equal(b.plan.next_group, 4);
    assert_int_equal(b.plan.next_records, QUEUE_NO_RECORDS);
    bench_close(&b);
}

static void a_batch_of_a_session_is_never_halved(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    bench_open(&b, RECORDS);
    struct outcome o = {.kind = OUTCOME_REFUSED,
                        .retry_after_ms = -1,
                        .whole = true,
                        .message = SLICE_LIT("HTTP 400: odd")};
    struct result r = plan(&b, &o);
    assert_int_equal(b.plan.kind, SETTLE_STOP);
    assert_int_equal(r.rest, VERDICT_CANCELLED);
    assert_true(slice_eq_str(r.message, "HTTP 400: odd"));
    b.facts.whole = true;
    assert_int_equal(settle_plan_unsent(&b.plan, &b.facts, SLICE_LIT("lost"), true, b.reader, &err),
                     ERR_OK);
    assert_int_equal(b.plan.kind, SETTLE_STOP);
    assert_int_equal(b.plan.part_count, 0);
    bench_close(&b);
}

static void a_session_that_would_lack_a_batch_ends_the_run(void **state)
{
    (void)state;
    struct outcome ends[] = {
        {.kind = OUTCOME_RETRY}, /* its last attempt */
        {.kind = OUTCOME_REFUSED},
        {.kind = OUTCOME_ALL, .rest = VERDICT_REJECTED},
        {.kind = OUTCOME_ALL, .rest = VERDICT_FAILED},
    };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct bench b;
        bench_open(&b, 1);
        b.facts.attempts = 2;
        b.facts.was_unsure = true;
        ends[i].whole = true;
        ends[i].retry_after_ms = -1;
        struct result r = plan(&b, &ends[i]);
        assert_int_equal(b.plan.kind, SETTLE_STOP);
        assert_int_equal(r.rest, VERDICT_CANCELLED);
        assert_int_equal(r.flags, RESULT_STOP | RESULT_DOUBT);
        bench_close(&b);
    }
}

static void one_verdict_for_all_but_those_with_their_own(void **state)
{
    (void)state;
    static const struct outcome_entry own = {4, VERDICT_OK, {0}};
    static const struct {
        enum verdict rest;
        bool unsure;
        uint32_t records, flags;
    } table[] = {{VERDICT_REJECTED, false, RECORDS, 0},
                 {VERDICT_REJECTED, false, 1, RESULT_SINGLE},
                 {VERDICT_NOT_FOUND, false, 1, 0},
                 {VERDICT_FAILED, false, RECORDS, 0},
                 {VERDICT_FAILED, true, RECORDS, RESULT_DOUBT}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct bench b;
        bench_open(&b, table[i].records);
        struct outcome o = {.kind = OUTCOME_ALL,
                            .retry_after_ms = -1,
                            .rest = table[i].rest,
                            .unsure = table[i].unsure,
                            .message = SLICE_LIT("w"),
                            .entries = &own,
                            .entry_count = table[i].records > 1};
        struct result r = plan(&b, &o);
        assert_int_equal(b.plan.kind, SETTLE_DONE);
        assert_int_equal(r.rest, table[i].rest);
        assert_int_equal(r.flags, table[i].flags);
        assert_true(slice_eq_str(r.message, "w"));
        assert_int_equal(r.entry_count, o.entry_count);
        bench_close(&b);
    }
}

static void a_warning_goes_with_what_was_accepted(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, RECORDS);
    struct outcome o = {
        .kind = OUTCOME_ANSWERED, .retry_after_ms = -1, .warning = SLICE_LIT("3 were odd")};
    struct result r = plan(&b, &o);
    assert_int_equal(b.plan.kind, SETTLE_DONE);
    assert_int_equal(r.rest, VERDICT_OK);
    assert_int_equal(r.flags, RESULT_WARN);
    assert_true(slice_eq_str(r.message, "3 were odd"));
    bench_close(&b);
}

/* ---- whatever the answer lists ---- */

static uint32_t random_state = 12345;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % below;
}

static void check_balance(const struct bench *b, const struct result *r, const struct outcome *o)
{
    uint8_t kept[PLANNED / 8 + 1] = {0};
    struct err err;
    bool goes_on = b->plan.kind == SETTLE_RETRY || b->plan.kind == SETTLE_CONTINUE;
    bool all_kept = goes_on && b->plan.part_count == 0;
    if (b->plan.part_count)
        assert_int_equal(ordset_bits(b->plan.parts[0].ordset, PLANNED, kept, &err), ERR_OK);
    for (uint32_t i = 0; i < RECORDS; i++) {
        enum verdict v = r->rest;
        for (size_t k = 0; k < r->entry_count; k++)
            if (r->entries[k].ordinal == i)
                v = r->entries[k].verdict;
        bool stays = all_kept || (kept[i / 8] & 1u << i % 8);
        assert_int_equal(stays, v == VERDICT_OPEN);
    }
    assert_int_equal(r->entry_count, o->entry_count);
    if (b->plan.part_count) {
        struct batch_reader *part = batch_reader_new();
        assert_int_equal(batch_reader_open(part, b->plan.parts[0].payload, &err), ERR_OK);
        assert_int_equal(batch_reader_count(part), b->plan.parts[0].records);
        batch_reader_free(part);
    }
}

static void no_record_is_lost_or_counted_twice_whatever_is_listed(void **state)
{
    (void)state;
    static const enum verdict verdicts[] = {VERDICT_OPEN, VERDICT_REJECTED, VERDICT_NOT_FOUND};
    struct bench b;
    bench_open(&b, RECORDS);
    for (int round = 0; round < ROUNDS; round++) {
        struct outcome_entry entries[RECORDS];
        static const enum outcome_kind kinds[] = {OUTCOME_ANSWERED, OUTCOME_CONTINUE, OUTCOME_ALL};
        struct outcome o = {.kind = kinds[draw(3)],
                            .retry_after_ms = -1,
                            .entries = entries,
                            .rest = VERDICT_REJECTED};
        uint32_t density = draw(4), first = o.kind == OUTCOME_ANSWERED ? 0 : 1;
        for (uint32_t i = 0; i < RECORDS; i++)
            if (draw(3) < density)
                entries[o.entry_count++] =
                    (struct outcome_entry){i, verdicts[first + draw(3 - first)], SLICE_LIT("m")};
        b.facts.attempts = draw(3);
        struct result r = plan(&b, &o);
        check_balance(&b, &r, &o);
        if (b.facts.attempts == 2 && o.kind != OUTCOME_CONTINUE)
            assert_int_equal(b.plan.kind, SETTLE_DONE);
    }
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_attempt_waits_within_full_jitter),
        cmocka_unit_test(used_up_attempts_fail_in_doubt_where_any_of_them_was),
        cmocka_unit_test(throttling_is_no_attempt_and_grows_without_a_named_delay),
        cmocka_unit_test(a_refused_batch_is_halved_and_a_refused_record_rejected),
        cmocka_unit_test(a_stop_cancels_and_says_why),
        cmocka_unit_test(a_batch_that_lost_its_workers_is_halved_unsent),
        cmocka_unit_test(a_batch_goes_on_with_what_is_known_and_says_what_comes_next),
        cmocka_unit_test(a_failed_or_throttled_step_keeps_what_is_known),
        cmocka_unit_test(halves_begin_anew_with_their_first_request),
        cmocka_unit_test(a_batch_of_a_session_is_never_halved),
        cmocka_unit_test(a_session_that_would_lack_a_batch_ends_the_run),
        cmocka_unit_test(one_verdict_for_all_but_those_with_their_own),
        cmocka_unit_test(a_warning_goes_with_what_was_accepted),
        cmocka_unit_test(no_record_is_lost_or_counted_twice_whatever_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
