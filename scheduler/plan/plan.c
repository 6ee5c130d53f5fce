#include "scheduler/plan/plan.h"

#include "protocol/wire/record_json.h"
#include "scheduler/batch/spool.h"
#include "scheduler/history/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { LIMITS_COUNTED = 64, MAIN_GROUP = 1 };

struct reading {
    struct plan *plan;
    const struct sync *sync;
    size_t samples;
    struct batch_reader *reader;
    XXH3_state_t *digest;
    struct buf text;
    uint64_t tokens[LIMITS_COUNTED];
};

const char *plan_class_name(enum record_class class)
{
    static const char *const names[] = {
        [RECORD_ADDED] = "added", [RECORD_CHANGED] = "changed", [RECORD_REMOVED] = "removed"};
    return (size_t) class < ARRAY_LEN(names) ? names[class] : "unknown";
}

/* ---- samples ---- */

/* NULL where there is none, or it is too long. */
static char *text_of(struct buf *b, enum err_code rc)
{
    return rc || !b->len ? NULL : strndup(b->p, b->len);
}

static char *key_text(struct buf *b, const struct batch_head *h, const struct record *r)
{
    buf_reset(b);
    return text_of(b, record_key_json(b, h, r));
}

static char *fields_text(struct buf *b, const struct batch_head *h, const struct record *r)
{
    buf_reset(b);
    return text_of(b, record_fields_json(b, h, r));
}

static enum err_code add_sample(struct reading *rd, const struct manifest_entry *e,
                                const struct record *r, struct err *err)
{
    enum record_class class = e->class;
    struct plan *p = rd->plan;
    const struct batch_head *h = batch_reader_head(rd->reader);
    struct plan_sample *all =
        realloc(p->samples[class], (p->sample_count[class] + 1) * sizeof *all);
    if (!all)
        return err_set(err, ERR_NOMEM, "no memory for a plan");
    p->samples[class] = all;
    all[p->sample_count[class]++] = (struct plan_sample){
        .op = r->op,
        .key = key_text(&rd->text, h, r),
        .fields = fields_text(&rd->text, h, r),
        .state_key = e->key.n ? malloc(e->key.n) : NULL,
        .state_key_bytes = e->key.n,
    };
    struct plan_sample *one = &all[p->sample_count[class] - 1];
    if (!one->state_key && e->key.n)
        return err_set(err, ERR_NOMEM, "no memory for a plan");
    if (e->key.n)
        memcpy(one->state_key, e->key.p, e->key.n);
    return ERR_OK;
}

static bool wants(const struct reading *rd, struct slice manifest)
{
    struct manifest_entry e;
    struct err ignored;
    while (manifest.n && !manifest_next(&manifest, &e, &ignored))
        if ((size_t)e.class < PLAN_CLASSES && rd->plan->sample_count[e.class] < rd->samples)
            return true;
    return false;
}

static enum err_code sample(struct reading *rd, const struct frame *f, struct err *err)
{
    struct slice manifest = f->manifest;
    enum err_code rc = batch_reader_open(rd->reader, f->payload, err);
    bool more = true;
    while (!rc && more) {
        struct manifest_entry e;
        struct record r;
        rc = batch_reader_next(rd->reader, &r, &more, err);
        if (rc || !more)
            break;
        rc = manifest_next(&manifest, &e, err);
        if (!rc && (size_t)e.class < PLAN_CLASSES && rd->plan->sample_count[e.class] < rd->samples)
            rc = add_sample(rd, &e, &r, err);
    }
    return rc;
}

/* ---- time ---- */

static void count_tokens(struct reading *rd, const struct frame *f)
{
    uint32_t group = f->cost.group ? f->cost.group : MAIN_GROUP;
    for (size_t i = 0; rd->sync && i < rd->sync->destination->limit_count; i++) {
        const struct rate_limit *l = &rd->sync->destination->limits[i];
        if (i < LIMITS_COUNTED && (!l->group || l->group == group))
            rd->tokens[i] += l->kind == RATE_REQUESTS ? 1 : f->records;
    }
}

static void estimate(struct reading *rd)
{
    for (size_t i = 0; rd->sync && i < rd->sync->destination->limit_count; i++) {
        const struct rate_limit *l = &rd->sync->destination->limits[i];
        if (i >= LIMITS_COUNTED || !rd->tokens[i] || !l->count)
            continue;
        uint64_t ms = (rd->tokens[i] - 1) / l->count * l->per_ms;
        if (ms > rd->plan->least_ms)
            rd->plan->least_ms = ms;
    }
}

/* ---- the whole ---- */

static enum err_code read_frame(struct reading *rd, struct spool *spool, uint64_t i,
                                struct err *err)
{
    struct frame f;
    struct plan *p = rd->plan;
    enum err_code rc = spool_read(spool, i, &f, err);
    if (rc)
        return rc;
    p->records += f.records;
    XXH3_128bits_update(rd->digest, f.manifest.p, f.manifest.n);
    XXH3_128bits_update(rd->digest, f.payload.p, f.payload.n);
    count_tokens(rd, &f);
    if (!i && buf_put(&p->first, f.payload.p, f.payload.n))
        return err_set(err, ERR_NOMEM, "no memory for a plan");
    return wants(rd, f.manifest) ? sample(rd, &f, err) : ERR_OK;
}

static void put_digest(struct reading *rd)
{
    XXH128_canonical_t d;
    XXH128_canonicalFromHash(&d, XXH3_128bits_digest(rd->digest));
    for (size_t i = 0; i < sizeof d.digest; i++)
        snprintf(rd->plan->digest + 2 * i, 3, "%02x", d.digest[i]);
}

static enum err_code read_spool(struct reading *rd, struct spool *spool, struct err *err)
{
    enum err_code rc = ERR_OK;
    XXH3_128bits_reset(rd->digest);
    rd->plan->batches = spool_count(spool);
    for (uint64_t i = 0; i < rd->plan->batches && !rc; i++)
        rc = read_frame(rd, spool, i, err);
    if (rc)
        return rc;
    estimate(rd);
    put_digest(rd);
    return ERR_OK;
}

static void on_durable(void *ctx, const struct err *err)
{
    (void)ctx; /* nothing is written */
    (void)err;
}

enum err_code plan_read(struct event_base *base, const char *path, const struct sync *sync,
                        size_t samples, struct plan *ret_plan, struct err *err)
{
    struct spool *spool = NULL;
    bool damaged = false;
    *ret_plan = (struct plan){0};
    buf_init(&ret_plan->first, BATCH_BYTES_MAX);
    struct reading rd = {
        .plan = ret_plan,
        .sync = sync,
        .samples = samples < PLAN_SAMPLES_MAX ? samples : PLAN_SAMPLES_MAX,
        .reader = batch_reader_new(),
        .digest = XXH3_createState(),
    };
    buf_init(&rd.text, PLAN_SAMPLE_BYTES_MAX);
    enum err_code rc =
        rd.reader && rd.digest ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for a plan");
    if (!rc)
        rc = spool_open(base, path, on_durable, NULL, &spool, &damaged, err);
    if (!rc && damaged)
        rc = err_set(err, ERR_INVALID, "%s is damaged: plan again", path);
    if (!rc)
        rc = read_spool(&rd, spool, err);
    spool_close(spool);
    batch_reader_free(rd.reader);
    XXH3_freeState(rd.digest);
    buf_done(&rd.text);
    return rc;
}

/* ---- before ---- */

static bool take_accepted(void *ctx, const struct history_hit *hit)
{
    struct plan_sample *s = ctx;
    if (hit->verdict != HISTORY_ACCEPTED)
        return true;
    if (hit->fields.n)
        s->before = strndup(hit->fields.p, hit->fields.n);
    return false;
}

enum err_code plan_look_back(struct plan *plan, const char *state_dir, struct state *state,
                             const char *sync, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t class = RECORD_CHANGED; class < PLAN_CLASSES; class ++)
        for (size_t i = 0; i < plan->sample_count[class] && !rc; i++) {
            struct plan_sample *s = &plan->samples[class][i];
            rc = history_find(state_dir, state, sync, slice_of(s->state_key, s->state_key_bytes),
                              take_accepted, s, err);
        }
    return rc;
}

void plan_done(struct plan *plan)
{
    for (size_t class = 0; class < PLAN_CLASSES; class ++) {
        for (size_t i = 0; i < plan->sample_count[class]; i++) {
            free(plan->samples[class][i].key);
            free(plan->samples[class][i].fields);
            free(plan->samples[class][i].before);
            free(plan->samples[class][i].state_key);
        }
        free(plan->samples[class]);
    }
    buf_done(&plan->first);
    *plan = (struct plan){0};
}
