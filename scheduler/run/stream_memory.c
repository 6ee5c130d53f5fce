/* Reads and writes: `stream:SYNC` in state. */
#include "scheduler/run/stream_private.h"

#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <stdio.h>
#include <xxhash.h>

enum { MEMORY_VERSION = 2, MEMORY_BYTES = 2048, MEMORY_NAME_BYTES = STATE_NAME_MAX + 16 };

static void memory_name(const char *sync, char out[MEMORY_NAME_BYTES])
{
    snprintf(out, MEMORY_NAME_BYTES, "stream:%s", sync);
}

/* Records that were not kept by an earlier version have none: zeroes. */
static void take_hour(struct unpack *u, struct guard_hour *hour)
{
    hour->minute = (int64_t)unpack_u64(u);
    for (size_t i = 0; i < ARRAY_LEN(hour->changed); i++) {
        hour->changed[i] = unpack_u32(u);
        hour->removed[i] = unpack_u32(u);
    }
}

static void put_hour(struct pack *k, const struct guard_hour *hour)
{
    pack_u64(k, (uint64_t)hour->minute);
    for (size_t i = 0; i < ARRAY_LEN(hour->changed); i++) {
        pack_u32(k, (uint32_t)hour->changed[i]);
        pack_u32(k, (uint32_t)hour->removed[i]);
    }
}

enum err_code stream_memory_load(struct state *state, const char *sync, struct stream_memory *ret,
                                 struct err *err)
{
    char name[MEMORY_NAME_BYTES];
    struct buf bytes CLEANUP(buf_done);
    *ret = (struct stream_memory){0};
    buf_init(&bytes, MEMORY_BYTES);
    memory_name(sync, name);
    enum err_code rc = state_misc_get(state, name, &bytes, err);
    if (rc)
        return rc == ERR_NOTFOUND ? ERR_OK : rc;
    struct unpack u = {(const uint8_t *)bytes.p, bytes.len};
    if (unpack_u8(&u) != MEMORY_VERSION)
        return ERR_OK; /* of a later version: the model is read as a whole */
    ret->synced = unpack_u8(&u);
    ret->read_ms = (int64_t)unpack_u64(&u);
    ret->of = unpack_u64(&u);
    unpack_str(&u, ret->reread, sizeof ret->reread);
    unpack_str(&u, ret->hold, sizeof ret->hold);
    struct slice at = unpack_slice(&u);
    if (at.n > sizeof ret->at.bytes)
        return ERR_OK;
    ret->at.n = (uint8_t)at.n;
    if (at.n)
        memcpy(ret->at.bytes, at.p, at.n);
    take_hour(&u, &ret->hour);
    ret->wanted_ms = (int64_t)unpack_u64(&u);
    return ERR_OK;
}

static uint64_t digest_text(uint64_t seed, const char *text)
{
    return text ? XXH3_64bits_withSeed(text, strlen(text), seed + 1) : seed;
}

static uint64_t digest_list(uint64_t seed, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        seed = digest_text(seed, texts[i]);
    return seed ^ count;
}

uint64_t stream_digest(const struct sync *sync, const uint8_t mapping[16])
{
    const struct model *m = sync->model;
    const char *const parts[] = {m->sql,       m->table, m->dbt_manifest,
                                 m->dbt_model, m->where, m->timezone};
    uint64_t h = XXH3_64bits(mapping, 16);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        h = digest_text(h * 31 + i, parts[i]);
    h = digest_list(h, m->primary_key, m->primary_key_count);
    return digest_list(h, m->columns, m->column_count);
}

enum err_code stream_memory_keep(struct state *state, const char *sync,
                                 const struct stream_memory *m, struct err *err)
{
    uint8_t bytes[MEMORY_BYTES];
    char name[MEMORY_NAME_BYTES];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    pack_u8(&k, MEMORY_VERSION);
    pack_u8(&k, m->synced);
    pack_u64(&k, (uint64_t)m->read_ms);
    pack_u64(&k, m->of);
    pack_str(&k, m->reread);
    pack_str(&k, m->hold);
    pack_slice(&k, slice_of(m->at.bytes, m->at.n));
    put_hour(&k, &m->hour);
    pack_u64(&k, (uint64_t)m->wanted_ms);
    ensure(!k.full);
    memory_name(sync, name);
    return state_misc_put(state, name, slice_of(bytes, k.n), err);
}
