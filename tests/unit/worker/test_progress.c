/* What a batch keeps between two requests comes back as it was; foreign bytes do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/deliver/progress.h"

enum { ARENA_BYTES = 8 << 20, BUF_BYTES = 1 << 20, VARS = 3 };

static struct progress sample(struct arena *a)
{
    struct progress p;
    assert_int_equal(progress_init(&p, a, VARS), ERR_OK);
    p.ensuring = true;
    p.step = 3;
    p.polls = 17;
    p.jumps = 2;
    p.since_ms = 1700000000123;
    p.refusals = 7;
    p.refused_new = 2;
    p.sent = p.open = true;
    p.vars[0] = SLICE_LIT("job-1");
    p.vars[1] = SLICE_LIT("");
    static struct progress_record records[] = {
        {.ordinal = 0, .id = SLICE_LIT("id"), .left_out = UINT64_MAX},
        {.ordinal = 7, .has_verdict = true, .verdict = VERDICT_OK},
        {.ordinal = 65534,
         .has_verdict = true,
         .verdict = VERDICT_REJECTED,
         .message = SLICE_LIT("caf\xc3\xa9"),
         .left_out = 1},
    };
    p.records = records;
    p.record_count = ARRAY_LEN(records);
    return p;
}

static void assert_same(const struct progress *a, const struct progress *b)
{
    assert_int_equal(a->ensuring, b->ensuring);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->polls, b->polls);
    assert_int_equal(a->jumps, b->jumps);
    assert_int_equal(a->since_ms, b->since_ms);
    assert_int_equal(a->refusals, b->refusals);
    assert_int_equal(a->refused_new, b->refused_new);
    assert_int_equal(a->sent, b->sent);
    assert_int_equal(a->open, b->open);
    assert_int_equal(a->var_count, b->var_count);
    for (uint32_t i = 0; i < a->var_count; i++) {
        assert_int_equal(!a->vars[i].p, !b->vars[i].p);
        assert_true(slice_eq(a->vars[i], b->vars[i]));
    }
    assert_int_equal(a->record_count, b->record_count);
    for (uint32_t i = 0; i < a->record_count; i++) {
        const struct progress_record *x = &a->records[i], *y = &b->records[i];
        assert_int_equal(x->ordinal, y->ordinal);
        assert_int_equal(!x->id.p, !y->id.p);
        assert_true(slice_eq(x->id, y->id));
        assert_true(x->left_out == y->left_out);
        assert_int_equal(x->has_verdict, y->has_verdict);
        assert_int_equal(x->verdict, y->verdict);
        assert_true(slice_eq(x->message, y->message));
    }
}

static void what_is_put_is_read_again(void **state)
{
    (void)state;
    CLEANUP(arena_done) struct arena a;
    CLEANUP(buf_done) struct buf bytes;
    arena_init(&a, ARENA_BYTES);
    buf_init(&bytes, BUF_BYTES);
    struct progress p = sample(&a), read;
    struct err err;
    assert_int_equal(buf_puts(&bytes, "before"), ERR_OK);
    assert_int_equal(progress_put(&bytes, &p), ERR_OK);
    struct slice own = slice_of(bytes.p + 6, bytes.len - 6);
    assert_int_equal(progress_read(&read, &a, own, VARS, &err), ERR_OK);
    memset(bytes.p, 0, bytes.len); /* it lives in the arena */
    assert_same(&p, &read);
}

static void empty_bytes_are_a_beginning(void **state)
{
    (void)state;
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct progress p, begun;
    struct err err;
    assert_int_equal(progress_read(&p, &a, (struct slice){0}, VARS, &err), ERR_OK);
    assert_int_equal(progress_init(&begun, &a, VARS), ERR_OK);
    assert_same(&begun, &p);
    assert_null(p.vars[0].p);
}

static void foreign_bytes_are_refused(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf bytes;
    buf_init(&bytes, BUF_BYTES);
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct progress p = sample(&a), read;
    struct err err;
    assert_int_equal(progress_put(&bytes, &p), ERR_OK);
    struct slice whole = buf_slice(&bytes);
    for (size_t n = 1; n < whole.n; n++)
        assert_int_equal(progress_read(&read, &a, slice_of(whole.p, n), VARS, &err), ERR_INVALID);
    assert_int_equal(progress_read(&read, &a, whole, VARS - 1, &err), ERR_INVALID);
    assert_int_equal(progress_read(&read, &a, whole, VARS + 1, &err), ERR_INVALID);
    assert_int_equal(buf_putc(&bytes, '\0'), ERR_OK);
    assert_int_equal(progress_read(&read, &a, buf_slice(&bytes), VARS, &err), ERR_INVALID);
    bytes.p[1] = 9;
    assert_int_equal(progress_read(&read, &a, whole, VARS, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "version 9"));
    /* Any byte may be wrong; what is read all the same obeys the bounds. */
    for (size_t i = 0; i < whole.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            buf_reset(&bytes);
            assert_int_equal(progress_put(&bytes, &p), ERR_OK);
            bytes.p[i] = (char)(bytes.p[i] ^ 1 << bit);
            arena_reset(&a);
            p = sample(&a);
            if (progress_read(&read, &a, buf_slice(&bytes), VARS, &err))
                continue;
            for (uint32_t k = 1; k < read.record_count; k++)
                assert_true(read.records[k].ordinal > read.records[k - 1].ordinal);
        }
}

static void ordinals_ascend(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf bytes;
    buf_init(&bytes, BUF_BYTES);
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct progress p = sample(&a), read;
    struct progress_record twice[] = {{.ordinal = 5}, {.ordinal = 5}};
    struct err err;
    p.records = twice;
    p.record_count = ARRAY_LEN(twice);
    assert_int_equal(progress_put(&bytes, &p), ERR_OK);
    assert_int_equal(progress_read(&read, &a, buf_slice(&bytes), VARS, &err), ERR_INVALID);
}

static void more_than_fits_is_refused_and_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    enum { RECORDS = 4000, ID_BYTES = 100 };
    CLEANUP(buf_done) struct buf bytes;
    buf_init(&bytes, BUF_BYTES);
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, ARENA_BYTES);
    char id[ID_BYTES];
    memset(id, 'x', sizeof id);
    struct progress p = sample(&a);
    p.records = arena_alloc(&a, RECORDS * sizeof *p.records);
    p.record_count = RECORDS;
    for (uint32_t i = 0; i < RECORDS; i++)
        p.records[i] = (struct progress_record){.ordinal = i, .id = slice_of(id, sizeof id)};
    assert_int_equal(buf_puts(&bytes, "before"), ERR_OK);
    assert_int_equal(progress_put(&bytes, &p), ERR_FULL);
    assert_true(slice_eq_str(buf_slice(&bytes), "before"));
    assert_int_equal(bytes.max, BUF_BYTES);
    p.record_count = RECORDS / 2;
    assert_int_equal(progress_put(&bytes, &p), ERR_OK);
    assert_true(bytes.len <= PROGRESS_BYTES_MAX + 6);
}

static void records_are_found_by_ordinal(void **state)
{
    (void)state;
    CLEANUP(arena_done) struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct progress p = sample(&a);
    assert_ptr_equal(progress_record(&p, 0), &p.records[0]);
    assert_ptr_equal(progress_record(&p, 7), &p.records[1]);
    assert_ptr_equal(progress_record(&p, 65534), &p.records[2]);
    assert_null(progress_record(&p, 1));
    assert_null(progress_record(&p, 65535));
    p.record_count = 0;
    assert_null(progress_record(&p, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_read_again),
        cmocka_unit_test(empty_bytes_are_a_beginning),
        cmocka_unit_test(foreign_bytes_are_refused),
        cmocka_unit_test(ordinals_ascend),
        cmocka_unit_test(more_than_fits_is_refused_and_leaves_the_buffer_as_it_was),
        cmocka_unit_test(records_are_found_by_ordinal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
