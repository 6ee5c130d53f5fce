#include "scheduler/batch/open_batch.h"

#include "scheduler/batch/value_order.h"

#include <stdlib.h>
#include <xxhash.h>

enum {
    SEEN_SLOTS_LEAST = 64,
    KEPT_BYTES = 16 << 10, /* of each buffer of an empty batch */
};

/* Where a record of a batch with an order is, and what it goes by. */
struct place {
    size_t row, manifest;
    size_t value; /* in `order` */
    enum value_kind kind;
    uint32_t value_bytes;
    uint32_t index; /* as they came */
};

void open_batch_init(struct open_batch *o, int lane, uint8_t group)
{
    *o = (struct open_batch){.lane = lane, .group = group};
    buf_init(&o->rows, BATCH_BYTES_MAX);
    buf_init(&o->manifest, FRAME_BYTES_MAX);
    buf_init(&o->places, BATCH_RECORDS_MAX * sizeof(struct place));
    buf_init(&o->order, BATCH_BYTES_MAX);
}

void open_batch_done(struct open_batch *o)
{
    buf_done(&o->rows);
    buf_done(&o->manifest);
    buf_done(&o->places);
    buf_done(&o->order);
    free(o->seen);
    o->seen = NULL;
    o->seen_slots = o->seen_count = 0;
}

void open_batch_reset(struct open_batch *o)
{
    struct buf *const all[] = {&o->rows, &o->manifest, &o->places, &o->order};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_reset(all[i]);
    if (o->seen_count)
        memset(o->seen, 0, o->seen_slots * sizeof *o->seen);
    o->seen_count = 0;
    o->records = 0;
    o->bytes = o->values = 0;
}

void open_batch_trim(struct open_batch *o)
{
    struct buf *const all[] = {&o->rows, &o->manifest, &o->places, &o->order};
    ensure(!o->records);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i]->cap > KEPT_BYTES)
            buf_done(all[i]);
    if (o->seen_slots <= KEPT_BYTES / sizeof *o->seen)
        return;
    free(o->seen);
    o->seen = NULL;
    o->seen_slots = 0;
}

/* ---- values that may come once ---- */

static bool is_nothing(const struct value *v)
{
    return !v || v->kind == VALUE_NULL || v->kind == VALUE_ABSENT;
}

static uint64_t hash_of(const struct value *v)
{
    uint64_t hash = XXH3_64bits_withSeed(v->n ? v->p : "", v->n, (XXH64_hash_t)v->kind);
    return hash ? hash : 1;
}

/* Its slot, or the free one where it belongs. */
static uint32_t slot_of(const uint64_t *seen, uint32_t slots, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & (slots - 1);
    while (seen[i] && seen[i] != hash)
        i = (i + 1) & (slots - 1);
    return i;
}

bool open_batch_has(const struct open_batch *o, const struct value *unique)
{
    if (is_nothing(unique) || !o->seen_count)
        return false;
    return o->seen[slot_of(o->seen, o->seen_slots, hash_of(unique))];
}

/* Twice as many slots, at most half of them taken. */
static enum err_code grow_seen(struct open_batch *o)
{
    uint32_t slots = o->seen_slots ? o->seen_slots * 2 : SEEN_SLOTS_LEAST;
    uint64_t *grown = calloc(slots, sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < o->seen_slots; i++)
        if (o->seen[i])
            grown[slot_of(grown, slots, o->seen[i])] = o->seen[i];
    free(o->seen);
    o->seen = grown;
    o->seen_slots = slots;
    return ERR_OK;
}

static enum err_code note_seen(struct open_batch *o, const struct value *unique)
{
    if (is_nothing(unique))
        return ERR_OK;
    enum err_code rc = (o->seen_count + 1) * 2 > o->seen_slots ? grow_seen(o) : ERR_OK;
    if (rc)
        return rc;
    uint64_t hash = hash_of(unique);
    uint32_t at = slot_of(o->seen, o->seen_slots, hash);
    o->seen_count += !o->seen[at];
    o->seen[at] = hash;
    return ERR_OK;
}

/* ---- records ---- */

static enum err_code note_place(struct open_batch *o, const struct value *order)
{
    if (!order)
        return ERR_OK;
    struct place place = {.row = o->rows.len,
                          .manifest = o->manifest.len,
                          .value = o->order.len,
                          .kind = order->kind,
                          .value_bytes = order->n,
                          .index = o->records};
    enum err_code rc = order->n ? buf_put(&o->order, order->p, order->n) : ERR_OK;
    return rc ? rc : buf_put(&o->places, &place, sizeof place);
}

enum err_code open_batch_add(struct open_batch *o, const struct batch_record *r)
{
    enum err_code rc = note_place(o, r->order);
    if (!rc)
        rc = note_seen(o, r->unique);
    if (!rc)
        rc = batch_put_record_raw(&o->rows, o->records, r->entry->op, r->keys, r->key_count,
                                  r->values);
    if (!rc)
        rc = manifest_put(&o->manifest, r->entry);
    if (rc)
        return rc;
    o->records++;
    o->bytes += r->bytes;
    o->values += r->set;
    return ERR_OK;
}

/* ---- order ---- */

static struct value value_of_place(const struct open_batch *o, const struct place *place)
{
    const char *bytes = place->value_bytes ? o->order.p + place->value : NULL;
    return value_of(place->kind, slice_of(bytes, place->value_bytes));
}

static int compare_places(const void *x, const void *y, void *ctx)
{
    const struct open_batch *o = ctx;
    const struct place *a = x, *b = y;
    struct value first = value_of_place(o, a), second = value_of_place(o, b);
    int order = value_compare(&first, &second);
    return order ? order : a->index < b->index ? -1 : 1;
}

/* Where row or manifest entry number index ends: at the next one. */
static size_t end_of(const size_t *starts, uint32_t index, uint32_t count, size_t len)
{
    return index + 1 < count ? starts[index + 1] : len;
}

static enum err_code copy_sorted(const struct open_batch *o, const struct place *places,
                                 const size_t *starts, struct buf *rows, struct buf *manifest)
{
    enum err_code rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < o->records; i++) {
        const struct place *p = &places[i];
        size_t row_end = end_of(starts, p->index, o->records, o->rows.len);
        size_t entry_end = end_of(starts + o->records, p->index, o->records, o->manifest.len);
        rc = batch_put_row(rows, slice_of(o->rows.p + p->row, row_end - p->row), i);
        if (!rc)
            rc = buf_put(manifest, o->manifest.p + p->manifest, entry_end - p->manifest);
    }
    return rc;
}

static bool is_sorted(const struct open_batch *o, const struct place *places)
{
    for (uint32_t i = 1; i < o->records; i++)
        if (compare_places(&places[i - 1], &places[i], (void *)(uintptr_t)o) > 0)
            return false;
    return true;
}

enum err_code open_batch_sort(struct open_batch *o)
{
    struct place *places = (struct place *)(void *)o->places.p;
    if (!o->places.len || is_sorted(o, places))
        return ERR_OK;
    struct buf rows, manifest;
    size_t *starts = malloc(2 * (size_t)o->records * sizeof *starts);
    if (!starts)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < o->records; i++) {
        starts[i] = places[i].row;
        starts[o->records + i] = places[i].manifest;
    }
    qsort_r(places, o->records, sizeof *places, compare_places, o);
    buf_init(&rows, o->rows.max);
    buf_init(&manifest, o->manifest.max);
    enum err_code rc = copy_sorted(o, places, starts, &rows, &manifest);
    free(starts);
    if (rc) {
        buf_done(&rows);
        buf_done(&manifest);
        return rc;
    }
    buf_done(&o->rows);
    buf_done(&o->manifest);
    o->rows = rows;
    o->manifest = manifest;
    buf_reset(&o->places);
    return ERR_OK;
}
