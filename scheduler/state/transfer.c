/*
 * Reads and writes: whole stores. Invariant: a restored store keeps its id and commit number, so
 * that Redis notices when it is older than what was done since. A crash here: the store that was
 * there stands.
 */
#include "scheduler/state/transfer.h"

#include "protocol/base/buf.h"
#include "protocol/base/clock.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/maker.h"
#include "scheduler/state/runs.h"
#include "scheduler/state/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { DROP_STEP = 10000, NAMES_BYTES_MAX = 16 << 20 };

static enum err_code put_pair(void *ctx, enum store_table t, struct slice key, struct slice value,
                              struct err *err)
{
    return maker_put(ctx, t, key, value, err);
}

enum err_code state_rebuild(const char *dir, struct err *err)
{
    struct state_options o = {.read_only = true};
    struct state *s = NULL;
    struct maker *m = NULL;
    enum err_code code = state_open(dir, &o, &s, err);
    if (!code)
        code = maker_new(dir, store_committed_bytes(s), &m, err);
    if (!code)
        code = store_each_pair(s, put_pair, m, err);
    state_close(s);
    if (!code)
        code = maker_place(m, err);
    maker_free(m);
    return code;
}

/* ---- runs whose batches stayed behind ---- */

struct leftovers {
    struct buf runs; /* ids, NUL behind each */
    struct buf asks; /* names of memos */
    enum err_code code;
};

static bool collect_run(void *ctx, const struct run_record *r)
{
    struct leftovers *l = ctx;
    if (!run_status_ended(r->status))
        l->code = buf_put(&l->runs, r->id, strlen(r->id) + 1);
    return !l->code;
}

static bool collect_ask(void *ctx, const char *name, struct slice value)
{
    struct leftovers *l = ctx;
    (void)value;
    l->code = buf_put(&l->asks, name, strlen(name) + 1);
    return !l->code;
}

static enum err_code end_run(struct state *s, const char *id, struct err *err)
{
    struct run_record r;
    bool more = true;
    enum err_code code = state_run_get(s, id, &r, err);
    if (code)
        return code;
    struct run_counts *c = &r.counts;
    r.status = RUN_FAILED;
    r.ended_ms = clock_wall_ms();
    run_recount(&r);
    uint64_t answered = c->succeeded + c->rejected + c->failed;
    c->cancelled = c->planned > answered ? c->planned - answered : 0;
    *r.spool = '\0';
    snprintf(r.error, sizeof r.error,
             "the state was restored from a copy that was made while this run was under way");
    while (!code && more)
        code = state_batch_drop(s, id, DROP_STEP, &more, err);
    return code ? code : state_run_put(s, &r, err);
}

static enum err_code end_runs(struct state *s, const struct leftovers *l, uint64_t *ret_count,
                              struct err *err)
{
    enum err_code code = ERR_OK;
    for (const char *p = l->runs.p; !code && p && p < l->runs.p + l->runs.len; p += strlen(p) + 1) {
        code = end_run(s, p, err);
        ++*ret_count;
    }
    for (const char *p = l->asks.p; !code && p && p < l->asks.p + l->asks.len; p += strlen(p) + 1)
        code = state_misc_put(s, p, (struct slice){0}, err);
    return code;
}

/* In a copy the spools are missing, and what was asked for is long done. The commit number stays:
 * it is the one at which the copy was made. */
static enum err_code settle_copy(const char *dir, uint64_t *ret_count, struct err *err)
{
    struct state *s = NULL;
    struct leftovers l = {0};
    buf_init(&l.runs, NAMES_BYTES_MAX);
    buf_init(&l.asks, NAMES_BYTES_MAX);
    enum err_code code = state_open(dir, NULL, &s, err);
    if (!code)
        code = state_run_list(s, NULL, 0, collect_run, &l, err);
    if (!code)
        code = state_misc_list(s, "ask:", collect_ask, &l, err);
    if (!code && l.code)
        code = err_set(err, l.code, "state: no memory for the names of runs");
    if (!code)
        code = end_runs(s, &l, ret_count, err);
    if (!code && state_dirty(s)) {
        s->commit--;
        code = state_commit(s, err);
    }
    state_close(s);
    buf_done(&l.runs);
    buf_done(&l.asks);
    return code;
}

static enum err_code sync_file(const char *dir, const char *name, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return rc ? err_errno(err, rc, "state: %s cannot be synced", path) : store_sync_dir(dir, err);
}

enum err_code state_backup(const char *from, const char *to, struct transfer_counts *ret,
                           struct err *err)
{
    *ret = (struct transfer_counts){0};
    enum err_code code = state_copy(from, to, err);
    if (!code)
        code = settle_copy(to, &ret->runs_ended, err);
    return code ? code : sync_file(to, "state.lmdb", err);
}

/* ---- streams ---- */

enum err_code state_import(const char *dir, FILE *in, struct transfer_counts *ret, struct err *err)
{
    struct maker *m = NULL;
    *ret = (struct transfer_counts){0};
    enum err_code code = maker_new(dir, 0, &m, err);
    if (!code)
        code = stream_read(in, put_pair, m, ret, err);
    if (!code)
        code = maker_place(m, err);
    maker_free(m);
    return code ? code : settle_copy(dir, &ret->runs_ended, err);
}

enum err_code state_export(const char *dir, FILE *out, struct transfer_counts *ret, struct err *err)
{
    struct state_options o = {.read_only = true};
    struct state *s = NULL;
    *ret = (struct transfer_counts){0};
    enum err_code code = state_open(dir, &o, &s, err);
    if (!code)
        code = stream_write(s, out, ret, err);
    state_close(s);
    return code;
}
