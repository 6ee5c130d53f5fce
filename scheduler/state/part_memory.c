/* Reads and writes: single values under names of their own. A crash here: as everywhere in state.
 */
#include "scheduler/state/part_memory.h"

#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"
#include "scheduler/state/part.h"
#include "scheduler/state/runs.h"
#include "scheduler/state/sync.h"

#include <stdio.h>
#include <string.h>

enum { DROP_STEP = 1000 };

const char *const part_sync_kinds[] = {
    "schedule", "fresh", "stream",  "metric",       "alert",      "warehouse",
    "resync",   "begun", "columns", "columns-held", "pause:sync", NULL,
};
const char *const part_quota_kinds[] = {"shared", "throttle", "place", "closed", NULL};
const char *const part_destination_kinds[] = {"pause:destination", NULL};

static const char exported[] = "exported:";

static enum err_code name_of(const char *kind, const char *of, char out[PART_NAME_BYTES],
                             struct err *err)
{
    if (snprintf(out, PART_NAME_BYTES, "%s%s", kind, of) > STATE_NAME_MAX)
        return err_set(err, ERR_INVALID, "state: the name %s is too long", of);
    return ERR_OK;
}

/* Appends the value to out; ERR_NOTFOUND without words where there is none. */
static enum err_code read_value(struct state *s, const char *kind, const char *of, struct buf *out,
                                struct err *err)
{
    char name[PART_NAME_BYTES];
    enum err_code code = name_of(kind, of, name, err);
    return code ? code : state_misc_get(s, name, out, err);
}

/* ---- whose a quota was ---- */

struct slice part_heir(const struct state *s, uint8_t out[PART_HEIR_BYTES])
{
    struct pack k = {.p = out, .cap = PART_HEIR_BYTES};
    pack_u8(&k, 1);
    pack_u64(&k, s->commit);
    pack_str(&k, s->id);
    ensure(!k.full);
    return slice_of(out, k.n);
}

enum err_code state_part_is_heir(struct state *s, const char *quota, const char *owner,
                                 uint64_t commit, bool *ret, struct err *err)
{
    CLEANUP(buf_done) struct buf value;
    char id[STATE_ID_BYTES];
    buf_init(&value, PART_HEIR_BYTES);
    *ret = false;
    enum err_code code = read_value(s, PART_HEIR, quota, &value, err);
    if (code)
        return code == ERR_NOTFOUND ? ERR_OK : code;
    struct unpack u = {(const uint8_t *)value.p, value.len};
    bool known = unpack_u8(&u) == 1;
    uint64_t at = unpack_u64(&u);
    unpack_str(&u, id, sizeof id);
    *ret = known && strcmp(id, owner) == 0 && commit <= at;
    return ERR_OK;
}

enum err_code state_sync_origin(struct state *s, const char *sync, char out[STATE_ID_BYTES],
                                struct err *err)
{
    CLEANUP(buf_done) struct buf value;
    buf_init(&value, STATE_ID_BYTES);
    enum err_code code = read_value(s, PART_ORIGIN, sync, &value, err);
    const char *id = code ? s->id : buf_cstr(&value);
    snprintf(out, STATE_ID_BYTES, "%s", id ? id : s->id);
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

/* ---- what was exported ---- */

enum err_code state_part_is_exported(struct state *s, const char *sync, bool *ret, struct err *err)
{
    CLEANUP(buf_done) struct buf value;
    buf_init(&value, PART_HEIR_BYTES);
    enum err_code code = read_value(s, exported, sync, &value, err);
    *ret = !code;
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

enum err_code state_part_mark(struct state *s, const struct state_part *part, struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < part->sync_count && !code; i++) {
        char name[PART_NAME_BYTES];
        code = name_of(exported, part->syncs[i], name, err);
        if (!code)
            code = state_misc_put(s, name, SLICE_LIT("-"), err);
    }
    return code;
}

enum err_code state_part_goes_on(struct state *s, const char *sync, struct err *err)
{
    bool is;
    char name[PART_NAME_BYTES];
    enum err_code code = state_part_is_exported(s, sync, &is, err);
    if (!code && is)
        code = name_of(exported, sync, name, err);
    return code || !is ? code : state_misc_put(s, name, (struct slice){0}, err);
}

/* ---- dropping ---- */

static enum err_code drop_run(struct state *s, struct slice key, size_t prefix, struct err *err)
{
    uint8_t own[STORE_KEY_MAX];
    char id[STATE_RUN_ID_MAX + 1];
    bool more = true;
    if (key.n > sizeof own || key.n <= prefix + 8 || key.n - prefix - 8 > STATE_RUN_ID_MAX)
        return err_set(err, ERR_INVALID, "state: damaged: the key of a run");
    memcpy(own, key.p, key.n);
    size_t n = key.n - prefix;
    memcpy(id, own + prefix + 8, n - 8);
    id[n - 8] = '\0';
    enum err_code code = store_delete(s, TABLE_RUNS, slice_of(own + prefix, n), err);
    if (!code)
        code = store_delete(s, TABLE_RUNIDS, slice_str(id), err);
    if (!code)
        code = store_delete(s, TABLE_SYNCRUNS, slice_of(own, key.n), err);
    while (!code && more)
        code = state_batch_drop(s, id, DROP_STEP, &more, err);
    return code;
}

static enum err_code drop_runs(struct state *s, const char *sync, struct err *err)
{
    struct slice prefix = slice_of(sync, strlen(sync) + 1);
    enum err_code code = ERR_OK;
    while (!code) {
        CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
        MDB_val k, v;
        code = store_cursor(s, TABLE_SYNCRUNS, &c, err);
        if (!code)
            code = store_seek(s, c, prefix, prefix.n, &k, &v, err);
        if (!code)
            code = drop_run(s, store_slice(k), prefix.n, err);
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

enum err_code state_part_drop(struct state *s, const char *sync, struct err *err)
{
    bool is;
    enum err_code code = state_part_is_exported(s, sync, &is, err);
    if (!code && !is)
        return err_set(
            err, ERR_USAGE,
            "%s was not exported from here, or a scheduler went on with it since: `sluice "
            "state export FILE %s` first",
            sync, sync);
    if (!code)
        code = state_sync_drop(s, sync, err);
    if (!code)
        code = drop_runs(s, sync, err);
    for (const char *const *kind = part_sync_kinds; *kind && !code; kind++) {
        char name[PART_NAME_BYTES];
        if (snprintf(name, sizeof name, "%s:%s", *kind, sync) <= STATE_NAME_MAX)
            code = state_misc_put(s, name, (struct slice){0}, err);
    }
    return code ? code : state_part_goes_on(s, sync, err); /* the mark goes last */
}

/* ---- which syncs there are ---- */

static enum err_code walk_names(struct state *s, state_name_cb cb, void *ctx, struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    struct slice prefix = SLICE_LIT("n");
    MDB_val k, v;
    enum err_code code = store_cursor(s, TABLE_SYNCS, &c, err);
    if (!code)
        code = store_seek(s, c, prefix, prefix.n, &k, &v, err);
    while (!code) {
        char name[STATE_NAME_MAX + 1] = "";
        struct unpack u = {v.mv_data, v.mv_size};
        if (k.mv_size - 1 <= STATE_NAME_MAX)
            memcpy(name, (const char *)k.mv_data + 1, k.mv_size - 1);
        if (*name && unpack_u32(&u) && !cb(ctx, name))
            return ERR_OK;
        code = store_step(s, c, MDB_NEXT, prefix, &k, &v, err);
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

enum err_code state_sync_names(struct state *s, state_name_cb cb, void *ctx, struct err *err)
{
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    code = walk_names(s, cb, ctx, err);
    store_leave(s);
    return code;
}
