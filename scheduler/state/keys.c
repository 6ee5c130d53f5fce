/*
 * Reads and writes: the tables `keys` (key bytes to slot) and `freed` (slots to be given out
 * again). Invariant: a slot belongs to one key at most; a slot freed in a run is taken only by a
 * later run, so that the run's bitmaps and manifests never name two records by one slot. A crash
 * here: uncommitted slots are given out anew; recovery finds entries by key, not by slot.
 */
#include "scheduler/state/sync.h"

#include "scheduler/state/pack.h"
#include "scheduler/state/rejected.h"

enum {
    SEQUENCE_TRUST = 8,  /* wrong guesses after a right one until guessing is given up */
    SEQUENCE_PROBE = 16, /* then every so many lookups one guess */
    APPEND_NODE_BYTES = 16,
    APPEND_COUNTED_BYTES = 1024, /* of them one write is counted */
};

/* The value of a key: its slot, and where the key was hashed its bytes. */
static enum err_code read_slot(MDB_val v, bool hashed, struct slice key, uint32_t *ret_slot,
                               struct err *err)
{
    if (v.mv_size < 4)
        return err_set(err, ERR_INVALID, "state: damaged: a key without a slot");
    if (hashed && !slice_eq(slice_of((const char *)v.mv_data + 4, v.mv_size - 4), key))
        return err_set(err, ERR_INVALID, "state: two keys have the same 128-bit hash");
    *ret_slot = key_get_u32(v.mv_data);
    return ERR_OK;
}

/* Ascending keys are neighbours: is the next one the one? */
static bool guess_next(struct state_sync *ss, size_t key_bytes, MDB_val *v)
{
    ss->keys_end = false;
    if (!ss->keys_placed)
        return false;
    if (ss->keys_sequence <= 0 && ++ss->keys_tries % SEQUENCE_PROBE)
        return false;
    MDB_val k;
    int rc = mdb_cursor_get(ss->keys, &k, v, MDB_NEXT);
    if (rc == 0 && k.mv_size == key_bytes && memcmp(k.mv_data, ss->key, key_bytes) == 0) {
        ss->keys_sequence = SEQUENCE_TRUST;
        return true;
    }
    ss->keys_end = rc == MDB_NOTFOUND;
    if (ss->keys_sequence > 0)
        ss->keys_sequence--;
    return false;
}

enum err_code state_key_find(struct state_sync *ss, struct slice key, uint32_t *ret_slot,
                             struct err *err)
{
    enum err_code code = sync_refresh(ss, err);
    if (code)
        return code;
    bool hashed;
    size_t n = store_named_key(ss->id, key, ss->key, &hashed);
    MDB_val v;
    if (guess_next(ss, n, &v))
        return read_slot(v, hashed, key, ret_slot, err);
    MDB_val k = store_val(ss->key, n);
    int rc = mdb_cursor_get(ss->keys, &k, &v, MDB_SET);
    ss->keys_placed = rc == 0;
    if (rc == MDB_NOTFOUND) {
        *ret_slot = SLOT_NONE;
        return ERR_OK;
    }
    return rc ? store_error(ss->state, rc, err, "keys") : read_slot(v, hashed, key, ret_slot, err);
}

/* ---- slots ---- */

/* The first slot that an earlier run freed, SLOT_NONE when there is none; at: its key in `freed`.
 */
static enum err_code freed_slot(struct state_sync *ss, uint8_t *at, uint32_t *ret_slot,
                                struct err *err)
{
    *ret_slot = SLOT_NONE;
    if (ss->no_freed)
        return ERR_OK;
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    uint8_t prefix[4];
    size_t n = key_put_u32(prefix, ss->id);
    MDB_val k, v;
    enum err_code code = store_cursor(ss->state, TABLE_FREED, &c, err);
    if (!code)
        code = store_seek(ss->state, c, slice_of(prefix, n), n, &k, &v, err);
    if (code && code != ERR_NOTFOUND)
        return code;
    if (code || k.mv_size != 12 || key_get_u32((uint8_t *)k.mv_data + 4) >= ss->record.generation) {
        ss->no_freed = true;
        return ERR_OK;
    }
    memcpy(at, k.mv_data, 12);
    *ret_slot = key_get_u32(at + 8);
    return ERR_OK;
}

static enum err_code put_freed(struct state_sync *ss, uint32_t slot, struct err *err)
{
    uint8_t key[12];
    size_t n = key_put_u32(key, ss->id);
    n += key_put_u32(key + n, ss->record.generation);
    n += key_put_u32(key + n, slot);
    return store_put(ss->state, TABLE_FREED, slice_of(key, n), SLICE_LIT("-"), err);
}

/* Keys at the end share their pages: they count as changed pages by their bytes, not each by
 * itself. */
static void appended(struct state_sync *ss, size_t key_bytes)
{
    ss->keys_sequence = SEQUENCE_TRUST;
    ss->appended_bytes += key_bytes + APPEND_NODE_BYTES;
    if (ss->appended_bytes < APPEND_COUNTED_BYTES)
        ss->state->writes--;
    else
        ss->appended_bytes = 0;
}

/* One search whether the key is there or not. *ret_new says whether slot was used. */
static enum err_code put_key(struct state_sync *ss, struct slice key, uint32_t slot,
                             uint32_t *ret_slot, bool *ret_new, struct err *err)
{
    uint8_t value[4 + 8192];
    bool hashed;
    size_t n = store_named_key(ss->id, key, ss->key, &hashed);
    size_t value_bytes = key_put_u32(value, slot);
    if (hashed && key.n > sizeof value - 4)
        return err_set(err, ERR_INVALID, "state: a key of %zu bytes is too long", key.n);
    if (hashed) {
        memcpy(value + 4, key.p, key.n);
        value_bytes += key.n;
    }
    MDB_val k = store_val(ss->key, n), v = store_val(value, value_bytes);
    int rc = MDB_KEYEXIST;
    if (ss->keys_end) { /* keys that come in order fill their pages instead of half of them */
        rc = mdb_cursor_put(ss->keys, &k, &v, MDB_APPEND);
        if (!rc)
            appended(ss, n);
    }
    if (rc == MDB_KEYEXIST)
        rc = mdb_cursor_put(ss->keys, &k, &v, MDB_NOOVERWRITE);
    ss->keys_placed = rc == 0 || rc == MDB_KEYEXIST;
    *ret_new = rc == 0;
    if (rc == MDB_KEYEXIST)
        return read_slot(v, hashed, key, ret_slot, err);
    *ret_slot = slot;
    return store_error(ss->state, rc, err, "keys");
}

enum err_code state_key_take(struct state_sync *ss, struct slice key, uint32_t *ret_slot,
                             bool *ret_new, struct err *err)
{
    enum err_code code = sync_refresh(ss, err);
    if (UNLIKELY(code))
        return code;
    bool hashed;
    size_t n = store_named_key(ss->id, key, ss->key, &hashed);
    MDB_val v;
    *ret_new = false;
    if (LIKELY(guess_next(ss, n, &v)))
        return read_slot(v, hashed, key, ret_slot, err);
    uint8_t freed[12];
    uint32_t slot;
    code = freed_slot(ss, freed, &slot, err);
    if (!code)
        code = store_room(ss->state, key.n, err);
    if (code)
        return code;
    bool fresh = slot == SLOT_NONE;
    if (fresh && ss->record.slots == SLOT_NONE)
        return err_set(err, ERR_FULL, "state: %s has more than 4 294 967 295 keys", ss->name);
    code = put_key(ss, key, fresh ? ss->record.slots : slot, ret_slot, ret_new, err);
    if (code || !*ret_new)
        return code;
    ss->record.counts.stored++;
    ss->record_changed = true;
    if (fresh)
        ss->record.slots++;
    else
        code = store_delete(ss->state, TABLE_FREED, slice_of(freed, sizeof freed), err);
    return code;
}

static enum err_code drop_parts(struct state_sync *ss, struct slice key, uint32_t slot,
                                uint8_t flags, struct err *err)
{
    enum err_code code = ERR_OK;
    if (flags & ENTRY_IDENTITY)
        code = sync_identities_drop(ss, slot, err);
    if (!code && (flags & ENTRY_REFUSED))
        code = state_refusal_delete(ss, slot, REFUSAL_ROW, err);
    if (!code && (flags & ENTRY_REMOVAL_REFUSED))
        code = state_refusal_delete(ss, slot, REFUSAL_REMOVAL, err);
    if (!code && (flags & ENTRY_IDENTITY))
        code = state_refusal_delete(ss, slot, REFUSAL_IDENTITY, err);
    if (!code && (flags & ENTRY_LISTED))
        code = state_rejected_clear(ss, key, err);
    return code;
}

enum err_code state_entry_delete(struct state_sync *ss, struct slice key, uint32_t slot,
                                 struct err *err)
{
    struct entry e;
    enum err_code code = sync_refresh(ss, err);
    if (!code)
        code = state_entry_get(ss, slot, &e, err);
    if (!code)
        code = drop_parts(ss, key, slot, e.flags, err);
    if (!code)
        code = state_entry_put(ss, slot, &(struct entry){0}, err);
    if (code)
        return code;
    bool hashed;
    size_t n = store_named_key(ss->id, key, ss->key, &hashed);
    code = store_room(ss->state, 0, err);
    if (code)
        return code;
    MDB_val k = store_val(ss->key, n);
    int rc = mdb_del(ss->state->txn, ss->state->tables[TABLE_KEYS], &k, NULL);
    ss->keys_placed = false;
    if (rc == MDB_NOTFOUND)
        return ERR_OK;
    code = store_error(ss->state, rc, err, "keys");
    if (code)
        return code;
    ss->record.counts.stored--;
    ss->record_changed = true;
    return put_freed(ss, slot, err);
}

/* ---- scan ---- */

static bool bit(const uint8_t *bits, uint32_t i)
{
    return bits && (bits[i / 8] >> (i % 8) & 1);
}

/* Key bytes of a stored key; a hashed one has them in its value. */
static struct slice stored_key(MDB_val k, MDB_val v)
{
    struct slice key = slice_of((const char *)k.mv_data + 4, k.mv_size - 4);
    if (key.n == STORE_HASHED_KEY_BYTES && key.p[0] == 'h')
        return slice_of((const char *)v.mv_data + 4, v.mv_size - 4);
    return key;
}

static enum err_code scan_start(struct state_sync *ss, MDB_cursor *c, struct state_scan *scan,
                                MDB_val *k, MDB_val *v, struct err *err)
{
    if (!scan->after_bytes)
        scan->after_bytes = key_put_u32(scan->after, ss->id);
    struct slice from = slice_of(scan->after, scan->after_bytes);
    enum err_code code = store_seek(ss->state, c, from, 4, k, v, err);
    if (code || scan->after_bytes == 4 || !slice_eq(store_slice(*k), from))
        return code;
    return store_step(ss->state, c, MDB_NEXT, slice_of(scan->after, 4), k, v, err);
}

enum err_code state_scan_unseen(struct state_sync *ss, struct state_scan *scan, const uint8_t *seen,
                                size_t max, state_scan_cb cb, void *ctx, struct err *err)
{
    if (scan->ended)
        return ERR_OK;
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    MDB_val k, v;
    enum err_code code = store_cursor(ss->state, TABLE_KEYS, &c, err);
    if (!code)
        code = scan_start(ss, c, scan, &k, &v, err);
    uint8_t prefix[4];
    key_put_u32(prefix, ss->id);
    bool more = true;
    while (!code && more) {
        if (v.mv_size < 4 || k.mv_size > sizeof scan->after)
            return err_set(err, ERR_INVALID, "state: damaged: a key without a slot");
        memcpy(scan->after, k.mv_data, k.mv_size);
        scan->after_bytes = k.mv_size;
        uint32_t slot = key_get_u32(v.mv_data);
        more = --max > 0;
        if (!bit(seen, slot) && !cb(ctx, slot, stored_key(k, v)))
            more = false;
        if (more)
            code = store_step(ss->state, c, MDB_NEXT, slice_of(prefix, 4), &k, &v, err);
    }
    if (code != ERR_NOTFOUND)
        return code;
    scan->ended = true;
    return ERR_OK;
}
