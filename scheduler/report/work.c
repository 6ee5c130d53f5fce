#include "scheduler/report/work.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

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

uint64_t work_desired(uint64_t useful, bool under_way)
{
    uint64_t workers = (useful + WORK_SLOTS - 1) / WORK_SLOTS;
    return workers || !under_way ? workers : 1;
}
