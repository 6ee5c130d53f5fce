#include "scheduler/report/demand.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/connector/connector.h"
#include "scheduler/batch/batcher.h"

void demand_limit_text(const struct rate_limit *limit, char out[DEMAND_LIMIT_BYTES])
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (limit->per_ms % units[i].ms)
        i++;
    int n = snprintf(out, DEMAND_LIMIT_BYTES, "%s per %" PRIu64 "%s",
                     limit->kind == RATE_REQUESTS ? "requests" : "records",
                     limit->per_ms / units[i].ms, units[i].unit);
    if (limit->group)
        snprintf(out + n, DEMAND_LIMIT_BYTES - (size_t)n, ", group %u", limit->group);
}

static struct demand_part *find(struct demand *d, const char *quota)
{
    for (size_t i = 0; i < d->part_count; i++)
        if (strcmp(d->parts[i].destination->quota, quota) == 0)
            return &d->parts[i];
    return NULL;
}

/* ---- quotas ---- */

/* Those that count what a batch begins with; what later requests of it cost is not looked at. */
static void take_limits(struct demand_part *part)
{
    const struct destination *d = part->destination;
    const struct control_quota_view *v = &part->view;
    struct work_quota *w = &part->work;
    for (size_t i = 0; i < d->limit_count && w->limit_count < WORK_LIMITS_MAX; i++) {
        const struct rate_limit *l = &d->limits[i];
        bool told = i < v->limit_count;
        if (l->group > QUEUE_GROUP_MAIN)
            continue;
        w->limits[w->limit_count++] = (struct work_limit){
            .index = i,
            .kind = l->kind,
            .count = l->count,
            .per_ms = l->per_ms,
            .used = told ? v->limit_used[i] : 0,
            .returns = told && v->limit_returns ? v->limit_returns[i] : 0,
        };
    }
}

/* What a driver other than http does is no HTTPS. */
static bool is_https(const struct destination *d)
{
    const char *url = destination_option(d, "url");
    return strcmp(d->connector->driver, "http") == 0 && (!url || strncmp(url, "https:", 6) == 0);
}

static void take_quota(struct control *c, struct demand_part *part)
{
    const struct destination *d = part->destination;
    struct control_quota_view *v = &part->view;
    if (control_quota_look(c, d, v))
        *v = (struct control_quota_view){.quota = d->quota, .factor = 1};
    part->work = (struct work_quota){
        .open = v->open && !v->error,
        .paused = true,
        .leased = v->now.leased,
        .closed_ms = v->now.throttled_left_ms,
        .factor = v->factor,
        .concurrency = d->concurrency,
        .cost = v->now.cost,
        .https = is_https(d),
    };
    if (part->work.cost.requests_per_batch < 1)
        part->work.cost.requests_per_batch = 1;
    take_limits(part);
}

static enum err_code take_quotas(struct control *c, struct demand *d, struct err *err)
{
    const struct project *p = control_project(c);
    d->parts = calloc(p->destination_count + 1, sizeof *d->parts);
    if (!d->parts)
        return err_set(err, ERR_NOMEM, "no memory to look at the destinations");
    for (size_t i = 0; i < p->destination_count; i++) {
        const struct destination *to = &p->destinations[i];
        struct demand_part *part = find(d, to->quota);
        if (!part) {
            part = &d->parts[d->part_count++];
            part->destination = to;
            take_quota(c, part);
        }
        part->work.paused &= control_destination_paused(c, to->name);
        /* A refresh token that changes with each use, and no key under which workers share it. */
        d->fleet.single |= destination_rotates(to) && !p->settings.seal_key;
    }
    return ERR_OK;
}

/* ---- batches ---- */

static const struct quota_sync *queue_of(const struct demand_part *part, const char *sync)
{
    for (size_t i = 0; i < part->view.sync_count; i++)
        if (strcmp(part->view.syncs[i].sync, sync) == 0)
            return &part->view.syncs[i];
    return NULL;
}

static void add_batches(struct work_quota *w, uint64_t batches, uint64_t parked, uint64_t lanes)
{
    w->batches += batches;
    w->at_once += batches < lanes ? batches : lanes;
    w->parked += parked;
}

static uint64_t lanes_of(const struct sync *sync)
{
    if (sync->one_lane)
        return 1;
    return sync->lane_by || sync->lane_field ? BATCHER_LANES : UINT64_MAX;
}

/* What a batch is like, on average over the runs: each counts as much as it has to send. */
static void weigh(struct work_quota *w, const struct sync *sync, const struct run_record *r,
                  uint64_t due)
{
    const struct run_counts *c = &r->counts;
    double records = r->batches ? (double)c->planned / (double)r->batches : sync->batch_size;
    double kib = c->requests ? (double)c->bytes / (double)c->requests / 1024 : 0;
    double before = (double)w->batches, all = before + (double)due;
    if (!due)
        return;
    w->batch_records = (w->batch_records * before + records * (double)due) / all;
    w->request_kib = (w->request_kib * before + kib * (double)due) / all;
}

static enum err_code add_run(struct control *c, struct demand *d, const struct control_run_view *v,
                             struct err *err)
{
    const struct sync *sync = project_sync(control_project(c), v->record->sync);
    struct demand_part *part = sync ? find(d, sync->destination->quota) : NULL;
    struct control_sync_view look;
    if (!part || !v->batches_due)
        return ERR_OK;
    enum err_code rc = control_sync_look(c, sync->name, &look, err);
    if (rc || look.paused || look.destination_paused)
        return rc;
    const struct quota_sync *queue = queue_of(part, sync->name);
    uint64_t parked = queue ? queue->parked : 0;
    uint64_t due = v->batches_due > parked ? v->batches_due - parked : 0;
    weigh(&part->work, sync, v->record, due);
    add_batches(&part->work, due, parked, lanes_of(sync));
    return ERR_OK;
}

/* What a sync that is no longer in the project has left in the queue. */
static void add_strays(struct control *c, struct demand_part *part)
{
    for (size_t i = 0; i < part->view.sync_count; i++) {
        const struct quota_sync *s = &part->view.syncs[i];
        if (!project_sync(control_project(c), s->sync))
            add_batches(&part->work, s->queued + s->leased, s->parked, UINT64_MAX);
    }
}

static enum err_code take_batches(struct control *c, struct demand *d, struct err *err)
{
    size_t count;
    const struct control_run_view *runs = control_runs(c, &count);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < count && !rc; i++)
        rc = add_run(c, d, &runs[i], err);
    for (size_t i = 0; i < d->part_count; i++)
        add_strays(c, &d->parts[i]);
    return rc;
}

/* ---- all ---- */

/* Destinations of other shards, which workers serve as well; they stand behind one's own. */
static size_t count_elsewhere(const struct project *p)
{
    size_t all = p->destination_count;
    for (size_t i = 0; i < p->elsewhere_count; i++) {
        size_t n = (size_t)(p->elsewhere[i].destination - p->destinations) + 1;
        all = n > all ? n : all;
    }
    return all - p->destination_count;
}

static void judge(struct demand *d, size_t elsewhere)
{
    struct work_sum sum = {0};
    d->fleet.quotas = (uint32_t)(d->part_count + elsewhere);
    for (size_t i = 0; i < d->part_count; i++) {
        struct demand_part *part = &d->parts[i];
        work_judge(&part->work, &d->fleet, &part->need);
        work_add(&sum, &part->need);
    }
    d->slots = work_slots(&sum, &d->fleet);
    d->workers = work_workers(&sum, &d->fleet);
    d->load = work_load(&sum, &d->fleet);
}

enum err_code demand_take(struct control *c, struct demand *ret, struct err *err)
{
    const struct settings *s = &control_project(c)->settings;
    *ret = (struct demand){.fleet = {.slots = s->worker_slots, .drain_ms = s->drain_within_ms}};
    enum err_code rc = take_quotas(c, ret, err);
    if (!rc)
        rc = take_batches(c, ret, err);
    if (rc) {
        demand_done(ret);
        return rc;
    }
    judge(ret, count_elsewhere(control_project(c)));
    return ERR_OK;
}

void demand_done(struct demand *d)
{
    free(d->parts);
    d->parts = NULL;
    d->part_count = 0;
}
