#include "protocol/base/clock.h"
#include "scheduler/api/views.h"

static void put_counts(struct output *o, const struct run_counts *c)
{
    output_open(o, "counts", '{');
    for (size_t i = 0; i < RUN_COUNTS_TOLD; i++)
        output_count(o, run_count_name(i), run_count(c, i));
    output_close(o, '}');
    output_count(o, "requests", c->requests);
    output_count(o, "retries", c->retries);
    output_count(o, "bytes", c->bytes);
    output_count(o, "warnings", c->warnings);
    output_count(o, "changes", c->changes);
    output_count(o, "coalesced", c->coalesced);
}

static double seconds_of(const struct run_record *r)
{
    int64_t now = clock_wall_ms();
    if (r->ended_ms || r->status == RUN_HELD || !r->started_ms || now < r->started_ms)
        return (double)r->duration_ms / 1000;
    return (double)(now - r->started_ms) / 1000;
}

void view_run(struct output *o, const char *name, struct control *c, const struct run_record *r)
{
    struct run_sums sums;
    bool ended = run_status_ended(r->status);
    output_open(o, name, '{');
    output_text(o, "id", r->id);
    output_text(o, "sync", r->sync);
    output_text(o, "status", run_status_name(r->status));
    output_text(o, "phase", control_phase_name(ended ? CONTROL_IDLE : control_run_phase(c, r->id)));
    output_flag(o, "plan", r->plan);
    output_flag(o, "stream", r->stream);
    output_text_or_null(o, "trigger", r->trigger);
    output_time(o, "scheduled_at", r->scheduled_ms ? r->scheduled_ms : r->started_ms);
    output_time(o, "started_at", r->started_ms);
    output_time(o, "ended_at", r->ended_ms);
    output_decimal(o, "seconds", seconds_of(r));
    output_text_or_null(o, "error", r->error);
    output_text_or_null(o, "reason", r->reason);
    output_text_or_null(o, "warning", r->warning);
    put_counts(o, &r->counts);
    output_count(o, "batches", r->batches);
    if (ended)
        output_flag(o, "balance", run_counts_balance(&r->counts, &sums));
    else
        output_null(o, "balance");
    output_close(o, '}');
}
