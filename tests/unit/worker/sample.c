#include "tests/unit/worker/sample.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAMES_MAX = 64, BATCH_MAX = 64 << 20 };

struct value sample_text(const char *s)
{
    return value_of(VALUE_TEXT, slice_str(s));
}

struct value sample_number(const char *s)
{
    return value_of(VALUE_NUMBER, slice_str(s));
}

struct value sample_json(const char *s)
{
    return value_of(VALUE_JSON, slice_str(s));
}

static size_t split_path(const char *text, struct slice *names)
{
    size_t n = 0;
    for (;; text++) {
        size_t bytes = strcspn(text, ".");
        names[n++] = slice_of(text, bytes);
        text += bytes;
        if (!*text)
            return n;
    }
}

void sample_seal(struct buf *out, const struct sample_head *h, const struct record *records,
                 uint32_t count)
{
    struct slice keys[NAMES_MAX], names[NAMES_MAX * 4];
    struct field_path fields[NAMES_MAX];
    struct batch_head head = {
        .sync = slice_str(h->sync),
        .run = slice_str(h->run),
        .id = slice_str(h->batch),
        .destination = slice_str(h->destination),
        .fingerprint = slice_str(h->fingerprint),
        .planned = h->planned ? h->planned : count,
        .key_names = keys,
        .fields = fields,
        .newest_field = -1,
    };
    for (; h->keys[head.key_count]; head.key_count++)
        keys[head.key_count] = slice_str(h->keys[head.key_count]);
    for (size_t at = 0; h->fields[head.field_count]; head.field_count++) {
        size_t n = split_path(h->fields[head.field_count], names + at);
        fields[head.field_count] = (struct field_path){names + at, n};
        at += n;
    }
    struct buf rows;
    struct err err = {0};
    buf_init(&rows, BATCH_MAX);
    size_t values_at;
    for (uint32_t i = 0; i < count; i++)
        ensure(!batch_put_record(&rows, &records[i], head.key_count, head.field_count, &values_at));
    enum err_code rc = batch_seal(out, &head, count, buf_slice(&rows), true, &err);
    if (rc)
        fprintf(stderr, "%s\n", err.text);
    ensure(!rc);
    buf_done(&rows);
}

void sample_ids(struct buf *out, const struct sample_head *h, uint32_t first, uint32_t count)
{
    struct record *records = calloc(count, sizeof *records);
    struct value *values = calloc(count, sizeof *values);
    char(*texts)[16] = calloc(count, sizeof *texts);
    ensure(records && values && texts);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(texts[i], sizeof texts[i], "%u", first + i);
        values[i] = sample_number(texts[i]);
        records[i] = (struct record){i, OP_UPSERT, &values[i], &values[i]};
    }
    sample_seal(out, h, records, count);
    free(records);
    free(values);
    free(texts);
}
