#include "scheduler/stream/event_ids.h"

#include "protocol/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Digits only, without overflow. */
static bool take_number(struct slice *s, uint64_t *ret)
{
    size_t n = 0;
    uint64_t v = 0;
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++) {
        uint64_t digit = (uint64_t)(s->p[n] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *s = slice_of(s->p + n, s->n - n);
    *ret = v;
    return n > 0;
}

bool event_id_parse(struct slice text, struct event_id *ret)
{
    struct event_id id;
    if (!take_number(&text, &id.ms) || !text.n || *text.p != '-')
        return false;
    text = slice_of(text.p + 1, text.n - 1);
    if (!take_number(&text, &id.seq) || text.n)
        return false;
    *ret = id;
    return true;
}

const char *event_id_text(struct event_id id, char *out)
{
    snprintf(out, EVENT_ID_BYTES, "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
    return out;
}

int event_id_compare(struct event_id a, struct event_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

bool event_ids_init(struct event_ids *ids, size_t cap)
{
    *ids = (struct event_ids){.items = malloc(cap * sizeof *ids->items), .cap = cap};
    return ids->items != NULL;
}

void event_ids_done(struct event_ids *ids)
{
    free(ids->items);
    *ids = (struct event_ids){0};
}

static struct event_ring_item *at(const struct event_ids *ids, size_t n)
{
    return &ids->items[(ids->first + n) % ids->cap];
}

void event_ids_push(struct event_ids *ids, struct event_id id, uint64_t bytes)
{
    ensure(ids->count < ids->cap);
    *at(ids, ids->count++) = (struct event_ring_item){id, bytes};
    ids->bytes += bytes;
}

struct event_id event_ids_at(const struct event_ids *ids, size_t n)
{
    ensure(n < ids->count);
    return at(ids, n)->id;
}

void event_ids_pop(struct event_ids *ids, size_t n)
{
    ensure(n <= ids->count);
    for (size_t i = 0; i < n; i++)
        ids->bytes -= at(ids, i)->bytes;
    ids->first = (ids->first + n) % ids->cap;
    ids->count -= n;
}

void event_ids_clear(struct event_ids *ids)
{
    ids->first = ids->count = 0;
    ids->bytes = 0;
}
