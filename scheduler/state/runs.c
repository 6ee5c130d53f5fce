/*
 * Reads and writes: `runs` (by start time and id), `runids` (id to start time), `syncruns` (by
 * sync). Invariant: a run is in all three or in none. A crash here: as everywhere in state.
 */
#include "scheduler/state/runs.h"

#include "scheduler/state/pack.h"
#include "scheduler/state/store.h"

enum { RUN_VERSION = 1, RUN_BYTES = 8192, RUN_KEY_BYTES = 8 + STATE_RUN_ID_MAX };
enum { PRUNE_STEP = 1000, PRUNE_KEEP = 1000 };

static const char *const status_names[] = {
    [RUN_READING] = "reading",     [RUN_PLANNED] = "planned",       [RUN_HELD] = "held",
    [RUN_SUCCESS] = "success",     [RUN_WARNING] = "warning",       [RUN_FAILED] = "failed",
    [RUN_CANCELLED] = "cancelled", [RUN_SUPERSEDED] = "superseded",
};

const char *run_status_name(enum run_status status)
{
    return (size_t)status < ARRAY_LEN(status_names) ? status_names[status] : "unknown";
}

bool run_status_ended(enum run_status status)
{
    return status >= RUN_SUCCESS;
}

/* ---- packing ---- */

static void pack_run(struct pack *k, const struct run_record *r)
{
    const uint64_t numbers[] = {
        (uint64_t)r->started_ms,
        (uint64_t)r->ended_ms,
        r->duration_ms,
        r->version,
        r->batches,
        r->counts.rows,
        r->counts.added,
        r->counts.changed,
        r->counts.removed,
        r->counts.unchanged,
        r->counts.invalid,
        r->counts.quarantined,
        r->counts.planned,
        r->counts.succeeded,
        r->counts.rejected,
        r->counts.failed,
        r->counts.cancelled,
        r->counts.requests,
        r->counts.retries,
        r->counts.bytes,
    };
    pack_u8(k, RUN_VERSION);
    pack_u8(k, (uint8_t)r->status);
    pack_u8(k, (uint8_t)(r->read_ended | r->published << 1 | r->fresh << 2 | r->waits << 3 |
                         r->plan << 4 | r->stream << 5));
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        pack_u64(k, numbers[i]);
    pack_bytes(k, r->mapping, sizeof r->mapping);
    pack_bytes(k, r->target, sizeof r->target);
    pack_str(k, r->id);
    pack_str(k, r->sync);
    pack_str(k, r->spool);
    pack_str(k, r->reason);
    pack_str(k, r->error);
    pack_u64(k, r->counts.warnings);
    pack_str(k, r->warning);
    pack_u64(k, (uint64_t)r->scheduled_ms);
    pack_str(k, r->trigger);
    pack_u64(k, r->counts.coalesced);
    pack_u64(k, r->counts.changes);
    pack_u64(k, r->counts.request_ms);
}

static enum err_code unpack_run(struct slice v, struct run_record *r, struct err *err)
{
    struct unpack u = {(const uint8_t *)v.p, v.n};
    *r = (struct run_record){0};
    uint8_t version = unpack_u8(&u);
    if (version != RUN_VERSION)
        return err_set(err, ERR_INVALID, "state: a run's record has version %u", version);
    r->status = (enum run_status)unpack_u8(&u);
    uint8_t flags = unpack_u8(&u);
    r->read_ended = flags & 1;
    r->published = flags & 2;
    r->fresh = flags & 4;
    r->waits = flags & 8;
    r->plan = flags & 16;
    r->stream = flags & 32;
    r->started_ms = (int64_t)unpack_u64(&u);
    r->ended_ms = (int64_t)unpack_u64(&u);
    uint64_t *numbers[] = {
        &r->duration_ms,        &r->version,          &r->batches,
        &r->counts.rows,        &r->counts.added,     &r->counts.changed,
        &r->counts.removed,     &r->counts.unchanged, &r->counts.invalid,
        &r->counts.quarantined, &r->counts.planned,   &r->counts.succeeded,
        &r->counts.rejected,    &r->counts.failed,    &r->counts.cancelled,
        &r->counts.requests,    &r->counts.retries,   &r->counts.bytes,
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        *numbers[i] = unpack_u64(&u);
    unpack_bytes(&u, r->mapping, sizeof r->mapping);
    unpack_bytes(&u, r->target, sizeof r->target);
    unpack_str(&u, r->id, sizeof r->id);
    unpack_str(&u, r->sync, sizeof r->sync);
    unpack_str(&u, r->spool, sizeof r->spool);
    unpack_str(&u, r->reason, sizeof r->reason);
    unpack_str(&u, r->error, sizeof r->error);
    r->counts.warnings = unpack_u64(&u);
    unpack_str(&u, r->warning, sizeof r->warning);
    r->scheduled_ms = (int64_t)unpack_u64(&u);
    unpack_str(&u, r->trigger, sizeof r->trigger);
    r->counts.coalesced = unpack_u64(&u);
    r->counts.changes = unpack_u64(&u);
    r->counts.request_ms = unpack_u64(&u);
    return ERR_OK;
}

/* ---- keys ---- */

static struct slice run_key(uint64_t started, struct slice id, uint8_t *out)
{
    size_t n = key_put_u64(out, started);
    memcpy(out + n, id.p, id.n);
    return slice_of(out, n + id.n);
}

/* sync, NUL, run_key; without a run it is the prefix of the sync's runs. */
static struct slice sync_key(const char *sync, struct slice run, uint8_t *out)
{
    size_t n = strlen(sync) + 1;
    memcpy(out, sync, n);
    if (run.n)
        memcpy(out + n, run.p, run.n);
    return slice_of(out, n + run.n);
}

static enum err_code check_run(const struct run_record *r, struct err *err)
{
    if (r->id[0] && memchr(r->id, '\0', sizeof r->id) && r->sync[0] &&
        memchr(r->sync, '\0', sizeof r->sync) && memchr(r->spool, '\0', sizeof r->spool) &&
        memchr(r->reason, '\0', sizeof r->reason) && memchr(r->error, '\0', sizeof r->error) &&
        memchr(r->warning, '\0', sizeof r->warning) && memchr(r->trigger, '\0', sizeof r->trigger))
        return ERR_OK;
    return err_set(err, ERR_INVALID, "state: a run needs an id and a sync");
}

enum err_code state_run_put(struct state *s, const struct run_record *r, struct err *err)
{
    enum err_code code = check_run(r, err);
    if (code)
        return code;
    uint8_t bytes[RUN_BYTES], key[RUN_KEY_BYTES], by_sync[STATE_NAME_MAX + 1 + RUN_KEY_BYTES];
    uint8_t started[8];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    pack_run(&k, r);
    ensure(!k.full);
    struct slice run = run_key((uint64_t)r->started_ms, slice_str(r->id), key);
    size_t n = key_put_u64(started, (uint64_t)r->started_ms);
    code = store_put(s, TABLE_RUNS, run, slice_of(bytes, k.n), err);
    if (!code)
        code = store_put(s, TABLE_RUNIDS, slice_str(r->id), slice_of(started, n), err);
    return code
               ? code
               : store_put(s, TABLE_SYNCRUNS, sync_key(r->sync, run, by_sync), SLICE_LIT("-"), err);
}

static enum err_code find_run(struct state *s, const char *id, struct run_record *ret,
                              struct err *err)
{
    struct slice v;
    size_t n = strlen(id);
    enum err_code code = n && n <= STATE_RUN_ID_MAX
                             ? store_get(s, TABLE_RUNIDS, slice_str(id), &v, err)
                             : ERR_NOTFOUND;
    uint8_t key[RUN_KEY_BYTES];
    if (!code)
        code = store_get(s, TABLE_RUNS, run_key(key_get_u64(v.p), slice_str(id), key), &v, err);
    return code ? code : unpack_run(v, ret, err);
}

enum err_code state_run_get(struct state *s, const char *id, struct run_record *ret,
                            struct err *err)
{
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    code = find_run(s, id, ret, err);
    store_leave(s);
    return code == ERR_NOTFOUND ? err_set(err, code, "there is no run %s", id) : code;
}

static bool take_first(void *ctx, const struct run_record *r)
{
    *(struct run_record *)ctx = *r;
    return false;
}

enum err_code state_run_last(struct state *s, const char *sync, struct run_record *ret,
                             struct err *err)
{
    ret->id[0] = '\0';
    enum err_code code = state_run_list(s, sync, 1, take_first, ret, err);
    if (code || ret->id[0])
        return code;
    return err_set(err, ERR_NOTFOUND, "%s has not run yet", sync);
}

/* To the newest run, or to the newest behind the mark. prefix: of the sync's runs, or empty. */
static enum err_code walk_start(struct state *s, MDB_cursor *c, struct slice prefix,
                                const struct run_mark *mark, MDB_val *k, MDB_val *v,
                                struct err *err)
{
    uint8_t run_bytes[RUN_KEY_BYTES], key[STATE_NAME_MAX + 1 + RUN_KEY_BYTES];
    if (!mark)
        return store_last(s, c, prefix, k, v, err);
    struct slice run = run_key((uint64_t)mark->started_ms, slice_str(mark->id), run_bytes);
    if (prefix.n)
        memcpy(key, prefix.p, prefix.n);
    memcpy(key + prefix.n, run.p, run.n);
    return store_before(s, c, slice_of(key, prefix.n + run.n), prefix, k, v, err);
}

/* Walks the newest first; sync NULL: of all. */
static enum err_code walk(struct state *s, const char *sync, const struct run_mark *mark,
                          size_t limit, state_run_cb cb, void *ctx, struct err *err)
{
    CLEANUP(store_cursor_close) MDB_cursor *c = NULL;
    uint8_t prefix_bytes[STATE_NAME_MAX + 1];
    struct slice prefix = {0};
    if (sync && strlen(sync) > STATE_NAME_MAX)
        return ERR_OK;
    if (sync)
        prefix = sync_key(sync, prefix, prefix_bytes);
    MDB_val k, v;
    enum err_code code = store_cursor(s, sync ? TABLE_SYNCRUNS : TABLE_RUNS, &c, err);
    if (!code)
        code = walk_start(s, c, prefix, mark, &k, &v, err);
    for (size_t n = 0; !code && (!limit || n < limit); n++) {
        struct slice run = slice_of((const char *)k.mv_data + prefix.n, k.mv_size - prefix.n);
        struct slice bytes = store_slice(v);
        struct run_record r;
        if (sync)
            code = store_get(s, TABLE_RUNS, run, &bytes, err);
        if (!code)
            code = unpack_run(bytes, &r, err);
        if (code || !cb(ctx, &r))
            return code;
        code = store_step(s, c, MDB_PREV, prefix, &k, &v, err);
    }
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

enum err_code state_run_list_from(struct state *s, const char *sync, const struct run_mark *mark,
                                  size_t limit, state_run_cb cb, void *ctx, struct err *err)
{
    enum err_code code = store_enter(s, err);
    if (code)
        return code;
    code = walk(s, sync, mark, limit, cb, ctx, err);
    store_leave(s);
    return code;
}

enum err_code state_run_list(struct state *s, const char *sync, size_t limit, state_run_cb cb,
                             void *ctx, struct err *err)
{
    return state_run_list_from(s, sync, NULL, limit, cb, ctx, err);
}

/* ---- pruning ---- */

struct prune {
    size_t keep;
    size_t seen;
    size_t count;
    struct {
        int64_t started_ms;
        char id[STATE_RUN_ID_MAX + 1];
    } old[PRUNE_STEP];
};

static bool collect_old(void *ctx, const struct run_record *r)
{
    struct prune *p = ctx;
    if (++p->seen <= p->keep || !run_status_ended(r->status))
        return true;
    p->old[p->count].started_ms = r->started_ms;
    memcpy(p->old[p->count].id, r->id, sizeof r->id);
    return ++p->count < PRUNE_STEP;
}

static enum err_code drop_run(struct state *s, const char *sync, int64_t started_ms, const char *id,
                              struct err *err)
{
    uint8_t key[RUN_KEY_BYTES], by_sync[STATE_NAME_MAX + 1 + RUN_KEY_BYTES];
    struct slice run = run_key((uint64_t)started_ms, slice_str(id), key);
    enum err_code code = store_delete(s, TABLE_RUNS, run, err);
    if (!code)
        code = store_delete(s, TABLE_RUNIDS, slice_str(id), err);
    return code ? code : store_delete(s, TABLE_SYNCRUNS, sync_key(sync, run, by_sync), err);
}

enum err_code state_run_prune(struct state *s, const char *sync, size_t keep, struct err *err)
{
    struct prune p = {.keep = keep ? keep : PRUNE_KEEP};
    enum err_code code = walk(s, sync, NULL, 0, collect_old, &p, err);
    for (size_t i = 0; i < p.count && !code; i++)
        code = drop_run(s, sync, p.old[i].started_ms, p.old[i].id, err);
    return code;
}
