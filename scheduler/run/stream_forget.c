/*
 * Events that are sent once. Reads: marks. Writes: entries of the sync, by its run. Invariant: the
 * entry of an event that was accepted, refused or invalid stays until the position in state is
 * behind the event, and goes in the transaction that moves it: until then the event may be given
 * again, and is known; afterwards it cannot. A crash here: neither stands.
 */
#include "scheduler/run/stream_private.h"

#include <stdlib.h>

enum { PASSING_FIRST = 1024, PASSING_BYTES_MAX = 64 << 20 };

struct passing_item {
    uint64_t mark;
    size_t at; /* of its key */
    size_t n;
};

void stream_forget_init(struct passing *p)
{
    buf_init(&p->keys, PASSING_BYTES_MAX);
}

void stream_forget_done(struct passing *p)
{
    free(p->items);
    buf_done(&p->keys);
    *p = (struct passing){0};
}

static bool is_sent_once(const struct stream_driver *d)
{
    return d->sync->mode == MODE_APPEND && d->sync->schedule.stream.from == STREAM_EVENTS;
}

static bool grow(struct passing *p)
{
    size_t cap = p->cap ? 2 * p->cap : PASSING_FIRST;
    struct passing_item *items = realloc(p->items, cap * sizeof *items);
    if (!items)
        return false;
    p->items = items;
    p->cap = cap;
    return true;
}

/* What finds no room stays in state, and does no harm there. */
void stream_forget_later(struct stream_driver *d, uint64_t mark, struct slice key)
{
    struct passing *p = &d->passing;
    if (!is_sent_once(d) || (p->count == p->cap && !grow(p)))
        return;
    size_t at = p->keys.len;
    if (buf_put(&p->keys, key.p, key.n))
        return;
    if (!p->count || mark < p->least)
        p->least = mark;
    p->items[p->count++] = (struct passing_item){mark, at, key.n};
}

/* Moves an item to the place where the ones that stay end. */
static void keep(struct passing *p, struct passing_item item, size_t *count, size_t *len)
{
    memmove(p->keys.p + *len, p->keys.p + item.at, item.n);
    item.at = *len;
    *len += item.n;
    p->items[(*count)++] = item;
    if (item.mark < p->least)
        p->least = item.mark;
}

enum err_code stream_forget_passed(struct stream_driver *d, struct err *err)
{
    struct passing *p = &d->passing;
    uint64_t first = marks_first(d->marks);
    enum err_code rc = ERR_OK;
    size_t count = 0, len = 0;
    if (!d->run || !p->count || p->least >= first)
        return ERR_OK;
    p->least = UINT64_MAX;
    for (size_t i = 0; i < p->count; i++) {
        struct passing_item item = p->items[i];
        if (!rc && item.mark < first)
            rc = sync_run_forget(d->run, slice_of(p->keys.p + item.at, item.n), err);
        else
            keep(p, item, &count, &len);
    }
    p->count = count;
    p->keys.len = len;
    return rc;
}

/* Those whose position has passed are not given again: they still go, whatever marks come. */
void stream_forget_reset(struct stream_driver *d)
{
    struct passing *p = &d->passing;
    uint64_t first = marks_first(d->marks);
    size_t count = 0, len = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct passing_item item = p->items[i];
        if (item.mark >= first)
            continue;
        item.mark = 0;
        keep(p, item, &count, &len);
    }
    p->count = count;
    p->keys.len = len;
}
