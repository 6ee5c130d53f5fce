/*
 * Reads: nothing. Writes: dir/state.new, which becomes dir/state.lmdb in one step.
 * Invariant: pages are filled in order and never freed but by LMDB's own splits, whose copies are
 * of live pairs. A crash here: the old file stands; state.new is written anew.
 */
#include "scheduler/state/maker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { COMMIT_BYTES = 64 << 20 };
static const uint64_t map_spare_bytes = 1ull << 30;

struct maker {
    char dir[PATH_MAX];
    char part[PATH_MAX];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi tables[TABLE_COUNT];
    uint64_t map_bytes;
    uint64_t pending; /* bytes since the last commit */
    uint64_t put;     /* bytes in all */
};

static enum err_code begin(struct maker *m, struct err *err)
{
    uint64_t want = m->put * 3 + map_spare_bytes; /* half-filled pages, and the next transaction */
    int rc = want > m->map_bytes ? mdb_env_set_mapsize(m->env, want) : 0;
    if (!rc && want > m->map_bytes)
        m->map_bytes = want;
    if (!rc)
        rc = mdb_txn_begin(m->env, NULL, 0, &m->txn);
    return store_error(NULL, rc, err, "making a new file");
}

static enum err_code commit(struct maker *m, struct err *err)
{
    int rc = mdb_txn_commit(m->txn);
    m->txn = NULL;
    m->pending = 0;
    return store_error(NULL, rc, err, "making a new file");
}

static enum err_code open_tables(struct maker *m, struct err *err)
{
    int rc = 0;
    for (int i = 0; i < TABLE_COUNT && !rc; i++)
        rc = mdb_dbi_open(m->txn, store_table_names[i], MDB_CREATE, &m->tables[i]);
    return store_error(NULL, rc, err, "making a new file");
}

static enum err_code start(struct maker *m, struct err *err)
{
    if (unlink(m->part) && errno != ENOENT)
        return err_errno(err, errno, "state: %s cannot be removed", m->part);
    int rc = mdb_env_create(&m->env);
    if (!rc)
        rc = mdb_env_set_maxdbs(m->env, TABLE_COUNT);
    if (!rc)
        rc =
            mdb_env_open(m->env, m->part, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | MDB_NOTLS, 0600);
    if (rc)
        return store_error(NULL, rc, err, m->part);
    enum err_code code = begin(m, err);
    return code ? code : open_tables(m, err);
}

enum err_code maker_new(const char *dir, uint64_t expected_bytes, struct maker **ret,
                        struct err *err)
{
    struct maker *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(err, ERR_NOMEM, "state: out of memory");
    m->put = expected_bytes;
    enum err_code code = ERR_OK;
    if ((size_t)snprintf(m->dir, sizeof m->dir, "%s", dir) >= sizeof m->dir ||
        (size_t)snprintf(m->part, sizeof m->part, "%s/state.new", dir) >= sizeof m->part)
        code = err_set(err, ERR_CONFIG, "state: the path %s is too long", dir);
    if (!code)
        code = start(m, err);
    m->put = 0;
    if (code)
        maker_free(m);
    else
        *ret = m;
    return code;
}

void maker_free(struct maker *m)
{
    if (!m)
        return;
    if (m->txn)
        mdb_txn_abort(m->txn);
    if (m->env)
        mdb_env_close(m->env);
    unlink(m->part);
    free(m);
}

enum err_code maker_put(struct maker *m, enum store_table t, struct slice key, struct slice value,
                        struct err *err)
{
    MDB_val k = store_val(key.p, key.n), v = store_val(value.p, value.n);
    enum err_code code = ERR_OK;
    if (m->pending > COMMIT_BYTES) {
        code = commit(m, err);
        if (!code)
            code = begin(m, err);
    }
    if (code)
        return code;
    int rc = key.n && key.n <= STORE_KEY_MAX ? mdb_put(m->txn, m->tables[t], &k, &v, MDB_APPEND)
                                             : MDB_BAD_VALSIZE;
    if (rc == MDB_KEYEXIST || rc == MDB_BAD_VALSIZE)
        return err_set(err, ERR_INVALID, "state: damaged: the pairs of %s are not in order",
                       store_table_names[t]);
    m->pending += key.n + value.n + 64;
    m->put += key.n + value.n + 64;
    return store_error(NULL, rc, err, store_table_names[t]);
}

/*
 * Whoever opens a file takes its lock file with it, whose numbers belong to that file. Old readers
 * keep both; the removals on both sides of the rename leave none for the new file to be opened
 * with.
 */
static enum err_code swap(struct maker *m, struct err *err)
{
    char path[PATH_MAX], lock[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/state.lmdb", m->dir) >= sizeof path ||
        (size_t)snprintf(lock, sizeof lock, "%s/state.lmdb-lock", m->dir) >= sizeof lock)
        return err_set(err, ERR_CONFIG, "state: the path %s is too long", m->dir);
    unlink(lock);
    if (rename(m->part, path))
        return err_errno(err, errno, "state: %s cannot take the place of %s", m->part, path);
    unlink(lock);
    return store_sync_dir(m->dir, err);
}

enum err_code maker_place(struct maker *m, struct err *err)
{
    enum err_code code = commit(m, err);
    if (!code)
        code = store_error(NULL, mdb_env_sync(m->env, 1), err, "syncing a new file");
    if (code)
        return code;
    mdb_env_close(m->env);
    m->env = NULL;
    return swap(m, err);
}

/* ---- reading ---- */

static enum err_code each_in(struct state *s, enum store_table t, pair_cb cb, void *ctx,
                             struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    MDB_val k, v;
    enum err_code code = store_cursor(s, t, &c, err);
    if (!code)
        code = store_seek(s, c, (struct slice){0}, 0, &k, &v, err);
    while (!code) {
        code = cb(ctx, t, store_slice(k), store_slice(v), err);
        if (!code)
            code = store_step(s, c, MDB_NEXT, (struct slice){0}, &k, &v, err);
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

enum err_code store_each_pair(struct state *s, pair_cb cb, void *ctx, struct err *err)
{
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    for (int t = 0; t < TABLE_COUNT && !code; t++)
        code = each_in(s, (enum store_table)t, cb, ctx, err);
    store_leave(s);
    return code;
}
