/*
 * Reads and writes: the tables `limits`, `results` and `misc`, all by name.
 * A crash here: as everywhere in state.
 */
#include "scheduler/state/limits.h"

#include "scheduler/state/pack.h"
#include "scheduler/state/store.h"
#include "scheduler/state/sync.h"

#include <stdlib.h>

enum { LIMITS_VERSION = 1, LIMIT_BYTES = 36, WINDOW_BYTES = 20, LIMITS_HEAD_BYTES = 17 };

/* ---- limits ---- */

static void pack_limits(struct pack *k, const struct saved_limits *l)
{
    pack_u8(k, LIMITS_VERSION);
    pack_u64(k, (uint64_t)l->saved_ms);
    pack_u32(k, (uint32_t)l->limit_count);
    pack_u32(k, (uint32_t)l->window_count);
    for (size_t i = 0; i < l->limit_count; i++) {
        pack_u32(k, l->limits[i].kind);
        pack_u64(k, l->limits[i].count);
        pack_u64(k, l->limits[i].per_ms);
        pack_u64(k, l->limits[i].grant);
        pack_u64(k, l->limits[i].charged);
    }
    for (size_t i = 0; i < l->window_count; i++) {
        pack_u32(k, l->windows[i].limit);
        pack_u64(k, l->windows[i].left_ms);
        pack_u64(k, l->windows[i].count);
    }
}

enum err_code state_limits_put(struct state *s, const char *quota, const struct saved_limits *l,
                               struct err *err)
{
    enum err_code code = sync_check_name(quota, err);
    if (code)
        return code;
    size_t n = LIMITS_HEAD_BYTES + l->limit_count * LIMIT_BYTES + l->window_count * WINDOW_BYTES;
    uint8_t *bytes = malloc(n);
    if (!bytes)
        return err_set(err, ERR_NOMEM, "state: out of memory");
    struct pack k = {.p = bytes, .cap = n};
    pack_limits(&k, l);
    ensure(!k.full);
    code = store_put(s, TABLE_LIMITS, slice_str(quota), slice_of(bytes, k.n), err);
    free(bytes);
    return code;
}

static enum err_code unpack_limits(struct slice v, struct saved_limits **ret, struct err *err)
{
    struct unpack u = {(const uint8_t *)v.p, v.n};
    uint8_t version = unpack_u8(&u);
    int64_t saved_ms = (int64_t)unpack_u64(&u);
    size_t limits = unpack_u32(&u), windows = unpack_u32(&u);
    if (version != LIMITS_VERSION || u.n != limits * LIMIT_BYTES + windows * WINDOW_BYTES)
        return err_set(err, ERR_INVALID, "state: damaged: saved limits of version %u", version);
    struct {
        struct saved_limits head;
        struct saved_limit limits[];
    } *all = malloc(sizeof *all + limits * sizeof(struct saved_limit) +
                    windows * sizeof(struct saved_window));
    if (!all)
        return err_set(err, ERR_NOMEM, "state: out of memory");
    struct saved_window *w = (void *)(all->limits + limits);
    for (size_t i = 0; i < limits; i++) {
        struct saved_limit *l = &all->limits[i];
        l->kind = unpack_u32(&u);
        l->count = unpack_u64(&u);
        l->per_ms = unpack_u64(&u);
        l->grant = unpack_u64(&u);
        l->charged = unpack_u64(&u);
    }
    for (size_t i = 0; i < windows; i++) {
        w[i].limit = unpack_u32(&u);
        w[i].left_ms = unpack_u64(&u);
        w[i].count = unpack_u64(&u);
    }
    all->head = (struct saved_limits){saved_ms, all->limits, limits, w, windows};
    *ret = &all->head;
    return ERR_OK;
}

/* Reads a value by name inside store_enter; the caller leaves. */
static enum err_code get(struct state *s, enum store_table t, const char *name, struct slice *ret,
                         struct err *err)
{
    enum err_code code = sync_check_name(name, err);
    if (!code)
        code = store_get(s, t, slice_str(name), ret, err);
    return code == ERR_NOTFOUND ? err_set(err, code, "state: nothing is kept for %s", name) : code;
}

enum err_code state_limits_get(struct state *s, const char *quota, struct saved_limits **ret,
                               struct err *err)
{
    struct slice v;
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    code = get(s, TABLE_LIMITS, quota, &v, err);
    if (!code)
        code = unpack_limits(v, ret, err);
    store_leave(s);
    return code;
}

/* ---- results ---- */

enum err_code state_results_put(struct state *s, const char *quota, const char *position,
                                struct err *err)
{
    enum err_code code = sync_check_name(quota, err);
    if (code)
        return code;
    size_t n = strlen(position);
    if (n >= STATE_POSITION_BYTES)
        return err_set(err, ERR_INVALID, "state: a position of %zu bytes", n);
    if (!n)
        return store_delete(s, TABLE_RESULTS, slice_str(quota), err);
    return store_put(s, TABLE_RESULTS, slice_str(quota), slice_of(position, n), err);
}

enum err_code state_results_get(struct state *s, const char *quota, char *out, struct err *err)
{
    struct slice v = {0};
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    code = get(s, TABLE_RESULTS, quota, &v, err);
    if (code == ERR_NOTFOUND) {
        v = (struct slice){0};
        code = ERR_OK;
    }
    if (!code && v.n >= STATE_POSITION_BYTES)
        code = err_set(err, ERR_INVALID, "state: damaged: a position of %zu bytes", v.n);
    if (!code) {
        if (v.n)
            memcpy(out, v.p, v.n);
        out[v.n] = '\0';
    }
    store_leave(s);
    return code;
}

/* ---- misc ---- */

enum err_code state_misc_put(struct state *s, const char *name, struct slice value, struct err *err)
{
    enum err_code code = sync_check_name(name, err);
    if (code)
        return code;
    return value.n ? store_put(s, TABLE_MISC, slice_str(name), value, err)
                   : store_delete(s, TABLE_MISC, slice_str(name), err);
}

enum err_code state_misc_get(struct state *s, const char *name, struct buf *out, struct err *err)
{
    struct slice v;
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    code = get(s, TABLE_MISC, name, &v, err);
    if (!code) {
        code = buf_put(out, v.p, v.n);
        if (code)
            err_set(err, code, "state: %s: %s", name, err_name(code));
    }
    store_leave(s);
    return code;
}

static enum err_code walk_misc(struct state *s, struct slice prefix, state_misc_cb cb, void *ctx,
                               struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    MDB_val k, v;
    enum err_code code = store_cursor(s, TABLE_MISC, &c, err);
    if (!code)
        code = store_seek(s, c, prefix, prefix.n, &k, &v, err);
    while (!code) {
        char name[STATE_NAME_MAX + 1];
        size_t n = k.mv_size < sizeof name - 1 ? k.mv_size : sizeof name - 1;
        memcpy(name, k.mv_data, n);
        name[n] = '\0';
        if (!cb(ctx, name, store_slice(v)))
            return ERR_OK;
        code = store_step(s, c, MDB_NEXT, prefix, &k, &v, err);
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

enum err_code state_misc_list(struct state *s, const char *prefix, state_misc_cb cb, void *ctx,
                              struct err *err)
{
    if (strlen(prefix) > STATE_NAME_MAX)
        return ERR_OK;
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    code = walk_misc(s, slice_str(prefix), cb, ctx, err);
    store_leave(s);
    return code;
}
