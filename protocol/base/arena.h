/*
 * An arena: many small allocations that die together.
 *
 * Gives zeroed, aligned memory until its ceiling. Nothing allocated here may outlive arena_done or
 * arena_reset except by copy. One thread.
 */
#ifndef SLUICE_BASE_ARENA_H
#define SLUICE_BASE_ARENA_H

#include "protocol/base/attr.h"
#include "protocol/base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *head;
    size_t used;
    size_t max; /* bytes in all blocks together */
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_done(struct arena *a);
/** Frees everything but the largest block, which is used again. */
void arena_reset(struct arena *a);

/** Returns n zeroed bytes aligned for any type; NULL at the ceiling or when memory is out. */
void *arena_alloc(struct arena *a, size_t n) MUST_CHECK;
/** Returns a NUL-terminated copy; NULL as above. */
char *arena_str(struct arena *a, struct slice s) MUST_CHECK;

#endif
