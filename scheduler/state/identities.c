/*
 * Reads and writes: the tables `ident` (identity to owning slot) and `slotids` (slot to its identities).
 * Invariant: both say the same; an identity has one owner at most; ENTRY_IDENTITY and ENTRY_STALE of an
 * entry follow its list. A crash here: as everywhere in state.
 */
#include "scheduler/state/sync.h"

#include "scheduler/state/pack.h"

enum { OWNER_BYTES = 9 }; /* slot, marks, held */

static struct slice ident_key(const struct state_sync *ss, struct slice bytes, uint8_t *out,
                              bool *ret_hashed)
{
    return slice_of(out, store_named_key(ss->id, bytes, out, ret_hashed));
}

enum err_code state_identity_find(struct state_sync *ss, struct slice bytes,
                                  struct identity_owner *ret, struct err *err)
{
    uint8_t key[STORE_KEY_MAX];
    bool hashed;
    struct slice v;
    *ret = (struct identity_owner){.slot = SLOT_NONE};
    enum err_code code = store_get(ss->state, TABLE_IDENT, ident_key(ss, bytes, key, &hashed), &v, err);
    if (code == ERR_NOTFOUND)
        return ERR_OK;
    if (code)
        return code;
    if (v.n < OWNER_BYTES)
        return err_set(err, ERR_INVALID, "state: damaged: an identity without an owner");
    if (hashed && !slice_eq(slice_of(v.p + OWNER_BYTES, v.n - OWNER_BYTES), bytes))
        return err_set(err, ERR_INVALID, "state: two identities have the same 128-bit hash");
    struct unpack u = {(const uint8_t *)v.p, v.n};
    ret->slot = unpack_u32(&u);
    ret->marks = unpack_u8(&u);
    ret->held = unpack_u32(&u);
    return ERR_OK;
}

static enum err_code put_owner(struct state_sync *ss, struct slice bytes,
                               const struct identity_owner *o, struct err *err)
{
    uint8_t key[STORE_KEY_MAX], value[OWNER_BYTES + IDENTITY_BYTES_MAX];
    struct pack k = {.p = value, .cap = sizeof value};
    bool hashed;
    struct slice at = ident_key(ss, bytes, key, &hashed);
    pack_u32(&k, o->slot);
    pack_u8(&k, o->marks);
    pack_u32(&k, o->held);
    if (hashed)
        pack_bytes(&k, bytes.p, bytes.n);
    if (k.full)
        return err_set(err, ERR_FULL, "state: an identity of %zu bytes is too long", bytes.n);
    return store_put(ss->state, TABLE_IDENT, at, slice_of(value, k.n), err);
}

static enum err_code drop_owner(struct state_sync *ss, struct slice bytes, uint32_t slot,
                                struct err *err)
{
    struct identity_owner o;
    enum err_code code = state_identity_find(ss, bytes, &o, err);
    if (code || o.slot != slot)
        return code;
    uint8_t key[STORE_KEY_MAX];
    bool hashed;
    return store_delete(ss->state, TABLE_IDENT, ident_key(ss, bytes, key, &hashed), err);
}

/* ---- lists ---- */

/* Reads a slot's list; the items borrow from bytes, IDENTITY_LIST_BYTES long. */
static enum err_code read_list(struct state_sync *ss, uint32_t slot, uint8_t *bytes,
                               struct identity *items, size_t *ret_count, struct err *err)
{
    uint8_t key[8];
    struct slice v;
    *ret_count = 0;
    enum err_code code =
        store_get(ss->state, TABLE_SLOTIDS, slice_of(key, sync_slot_key(ss, slot, key)), &v, err);
    if (code == ERR_NOTFOUND)
        return ERR_OK;
    if (code)
        return code;
    if (v.n > IDENTITY_LIST_BYTES)
        return err_set(err, ERR_INVALID, "state: damaged: identities of %zu bytes", v.n);
    memcpy(bytes, v.p, v.n);
    size_t at = 0;
    while (at + 3 <= v.n && *ret_count < IDENTITY_MAX) {
        size_t n = (size_t)bytes[at + 1] | (size_t)bytes[at + 2] << 8;
        if (n > v.n - at - 3)
            return err_set(err, ERR_INVALID, "state: damaged: a cut identity");
        items[(*ret_count)++] = (struct identity){bytes[at], slice_of(bytes + at + 3, n)};
        at += 3 + n;
    }
    return ERR_OK;
}

enum err_code state_identity_list(struct state_sync *ss, uint32_t slot, struct identity_list *ret,
                                  struct err *err)
{
    ret->items = ss->identities;
    return read_list(ss, slot, ss->identity_bytes, ss->identities, &ret->count, err);
}

static enum err_code write_list(struct state_sync *ss, uint32_t slot, const struct identity *items,
                                size_t count, struct err *err)
{
    uint8_t key[8], bytes[IDENTITY_LIST_BYTES];
    struct slice at = slice_of(key, sync_slot_key(ss, slot, key));
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    bool stale = false;
    for (size_t i = 0; i < count; i++) {
        size_t n = items[i].bytes.n;
        pack_bytes(&k, (const uint8_t[]){items[i].marks, (uint8_t)n, (uint8_t)(n >> 8)}, 3);
        pack_bytes(&k, items[i].bytes.p, n);
        if (!(items[i].marks & IDENTITY_LIVE) && (items[i].marks & (IDENTITY_ACCEPTED | IDENTITY_MAYBE)))
            stale = true;
    }
    if (k.full || count > IDENTITY_MAX)
        return err_set(err, ERR_FULL, "state: a record has %zu identities", count);
    enum err_code code = count ? store_put(ss->state, TABLE_SLOTIDS, at, slice_of(bytes, k.n), err)
                               : store_delete(ss->state, TABLE_SLOTIDS, at, err);
    struct entry e;
    if (!code)
        code = state_entry_get(ss, slot, &e, err);
    if (code)
        return code;
    uint8_t flags = (uint8_t)(e.flags & ~(ENTRY_IDENTITY | ENTRY_STALE));
    flags |= (uint8_t)((count ? ENTRY_IDENTITY : 0) | (stale ? ENTRY_STALE : 0));
    if (flags == e.flags)
        return ERR_OK;
    e.flags = flags;
    return state_entry_put(ss, slot, &e, err);
}

static bool contains(const struct identity *items, size_t count, struct slice bytes)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq(items[i].bytes, bytes))
            return true;
    return false;
}

/* Another slot has it: it goes from that slot's list. */
static enum err_code take_from(struct state_sync *ss, uint32_t owner, struct slice bytes,
                               struct err *err)
{
    uint8_t space[IDENTITY_LIST_BYTES];
    struct identity items[IDENTITY_MAX];
    size_t count, kept = 0;
    enum err_code code = read_list(ss, owner, space, items, &count, err);
    if (code)
        return code;
    for (size_t i = 0; i < count; i++)
        if (!slice_eq(items[i].bytes, bytes))
            items[kept++] = items[i];
    return write_list(ss, owner, items, kept, err);
}

static enum err_code own(struct state_sync *ss, uint32_t slot, const struct identity *item,
                         struct err *err)
{
    struct identity_owner o;
    enum err_code code = state_identity_find(ss, item->bytes, &o, err);
    if (!code && o.slot != SLOT_NONE && o.slot != slot)
        code = take_from(ss, o.slot, item->bytes, err);
    if (code || (o.slot == slot && o.marks == item->marks))
        return code;
    o.slot = slot;
    o.marks = item->marks;
    return put_owner(ss, item->bytes, &o, err);
}

enum err_code state_identity_set(struct state_sync *ss, uint32_t slot, const struct identity *items,
                                 size_t count, struct err *err)
{
    uint8_t space[IDENTITY_LIST_BYTES];
    struct identity before[IDENTITY_MAX];
    size_t before_count;
    if (count > IDENTITY_MAX)
        return err_set(err, ERR_FULL, "state: a record has %zu identities", count);
    enum err_code code = read_list(ss, slot, space, before, &before_count, err);
    for (size_t i = 0; i < before_count && !code; i++)
        if (!contains(items, count, before[i].bytes))
            code = drop_owner(ss, before[i].bytes, slot, err);
    for (size_t i = 0; i < count && !code; i++)
        code = own(ss, slot, &items[i], err);
    return code ? code : write_list(ss, slot, items, count, err);
}

enum err_code sync_identities_drop(struct state_sync *ss, uint32_t slot, struct err *err)
{
    return state_identity_set(ss, slot, NULL, 0, err);
}

enum err_code state_identity_hold(struct state_sync *ss, struct slice bytes, struct err *err)
{
    struct identity_owner o;
    enum err_code code = state_identity_find(ss, bytes, &o, err);
    if (code || o.slot == SLOT_NONE || o.held == ss->record.generation)
        return code;
    o.held = ss->record.generation;
    return put_owner(ss, bytes, &o, err);
}
