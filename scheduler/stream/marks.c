/* Reads and writes: its own memory, a ring of marks. Invariant: everything before `settled` is
 * settled; marks between it and the open one are held by some change, or one before them is. */
#include "scheduler/stream/marks.h"

#include <stdlib.h>

enum { RING_FIRST = 64 };

struct mark {
    uint64_t held;
    struct feed_position end; /* of one that is closed */
};

struct marks {
    struct mark *ring;
    size_t cap; /* a power of two */
    uint64_t base, open;
    uint64_t held;
    bool late; /* the open mark stands for what several would have: its end is the last one given */
    struct feed_position end; /* of the open mark, where it is late */
    struct feed_position settled;
};

struct marks *marks_new(void)
{
    struct marks *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->ring = calloc(RING_FIRST, sizeof *m->ring);
    m->cap = RING_FIRST;
    if (m->ring)
        return m;
    free(m);
    return NULL;
}

void marks_free(struct marks *m)
{
    if (!m)
        return;
    free(m->ring);
    free(m);
}

static struct mark *at(const struct marks *m, uint64_t number)
{
    return &m->ring[number & (m->cap - 1)];
}

void marks_reset(struct marks *m, const struct feed_position *position)
{
    m->base = ++m->open; /* what was held before is of no mark any more */
    m->held = 0;
    m->late = false;
    *at(m, m->open) = (struct mark){0};
    m->settled = *position;
}

uint64_t marks_open(const struct marks *m)
{
    return m->open;
}

void marks_hold(struct marks *m, uint64_t mark)
{
    ensure(mark >= m->base && mark <= m->open);
    at(m, mark)->held++;
    m->held++;
}

static void advance(struct marks *m)
{
    while (m->base < m->open && !at(m, m->base)->held)
        m->settled = at(m, m->base++)->end;
    if (m->base == m->open && m->late && !at(m, m->open)->held) {
        m->settled = m->end;
        m->late = false;
    }
}

void marks_release(struct marks *m, uint64_t mark)
{
    if (mark < m->base) /* of before a reset */
        return;
    ensure(mark <= m->open && at(m, mark)->held);
    at(m, mark)->held--;
    m->held--;
    advance(m);
}

static bool grow(struct marks *m)
{
    struct mark *ring = m->cap < MARKS_MAX ? calloc(m->cap * 2, sizeof *ring) : NULL;
    if (!ring)
        return false;
    for (uint64_t i = m->base; i <= m->open; i++)
        ring[i & (m->cap * 2 - 1)] = *at(m, i);
    free(m->ring);
    m->ring = ring;
    m->cap *= 2;
    return true;
}

void marks_close(struct marks *m, const struct feed_position *position)
{
    if (m->base == m->open && !at(m, m->open)->held) {
        m->settled = *position;
        m->late = false;
        return;
    }
    if (!at(m, m->open)->held) { /* nothing of it is left: the mark before it ends here */
        at(m, m->open - 1)->end = *position;
        m->late = false;
        return;
    }
    if (m->open - m->base + 1 >= m->cap && !grow(m)) {
        m->late = true;
        m->end = *position;
        return;
    }
    at(m, m->open)->end = *position;
    m->late = false;
    *at(m, ++m->open) = (struct mark){0};
}

const struct feed_position *marks_settled(const struct marks *m)
{
    return &m->settled;
}

uint64_t marks_held(const struct marks *m)
{
    return m->held;
}

uint64_t marks_first(const struct marks *m)
{
    return m->base;
}
