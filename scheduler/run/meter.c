#include "scheduler/run/meter.h"

enum { FADE_MS = 30000, KEPT = 16 }; /* fewer than these say little: they do not fade */

/* An answer within the clock's own step took some time, too. */
static const double least_ms = 0.5;

void meter_note(struct meter *m, uint32_t requests, uint32_t duration_ms, uint64_t batches)
{
    if (!requests)
        return; /* the queue's own decision: nothing was sent */
    m->requests += requests;
    m->busy_ms += (double)requests * (duration_ms > least_ms ? duration_ms : least_ms);
    m->open_requests += requests;
    if (!batches)
        return;
    m->batches += (double)batches;
    m->batch_requests += (double)m->open_requests;
    m->open_requests = 0;
}

void meter_fade(struct meter *m, uint64_t elapsed_ms)
{
    double keeps = elapsed_ms < FADE_MS ? 1 - (double)elapsed_ms / FADE_MS : 0.01;
    if (m->requests > KEPT) {
        m->requests *= keeps;
        m->busy_ms *= keeps;
    }
    if (m->batches > KEPT) {
        m->batches *= keeps;
        m->batch_requests *= keeps;
    }
}

struct request_cost meter_cost(const struct meter *m)
{
    double each = m->batches > 0 ? m->batch_requests / m->batches : 1;
    return (struct request_cost){
        .request_ms = m->requests > 0 ? m->busy_ms / m->requests : 0,
        .requests_per_batch = each > 1 ? each : 1,
    };
}
