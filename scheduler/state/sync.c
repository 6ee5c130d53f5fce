/*
 * Reads and writes: the table `syncs`: names, ids, records. Invariant: a sync's entries are open
 * once. A crash here: as everywhere in state.
 */
#include "scheduler/state/sync.h"

#include "scheduler/state/pack.h"

#include <stdlib.h>

enum { RECORD_VERSION = 1, RECORD_BYTES = 160 };

/* ---- names and ids ---- */

static struct slice name_key(const char *name, uint8_t *out)
{
    size_t n = strlen(name);
    out[0] = 'n';
    memcpy(out + 1, name, n);
    return slice_of(out, n + 1);
}

struct slice sync_id_key(char kind, uint32_t id, uint8_t *out)
{
    out[0] = (uint8_t)kind;
    return slice_of(out, 1 + key_put_u32(out + 1, id));
}

enum err_code sync_check_name(const char *name, struct err *err)
{
    size_t n = strlen(name);
    if (n && n <= STATE_NAME_MAX)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "state: a name must have 1 to %d bytes, not %zu",
                   STATE_NAME_MAX, n);
}

enum err_code sync_lookup(struct state *s, const char *name, uint32_t *ret_id, uint32_t *ret_fresh,
                          struct err *err)
{
    enum err_code code = sync_check_name(name, err);
    if (code)
        return code;
    uint8_t key[STATE_NAME_MAX + 1];
    struct slice v;
    code = store_get(s, TABLE_SYNCS, name_key(name, key), &v, err);
    if (code)
        return code;
    struct unpack u = {(const uint8_t *)v.p, v.n};
    *ret_id = unpack_u32(&u);
    *ret_fresh = unpack_u32(&u);
    return *ret_id || *ret_fresh ? ERR_OK : ERR_NOTFOUND;
}

enum err_code sync_put_name(struct state *s, const char *name, uint32_t id, uint32_t fresh,
                            struct err *err)
{
    uint8_t key[STATE_NAME_MAX + 1], bytes[8];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    pack_u32(&k, id);
    pack_u32(&k, fresh);
    if (!id && !fresh)
        return store_delete(s, TABLE_SYNCS, name_key(name, key), err);
    return store_put(s, TABLE_SYNCS, name_key(name, key), slice_of(bytes, k.n), err);
}

enum err_code sync_next_id(struct state *s, uint32_t *ret, struct err *err)
{
    struct slice v;
    uint32_t last = 0;
    enum err_code code = store_get(s, TABLE_SYNCS, SLICE_LIT("x"), &v, err);
    if (!code) {
        struct unpack u = {(const uint8_t *)v.p, v.n};
        last = unpack_u32(&u);
    } else if (code != ERR_NOTFOUND) {
        return code;
    }
    *ret = last + 1;
    uint8_t bytes[4];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    pack_u32(&k, *ret);
    return store_put(s, TABLE_SYNCS, SLICE_LIT("x"), slice_of(bytes, k.n), err);
}

/* ---- records ---- */

enum err_code sync_record_read(struct state *s, uint32_t id, struct sync_record *ret,
                               struct err *err)
{
    uint8_t key[8];
    struct slice v;
    *ret = (struct sync_record){0};
    enum err_code code = store_get(s, TABLE_SYNCS, sync_id_key('i', id, key), &v, err);
    if (code == ERR_NOTFOUND)
        return ERR_OK; /* new: nothing was written yet */
    if (code)
        return code;
    struct unpack u = {(const uint8_t *)v.p, v.n};
    uint8_t version = unpack_u8(&u);
    if (version != RECORD_VERSION)
        return err_set(err, ERR_INVALID, "state: a sync's record has version %u", version);
    ret->counts.stored = unpack_u64(&u);
    ret->counts.accepted = unpack_u64(&u);
    ret->counts.refused = unpack_u64(&u);
    ret->counts.doubt = unpack_u64(&u);
    ret->counts.absent = unpack_u64(&u);
    ret->slots = unpack_u32(&u);
    ret->generation = unpack_u32(&u);
    ret->version = unpack_u64(&u);
    ret->rejected_count = unpack_u64(&u);
    ret->rejected_next = unpack_u64(&u);
    ret->has_target = unpack_u8(&u) != 0;
    unpack_bytes(&u, ret->target, sizeof ret->target);
    return ERR_OK;
}

static enum err_code record_write(struct state_sync *ss, struct err *err)
{
    uint8_t key[8], bytes[RECORD_BYTES];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    const struct sync_record *r = &ss->record;
    pack_u8(&k, RECORD_VERSION);
    pack_u64(&k, r->counts.stored);
    pack_u64(&k, r->counts.accepted);
    pack_u64(&k, r->counts.refused);
    pack_u64(&k, r->counts.doubt);
    pack_u64(&k, r->counts.absent);
    pack_u32(&k, r->slots);
    pack_u32(&k, r->generation);
    pack_u64(&k, r->version);
    pack_u64(&k, r->rejected_count);
    pack_u64(&k, r->rejected_next);
    pack_u8(&k, r->has_target);
    pack_bytes(&k, r->target, sizeof r->target);
    ensure(!k.full);
    enum err_code code =
        store_put(ss->state, TABLE_SYNCS, sync_id_key('i', ss->id, key), slice_of(bytes, k.n), err);
    if (!code)
        ss->record_changed = false;
    return code;
}

/* ---- open and close ---- */

static enum err_code find_or_make(struct state_sync *ss, struct err *err)
{
    struct state *s = ss->state;
    uint32_t id = 0, fresh = 0;
    enum err_code code = sync_lookup(s, ss->name, &id, &fresh, err);
    if (code && code != ERR_NOTFOUND)
        return code;
    uint32_t *mine = ss->fresh ? &fresh : &id;
    if (!*mine) {
        code = sync_next_id(s, mine, err);
        if (!code)
            code = sync_put_name(s, ss->name, id, fresh, err);
        if (code)
            return code;
    }
    ss->id = *mine;
    return sync_record_read(s, ss->id, &ss->record, err);
}

static enum err_code open_sync(struct state *s, const char *name, bool fresh,
                               struct state_sync **ret_sync, struct err *err)
{
    enum err_code code = sync_check_name(name, err);
    if (code)
        return code;
    for (struct state_sync *o = s->syncs; o; o = o->next)
        if (o->fresh == fresh && strcmp(o->name, name) == 0)
            return err_set(err, ERR_BUG, "state: the entries of %s are open already", name);
    struct state_sync *ss = calloc(1, sizeof *ss);
    struct chunk *cache = calloc(CHUNK_CACHE, sizeof *cache);
    if (!ss || !cache) {
        free(ss);
        free(cache);
        return err_set(err, ERR_NOMEM, "state: out of memory");
    }
    *ss = (struct state_sync){.state = s, .fresh = fresh, .cache = cache};
    memcpy(ss->name, name, strlen(name) + 1);
    code = find_or_make(ss, err);
    if (code) {
        free(cache);
        free(ss);
        return code;
    }
    ss->next = s->syncs;
    s->syncs = ss;
    *ret_sync = ss;
    return ERR_OK;
}

enum err_code state_sync_open(struct state *s, const char *sync, struct state_sync **ret_sync,
                              struct err *err)
{
    return open_sync(s, sync, false, ret_sync, err);
}

enum err_code state_sync_open_fresh(struct state *s, const char *sync, struct state_sync **ret_sync,
                                    struct err *err)
{
    return open_sync(s, sync, true, ret_sync, err);
}

static enum err_code flush(struct state_sync *ss, struct err *err)
{
    enum err_code code = sync_flush_chunks(ss, err);
    return !code && ss->record_changed ? record_write(ss, err) : code;
}

void state_sync_close(struct state_sync *ss)
{
    if (!ss)
        return;
    struct state *s = ss->state;
    if (!s->broken && !s->read_only) {
        /* Room was made when the chunks changed: this writes into the transaction only. */
        s->committing = true;
        struct err err;
        if (flush(ss, &err))
            s->broken = true;
        s->committing = false;
    }
    for (struct state_sync **at = &s->syncs; *at; at = &(*at)->next)
        if (*at == ss) {
            *at = ss->next;
            break;
        }
    if (ss->txn_number == s->txn_number) {
        store_cursor_close(&ss->keys);
        store_cursor_close(&ss->slots);
    }
    free(ss->cache);
    free(ss->chunk_at);
    free(ss);
}

enum err_code store_flush_syncs(struct state *s, struct err *err)
{
    enum err_code code = ERR_OK;
    for (struct state_sync *ss = s->syncs; ss && !code; ss = ss->next)
        code = flush(ss, err);
    return code;
}

enum err_code store_reload_syncs(struct state *s, struct err *err)
{
    enum err_code code = ERR_OK;
    for (struct state_sync *ss = s->syncs; ss && !code; ss = ss->next) {
        for (size_t i = 0; i < CHUNK_CACHE; i++)
            ss->cache[i].valid = ss->cache[i].changed = false;
        ss->record_changed = false;
        code = find_or_make(ss, err);
    }
    return code;
}

enum err_code sync_refresh(struct state_sync *ss, struct err *err)
{
    struct state *s = ss->state;
    if (LIKELY(ss->txn_number == s->txn_number && !s->broken))
        return ERR_OK;
    ss->keys = ss->slots = NULL; /* closed with their transaction */
    enum err_code code = store_cursor(s, TABLE_KEYS, &ss->keys, err);
    if (code)
        return code;
    code = store_cursor(s, TABLE_SLOTS, &ss->slots, err);
    if (code) {
        store_cursor_close(&ss->keys);
        ss->keys = NULL;
        return code;
    }
    ss->txn_number = s->txn_number;
    ss->keys_placed = false;
    ss->no_freed = false;
    return sync_forget_chunks(ss, err);
}

/* ---- what a sync knows of itself ---- */

enum err_code state_sync_look(struct state *s, const char *sync, struct state_counts *ret_counts,
                              struct err *err)
{
    for (struct state_sync *ss = s->syncs; ss; ss = ss->next)
        if (!ss->fresh && strcmp(ss->name, sync) == 0) {
            *ret_counts = ss->record.counts;
            return ERR_OK;
        }
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    uint32_t id = 0, fresh;
    struct sync_record r;
    code = sync_lookup(s, sync, &id, &fresh, err);
    if (!code)
        code = id ? sync_record_read(s, id, &r, err) : ERR_NOTFOUND;
    store_leave(s);
    if (code == ERR_NOTFOUND)
        return err_set(err, code, "state: nothing is known of %s", sync);
    if (!code)
        *ret_counts = r.counts;
    return code;
}

struct state *state_sync_state(struct state_sync *ss)
{
    return ss->state;
}

const char *state_sync_name(const struct state_sync *ss)
{
    return ss->name;
}

struct state_counts state_sync_counts(const struct state_sync *ss)
{
    return ss->record.counts;
}

bool state_sync_target(const struct state_sync *ss, uint8_t *out)
{
    if (ss->record.has_target)
        memcpy(out, ss->record.target, sizeof ss->record.target);
    return ss->record.has_target;
}

static enum err_code change_record(struct state_sync *ss, struct err *err)
{
    enum err_code code = store_room(ss->state, 0, err);
    if (!code)
        ss->record_changed = true;
    return code;
}

enum err_code state_sync_set_target(struct state_sync *ss, const uint8_t *target, struct err *err)
{
    enum err_code code = change_record(ss, err);
    if (code)
        return code;
    ss->record.has_target = true;
    memcpy(ss->record.target, target, sizeof ss->record.target);
    return ERR_OK;
}

uint64_t state_sync_version(const struct state_sync *ss)
{
    return ss->record.version;
}

enum err_code state_sync_touch(struct state_sync *ss, struct err *err)
{
    enum err_code code = change_record(ss, err);
    if (!code)
        ss->record.version++;
    return code;
}

enum err_code state_sync_begin(struct state_sync *ss, struct err *err)
{
    enum err_code code = change_record(ss, err);
    if (code)
        return code;
    ss->record.generation++;
    ss->record.version++;
    ss->no_freed = false;
    return ERR_OK;
}

uint32_t state_sync_generation(const struct state_sync *ss)
{
    return ss->record.generation;
}

uint32_t state_sync_slots(const struct state_sync *ss)
{
    return ss->record.slots;
}
