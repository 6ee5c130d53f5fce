/* Sealed batches for the worker's tests, made from short descriptions. */
#ifndef SLUICE_TESTS_WORKER_SAMPLE_H
#define SLUICE_TESTS_WORKER_SAMPLE_H

#include "protocol/wire/batch.h"

/* {"a.b", "c"} are two fields, the first nested; keys are plain names. NULL ends a list. */
struct sample_head {
    const char *sync;
    const char *run;
    const char *batch;
    const char *destination;
    const char *fingerprint;
    const char *const *keys;
    const char *const *fields;
    uint32_t planned;
};

/** Appends the sealed batch to out; aborts the test on any failure. */
void sample_seal(struct buf *out, const struct sample_head *h, const struct record *records,
                 uint32_t count);

/** An upsert of integers: ordinal i has key {"id": first + i} and field {"id": …}. */
void sample_ids(struct buf *out, const struct sample_head *h, uint32_t first, uint32_t count);

struct value sample_text(const char *s);
struct value sample_number(const char *s);
struct value sample_json(const char *s);

#endif
