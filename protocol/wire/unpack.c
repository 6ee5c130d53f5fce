#include "protocol/wire/unpack.h"

/* Format bytes of the specification that are read here. */
enum {
    TAG_NIL = 0xc0,
    TAG_FALSE = 0xc2,
    TAG_TRUE = 0xc3,
    TAG_BIN8 = 0xc4,
    TAG_FLOAT32 = 0xca,
    TAG_FLOAT64 = 0xcb,
    TAG_UINT8 = 0xcc,
    TAG_UINT64 = 0xcf,
    TAG_INT8 = 0xd0,
    TAG_INT64 = 0xd3,
    TAG_STR8 = 0xd9,
    TAG_ARRAY16 = 0xdc,
    TAG_ARRAY32 = 0xdd,
    TAG_FIXMAP = 0x80,
    TAG_FIXARRAY = 0x90,
    TAG_FIXSTR = 0xa0,
};

/* Doubles above this may stand for several whole numbers. */
#define WHOLE_DOUBLE_MAX 9007199254740992.0

bool unpack_be(struct unpack *u, size_t bytes, uint64_t *ret)
{
    if (unpack_left(u) < bytes)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | *u->p++;
    *ret = v;
    return true;
}

bool unpack_array(struct unpack *u, uint32_t max, uint32_t *ret)
{
    if (u->p == u->end)
        return false;
    uint8_t tag = *u->p++;
    uint64_t n = 0;
    if ((tag & 0xf0) == TAG_FIXARRAY)
        n = tag & 0x0f;
    else if (tag != TAG_ARRAY16 && tag != TAG_ARRAY32)
        return false;
    else if (!unpack_be(u, tag == TAG_ARRAY16 ? 2 : 4, &n))
        return false;
    if (n > max || n > unpack_left(u))
        return false;
    *ret = (uint32_t)n;
    return true;
}

bool unpack_list(struct unpack *u, uint32_t max, uint32_t *ret)
{
    if (u->p < u->end && *u->p == TAG_FIXMAP) {
        u->p++;
        *ret = 0;
        return true;
    }
    return unpack_array(u, max, ret);
}

static bool whole_double(double d, uint64_t *ret)
{
    if (!(d >= 0 && d <= WHOLE_DOUBLE_MAX) || (double)(uint64_t)d < d)
        return false;
    *ret = (uint64_t)d;
    return true;
}

static bool read_float(struct unpack *u, uint8_t tag, uint64_t *ret)
{
    uint64_t bits;
    if (!unpack_be(u, tag == TAG_FLOAT32 ? 4 : 8, &bits))
        return false;
    if (tag == TAG_FLOAT32) {
        float f;
        uint32_t low = (uint32_t)bits;
        memcpy(&f, &low, sizeof f);
        return whole_double((double)f, ret);
    }
    double d;
    memcpy(&d, &bits, sizeof d);
    return whole_double(d, ret);
}

bool unpack_uint(struct unpack *u, uint64_t max, uint64_t *ret)
{
    if (u->p == u->end)
        return false;
    uint8_t tag = *u->p++;
    uint64_t v = tag;
    if (tag >= TAG_UINT8 && tag <= TAG_UINT64) {
        if (!unpack_be(u, (size_t)1 << (tag - TAG_UINT8), &v))
            return false;
    } else if (tag >= TAG_INT8 && tag <= TAG_INT64) {
        size_t bytes = (size_t)1 << (tag - TAG_INT8);
        if (!unpack_be(u, bytes, &v) || v >> (bytes * 8 - 1))
            return false;
    } else if (tag == TAG_FLOAT32 || tag == TAG_FLOAT64) {
        if (!read_float(u, tag, &v))
            return false;
    } else if (tag > 0x7f) {
        return false;
    }
    if (v > max)
        return false;
    *ret = v;
    return true;
}

bool unpack_u32(struct unpack *u, uint32_t max, uint32_t *ret)
{
    uint64_t v;
    if (!unpack_uint(u, max, &v))
        return false;
    *ret = (uint32_t)v;
    return true;
}

bool unpack_flag(struct unpack *u, bool *ret)
{
    if (u->p < u->end && (*u->p == TAG_FALSE || *u->p == TAG_TRUE)) {
        *ret = *u->p++ == TAG_TRUE;
        return true;
    }
    uint64_t v;
    if (!unpack_uint(u, 1, &v))
        return false;
    *ret = v == 1;
    return true;
}

bool unpack_text(struct unpack *u, struct slice *ret)
{
    if (u->p == u->end)
        return false;
    uint8_t tag = *u->p++;
    uint64_t n = 0;
    if ((tag & 0xe0) == TAG_FIXSTR)
        n = tag & 0x1f;
    else if (tag >= TAG_BIN8 && tag <= TAG_BIN8 + 2) {
        if (!unpack_be(u, (size_t)1 << (tag - TAG_BIN8), &n))
            return false;
    } else if (tag >= TAG_STR8 && tag <= TAG_STR8 + 2) {
        if (!unpack_be(u, (size_t)1 << (tag - TAG_STR8), &n))
            return false;
    } else if (tag != TAG_NIL) {
        return false;
    }
    if (n > unpack_left(u))
        return false;
    *ret = slice_of(u->p, (size_t)n);
    u->p += n;
    return true;
}
