/*
 * Reads: a state, or a part. Writes: a part, or the state, whose names point to what was added only
 * with the last commit. Invariant: until then what was added is marked to be swept. A crash here:
 * the marks are found by the next start, and the part can be added again.
 */
#include "scheduler/state/part.h"

#include "protocol/base/clock.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"
#include "scheduler/state/part_memory.h"
#include "scheduler/state/runs.h"
#include "scheduler/state/stream.h"
#include "scheduler/state/sync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a sync's id: everything but its record. */
static const enum store_table id_tables[] = {TABLE_KEYS,     TABLE_FREED,   TABLE_SLOTS,
                                             TABLE_REFUSED,  TABLE_SLOTIDS, TABLE_IDENT,
                                             TABLE_REJECTED, TABLE_REJKEYS};

static bool is_of_id(enum store_table t)
{
    for (size_t i = 0; i < ARRAY_LEN(id_tables); i++)
        if (id_tables[i] == t)
            return true;
    return false;
}

static struct slice name_key(const char *sync, uint8_t out[STATE_NAME_MAX + 2])
{
    out[0] = 'n';
    memcpy(out + 1, sync, strlen(sync));
    return slice_of(out, strlen(sync) + 1);
}

/* ---- export ---- */

struct sender {
    struct state *s;
    const struct state_part *part;
    pair_cb cb;
    void *ctx;
};

static enum err_code send_prefix(const struct sender *w, enum store_table t, struct slice prefix,
                                 struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    MDB_val k, v;
    enum err_code code = store_cursor(w->s, t, &c, err);
    if (!code)
        code = store_seek(w->s, c, prefix, prefix.n, &k, &v, err);
    while (!code) {
        code = w->cb(w->ctx, t, store_slice(k), store_slice(v), err);
        if (!code)
            code = store_step(w->s, c, MDB_NEXT, prefix, &k, &v, err);
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

static enum err_code send_one(const struct sender *w, enum store_table t, struct slice key,
                              struct err *err)
{
    struct slice v;
    enum err_code code = store_get(w->s, t, key, &v, err);
    if (code)
        return code == ERR_NOTFOUND ? ERR_OK : code;
    return w->cb(w->ctx, t, key, v, err);
}

/* Its record before its name: then the reader knows the id. Entries of a new target wait for the
 * approval of a run that ends with the move: they stay. */
static enum err_code send_sync(const struct sender *w, const char *sync, struct err *err)
{
    uint32_t id, fresh;
    uint8_t key[STATE_NAME_MAX + 2], prefix[4];
    enum err_code code = sync_lookup(w->s, sync, &id, &fresh, err);
    if (code == ERR_NOTFOUND || (!code && !id))
        return err_set(err, ERR_NOTFOUND, "this state has nothing of %s", sync);
    if (!code)
        code = send_one(w, TABLE_SYNCS, sync_id_key('i', id, key), err);
    if (!code)
        code = send_one(w, TABLE_SYNCS, name_key(sync, key), err);
    key_put_u32(prefix, id);
    for (size_t i = 0; i < ARRAY_LEN(id_tables) && !code; i++)
        code = send_prefix(w, id_tables[i], slice_of(prefix, sizeof prefix), err);
    return code;
}

/* A run's key among all is what stands behind the sync's name and a NUL. */
static enum err_code send_run(const struct sender *w, struct slice key, struct err *err)
{
    enum err_code code = send_one(w, TABLE_RUNS, key, err);
    return code ? code : send_one(w, TABLE_RUNIDS, slice_of(key.p + 8, key.n - 8), err);
}

static enum err_code send_runs(const struct sender *w, const char *sync, struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    MDB_val k, v;
    struct slice prefix = slice_of(sync, strlen(sync) + 1);
    enum err_code code = store_cursor(w->s, TABLE_SYNCRUNS, &c, err);
    if (!code)
        code = store_seek(w->s, c, prefix, prefix.n, &k, &v, err);
    while (!code) {
        struct slice key = store_slice(k);
        if (key.n > prefix.n + 8)
            code = send_run(w, slice_of(key.p + prefix.n, key.n - prefix.n), err);
        if (!code)
            code = w->cb(w->ctx, TABLE_SYNCRUNS, key, store_slice(v), err);
        if (!code)
            code = store_step(w->s, c, MDB_NEXT, prefix, &k, &v, err);
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

static enum err_code send_memory(const struct sender *w, const char *const *kinds, const char *of,
                                 struct err *err)
{
    enum err_code code = ERR_OK;
    for (; *kinds && !code; kinds++) {
        char name[PART_NAME_BYTES];
        if (snprintf(name, sizeof name, "%s:%s", *kinds, of) <= STATE_NAME_MAX)
            code = send_one(w, TABLE_MISC, slice_str(name), err);
    }
    return code;
}

static enum err_code send_quota(const struct sender *w, const char *quota, struct err *err)
{
    char name[PART_NAME_BYTES];
    uint8_t heir[PART_HEIR_BYTES];
    enum err_code code = send_one(w, TABLE_RESULTS, slice_str(quota), err);
    if (!code)
        code = send_one(w, TABLE_LIMITS, slice_str(quota), err);
    if (!code)
        code = send_memory(w, part_quota_kinds, quota, err);
    snprintf(name, sizeof name, PART_HEIR "%s", quota);
    return code ? code : w->cb(w->ctx, TABLE_MISC, slice_str(name), part_heir(w->s, heir), err);
}

static enum err_code send_origin(const struct sender *w, const char *sync, struct err *err)
{
    char name[PART_NAME_BYTES], origin[STATE_ID_BYTES];
    enum err_code code = state_sync_origin(w->s, sync, origin, err);
    snprintf(name, sizeof name, PART_ORIGIN "%s", sync);
    return code ? code : w->cb(w->ctx, TABLE_MISC, slice_str(name), slice_str(origin), err);
}

static enum err_code send_all(void *ctx, pair_cb cb, void *cb_ctx, struct err *err)
{
    struct sender w = *(struct sender *)ctx;
    enum err_code code = ERR_OK;
    w.cb = cb;
    w.ctx = cb_ctx;
    for (size_t i = 0; i < w.part->sync_count && !code; i++)
        code = send_sync(&w, w.part->syncs[i], err);
    for (size_t i = 0; i < w.part->sync_count && !code; i++)
        code = send_runs(&w, w.part->syncs[i], err);
    for (size_t i = 0; i < w.part->sync_count && !code; i++) {
        code = send_memory(&w, part_sync_kinds, w.part->syncs[i], err);
        if (!code)
            code = send_origin(&w, w.part->syncs[i], err);
    }
    for (size_t i = 0; i < w.part->quota_count && !code; i++)
        code = send_quota(&w, w.part->quotas[i], err);
    for (size_t i = 0; i < w.part->destination_count && !code; i++)
        code = send_memory(&w, part_destination_kinds, w.part->destinations[i], err);
    return code;
}

struct under_way {
    const char *sync;
    char run[STATE_RUN_ID_MAX + 1];
};

static bool find_under_way(void *ctx, const struct run_record *r)
{
    struct under_way *u = ctx;
    if (run_status_ended(r->status) || r->status == RUN_HELD)
        return true;
    memcpy(u->run, r->id, sizeof u->run);
    return false;
}

static enum err_code check_runs(struct state *s, const char *sync, struct err *err)
{
    struct under_way u = {.sync = sync};
    enum err_code code = state_run_list(s, sync, 0, find_under_way, &u, err);
    if (!code && *u.run)
        code = err_set(err, ERR_USAGE,
                       "run %s of %s is under way: let the scheduler that has it finish it "
                       "(`sluice pause %s` begins no other), stop that, and export then",
                       u.run, sync, sync);
    return code;
}

enum err_code state_part_export(struct state *s, const struct state_part *part, FILE *out,
                                struct transfer_counts *ret, struct err *err)
{
    struct sender w = {.s = s, .part = part};
    enum err_code code = ERR_OK;
    *ret = (struct transfer_counts){0};
    for (size_t i = 0; i < part->sync_count && !code; i++)
        code = check_runs(s, part->syncs[i], err);
    return code ? code : stream_write_part(s, send_all, &w, out, ret, err);
}

/* ---- import ---- */

struct taken {
    char name[STATE_NAME_MAX + 1];
    uint32_t was, is;
};

struct taker {
    struct state *s;
    struct taken *syncs;
    size_t count;
    struct buf held; /* ids of runs that were held, NUL behind each */
    struct stream_head head;
};

static struct taken *find_id(struct taker *t, uint32_t was)
{
    for (size_t i = t->count; i-- > 0;)
        if (t->syncs[i].was == was)
            return &t->syncs[i];
    return NULL;
}

static enum err_code foreign(struct err *err)
{
    return err_set(err, ERR_INVALID, "the export is damaged: it has what belongs to no sync of it");
}

/* A new id that is swept unless a name points to it in the end. */
static enum err_code take_record(struct taker *t, struct slice key, struct slice value,
                                 struct err *err)
{
    uint8_t own[8];
    if (key.n != 5 || find_id(t, key_get_u32(key.p + 1)))
        return foreign(err);
    struct taken *syncs = realloc(t->syncs, (t->count + 1) * sizeof *syncs);
    if (!syncs)
        return err_set(err, ERR_NOMEM, "state: no memory for syncs");
    t->syncs = syncs;
    struct taken *new = &syncs[t->count];
    *new = (struct taken){.was = key_get_u32(key.p + 1)};
    enum err_code code = sync_next_id(t->s, &new->is, err);
    if (!code)
        code = store_put(t->s, TABLE_SYNCS, sync_id_key('d', new->is, own), SLICE_LIT("-"), err);
    if (!code)
        code = store_put(t->s, TABLE_SYNCS, sync_id_key('i', new->is, own), value, err);
    t->count += !code;
    return code;
}

static enum err_code take_name(struct taker *t, struct slice key, struct slice value,
                               struct err *err)
{
    struct unpack u = {(const uint8_t *)value.p, value.n};
    struct taken *new = find_id(t, unpack_u32(&u));
    if (!new || key.n < 2 || key.n - 1 > STATE_NAME_MAX || *new->name)
        return foreign(err);
    memcpy(new->name, key.p + 1, key.n - 1);
    return ERR_OK;
}

static enum err_code take_entry(struct taker *t, enum store_table table, struct slice key,
                                struct slice value, struct err *err)
{
    uint8_t own[STORE_KEY_MAX];
    const struct taken *of =
        key.n >= 4 && key.n <= sizeof own ? find_id(t, key_get_u32(key.p)) : NULL;
    if (!of)
        return foreign(err);
    memcpy(own, key.p, key.n);
    key_put_u32(own, of->is);
    enum err_code code = store_put(t->s, table, slice_of(own, key.n), value, err);
    if (!code && state_commit_due(t->s))
        code = state_commit(t->s, err);
    return code;
}

static enum err_code take_pair(void *ctx, enum store_table table, struct slice key,
                               struct slice value, struct err *err)
{
    struct taker *t = ctx;
    if (table == TABLE_SYNCS && key.n && key.p[0] == 'i')
        return take_record(t, key, value, err);
    if (table == TABLE_SYNCS)
        return take_name(t, key, value, err);
    if (is_of_id(table))
        return take_entry(t, table, key, value, err);
    return store_put(t->s, table, key, value, err); /* the last commit has them */
}

/* ---- what is looked at before anything is written ---- */

struct checker {
    struct state *s;
    struct buf names; /* NUL behind each */
};

static enum err_code check_free(struct state *s, const char *sync, struct err *err)
{
    struct state_counts c;
    enum err_code code = state_sync_look(s, sync, &c, err);
    if (code == ERR_NOTFOUND)
        return ERR_OK;
    if (!code && (c.accepted || c.doubt))
        code =
            err_set(err, ERR_USAGE,
                    "this state has %s already: it is imported where nothing is known of it", sync);
    return code;
}

static enum err_code check_pair(void *ctx, enum store_table table, struct slice key,
                                struct slice value, struct err *err)
{
    struct checker *c = ctx;
    char name[STATE_NAME_MAX + 1];
    (void)value;
    if (table == TABLE_META || table == TABLE_BATCHES)
        return foreign(err);
    if (table != TABLE_SYNCS || !key.n || key.p[0] != 'n')
        return ERR_OK;
    if (key.n - 1 > STATE_NAME_MAX || key.n < 2)
        return foreign(err);
    memcpy(name, key.p + 1, key.n - 1);
    name[key.n - 1] = '\0';
    return check_free(c->s, name, err);
}

static enum err_code check_stream(struct state *s, FILE *in, struct err *err)
{
    struct checker c = {.s = s};
    struct stream_head head;
    struct transfer_counts counts;
    long begin = ftell(in);
    enum err_code code = begin < 0 ? err_errno(err, errno, "the export cannot be read twice")
                                   : stream_read_part(in, &head, check_pair, &c, &counts, err);
    if (!code && strcmp(head.id, state_id(s)) == 0)
        code = err_set(err, ERR_USAGE, "this state is the one that the export was made of");
    if (!code && fseek(in, begin, SEEK_SET))
        code = err_errno(err, errno, "the export cannot be read twice");
    return code;
}

/* ---- the last commit ---- */

static enum err_code end_held(struct state *s, const char *id, struct err *err)
{
    struct run_record r;
    enum err_code code = state_run_get(s, id, &r, err);
    if (code || run_status_ended(r.status))
        return code;
    r.status = RUN_CANCELLED;
    r.ended_ms = clock_wall_ms();
    run_recount(&r);
    r.counts.cancelled = r.counts.planned;
    *r.spool = '\0';
    snprintf(r.error, sizeof r.error, "its sync was moved to another state while it was held");
    return state_run_put(s, &r, err);
}

static bool collect_held(void *ctx, const struct run_record *r)
{
    struct buf *held = ctx;
    return run_status_ended(r->status) || !buf_put(held, r->id, strlen(r->id) + 1);
}

static enum err_code settle_sync(struct taker *t, const struct taken *new, struct err *err)
{
    uint8_t key[8];
    if (!*new->name)
        return foreign(err);
    buf_reset(&t->held);
    enum err_code code = state_sync_drop(t->s, new->name, err); /* what never was accepted */
    if (!code)
        code = store_delete(t->s, TABLE_SYNCS, sync_id_key('d', new->is, key), err);
    if (!code)
        code = sync_put_name(t->s, new->name, new->is, 0, err);
    if (!code)
        code = state_run_list(t->s, new->name, 0, collect_held, &t->held, err);
    const char *end = t->held.p + t->held.len;
    for (const char *p = t->held.p; !code && p && p < end; p += strlen(p) + 1)
        code = end_held(t->s, p, err);
    return code;
}

static enum err_code settle(struct taker *t, struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < t->count && !code; i++)
        code = settle_sync(t, &t->syncs[i], err);
    return code ? code : state_commit(t->s, err);
}

enum err_code state_part_import(struct state *s, FILE *in, struct transfer_counts *ret,
                                struct err *err)
{
    enum { HELD_BYTES_MAX = 1 << 20 };
    struct taker t = {.s = s};
    buf_init(&t.held, HELD_BYTES_MAX);
    *ret = (struct transfer_counts){0};
    enum err_code code = check_stream(s, in, err);
    if (!code)
        code = stream_read_part(in, &t.head, take_pair, &t, ret, err);
    if (!code)
        code = settle(&t, err);
    struct err ignored;
    if (code && state_rollback(s, &ignored))
        ignored.code = ERR_OK; /* what is marked is swept by the next start */
    free(t.syncs);
    buf_done(&t.held);
    return code;
}
