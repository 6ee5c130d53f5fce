#include "protocol/base/clock.h"
#include "scheduler/api/views.h"

/* What sluice promises of every ended run: README, "What a run counts". */
static bool balances(const struct run_counts *c)
{
    uint64_t rows = c->added + c->changed + c->unchanged + c->invalid + c->quarantined;
    uint64_t planned = c->added + c->changed + c->removed;
    uint64_t verdicts = c->succeeded + c->rejected + c->failed + c->cancelled;
    return c->rows == rows && c->planned == planned && planned == verdicts;
}

static void put_counts(struct output *o, const struct run_counts *c)
{
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {
        {"rows", c->rows},
        {"added", c->added},
        {"changed", c->changed},
        {"removed", c->removed},
        {"unchanged", c->unchanged},
        {"invalid", c->invalid},
        {"quarantined", c->quarantined},
        {"planned", c->planned},
        {"succeeded", c->succeeded},
        {"rejected", c->rejected},
        {"failed", c->failed},
        {"cancelled", c->cancelled},
    };
    output_open(o, "counts", '{');
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        output_count(o, counts[i].name, counts[i].n);
    output_close(o, '}');
    output_count(o, "requests", c->requests);
    output_count(o, "retries", c->retries);
    output_count(o, "bytes", c->bytes);
    output_count(o, "warnings", c->warnings);
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
    bool ended = run_status_ended(r->status);
    output_open(o, name, '{');
    output_text(o, "id", r->id);
    output_text(o, "sync", r->sync);
    output_text(o, "status", run_status_name(r->status));
    output_text(o, "phase", control_phase_name(ended ? CONTROL_IDLE : control_run_phase(c, r->id)));
    output_flag(o, "plan", r->plan);
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
        output_flag(o, "balance", balances(&r->counts));
    else
        output_null(o, "balance");
    output_close(o, '}');
}
