/* /api/v1/workers/desired: how many workers are worth running, and why; for what scales them. */
#include "scheduler/api/routes.h"
#include "scheduler/report/demand.h"

static void put_part(struct output *o, const struct demand_part *p)
{
    const struct work_need *n = &p->need;
    char limit[DEMAND_LIMIT_BYTES] = "";
    if (n->why == WORK_LIMIT)
        demand_limit_text(&p->destination->limits[p->work.limits[n->limit].index], limit);
    output_open(o, NULL, '{');
    output_text(o, "quota", p->destination->quota);
    output_text(o, "why", work_why_name(n->why));
    output_text_or_null(o, "limit", limit);
    output_decimal(o, "slots", n->slots + n->unmeasured);
    output_decimal(o, "processors", n->processors);
    output_decimal(o, "requests_per_s", n->requests_per_s);
    output_decimal(o, "request_ms", p->work.cost.request_ms);
    output_decimal(o, "requests_per_batch", p->work.cost.requests_per_batch);
    output_count(o, "batches", p->work.batches);
    output_count(o, "leased", p->work.leased);
    output_count(o, "parked", p->work.parked);
    output_close(o, '}');
}

void answer_workers_desired(struct api_call *c)
{
    struct demand d;
    struct output o;
    struct err err;
    if (demand_take(c->control, &d, &err)) {
        call_fail(c, &err);
        return;
    }
    output_init(&o);
    output_open(&o, NULL, '{');
    output_count(&o, "workers", d.workers);
    output_decimal(&o, "load", d.load);
    output_count(&o, "own", control_workers_alive(c->control));
    output_count(&o, "worker_slots", d.slots);
    output_count(&o, "drain_within_ms", d.fleet.drain_ms);
    output_open(&o, "quotas", '[');
    for (size_t i = 0; i < d.part_count; i++)
        put_part(&o, &d.parts[i]);
    output_close(&o, ']');
    output_close(&o, '}');
    demand_done(&d);
    call_answer(c, 200, &o);
}
