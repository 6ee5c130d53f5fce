/* Which records share a batch, and in which order batches come. */
#include "tests/unit/batch/batches.h"

enum { RECORDS = 3000, TEXT_MAX = 4000 };

static const struct slice key_names[] = {{"id", 2}}, name[] = {{"email", 5}};
static const struct field_path fields[] = {{name, 1}, {name, 1}};

static struct batcher_options options(uint32_t records, uint64_t bytes)
{
    return (struct batcher_options){.sync = "s",
                                    .run = "r",
                                    .destination = "d",
                                    .fingerprint = "f",
                                    .max_records = records,
                                    .max_bytes = bytes,
                                    .key_names = key_names,
                                    .key_count = 1,
                                    .fields = fields,
                                    .field_count = 2,
                                    .newest_field = -1};
}

/* A record with a text of so many bytes and a NULL; without either where it is removed. */
static void add_op(struct batcher *b, int lane, enum record_op op, const char *id,
                   size_t text_bytes)
{
    struct err err;
    struct buf values;
    char text[TEXT_MAX];
    memset(text, 'x', text_bytes);
    buf_init(&values, 1 << 20);
    struct value key = value_of(VALUE_NUMBER, slice_str(id)),
                 set[] = {value_of(VALUE_TEXT, slice_of(text, text_bytes)), {.kind = VALUE_NULL}};
    struct manifest_entry e = {.op = op, .key = slice_str(id)};
    struct frame_counts counts = {0};
    if (op != OP_DELETE && op != OP_CLEAR)
        assert_int_equal(batch_put_values(&values, set, 2), ERR_OK);
    assert_int_equal(batcher_add(b, lane, &e, &key, buf_slice(&values), &counts, &err), ERR_OK);
    buf_done(&values);
}

static void add(struct batcher *b, int lane, const char *id, size_t text_bytes)
{
    add_op(b, lane, OP_UPSERT, id, text_bytes);
}

static void batches_are_cut_by_records_and_by_bytes(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(3, 4096);
    struct batcher *b = new_batcher(&o, s);
    for (int i = 0; i < 7; i++)
        add(b, -1, "1", 10);
    assert_int_equal(spool_count(s), 2);
    for (int i = 0; i < 3; i++)
        add(b, -1, "2", 1500);
    flush(b, true);
    assert_batches(s, BATCHES(":0 U1 U1 U1", ":0 U1 U1 U1", ":0 U1 U2", ":0 U2", ":0 U2"));
    batcher_free(b);
    spool_close(s);
}

static void records_of_one_lane_share_batches_in_order(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(2, 1 << 20);
    struct batcher *b = new_batcher(&o, s);
    add(b, 4, "1", 1);
    add(b, 9, "2", 1);
    add(b, 4, "3", 1);
    add(b, 4, "4", 1);
    flush(b, true);
    assert_batches(s, BATCHES("4:0 U1 U3", "4:0 U4", "9:0 U2"));
    batcher_free(b);
    spool_close(s);
}

static void operations_share_batches_where_nothing_is_said(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(4, 1 << 20);
    struct batcher *b = new_batcher(&o, s);
    add_op(b, -1, OP_UPSERT, "1", 1);
    add_op(b, -1, OP_DELETE, "2", 0);
    add_op(b, -1, OP_CLEAR, "3", 0);
    add_op(b, -1, OP_UPDATE, "4", 1);
    flush(b, true);
    assert_batches(s, BATCHES(":0 U1 d2 c3 u4"));
    batcher_free(b);
    spool_close(s);
}

/* Upserts and updates in one request, removals in another. */
static struct batcher_options two_groups(void)
{
    struct batcher_options o = options(3, 1 << 20);
    o.group_of[OP_DELETE] = 1;
    o.groups[0].cost = (struct batch_cost){.group = 2, .records = 5, .jobless = true};
    o.groups[1] = (struct batch_group){.max_records = 2, .cost = {.group = 7}};
    return o;
}

static void groups_fill_their_batches_by_themselves(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = two_groups();
    struct batcher *b = new_batcher(&o, s);
    add_op(b, -1, OP_UPSERT, "1", 1);
    add_op(b, -1, OP_DELETE, "2", 0);
    add_op(b, -1, OP_UPDATE, "3", 1);
    add_op(b, -1, OP_DELETE, "4", 0);
    add_op(b, -1, OP_DELETE, "5", 0);
    add_op(b, -1, OP_UPSERT, "6", 1);
    add_op(b, -1, OP_UPSERT, "7", 1);
    flush(b, true);
    assert_batches(s, BATCHES(":7 d2 d4", ":2 U1 u3 U6", ":2 U7", ":7 d5"));
    struct frame frame;
    struct err err;
    assert_int_equal(spool_read(s, 1, &frame, &err), ERR_OK);
    assert_int_equal(frame.cost.records, 5);
    assert_true(frame.cost.jobless);
    batcher_free(b);
    spool_close(s);
}

static void a_group_has_its_own_bytes(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(100, 1 << 20);
    o.group_of[OP_UPDATE] = 5;
    o.groups[5].max_bytes = 4096;
    struct batcher *b = new_batcher(&o, s);
    for (int i = 0; i < 3; i++) {
        add_op(b, -1, OP_UPDATE, "1", 1500);
        add_op(b, -1, OP_UPSERT, "2", 1500);
    }
    flush(b, true);
    assert_batches(s, BATCHES(":0 u1", ":0 u1", ":0 U2 U2 U2", ":0 u1"));
    assert_true(batcher_values_max(b, OP_UPDATE) < 4096);
    assert_true(batcher_values_max(b, OP_UPSERT) > 4096);
    batcher_free(b);
    spool_close(s);
}

static void another_groups_record_ends_an_ordered_lanes_batch(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = two_groups();
    struct batcher *b = new_batcher(&o, s);
    add_op(b, 3, OP_UPSERT, "1", 1);
    add_op(b, 3, OP_UPSERT, "2", 1);
    add_op(b, 8, OP_UPSERT, "3", 1); /* another lane waits for nothing */
    add_op(b, 3, OP_DELETE, "4", 0);
    add_op(b, 3, OP_UPSERT, "5", 1);
    add_op(b, 8, OP_UPSERT, "6", 1);
    flush(b, true);
    assert_batches(s, BATCHES("3:2 U1 U2", "3:7 d4", "3:2 U5", "8:2 U3 U6"));
    batcher_free(b);
    spool_close(s);
}

static void values_that_are_set_are_counted(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(100, 1 << 20);
    o.max_values = 2;
    struct batcher *b = new_batcher(&o, s);
    for (int i = 0; i < 5; i++) /* one text each; the NULL does not count */
        add(b, -1, "1", 1);
    add_op(b, -1, OP_DELETE, "2", 0); /* its key */
    flush(b, true);
    assert_batches(s, BATCHES(":0 U1 U1", ":0 U1 U1", ":0 U1 d2"));
    struct value three[] = {{VALUE_TEXT, 1, "a"}, {VALUE_TRUE, 0, NULL}, {VALUE_TEXT, 1, "b"}};
    struct buf values;
    buf_init(&values, 1000);
    assert_int_equal(batch_put_values(&values, three, 2), ERR_OK);
    assert_null(batcher_refuses(b, OP_UPSERT, buf_slice(&values)));
    buf_reset(&values);
    assert_int_equal(batch_put_values(&values, three, 3), ERR_OK);
    assert_non_null(strstr(batcher_refuses(b, OP_UPSERT, buf_slice(&values)), "more values"));
    buf_done(&values);
    batcher_free(b);
    spool_close(s);
}

static void a_record_has_a_maximum_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(100, 1 << 20);
    struct batcher *b = new_batcher(&o, s);
    uint64_t most = batcher_values_max(b, OP_UPSERT);
    batcher_free(b);
    o.item_bytes = 500;
    b = new_batcher(&o, s);
    uint64_t item = batcher_values_max(b, OP_UPSERT);
    char bytes[501] = "";
    assert_true(item < 500 && item > 300 && item < most);
    assert_null(batcher_refuses(b, OP_UPSERT, slice_of(bytes, item)));
    assert_non_null(
        strstr(batcher_refuses(b, OP_UPSERT, slice_of(bytes, item + 1)), "of one record"));
    batcher_free(b);
    o.item_bytes = 1;
    b = new_batcher(&o, s);
    assert_int_equal(batcher_values_max(b, OP_UPSERT), 0);
    batcher_free(b);
    o.item_bytes = 1 << 20;
    o.max_bytes = 2000;
    b = new_batcher(&o, s);
    char large[2000] = "";
    assert_non_null(
        strstr(batcher_refuses(b, OP_UPSERT, slice_of(large, sizeof large)), "batch_bytes"));
    batcher_free(b);
    spool_close(s);
}

static void the_last_batch_of_a_run_says_so(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(2, 1 << 20);
    o.hold_last = true;
    struct batcher *b = new_batcher(&o, s);
    add(b, 0, "1", 1);
    add(b, 0, "2", 1);
    assert_int_equal(spool_count(s), 0); /* it may be the last */
    add(b, 0, "3", 1);
    assert_int_equal(spool_count(s), 0);
    add(b, 0, "4", 1);
    assert_int_equal(spool_count(s), 1);
    flush(b, true);
    flush(b, true);
    assert_batches(s, BATCHES("0:0 U1 U2", "0:0 U3 U4*"));
    add(b, 0, "5", 1);
    flush(b, false); /* the read did not reach its end: nothing may be called complete */
    assert_batches(s, BATCHES("0:0 U1 U2", "0:0 U3 U4*", "0:0 U5"));
    batcher_free(b);
    spool_close(s);
}

static void a_short_last_batch_says_so_too(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(2, 1 << 20);
    o.hold_last = true;
    struct batcher *b = new_batcher(&o, s);
    add(b, 0, "1", 1);
    add(b, 0, "2", 1);
    add(b, 0, "3", 1);
    flush(b, true);
    assert_batches(s, BATCHES("0:0 U1 U2", "0:0 U3*"));
    batcher_free(b);
    spool_close(s);
}

struct seen {
    uint32_t lane_last[BATCHER_LANES];
    uint64_t records;
    uint64_t lasts;
};

/* Ids ascend within a lane, a batch is of one group, maximums hold. */
static void check_batch(const struct batcher_options *o, struct spool *s, uint64_t number,
                        struct seen *seen)
{
    struct frame f;
    struct err err;
    struct record record;
    bool more;
    struct batch_reader *r = batch_reader_new();
    assert_int_equal(spool_read(s, number, &f, &err), ERR_OK);
    assert_int_equal(batch_reader_open(r, f.payload, &err), ERR_OK);
    uint32_t group = f.cost.group, values = 0, lane = f.lane.n ? (uint32_t)atoi(f.lane.p) : 0;
    while (!batch_reader_next(r, &record, &more, &err) && more) {
        uint32_t id = (uint32_t)strtoul(record.keys[0].p, NULL, 10);
        assert_int_equal(o->groups[o->group_of[record.op]].cost.group, group);
        if (f.lane.n) {
            assert_true(id > seen->lane_last[lane]);
            seen->lane_last[lane] = id;
        }
        values++;
        seen->records++;
    }
    assert_int_equal(values, f.records);
    assert_true(values <= o->groups[group].max_records);
    assert_true(values <= o->max_values);
    seen->lasts += batch_reader_head(r)->last;
    batch_reader_free(r);
}

static void whatever_comes_no_record_is_lost_or_overtaken(void **state)
{
    struct fixture *f = *state;
    struct batcher_options o = options(9, 20000);
    struct seen seen = {0};
    unsigned seed = 20260401;
    for (uint8_t i = 0; i < BATCHER_OPS; i++) {
        o.group_of[i] = i / 2;
        o.groups[i] = (struct batch_group){.max_records = 5u + i, .cost = {.group = i}};
    }
    o.max_values = 7;
    o.hold_last = true;
    struct spool *s = create(f);
    struct batcher *b = new_batcher(&o, s);
    for (unsigned i = 1; i <= RECORDS; i++) {
        char id[16];
        enum record_op op = (enum record_op)(rand_r(&seed) % BATCHER_OPS);
        bool bare = op == OP_DELETE || op == OP_CLEAR;
        snprintf(id, sizeof id, "%u", i);
        add_op(b, rand_r(&seed) % 5 - 1, op, id, bare ? 0 : (size_t)(rand_r(&seed) % TEXT_MAX));
    }
    flush(b, true);
    for (uint64_t i = 0; i < spool_count(s); i++)
        check_batch(&o, s, i, &seen);
    assert_int_equal(seen.records, RECORDS);
    assert_int_equal(seen.lasts, 1);
    batcher_free(b);
    spool_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(batches_are_cut_by_records_and_by_bytes),
        TEST(records_of_one_lane_share_batches_in_order),
        TEST(operations_share_batches_where_nothing_is_said),
        TEST(groups_fill_their_batches_by_themselves),
        TEST(a_group_has_its_own_bytes),
        TEST(another_groups_record_ends_an_ordered_lanes_batch),
        TEST(values_that_are_set_are_counted),
        TEST(a_record_has_a_maximum_of_its_own),
        TEST(the_last_batch_of_a_run_says_so),
        TEST(a_short_last_batch_says_so_too),
        TEST(whatever_comes_no_record_is_lost_or_overtaken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
