/* Reads: run records, newest first. Writes: sums. A crash here: nothing is lost, nothing is kept.
 */
#include "scheduler/capacity/history.h"

#include <math.h>
#include <stdlib.h>

#include "scheduler/state/runs.h"

static const int64_t HOUR_MS = 3600000;

/* ---- one quota ---- */

static struct capacity_load load_of(const struct run_record *run)
{
    const struct run_counts *c = &run->counts;
    return (struct capacity_load){
        .records = (double)(c->succeeded + c->rejected + c->failed),
        .requests = (double)c->requests,
        .batches = c->requests ? (double)run->batches : 0,
        .bytes = (double)c->bytes,
        .rows = (double)c->rows,
    };
}

bool capacity_past_add(struct capacity_past *past, const struct run_record *run, int64_t now_ms)
{
    int64_t first_ms = now_ms - HISTORY_HOURS * HOUR_MS;
    int64_t end_ms = run->ended_ms ? run->ended_ms : now_ms;
    int64_t start_ms = run->started_ms < end_ms ? run->started_ms : end_ms - 1;
    if (end_ms <= first_ms || start_ms >= now_ms)
        return false;
    struct capacity_load load = load_of(run);
    double whole = (double)(end_ms - start_ms);
    for (int h = 0; h < HISTORY_HOURS; h++) {
        int64_t from = first_ms + h * HOUR_MS, to = from + HOUR_MS;
        from = from > start_ms ? from : start_ms;
        to = to < end_ms ? to : end_ms;
        if (to <= from)
            continue;
        double share = (double)(to - from) / whole;
        capacity_load_add(&past->hours[h], &load, share);
        capacity_load_add(&past->total, &load, share);
    }
    if (run->counts.request_ms) {
        past->request_ms += (double)run->counts.request_ms;
        past->timed_requests += load.requests;
    }
    past->runs++;
    return true;
}

void capacity_past_loads(const struct capacity_past *past, double days,
                         struct capacity_load *ret_day, struct capacity_load *ret_hour)
{
    struct capacity_load most = {0};
    for (int h = 0; h < HISTORY_HOURS; h++) {
        const struct capacity_load *at = &past->hours[h];
        most = (struct capacity_load){
            .records = fmax(most.records, at->records),
            .requests = fmax(most.requests, at->requests),
            .batches = fmax(most.batches, at->batches),
            .bytes = fmax(most.bytes, at->bytes),
            .rows = fmax(most.rows, at->rows),
        };
    }
    *ret_day = (struct capacity_load){0};
    capacity_load_add(ret_day, &past->total, days > 0 ? 1 / days : 0);
    *ret_hour = most;
}

/* ---- the project ---- */

struct reading {
    struct capacity_past *past;
    int64_t now_ms;
    int64_t *first_ms;
};

static bool on_run(void *ctx, const struct run_record *run)
{
    struct reading *r = ctx;
    if (run->status == RUN_SUPERSEDED)
        return true;
    if (!capacity_past_add(r->past, run, r->now_ms))
        return run->started_ms >= r->now_ms; /* older ones follow */
    if (run->started_ms < *r->first_ms)
        *r->first_ms = run->started_ms;
    return true;
}

static struct capacity_past *past_of(struct capacity_history *h, const char *quota)
{
    for (size_t i = 0; i < h->count; i++)
        if (strcmp(h->pasts[i].quota, quota) == 0)
            return &h->pasts[i];
    return NULL;
}

const struct capacity_past *capacity_history_of(const struct capacity_history *h, const char *quota)
{
    return past_of((struct capacity_history *)h, quota);
}

static enum err_code read_syncs(struct state *state, const struct project *project, int64_t now_ms,
                                struct capacity_history *h, struct err *err)
{
    int64_t first_ms = now_ms;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < project->sync_count && !rc; i++) {
        const struct sync *s = &project->syncs[i];
        struct reading r = {past_of(h, s->destination->quota), now_ms, &first_ms};
        rc = state_run_list(state, s->name, 0, on_run, &r, err);
    }
    for (size_t i = 0; i < h->count; i++)
        h->runs += h->pasts[i].runs;
    double days = (double)(now_ms - first_ms) / (24 * (double)HOUR_MS);
    h->days = h->runs ? fmin(7, fmax(1, days)) : 0;
    return rc;
}

enum err_code capacity_history_read(struct state *state, const struct project *project,
                                    int64_t now_ms, struct capacity_history *ret, struct err *err)
{
    *ret = (struct capacity_history){0};
    ret->pasts = calloc(project->destination_count + 1, sizeof *ret->pasts);
    if (!ret->pasts)
        return err_set(err, ERR_NOMEM, "no memory for the history of %zu destinations",
                       project->destination_count);
    for (size_t i = 0; i < project->destination_count; i++)
        if (!past_of(ret, project->destinations[i].quota))
            ret->pasts[ret->count++].quota = project->destinations[i].quota;
    return state ? read_syncs(state, project, now_ms, ret, err) : ERR_OK;
}

void capacity_history_done(struct capacity_history *h)
{
    free(h->pasts);
    *h = (struct capacity_history){0};
}
