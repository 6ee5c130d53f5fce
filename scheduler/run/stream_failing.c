#include "scheduler/run/stream_failing.h"

#include <xxhash.h>

static struct failing_event *find(struct failing *f, uint64_t hash)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (f->events[i].hash == hash)
            return &f->events[i];
    return NULL;
}

static void drop(struct failing *f, struct failing_event *e)
{
    *e = f->events[--f->count];
}

void failing_accepted(struct failing *f, struct slice key)
{
    f->accepted++;
    struct failing_event *e = f->count ? find(f, XXH3_64bits(key.p, key.n)) : NULL;
    if (e)
        drop(f, e);
}

static void add(struct failing *f, uint64_t hash, int64_t now_ms)
{
    uint32_t at = f->count < FAILING_MAX ? f->count++ : f->next++ % FAILING_MAX;
    f->events[at] = (struct failing_event){hash, now_ms, f->accepted, 1};
}

bool failing_again(struct failing *f, struct slice key, int64_t now_ms)
{
    uint64_t hash = XXH3_64bits(key.p, key.n);
    struct failing_event *e = find(f, hash);
    if (!e) {
        add(f, hash, now_ms);
        return false;
    }
    if (f->accepted > e->accepted) {
        e->tries++;
        e->accepted = f->accepted;
    }
    if (e->tries < FAILING_TRIES || now_ms - e->since_ms < FAILING_MS)
        return false;
    drop(f, e);
    return true;
}
