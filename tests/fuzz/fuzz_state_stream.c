/* Any bytes as an export of the state: it is read to a mistake or to its end, within its limits. */
#include "scheduler/state/stream.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err_code take(void *ctx, enum store_table t, struct slice key, struct slice value,
                          struct err *err)
{
    size_t *sum = ctx;
    (void)err;
    ensure(t < TABLE_COUNT && key.n <= STORE_KEY_MAX + 1);
    for (size_t i = 0; i < key.n; i++)
        *sum += (unsigned char)key.p[i];
    for (size_t i = 0; i < value.n; i++)
        *sum += (unsigned char)value.p[i];
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct transfer_counts counts = {0};
    struct err err = {0};
    size_t sum = 0;
    if (!size)
        return 0;
    FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");
    ensure(in != NULL);
    enum err_code rc = stream_read(in, take, &sum, &counts, &err);
    ensure(!rc || *err.text);
    ensure(counts.bytes <= size);
    fclose(in);
    return 0;
}
