/* Slots are found by their key through chains, and stand in a list per class of fullness. */
#include "scheduler/batch/shared_batches.h"

#include <stdlib.h>
#include <xxhash.h>

enum {
    CLASSES = 34, /* 0: empty */
    NONE = UINT32_MAX,
    FULL = 1000,
};

struct slot {
    struct open_batch batch; /* first: its address is the slot's */
    struct share_key key;
    bool keyed;
    uint32_t chained; /* the next one of the same bucket */
    uint32_t before, after;
    uint32_t class;
};

struct list {
    uint32_t first, last;
};

struct shared_batches {
    struct slot *slots;
    uint32_t count;
    uint32_t *buckets;
    uint32_t mask;
    struct list classes[CLASSES];
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

/* ---- lists ---- */

static void leave(struct shared_batches *s, uint32_t i)
{
    struct slot *slot = &s->slots[i];
    struct list *list = &s->classes[slot->class];
    *(slot->before == NONE ? &list->first : &s->slots[slot->before].after) = slot->after;
    *(slot->after == NONE ? &list->last : &s->slots[slot->after].before) = slot->before;
}

static void join(struct shared_batches *s, uint32_t i, uint32_t class)
{
    struct slot *slot = &s->slots[i];
    struct list *list = &s->classes[class];
    slot->class = class;
    slot->before = list->last;
    slot->after = NONE;
    *(list->last == NONE ? &list->first : &s->slots[list->last].after) = i;
    list->last = i;
}

/* ---- life ---- */

struct shared_batches *shared_batches_new(uint32_t count)
{
    struct shared_batches *s = calloc(1, sizeof *s);
    uint32_t buckets = 1;
    if (!s)
        return NULL;
    while (buckets < count)
        buckets *= 2;
    s->slots = calloc(count, sizeof *s->slots);
    s->buckets = malloc(buckets * sizeof *s->buckets);
    if (!s->slots || !s->buckets) {
        shared_batches_free(s);
        return NULL;
    }
    s->count = count;
    s->mask = buckets - 1;
    memset(s->buckets, 0xff, buckets * sizeof *s->buckets);
    for (uint32_t i = 0; i < CLASSES; i++)
        s->classes[i] = (struct list){NONE, NONE};
    for (uint32_t i = 0; i < count; i++) {
        open_batch_init(&s->slots[i].batch, -1, 0);
        join(s, i, 0);
    }
    return s;
}

void shared_batches_free(struct shared_batches *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->count; i++)
        open_batch_done(&s->slots[i].batch);
    free(s->slots);
    free(s->buckets);
    free(s);
}

/* ---- keys ---- */

static uint32_t *bucket_of(struct shared_batches *s, struct share_key key)
{
    return &s->buckets[key.low & s->mask];
}

static void forget_key(struct shared_batches *s, uint32_t i)
{
    uint32_t *link = bucket_of(s, s->slots[i].key);
    if (!s->slots[i].keyed)
        return;
    while (*link != i)
        link = &s->slots[*link].chained;
    *link = s->slots[i].chained;
}

struct open_batch *shared_batches_find(struct shared_batches *s, struct share_key key)
{
    for (uint32_t i = *bucket_of(s, key); i != NONE; i = s->slots[i].chained)
        if (s->slots[i].key.low == key.low && s->slots[i].key.high == key.high)
            return &s->slots[i].batch;
    return NULL;
}

struct open_batch *shared_batches_take(struct shared_batches *s, struct share_key key, int lane,
                                       uint8_t group)
{
    uint32_t i = s->classes[0].first, *bucket = bucket_of(s, key);
    if (i == NONE)
        return NULL;
    struct slot *slot = &s->slots[i];
    forget_key(s, i);
    slot->key = key;
    slot->keyed = true;
    slot->chained = *bucket;
    *bucket = i;
    slot->batch.lane = lane;
    slot->batch.group = group;
    leave(s, i); /* the last of the empty ones, should no record come */
    join(s, i, 0);
    return &slot->batch;
}

/* ---- fullness ---- */

static void move(struct shared_batches *s, struct open_batch *o, uint32_t class)
{
    struct slot *slot = (struct slot *)(void *)o;
    uint32_t i = (uint32_t)(slot - s->slots);
    leave(s, i);
    join(s, i, class);
}

void shared_batches_filled(struct shared_batches *s, struct open_batch *o, uint32_t thousandths)
{
    uint32_t most = thousandths < FULL ? thousandths : FULL;
    move(s, o, 1 + most * (CLASSES - 2) / FULL);
}

void shared_batches_emptied(struct shared_batches *s, struct open_batch *o)
{
    move(s, o, 0);
}

struct open_batch *shared_batches_fullest(struct shared_batches *s)
{
    for (uint32_t class = CLASSES - 1; class > 0; class --)
        if (s->classes[class].first != NONE)
            return &s->slots[s->classes[class].first].batch;
    return NULL;
}

struct open_batch *shared_batches_at(struct shared_batches *s, uint32_t i)
{
    return i < s->count ? &s->slots[i].batch : NULL;
}
