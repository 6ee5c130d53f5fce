/* Keys lie apart from the batches, so that looking for one reads a few cache lines. */
#include "scheduler/batch/shared_batches.h"

#include <stdlib.h>
#include <xxhash.h>

struct shared_batches {
    struct share_key *keys;
    struct open_batch *items;
    size_t count;
    size_t last; /* where the last one was found: rows often come in runs of one value */
};

struct share_key share_key_of(int lane, uint8_t group, const struct value *values, size_t count)
{
    struct {
        uint64_t kind, bytes;
        XXH128_hash_t hash;
    } all[BATCH_SHARED_MAX + 1] = {{(uint64_t)(int64_t)lane, group, {0}}};
    ensure(count <= BATCH_SHARED_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct value *v = &values[i];
        all[i + 1].kind = v->kind == VALUE_ABSENT ? VALUE_NULL : v->kind;
        all[i + 1].bytes = v->n;
        all[i + 1].hash = XXH3_128bits(v->n ? v->p : "", v->n);
    }
    XXH128_hash_t sum = XXH3_128bits(all, (count + 1) * sizeof all[0]);
    return (struct share_key){sum.low64, sum.high64};
}

struct shared_batches *shared_batches_new(size_t count)
{
    struct shared_batches *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->keys = calloc(count, sizeof *s->keys);
    s->items = calloc(count, sizeof *s->items);
    if (!s->keys || !s->items) {
        shared_batches_free(s);
        return NULL;
    }
    s->count = count;
    for (size_t i = 0; i < count; i++)
        open_batch_init(&s->items[i], -1, 0);
    return s;
}

void shared_batches_free(struct shared_batches *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        open_batch_done(&s->items[i]);
    free(s->items);
    free(s->keys);
    free(s);
}

static bool is_at(const struct shared_batches *s, size_t i, struct share_key key)
{
    return s->keys[i].low == key.low && s->keys[i].high == key.high;
}

struct open_batch *shared_batches_find(struct shared_batches *s, struct share_key key)
{
    if (is_at(s, s->last, key))
        return &s->items[s->last];
    for (size_t i = 0; i < s->count; i++) {
        if (!is_at(s, i, key))
            continue;
        s->last = i;
        return &s->items[i];
    }
    return NULL;
}

struct open_batch *shared_batches_take(struct shared_batches *s, struct share_key key, int lane,
                                       uint8_t group)
{
    for (size_t i = 0; i < s->count; i++) {
        struct open_batch *o = &s->items[i];
        if (o->records)
            continue;
        s->keys[i] = key;
        s->last = i;
        o->lane = lane;
        o->group = group;
        return o;
    }
    return NULL;
}

struct open_batch *shared_batches_fullest(struct shared_batches *s)
{
    struct open_batch *most = &s->items[0];
    for (size_t i = 1; i < s->count; i++)
        if (s->items[i].fill > most->fill)
            most = &s->items[i];
    return most;
}

struct open_batch *shared_batches_largest(struct shared_batches *s)
{
    struct open_batch *most = &s->items[0];
    for (size_t i = 1; i < s->count; i++)
        if (s->items[i].bytes > most->bytes)
            most = &s->items[i];
    return most;
}

struct open_batch *shared_batches_all(struct shared_batches *s, size_t *ret_count)
{
    *ret_count = s->count;
    return s->items;
}
