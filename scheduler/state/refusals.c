/*
 * Reads and writes: the table `refused`, by slot and kind: hash, due time, the destination's words.
 * Invariant: an entry's refusal flags say whether there is one. A crash here: as everywhere in
 * state.
 */
#include "scheduler/state/sync.h"

#include "protocol/base/utf8.h"
#include "scheduler/state/pack.h"

static struct slice refusal_key(const struct state_sync *ss, uint32_t slot, enum refusal_kind kind,
                                uint8_t *out)
{
    size_t n = sync_slot_key(ss, slot, out);
    out[n] = (uint8_t)kind;
    return slice_of(out, n + 1);
}

enum err_code state_refusal_get(struct state_sync *ss, uint32_t slot, enum refusal_kind kind,
                                struct refusal *ret, struct err *err)
{
    uint8_t key[9];
    struct slice v;
    enum err_code code =
        store_get(ss->state, TABLE_REFUSED, refusal_key(ss, slot, kind, key), &v, err);
    if (code)
        return code;
    struct unpack u = {(const uint8_t *)v.p, v.n};
    unpack_bytes(&u, ret->hash, sizeof ret->hash);
    ret->due_ms = (int64_t)unpack_u64(&u);
    ret->reason = unpack_slice(&u);
    return ERR_OK;
}

enum err_code state_refusal_put(struct state_sync *ss, uint32_t slot, enum refusal_kind kind,
                                const struct refusal *r, struct err *err)
{
    uint8_t key[9], bytes[REFUSAL_REASON_MAX + 64];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    pack_bytes(&k, r->hash, sizeof r->hash);
    pack_u64(&k, (uint64_t)r->due_ms);
    pack_slice(&k, utf8_prefix(r->reason, REFUSAL_REASON_MAX));
    ensure(!k.full);
    return store_put(ss->state, TABLE_REFUSED, refusal_key(ss, slot, kind, key),
                     slice_of(bytes, k.n), err);
}

enum err_code state_refusal_delete(struct state_sync *ss, uint32_t slot, enum refusal_kind kind,
                                   struct err *err)
{
    uint8_t key[9];
    return store_delete(ss->state, TABLE_REFUSED, refusal_key(ss, slot, kind, key), err);
}

enum err_code sync_refusal_next(struct state_sync *ss, uint64_t *position, uint32_t *ret_slot,
                                enum refusal_kind *ret_kind, struct refusal *ret, struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    uint8_t from[9];
    struct slice at =
        refusal_key(ss, (uint32_t)(*position / 4), (enum refusal_kind)(*position % 4), from);
    MDB_val k, v;
    enum err_code code = store_cursor(ss->state, TABLE_REFUSED, &c, err);
    if (!code)
        code = store_seek(ss->state, c, at, 4, &k, &v, err);
    if (code)
        return code;
    if (k.mv_size != 9 || ((uint8_t *)k.mv_data)[8] > REFUSAL_IDENTITY)
        return err_set(err, ERR_INVALID, "state: damaged: a refusal");
    *ret_slot = key_get_u32((uint8_t *)k.mv_data + 4);
    *ret_kind = (enum refusal_kind)((uint8_t *)k.mv_data)[8];
    *position = (uint64_t)*ret_slot * 4 + (uint64_t)*ret_kind + 1;
    return state_refusal_get(ss, *ret_slot, *ret_kind, ret, err);
}
