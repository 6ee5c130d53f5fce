/* Which records may share a batch, in which order they stand there, and how many batches are open
 * meanwhile. */
#include "tests/unit/batch/batches.h"

#include "scheduler/batch/value_order.h"

enum { MANY = BATCHER_OPEN + 44, RANDOM_RECORDS = 4000, CHANNELS = 700, PADDING = 300000 };

static const struct slice key_names[] = {{"id", 2}}, channel[] = {{"channel", 7}},
                          at[] = {{"at", 2}};
static const struct field_path fields[] = {{at, 1}, {channel, 1}};

/* Fields: at, channel; the key is id. */
static struct batcher_options options(uint32_t records)
{
    return (struct batcher_options){.sync = "s",
                                    .run = "r",
                                    .destination = "d",
                                    .fingerprint = "f",
                                    .max_records = records,
                                    .max_bytes = 1 << 20,
                                    .key_names = key_names,
                                    .key_count = 1,
                                    .fields = fields,
                                    .field_count = 2,
                                    .newest_field = -1};
}

static struct batcher_options by_channel(uint32_t records)
{
    struct batcher_options o = options(records);
    o.shared[0] = (struct value_place){.field = 2};
    o.shared_count = 1;
    return o;
}

static struct value text(const char *s)
{
    return s ? value_of(VALUE_TEXT, slice_str(s)) : (struct value){.kind = VALUE_NULL};
}

static struct value number(const char *s)
{
    return s ? value_of(VALUE_NUMBER, slice_str(s)) : (struct value){.kind = VALUE_ABSENT};
}

static void add_values(struct batcher *b, int lane, enum record_op op, const char *id,
                       struct value when, struct value where)
{
    struct err err;
    struct buf values;
    buf_init(&values, 1 << 20);
    struct value key = number(id), both[] = {when, where};
    struct manifest_entry e = {.op = op, .key = slice_str(id), .slot = (uint32_t)atoi(id)};
    struct frame_counts counts = {0};
    if (op != OP_DELETE && op != OP_CLEAR)
        assert_int_equal(batch_put_values(&values, both, 2), ERR_OK);
    assert_int_equal(batcher_add(b, lane, &e, &key, buf_slice(&values), &counts, &err), ERR_OK);
    buf_done(&values);
}

static void add(struct batcher *b, const char *id, const char *when, const char *where)
{
    add_values(b, -1, OP_UPSERT, id, number(when), text(where));
}

static void records_of_one_value_share_batches(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = by_channel(2);
    struct batcher *b = new_batcher(&o, s);
    add(b, "1", "1", "red");
    add(b, "2", "1", "blue");
    add(b, "3", "1", "red");
    add(b, "4", "1", "red");
    add(b, "5", "1", NULL);
    add(b, "6", NULL, "blue");
    add(b, "7", "1", NULL);
    add(b, "8", "1", "re");
    flush(b, true);
    assert_batches(s, BATCHES(":0 U1 U3", ":0 U2 U6", ":0 U5 U7", ":0 U4", ":0 U8"));
    batcher_free(b);
    spool_close(s);
}

static void values_of_other_types_are_other_values(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = by_channel(9);
    struct batcher *b = new_batcher(&o, s);
    add_values(b, -1, OP_UPSERT, "1", number("1"), text("7"));
    add_values(b, -1, OP_UPSERT, "2", number("1"), number("7"));
    add_values(b, -1, OP_UPSERT, "3", number("1"), text("7"));
    add_values(b, -1, OP_UPSERT, "4", number("1"), text(NULL));
    add_values(b, -1, OP_UPSERT, "5", number("1"), number(NULL)); /* absent is as null */
    flush(b, true);
    assert_batches(s, BATCHES(":0 U1 U3", ":0 U2", ":0 U4 U5"));
    batcher_free(b);
    spool_close(s);
}

static void several_fields_share_together(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = by_channel(9);
    o.shared[1] = (struct value_place){.field = 1};
    o.shared_count = 2;
    struct batcher *b = new_batcher(&o, s);
    add(b, "1", "1", "12");
    add(b, "2", "11", "2");
    add(b, "3", "1", "12");
    flush(b, true);
    assert_batches(s, BATCHES(":0 U1 U3", ":0 U2"));
    batcher_free(b);
    spool_close(s);
}

/* Its fields are not known: it shares with others of which nothing is, unless the key tells. */
static void removals_share_by_their_key(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = by_channel(9);
    struct batcher *b = new_batcher(&o, s);
    add(b, "1", "1", "red");
    add_values(b, -1, OP_DELETE, "2", text(NULL), text(NULL));
    add_values(b, -1, OP_DELETE, "3", text(NULL), text(NULL));
    flush(b, true);
    batcher_free(b);
    o.shared[0].key = 1;
    b = new_batcher(&o, s);
    add_values(b, -1, OP_DELETE, "4", text(NULL), text(NULL));
    add_values(b, -1, OP_UPSERT, "5", number("1"), number("4")); /* the field says 4 */
    add_values(b, -1, OP_DELETE, "6", text(NULL), text(NULL));
    flush(b, true);
    assert_batches(s, BATCHES(":0 U1", ":0 d2 d3", ":0 d4 U5", ":0 d6"));
    batcher_free(b);
    spool_close(s);
}

static void lanes_and_operations_stay_apart(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = by_channel(9);
    o.group_of[OP_UPDATE] = 1;
    o.groups[1].cost.group = 7;
    struct batcher *b = new_batcher(&o, s);
    add_values(b, 3, OP_UPSERT, "1", number("1"), text("red"));
    add_values(b, 4, OP_UPSERT, "2", number("1"), text("red"));
    add_values(b, -1, OP_UPSERT, "3", number("1"), text("red"));
    add_values(b, -1, OP_UPDATE, "4", number("1"), text("red"));
    add_values(b, 3, OP_UPSERT, "5", number("1"), text("blue"));
    add_values(b, 3, OP_UPSERT, "6", number("1"), text("red"));
    add_values(b, 3, OP_UPDATE, "7", number("1"), text("red")); /* ends the lane's batch of red */
    add_values(b, 3, OP_UPDATE, "8", number("1"), text("red"));
    flush(b, true);
    assert_batches(s, BATCHES("3:0 U1 U6", "3:7 u7 u8", "4:0 U2", ":0 U3", ":7 u4", "3:0 U5"));
    batcher_free(b);
    spool_close(s);
}

/* One more value than there may be open batches: the fullest makes room. */
static void with_more_values_than_open_batches_the_fullest_goes(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = by_channel(4);
    struct batcher *b = new_batcher(&o, s);
    char id[12], name[16], line[128];
    for (int i = 0; i < BATCHER_OPEN; i++) {
        snprintf(id, sizeof id, "%d", i);
        snprintf(name, sizeof name, "first %d", i);
        add(b, id, "1", name);
    }
    add(b, "1000", "1", "first 77");
    assert_int_equal(spool_count(s), 0);
    add(b, "1001", "1", "new");
    assert_int_equal(spool_count(s), 1);
    assert_string_equal(shown(s, 0, line, sizeof line), ":0 U77 U1000");
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "%d", 10000 + i);
        add(b, id, "1", id);
        if (i == 1) /* of equals the one that waits longest */
            assert_string_equal(shown(s, 2, line, sizeof line), ":0 U1");
    }
    assert_int_equal(spool_count(s), 1 + MANY);
    add(b, "1", "1", "10000"); /* long gone: a batch of its own */
    flush(b, true);
    assert_int_equal(spool_count(s), 2 + MANY + BATCHER_OPEN);
    flush(b, true);
    assert_int_equal(spool_count(s), 2 + MANY + BATCHER_OPEN);
    batcher_free(b);
    spool_close(s);
}

static void open_batches_are_bounded_in_bytes(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = by_channel(1000);
    char *padding = malloc(PADDING);
    memset(padding, 'x', PADDING);
    struct batcher *b = new_batcher(&o, s);
    uint64_t added = 0;
    char id[12];
    for (int i = 0; spool_count(s) == 0; i++) {
        snprintf(id, sizeof id, "%d", i);
        add_values(b, -1, OP_UPSERT, id, value_of(VALUE_TEXT, slice_of(padding, PADDING)),
                   text(id));
        added += PADDING;
        assert_true(i < BATCHER_OPEN);
    }
    assert_true(added > BATCHER_OPEN_BYTES - 2 * PADDING &&
                added < BATCHER_OPEN_BYTES + 2 * PADDING);
    flush(b, true);
    assert_int_equal(spool_count(s), added / PADDING);
    batcher_free(b);
    spool_close(s);
    free(padding);
}

/* Whatever comes, a batch is of one channel and each record is in one, with its manifest entry. */
static void no_batch_mixes_values_and_no_record_is_lost(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = by_channel(7);
    o.order = (struct value_place){.field = 1};
    struct batcher *b = new_batcher(&o, s);
    unsigned seed = 20261128;
    static uint8_t seen[RANDOM_RECORDS];
    char id[12], name[12], when[12];
    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < RANDOM_RECORDS; i++) {
        unsigned drawn = (unsigned)rand_r(&seed) % CHANNELS;
        snprintf(id, sizeof id, "%u", i);
        snprintf(name, sizeof name, "%u", drawn * drawn / CHANNELS);
        snprintf(when, sizeof when, "%u", (unsigned)rand_r(&seed) % 50);
        add(b, id, when, name);
    }
    flush(b, true);
    struct batch_reader *r = batch_reader_new();
    for (uint64_t i = 0; i < spool_count(s); i++) {
        struct frame frame;
        struct err err;
        struct record record;
        struct manifest_entry entry;
        bool more;
        char shared[12] = "", last[12] = "";
        assert_int_equal(spool_read(s, i, &frame, &err), ERR_OK);
        assert_int_equal(batch_reader_open(r, frame.payload, &err), ERR_OK);
        assert_true(frame.records <= 7);
        for (uint32_t k = 0; !batch_reader_next(r, &record, &more, &err) && more; k++) {
            assert_int_equal(record.ordinal, k);
            assert_int_equal(manifest_next(&frame.manifest, &entry, &err), ERR_OK);
            snprintf(id, sizeof id, "%.*s", (int)record.keys[0].n, record.keys[0].p);
            snprintf(when, sizeof when, "%.*s", (int)record.fields[0].n, record.fields[0].p);
            snprintf(name, sizeof name, "%.*s", (int)record.fields[1].n, record.fields[1].p);
            assert_true(slice_eq_str(entry.key, id) && entry.slot == (uint32_t)atoi(id));
            assert_true(!k || strcmp(shared, name) == 0);
            assert_true(!k || atoi(last) <= atoi(when));
            strcpy(shared, name);
            strcpy(last, when);
            assert_int_equal(seen[atoi(id)]++, 0);
        }
        assert_int_equal(frame.manifest.n, 0);
    }
    for (size_t i = 0; i < RANDOM_RECORDS; i++)
        assert_int_equal(seen[i], 1);
    batch_reader_free(r);
    batcher_free(b);
    spool_close(s);
}

static void records_of_a_batch_are_sorted_and_equals_stay_as_they_came(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(20);
    o.order = (struct value_place){.field = 1};
    struct batcher *b = new_batcher(&o, s);
    add(b, "1", "10", "a");
    add(b, "2", "9", "b");
    add(b, "3", "-3", "c");
    add(b, "4", NULL, "d");
    add(b, "5", "9.0", "e");
    add(b, "6", "1e3", "f");
    add(b, "7", "9", "g");
    add_values(b, -1, OP_DELETE, "8", text(NULL), text(NULL));
    flush(b, true);
    for (int i = 100; i > 60; i--) { /* ordinals of more than one byte, two batches */
        char id[12];
        snprintf(id, sizeof id, "%d", i);
        add(b, id, id, "z");
    }
    flush(b, true);
    assert_batches(
        s, BATCHES(":0 U4 d8 U3 U2 U5 U7 U1 U6",
                   ":0 U81 U82 U83 U84 U85 U86 U87 U88 U89 U90 U91 U92 U93 U94 U95 U96 U97 U98 "
                   "U99 U100",
                   ":0 U61 U62 U63 U64 U65 U66 U67 U68 U69 U70 U71 U72 U73 U74 U75 U76 U77 U78 "
                   "U79 U80"));
    batcher_free(b);
    spool_close(s);
}

static void records_may_be_sorted_by_their_key_with_the_last_batch_held(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(2);
    o.order = (struct value_place){.key = 1};
    o.hold_last = true;
    struct batcher *b = new_batcher(&o, s);
    add_values(b, 0, OP_UPSERT, "300", number("1"), text("a"));
    add_values(b, 0, OP_DELETE, "20", text(NULL), text(NULL));
    add_values(b, 0, OP_UPSERT, "1000", number("1"), text("a"));
    add_values(b, 0, OP_UPSERT, "7", number("2"), text("a"));
    flush(b, true);
    assert_batches(s, BATCHES("0:0 d20 U300", "0:0 U7 U1000*"));
    batcher_free(b);
    spool_close(s);
}

static void a_value_that_may_come_once_begins_another_batch(void **state)
{
    struct fixture *f = *state;
    struct spool *s = create(f);
    struct batcher_options o = options(1000);
    o.unique = (struct value_place){.field = 2};
    struct batcher *b = new_batcher(&o, s);
    add(b, "1", "1", "a");
    add(b, "2", "1", "b");
    add(b, "3", "1", NULL);
    add(b, "4", "1", NULL);
    add(b, "5", "1", "a");
    add(b, "6", "1", "b");
    add(b, "7", "1", "b");
    flush(b, true);
    assert_batches(s, BATCHES(":0 U1 U2 U3 U4", ":0 U5 U6", ":0 U7"));
    char id[12];
    for (int i = 100; i < 1000; i++) { /* more than the first table holds */
        snprintf(id, sizeof id, "%d", i);
        add(b, id, "1", id);
    }
    assert_int_equal(spool_count(s), 3);
    for (int i = 100; i < 1000; i += 899) { /* the second one is in a batch of its own */
        snprintf(id, sizeof id, "%d", i);
        add(b, "1", "1", id);
        assert_int_equal(spool_count(s), 4);
    }
    batcher_free(b);
    spool_close(s);
}

static void values_have_an_order(void **state)
{
    (void)state;
    static const struct value ascending[] = {
        {VALUE_NULL, 0, NULL},
        {VALUE_FALSE, 0, NULL},
        {VALUE_TRUE, 0, NULL},
        {VALUE_NUMBER, 24, "-12345678901234567890.125"},
        {VALUE_NUMBER, 20, "-1234567890123456789"},
        {VALUE_NUMBER, 3, "-10"},
        {VALUE_NUMBER, 4, "-9.5"},
        {VALUE_NUMBER, 5, "-1e-3"},
        {VALUE_NUMBER, 3, "0.0"},
        {VALUE_NUMBER, 6, "1e-300"},
        {VALUE_NUMBER, 5, "0.001"},
        {VALUE_NUMBER, 4, "0.01"},
        {VALUE_NUMBER, 1, "9"},
        {VALUE_NUMBER, 4, "9.01"},
        {VALUE_NUMBER, 2, "10"},
        {VALUE_NUMBER, 19, "9007199254740992000"},
        {VALUE_NUMBER, 19, "9007199254740992001"},
        {VALUE_NUMBER, 5, "1E+19"},
        {VALUE_TEXT, 0, ""},
        {VALUE_TEXT, 2, "10"},
        {VALUE_TEXT, 20, "2026-01-01T00:00:00Z"},
        {VALUE_TEXT, 22, "2026-01-01T00:00:00.5Z"},
        {VALUE_TEXT, 23, "2026-01-01T00:00:00.51Z"},
        {VALUE_TEXT, 20, "2026-01-01T00:00:01Z"},
        {VALUE_TEXT, 1, "9"},
        {VALUE_TEXT, 1, "a"},
        {VALUE_TEXT, 2, "a."},
        {VALUE_TEXT, 2, "aZ"},
        {VALUE_TEXT, 2, "\xc3\xa4"},
        {VALUE_JSON, 2, "[]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ascending); i++)
        for (size_t k = 0; k < ARRAY_LEN(ascending); k++) {
            int want = i < k ? -1 : i > k;
            if (value_compare(&ascending[i], &ascending[k]) == want)
                continue;
            print_error("%zu against %zu is not %d\n", i, k, want);
            fail();
        }
    static const struct value same[][2] = {
        {{VALUE_NUMBER, 3, "100"}, {VALUE_NUMBER, 3, "1e2"}},
        {{VALUE_NUMBER, 4, "10.0"}, {VALUE_NUMBER, 7, "0.10E+2"}},
        {{VALUE_NUMBER, 2, "-0"}, {VALUE_NUMBER, 5, "0e999"}},
        {{VALUE_NULL, 0, NULL}, {VALUE_ABSENT, 0, NULL}},
    };
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        assert_int_equal(value_compare(&same[i][0], &same[i][1]), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_of_one_value_share_batches),
        TEST(values_of_other_types_are_other_values),
        TEST(several_fields_share_together),
        TEST(removals_share_by_their_key),
        TEST(lanes_and_operations_stay_apart),
        TEST(with_more_values_than_open_batches_the_fullest_goes),
        TEST(open_batches_are_bounded_in_bytes),
        TEST(no_batch_mixes_values_and_no_record_is_lost),
        TEST(records_of_a_batch_are_sorted_and_equals_stay_as_they_came),
        TEST(records_may_be_sorted_by_their_key_with_the_last_batch_held),
        TEST(a_value_that_may_come_once_begins_another_batch),
        cmocka_unit_test(values_have_an_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
