/* Reads: durable frames. Writes: batches to Redis within the window. Invariant: numbers go in
 * ascending order and one call at a time, so that a refused batch is never overtaken. A crash here:
 * the next start publishes what has no verdict again, under the same ids. */
#include "scheduler/run/sync_run_private.h"

#include "protocol/wire/ordset.h"

#include <event2/event.h>
#include <stdlib.h>

enum { PUBLISH_AGAIN_MS = 20, OPEN_FIRST = 256 };

static const uint32_t weights[] = {[PRIORITY_LOW] = 1, [PRIORITY_NORMAL] = 4, [PRIORITY_HIGH] = 16};

/* Makes `open` as long as the spool. */
enum err_code run_batches_grow(struct sync_run *run, struct err *err)
{
    uint64_t count = spool_count(run->spool);
    if (count > run->open_cap) {
        size_t cap = run->open_cap ? run->open_cap * 2 : OPEN_FIRST;
        while (cap < count)
            cap *= 2;
        uint32_t *open = realloc(run->open, cap * sizeof *open);
        if (!open)
            return err_set(err, ERR_NOMEM, "run %s: no memory for its batches", run->record.id);
        run->open = open;
        run->open_cap = cap;
    }
    while (run->open_count < count) {
        uint32_t records = spool_records(run->spool, run->open_count);
        run->open[run->open_count++] = records;
        run->open_total += records;
        run->open_batches += records != 0;
    }
    return ERR_OK;
}

static enum err_code put_subset(struct sync_run *run, const struct frame *f, uint32_t open,
                                struct err *err)
{
    struct publishing *out = &run->out;
    uint32_t settled, *ordinals = malloc((open ? open : 1) * sizeof *ordinals), n = 0;
    uint8_t *keep = calloc(1, f->records ? f->records : 1);
    enum err_code rc = !ordinals || !keep
                           ? err_set(err, ERR_NOMEM, "run: no memory for a part of a batch")
                           : ERR_OK;
    if (!rc)
        rc = state_batch_settled(run->host->state, run->record.id, f->number, f->records, run->bits,
                                 &settled, err);
    for (uint32_t i = 0; i < f->records && !rc; i++) {
        keep[i] = !(run->bits[i / 8] >> (i % 8) & 1);
        if (keep[i] && n < open)
            ordinals[n++] = i;
    }
    out->ordset_at[out->count] = out->bytes.len;
    if (!rc && ordset_put(&out->bytes, ordinals, n, f->records))
        rc = err_set(err, ERR_NOMEM, "run: no memory for a part of a batch");
    out->ordset_bytes[out->count] = out->bytes.len - out->ordset_at[out->count];
    if (!rc)
        rc = batch_reader_open(run->reader, f->payload, err);
    out->payload_at[out->count] = out->bytes.len;
    if (!rc)
        rc = batch_reader_subset(run->reader, keep, &out->bytes, err);
    free(ordinals);
    free(keep);
    return rc;
}

/* A request of fewer records than the group's own costs no more than it holds. */
static uint32_t records_charged(struct batch_cost cost, uint32_t records)
{
    bool some = cost.records < records || cost.records == QUEUE_NO_RECORDS;
    return some ? cost.records : 0;
}

/* Copies batch `number` into the gathered ones. */
static enum err_code gather_one(struct sync_run *run, uint64_t number, struct err *err)
{
    struct publishing *out = &run->out;
    struct frame f;
    char id[BATCH_PART_ID_BYTES];
    size_t i = out->count;
    enum err_code rc = spool_read(run->spool, number, &f, err);
    if (rc)
        return rc;
    out->ordset_bytes[i] = 0;
    /* Should what a stream left hold two versions of a record: one batch at a time, in order. */
    struct slice lane = run->recovered && run->record.stream ? SLICE_LIT("0") : f.lane;
    out->lane_at[i] = out->bytes.len;
    out->lane_bytes[i] = lane.n;
    if (buf_put(&out->bytes, lane.p, lane.n))
        return err_set(err, ERR_NOMEM, "run: no memory for batches to publish");
    if (run->open[number] < f.records) {
        rc = put_subset(run, &f, run->open[number], err);
    } else {
        out->payload_at[i] = out->bytes.len;
        rc = buf_put(&out->bytes, f.payload.p, f.payload.n)
                 ? err_set(err, ERR_NOMEM, "run: no memory for batches")
                 : ERR_OK;
    }
    if (rc)
        return rc;
    out->payload_bytes[i] = out->bytes.len - out->payload_at[i];
    struct slice ordset = slice_of(out->bytes.p + out->ordset_at[i], out->ordset_bytes[i]);
    if (batch_part_id(slice_str(batch_id(run->record.id, number, id)),
                      out->ordset_bytes[i] ? ordset : (struct slice){0}, out->ids[i],
                      sizeof out->ids[i]))
        return err_set(err, ERR_BUG, "run: the id of a batch is too long");
    out->batches[i] = (struct queue_batch){
        .number = number + 1,
        .records = run->open[number],
        .group = f.cost.group,
        .costs = records_charged(f.cost, run->open[number]),
        .jobless = f.cost.jobless,
    };
    out->count++;
    return ERR_OK;
}

static enum err_code gather(struct sync_run *run, struct err *err)
{
    struct publishing *out = &run->out;
    out->count = 0;
    out->end = run->published;
    buf_reset(&out->bytes);
    uint64_t durable = spool_durable(run->spool);
    while (out->end < durable && out->count < PUBLISH_BATCHES && out->bytes.len < PUBLISH_BYTES) {
        if (run->open[out->end]) {
            enum err_code rc = gather_one(run, out->end, err);
            if (rc)
                return rc;
        }
        out->end++;
    }
    for (size_t i = 0; i < out->count; i++) {
        struct queue_batch *b = &out->batches[i];
        b->id = slice_str(out->ids[i]);
        b->lane = slice_of(out->bytes.p + out->lane_at[i], out->lane_bytes[i]);
        b->ordset = slice_of(out->bytes.p + out->ordset_at[i], out->ordset_bytes[i]);
        b->payload = slice_of(out->bytes.p + out->payload_at[i], out->payload_bytes[i]);
    }
    return ERR_OK;
}

static void again_later(struct sync_run *run)
{
    struct timeval t = {0, PUBLISH_AGAIN_MS * 1000};
    event_add(run->again, &t);
}

static void on_enqueued(void *ctx, int64_t taken, const struct err *err)
{
    struct sync_run *run = ctx;
    struct publishing *out = &run->out;
    bool lost = out->lost;
    out->busy = out->lost = false;
    if (err || lost || taken < 0 || (size_t)taken > out->count) {
        again_later(run);
        return;
    }
    bool all = (size_t)taken == out->count;
    run->published = all ? out->end : out->batches[taken].number - 1;
    if (taken) {
        struct err ignored;
        run->record.published = true;
        quota_published(run->quota);
        if (queue_wake(quota_queue(run->quota), &ignored))
            log_event(run->host->log, LOG_DEBUG, "wake_failed", LOG_STR("reason", ignored.text));
    }
    if (!all)
        again_later(run);
    else
        sync_run_pump(run);
    run_check_end(run);
}

static bool may_publish(const struct sync_run *run)
{
    if (run->out.busy || run->stopping || !run->quota || !quota_is_ready(run->quota) || !run->spool)
        return false;
    if (run->record.status == RUN_HELD || run->stage == RUN_STAGE_ENDED)
        return false;
    if (run->waits &&
        (run->stage != RUN_STAGE_SENDING || run->judged == state_commit_number(run->host->state)))
        return false;
    return run->published < spool_durable(run->spool);
}

uint64_t sync_run_batches_due(const struct sync_run *run)
{
    bool none = run->stopping || run->record.status == RUN_HELD || run->stage == RUN_STAGE_ENDED ||
                (run->waits && run->stage != RUN_STAGE_SENDING);
    return none ? 0 : run->open_batches;
}

void sync_run_pump(struct sync_run *run)
{
    struct err err;
    if (!may_publish(run) || event_pending(run->again, EV_TIMEOUT, NULL))
        return;
    enum err_code rc = gather(run, &err);
    if (!rc && !run->out.count) {
        run->published = run->out.end;
        run_check_end(run);
        return;
    }
    struct queue_sync s = {
        .sync = run->record.sync,
        .run = run->record.id,
        .destination = run->sync->destination->name,
        .fingerprint = run->sync->destination->fingerprint,
        .weight = weights[run->sync->priority],
        .cap_bytes = run->host->window_share(run->host->ctx),
    };
    if (!rc) {
        run->host->need_workers(run->host->ctx);
        run->out.busy = true;
        rc = queue_enqueue(quota_queue(run->quota), quota_epoch(run->quota), &s, run->out.batches,
                           run->out.count, on_enqueued, run, &err);
        if (rc)
            run->out.busy = false;
        else if (run->out.end > run->handed)
            run->handed = run->out.end; /* whatever becomes of the reply */
    }
    if (rc && err_class(rc) == ERR_CLASS_RETRY)
        again_later(run);
    else if (rc)
        run_fail(run, &err);
}

void sync_run_queue_lost(struct sync_run *run)
{
    run->published = 0;
    run->out.lost = run->out.busy;
    run->cancelled_rest = false;
    if (run->stopping)
        run_step_soon(run, 0);
}

enum err_code run_cancel_unpublished(struct sync_run *run, struct err *err)
{
    /* What an earlier epoch may have handed out is in doubt; the rest surely never left. */
    struct tally_verdict v = {.verdict = VERDICT_CANCELLED, .now_ms = 0};
    for (uint64_t i = run->published; i < run->open_count; i++) {
        if (!run->open[i])
            continue;
        v.doubt = i < run->handed;
        enum err_code rc = run_fold_rest(run, i, &v, err);
        if (rc)
            return rc;
    }
    run->published = run->open_count;
    return ERR_OK;
}

void run_publish_free(struct sync_run *run)
{
    if (run->again)
        event_free(run->again);
    batch_reader_free(run->reader);
    buf_done(&run->out.bytes);
    free(run->open);
}
