/* What the tests of rendering share: three records that between them hold every kind of value. */
#ifndef SLUICE_TESTS_WORKER_RENDER_SAMPLE_H
#define SLUICE_TESTS_WORKER_RENDER_SAMPLE_H

#include "tests/unit/worker/kit.h"
#include "tests/unit/worker/sample.h"

static const char *const ID[] = {"id", NULL};
static const char *const FIELDS[] = {"name", "age",       "vip",      "note",
                                     "tags", "home.city", "home.zip", NULL};

struct sample {
    struct value keys[3];
    struct value values[2][7];
    struct record records[3];
};

static inline void sample_make(struct sample *s)
{
    s->keys[0] = sample_number("1");
    s->keys[1] = sample_text("k\"2");
    s->keys[2] = sample_number("3");
    struct value first[] = {
        sample_text("A \"b\""),   sample_number("123456789012345678901234567890"),
        {.kind = VALUE_TRUE},     {.kind = VALUE_NULL},
        sample_json("[1,\"x\"]"), sample_text("Ulm"),
        {.kind = VALUE_ABSENT}};
    struct value second[] = {{.kind = VALUE_NULL},  {.kind = VALUE_ABSENT}, {.kind = VALUE_FALSE},
                             sample_text(""),       sample_json("null"),    {.kind = VALUE_ABSENT},
                             {.kind = VALUE_ABSENT}};
    memcpy(s->values[0], first, sizeof first);
    memcpy(s->values[1], second, sizeof second);
    s->records[0] = (struct record){4, OP_UPSERT, &s->keys[0], s->values[0]};
    s->records[1] = (struct record){7, OP_UPDATE, &s->keys[1], s->values[1]};
    s->records[2] = (struct record){9, OP_DELETE, &s->keys[2], NULL};
}

static const struct kit_batch BATCH = {.keys = ID, .fields = FIELDS, .planned = 20};

static inline void assert_body(const struct kit *k, const char *expected)
{
    if (!slice_eq_str(k->rendered.body, expected))
        fail_msg("\n%.*s\nis not\n%s", (int)k->rendered.body.n, k->rendered.body.p, expected);
}

static inline void render(struct kit *k, const struct kit_batch *b, const struct record *records,
                          uint32_t count, struct render_input *in)
{
    struct err err;
    if (kit_render(k, b, records, count, in, &err))
        fail_msg("%s", err.text);
}

#endif
