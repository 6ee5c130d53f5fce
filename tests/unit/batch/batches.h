/* What batches a batcher cut: each in one line. */
#ifndef SLUICE_TESTS_BATCH_BATCHES_H
#define SLUICE_TESTS_BATCH_BATCHES_H

#include "tests/unit/batch/fixture.h"

static inline struct batcher *new_batcher(const struct batcher_options *o, struct spool *s)
{
    struct batcher *b = NULL;
    struct err err;
    assert_int_equal(batcher_new(o, s, &b, &err), ERR_OK);
    return b;
}

static inline void flush(struct batcher *b, bool complete)
{
    struct frame_counts counts = {0};
    struct err err;
    assert_int_equal(batcher_flush(b, complete, &counts, &err), ERR_OK);
}

/* "lane:group op id, op id …" of batch number; * at the end where it is the run's last. */
static inline const char *shown(struct spool *s, uint64_t number, char *out, size_t n)
{
    static const char letters[] = "UIudca"; /* by enum record_op */
    struct frame f;
    struct err err;
    struct record record;
    bool more;
    struct batch_reader *r = batch_reader_new();
    assert_int_equal(spool_read(s, number, &f, &err), ERR_OK);
    assert_int_equal(batch_reader_open(r, f.payload, &err), ERR_OK);
    assert_int_equal(batch_reader_head(r)->sequence, number + 1);
    int at = snprintf(out, n, "%.*s:%u", (int)f.lane.n, f.lane.p, f.cost.group);
    while (!batch_reader_next(r, &record, &more, &err) && more) {
        struct slice id = value_slice(record.keys[0]);
        at += snprintf(out + at, n - (size_t)at, " %c%.*s", letters[record.op], (int)id.n, id.p);
    }
    snprintf(out + at, n - (size_t)at, "%s", batch_reader_head(r)->last ? "*" : "");
    batch_reader_free(r);
    return out;
}

static inline void assert_batches(struct spool *s, const char *const *want)
{
    char text[512];
    size_t n = 0;
    for (; want[n] && n < spool_count(s); n++)
        assert_string_equal(shown(s, n, text, sizeof text), want[n]);
    assert_null(want[n]);
    assert_int_equal(spool_count(s), n);
}

#define BATCHES(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

#endif
