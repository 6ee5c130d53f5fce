#include "scheduler/diff/turn.h"

#include <stdlib.h>

enum { TURN_FIRST = 256, KEYS_BYTES_MAX = 256 << 20 };

void turn_init(struct turn *t)
{
    *t = (struct turn){0};
    buf_init(&t->keys, KEYS_BYTES_MAX);
}

void turn_done(struct turn *t)
{
    free(t->items);
    free(t->buckets);
    buf_done(&t->keys);
}

/* The bucket of the slot, or the free one where it belongs. */
static size_t seek(const struct turn *t, uint32_t slot)
{
    size_t mask = t->bucket_count - 1, at = (slot * 2654435761U) & mask;
    while (t->buckets[at] && t->items[t->buckets[at] - 1].slot != slot)
        at = (at + 1) & mask;
    return at;
}

static enum err_code grow(struct turn *t, struct err *err)
{
    size_t cap = t->cap ? t->cap * 2 : TURN_FIRST;
    struct turn_item *items = cap < UINT32_MAX / 4 ? realloc(t->items, cap * sizeof *items) : NULL;
    if (items)
        t->items = items;
    uint32_t *buckets = items ? calloc(cap * 2, sizeof *buckets) : NULL;
    if (!buckets)
        return err_set(err, ERR_NOMEM, "diff: out of memory for a turn of %zu changes", t->count);
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count = cap * 2;
    t->cap = cap;
    for (size_t i = 0; i < t->count; i++) {
        size_t at = seek(t, t->items[i].slot);
        t->buckets[at] = (uint32_t)i + 1;
        t->items[i].bucket = (uint32_t)at;
    }
    return ERR_OK;
}

struct turn_item *turn_find(const struct turn *t, uint32_t slot)
{
    if (!t->count)
        return NULL;
    uint32_t i = t->buckets[seek(t, slot)];
    return i ? &t->items[i - 1] : NULL;
}

enum err_code turn_note(struct turn *t, uint32_t slot, struct slice key, struct turn_item **ret,
                        struct err *err)
{
    *ret = turn_find(t, slot);
    if (*ret)
        return ERR_OK;
    enum err_code code = t->count == t->cap ? grow(t, err) : ERR_OK;
    size_t key_at = t->keys.len;
    if (!code && buf_put(&t->keys, key.p, key.n))
        code = err_set(err, ERR_FULL, "diff: a turn of too many keys");
    if (code)
        return code;
    size_t at = seek(t, slot);
    *ret = &t->items[t->count];
    **ret = (struct turn_item){
        .slot = slot, .bucket = (uint32_t)at, .key_at = key_at, .key_bytes = key.n};
    t->buckets[at] = (uint32_t)++t->count;
    return ERR_OK;
}

struct slice turn_key(const struct turn *t, const struct turn_item *item)
{
    return slice_of(t->keys.p + item->key_at, item->key_bytes);
}

void turn_reset(struct turn *t)
{
    for (size_t i = 0; i < t->count; i++)
        t->buckets[t->items[i].bucket] = 0;
    t->count = 0;
    buf_reset(&t->keys);
}
