/*
 * Reads and writes: `rejected` (by sync and sequence number) and `rejkeys` (a key's hash to that
 * number). Invariant: a key has at most one record, and one of its duplicates; the record's count
 * is theirs. A crash here: as everywhere in state.
 */
#include "scheduler/state/rejected.h"

#include "protocol/base/utf8.h"
#include "scheduler/state/pack.h"
#include "scheduler/state/sync.h"

#include <xxhash.h>

enum { REJECTED_VERSION = 1, REJECTED_BYTES = 4096 + 8192, INDEX_BYTES = 4 + 1 + 16 };

const char *rejected_kind_name(enum rejected_kind kind)
{
    switch (kind) {
    case REJECTED_FAILED:
        return "failed";
    case REJECTED_INVALID:
    case REJECTED_DUPLICATE:
        return "invalid";
    case REJECTED_REFUSED:
    case REJECTED_NOT_FOUND:
    case REJECTED_REMOVAL:
        break;
    }
    return "rejected";
}

/* ---- form ---- */

static bool unpack_rejected(struct slice v, struct rejected *r)
{
    struct unpack u = {(const uint8_t *)v.p, v.n};
    if (unpack_u8(&u) != REJECTED_VERSION)
        return false;
    r->kind = (enum rejected_kind)unpack_u8(&u);
    r->time_ms = (int64_t)unpack_u64(&u);
    r->kills = unpack_u32(&u);
    r->key = unpack_slice(&u);
    r->text = unpack_slice(&u);
    r->message = unpack_slice(&u);
    r->run = unpack_slice(&u);
    return true;
}

static enum err_code damaged(struct err *err)
{
    return err_set(err, ERR_INVALID, "state: damaged: a rejected record");
}

static struct slice row_key(uint32_t id, uint64_t sequence, uint8_t *out)
{
    size_t n = key_put_u32(out, id);
    return slice_of(out, n + key_put_u64(out + n, sequence));
}

/* By key; a row whose key cannot be read by its text; duplicates apart. */
static struct slice index_key(uint32_t id, enum rejected_kind kind, struct slice key,
                              struct slice text, uint8_t *out)
{
    size_t n = key_put_u32(out, id);
    out[n++] = kind == REJECTED_DUPLICATE ? 'd' : key.n ? 'k' : 't';
    struct slice of = key.n ? key : text;
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(of.p, of.n));
    memcpy(out + n, hash.digest, sizeof hash.digest);
    return slice_of(out, n + sizeof hash.digest);
}

/* ---- one record ---- */

static enum err_code drop(struct state_sync *ss, struct slice index, uint64_t sequence,
                          struct err *err)
{
    uint8_t row[12];
    enum err_code code =
        store_delete(ss->state, TABLE_REJECTED, row_key(ss->id, sequence, row), err);
    if (!code)
        code = store_delete(ss->state, TABLE_REJKEYS, index, err);
    if (!code) {
        ss->record.rejected_count--;
        ss->record_changed = true;
    }
    return code;
}

static enum err_code drop_index(struct state_sync *ss, struct slice index, struct err *err)
{
    struct slice v;
    enum err_code code = store_get(ss->state, TABLE_REJKEYS, index, &v, err);
    if (code)
        return code == ERR_NOTFOUND ? ERR_OK : code;
    return drop(ss, index, key_get_u64(v.p), err);
}

static enum err_code drop_record(struct state_sync *ss, MDB_val k, MDB_val v, struct err *err)
{
    uint8_t index[INDEX_BYTES];
    struct rejected r;
    if (k.mv_size != 12 || !unpack_rejected(store_slice(v), &r))
        return damaged(err);
    uint64_t sequence = key_get_u64((const uint8_t *)k.mv_data + 4);
    return drop(ss, index_key(ss->id, r.kind, r.key, r.text, index), sequence, err);
}

static enum err_code drop_oldest(struct state_sync *ss, struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    uint8_t prefix[4];
    size_t n = key_put_u32(prefix, ss->id);
    MDB_val k, v;
    enum err_code code = store_cursor(ss->state, TABLE_REJECTED, &c, err);
    if (!code)
        code = store_seek(ss->state, c, slice_of(prefix, n), n, &k, &v, err);
    if (code)
        return code == ERR_NOTFOUND ? ERR_OK : code;
    return drop_record(ss, k, v, err);
}

enum err_code state_rejected_put(struct state_sync *ss, const struct rejected *r, struct err *err)
{
    uint8_t index_bytes[INDEX_BYTES], row[12], sequence[8], bytes[REJECTED_BYTES];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    struct slice text = utf8_prefix(r->text, REJECTED_TEXT_MAX);
    pack_u8(&k, REJECTED_VERSION);
    pack_u8(&k, (uint8_t)r->kind);
    pack_u64(&k, (uint64_t)r->time_ms);
    pack_u32(&k, r->kills);
    pack_slice(&k, r->key);
    pack_slice(&k, text);
    pack_slice(&k, utf8_prefix(r->message, REJECTED_TEXT_MAX));
    pack_slice(&k, utf8_prefix(r->run, STATE_RUN_ID_MAX));
    if (k.full)
        return err_set(err, ERR_INVALID, "state: a key of %zu bytes is too long", r->key.n);
    struct slice index = index_key(ss->id, r->kind, r->key, text, index_bytes);
    uint64_t cap = ss->rejected_cap ? ss->rejected_cap : REJECTED_CAP;
    enum err_code code = drop_index(ss, index, err);
    while (!code && ss->record.rejected_count >= cap)
        code = drop_oldest(ss, err);
    uint64_t number = ss->record.rejected_next;
    if (!code)
        code = store_put(ss->state, TABLE_REJECTED, row_key(ss->id, number, row),
                         slice_of(bytes, k.n), err);
    if (!code)
        code = store_put(ss->state, TABLE_REJKEYS, index,
                         slice_of(sequence, key_put_u64(sequence, number)), err);
    if (code)
        return code;
    ss->record.rejected_next++;
    ss->record.rejected_count++;
    ss->record_changed = true;
    return ERR_OK;
}

enum err_code state_rejected_clear(struct state_sync *ss, struct slice key, struct err *err)
{
    uint8_t index[INDEX_BYTES];
    return drop_index(ss, index_key(ss->id, REJECTED_REFUSED, key, key, index), err);
}

enum err_code state_rejected_expire(struct state_sync *ss, struct slice run, uint64_t *position,
                                    size_t max, bool *ret_more, struct err *err)
{
    *ret_more = false;
    while (max--) {
        CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
        uint8_t at[12];
        MDB_val k, v;
        struct rejected r;
        enum err_code code = store_cursor(ss->state, TABLE_REJECTED, &c, err);
        if (!code)
            code = store_seek(ss->state, c, row_key(ss->id, *position, at), 4, &k, &v, err);
        if (code)
            return code == ERR_NOTFOUND ? ERR_OK : code;
        if (k.mv_size != 12 || !unpack_rejected(store_slice(v), &r))
            return damaged(err);
        *position = key_get_u64((const uint8_t *)k.mv_data + 4) + 1;
        bool of_reads = r.kind == REJECTED_INVALID || r.kind == REJECTED_DUPLICATE;
        if (of_reads && !slice_eq(r.run, run))
            code = drop_record(ss, k, v, err);
        if (code)
            return code;
    }
    *ret_more = true;
    return ERR_OK;
}

enum err_code state_rejected_drop(struct state_sync *ss, state_rejected_cb which, void *ctx,
                                  uint64_t *position, size_t max, uint64_t *ret_count,
                                  bool *ret_more, struct err *err)
{
    *ret_more = false;
    while (max--) {
        CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
        uint8_t at[12];
        MDB_val k, v;
        struct rejected r;
        enum err_code code = store_cursor(ss->state, TABLE_REJECTED, &c, err);
        if (!code)
            code = store_seek(ss->state, c, row_key(ss->id, *position, at), 4, &k, &v, err);
        if (code)
            return code == ERR_NOTFOUND ? ERR_OK : code;
        if (k.mv_size != 12 || !unpack_rejected(store_slice(v), &r))
            return err_set(err, ERR_INVALID, "state: damaged: a rejected record");
        *position = key_get_u64((const uint8_t *)k.mv_data + 4) + 1;
        if (!which(ctx, &r))
            continue;
        code = drop_record(ss, k, v, err);
        if (code)
            return code;
        ++*ret_count;
    }
    *ret_more = true;
    return ERR_OK;
}

uint64_t state_rejected_count(const struct state_sync *ss)
{
    return ss->record.rejected_count;
}

void state_rejected_set_cap(struct state_sync *ss, uint64_t cap)
{
    ss->rejected_cap = cap;
}

/* ---- listing ---- */

static enum err_code walk(struct state *s, uint32_t id, uint64_t before, size_t limit,
                          state_rejected_cb cb, void *ctx, struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    uint8_t prefix_bytes[4], at[12];
    struct slice prefix = slice_of(prefix_bytes, key_put_u32(prefix_bytes, id));
    MDB_val k, v;
    enum err_code code = store_cursor(s, TABLE_REJECTED, &c, err);
    if (!code)
        code = before ? store_before(s, c, row_key(id, before, at), prefix, &k, &v, err)
                      : store_last(s, c, prefix, &k, &v, err);
    for (size_t n = 0; !code && (!limit || n < limit); n++) {
        struct rejected r;
        if (k.mv_size != 12 || !unpack_rejected(store_slice(v), &r))
            return damaged(err);
        r.number = key_get_u64((const uint8_t *)k.mv_data + 4);
        if (!cb(ctx, &r))
            return ERR_OK;
        code = store_step(s, c, MDB_PREV, prefix, &k, &v, err);
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

enum err_code state_rejected_list_from(struct state *s, const char *sync, uint64_t before,
                                       size_t limit, state_rejected_cb cb, void *ctx,
                                       struct err *err)
{
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    uint32_t id = 0, fresh;
    code = sync_lookup(s, sync, &id, &fresh, err);
    if (!code && id)
        code = walk(s, id, before, limit, cb, ctx, err);
    store_leave(s);
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

enum err_code state_rejected_list(struct state *s, const char *sync, size_t limit,
                                  state_rejected_cb cb, void *ctx, struct err *err)
{
    return state_rejected_list_from(s, sync, 0, limit, cb, ctx, err);
}

/* The record of the key, or its duplicate; ERR_NOTFOUND. */
static enum err_code get_one(struct state *s, uint32_t id, enum rejected_kind kind,
                             struct slice key, struct rejected *ret, struct err *err)
{
    uint8_t index[INDEX_BYTES], row[12];
    struct slice v;
    enum err_code code = store_get(s, TABLE_REJKEYS, index_key(id, kind, key, key, index), &v, err);
    if (code)
        return code;
    uint64_t number = key_get_u64(v.p);
    code = store_get(s, TABLE_REJECTED, row_key(id, number, row), &v, err);
    if (!code && !unpack_rejected(v, ret))
        code = damaged(err);
    ret->number = number;
    return code;
}

enum err_code state_rejected_of_key(struct state *s, const char *sync, struct slice key,
                                    state_rejected_cb cb, void *ctx, struct err *err)
{
    static const enum rejected_kind kinds[] = {REJECTED_REFUSED, REJECTED_DUPLICATE};
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    uint32_t id = 0, fresh;
    code = sync_lookup(s, sync, &id, &fresh, err);
    for (size_t i = 0; !code && id && i < ARRAY_LEN(kinds); i++) {
        struct rejected r;
        code = get_one(s, id, kinds[i], key, &r, err);
        if (!code && !cb(ctx, &r))
            break;
        code = code == ERR_NOTFOUND ? ERR_OK : code;
    }
    store_leave(s);
    return code == ERR_NOTFOUND ? ERR_OK : code;
}
