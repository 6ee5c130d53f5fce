#include "tests/unit/batch/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static void append(struct spool *s, uint64_t number, size_t payload_bytes)
{
    struct err err;
    char *payload = malloc(payload_bytes + 1);
    memset(payload, (int)('a' + number % 26), payload_bytes);
    struct frame f = {
        .kind = FRAME_BATCH,
        .number = number,
        .records = 3,
        .lane = SLICE_LIT("7"),
        .cost = {.group = (uint16_t)(number % 4),
                 .records = (uint32_t)number,
                 .jobless = number % 2},
        .counts = {.unchanged = number, .invalid = 2, .quarantined = 3},
        .manifest = SLICE_LIT("manifest"),
        .payload = slice_of(payload, payload_bytes),
    };
    assert_int_equal(spool_append(s, &f, &err), ERR_OK);
    free(payload);
}

static void append_end(struct spool *s)
{
    struct err err;
    struct frame f = {.kind = FRAME_END, .counts = {.unchanged = 99}};
    assert_int_equal(spool_append(s, &f, &err), ERR_OK);
}

static struct spool *reopen(struct fixture *f, bool *damaged)
{
    struct err err;
    struct spool *s = NULL;
    assert_int_equal(spool_open(f->base, f->path, on_synced, f, &s, damaged, &err), ERR_OK);
    return s;
}

static void frames_come_back_as_they_went_in_and_are_told_durable(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    for (uint64_t i = 0; i < 600; i++)
        append(s, i, 100 + i);
    append_end(s);
    wait_durable(f, s, 600);
    struct frame frame;
    struct err err;
    for (uint64_t i = 0; i < 600; i++) {
        assert_int_equal(spool_read(s, i, &frame, &err), ERR_OK);
        assert_int_equal(frame.number, i);
        assert_int_equal(frame.payload.n, 100 + i);
        assert_int_equal(frame.payload.p[0], 'a' + i % 26);
        assert_true(slice_eq_str(frame.lane, "7"));
        assert_true(slice_eq_str(frame.manifest, "manifest"));
        assert_int_equal(frame.cost.group, i % 4);
        assert_int_equal(frame.cost.records, i);
        assert_int_equal(frame.cost.jobless, i % 2);
        assert_int_equal(frame.counts.unchanged, i);
    }
    while (!spool_ended(s))
        event_base_loop(f->base, EVLOOP_ONCE);
    spool_close(s);
}

static void a_torn_tail_of_any_length_is_cut_off(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    for (uint64_t i = 0; i < 3; i++)
        append(s, i, 50);
    wait_durable(f, s, 3);
    uint64_t whole = spool_bytes(s);
    append(s, 3, 50);
    uint64_t all = spool_bytes(s);
    spool_close(s);
    for (uint64_t cut = all - 1; cut > whole; cut--) {
        bool damaged;
        assert_int_equal(truncate(f->path, (off_t)cut), 0);
        s = reopen(f, &damaged);
        assert_false(damaged);
        assert_int_equal(spool_count(s), 3);
        assert_false(spool_ended(s));
        append(s, 3, 50);
        spool_close(s);
    }
    bool damaged;
    s = reopen(f, &damaged);
    assert_int_equal(spool_count(s), 4);
    spool_close(s);
}

static void damage_before_the_tail_is_told(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    for (uint64_t i = 0; i < 3; i++)
        append(s, i, 50);
    append_end(s);
    wait_durable(f, s, 3);
    spool_close(s);
    int fd = open(f->path, O_RDWR);
    assert_int_equal(pwrite(fd, "x", 1, FRAME_HEADER_BYTES + 20), 1);
    close(fd);
    bool damaged;
    s = reopen(f, &damaged);
    assert_true(damaged);
    assert_int_equal(spool_count(s), 0);
    spool_close(s);
}

static void counters_of_the_last_frame_survive(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct frame_counts counts;
    struct err err;
    assert_int_equal(spool_last_counts(s, &counts, &err), ERR_OK);
    assert_int_equal(counts.unchanged, 0);
    append(s, 0, 10);
    append(s, 1, 10);
    wait_durable(f, s, 2);
    spool_close(s);
    bool damaged;
    s = reopen(f, &damaged);
    assert_int_equal(spool_last_counts(s, &counts, &err), ERR_OK);
    assert_int_equal(counts.unchanged, 1);
    append_end(s);
    assert_int_equal(spool_last_counts(s, &counts, &err), ERR_OK);
    assert_int_equal(counts.unchanged, 99);
    spool_close(s);
}

static void a_manifest_gives_back_its_entries_and_refuses_damage(void **state)
{
    (void)state;
    struct buf b;
    struct err err;
    buf_init(&b, 1000);
    struct manifest_entry in = {.slot = 77,
                                .class = RECORD_REMOVED,
                                .op = OP_DELETE,
                                .hash = {1, 2, 3},
                                .key = SLICE_LIT("key"),
                                .identity = SLICE_LIT("a@b.c")};
    assert_int_equal(manifest_put(&b, &in), ERR_OK);
    assert_int_equal(manifest_put(&b, &in), ERR_OK);
    struct slice rest = buf_slice(&b);
    struct manifest_entry out;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(manifest_next(&rest, &out, &err), ERR_OK);
        assert_int_equal(out.slot, 77);
        assert_int_equal(out.class, RECORD_REMOVED);
        assert_int_equal(out.op, OP_DELETE);
        assert_true(slice_eq_str(out.key, "key"));
        assert_true(slice_eq_str(out.identity, "a@b.c"));
        assert_int_equal(out.hash[2], 3);
    }
    assert_int_equal(rest.n, 0);
    for (size_t n = 1; n < b.len / 2; n++) {
        rest = slice_of(b.p, n);
        assert_int_equal(manifest_next(&rest, &out, &err), ERR_INVALID);
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_come_back_as_they_went_in_and_are_told_durable,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_tail_of_any_length_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_before_the_tail_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(counters_of_the_last_frame_survive, setup, teardown),
        cmocka_unit_test(a_manifest_gives_back_its_entries_and_refuses_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
