/* Reads and writes: `stream:SYNC` in state. */
#include "scheduler/run/stream_private.h"

#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <stdio.h>

enum { MEMORY_VERSION = 1, MEMORY_BYTES = 1024, MEMORY_NAME_BYTES = STATE_NAME_MAX + 16 };

static void memory_name(const char *sync, char out[MEMORY_NAME_BYTES])
{
    snprintf(out, MEMORY_NAME_BYTES, "stream:%s", sync);
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
    unpack_str(&u, ret->reread, sizeof ret->reread);
    unpack_str(&u, ret->hold, sizeof ret->hold);
    struct slice at = unpack_slice(&u);
    if (at.n > sizeof ret->at.bytes)
        return ERR_OK;
    ret->at.n = (uint8_t)at.n;
    if (at.n)
        memcpy(ret->at.bytes, at.p, at.n);
    return ERR_OK;
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
    pack_str(&k, m->reread);
    pack_str(&k, m->hold);
    pack_slice(&k, slice_of(m->at.bytes, m->at.n));
    ensure(!k.full);
    memory_name(sync, name);
    return state_misc_put(state, name, slice_of(bytes, k.n), err);
}
