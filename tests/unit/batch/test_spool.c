#include "scheduler/batch/batcher.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct fixture {
    struct event_base *base;
    char dir[64];
    char path[96];
    int synced;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/sluice-spool-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/run.spool", f->dir);
    f->base = event_base_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    event_base_free(f->base);
    unlink(f->path);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void on_synced(void *ctx, const struct err *err)
{
    struct fixture *f = ctx;
    assert_null(err);
    f->synced++;
    event_base_loopbreak(f->base);
}

static void wait_durable(struct fixture *f, struct spool *s, uint64_t count)
{
    while (spool_durable(s) < count)
        event_base_loop(f->base, EVLOOP_ONCE);
}

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

static struct spool *create(struct fixture *f)
{
    struct err err;
    struct spool *s = NULL;
    assert_int_equal(spool_create(f->base, f->path, on_synced, f, &s, &err), ERR_OK);
    return s;
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

static struct batcher *new_batcher(struct spool *s, uint32_t records, uint64_t bytes)
{
    static const struct slice key[] = {{"id", 2}}, name[] = {{"email", 5}};
    static const struct field_path fields[] = {{name, 1}};
    struct batcher_options o = {.sync = "s",
                                .run = "r",
                                .destination = "d",
                                .fingerprint = "f",
                                .max_records = records,
                                .max_bytes = bytes,
                                .key_names = key,
                                .key_count = 1,
                                .fields = fields,
                                .field_count = 1,
                                .newest_field = -1};
    struct batcher *b = NULL;
    struct err err;
    assert_int_equal(batcher_new(&o, s, &b, &err), ERR_OK);
    return b;
}

static void add(struct batcher *b, int lane, const char *id, size_t text_bytes)
{
    struct err err;
    struct buf values;
    char *text = malloc(text_bytes + 1);
    memset(text, 'x', text_bytes);
    buf_init(&values, 1 << 20);
    struct value key = value_of(VALUE_NUMBER, slice_str(id)),
                 field = value_of(VALUE_TEXT, slice_of(text, text_bytes));
    struct manifest_entry e = {.op = OP_UPSERT, .key = slice_str(id)};
    struct frame_counts counts = {0};
    assert_int_equal(batch_put_values(&values, &field, 1), ERR_OK);
    assert_int_equal(batcher_add(b, lane, &e, &key, buf_slice(&values), &counts, &err), ERR_OK);
    buf_done(&values);
    free(text);
}

static void batches_are_cut_by_records_and_by_bytes(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher *b = new_batcher(s, 3, 4096);
    struct frame_counts counts = {0};
    struct err err;
    for (int i = 0; i < 7; i++)
        add(b, -1, "1", 10);
    assert_int_equal(spool_count(s), 2);
    for (int i = 0; i < 3; i++)
        add(b, -1, "2", 1500);
    assert_int_equal(batcher_flush(b, &counts, &err), ERR_OK);
    uint32_t want[] = {3, 3, 2, 1, 1}, total = 0;
    assert_int_equal(spool_count(s), ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct frame frame;
        assert_int_equal(spool_read(s, i, &frame, &err), ERR_OK);
        assert_int_equal(frame.records, want[i]);
        total += frame.records;
    }
    assert_int_equal(total, 10);
    batcher_free(b);
    spool_close(s);
}

static void records_of_one_lane_share_batches_in_order(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher *b = new_batcher(s, 2, 1 << 20);
    struct frame_counts counts = {0};
    struct err err;
    add(b, 4, "1", 1);
    add(b, 9, "2", 1);
    add(b, 4, "3", 1);
    add(b, 4, "4", 1);
    assert_int_equal(batcher_flush(b, &counts, &err), ERR_OK);
    assert_int_equal(spool_count(s), 3);
    struct frame frame;
    struct batch_reader *r = batch_reader_new();
    struct record record;
    bool more;
    assert_int_equal(spool_read(s, 0, &frame, &err), ERR_OK);
    assert_true(slice_eq_str(frame.lane, "4"));
    assert_int_equal(batch_reader_open(r, frame.payload, &err), ERR_OK);
    assert_int_equal(batch_reader_next(r, &record, &more, &err), ERR_OK);
    assert_true(more && slice_eq_str(value_slice(record.keys[0]), "1"));
    assert_int_equal(batch_reader_next(r, &record, &more, &err), ERR_OK);
    assert_true(more && slice_eq_str(value_slice(record.keys[0]), "3"));
    batch_reader_free(r);
    batcher_free(b);
    spool_close(s);
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
        cmocka_unit_test_setup_teardown(batches_are_cut_by_records_and_by_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(records_of_one_lane_share_batches_in_order, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
