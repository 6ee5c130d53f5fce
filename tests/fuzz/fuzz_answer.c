/* Answers of destinations: any status, any body, any Retry-After. No verdict may name a record that
 * was not sent. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "protocol/base/utf8.h"
#include "worker/deliver/classify.h"

enum { RECORDS = 5, ARENA_BYTES = 8 << 20, HEAD_BYTES = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(struct slice words)
{
    ensure(words.n <= RESULT_MESSAGE_MAX && utf8_valid(words));
}

static void check_outcome(const struct outcome *o)
{
    check_words(o->message);
    ensure(o->entry_count <= RECORDS && (o->entry_count == 0 || o->kind == OUTCOME_ANSWERED));
    for (size_t i = 0; i < o->entry_count; i++) {
        const struct outcome_entry *e = &o->entries[i];
        ensure(e->index < RECORDS && (i == 0 || e->index > e[-1].index));
        ensure(e->verdict == VERDICT_OPEN || e->verdict == VERDICT_REJECTED ||
               e->verdict == VERDICT_NOT_FOUND);
        check_words(e->message);
    }
}

static void check_retry_after(const uint8_t *data, size_t size)
{
    char text[64];
    size_t n = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, data, n);
    text[n] = '\0';
    int64_t ms = http_retry_after_ms(text, 784111777000);
    ensure(ms >= -1 && ms <= 86400000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum record_op ops[RECORDS] = {OP_UPSERT, OP_UPDATE, OP_DELETE, OP_CLEAR,
                                                OP_UPDATE};
    if (size < HEAD_BYTES)
        return 0;
    struct http_answer answer = {
        .status = (uint32_t)(data[0] | data[1] << 8) % 700,
        .body = slice_of(data + HEAD_BYTES, size - HEAD_BYTES),
        .body_cut = data[2] & 1,
        .error = data[2] & 2 ? "broken" : NULL,
        .reached = data[2] & 4,
        .retry_after_ms = data[3],
    };
    if (data[2] & 8)
        answer.status = 200; /* where the parsing is */
    struct arena a;
    struct outcome o;
    struct err err;
    arena_init(&a, ARENA_BYTES);
    if (!classify(&a, &answer, ops, RECORDS, &o, &err))
        check_outcome(&o);
    arena_done(&a);
    check_retry_after(data, size);
    return 0;
}
