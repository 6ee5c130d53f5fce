/*
 * Reads and writes: the table `slots`, chunks of 240 entries by slot number.
 * Invariant: the counts of the record follow every change of an entry's flags.
 * A crash here: chunks held back are lost together with everything since the last commit.
 */
#include "scheduler/state/sync.h"

#include "scheduler/state/pack.h"

#include <stdlib.h>

size_t sync_slot_key(const struct state_sync *ss, uint32_t slot, uint8_t *out)
{
    size_t n = key_put_u32(out, ss->id);
    return n + key_put_u32(out + n, slot);
}

/*
 * Where a chunk lies in the map. A committed page stays as it is for the whole transaction,
 * whatever is written, so the place of a chunk holds until that chunk is written or the transaction
 * ends.
 */
enum err_code sync_forget_chunks(struct state_sync *ss, struct err *err)
{
    size_t count = ss->record.slots / CHUNK_SLOTS + 1;
    if (count > ss->chunk_at_count) {
        const uint8_t **at = realloc(ss->chunk_at, count * 2 * sizeof *at);
        if (!at)
            return err_set(err, ERR_NOMEM, "state: out of memory");
        ss->chunk_at = at;
        ss->chunk_at_count = count * 2;
    }
    memset(ss->chunk_at, 0, ss->chunk_at_count * sizeof *ss->chunk_at);
    return ERR_OK;
}

static void remember_chunk(struct state_sync *ss, uint32_t number, const uint8_t *bytes)
{
    const struct state *s = ss->state;
    bool committed = bytes >= s->map && bytes < s->map + s->map_bytes;
    if (number < ss->chunk_at_count)
        ss->chunk_at[number] = committed ? bytes : NULL;
}

static enum err_code flush_chunk(struct state_sync *ss, struct chunk *c, struct err *err)
{
    uint8_t key[8];
    MDB_val k = store_val(key, sync_slot_key(ss, c->number, key));
    MDB_val v = store_val(c->bytes, sizeof c->bytes);
    int rc = mdb_cursor_put(ss->slots, &k, &v, 0);
    if (rc)
        return store_error(ss->state, rc, err, "slots");
    c->changed = false;
    remember_chunk(ss, c->number, NULL);
    if (ss->state->held_pages >= 2)
        ss->state->held_pages -= 2;
    return ERR_OK;
}

enum err_code sync_flush_chunks(struct state_sync *ss, struct err *err)
{
    enum err_code code = sync_refresh(ss, err);
    for (size_t i = 0; i < CHUNK_CACHE && !code; i++)
        if (ss->cache[i].changed)
            code = flush_chunk(ss, &ss->cache[i], err);
    return code;
}

/* *ret_bytes is NULL for a chunk that was never written. */
static enum err_code find_chunk(struct state_sync *ss, uint32_t number, const uint8_t **ret_bytes,
                                struct err *err)
{
    if (number < ss->chunk_at_count && ss->chunk_at[number]) {
        *ret_bytes = ss->chunk_at[number];
        return ERR_OK;
    }
    uint8_t key[8];
    MDB_val k = store_val(key, sync_slot_key(ss, number, key)), v;
    int rc = mdb_cursor_get(ss->slots, &k, &v, MDB_SET);
    if (rc == MDB_NOTFOUND) {
        *ret_bytes = NULL;
        return ERR_OK;
    }
    if (rc)
        return store_error(ss->state, rc, err, "slots");
    if (v.mv_size != CHUNK_BYTES)
        return err_set(err, ERR_INVALID, "state: damaged: a chunk of %zu bytes", v.mv_size);
    *ret_bytes = v.mv_data;
    remember_chunk(ss, number, v.mv_data);
    return ERR_OK;
}

static enum err_code load_chunk(struct state_sync *ss, uint32_t number, struct chunk **ret,
                                struct err *err)
{
    struct chunk *c = &ss->cache[number % CHUNK_CACHE];
    *ret = c;
    if (LIKELY(c->valid && c->number == number))
        return ERR_OK;
    const uint8_t *bytes;
    enum err_code code = c->changed ? flush_chunk(ss, c, err) : ERR_OK;
    if (!code)
        code = find_chunk(ss, number, &bytes, err);
    if (code)
        return code;
    if (bytes)
        memcpy(c->bytes, bytes, sizeof c->bytes);
    else
        memset(c->bytes, 0, sizeof c->bytes);
    c->number = number;
    c->valid = true;
    return ERR_OK;
}

static void entry_read(const uint8_t *chunk, uint32_t index, struct entry *ret)
{
    ret->flags = chunk[index];
    memcpy(ret->hash, chunk + CHUNK_SLOTS + index * sizeof ret->hash, sizeof ret->hash);
}

/* The second read of a chunk in a row loads it; reads at random are cheaper without the copy. */
enum err_code state_entry_get(struct state_sync *ss, uint32_t slot, struct entry *ret_entry,
                              struct err *err)
{
    enum err_code code = sync_refresh(ss, err);
    if (UNLIKELY(code))
        return code;
    uint32_t number = slot / CHUNK_SLOTS;
    struct chunk *c = &ss->cache[number % CHUNK_CACHE];
    if (UNLIKELY(!c->valid || c->number != number)) {
        const uint8_t *bytes;
        if (ss->chunk_missed != number) {
            ss->chunk_missed = number;
            code = find_chunk(ss, number, &bytes, err);
            if (!code && bytes)
                entry_read(bytes, slot % CHUNK_SLOTS, ret_entry);
            else if (!code)
                *ret_entry = (struct entry){0};
            return code;
        }
        code = load_chunk(ss, number, &c, err);
        if (code)
            return code;
    }
    entry_read(c->bytes, slot % CHUNK_SLOTS, ret_entry);
    return ERR_OK;
}

static void count_flag(uint64_t *count, uint8_t before, uint8_t after, uint8_t flag)
{
    if ((before & flag) && !(after & flag))
        --*count;
    else if (!(before & flag) && (after & flag))
        ++*count;
}

enum err_code state_entry_put(struct state_sync *ss, uint32_t slot, const struct entry *entry,
                              struct err *err)
{
    struct chunk *c;
    enum err_code code = sync_refresh(ss, err);
    if (!code)
        code = load_chunk(ss, slot / CHUNK_SLOTS, &c, err);
    if (code)
        return code;
    if (!c->changed) {
        code = store_room(ss->state, CHUNK_BYTES, err);
        if (code)
            return code;
        c->changed = true;
        ss->state->held_pages += 2;
    }
    uint32_t index = slot % CHUNK_SLOTS;
    uint8_t before = c->bytes[index];
    struct state_counts *counts = &ss->record.counts;
    count_flag(&counts->accepted, before, entry->flags, ENTRY_ACCEPTED);
    count_flag(&counts->refused, before, entry->flags, ENTRY_REFUSED);
    count_flag(&counts->doubt, before, entry->flags, ENTRY_DOUBT);
    count_flag(&counts->absent, before, entry->flags, ENTRY_ABSENT);
    ss->record_changed = true;
    c->bytes[index] = entry->flags;
    memcpy(c->bytes + CHUNK_SLOTS + index * sizeof entry->hash, entry->hash, sizeof entry->hash);
    return ERR_OK;
}
