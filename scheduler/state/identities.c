/*
 * Reads and writes: the tables `ident` (identity to owning slot) and `slotids` (slot to its
 * identities). Invariant: both say the same; an identity has one owner at most; ENTRY_IDENTITY and
 * ENTRY_STALE of an entry follow its list. A crash here: as everywhere in state.
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
    enum err_code code =
        store_get(ss->state, TABLE_IDENT, ident_key(ss, bytes, key, &hashed), &v, err);
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

/* Room for a slot's list outside of struct state_sync. */
struct list_space {
    struct identity items[IDENTITY_MAX];
    uint8_t bytes[IDENTITY_LIST_BYTES];
};

/* Form: u16 length of the key, the key; per identity marks, u16 length, bytes. Items borrow from
 * bytes. */
static enum err_code parse_list(const uint8_t *bytes, size_t n, struct identity_list *ret,
                                struct err *err)
{
    size_t at = n >= 2 ? 2 + ((size_t)bytes[0] | (size_t)bytes[1] << 8) : n;
    if (n && (n < 2 || at > n))
        return err_set(err, ERR_INVALID, "state: damaged: a list of identities");
    ret->key = n ? slice_of(bytes + 2, at - 2) : (struct slice){0};
    while (at + 3 <= n && ret->count < IDENTITY_MAX) {
        size_t len = (size_t)bytes[at + 1] | (size_t)bytes[at + 2] << 8;
        if (len > n - at - 3)
            return err_set(err, ERR_INVALID, "state: damaged: a cut identity");
        ret->items[ret->count++] = (struct identity){bytes[at], slice_of(bytes + at + 3, len)};
        at += 3 + len;
    }
    return ERR_OK;
}

static enum err_code read_list(struct state_sync *ss, uint32_t slot, uint8_t *bytes,
                               struct identity_list *ret, struct err *err)
{
    uint8_t key[8];
    struct slice v;
    ret->count = 0;
    ret->key = (struct slice){0};
    enum err_code code =
        store_get(ss->state, TABLE_SLOTIDS, slice_of(key, sync_slot_key(ss, slot, key)), &v, err);
    if (code)
        return code == ERR_NOTFOUND ? ERR_OK : code;
    if (v.n > IDENTITY_LIST_BYTES)
        return err_set(err, ERR_INVALID, "state: damaged: identities of %zu bytes", v.n);
    memcpy(bytes, v.p, v.n);
    return parse_list(bytes, v.n, ret, err);
}

enum err_code state_identity_list(struct state_sync *ss, uint32_t slot, struct identity_list *ret,
                                  struct err *err)
{
    ret->items = ss->identities;
    return read_list(ss, slot, ss->identity_bytes, ret, err);
}

static enum err_code set_flags(struct state_sync *ss, uint32_t slot,
                               const struct identity_list *list, struct err *err)
{
    struct entry e;
    enum err_code code = state_entry_get(ss, slot, &e, err);
    if (code)
        return code;
    uint8_t flags = (uint8_t)(e.flags & ~(ENTRY_IDENTITY | ENTRY_STALE));
    if (list->count)
        flags |= ENTRY_IDENTITY;
    for (size_t i = 0; i < list->count; i++) {
        uint8_t marks = list->items[i].marks;
        if (!(marks & IDENTITY_LIVE) && (marks & (IDENTITY_ACCEPTED | IDENTITY_MAYBE)))
            flags |= ENTRY_STALE;
    }
    if (flags == e.flags)
        return ERR_OK;
    e.flags = flags;
    return state_entry_put(ss, slot, &e, err);
}

static void pack_short(struct pack *k, size_t n)
{
    pack_u8(k, (uint8_t)n);
    pack_u8(k, (uint8_t)(n >> 8));
}

static enum err_code write_list(struct state_sync *ss, uint32_t slot,
                                const struct identity_list *list, struct err *err)
{
    uint8_t key[8], bytes[IDENTITY_LIST_BYTES];
    struct slice at = slice_of(key, sync_slot_key(ss, slot, key));
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    pack_short(&k, list->key.n);
    pack_bytes(&k, list->key.p, list->key.n);
    for (size_t i = 0; i < list->count; i++) {
        pack_u8(&k, list->items[i].marks);
        pack_short(&k, list->items[i].bytes.n);
        pack_bytes(&k, list->items[i].bytes.p, list->items[i].bytes.n);
    }
    ensure(!k.full);
    enum err_code code = list->count
                             ? store_put(ss->state, TABLE_SLOTIDS, at, slice_of(bytes, k.n), err)
                             : store_delete(ss->state, TABLE_SLOTIDS, at, err);
    return code ? code : set_flags(ss, slot, list, err);
}

static bool contains(const struct identity_list *list, struct slice bytes)
{
    for (size_t i = 0; i < list->count; i++)
        if (slice_eq(list->items[i].bytes, bytes))
            return true;
    return false;
}

/* Another slot has it: it goes from that slot's list. */
static enum err_code take_from(struct state_sync *ss, uint32_t owner, struct slice bytes,
                               struct err *err)
{
    struct list_space space;
    struct identity_list list = {.items = space.items};
    enum err_code code = read_list(ss, owner, space.bytes, &list, err);
    if (code)
        return code;
    size_t kept = 0;
    for (size_t i = 0; i < list.count; i++)
        if (!slice_eq(list.items[i].bytes, bytes))
            list.items[kept++] = list.items[i];
    list.count = kept;
    return write_list(ss, owner, &list, err);
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

static enum err_code check_list(const struct identity_list *list, struct err *err)
{
    if (list->count > IDENTITY_MAX || list->key.n > 8192)
        return err_set(err, ERR_FULL, "state: a record has %zu identities", list->count);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].bytes.n > IDENTITY_BYTES_MAX)
            return err_set(err, ERR_FULL, "state: an identity of %zu bytes is too long",
                           list->items[i].bytes.n);
    return ERR_OK;
}

enum err_code state_identity_set(struct state_sync *ss, uint32_t slot,
                                 const struct identity_list *list, struct err *err)
{
    struct list_space space;
    struct identity_list before = {.items = space.items};
    enum err_code code = check_list(list, err);
    if (!code)
        code = read_list(ss, slot, space.bytes, &before, err);
    for (size_t i = 0; i < before.count && !code; i++)
        if (!contains(list, before.items[i].bytes))
            code = drop_owner(ss, before.items[i].bytes, slot, err);
    for (size_t i = 0; i < list->count && !code; i++)
        code = own(ss, slot, &list->items[i], err);
    return code ? code : write_list(ss, slot, list, err);
}

enum err_code sync_identities_drop(struct state_sync *ss, uint32_t slot, struct err *err)
{
    return state_identity_set(ss, slot, &(struct identity_list){0}, err);
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
