/* Random batches in plain structures, and what they must look like when they are read again. */
#ifndef SLUICE_TESTS_WIRE_SAMPLE_H
#define SLUICE_TESTS_WIRE_SAMPLE_H

#include "protocol/wire/batch.h"
#include "tests/unit/wire/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <msgpack.h>

enum { RECORDS = 40, KEYS = 2, FIELDS = 12, PREFIX = 5, TEXT_MAX = 100 << 10 };

/* A batch in plain structures, to compare with what comes back. */
struct sample {
    struct slice key_names[KEYS];
    struct slice names[FIELDS][3];
    struct field_path paths[FIELDS];
    struct batch_head head;
    struct record records[RECORDS];
    struct value values[RECORDS][KEYS + FIELDS];
    uint32_t count;
    struct buf rows;
    char *text; /* what all values borrow from */
};

static inline struct value random_value(struct prng *rng, const char *text)
{
    static const uint32_t sizes[] = {0, 1, 5, 31, 32, 33, 255, 256, 300};
    static const char *const numbers[] = {"0", "-1", "12345678901234567890123", "1.50", "6e-7"};
    uint32_t n = prng_below(rng, 200) == 0 ? prng_below(rng, TEXT_MAX) : sizes[prng_below(rng, 9)];
    enum value_kind kind = prng_below(rng, VALUE_BAD);
    if (kind == VALUE_NUMBER)
        return value_of(kind, slice_str(numbers[prng_below(rng, 5)]));
    if (kind == VALUE_TEXT)
        return (struct value){kind, n, text + prng_below(rng, 100)};
    if (kind == VALUE_JSON)
        return value_of(kind, slice_str("{\"a\":[1,2.0,null]}"));
    return (struct value){.kind = kind};
}

static const uint8_t POLICIES[FIELDS] = {POLICY_MERGE, POLICY_CREATE_ONLY, POLICY_SET_IF_EMPTY};

static inline void sample_head(struct sample *s, uint32_t planned)
{
    static const char *const words[] = {"email", "address", "größe"};
    for (size_t i = 0; i < KEYS; i++)
        s->key_names[i] = slice_str(i ? "tenant" : "id");
    for (size_t i = 0; i < FIELDS; i++) {
        for (size_t j = 0; j < 3; j++)
            s->names[i][j] = slice_str(words[(i + j) % 3]);
        s->paths[i] = (struct field_path){s->names[i], 1 + i % 3};
    }
    s->head = (struct batch_head){
        .sync = SLICE_LIT("customers_to_crm"),
        .run = SLICE_LIT("r-20260102-1"),
        .id = SLICE_LIT("b-17"),
        .destination = SLICE_LIT("crm"),
        .fingerprint = SLICE_LIT("00112233445566778899aabbccddeeff"),
        .object = SLICE_LIT(""),
        .planned = planned,
        .key_names = s->key_names,
        .key_count = KEYS,
        .fields = s->paths,
        .field_count = FIELDS,
        .sequence = 17,
        .last = planned % 2,
        .policies = planned % 3 ? POLICIES : NULL,
        .newest_field = (int32_t)(planned % (FIELDS + 1)) - 1,
    };
}

static inline struct sample *sample_new(uint64_t seed, uint32_t count)
{
    struct prng rng = {seed};
    struct sample *s = calloc(1, sizeof *s);
    s->text = malloc(TEXT_MAX + 100);
    for (size_t i = 0; i < TEXT_MAX + 100; i++)
        s->text[i] = (char)('a' + prng_below(&rng, 26));
    uint32_t ordinal = 0;
    s->count = count;
    buf_init(&s->rows, BATCH_BYTES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        ordinal += prng_below(&rng, 3) ? 1 : 1 + prng_below(&rng, 300);
        enum record_op op = prng_below(&rng, OP_APPEND + 1);
        bool bare = op == OP_DELETE || op == OP_CLEAR;
        for (size_t j = 0; j < KEYS + FIELDS; j++)
            s->values[i][j] = random_value(&rng, s->text);
        s->records[i] =
            (struct record){ordinal - 1, op, s->values[i], bare ? NULL : s->values[i] + KEYS};
        size_t at;
        assert_int_equal(ERR_OK, batch_put_record(&s->rows, &s->records[i], KEYS, FIELDS, &at));
    }
    sample_head(s, ordinal);
    return s;
}

static inline void sample_free(struct sample *s)
{
    buf_done(&s->rows);
    free(s->text);
    free(s);
}

static inline void seal(const struct sample *s, bool compress, struct buf *out)
{
    struct err err;
    buf_init(out, BATCH_BYTES_MAX);
    assert_int_equal(ERR_OK,
                     batch_seal(out, &s->head, s->count, buf_slice(&s->rows), compress, &err));
}

static inline void assert_values(const struct value *want, const struct value *got, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(want[i].kind, got[i].kind);
        assert_true(slice_eq(value_slice(want[i]), value_slice(got[i])));
    }
}

static inline void assert_record(const struct record *want, const struct record *got)
{
    assert_int_equal(want->ordinal, got->ordinal);
    assert_int_equal(want->op, got->op);
    assert_values(want->keys, got->keys, KEYS);
    assert_int_equal(want->fields == NULL, got->fields == NULL);
    if (want->fields)
        assert_values(want->fields, got->fields, FIELDS);
}

static inline void assert_head(const struct batch_head *want, const struct batch_head *got)
{
    assert_true(slice_eq(want->sync, got->sync) && slice_eq(want->run, got->run));
    assert_true(slice_eq(want->id, got->id) && slice_eq(want->destination, got->destination));
    assert_true(slice_eq(want->fingerprint, got->fingerprint) &&
                slice_eq(want->object, got->object));
    assert_int_equal(want->planned, got->planned);
    assert_int_equal(want->key_count, got->key_count);
    for (size_t i = 0; i < want->key_count; i++)
        assert_true(slice_eq(want->key_names[i], got->key_names[i]));
    assert_int_equal(want->field_count, got->field_count);
    assert_int_equal(want->sequence, got->sequence);
    assert_int_equal(want->last, got->last);
    assert_int_equal(want->newest_field, got->newest_field);
    assert_int_equal(want->policies == NULL, got->policies == NULL);
    if (want->policies)
        assert_memory_equal(want->policies, got->policies, want->field_count);
    for (size_t i = 0; i < want->field_count; i++) {
        assert_int_equal(want->fields[i].count, got->fields[i].count);
        for (size_t j = 0; j < want->fields[i].count; j++)
            assert_true(slice_eq(want->fields[i].names[j], got->fields[i].names[j]));
    }
}

/* Opens bytes from a block of exactly their size, which is gone before the records are read. */
static inline enum err_code open_copy(struct batch_reader *r, struct slice bytes, struct err *err)
{
    char *copy = malloc(bytes.n ? bytes.n : 1);
    memcpy(copy, bytes.p, bytes.n);
    enum err_code rc = batch_reader_open(r, slice_of(copy, bytes.n), err);
    free(copy);
    return rc;
}

/* Reads to the end and touches every byte. Returns what ended it. */
static inline enum err_code read_all(struct batch_reader *r, uint32_t *ret_records)
{
    struct record record;
    struct err err;
    bool more;
    unsigned sum = 0;
    const struct batch_head *head = batch_reader_head(r);
    for (*ret_records = 0;; ++*ret_records) {
        enum err_code rc = batch_reader_next(r, &record, &more, &err);
        if (rc || !more)
            return rc;
        for (size_t i = 0; i < head->key_count; i++)
            for (size_t j = 0; j < record.keys[i].n; j++)
                sum += (unsigned char)record.keys[i].p[j];
        for (size_t i = 0; record.fields && i < head->field_count; i++)
            for (size_t j = 0; j < record.fields[i].n; j++)
                sum += (unsigned char)record.fields[i].p[j];
        assert_true(sum < UINT32_MAX && record.ordinal < head->planned);
    }
}

#endif
