/* A project of several schedulers, seen from one: whose syncs its state has, and whose quotas it
 * may open. Reads: the project, state, what Redis knows. Writes: which shard the state is of.
 * Invariant: a quota that another state owned is opened only with a part of that state here, or by
 * somebody's word. A crash here: the next start looks again. */
#include "scheduler/run/engine_private.h"

#include "scheduler/run/approval.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"
#include "scheduler/state/part.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TELL_MAX = 50, SHARD_BYTES = 16 };

static const char shard_name[] = "shard";

/* ---- one of several, or the only one ---- */

static bool has_state(const char *dir)
{
    char path[PATH_MAX];
    struct stat st;
    return snprintf(path, sizeof path, "%s/state.lmdb", dir) < (int)sizeof path &&
           stat(path, &st) == 0;
}

/* Where there is none, or where there is something already, nothing moves. */
static enum err_code move(const char *from, const char *to, const char *name, struct err *err)
{
    char source[PATH_MAX], target[PATH_MAX];
    if (snprintf(source, sizeof source, "%s/%s", from, name) >= (int)sizeof source ||
        snprintf(target, sizeof target, "%s/%s", to, name) >= (int)sizeof target)
        return err_set(err, ERR_CONFIG, "state_dir: the path is too long");
    if (!rename(source, target) || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST)
        return ERR_OK;
    return err_errno(err, errno, "%s cannot be moved to %s", source, to);
}

/* The state last: until then the next start moves on. */
static enum err_code move_all(const char *from, const char *to, struct err *err)
{
    static const char *const names[] = {"spool", "history", "state.lmdb"};
    char lock[PATH_MAX];
    enum err_code rc = ERR_OK;
    if (snprintf(lock, sizeof lock, "%s/state.lmdb-lock", from) < (int)sizeof lock)
        unlink(lock);
    for (size_t i = 0; i < ARRAY_LEN(names) && !rc; i++)
        rc = move(from, to, names[i], err);
    return rc;
}

enum err_code engine_take_place(struct engine *e, struct err *err)
{
    const struct settings *s = &e->project->settings;
    char shard[PATH_MAX];
    struct state_lock lock;
    if (snprintf(shard, sizeof shard, "%s/shard-0", s->state_root) >= (int)sizeof shard)
        return err_set(err, ERR_CONFIG, "state_dir: the path is too long");
    const char *from = s->shards > 1 ? s->state_root : shard;
    if ((s->shards > 1 && s->shard != 0) || e->opts.offline || has_state(s->state_dir) ||
        !has_state(from))
        return ERR_OK;
    enum err_code rc = state_lock_take(&lock, from, err);
    if (rc)
        return rc;
    rc = move_all(from, s->state_dir, err);
    state_lock_release(&lock);
    if (!rc)
        log_event(e->opts.log, LOG_INFO, "state_moved", LOG_STR("from", from),
                  LOG_STR("to", s->state_dir));
    return rc;
}

/* ---- what is here ---- */

struct look {
    struct engine *e;
    unsigned told;
};

static const struct sync *elsewhere(const struct project *p, const char *sync)
{
    for (size_t i = 0; i < p->elsewhere_count; i++)
        if (strcmp(p->elsewhere[i].name, sync) == 0)
            return &p->elsewhere[i];
    return NULL;
}

static bool tell_elsewhere(void *ctx, const char *name)
{
    struct look *l = ctx;
    const struct sync *s = elsewhere(l->e->project, name);
    if (!s)
        return true;
    log_event(l->e->opts.log, LOG_WARN, "state_of_other_shard", LOG_STR("sync", name),
              LOG_INT("shard", s->destination->shard),
              LOG_STR("do", "sluice --shard HERE state export FILE SYNC…, then sluice --shard "
                            "THERE state import FILE --merge; sluice --shard HERE state drop "
                            "SYNC…"));
    return ++l->told < TELL_MAX;
}

static enum err_code note_shard(struct engine *e, struct err *err)
{
    CLEANUP(buf_done) struct buf known;
    const struct settings *s = &e->project->settings;
    uint8_t bytes[SHARD_BYTES];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    buf_init(&known, SHARD_BYTES);
    enum err_code rc = state_misc_get(e->state, shard_name, &known, err);
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    struct unpack u = {(const uint8_t *)known.p, known.len};
    uint32_t shard = unpack_u32(&u), shards = unpack_u32(&u);
    uint32_t own = s->shards > 1 ? (uint32_t)s->shard : 0;
    e->sharded = s->shards > 1 || shards > 1;
    if (shards == s->shards && shard == own)
        return ERR_OK;
    if (shards)
        log_event(e->opts.log, LOG_WARN, "shards_changed", LOG_INT("was_shard", shard),
                  LOG_INT("was_of", shards), LOG_INT("shard", own), LOG_INT("of", s->shards));
    if (!shards && s->shards < 2)
        return ERR_OK; /* as ever */
    pack_u32(&k, own);
    pack_u32(&k, s->shards);
    return state_misc_put(e->state, shard_name, slice_of(bytes, k.n), err);
}

enum err_code engine_shard_look(struct engine *e, struct err *err)
{
    struct look l = {.e = e};
    enum err_code rc = note_shard(e, err);
    return rc ? rc : state_sync_names(e->state, tell_elsewhere, &l, err);
}

/* ---- whose quotas ---- */

static enum err_code send_everything(struct engine *e, const struct quota *q, struct err *err)
{
    log_event(
        e->opts.log, LOG_WARN, "state_lost", LOG_STR("quota", quota_name(q)),
        LOG_STR("reason", "Redis knows a later commit or another state: every row is sent again"));
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < e->project->sync_count && !rc; i++) {
        const struct sync *s = &e->project->syncs[i];
        if (strcmp(s->destination->quota, quota_name(q)) == 0)
            rc = resync_mark(e->state, s->name, "state was lost or restored", err);
    }
    if (rc)
        engine_fail(e, err);
    return rc;
}

static enum err_code refuse(const struct quota *q, const struct queue_opened *o, struct err *err)
{
    return err_set(
        err, ERR_CONFIG,
        "the quota %s is of another state, %s: bring its syncs here, so that no row is "
        "sent again (`sluice --shard THERE state export FILE SYNC…`, `sluice --shard HERE "
        "state import FILE --merge`), or start with --take-over to send every row",
        quota_name(q), o->other_state);
}

enum err_code engine_on_state_lost(void *ctx, struct quota *q, const struct queue_opened *o,
                                   bool *ret_heir, struct err *err)
{
    struct engine *e = ctx;
    enum err_code rc = ERR_OK;
    *ret_heir = false;
    if (o->same_state || !*o->other_state)
        return send_everything(e, q, err);
    rc = state_part_is_heir(e->state, quota_name(q), o->other_state, o->commit, ret_heir, err);
    if (rc)
        return rc;
    if (*ret_heir) {
        log_event(e->opts.log, LOG_INFO, "quota_moved_here", LOG_STR("quota", quota_name(q)),
                  LOG_STR("from", o->other_state));
        return ERR_OK;
    }
    return e->sharded && !e->opts.take_over ? refuse(q, o, err) : send_everything(e, q, err);
}

enum err_code engine_quota_goes_on(void *ctx, struct quota *q, struct err *err)
{
    struct engine *e = ctx;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < e->project->sync_count && !rc; i++) {
        const struct sync *s = &e->project->syncs[i];
        if (strcmp(s->destination->quota, quota_name(q)) == 0)
            rc = state_part_goes_on(e->state, s->name, err);
    }
    return rc;
}
