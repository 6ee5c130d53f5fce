/* What quotas tell the engine's runs: verdicts, how things stand, that one cannot go on. Reads:
 * results. Writes: nothing of its own; runs fold them into state. Invariant: a result that state
 * cannot take ends the engine before the position moves past it. A crash here: results are read
 * again from the position in state. */
#include "scheduler/run/engine_private.h"

#include <stdint.h>
#include <string.h>

/* A batch's id is RUN.NUMBER. */
static struct sync_run *run_of_batch(struct engine *e, struct slice batch, uint64_t *ret_number)
{
    const char *dot = memrchr(batch.p, '.', batch.n);
    if (!dot)
        return NULL;
    size_t id_bytes = (size_t)(dot - batch.p);
    uint64_t number = 0;
    for (const char *p = dot + 1; p < batch.p + batch.n; p++) {
        if (*p < '0' || *p > '9' || number > UINT32_MAX)
            return NULL;
        number = number * 10 + (uint64_t)(*p - '0');
    }
    *ret_number = number;
    for (size_t i = 0; i < e->run_count; i++)
        if (slice_eq_str(slice_of(batch.p, id_bytes), sync_run_record(e->runs[i].run)->id))
            return e->runs[i].run;
    return NULL; /* of another state, or of a run that has ended: nothing waits for it */
}

void engine_on_results(void *ctx, struct quota *q, const struct queue_result *results, size_t count)
{
    struct engine *e = ctx;
    for (size_t i = 0; i < count; i++) {
        struct err err;
        uint64_t number;
        struct sync_run *run = run_of_batch(e, results[i].batch, &number);
        if (!run || !sync_run_result(run, number, results[i].body, &err))
            continue;
        log_event(e->opts.log, LOG_ERROR, "result_not_folded", LOG_STR("quota", quota_name(q)),
                  LOG_STR("reason", err.text));
        if (err_class(err.code) != ERR_CLASS_REJECT) {
            engine_fail(e, &err); /* state cannot take it: it stays in Redis for the next start */
            return;
        }
        sync_run_result_lost(run, number, &err);
    }
}

void engine_on_quota_broken(void *ctx, struct quota *q, const struct err *err)
{
    struct engine *e = ctx;
    if (!e->opts.stays && e->quota_count == 1 && err->code == ERR_BUSY) {
        engine_fail(e, err);
        return;
    }
    for (size_t i = 0; i < e->run_count; i++)
        if (e->runs[i].quota == q && !e->runs[i].ended)
            sync_run_stop(e->runs[i].run, RUN_STOP_FAIL, err->text);
}

void engine_on_quota_stats(void *ctx, struct quota *q, const struct queue_stats *stats)
{
    struct engine *e = ctx;
    for (size_t i = 0; i < e->run_count; i++) {
        struct engine_run_slot *slot = &e->runs[i];
        const struct sync *sync = sync_run_sync(slot->run);
        if (slot->quota != q || slot->ended || !sync)
            continue;
        if (stats->throttled_for_ms > 0 &&
            (uint64_t)stats->throttled_for_ms > sync->destination->retry.throttled_max_ms)
            sync_run_stop(slot->run, RUN_STOP_GIVE_UP,
                          "the destination answered with nothing but throttling for longer than "
                          "retry.throttled_max");
        sync_run_pump(slot->run);
    }
}
