/*
 * A sync's entries while they are open: its record, its cursors, its cache of slot chunks.
 *
 * Internal to scheduler/state. The record and changed chunks are held back until state_commit or
 * until a chunk's place in the cache is needed.
 */
#ifndef SLUICE_STATE_SYNC_H
#define SLUICE_STATE_SYNC_H

#include "scheduler/state/entries.h"
#include "scheduler/state/store.h"

enum {
    CHUNK_SLOTS = 240, /* flags[240], then hash[240][16]: with LMDB's header exactly one page */
    CHUNK_BYTES = CHUNK_SLOTS * 17,
    CHUNK_CACHE = 64,
    IDENTITY_LIST_BYTES = 2 + 8192 + (IDENTITY_BYTES_MAX + 3) * IDENTITY_MAX,
};

/* What is kept per sync id. */
struct sync_record {
    struct state_counts counts;
    uint32_t slots; /* high-water */
    uint32_t generation;
    uint64_t version;
    uint64_t rejected_count;
    uint64_t rejected_next; /* sequence number */
    bool has_target;
    uint8_t target[16];
};

struct chunk {
    uint32_t number;
    bool valid;
    bool changed;
    uint8_t bytes[CHUNK_BYTES];
};

struct state_sync {
    struct state *state;
    struct state_sync *next;
    char name[STATE_NAME_MAX + 1];
    bool fresh;
    uint32_t id;
    struct sync_record record;
    bool record_changed;
    uint64_t rejected_cap;

    uint64_t txn_number; /* what follows belongs to this transaction */
    MDB_cursor *keys;
    MDB_cursor *slots;
    bool keys_placed;  /* the cursor stands on the key found last */
    int keys_sequence; /* > 0: the next key has been the right guess of late */
    bool keys_end;     /* the last guess found the end of the table */
    unsigned keys_tries;
    size_t appended_bytes;
    bool no_freed;            /* no slot of an earlier run is free */
    uint32_t chunk_missed;    /* chunk read last past the cache */
    const uint8_t **chunk_at; /* committed chunks in the map, found before; half a bit per slot */
    size_t chunk_at_count;
    struct chunk *cache; /* CHUNK_CACHE */

    uint8_t key[STORE_KEY_MAX + 1]; /* scratch */
    struct identity identities[IDENTITY_MAX];
    uint8_t identity_bytes[IDENTITY_LIST_BYTES];
};

/** Opens cursors again where the transaction has changed. Every operation on entries begins with
 * it. */
enum err_code sync_refresh(struct state_sync *ss, struct err *err) MUST_CHECK;
/** Begins a transaction's memory of where chunks are. */
enum err_code sync_forget_chunks(struct state_sync *ss, struct err *err) MUST_CHECK;
/** Writes changed chunks. */
enum err_code sync_flush_chunks(struct state_sync *ss, struct err *err) MUST_CHECK;
/** Where a sync's entries are: the id, or ERR_NOTFOUND. */
/** A name of a sync or quota that state can keep. Errors: ERR_INVALID. */
enum err_code sync_check_name(const char *name, struct err *err) MUST_CHECK;
enum err_code sync_lookup(struct state *s, const char *name, uint32_t *ret_id, uint32_t *ret_fresh,
                          struct err *err) MUST_CHECK;
enum err_code sync_put_name(struct state *s, const char *name, uint32_t id, uint32_t fresh,
                            struct err *err) MUST_CHECK;
/** An id that was never used. */
enum err_code sync_next_id(struct state *s, uint32_t *ret, struct err *err) MUST_CHECK;
/** Key in `syncs` of an id: kind 'i' its record, 'd' to be swept. Written to out, 8 bytes. */
struct slice sync_id_key(char kind, uint32_t id, uint8_t *out);
enum err_code sync_record_read(struct state *s, uint32_t id, struct sync_record *ret,
                               struct err *err) MUST_CHECK;
/** Key of (sync id, slot[, kind]) in out (9 bytes); returns its length. */
size_t sync_slot_key(const struct state_sync *ss, uint32_t slot, uint8_t *out);
/**
 * The refusal at or behind *position (slot * 4 + kind, from 0 on), which is moved behind it; its
 * words are borrowed until the next write. ERR_NOTFOUND at the end.
 */
enum err_code sync_refusal_next(struct state_sync *ss, uint64_t *position, uint32_t *ret_slot,
                                enum refusal_kind *ret_kind, struct refusal *ret,
                                struct err *err) MUST_CHECK;
/** Removes all identities of the slot. */
enum err_code sync_identities_drop(struct state_sync *ss, uint32_t slot,
                                   struct err *err) MUST_CHECK;

#endif
