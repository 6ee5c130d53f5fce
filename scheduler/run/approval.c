#include "scheduler/run/approval.h"

#include "protocol/base/buf.h"
#include "scheduler/run/sync_run_private.h"
#include "scheduler/state/limits.h"

#include <stdio.h>
#include <xxhash.h>

enum { DIGEST_TEXT_MAX = 4 << 20, MARK_NAME_BYTES = 256 };

static enum err_code put_text(struct buf *b, const char *s)
{
    enum err_code rc = buf_printf(b, "%zu:", s ? strlen(s) : 0);
    return rc || !s ? rc : buf_puts(b, s);
}

static enum err_code put_transform(struct buf *b, const struct transform *t)
{
    enum err_code rc = buf_printf(b, "t%d,%lld,%lld,%d,", (int)t->kind, (long long)t->from,
                                  (long long)t->length, t->has_fallback);
    rc = rc ? rc : put_text(b, t->kind == TRANSFORM_HMAC ? NULL : t->text); /* no secret */
    rc = rc ? rc : put_text(b, t->with);
    rc = rc ? rc : put_text(b, t->fallback);
    for (size_t i = 0; i < t->table_count && !rc; i++) {
        rc = put_text(b, t->table[i].from);
        rc = rc ? rc : put_text(b, t->table[i].to_null ? NULL : t->table[i].to);
    }
    if (!rc && t->inner_count)
        rc = buf_printf(b, "i%zu,", t->inner_count);
    for (size_t i = 0; i < t->inner_count && !rc; i++)
        rc = put_transform(b, &t->inner[i]);
    return rc;
}

static enum err_code put_mapping(struct buf *b, const struct mapping *m)
{
    enum err_code rc = buf_printf(b, "m%d,%d,", (int)m->kind, (int)m->if_null);
    rc = rc ? rc : put_text(b, m->from);
    rc = rc ? rc : put_text(b, m->constant);
    rc = rc ? rc : put_text(b, m->to);
    rc = rc ? rc : put_text(b, m->fallback);
    for (size_t i = 0; i < m->transform_count && !rc; i++)
        rc = put_transform(b, &m->transforms[i]);
    return rc;
}

/* Nothing for a whole table. */
static enum err_code put_choice(struct buf *b, const struct model *m)
{
    enum err_code rc = m->where ? buf_puts(b, "where,") : ERR_OK;
    if (!rc && m->where)
        rc = put_text(b, m->where);
    for (size_t i = 0; i < m->column_count && !rc; i++)
        rc = put_text(b, m->columns[i]);
    return rc;
}

static enum err_code digest(const struct sync *sync, XXH128_canonical_t *out)
{
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, DIGEST_TEXT_MAX);
    enum err_code rc =
        buf_printf(&b, "%d,%d,%d,", (int)sync->mode, (int)sync->on_removed, sync->map_all);
    rc = rc ? rc : put_text(&b, sync->model->name);
    rc = rc ? rc : put_choice(&b, sync->model);
    rc = rc ? rc : put_text(&b, sync->destination->name);
    for (size_t i = 0; i < sync->mapping_count && !rc; i++)
        rc = put_mapping(&b, &sync->mappings[i]);
    if (!rc)
        XXH128_canonicalFromHash(out, XXH3_128bits(b.p, b.len));
    return rc;
}

static const char *mark_name(const char *kind, const char *of, char *out)
{
    snprintf(out, MARK_NAME_BYTES, "%s:%s", kind, of);
    return out;
}

enum err_code approval_note(struct state *state, const char *run, const struct sync *sync,
                            struct err *err)
{
    XXH128_canonical_t d;
    char name[MARK_NAME_BYTES];
    if (digest(sync, &d))
        return err_set(err, ERR_NOMEM, "run %s: no memory", run);
    return state_misc_put(state, mark_name("hold", run, name), slice_of(d.digest, sizeof d.digest),
                          err);
}

enum err_code approval_forget(struct state *state, const char *run, struct err *err)
{
    char name[MARK_NAME_BYTES];
    return state_misc_put(state, mark_name("hold", run, name), (struct slice){0}, err);
}

static enum err_code same_mapping(struct state *state, const struct run_record *run,
                                  const struct sync *sync, struct err *err)
{
    XXH128_canonical_t d;
    char name[MARK_NAME_BYTES];
    CLEANUP(buf_done) struct buf kept;
    buf_init(&kept, MARK_NAME_BYTES);
    enum err_code rc = state_misc_get(state, mark_name("hold", run->id, name), &kept, err);
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    if (digest(sync, &d))
        return err_set(err, ERR_NOMEM, "run %s: no memory", run->id);
    if (rc || !slice_eq(buf_slice(&kept), slice_of(d.digest, sizeof d.digest)))
        return err_set(
            err, ERR_USAGE,
            "run %s cannot be approved: the mapping or mode of sync %s, or what it reads of its "
            "table, changed since it was held; plan again with: sluice run %s",
            run->id, sync->name, sync->name);
    return ERR_OK;
}

static enum err_code same_state(struct state *state, const struct run_record *run,
                                const struct sync *sync, struct err *err)
{
    struct state_sync *ss = NULL;
    enum err_code rc = run->fresh ? state_sync_open_fresh(state, sync->name, &ss, err)
                                  : state_sync_open(state, sync->name, &ss, err);
    if (rc)
        return rc;
    bool same = state_sync_version(ss) == run->version;
    state_sync_close(ss);
    return same ? ERR_OK
                : err_set(err, ERR_USAGE,
                          "run %s cannot be approved: the state of sync %s changed since it was "
                          "held; plan "
                          "again with: sluice run %s",
                          run->id, sync->name, sync->name);
}

enum err_code approval_check(struct state *state, const struct run_record *run,
                             const struct sync *sync, struct err *err)
{
    uint8_t target[16];
    if (run->status != RUN_HELD)
        return err_set(err, ERR_USAGE, "run %s is not held: it is %s", run->id,
                       run_status_name(run->status));
    if (!run->read_ended)
        return err_set(err, ERR_USAGE,
                       "run %s cannot be approved: nothing was planned. Mend the model or the "
                       "mapping, then run the sync",
                       run->id);
    if (!sync)
        return err_set(err, ERR_USAGE,
                       "run %s cannot be approved: the project has no sync %s any more", run->id,
                       run->sync);
    if (run_target(sync, target))
        return err_set(err, ERR_NOMEM, "run %s: no memory", run->id);
    if (memcmp(target, run->target, sizeof target) != 0)
        return err_set(err, ERR_USAGE,
                       "run %s cannot be approved: the target of sync %s changed since it was "
                       "held; plan again "
                       "with: sluice run %s",
                       run->id, sync->name, sync->name);
    enum err_code rc = same_mapping(state, run, sync, err);
    return rc ? rc : same_state(state, run, sync, err);
}

enum err_code resync_mark(struct state *state, const char *sync, const char *why, struct err *err)
{
    char name[MARK_NAME_BYTES];
    return state_misc_put(state, mark_name("resync", sync, name), slice_str(why), err);
}

static enum err_code is_marked(struct state *state, const char *kind, const char *of, bool *ret,
                               struct err *err)
{
    char name[MARK_NAME_BYTES];
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, RUN_TEXT_MAX);
    enum err_code rc = state_misc_get(state, mark_name(kind, of, name), &b, err);
    *ret = !rc;
    return rc == ERR_NOTFOUND ? ERR_OK : rc;
}

enum err_code resync_wanted(struct state *state, const char *sync, bool *ret_wanted,
                            struct err *err)
{
    return is_marked(state, "resync", sync, ret_wanted, err);
}

static void begun_mark(const char *run, char out[MARK_NAME_BYTES])
{
    snprintf(out, MARK_NAME_BYTES, "run:%s", run);
}

enum err_code resync_begun(struct state *state, const char *sync, const char *run, struct err *err)
{
    char name[MARK_NAME_BYTES], begun[MARK_NAME_BYTES];
    begun_mark(run, begun);
    return state_misc_put(state, mark_name("resync", sync, name), slice_str(begun), err);
}

enum err_code resync_done(struct state *state, const char *sync, const char *run, struct err *err)
{
    char name[MARK_NAME_BYTES], begun[MARK_NAME_BYTES];
    CLEANUP(buf_done) struct buf mark;
    buf_init(&mark, RUN_TEXT_MAX);
    enum err_code rc = state_misc_get(state, mark_name("resync", sync, name), &mark, err);
    begun_mark(run, begun);
    if (rc)
        return rc == ERR_NOTFOUND ? ERR_OK : rc;
    return slice_eq_str(buf_slice(&mark), begun)
               ? state_misc_put(state, name, (struct slice){0}, err)
               : ERR_OK;
}

enum err_code first_run_over(struct state *state, const char *sync, struct err *err)
{
    bool over;
    char name[MARK_NAME_BYTES];
    enum err_code rc = first_run_is_over(state, sync, &over, err);
    return rc || over ? rc
                      : state_misc_put(state, mark_name("begun", sync, name), SLICE_LIT("-"), err);
}

enum err_code first_run_is_over(struct state *state, const char *sync, bool *ret_over,
                                struct err *err)
{
    return is_marked(state, "begun", sync, ret_over, err);
}
