#include "scheduler/state/runs.h"

#include <stddef.h>

static const struct {
    const char *name;
    size_t at;
} told[RUN_COUNTS_TOLD] = {
    {"rows", offsetof(struct run_counts, rows)},
    {"added", offsetof(struct run_counts, added)},
    {"changed", offsetof(struct run_counts, changed)},
    {"removed", offsetof(struct run_counts, removed)},
    {"unchanged", offsetof(struct run_counts, unchanged)},
    {"invalid", offsetof(struct run_counts, invalid)},
    {"quarantined", offsetof(struct run_counts, quarantined)},
    {"planned", offsetof(struct run_counts, planned)},
    {"succeeded", offsetof(struct run_counts, succeeded)},
    {"rejected", offsetof(struct run_counts, rejected)},
    {"failed", offsetof(struct run_counts, failed)},
    {"cancelled", offsetof(struct run_counts, cancelled)},
};

const char *run_count_name(size_t i)
{
    ensure(i < RUN_COUNTS_TOLD);
    return told[i].name;
}

uint64_t *run_count_at(struct run_counts *c, size_t i)
{
    ensure(i < RUN_COUNTS_TOLD);
    return (uint64_t *)(void *)((char *)c + told[i].at);
}

uint64_t run_count(const struct run_counts *c, size_t i)
{
    ensure(i < RUN_COUNTS_TOLD);
    return *(const uint64_t *)(const void *)((const char *)c + told[i].at);
}

bool run_counts_balance(const struct run_counts *c, struct run_sums *ret)
{
    *ret = (struct run_sums){
        .rows = c->added + c->changed + c->unchanged + c->coalesced + c->invalid + c->quarantined,
        .planned = c->added + c->changed + c->removed,
        .verdicts = c->succeeded + c->rejected + c->failed + c->cancelled,
    };
    return c->rows == ret->rows && c->planned == ret->planned && ret->planned == ret->verdicts;
}

void run_recount(struct run_record *r)
{
    struct run_counts *c = &r->counts;
    struct run_sums sums;
    c->planned = c->added + c->changed + c->removed;
    (void)run_counts_balance(c, &sums);
    c->rows = sums.rows;
    c->changes = r->stream ? sums.rows + c->removed : 0;
}

bool run_reached_nobody(const struct run_record *r)
{
    const struct run_counts *c = &r->counts;
    return run_status_ended(r->status) && c->failed && !c->succeeded && !c->rejected;
}

bool run_is_whole(const struct run_record *r)
{
    return r->read_ended && (r->status == RUN_SUCCESS || r->status == RUN_WARNING) &&
           !r->counts.failed && !r->counts.cancelled;
}
