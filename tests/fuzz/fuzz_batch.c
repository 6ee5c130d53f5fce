/* Any bytes as a payload: what opens must be readable to its end, and its subsets must be batches
 * again. */
#include "protocol/wire/batch.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_all(struct batch_reader *r)
{
    struct record record;
    struct err err;
    bool more = true;
    while (more)
        if (batch_reader_next(r, &record, &more, &err))
            return false;
    return true;
}

static void split(struct batch_reader *r, struct batch_reader *half)
{
    static uint8_t keep[BATCH_RECORDS_MAX];
    for (uint32_t i = 0; i < batch_reader_count(r); i++)
        keep[i] = i % 2;
    struct buf part;
    struct err err;
    buf_init(&part, BATCH_BYTES_MAX + 64);
    ensure(!batch_reader_subset(r, keep, &part, &err));
    ensure(!batch_reader_open(half, buf_slice(&part), &err));
    ensure(batch_reader_count(half) == batch_reader_count(r) / 2 && read_all(half));
    buf_done(&part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch_reader *r = batch_reader_new(), *half = batch_reader_new();
    struct err err;
    ensure(r && half);
    if (!batch_reader_open(r, slice_of(data, size), &err) && read_all(r))
        split(r, half);
    batch_reader_free(half);
    batch_reader_free(r);
    return 0;
}
