#include "scheduler/stream/cdc_private.h"

enum { PLACE_VERSION = 1, PLACE_BYTES = 1 + 8 + 4 + 8 + 8 + 8 };

static uint8_t *put(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
    return p + n;
}

static uint64_t get(const uint8_t **p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | (*p)[i];
    *p += n;
    return v;
}

void cdc_place_put(const struct cdc_place *place, struct feed_position *ret)
{
    uint8_t *p = ret->bytes;
    *p++ = PLACE_VERSION;
    p = put(p, place->system, 8);
    p = put(p, place->timeline, 4);
    p = put(p, place->cover, 8);
    p = put(p, place->parts, 8);
    put(p, place->lsn, 8);
    ret->n = PLACE_BYTES;
}

bool cdc_place_get(const struct feed_position *position, struct cdc_place *ret)
{
    if (position->n != PLACE_BYTES || position->bytes[0] != PLACE_VERSION)
        return false;
    const uint8_t *p = position->bytes + 1;
    ret->system = get(&p, 8);
    ret->timeline = (uint32_t)get(&p, 4);
    ret->cover = get(&p, 8);
    ret->parts = get(&p, 8);
    ret->lsn = get(&p, 8);
    return true;
}
