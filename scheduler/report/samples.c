#include "scheduler/report/samples.h"

#include "protocol/base/clock.h"
#include "scheduler/state/limits.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- throttled time ---- */

void throttle_name(const char *quota, char out[THROTTLE_NAME_BYTES])
{
    snprintf(out, THROTTLE_NAME_BYTES, "throttle:%s", quota);
}

uint64_t throttle_get(struct state *s, const char *quota)
{
    char name[THROTTLE_NAME_BYTES];
    struct err err;
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 64);
    throttle_name(quota, name);
    if (state_misc_get(s, name, &text, &err) || !buf_cstr(&text))
        return 0;
    return strtoull(text.p, NULL, 10);
}

enum err_code throttle_add(struct state *s, const char *quota, uint64_t ms, struct err *err)
{
    char name[THROTTLE_NAME_BYTES], text[32];
    throttle_name(quota, name);
    snprintf(text, sizeof text, "%llu", (unsigned long long)(throttle_get(s, quota) + ms));
    return state_misc_put(s, name, slice_str(text), err);
}

/* ---- syncs ---- */

static enum err_code take_sync(struct control *c, const struct sync *sync, struct sync_sample *out,
                               struct err *err)
{
    struct err ignored;
    struct run_record last;
    out->sync = sync;
    enum err_code rc = ledger_get(control_state(c), sync->name, &out->ledger, err);
    /* What a run has counted stays counted, while it is held and from its end on, not only from
     * when its end is durable and told: counters never fall. */
    if (!rc && !state_run_last(control_state(c), sync->name, &last, &ignored)) {
        ledger_count(&out->ledger, &last);
        if (last.status == RUN_HELD)
            ledger_show(&out->ledger, &last.counts);
    }
    if (!rc)
        rc = control_sync_look(c, sync->name, &out->view, err);
    if (!rc && state_sync_look(control_state(c), sync->name, &out->entries, &ignored))
        out->entries = (struct state_counts){0}; /* nothing was ever planned */
    return rc;
}

static enum err_code take_syncs(struct control *c, struct samples *s, struct err *err)
{
    const struct project *p = control_project(c);
    enum err_code rc = ERR_OK;
    s->syncs = calloc(p->sync_count + 1, sizeof *s->syncs);
    if (!s->syncs)
        return err_set(err, ERR_NOMEM, "no memory for metrics");
    for (size_t i = 0; i < p->sync_count && !rc; i++)
        rc = take_sync(c, &p->syncs[i], &s->syncs[i], err);
    s->sync_count = p->sync_count;
    return rc;
}

/* What has ended may still be among them; the ledger has it then. */
static void show_runs(struct control *c, struct samples *s)
{
    size_t count;
    const struct control_run_view *runs = control_runs(c, &count);
    for (size_t i = 0; i < count; i++) {
        const struct run_record *r = runs[i].record;
        if (run_status_ended(r->status) || r->status == RUN_HELD)
            continue;
        for (size_t k = 0; k < s->sync_count; k++)
            if (strcmp(s->syncs[k].sync->name, r->sync) == 0 &&
                strcmp(s->syncs[k].ledger.last_run, r->id) != 0)
                ledger_show(&s->syncs[k].ledger, &r->counts);
    }
}

/* ---- quotas ---- */

/* Of the largest batches that go there. */
static uint64_t batch_records(const struct project *p, const char *quota)
{
    uint64_t most = 0;
    for (size_t i = 0; i < p->sync_count; i++)
        if (strcmp(p->syncs[i].destination->quota, quota) == 0 && p->syncs[i].batch_size > most)
            most = p->syncs[i].batch_size;
    return most;
}

static void take_quota(struct control *c, const struct demand_part *part, struct quota_sample *out)
{
    const char *quota = part->destination->quota;
    *out = (struct quota_sample){
        .destination = part->destination,
        .view = part->view,
        .paused = part->work.paused,
        .runnable = work_runnable(part->destination, &part->view, part->work.paused,
                                  batch_records(control_project(c), quota)),
        .slots = part->need.slots + part->need.unmeasured,
        .throttled_ms = throttle_get(control_state(c), quota),
    };
}

static enum err_code take_quotas(struct control *c, struct samples *s, struct err *err)
{
    struct demand d;
    enum err_code rc = demand_take(c, &d, err);
    if (rc)
        return rc;
    s->desired_workers = d.workers;
    s->worker_load = d.load;
    s->quotas = calloc(d.part_count + 1, sizeof *s->quotas);
    for (size_t i = 0; i < d.part_count && s->quotas; i++)
        take_quota(c, &d.parts[i], &s->quotas[s->quota_count++]);
    demand_done(&d);
    return s->quotas ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for metrics");
}

/* ---- all ---- */

enum err_code samples_take(struct control *c, struct samples *ret, struct err *err)
{
    *ret = (struct samples){.now_ms = clock_wall_ms()};
    enum err_code rc = take_syncs(c, ret, err);
    if (!rc)
        rc = take_quotas(c, ret, err);
    if (rc) {
        samples_done(ret);
        return rc;
    }
    show_runs(c, ret);
    return ERR_OK;
}

void samples_done(struct samples *s)
{
    free(s->syncs);
    free(s->quotas);
    s->syncs = NULL;
    s->quotas = NULL;
}
