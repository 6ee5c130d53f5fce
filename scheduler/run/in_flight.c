#include "scheduler/run/in_flight.h"

#include <stdlib.h>

enum { BUCKETS_FIRST = 1024 };

void in_flight_done(struct in_flight *f)
{
    free(f->p);
    *f = (struct in_flight){0};
}

static size_t home(const struct in_flight *f, uint32_t slot)
{
    return (slot * 2654435761U) & (f->buckets - 1);
}

/* The slot's bucket, or the free one where it belongs. */
static size_t seek(const struct in_flight *f, uint32_t slot)
{
    size_t at = home(f, slot);
    while (f->p[at].used && f->p[at].slot != slot)
        at = (at + 1) & (f->buckets - 1);
    return at;
}

struct flight *in_flight_find(const struct in_flight *f, uint32_t slot)
{
    size_t at = f->count ? seek(f, slot) : 0;
    return f->count && f->p[at].used ? &f->p[at] : NULL;
}

static enum err_code grow(struct in_flight *f, struct err *err)
{
    struct in_flight larger = *f;
    larger.buckets = f->buckets ? f->buckets * 2 : BUCKETS_FIRST;
    larger.p = calloc(larger.buckets, sizeof *larger.p);
    if (!larger.p)
        return err_set(err, ERR_NOMEM, "run: no memory for %zu records in flight", f->count);
    for (size_t i = 0; i < f->buckets; i++)
        if (f->p[i].used)
            larger.p[seek(&larger, f->p[i].slot)] = f->p[i];
    free(f->p);
    *f = larger;
    return ERR_OK;
}

enum err_code in_flight_add(struct in_flight *f, uint32_t slot, uint64_t mark, uint32_t tries,
                            struct err *err)
{
    if (f->count * 2 >= f->buckets) {
        enum err_code rc = grow(f, err);
        if (rc)
            return rc;
    }
    struct flight *flight = &f->p[seek(f, slot)];
    ensure(!flight->used);
    *flight = (struct flight){.slot = slot, .mark = mark, .tries = tries, .used = true};
    f->count++;
    return ERR_OK;
}

/* Those behind it that could not have its place move up, so that a search never meets a hole. */
void in_flight_drop(struct in_flight *f, struct flight *flight)
{
    size_t mask = f->buckets - 1, hole = (size_t)(flight - f->p);
    for (size_t at = (hole + 1) & mask; f->p[at].used; at = (at + 1) & mask) {
        size_t wants = home(f, f->p[at].slot);
        if (((at - wants) & mask) < ((at - hole) & mask))
            continue; /* it stands between its home and here, behind the hole */
        f->p[hole] = f->p[at];
        hole = at;
    }
    f->p[hole] = (struct flight){0};
    f->count--;
}

/* What moves up into the place of one that is dropped is looked at next. */
void in_flight_drop_landed(struct in_flight *f)
{
    for (size_t i = 0; i < f->buckets; i++)
        while (f->p[i].used && f->p[i].landed)
            in_flight_drop(f, &f->p[i]);
}
