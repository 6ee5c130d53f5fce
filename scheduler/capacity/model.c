/* Reads: loads, limits, costs. Writes: what they come to. Pure: nothing can crash in between. */
#include "scheduler/capacity/model.h"

#include <math.h>

static const double DAY_MS = 86400000, HOUR_MS = 3600000, HOUR_S = 3600, US = 1e-6, KIB = 1024;
enum { LONG_WINDOW_MS = 60000, LONG_WINDOW_STEPS = 1000 };
/* Of a Redis server, that workers which wait leave to the work, however many they are. */
static const double LEAST_FOR_WORK = 0.1;

const struct capacity_costs capacity_measured = {
#define X(name, value) .name = (value),
    CAPACITY_COSTS(X)
#undef X
};

void capacity_load_add(struct capacity_load *to, const struct capacity_load *more, double factor)
{
    to->records += more->records * factor;
    to->requests += more->requests * factor;
    to->batches += more->batches * factor;
    to->bytes += more->bytes * factor;
    to->rows += more->rows * factor;
}

/* ---- one target ---- */

/* Only what all requests, or those that batches begin with, are counted by. */
static bool counts(const struct rate_limit *limit)
{
    return limit->group <= 1 && limit->count && limit->per_ms;
}

static double per_request(const struct capacity_target *t)
{
    return t->batch_records / t->requests_per_batch;
}

static double tokens_in(const struct rate_limit *limit, double ms)
{
    return (double)limit->count * ms / (double)limit->per_ms;
}

double capacity_limit_records(const struct capacity_target *t, const struct rate_limit *limit)
{
    double tokens = tokens_in(limit, DAY_MS);
    return limit->kind == RATE_RECORDS ? tokens : tokens * per_request(t);
}

static void note_used(struct capacity_room *r, double used, int by)
{
    if (used > r->used) {
        r->used = used;
        r->used_by = by;
    }
}

static void note_most(struct capacity_room *r, double records, int by)
{
    if (records < r->records_day) {
        r->records_day = records;
        r->bound = by;
    }
}

static void look_at_limit(const struct capacity_target *t, int i, struct capacity_room *r)
{
    const struct rate_limit *limit = &t->limits[i];
    bool records = limit->kind == RATE_RECORDS;
    bool long_window = (double)limit->per_ms >= DAY_MS;
    const struct capacity_load *load = long_window ? &t->day : &t->hour;
    double wanted = records ? load->records : load->requests;
    double all = records ? t->full_records : ceil(t->full_records / per_request(t));
    double used = wanted / tokens_in(limit, long_window ? DAY_MS : HOUR_MS);
    note_most(r, capacity_limit_records(t, limit), i);
    note_used(r, used, i);
    if (!long_window)
        r->hour_takes = fmax(r->hour_takes, used);
    if (all > 0)
        r->full_hours = fmax(r->full_hours, floor((all - 1) / (double)limit->count) *
                                                (double)limit->per_ms / HOUR_MS);
}

static void look_at_concurrency(const struct capacity_target *t, struct capacity_room *r)
{
    if (!t->concurrency || !(t->request_ms > 0))
        return;
    double in_hour = t->concurrency * HOUR_MS / t->request_ms;
    double used = t->hour.requests / in_hour;
    note_most(r, in_hour * DAY_MS / HOUR_MS * per_request(t), CAPACITY_CONCURRENCY);
    note_used(r, used, CAPACITY_CONCURRENCY);
    r->hour_takes = fmax(r->hour_takes, used);
    r->full_hours = fmax(r->full_hours, t->full_records / per_request(t) / in_hour);
}

/* An hour has the tokens of a longer window at most once. */
static double tokens_in_hour(const struct rate_limit *limit)
{
    return fmax(tokens_in(limit, HOUR_MS), (double)limit->count);
}

/* Requests a second in the busiest hour: those wanted, as far as the limits let them go. */
static double peak_rate(const struct capacity_target *t)
{
    double rate = t->hour.requests / HOUR_S;
    double share = t->hour.requests > 0 ? t->hour.records / t->hour.requests : 0;
    for (size_t i = 0; i < t->limit_count; i++) {
        const struct rate_limit *limit = &t->limits[i];
        double most = tokens_in_hour(limit) / HOUR_S;
        if (!counts(limit) || (limit->kind == RATE_RECORDS && !(share > 0)))
            continue;
        rate = fmin(rate, limit->kind == RATE_RECORDS ? most / share : most);
    }
    return rate;
}

void capacity_room(const struct capacity_target *t, struct capacity_room *ret)
{
    struct capacity_room r = {
        .records_day = INFINITY, .bound = CAPACITY_UNLIMITED, .used_by = CAPACITY_UNLIMITED};
    for (size_t i = 0; i < t->limit_count; i++)
        if (counts(&t->limits[i]))
            look_at_limit(t, (int)i, &r);
    look_at_concurrency(t, &r);
    r.possible = t->day.records <= r.records_day;
    r.in_flight = peak_rate(t) * t->request_ms / 1000;
    if (t->concurrency)
        r.in_flight = fmin(r.in_flight, t->concurrency);
    *ret = r;
}

/* ---- the whole ---- */

/* What goes through in the busiest hour, of all targets. */
struct flow {
    double records, requests, batches, kib, rows; /* a second */
    double tls_requests, tls_kib;
    double asks;         /* claims that find nothing, because a limit is reached */
    double tokens;       /* of windows that may be in use */
    double full_records; /* of everything sent again */
};

static double steps_of(const struct rate_limit *limit)
{
    double steps = limit->per_ms > LONG_WINDOW_MS ? LONG_WINDOW_STEPS : (double)limit->per_ms;
    return fmin(steps, (double)limit->count);
}

/* Where there are limits each request may meet one: somebody asks again then. */
static void add_target(struct flow *f, const struct capacity_target *t)
{
    double share = t->hour.requests > 0 ? peak_rate(t) * HOUR_S / t->hour.requests : 0;
    double requests = t->hour.requests * share / HOUR_S, kib = t->hour.bytes * share / HOUR_S / KIB;
    f->records += t->hour.records * share / HOUR_S;
    f->requests += requests;
    f->batches += t->hour.batches * share / HOUR_S;
    f->kib += kib;
    f->rows += t->hour.rows / HOUR_S;
    f->asks += t->limit_count ? requests : 0;
    f->tls_requests += t->https ? requests : 0;
    f->tls_kib += t->https ? kib : 0;
    f->full_records += t->full_records;
    for (size_t i = 0; i < t->limit_count; i++)
        f->tokens += steps_of(&t->limits[i]);
}

static double at_least_one(double n)
{
    return fmax(1, ceil(n));
}

static void need_workers(const struct capacity_costs *c, const struct capacity_frame *frame,
                         const struct flow *f, struct capacity_need *n)
{
    double us = f->requests * c->worker_request_us + f->records * c->worker_record_us +
                f->kib * c->worker_kib_us + f->tls_requests * c->worker_https_request_us +
                f->tls_kib * c->worker_https_kib_us;
    n->worker_cores = us * US * CAPACITY_HEADROOM;
    n->workers =
        at_least_one(fmax(n->in_flight / frame->worker_slots * CAPACITY_HEADROOM, n->worker_cores));
    n->worker_cores += n->workers * c->worker_idle_us * US;
    n->worker_bytes = c->worker_memory_kib * KIB * CAPACITY_HEADROOM;
}

/* A server's processors for what goes through. Requests of one batch beyond its first are claims
 * and settles of their own. */
static double redis_cores(const struct capacity_costs *c, const struct flow *f, size_t quotas)
{
    double us = fmax(f->batches, f->requests) * c->redis_batch_us + f->kib * c->redis_kib_us +
                f->asks * c->redis_ask_us + (double)quotas * c->redis_quota_us;
    return us * US * CAPACITY_HEADROOM;
}

/* Workers wait at every server, so each one more has that to bear too. */
static double primaries_for(double work_cores, double wait_cores)
{
    return at_least_one(work_cores / fmax(1 - wait_cores, LEAST_FOR_WORK));
}

static void need_redis(const struct capacity_costs *c, const struct capacity_frame *frame,
                       const struct flow *f, size_t quotas, struct capacity_need *n)
{
    double turns = fmax(f->batches, f->requests);
    double work = redis_cores(c, f, quotas);
    double wait = n->workers * c->redis_worker_us * US * CAPACITY_HEADROOM;
    double payload = f->kib * KIB * c->payload_body_ratio;
    double waiting = payload > 0 ? frame->window_bytes / payload * f->batches : 0;
    n->primaries = primaries_for(work, wait);
    n->redis_cores = work + n->primaries * wait;
    n->redis_bytes =
        (c->redis_memory_kib * KIB + frame->window_bytes + waiting * c->redis_queued_bytes +
         (double)quotas * c->redis_quota_bytes + f->tokens * c->redis_token_bytes) *
        CAPACITY_HEADROOM;
    n->redis_net = turns * c->redis_batch_net_bytes + 2 * payload;
}

static void need_scheduler(const struct capacity_costs *c, const struct capacity_frame *frame,
                           const struct flow *f, size_t quotas, struct capacity_need *n)
{
    double still = fmax(0, f->rows - f->records);
    double us = still * c->scheduler_unchanged_us + f->records * c->scheduler_sent_us +
                f->batches * c->scheduler_batch_us + (double)quotas * c->scheduler_quota_us;
    n->scheduler_cores = us * US * CAPACITY_HEADROOM;
    n->shards = at_least_one(n->scheduler_cores);
    n->scheduler_bytes =
        (c->scheduler_memory_kib * KIB + frame->stored_rows * c->scheduler_row_bits / 8) *
        CAPACITY_HEADROOM;
    n->disk_bytes = (frame->stored_rows * c->state_row_bytes +
                     f->full_records * c->spool_record_bytes + frame->history_bytes) *
                    CAPACITY_HEADROOM;
}

void capacity_need(const struct capacity_costs *costs, const struct capacity_frame *frame,
                   const struct capacity_target *targets, const struct capacity_room *rooms,
                   size_t count, struct capacity_need *ret)
{
    struct capacity_need n = {0};
    struct flow f = {0};
    for (size_t i = 0; i < count; i++) {
        struct flow alone = {0};
        add_target(&alone, &targets[i]);
        n.quota_cores = fmax(n.quota_cores, redis_cores(costs, &alone, 1));
        add_target(&f, &targets[i]);
        n.in_flight += rooms[i].in_flight;
    }
    need_workers(costs, frame, &f, &n);
    need_redis(costs, frame, &f, count, &n);
    need_scheduler(costs, frame, &f, count, &n);
    *ret = n;
}
