/* Any bytes as a result: what parses must come back the same when written and parsed again. */
#include "protocol/wire/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result_reader *reader = result_reader_new(), *again = result_reader_new();
    struct result first, second;
    struct err err;
    ensure(reader && again);
    if (!result_parse(reader, slice_of(data, size), &first, &err)) {
        struct buf b;
        buf_init(&b, 64 << 20);
        ensure(!result_put(&b, &first));
        ensure(!result_parse(again, buf_slice(&b), &second, &err));
        ensure(first.entry_count == second.entry_count && first.bytes == second.bytes);
        ensure(slice_eq(first.message, second.message) && slice_eq(first.ordset, second.ordset));
        buf_done(&b);
    }
    result_reader_free(again);
    result_reader_free(reader);
    return 0;
}
