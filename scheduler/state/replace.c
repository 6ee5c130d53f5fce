/*
 * Replacing a sync's entries: the name is pointed to other entries, in one transaction, and the old
 * id's keys go bit by bit. Reads and writes: `syncs`, and when sweeping all tables of an id.
 * Invariant: an id is never used again. A crash here: sweeping goes on with the next start.
 */
#include "scheduler/state/pack.h"
#include "scheduler/state/sync.h"

static enum err_code not_open(struct state *s, const char *name, struct err *err)
{
    for (struct state_sync *o = s->syncs; o; o = o->next)
        if (strcmp(o->name, name) == 0)
            return err_set(err, ERR_BUG, "state: the entries of %s are open", name);
    return ERR_OK;
}

static enum err_code doom(struct state *s, uint32_t id, struct err *err)
{
    uint8_t key[8];
    return id ? store_put(s, TABLE_SYNCS, sync_id_key('d', id, key), SLICE_LIT("-"), err) : ERR_OK;
}

/* The name points to keep from now on; the ids in gone are swept. */
static enum err_code repoint(struct state *s, const char *name, uint32_t keep, uint32_t fresh,
                             const uint32_t gone[2], struct err *err)
{
    enum err_code code = not_open(s, name, err);
    if (!code)
        code = doom(s, gone[0], err);
    if (!code)
        code = doom(s, gone[1], err);
    return code ? code : sync_put_name(s, name, keep, fresh, err);
}

enum err_code state_sync_has_fresh(struct state *s, const char *sync, bool *ret_has,
                                   struct err *err)
{
    uint32_t id, fresh = 0;
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    code = sync_lookup(s, sync, &id, &fresh, err);
    store_leave(s);
    if (code && code != ERR_NOTFOUND)
        return code;
    *ret_has = !code && fresh != 0;
    return ERR_OK;
}

enum err_code state_sync_adopt_fresh(struct state *s, const char *sync, struct err *err)
{
    uint32_t id, fresh;
    enum err_code code = sync_lookup(s, sync, &id, &fresh, err);
    if (code == ERR_NOTFOUND || (!code && !fresh))
        return err_set(err, ERR_NOTFOUND, "state: %s has no entries that wait for approval", sync);
    return code ? code : repoint(s, sync, fresh, 0, (const uint32_t[]){id, 0}, err);
}

enum err_code state_sync_drop_fresh(struct state *s, const char *sync, struct err *err)
{
    uint32_t id, fresh;
    enum err_code code = sync_lookup(s, sync, &id, &fresh, err);
    if (code == ERR_NOTFOUND)
        return ERR_OK;
    return code ? code : repoint(s, sync, id, 0, (const uint32_t[]){fresh, 0}, err);
}

enum err_code state_sync_drop(struct state *s, const char *sync, struct err *err)
{
    uint32_t id, fresh;
    enum err_code code = sync_lookup(s, sync, &id, &fresh, err);
    if (code == ERR_NOTFOUND)
        return ERR_OK;
    return code ? code : repoint(s, sync, 0, 0, (const uint32_t[]){id, fresh}, err);
}

/* Deletes up to *max keys of the id in one table. */
static enum err_code sweep_table(struct state *s, enum store_table t, uint32_t id, size_t *max,
                                 struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    enum err_code code = store_cursor(s, t, &c, err);
    uint8_t prefix[4];
    key_put_u32(prefix, id);
    while (!code && *max) {
        MDB_val k, v;
        code = store_seek(s, c, slice_of(prefix, sizeof prefix), sizeof prefix, &k, &v, err);
        if (!code)
            code = store_room(s, 0, err);
        if (!code)
            code = store_error(s, mdb_cursor_del(c, 0), err, "sweeping");
        if (!code)
            --*max;
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

static enum err_code sweep_id(struct state *s, uint32_t id, size_t *max, struct err *err)
{
    static const enum store_table tables[] = {TABLE_KEYS,     TABLE_FREED,  TABLE_SLOTS,
                                              TABLE_REFUSED,  TABLE_IDENT,  TABLE_SLOTIDS,
                                              TABLE_REJECTED, TABLE_REJKEYS};
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(tables) && !code && *max; i++)
        code = sweep_table(s, tables[i], id, max, err);
    if (code || !*max)
        return code;
    uint8_t key[8];
    code = store_delete(s, TABLE_SYNCS, sync_id_key('i', id, key), err);
    return code ? code : store_delete(s, TABLE_SYNCS, sync_id_key('d', id, key), err);
}

enum err_code state_sweep(struct state *s, size_t max, bool *ret_more, struct err *err)
{
    *ret_more = false;
    for (;;) {
        CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
        MDB_val k, v;
        enum err_code code = store_cursor(s, TABLE_SYNCS, &c, err);
        if (!code)
            code = store_seek(s, c, SLICE_LIT("d"), 1, &k, &v, err);
        if (code == ERR_NOTFOUND)
            return ERR_OK;
        if (code)
            return code;
        if (!max) {
            *ret_more = true;
            return ERR_OK;
        }
        code = sweep_id(s, key_get_u32((const uint8_t *)k.mv_data + 1), &max, err);
        if (code)
            return code;
    }
}
