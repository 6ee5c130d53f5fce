/*
 * Reads and writes: the table `batches`: per run and batch the bits of the ordinals with a verdict.
 * Invariant: a bit is set in the transaction in which its verdict is folded and counted.
 * A crash here: the verdict is drained again and its bit is not set yet: it counts then.
 */
#include "scheduler/state/runs.h"

#include "scheduler/state/pack.h"
#include "scheduler/state/store.h"

enum { HEAD_BYTES = 8 }; /* planned, settled */

static struct slice batch_key(const char *run, size_t run_bytes, uint64_t batch, uint8_t *out)
{
    memcpy(out, run, run_bytes + 1);
    return slice_of(out, run_bytes + 1 + key_put_u64(out + run_bytes + 1, batch));
}

static enum err_code check(const char *run, uint32_t planned, struct err *err)
{
    size_t n = strlen(run);
    if (n && n <= STATE_RUN_ID_MAX && planned && planned <= BATCH_BITS_BYTES_MAX * 8)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "state: batch of %u records of run %s", planned, run);
}

/* The stored bits; NULL where there are none. */
static enum err_code find(struct state *s, struct slice key, uint32_t planned, const uint8_t **ret,
                          uint32_t *ret_settled, struct err *err)
{
    struct slice v;
    *ret = NULL;
    *ret_settled = 0;
    enum err_code code = store_get(s, TABLE_BATCHES, key, &v, err);
    if (code)
        return code == ERR_NOTFOUND ? ERR_OK : code;
    struct unpack u = {(const uint8_t *)v.p, v.n};
    uint32_t had = unpack_u32(&u);
    *ret_settled = unpack_u32(&u);
    if (had != planned || u.n != (planned + 7) / 8)
        return err_set(err, ERR_BUG, "state: a batch had %u records and has %u now", had, planned);
    *ret = u.p;
    return ERR_OK;
}

enum err_code state_batch_settle(struct state *s, const char *run, uint64_t batch, uint32_t planned,
                                 uint8_t *bits, uint32_t *ret_new, uint32_t *ret_settled,
                                 struct err *err)
{
    enum err_code code = check(run, planned, err);
    if (code)
        return code;
    uint8_t key_bytes[STATE_RUN_ID_MAX + 16], value[HEAD_BYTES + BATCH_BITS_BYTES_MAX];
    struct slice key = batch_key(run, strlen(run), batch, key_bytes);
    const uint8_t *old;
    size_t n = (planned + 7) / 8;
    uint32_t settled;
    code = find(s, key, planned, &old, &settled, err);
    if (code)
        return code;
    if (planned % 8)
        bits[n - 1] &= (uint8_t)((1u << planned % 8) - 1);
    *ret_new = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t before = old ? old[i] : 0;
        bits[i] = (uint8_t)(bits[i] & ~before);
        value[HEAD_BYTES + i] = before | bits[i];
        *ret_new += (uint32_t)__builtin_popcount(bits[i]);
    }
    *ret_settled = settled + *ret_new;
    if (!*ret_new)
        return ERR_OK;
    struct pack k = {.p = value, .cap = HEAD_BYTES};
    pack_u32(&k, planned);
    pack_u32(&k, *ret_settled);
    return store_put(s, TABLE_BATCHES, key, slice_of(value, HEAD_BYTES + n), err);
}

enum err_code state_batch_settled(struct state *s, const char *run, uint64_t batch,
                                  uint32_t planned, uint8_t *bits, uint32_t *ret_settled,
                                  struct err *err)
{
    enum err_code code = check(run, planned, err);
    if (code)
        return code;
    uint8_t key_bytes[STATE_RUN_ID_MAX + 16];
    const uint8_t *old;
    code = find(s, batch_key(run, strlen(run), batch, key_bytes), planned, &old, ret_settled, err);
    if (code)
        return code;
    if (old)
        memcpy(bits, old, (planned + 7) / 8);
    else
        memset(bits, 0, (planned + 7) / 8);
    return ERR_OK;
}

static enum err_code list(struct state *s, const char *run, uint64_t from, size_t limit,
                          state_batch_cb cb, void *ctx, struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    uint8_t key_bytes[STATE_RUN_ID_MAX + 16];
    size_t run_bytes = strlen(run);
    if (!run_bytes || run_bytes > STATE_RUN_ID_MAX)
        return ERR_OK;
    struct slice prefix = slice_of(run, run_bytes + 1);
    MDB_val k, v;
    enum err_code code = store_cursor(s, TABLE_BATCHES, &c, err);
    if (!code)
        code = store_seek(s, c, batch_key(run, run_bytes, from, key_bytes), prefix.n, &k, &v, err);
    for (size_t n = 0; !code && (!limit || n < limit); n++) {
        struct unpack u = {v.mv_data, v.mv_size};
        struct batch_state b = {.number = key_get_u64((const uint8_t *)k.mv_data + prefix.n)};
        b.planned = unpack_u32(&u);
        b.settled = unpack_u32(&u);
        if (!cb(ctx, &b))
            return ERR_OK;
        code = store_step(s, c, MDB_NEXT, prefix, &k, &v, err);
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

enum err_code state_batch_list(struct state *s, const char *run, uint64_t from, size_t limit,
                               state_batch_cb cb, void *ctx, struct err *err)
{
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    code = list(s, run, from, limit, cb, ctx, err);
    store_leave(s);
    return code;
}

enum err_code state_batch_drop(struct state *s, const char *run, size_t max, bool *ret_more,
                               struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    *ret_more = false;
    struct slice prefix = slice_of(run, strlen(run) + 1);
    if (prefix.n > STATE_RUN_ID_MAX + 1)
        return ERR_OK;
    MDB_val k, v;
    enum err_code code = store_cursor(s, TABLE_BATCHES, &c, err);
    for (;;) {
        if (!code)
            code = store_seek(s, c, prefix, prefix.n, &k, &v, err);
        if (code)
            return code == ERR_NOTFOUND ? ERR_OK : code;
        if (!max--) {
            *ret_more = true;
            return ERR_OK;
        }
        code = store_room(s, 0, err);
        if (!code)
            code = store_error(s, mdb_cursor_del(c, 0), err, "batches");
    }
}
