/*
 * A bounded cursor over foreign msgpack bytes (github.com/msgpack/msgpack, spec.md).
 *
 * Reads one item at a time, in the order the reader expects; allocates nothing, follows no nesting
 * of the input's own making. Each function returns false, and leaves the cursor anywhere, when the
 * bytes end early or hold something else.
 */
#ifndef SLUICE_WIRE_UNPACK_H
#define SLUICE_WIRE_UNPACK_H

#include "protocol/base/attr.h"
#include "protocol/base/slice.h"

#include <stdint.h>

struct unpack {
    const uint8_t *p;
    const uint8_t *end;
};

static inline struct unpack unpack_of(struct slice s)
{
    const uint8_t *p = s.n ? (const uint8_t *)s.p : (const uint8_t *)"";
    return (struct unpack){p, p + s.n};
}

static inline size_t unpack_left(const struct unpack *u)
{
    return (size_t)(u->end - u->p);
}

/** Reads bytes (1 to 8) as one big-endian number. */
bool unpack_be(struct unpack *u, size_t bytes, uint64_t *ret) MUST_CHECK;
/** An array header. No more than max items, nor than one per byte that is left. */
bool unpack_array(struct unpack *u, uint32_t max, uint32_t *ret) MUST_CHECK;
/** Like unpack_array; an empty map counts as an empty array, since Lua cannot tell them apart. */
bool unpack_list(struct unpack *u, uint32_t max, uint32_t *ret) MUST_CHECK;
/** A whole number from 0 to max in any integer width, or a float that holds one. */
bool unpack_uint(struct unpack *u, uint64_t max, uint64_t *ret) MUST_CHECK;
bool unpack_u32(struct unpack *u, uint32_t max, uint32_t *ret) MUST_CHECK;
/** true or false, also as 1 or 0. */
bool unpack_flag(struct unpack *u, bool *ret) MUST_CHECK;
/** str or bin; nil is empty. The bytes are borrowed from the input. */
bool unpack_text(struct unpack *u, struct slice *ret) MUST_CHECK;

#endif
