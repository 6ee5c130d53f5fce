#include "scheduler/report/work.h"

#include "scheduler/capacity/model.h"

/* Answers do not come in step: a pace that is to be kept needs some slots more than its average. */
static const double spare = 1.25;
/* From nothing to all: PROTOCOL.md, Throttling. */
static const double factor_back_ms = 100000;
/* A load that still counts where it is rounded to a thousandth. */
static const double least_load = 0.01;
/* What adding up fractions gets wrong. */
static const double epsilon = 1e-9;

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static double lower(double a, double b)
{
    return a < b ? a : b;
}

static double higher(double a, double b)
{
    return a > b ? a : b;
}

const char *work_why_name(enum work_why why)
{
    static const char *const names[] = {
        [WORK_NOTHING] = "nothing", [WORK_CLOSED] = "closed",
        [WORK_PAUSED] = "paused",   [WORK_THROTTLED] = "throttled",
        [WORK_LIMIT] = "limit",     [WORK_CONCURRENCY] = "concurrency",
        [WORK_BACKLOG] = "backlog", [WORK_UNMEASURED] = "unmeasured",
    };
    return (size_t)why < ARRAY_LEN(names) ? names[why] : "nothing";
}

/* ---- a quota ---- */

static bool is_lowered(const struct work_quota *q)
{
    return q->factor > 0 && q->factor < 1;
}

/* Requests in a second that the limit lets through. A window that is over before the backlog is to
 * be is a pace: the tokens of the moment say nothing. A longer one is a budget: what is left of it,
 * and comes back in time (as the factor does), may be spent. */
static double limit_rate(const struct work_quota *q, const struct work_limit *l, uint64_t drain_ms)
{
    bool budget = l->per_ms > drain_ms;
    double factor = is_lowered(q) ? q->factor : 1;
    double later = budget ? lower(1, factor + (double)drain_ms / factor_back_ms) : factor;
    double tokens = higher((double)l->count * later, 1), per_ms = (double)l->per_ms;
    if (budget) {
        double left = tokens + (double)l->returns - (double)l->used;
        tokens = left > 0 ? left : 0;
        per_ms = (double)drain_ms;
    }
    double each = 1; /* tokens of a request */
    if (l->kind == RATE_RECORDS)
        each = q->batch_records > 1 ? lower(q->batch_records, (double)l->count) : 1;
    return tokens / each / per_ms * 1000;
}

static double most_slots(const struct work_quota *q)
{
    double most = (double)least(q->at_once, q->batches), concurrency = (double)q->concurrency;
    if (!q->limit_count && is_lowered(q))
        concurrency = higher(1, concurrency * q->factor);
    return q->concurrency ? lower(concurrency, most) : most;
}

static void judge_rate(const struct work_quota *q, const struct work_fleet *f,
                       struct work_need *ret)
{
    double drain_s = (double)f->drain_ms / 1000;
    ret->requests_per_s = (double)q->batches * q->cost.requests_per_batch / drain_s;
    ret->why = WORK_BACKLOG;
    for (size_t i = 0; i < q->limit_count; i++) {
        double rate = limit_rate(q, &q->limits[i], f->drain_ms);
        if (rate >= ret->requests_per_s)
            continue;
        ret->requests_per_s = rate;
        ret->why = WORK_LIMIT;
        ret->limit = i;
    }
    if (q->closed_ms <= 0)
        return;
    double open = 1 - (double)q->closed_ms / (double)f->drain_ms;
    ret->requests_per_s *= open > 0 ? open : 0;
    ret->why = WORK_THROTTLED;
}

/* Those that are not a worker's are not looked at. */
static const struct capacity_costs costs = {
#define X(name, value) .name = (value),
    CAPACITY_COSTS(X)
#undef X
};

/* Of a worker's processor, for a request; as it was measured, and the room that every need is
 * given. */
static double request_cpu_s(const struct work_quota *q)
{
    double records = q->batch_records / higher(q->cost.requests_per_batch, 1);
    double us = costs.worker_request_us + records * costs.worker_record_us +
                q->request_kib * costs.worker_kib_us;
    if (q->https)
        us += costs.worker_https_request_us + q->request_kib * costs.worker_https_kib_us;
    return us * CAPACITY_HEADROOM / 1e6;
}

static void judge_slots(const struct work_quota *q, const struct work_fleet *f,
                        struct work_need *ret)
{
    double most = most_slots(q), request_s = q->cost.request_ms / 1000;
    if (q->cost.request_ms <= 0) {
        ret->unmeasured = ret->requests_per_s > 0 ? lower(most, f->slots) : 0;
        ret->why = ret->why == WORK_BACKLOG ? WORK_UNMEASURED : ret->why;
        return;
    }
    ret->slots = ret->requests_per_s * request_s * spare;
    if (ret->slots > most) {
        ret->slots = most;
        ret->requests_per_s = lower(ret->requests_per_s, most / request_s);
        if (most < (double)q->batches)
            ret->why = WORK_CONCURRENCY;
    }
    ret->processors = lower(most, ret->requests_per_s * request_cpu_s(q));
}

void work_judge(const struct work_quota *quota, const struct work_fleet *fleet,
                struct work_need *ret)
{
    *ret = (struct work_need){.alive = quota->leased > 0};
    if (!quota->open) {
        ret->why = WORK_CLOSED;
        return;
    }
    if (quota->paused) {
        ret->why = WORK_PAUSED;
        return;
    }
    ret->alive |= quota->parked > 0;
    if (!quota->batches)
        return;
    judge_rate(quota, fleet, ret);
    judge_slots(quota, fleet, ret);
    ret->alive |= ret->requests_per_s > 0;
}

/* ---- all ---- */

void work_add(struct work_sum *sum, const struct work_need *need)
{
    sum->alive |= need->alive;
    sum->quotas += need->slots + need->unmeasured > 0;
    sum->slots += need->slots;
    sum->unmeasured += need->unmeasured;
    sum->processors += need->processors;
}

/* worker/README.md, Slots. */
uint32_t work_slots(const struct work_sum *sum, const struct work_fleet *fleet)
{
    enum { PER_QUOTA = 2 };
    uint32_t all = fleet->slots, idle = 0;
    if (all < PER_QUOTA * fleet->quotas)
        all = PER_QUOTA * fleet->quotas;
    if (fleet->quotas > sum->quotas)
        idle = fleet->quotas - (sum->quotas ? sum->quotas : 1);
    return all > idle ? all - idle : 1;
}

double work_load(const struct work_sum *sum, const struct work_fleet *fleet)
{
    if (!sum->alive)
        return 0;
    double slots = sum->slots + lower(sum->unmeasured, fleet->slots);
    double load = higher(slots / work_slots(sum, fleet), sum->processors);
    return fleet->single ? lower(1, higher(load, least_load)) : higher(load, least_load);
}

uint64_t work_workers(const struct work_sum *sum, const struct work_fleet *fleet)
{
    double load = work_load(sum, fleet);
    uint64_t whole = (uint64_t)load;
    return whole + (load > (double)whole + epsilon);
}

/* ---- at this moment ---- */

/* Batches that the limit has tokens for. Only the group that batches begin with is looked at. */
static uint64_t room_of(const struct rate_limit *limit, uint64_t used, double factor,
                        uint64_t batch_records)
{
    double whole = (double)limit->count * (factor > 0 && factor < 1 ? factor : 1);
    uint64_t left = whole > (double)used ? (uint64_t)(whole - (double)used) : 0;
    if (limit->group > QUEUE_GROUP_MAIN || (limit->kind == RATE_RECORDS && !batch_records))
        return UINT64_MAX;
    return limit->kind == RATE_RECORDS ? left / batch_records : left;
}

uint64_t work_runnable(const struct destination *destination, const struct control_quota_view *view,
                       bool paused, uint64_t batch_records)
{
    if (!view->open || view->error || paused || view->now.throttled_left_ms > 0)
        return 0;
    uint64_t leased = view->now.leased, n = view->now.queued;
    if (destination->concurrency)
        n = least(n, destination->concurrency > leased ? destination->concurrency - leased : 0);
    for (size_t i = 0; i < destination->limit_count && i < view->limit_count; i++)
        n = least(
            n, room_of(&destination->limits[i], view->limit_used[i], view->factor, batch_records));
    return n;
}
