/*
 * Reads: state_dir/state.lmdb. Writes: the same, one transaction at a time.
 * Invariant: a transaction is only begun with room for it in the map, and only committed with room
 * for it on the disk, because LMDB drops a transaction that runs into either. A crash here: LMDB's
 * last commit stands; the file may be longer than it needs to be.
 */
#include "scheduler/state/store.h"

#include "protocol/base/random.h"
#include "scheduler/state/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { STORE_OPEN_BYTES = 256 << 10 };

static const uint64_t map_default_bytes = 16ull << 30;
static const uint64_t map_least_bytes = 1ull << 20;

const char *const store_table_names[TABLE_COUNT] = {
    [TABLE_META] = "meta",         [TABLE_SYNCS] = "syncs",     [TABLE_KEYS] = "keys",
    [TABLE_FREED] = "freed",       [TABLE_SLOTS] = "slots",     [TABLE_REFUSED] = "refused",
    [TABLE_SLOTIDS] = "slotids",   [TABLE_IDENT] = "ident",     [TABLE_REJECTED] = "rejected",
    [TABLE_REJKEYS] = "rejkeys",   [TABLE_RUNS] = "runs",       [TABLE_RUNIDS] = "runids",
    [TABLE_SYNCRUNS] = "syncruns", [TABLE_BATCHES] = "batches", [TABLE_RESULTS] = "results",
    [TABLE_LIMITS] = "limits",     [TABLE_MISC] = "misc",
};

enum err_code store_error(struct state *s, int rc, struct err *err, const char *what)
{
    if (rc == MDB_SUCCESS)
        return ERR_OK;
    if (rc == MDB_NOTFOUND)
        return err_set(err, ERR_NOTFOUND, "state: %s: not there", what);
    enum err_code code = ERR_IO; /* a full disk too: ERR_FULL says that nothing was lost */
    if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ||
        rc == MDB_VERSION_MISMATCH || rc == MDB_PANIC)
        code = ERR_INVALID;
    else if (rc == ENOMEM)
        code = ERR_NOMEM;
    if (s)
        s->broken = true; /* LMDB marks the transaction: none of its changes can be kept */
    return err_set(err, code, "state: %s: %s", what, mdb_strerror(rc));
}

/* ---- transactions ---- */

/* Only between transactions: the map is twice what is used, and never without a transaction's room.
 */
static enum err_code grow_map(struct state *s, struct err *err)
{
    uint64_t used = store_committed_bytes(s);
    uint64_t want = used + (used > s->room_bytes ? used : s->room_bytes);
    if (want <= s->map_bytes)
        return ERR_OK;
    want = (want + (1u << 20) - 1) & ~((uint64_t)(1u << 20) - 1);
    int rc = mdb_env_set_mapsize(s->env, want);
    if (rc)
        return store_error(s, rc, err, "growing the map");
    s->map_bytes = want;
    return ERR_OK;
}

static enum err_code begin(struct state *s, struct err *err)
{
    enum err_code code = grow_map(s, err);
    if (code)
        return code;
    int rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);
    if (rc) {
        s->txn = NULL;
        return store_error(s, rc, err, "beginning a transaction");
    }
    MDB_envinfo info;
    s->map = mdb_env_info(s->env, &info) == 0 ? info.me_mapaddr : NULL;
    s->txn_number++;
    s->writes = 0;
    s->held_pages = 0;
    s->next_check = 0;
    s->dirty = false;
    s->due = false;
    return ERR_OK;
}

enum err_code store_enter(struct state *s, struct err *err)
{
    if (s->broken)
        return err_set(err, ERR_IO, "state: lost its transaction: open it again");
    if (!s->read_only)
        return ERR_OK;
    int rc = mdb_txn_renew(s->txn);
    if (rc == MDB_MAP_RESIZED) {
        rc = mdb_env_set_mapsize(s->env, 0);
        if (!rc)
            rc = mdb_txn_renew(s->txn);
    }
    return store_error(s, rc, err, "reading");
}

void store_leave(struct state *s)
{
    if (s->read_only && s->txn)
        mdb_txn_reset(s->txn);
}

/* ---- tables ---- */

enum err_code store_get(struct state *s, enum store_table t, struct slice key, struct slice *ret,
                        struct err *err)
{
    if (UNLIKELY(s->broken))
        return err_set(err, ERR_IO, "state: lost its transaction: open it again");
    MDB_val k = store_val(key.p, key.n), v;
    int rc = mdb_get(s->txn, s->tables[t], &k, &v);
    if (rc == MDB_NOTFOUND)
        return ERR_NOTFOUND;
    if (rc)
        return store_error(s, rc, err, store_table_names[t]);
    *ret = store_slice(v);
    return ERR_OK;
}

enum err_code store_put(struct state *s, enum store_table t, struct slice key, struct slice value,
                        struct err *err)
{
    enum err_code code = store_room(s, value.n, err);
    if (code)
        return code;
    MDB_val k = store_val(key.p, key.n), v = store_val(value.p, value.n);
    return store_error(s, mdb_put(s->txn, s->tables[t], &k, &v, 0), err, store_table_names[t]);
}

enum err_code store_delete(struct state *s, enum store_table t, struct slice key, struct err *err)
{
    enum err_code code = store_room(s, 0, err);
    if (code)
        return code;
    MDB_val k = store_val(key.p, key.n);
    int rc = mdb_del(s->txn, s->tables[t], &k, NULL);
    return rc == MDB_NOTFOUND ? ERR_OK : store_error(s, rc, err, store_table_names[t]);
}

enum err_code store_cursor(struct state *s, enum store_table t, MDB_cursor **ret, struct err *err)
{
    if (UNLIKELY(s->broken))
        return err_set(err, ERR_IO, "state: lost its transaction: open it again");
    return store_error(s, mdb_cursor_open(s->txn, s->tables[t], ret), err, store_table_names[t]);
}

static bool starts_with(MDB_val key, struct slice prefix)
{
    return prefix.n == 0 ||
           (key.mv_size >= prefix.n && memcmp(key.mv_data, prefix.p, prefix.n) == 0);
}

enum err_code store_seek(struct state *s, MDB_cursor *c, struct slice from, size_t prefix_bytes,
                         MDB_val *key, MDB_val *value, struct err *err)
{
    *key = store_val(from.p, from.n);
    int rc = from.n ? mdb_cursor_get(c, key, value, MDB_SET_RANGE)
                    : mdb_cursor_get(c, key, value, MDB_FIRST);
    if (rc == MDB_NOTFOUND || (!rc && !starts_with(*key, slice_of(from.p, prefix_bytes))))
        return ERR_NOTFOUND;
    return store_error(s, rc, err, "looking for a key");
}

enum err_code store_step(struct state *s, MDB_cursor *c, MDB_cursor_op op, struct slice prefix,
                         MDB_val *key, MDB_val *value, struct err *err)
{
    int rc = mdb_cursor_get(c, key, value, op);
    if (rc == MDB_NOTFOUND || (!rc && !starts_with(*key, prefix)))
        return ERR_NOTFOUND;
    return store_error(s, rc, err, "stepping through keys");
}

enum err_code store_before(struct state *s, MDB_cursor *c, struct slice before, struct slice prefix,
                           MDB_val *key, MDB_val *value, struct err *err)
{
    *key = store_val(before.p, before.n);
    int rc = mdb_cursor_get(c, key, value, MDB_SET_RANGE);
    if (rc && rc != MDB_NOTFOUND)
        return store_error(s, rc, err, "looking for the key before");
    return store_step(s, c, rc ? MDB_LAST : MDB_PREV, prefix, key, value, err);
}

enum err_code store_last(struct state *s, MDB_cursor *c, struct slice prefix, MDB_val *key,
                         MDB_val *value, struct err *err)
{
    uint8_t after[STORE_KEY_MAX];
    size_t n = prefix.n;
    if (n)
        memcpy(after, prefix.p, n);
    while (n && after[n - 1] == UINT8_MAX)
        n--;
    if (!n)
        return store_step(s, c, MDB_LAST, prefix, key, value, err);
    after[n - 1]++;
    return store_before(s, c, slice_of(after, n), prefix, key, value, err);
}

size_t store_named_key(uint32_t sync_id, struct slice name, uint8_t *out, bool *ret_hashed)
{
    size_t n = key_put_u32(out, sync_id);
    *ret_hashed = name.n > STORE_PLAIN_KEY_MAX;
    if (!*ret_hashed) {
        if (name.n)
            memcpy(out + n, name.p, name.n);
        return n + name.n;
    }
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(name.p, name.n));
    out[n] = 'h'; /* no tag of key.h */
    memcpy(out + n + 1, hash.digest, sizeof hash.digest);
    return n + STORE_HASHED_KEY_BYTES;
}

/* ---- opening ---- */

static enum err_code read_meta(struct state *s, struct err *err)
{
    struct slice v = {0};
    enum err_code code = store_get(s, TABLE_META, SLICE_LIT("head"), &v, err);
    if (code == ERR_NOTFOUND)
        return err_set(err, ERR_INVALID, "state: %s/state.lmdb is not a state of Sluice", s->dir);
    if (code)
        return code;
    struct unpack u = {(const uint8_t *)v.p, v.n};
    uint8_t version = unpack_u8(&u);
    if (version != STORE_VERSION)
        return err_set(
            err, ERR_INVALID,
            "state: %s/state.lmdb has version %u, this program reads version %d: use the "
            "program that wrote it",
            s->dir, version, STORE_VERSION);
    s->commit = unpack_u64(&u);
    unpack_str(&u, s->id, sizeof s->id);
    return strlen(s->id) == STATE_ID_BYTES - 1
               ? ERR_OK
               : err_set(err, ERR_INVALID, "state: %s/state.lmdb is damaged: its head", s->dir);
}

static enum err_code write_meta(struct state *s, struct err *err)
{
    uint8_t bytes[64];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    pack_u8(&k, STORE_VERSION);
    pack_u64(&k, s->commit);
    pack_str(&k, s->id);
    ensure(!k.full);
    return store_put(s, TABLE_META, SLICE_LIT("head"), slice_of(bytes, k.n), err);
}

static enum err_code open_tables(struct state *s, struct err *err)
{
    unsigned flags = s->read_only ? MDB_RDONLY : 0;
    int rc = mdb_txn_begin(s->env, NULL, flags, &s->txn);
    if (rc)
        return store_error(s, rc, err, "opening");
    for (int i = 0; i < TABLE_COUNT && !rc; i++)
        rc = mdb_dbi_open(s->txn, store_table_names[i], s->read_only ? 0 : MDB_CREATE,
                          &s->tables[i]);
    if (rc) {
        mdb_txn_abort(s->txn);
        s->txn = NULL;
        if (rc == MDB_NOTFOUND)
            rc = MDB_INVALID;
        return store_error(s, rc, err, "opening the tables");
    }
    MDB_stat st;
    enum err_code code = store_error(s, mdb_stat(s->txn, s->tables[TABLE_META], &st), err, "meta");
    if (!code && st.ms_entries == 0 && !s->read_only) {
        random_hex(s->id, STATE_ID_BYTES - 1);
        s->next_check = UINT64_MAX; /* there is nothing yet that could be measured */
        code = write_meta(s, err);
    }
    if (code) {
        mdb_txn_abort(s->txn);
        s->txn = NULL;
        return code;
    }
    rc = mdb_txn_commit(s->txn);
    s->txn = NULL;
    return store_error(s, rc, err, "opening the tables");
}

/* A file that lost its end would be met by SIGBUS later on. */
static enum err_code check_size(struct state *s, struct err *err)
{
    int fd;
    struct stat st;
    if (mdb_env_get_fd(s->env, &fd) != 0 || fstat(fd, &st) != 0)
        return err_errno(err, errno, "state: cannot look at %s", s->dir);
    if (st.st_size && (uint64_t)st.st_size < store_committed_bytes(s))
        return err_set(
            err, ERR_INVALID,
            "state: %s/state.lmdb is damaged: %lld bytes long, %llu are in use; restore it "
            "from a backup",
            s->dir, (long long)st.st_size, (unsigned long long)store_committed_bytes(s));
    return ERR_OK;
}

static enum err_code open_env(struct state *s, struct err *err)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/state.lmdb", s->dir) >= sizeof path)
        return err_set(err, ERR_CONFIG, "state: the path %s is too long", s->dir);
    struct stat st;
    bool there = stat(path, &st) == 0 && st.st_size > 0;
    if (!there && s->read_only)
        return err_set(err, ERR_NOTFOUND, "state: there is none yet in %s", s->dir);
    int rc = mdb_env_create(&s->env);
    if (!rc)
        rc = mdb_env_set_maxdbs(s->env, TABLE_COUNT);
    if (!rc && !s->read_only)
        rc = mdb_env_set_mapsize(s->env, s->room_bytes);
    if (!rc)
        rc = mdb_env_open(s->env, path, MDB_NOSUBDIR | MDB_NOTLS | (s->read_only ? MDB_RDONLY : 0),
                          0600);
    if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED)
        return err_set(err, ERR_INVALID,
                       "state: %s is damaged or of another program (%s); restore it from a backup",
                       path, mdb_strerror(rc));
    return store_error(NULL, rc, err, path);
}

enum err_code store_sync_dir(const char *dir, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int e = errno;
        if (fd >= 0)
            close(fd);
        return err_errno(err, e, "state: cannot sync %s", dir);
    }
    close(fd);
    return ERR_OK;
}

static enum err_code open_state(struct state *s, struct err *err)
{
    enum err_code code = open_env(s, err);
    if (code)
        return code;
    int dead;
    MDB_envinfo info;
    MDB_stat st;
    mdb_reader_check(s->env, &dead); /* readers that were killed would keep old pages from reuse */
    if (mdb_env_info(s->env, &info) != 0 || mdb_env_stat(s->env, &st) != 0)
        return err_set(err, ERR_IO, "state: cannot look at %s", s->dir);
    s->map_bytes = info.me_mapsize;
    s->page_bytes = st.ms_psize;
    code = check_size(s, err);
    if (!code && !s->read_only)
        code = store_disk_room(s, store_committed_bytes(s) + STORE_OPEN_BYTES, err);
    if (!code)
        code = open_tables(s, err);
    if (code)
        return code;
    if (s->read_only) {
        int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->txn);
        code = store_error(s, rc, err, "reading");
        if (!code)
            code = read_meta(s, err);
        store_leave(s);
        return code;
    }
    code = store_sync_dir(s->dir, err);
    if (!code)
        code = begin(s, err);
    return code ? code : read_meta(s, err);
}

enum err_code state_open(const char *dir, const struct state_options *opts,
                         struct state **ret_state, struct err *err)
{
    struct state *s = calloc(1, sizeof *s);
    if (!s || !(s->dir = strdup(dir))) {
        free(s);
        return err_set(err, ERR_NOMEM, "state: out of memory");
    }
    uint64_t room = opts && opts->map_bytes ? opts->map_bytes : map_default_bytes;
    s->room_bytes = room < map_least_bytes ? map_least_bytes : room;
    s->reserve_bytes = opts ? opts->reserve_bytes : 0;
    s->read_only = opts && opts->read_only;
    enum err_code code = open_state(s, err);
    if (code)
        state_close(s);
    else
        *ret_state = s;
    return code;
}

void state_close(struct state *s)
{
    if (!s)
        return;
    ensure(!s->syncs);
    if (s->txn)
        mdb_txn_abort(s->txn);
    if (s->env)
        mdb_env_close(s->env);
    free(s->dir);
    free(s);
}

const char *state_id(const struct state *s)
{
    return s->id;
}

uint64_t state_commit_number(const struct state *s)
{
    return s->commit;
}

const char *state_dir(const struct state *s)
{
    return s->dir;
}

bool state_dirty(const struct state *s)
{
    return s->dirty;
}

bool state_commit_due(const struct state *s)
{
    return s->due;
}

enum err_code state_commit(struct state *s, struct err *err)
{
    if (s->broken || s->read_only)
        return store_room(s, 0, err);
    if (!s->dirty)
        return ERR_OK;
    enum err_code code =
        store_disk_room(s, store_committed_bytes(s) + store_changed_pages(s) * s->page_bytes, err);
    if (code)
        return code;
    s->committing = true; /* room was made: what is held back may be written */
    code = store_flush_syncs(s, err);
    s->committing = false;
    if (code)
        return code;
    s->commit++;
    s->committing = true;
    code = write_meta(s, err);
    s->committing = false;
    if (code)
        return code;
    int rc = mdb_txn_commit(s->txn);
    s->txn = NULL;
    if (rc)
        return store_error(s, rc, err, "committing");
    code = begin(s, err);
    if (code)
        s->broken = true;
    return code;
}

enum err_code state_rollback(struct state *s, struct err *err)
{
    if (s->broken || s->read_only)
        return store_room(s, 0, err);
    mdb_txn_abort(s->txn);
    s->txn = NULL;
    enum err_code code = begin(s, err);
    if (!code)
        code = read_meta(s, err);
    if (!code)
        code = store_reload_syncs(s, err);
    if (code)
        s->broken = true;
    return code;
}
