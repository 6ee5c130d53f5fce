/*
 * The store behind state: LMDB's environment, its one write transaction and the tables in it.
 *
 * Internal to scheduler/state. Every other file there reads and writes through these calls, so that
 * room in map and disk is checked in one place and an LMDB error is told in one way.
 */
#ifndef SLUICE_STATE_STORE_H
#define SLUICE_STATE_STORE_H

#include "scheduler/state/state.h"

#include <lmdb.h>

enum store_table {
    TABLE_META,
    TABLE_SYNCS,
    TABLE_KEYS,
    TABLE_FREED,
    TABLE_SLOTS,
    TABLE_REFUSED,
    TABLE_SLOTIDS,
    TABLE_IDENT,
    TABLE_REJECTED,
    TABLE_REJKEYS,
    TABLE_RUNS,
    TABLE_RUNIDS,
    TABLE_SYNCRUNS,
    TABLE_BATCHES,
    TABLE_RESULTS,
    TABLE_LIMITS,
    TABLE_MISC,
    TABLE_COUNT,
};

enum { STORE_KEY_MAX = 511, STORE_PLAIN_KEY_MAX = 400, STORE_HASHED_KEY_BYTES = 17 };

/* The tables' names in LMDB, by enum store_table. */
extern const char *const store_table_names[TABLE_COUNT];
enum { STORE_VERSION = 1 };

struct state_sync;

struct state {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi tables[TABLE_COUNT];
    char *dir;
    char id[STATE_ID_BYTES];
    uint64_t commit;
    uint64_t txn_number; /* of this process: cursors and caches of an older one are void */
    uint64_t writes;     /* in this transaction, each of a few pages at most */
    uint64_t next_check; /* value of writes at which room is looked at again */
    uint64_t held_pages; /* changed, but still with open syncs */
    uint64_t room_bytes; /* what a transaction gets at least */
    uint64_t map_bytes;
    const uint8_t *map; /* where it is, in this transaction */
    uint64_t reserve_bytes;
    uint64_t page_bytes;
    bool read_only;
    bool dirty;
    bool due;
    bool committing;
    bool broken;              /* LMDB dropped the transaction: only closing is left */
    struct state_sync *syncs; /* open ones */
};

/** Turns LMDB's code into ours. MDB_NOTFOUND becomes ERR_NOTFOUND without words. */
enum err_code store_error(struct state *s, int rc, struct err *err, const char *what);

/** For reads: in a read-only state takes the last commit; store_leave gives it back. Nests not. */
enum err_code store_enter(struct state *s, struct err *err) MUST_CHECK;
void store_leave(struct state *s);

/** Before each write of that many bytes: is there room in map and disk? Marks the transaction
 * dirty. */
enum err_code store_room(struct state *s, size_t bytes, struct err *err) MUST_CHECK;

/** An upper bound of the pages that a commit writes, its own free list among them. */
uint64_t store_changed_pages(struct state *s);
/** Length of what the last commit uses. */
uint64_t store_committed_bytes(struct state *s);
/** Gives the file its blocks up to need_bytes. Errors: ERR_FULL. */
enum err_code store_disk_room(struct state *s, uint64_t need_bytes, struct err *err) MUST_CHECK;

/** Makes a rename in dir durable. */
enum err_code store_sync_dir(const char *dir, struct err *err) MUST_CHECK;

static inline MDB_val store_val(const void *p, size_t n)
{
    return (MDB_val){n, (void *)(uintptr_t)p};
}
static inline struct slice store_slice(MDB_val v)
{
    return (struct slice){v.mv_data, v.mv_size};
}

/** ERR_NOTFOUND without words. The value is borrowed until the next write. */
enum err_code store_get(struct state *s, enum store_table t, struct slice key, struct slice *ret,
                        struct err *err) MUST_CHECK;
enum err_code store_put(struct state *s, enum store_table t, struct slice key, struct slice value,
                        struct err *err) MUST_CHECK;
/** Fine where there is none. */
enum err_code store_delete(struct state *s, enum store_table t, struct slice key,
                           struct err *err) MUST_CHECK;
enum err_code store_cursor(struct state *s, enum store_table t, MDB_cursor **ret,
                           struct err *err) MUST_CHECK;
static inline void store_cursor_close(MDB_cursor **c)
{
    if (*c)
        mdb_cursor_close(*c);
}
/** Moves to the first key at or behind prefix + rest; ERR_NOTFOUND when it has not that prefix. */
enum err_code store_seek(struct state *s, MDB_cursor *c, struct slice from, size_t prefix_bytes,
                         MDB_val *key, MDB_val *value, struct err *err) MUST_CHECK;
/** MDB_NEXT or MDB_PREV; ERR_NOTFOUND when the key does not start with prefix any more. */
enum err_code store_step(struct state *s, MDB_cursor *c, MDB_cursor_op op, struct slice prefix,
                         MDB_val *key, MDB_val *value, struct err *err) MUST_CHECK;
/** Moves to the last key before `before` that starts with prefix; ERR_NOTFOUND. before is not
 * empty. */
enum err_code store_before(struct state *s, MDB_cursor *c, struct slice before, struct slice prefix,
                           MDB_val *key, MDB_val *value, struct err *err) MUST_CHECK;
/** Moves to the last key that starts with prefix; ERR_NOTFOUND. */
enum err_code store_last(struct state *s, MDB_cursor *c, struct slice prefix, MDB_val *key,
                         MDB_val *value, struct err *err) MUST_CHECK;

/** Writes what open syncs hold back; called by state_commit. */
enum err_code store_flush_syncs(struct state *s, struct err *err) MUST_CHECK;
/** After a rollback: open syncs read their records again. */
enum err_code store_reload_syncs(struct state *s, struct err *err) MUST_CHECK;

/**
 * Writes sync id and name (or, for a long one, its hash) to out as a key; returns its length.
 * *ret_hashed: the value must hold the full name.
 */
size_t store_named_key(uint32_t sync_id, struct slice name, uint8_t *out, bool *ret_hashed);

#endif
