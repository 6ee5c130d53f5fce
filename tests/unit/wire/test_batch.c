/* What is written comes back, whole or in part. */
#include "tests/unit/wire/sample.h"

static void round_trips(uint64_t seed, bool compress)
{
    struct sample *s = sample_new(seed, RECORDS);
    struct buf out;
    struct err err;
    seal(s, compress, &out);
    struct batch_reader *r = batch_reader_new();
    assert_int_equal(ERR_OK, open_copy(r, buf_slice(&out), &err));
    assert_head(&s->head, batch_reader_head(r));
    assert_int_equal(s->count, batch_reader_count(r));
    for (int pass = 0; pass < 2; pass++) {
        struct record got;
        bool more;
        for (uint32_t i = 0; i < s->count; i++) {
            assert_int_equal(ERR_OK, batch_reader_next(r, &got, &more, &err));
            assert_true(more);
            assert_record(&s->records[i], &got);
        }
        assert_int_equal(ERR_OK, batch_reader_next(r, &got, &more, &err));
        assert_false(more);
        batch_reader_rewind(r);
    }
    batch_reader_free(r);
    buf_done(&out);
    sample_free(s);
}

static void test_every_kind_and_size_comes_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        round_trips(seed, seed % 2);
}

static void test_large_sizes_use_the_wide_forms(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {255, 256, 65535, 65536, 100 << 10};
    static const enum value_kind kinds[] = {VALUE_TEXT, VALUE_NUMBER, VALUE_JSON};
    char *text = malloc(100 << 10);
    memset(text, '7', 100 << 10);
    struct batch_reader *r = batch_reader_new();
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(sizes) * ARRAY_LEN(kinds); i++) {
        struct value v = {kinds[i % 3], sizes[i / 3], text};
        struct record record = {0, OP_APPEND, NULL, &v}, got;
        struct slice name = SLICE_LIT("n");
        struct field_path path = {&name, 1};
        struct batch_head head = {
            .planned = 1, .fields = &path, .field_count = 1, .newest_field = -1};
        struct buf rows, out;
        size_t at;
        bool more;
        buf_init(&rows, 1 << 20);
        buf_init(&out, 1 << 20);
        assert_int_equal(ERR_OK, batch_put_record(&rows, &record, 0, 1, &at));
        assert_int_equal(ERR_OK, batch_seal(&out, &head, 1, buf_slice(&rows), false, &err));
        assert_int_equal(ERR_OK, open_copy(r, buf_slice(&out), &err));
        assert_int_equal(ERR_OK, batch_reader_next(r, &got, &more, &err));
        assert_values(&v, got.fields, 1);
        buf_done(&rows);
        buf_done(&out);
    }
    batch_reader_free(r);
    free(text);
}

static void test_compression_shrinks_and_tiny_batches_stay_plain(void **state)
{
    (void)state;
    struct buf plain, packed;
    struct sample *s = sample_new(3, RECORDS);
    seal(s, false, &plain);
    seal(s, true, &packed);
    assert_true(packed.len < plain.len);
    assert_int_equal(1, packed.p[0]);
    buf_done(&plain);
    buf_done(&packed);
    sample_free(s);
    s = sample_new(3, 0);
    seal(s, true, &packed);
    assert_int_equal(0, packed.p[0]);
    buf_done(&packed);
    sample_free(s);
}

/* Values already encoded give the same row as values given one by one. */
static void test_raw_values_give_the_same_row(void **state)
{
    (void)state;
    struct sample *s = sample_new(9, RECORDS);
    struct buf rows, values;
    buf_init(&rows, BATCH_BYTES_MAX);
    buf_init(&values, BATCH_BYTES_MAX);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct record *r = &s->records[i];
        buf_reset(&values);
        if (r->fields)
            assert_int_equal(ERR_OK, batch_put_values(&values, r->fields, FIELDS));
        size_t before = rows.len, at;
        assert_int_equal(ERR_OK, batch_put_record_raw(&rows, r->ordinal, r->op, r->keys, KEYS,
                                                      buf_slice(&values)));
        struct buf one;
        buf_init(&one, BATCH_BYTES_MAX);
        assert_int_equal(ERR_OK, batch_put_record(&one, r, KEYS, FIELDS, &at));
        assert_true(slice_eq(buf_slice(&one), slice_of(rows.p + before, rows.len - before)));
        if (r->fields)
            assert_true(slice_eq(buf_slice(&values), slice_of(one.p + at, one.len - at)));
        buf_done(&one);
    }
    assert_true(slice_eq(buf_slice(&rows), buf_slice(&s->rows)));
    buf_done(&rows);
    buf_done(&values);
    sample_free(s);
}

static void test_values_and_rows_are_found_again(void **state)
{
    (void)state;
    struct sample *s = sample_new(11, RECORDS);
    struct buf values, one, moved;
    buf_init(&values, BATCH_BYTES_MAX);
    buf_init(&one, BATCH_BYTES_MAX);
    buf_init(&moved, BATCH_BYTES_MAX);
    for (uint32_t i = 0; i < s->count; i++) {
        struct record r = s->records[i];
        size_t at;
        buf_reset(&values);
        buf_reset(&one);
        buf_reset(&moved);
        if (r.fields)
            assert_int_equal(ERR_OK, batch_put_values(&values, r.fields, FIELDS));
        for (size_t f = 0; f < FIELDS; f++) {
            struct value got = batch_values_at(buf_slice(&values), f);
            assert_int_equal(got.kind, r.fields ? r.fields[f].kind : VALUE_ABSENT);
            if (r.fields && got.kind >= VALUE_NUMBER && got.kind != VALUE_ABSENT)
                assert_true(slice_eq(value_slice(got), value_slice(r.fields[f])));
        }
        assert_int_equal(ERR_OK, batch_put_record(&one, &r, KEYS, FIELDS, &at));
        r.ordinal = 70000 % (i + 1);
        buf_reset(&values);
        assert_int_equal(ERR_OK, batch_put_record(&values, &r, KEYS, FIELDS, &at));
        assert_int_equal(ERR_OK, batch_put_row(&moved, buf_slice(&one), r.ordinal));
        assert_true(slice_eq(buf_slice(&moved), buf_slice(&values)));
    }
    buf_done(&values);
    buf_done(&one);
    buf_done(&moved);
    sample_free(s);
}

static void test_ways_of_handling_conflicts_are_bits(void **state)
{
    (void)state;
    static const uint8_t policies[] = {POLICY_MERGE, POLICY_OVERWRITE, POLICY_CREATE_ONLY};
    assert_int_equal(batch_conflicts(NULL, 3, -1), 0);
    assert_int_equal(batch_conflicts(policies + 1, 1, -1), 0);
    assert_int_equal(batch_conflicts(NULL, 3, 2), CONFLICTS_NEWEST);
    assert_int_equal(batch_conflicts(policies, 3, -1), 1 << POLICY_MERGE | 1 << POLICY_CREATE_ONLY);
    assert_int_equal(batch_conflicts(policies, 3, 0) & ~(uint32_t)CONFLICTS_ALL, 0);
}

/* Row hashes in people's state directories are taken over these bytes: they may never change. */
static void test_the_form_of_values_is_fixed_for_ever(void **state)
{
    (void)state;
    static const char golden[] = "\x9a\xc0\xc2\xc3"
                                 "\xc7\x01\x01"
                                 "7"
                                 "\xc7\x05\x01"
                                 "-1.50"
                                 "\xa0"
                                 "\xa5"
                                 "gr\xc3\xb6\xc3"
                                 "\xd9\x20"
                                 "abcdefghijklmnopqrstuvwxyz012345"
                                 "\xc7\x0a\x02"
                                 "{\"a\":null}"
                                 "\xc7\x00\x03";
    const struct value values[] = {
        {.kind = VALUE_NULL},
        {.kind = VALUE_FALSE},
        {.kind = VALUE_TRUE},
        {VALUE_NUMBER, 1, "7"},
        {VALUE_NUMBER, 5, "-1.50"},
        {VALUE_TEXT, 0, NULL},
        {VALUE_TEXT, 5, "gr\xc3\xb6\xc3"},
        {VALUE_TEXT, 32, "abcdefghijklmnopqrstuvwxyz012345"},
        {VALUE_JSON, 10, "{\"a\":null}"},
        {.kind = VALUE_ABSENT},
    };
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(ERR_OK, batch_put_values(&b, values, ARRAY_LEN(values)));
    assert_int_equal(sizeof golden - 1, b.len);
    assert_memory_equal(golden, b.p, b.len);

    struct value many[20] = {{.kind = VALUE_NULL}};
    char *text = calloc(1, 70000);
    many[18] = (struct value){VALUE_TEXT, 300, text};
    many[19] = (struct value){VALUE_NUMBER, 70000, text};
    buf_reset(&b);
    assert_int_equal(ERR_OK, batch_put_values(&b, many, 20));
    assert_memory_equal("\xdc\x00\x14\xc0", b.p, 4);
    assert_memory_equal("\xda\x01\x2c", b.p + 3 + 18, 3);
    assert_memory_equal("\xc9\x00\x01\x11\x70\x01", b.p + 3 + 18 + 3 + 300, 6);
    free(text);
    buf_done(&b);
}

static void test_what_cannot_be_sent_is_refused_and_leaves_the_buffer(void **state)
{
    (void)state;
    struct value bad = {VALUE_BAD, 3, "why"}, good = {.kind = VALUE_NULL};
    struct buf b;
    size_t at;
    buf_init(&b, 1000);
    assert_int_equal(ERR_OK, buf_puts(&b, "before"));
    assert_int_equal(ERR_BUG, batch_put_values(&b, &bad, 1));
    assert_int_equal(ERR_BUG,
                     batch_put_record(&b, &(struct record){0, OP_UPSERT, &bad, &good}, 1, 1, &at));
    assert_int_equal(ERR_BUG,
                     batch_put_record(&b, &(struct record){0, OP_UPSERT, &good, &bad}, 1, 1, &at));
    assert_int_equal(ERR_BUG,
                     batch_put_record(&b, &(struct record){0, OP_UPSERT, &good, NULL}, 1, 1, &at));
    assert_int_equal(ERR_BUG,
                     batch_put_record(&b, &(struct record){0, OP_DELETE, &good, &good}, 1, 1, &at));
    assert_int_equal(ERR_BUG, batch_put_record_raw(&b, 0, OP_INSERT, &good, 1, SLICE_LIT("")));
    assert_int_equal(ERR_BUG, batch_put_record_raw(&b, 0, OP_CLEAR, &good, 1, SLICE_LIT("\x90")));
    struct value huge = {VALUE_TEXT, 1001, "never read"};
    assert_int_equal(ERR_FULL, batch_put_values(&b, &huge, 1));
    assert_true(slice_eq_str(buf_slice(&b), "before"));

    struct err err;
    struct batch_head head = {.planned = 1, .newest_field = -1};
    assert_int_equal(ERR_BUG, batch_seal(&b, &head, 2, SLICE_LIT(""), false, &err));
    struct field_path empty = {NULL, 0};
    head =
        (struct batch_head){.planned = 1, .fields = &empty, .field_count = 1, .newest_field = -1};
    assert_int_equal(ERR_BUG, batch_seal(&b, &head, 1, SLICE_LIT(""), false, &err));
    head = (struct batch_head){.planned = 1, .newest_field = -1};
    assert_int_equal(ERR_FULL, batch_seal(&b, &head, 1, slice_of("", 2000), false, &err));
    assert_true(slice_eq_str(buf_slice(&b), "before"));
    buf_done(&b);
}

/* Spools and queues of the release before hold such batches. */
static void test_version_1_is_still_read(void **state)
{
    (void)state;
    static const char body[] = "\x9b\x01\xa1s\xa1r\xa3"
                               "b-1\xa1"
                               "d\xa1"
                               "f\xa0\x01\x91\xa2id"
                               "\x91\x91\xa1"
                               "e\x91\x94\x00\x00\xa1"
                               "7\x91\xa1x";
    char payload[sizeof body + 4] = {0, 0, 0, 0, sizeof body - 1};
    memcpy(payload + 5, body, sizeof body - 1);
    struct batch_reader *r = batch_reader_new();
    struct record got;
    struct err err = {0};
    bool more;
    if (open_copy(r, slice_of(payload, sizeof payload), &err))
        fail_msg("%s", err.text);
    const struct batch_head *head = batch_reader_head(r);
    assert_true(slice_eq_str(head->id, "b-1") && slice_eq_str(head->fields[0].names[0], "e"));
    assert_int_equal(0, head->sequence);
    assert_int_equal(-1, head->newest_field);
    assert_false(head->last);
    assert_null(head->policies);
    assert_int_equal(ERR_OK, batch_reader_next(r, &got, &more, &err));
    assert_true(more && slice_eq_str(value_slice(got.fields[0]), "x"));
    assert_int_equal(ERR_OK, batch_reader_next(r, &got, &more, &err));
    assert_false(more);
    batch_reader_free(r);
}

static void test_a_head_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const uint8_t unknown[] = {POLICY_MERGE + 1};
    struct slice name = SLICE_LIT("n");
    struct field_path path = {&name, 1};
    struct batch_head good = {.planned = 1, .fields = &path, .field_count = 1, .newest_field = -1};
    struct batch_head wrong[] = {good, good, good};
    wrong[0].policies = unknown;
    wrong[1].newest_field = 1;
    wrong[2].newest_field = -2;
    struct buf b;
    struct err err;
    buf_init(&b, 1000);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(ERR_BUG, batch_seal(&b, &wrong[i], 1, SLICE_LIT(""), false, &err));
    buf_done(&b);
}

static void assert_subset(struct batch_reader *r, const struct sample *s, const uint8_t *keep)
{
    struct buf part;
    struct err err;
    struct record got;
    bool more;
    buf_init(&part, BATCH_BYTES_MAX);
    assert_int_equal(ERR_OK, batch_reader_subset(r, keep, &part, &err));
    struct batch_reader *half = batch_reader_new();
    assert_int_equal(ERR_OK, open_copy(half, buf_slice(&part), &err));
    assert_head(&s->head, batch_reader_head(half));
    for (uint32_t i = 0; i < s->count; i++) {
        if (!keep[i])
            continue;
        assert_int_equal(ERR_OK, batch_reader_next(half, &got, &more, &err));
        assert_true(more);
        assert_record(&s->records[i], &got);
    }
    assert_int_equal(ERR_OK, batch_reader_next(half, &got, &more, &err));
    assert_false(more);
    batch_reader_free(half);
    buf_done(&part);
}

static void test_any_subset_is_a_batch_of_its_own(void **state)
{
    (void)state;
    struct prng rng = {7};
    for (uint64_t seed = 100; seed < 110; seed++) {
        struct sample *s = sample_new(seed, RECORDS);
        struct batch_reader *r = batch_reader_new();
        struct buf out;
        struct err err;
        struct record got;
        bool more;
        seal(s, seed % 2, &out);
        assert_int_equal(ERR_OK, open_copy(r, buf_slice(&out), &err));
        uint8_t keep[RECORDS] = {0};
        assert_subset(r, s, keep);
        assert_int_equal(ERR_OK, batch_reader_next(r, &got, &more, &err));
        for (int round = 0; round < 5; round++) {
            for (size_t i = 0; i < RECORDS; i++)
                keep[i] = prng_below(&rng, 2) == 0;
            assert_subset(r, s, keep);
        }
        /* A subset taken in the middle of reading does not move the reader. */
        assert_int_equal(ERR_OK, batch_reader_next(r, &got, &more, &err));
        assert_record(&s->records[1], &got);
        batch_reader_free(r);
        buf_done(&out);
        sample_free(s);
    }
}

static void assert_msgpack_value(const struct value *want, const msgpack_object *got)
{
    static const int ext_types[] = {[VALUE_NUMBER] = 1, [VALUE_JSON] = 2, [VALUE_ABSENT] = 3};
    if (want->kind == VALUE_NULL) {
        assert_int_equal(MSGPACK_OBJECT_NIL, got->type);
    } else if (want->kind == VALUE_FALSE || want->kind == VALUE_TRUE) {
        assert_int_equal(MSGPACK_OBJECT_BOOLEAN, got->type);
        assert_int_equal(want->kind == VALUE_TRUE, got->via.boolean);
    } else if (want->kind == VALUE_TEXT) {
        assert_int_equal(MSGPACK_OBJECT_STR, got->type);
        assert_true(slice_eq(value_slice(*want), slice_of(got->via.str.ptr, got->via.str.size)));
    } else {
        assert_int_equal(MSGPACK_OBJECT_EXT, got->type);
        assert_int_equal(ext_types[want->kind], got->via.ext.type);
        assert_true(slice_eq(value_slice(*want), slice_of(got->via.ext.ptr, got->via.ext.size)));
    }
}

static void assert_msgpack_row(const struct record *want, const msgpack_object *row)
{
    assert_int_equal(MSGPACK_OBJECT_ARRAY, row->type);
    assert_int_equal(3 + KEYS, row->via.array.size);
    const msgpack_object *items = row->via.array.ptr;
    assert_int_equal(want->ordinal, items[0].via.u64);
    assert_int_equal(want->op, items[1].via.u64);
    for (size_t i = 0; i < KEYS; i++)
        assert_msgpack_value(&want->keys[i], &items[2 + i]);
    const msgpack_object_array *values = &items[2 + KEYS].via.array;
    assert_int_equal(want->fields ? FIELDS : 0, values->size);
    for (size_t i = 0; i < values->size; i++)
        assert_msgpack_value(&want->fields[i], &values->ptr[i]);
}

static void test_another_msgpack_reads_the_same(void **state)
{
    (void)state;
    struct sample *s = sample_new(31, RECORDS);
    struct buf out;
    seal(s, false, &out);
    msgpack_unpacked result;
    msgpack_unpacked_init(&result);
    size_t offset = 0;
    assert_int_equal(MSGPACK_UNPACK_SUCCESS,
                     msgpack_unpack_next(&result, out.p + PREFIX, out.len - PREFIX, &offset));
    assert_int_equal(out.len - PREFIX, offset);
    const msgpack_object_array *body = &result.data.via.array;
    assert_int_equal(15, body->size);
    assert_int_equal(BATCH_VERSION, body->ptr[0].via.u64);
    assert_int_equal(s->head.planned, body->ptr[7].via.u64);
    assert_int_equal(s->head.sequence, body->ptr[8].via.u64);
    assert_int_equal(s->head.newest_field + 1, body->ptr[10].via.u64);
    assert_int_equal(FIELDS, body->ptr[12].via.array.size);
    assert_int_equal(s->count, body->ptr[14].via.array.size);
    for (uint32_t i = 0; i < s->count; i++)
        assert_msgpack_row(&s->records[i], &body->ptr[14].via.array.ptr[i]);
    msgpack_unpacked_destroy(&result);
    buf_done(&out);
    sample_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_and_size_comes_back),
        cmocka_unit_test(test_large_sizes_use_the_wide_forms),
        cmocka_unit_test(test_compression_shrinks_and_tiny_batches_stay_plain),
        cmocka_unit_test(test_raw_values_give_the_same_row),
        cmocka_unit_test(test_values_and_rows_are_found_again),
        cmocka_unit_test(test_ways_of_handling_conflicts_are_bits),
        cmocka_unit_test(test_the_form_of_values_is_fixed_for_ever),
        cmocka_unit_test(test_what_cannot_be_sent_is_refused_and_leaves_the_buffer),
        cmocka_unit_test(test_any_subset_is_a_batch_of_its_own),
        cmocka_unit_test(test_version_1_is_still_read),
        cmocka_unit_test(test_a_head_that_makes_no_sense_is_refused),
        cmocka_unit_test(test_another_msgpack_reads_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
