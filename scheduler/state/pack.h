/*
 * Packing: small records as bytes, little endian, fields in a fixed order behind a version byte.
 *
 * A reader that runs out of bytes reads zeros, so that fields can be added at the end. Internal to
 * state.
 */
#ifndef SLUICE_STATE_PACK_H
#define SLUICE_STATE_PACK_H

#include "protocol/base/slice.h"

#include <endian.h>
#include <stdint.h>

struct pack {
    uint8_t *p;
    size_t n;
    size_t cap;
    bool full; /* something did not fit */
};

static inline void pack_bytes(struct pack *k, const void *p, size_t n)
{
    if (n > k->cap - k->n) {
        k->full = true;
        return;
    }
    if (n)
        memcpy(k->p + k->n, p, n);
    k->n += n;
}

static inline void pack_u8(struct pack *k, uint8_t v)
{
    pack_bytes(k, &v, 1);
}

static inline void pack_u32(struct pack *k, uint32_t v)
{
    v = htole32(v);
    pack_bytes(k, &v, sizeof v);
}

static inline void pack_u64(struct pack *k, uint64_t v)
{
    v = htole64(v);
    pack_bytes(k, &v, sizeof v);
}

static inline void pack_slice(struct pack *k, struct slice s)
{
    pack_u32(k, (uint32_t)s.n);
    pack_bytes(k, s.p, s.n);
}

static inline void pack_str(struct pack *k, const char *s)
{
    pack_slice(k, slice_str(s));
}

struct unpack {
    const uint8_t *p;
    size_t n; /* left */
};

static inline void unpack_bytes(struct unpack *u, void *out, size_t n)
{
    if (n > u->n) {
        memset(out, 0, n);
        u->n = 0;
        return;
    }
    memcpy(out, u->p, n);
    u->p += n;
    u->n -= n;
}

static inline uint8_t unpack_u8(struct unpack *u)
{
    uint8_t v;
    unpack_bytes(u, &v, 1);
    return v;
}

static inline uint32_t unpack_u32(struct unpack *u)
{
    uint32_t v;
    unpack_bytes(u, &v, sizeof v);
    return le32toh(v);
}

static inline uint64_t unpack_u64(struct unpack *u)
{
    uint64_t v;
    unpack_bytes(u, &v, sizeof v);
    return le64toh(v);
}

static inline struct slice unpack_slice(struct unpack *u)
{
    size_t n = unpack_u32(u);
    if (n > u->n)
        n = u->n;
    struct slice s = {(const char *)u->p, n};
    u->p += n;
    u->n -= n;
    return s;
}

/** Copies a string into out, cut at out_bytes - 1. */
static inline void unpack_str(struct unpack *u, char *out, size_t out_bytes)
{
    struct slice s = unpack_slice(u);
    size_t n = s.n < out_bytes - 1 ? s.n : out_bytes - 1;
    if (n)
        memcpy(out, s.p, n);
    out[n] = '\0';
}

/* Keys sort by their bytes: numbers in keys are big endian. */
static inline size_t key_put_u32(uint8_t *out, uint32_t v)
{
    v = htobe32(v);
    memcpy(out, &v, sizeof v);
    return sizeof v;
}

static inline size_t key_put_u64(uint8_t *out, uint64_t v)
{
    v = htobe64(v);
    memcpy(out, &v, sizeof v);
    return sizeof v;
}

static inline uint32_t key_get_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static inline uint64_t key_get_u64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

#endif
