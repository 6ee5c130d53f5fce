#include "worker/settle/plan.h"

#include <stdlib.h>

#include "protocol/base/random.h"
#include "protocol/wire/ordset.h"

enum {
    RESULT_BYTES_MAX = 128 << 20,
    ORDSET_BYTES_MAX = 1 << 20,
    BACKOFF_SHIFT_MAX = 20,
    KEPT_BYTES = 4 << 20, /* a buffer that grew beyond this is given back */
};

void settle_plan_init(struct settle_plan *p)
{
    *p = (struct settle_plan){0};
    buf_init(&p->result, RESULT_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_LEN(p->payloads); i++) {
        buf_init(&p->payloads[i], BATCH_BYTES_MAX * 2);
        buf_init(&p->ordsets[i], ORDSET_BYTES_MAX);
    }
}

void settle_plan_done(struct settle_plan *p)
{
    buf_done(&p->result);
    for (size_t i = 0; i < ARRAY_LEN(p->payloads); i++) {
        buf_done(&p->payloads[i]);
        buf_done(&p->ordsets[i]);
    }
}

static void reset_buf(struct buf *b)
{
    if (b->cap > KEPT_BYTES)
        buf_done(b);
    buf_reset(b);
}

static void plan_reset(struct settle_plan *p, enum settle_kind kind)
{
    p->kind = kind;
    p->delay_ms = 0;
    p->unsure = false;
    p->keep_throttle = true;
    p->throttled = false;
    p->stop = false;
    p->part_count = 0;
    p->progress = (struct slice){0};
    p->next_group = 0;
    p->next_records = 0;
    p->open = false;
    p->uncharge_records = false;
    p->pause_ms = 0;
    p->hold_ms = 0;
    p->entries = 0;
    p->rest = VERDICT_OPEN;
    memset(p->verdicts, 0, sizeof p->verdicts);
    reset_buf(&p->result);
    for (size_t i = 0; i < ARRAY_LEN(p->payloads); i++) {
        reset_buf(&p->payloads[i]);
        reset_buf(&p->ordsets[i]);
    }
}

/* ---- delays ---- */

static uint64_t backoff_ms(const struct retry_policy *policy, uint32_t times)
{
    uint32_t shift = times < BACKOFF_SHIFT_MAX ? times : BACKOFF_SHIFT_MAX;
    uint64_t ms = policy->base_ms << shift;
    return ms < policy->max_ms ? ms : policy->max_ms;
}

/* Full jitter: anything up to the backoff, so that batches that failed together do not return
 * together. Not before the time that the answer asked for. */
static uint64_t retry_delay_ms(const struct settle_facts *f, const struct outcome *o)
{
    uint64_t least = o->retry_after_ms > 0 ? (uint64_t)o->retry_after_ms : 0;
    return least + random_below(backoff_ms(f->policy, f->attempts) + 1);
}

static uint64_t throttle_delay_ms(const struct settle_facts *f, int64_t retry_after_ms)
{
    uint64_t ms;
    if (retry_after_ms >= 0)
        ms = (uint64_t)retry_after_ms;
    else
        ms = backoff_ms(f->policy, f->throttled) / 2 +
             random_below(backoff_ms(f->policy, f->throttled) / 2 + 1);
    return ms > SETTLE_THROTTLE_MIN_MS ? ms : SETTLE_THROTTLE_MIN_MS;
}

/* ---- parts ---- */

static enum err_code add_part(struct settle_plan *p, const struct settle_facts *f,
                              struct batch_reader *reader, const uint8_t *keep,
                              const uint32_t *ordinals, size_t count, struct err *err)
{
    size_t i = p->part_count;
    enum err_code rc = ordset_put(&p->ordsets[i], ordinals, count, f->planned);
    if (!rc)
        rc = batch_part_id(f->batch, buf_slice(&p->ordsets[i]), p->part_ids[i],
                           sizeof p->part_ids[i]);
    if (rc)
        return err_set(err, rc, "the name of a part of batch %.*s: %s", (int)f->batch.n, f->batch.p,
                       err_name(rc));
    rc = batch_reader_subset(reader, keep, &p->payloads[i], err);
    if (rc)
        return rc;
    p->parts[i] = (struct settle_part){
        .part = slice_str(p->part_ids[i]),
        .ordset = buf_slice(&p->ordsets[i]),
        .payload = buf_slice(&p->payloads[i]),
        .records = (uint32_t)count,
    };
    p->part_count++;
    return ERR_OK;
}

/* One part of those records whose keep byte is set. ordinals: of all of them. */
static enum err_code add_kept(struct settle_plan *p, const struct settle_facts *f,
                              struct batch_reader *reader, const uint8_t *keep,
                              const uint32_t *ordinals, struct err *err)
{
    uint32_t records = batch_reader_count(reader);
    uint32_t *kept = malloc((records + 1) * sizeof *kept);
    if (!kept)
        return err_set(err, ERR_NOMEM, "no memory for a part of a batch");
    size_t n = 0;
    for (uint32_t i = 0; i < records; i++)
        if (keep[i])
            kept[n++] = ordinals[i];
    enum err_code rc = add_part(p, f, reader, keep, kept, n, err);
    free(kept);
    return rc;
}

static enum err_code add_halves(struct settle_plan *p, const struct settle_facts *f,
                                struct batch_reader *reader, const uint32_t *ordinals,
                                struct err *err)
{
    uint32_t records = batch_reader_count(reader);
    uint32_t middle = (records + 1) / 2;
    uint8_t *keep = calloc(records, 1);
    if (!keep)
        return err_set(err, ERR_NOMEM, "no memory to halve a batch");
    memset(keep, 1, middle);
    enum err_code rc = add_kept(p, f, reader, keep, ordinals, err);
    for (uint32_t i = 0; i < records; i++)
        keep[i] = !keep[i];
    if (!rc)
        rc = add_kept(p, f, reader, keep, ordinals, err);
    free(keep);
    return rc;
}

/* ---- the result ---- */

static struct result start_result(const struct settle_facts *f)
{
    return (struct result){
        .ordset = f->ordset,
        .rest = VERDICT_OPEN,
        .requests = f->requests,
        .retries = f->requests && (f->attempts || f->kills) ? f->requests : 0,
        .bytes = f->bytes,
        .status = f->status,
        .duration_ms = f->duration_ms < UINT32_MAX ? (uint32_t)f->duration_ms : UINT32_MAX,
        .kills = f->kills,
    };
}

static enum err_code put_result(struct settle_plan *p, const struct result *result, struct err *err)
{
    for (size_t i = 0; i < result->entry_count; i++)
        p->verdicts[result->entries[i].verdict]++;
    p->entries = (uint32_t)result->entry_count;
    p->rest = result->rest;
    enum err_code rc = result_put(&p->result, result);
    return rc ? err_set(err, rc, "the result of a batch: %s", err_name(rc)) : ERR_OK;
}

static uint32_t doubt_flag(bool doubt)
{
    return doubt ? RESULT_DOUBT : 0;
}

/* ---- by outcome ---- */

/* Where a batch is part of a session it stands for `refused` and `failed`, too: a session that
 * lacks a batch would leave something else at the destination than was meant. */
static enum err_code plan_stop(struct settle_plan *p, const struct settle_facts *f,
                               struct slice words, bool doubt, struct err *err)
{
    struct result result = start_result(f);
    p->kind = SETTLE_STOP;
    p->stop = true;
    result.rest = VERDICT_CANCELLED;
    result.flags = RESULT_STOP | doubt_flag(doubt || f->was_unsure);
    result.message = words;
    return put_result(p, &result, err);
}

static enum err_code plan_retry(struct settle_plan *p, const struct settle_facts *f,
                                const struct outcome *o, struct err *err)
{
    struct result result = start_result(f);
    result.message = o->message;
    result.flags = o->bug ? RESULT_BUG : 0;
    p->kind = SETTLE_RETRY;
    if (f->attempts + 1 >= f->policy->attempts) {
        if (o->whole)
            return plan_stop(p, f, o->message, o->unsure, err);
        p->kind = SETTLE_DONE;
        result.rest = VERDICT_FAILED;
        result.flags |= doubt_flag(o->unsure || f->was_unsure);
    } else {
        p->delay_ms = retry_delay_ms(f, o);
    }
    return put_result(p, &result, err);
}

static enum err_code plan_refused(struct settle_plan *p, const struct settle_facts *f,
                                  const struct rendered *r, const struct outcome *o,
                                  struct batch_reader *reader, struct err *err)
{
    struct result result = start_result(f);
    result.message = o->message;
    if (o->whole)
        return plan_stop(p, f, o->message, o->unsure, err);
    if (r->records == 1) {
        p->kind = SETTLE_DONE;
        result.rest = VERDICT_REJECTED;
        result.flags = RESULT_SINGLE;
        return put_result(p, &result, err);
    }
    p->kind = SETTLE_SPLIT;
    enum err_code rc = add_halves(p, f, reader, r->ordinals, err);
    return rc ? rc : put_result(p, &result, err);
}

/* The entries as verdicts; marks in keep those that stay open. With last, none stays: they failed.
 */
static size_t fill_entries(const struct settle_facts *f, const struct rendered *r,
                           const struct outcome *o, bool last, struct verdict_entry *entries,
                           uint8_t *keep)
{
    size_t open = 0;
    for (size_t i = 0; i < o->entry_count; i++) {
        const struct outcome_entry *e = &o->entries[i];
        entries[i] = (struct verdict_entry){r->ordinals[e->index], e->verdict, false, e->message};
        if (e->verdict != VERDICT_OPEN)
            continue;
        open++;
        keep[e->index] = 1;
        entries[i].doubt = last && f->was_unsure;
        if (last)
            entries[i].verdict = VERDICT_FAILED;
    }
    return last ? 0 : open;
}

/* Who has an entry gets its verdict, the others get the result's rest; what is open is sent again.
 */
static enum err_code plan_entries(struct settle_plan *p, const struct settle_facts *f,
                                  const struct rendered *r, const struct outcome *o,
                                  struct batch_reader *reader, struct result *result,
                                  struct err *err)
{
    struct verdict_entry *entries = calloc(o->entry_count, sizeof *entries);
    uint8_t *keep = calloc(r->records, 1);
    enum err_code rc = ERR_OK;
    if (!entries || !keep) {
        rc = err_set(err, ERR_NOMEM, "no memory for the verdicts of a batch");
        goto out;
    }
    size_t open = fill_entries(f, r, o, f->attempts + 1 >= f->policy->attempts, entries, keep);
    if (open) {
        p->kind = SETTLE_RETRY;
        p->delay_ms = retry_delay_ms(f, o);
        if (open < r->records)
            rc = add_kept(p, f, reader, keep, r->ordinals, err);
    }
    result->entries = entries;
    result->entry_count = o->entry_count;
    if (!rc)
        rc = put_result(p, result, err);
out:
    free(entries);
    free(keep);
    return rc;
}

static enum err_code plan_answered(struct settle_plan *p, const struct settle_facts *f,
                                   const struct rendered *r, const struct outcome *o,
                                   struct batch_reader *reader, struct err *err)
{
    struct result result = start_result(f);
    result.rest = VERDICT_OK;
    if (o->warning.n) {
        result.flags = RESULT_WARN;
        result.message = o->warning;
    }
    if (!o->entry_count)
        return put_result(p, &result, err);
    return plan_entries(p, f, r, o, reader, &result, err);
}

static enum err_code plan_one_verdict(struct settle_plan *p, const struct settle_facts *f,
                                      const struct rendered *r, const struct outcome *o,
                                      struct batch_reader *reader, struct err *err)
{
    if (o->whole)
        return plan_stop(p, f, o->message, o->unsure, err);
    struct result result = start_result(f);
    result.rest = o->rest;
    result.message = o->message;
    if (o->rest == VERDICT_FAILED)
        result.flags = doubt_flag(o->unsure || f->was_unsure);
    if (o->rest == VERDICT_REJECTED && r->records == 1)
        result.flags = RESULT_SINGLE;
    if (!o->entry_count)
        return put_result(p, &result, err);
    return plan_entries(p, f, r, o, reader, &result, err);
}

/* The batch goes on with another request; whose verdict is sure already leaves it now. */
static enum err_code plan_continue(struct settle_plan *p, const struct settle_facts *f,
                                   const struct rendered *r, const struct outcome *o,
                                   struct batch_reader *reader, struct err *err)
{
    struct result result = start_result(f);
    p->kind = SETTLE_CONTINUE;
    p->unsure = o->unsure || f->was_unsure; /* of a batch that goes on it is said anew each time */
    p->delay_ms = o->delay_ms > 0 ? (uint64_t)o->delay_ms : 0;
    if (o->warning.n) {
        result.flags = RESULT_WARN;
        result.message = o->warning;
    }
    if (!o->entry_count)
        return put_result(p, &result, err);
    struct verdict_entry *entries = calloc(o->entry_count, sizeof *entries);
    uint8_t *keep = malloc(r->records);
    enum err_code rc = ERR_OK;
    if (!entries || !keep) {
        rc = err_set(err, ERR_NOMEM, "no memory for the verdicts of a batch");
        goto out;
    }
    memset(keep, 1, r->records);
    for (size_t i = 0; i < o->entry_count; i++) {
        const struct outcome_entry *e = &o->entries[i];
        entries[i] = (struct verdict_entry){r->ordinals[e->index], e->verdict, false, e->message};
        keep[e->index] = 0;
    }
    result.entries = entries;
    result.entry_count = o->entry_count;
    if (o->entry_count == r->records)
        p->kind = SETTLE_DONE;
    else
        rc = add_kept(p, f, reader, keep, r->ordinals, err);
    if (!rc)
        rc = put_result(p, &result, err);
out:
    free(entries);
    free(keep);
    return rc;
}

static enum err_code plan_throttled(struct settle_plan *p, const struct settle_facts *f,
                                    const struct outcome *o, struct err *err)
{
    struct result result = start_result(f);
    result.message = o->message;
    p->kind = SETTLE_THROTTLE;
    p->throttled = true;
    p->delay_ms = throttle_delay_ms(f, o->retry_after_ms);
    return put_result(p, &result, err);
}

enum err_code settle_plan_outcome(struct settle_plan *p, const struct settle_facts *f,
                                  const struct rendered *r, const struct outcome *o,
                                  struct batch_reader *reader, struct err *err)
{
    plan_reset(p, SETTLE_DONE);
    p->keep_throttle = f->status == 0;
    p->unsure = o->unsure;
    p->progress = o->progress;
    p->next_group = o->next_group;
    p->next_records = o->next_carries_none ? QUEUE_NO_RECORDS : 0;
    p->open = o->open;
    p->uncharge_records = o->carried_none;
    p->pause_ms = o->pause_ms;
    p->hold_ms = o->hold_ms;
    switch (o->kind) {
    case OUTCOME_ANSWERED:
        return plan_answered(p, f, r, o, reader, err);
    case OUTCOME_RETRY:
        return plan_retry(p, f, o, err);
    case OUTCOME_THROTTLE:
        return plan_throttled(p, f, o, err);
    case OUTCOME_CONTINUE:
        return plan_continue(p, f, r, o, reader, err);
    case OUTCOME_ALL:
        return plan_one_verdict(p, f, r, o, reader, err);
    case OUTCOME_REFUSED:
        return plan_refused(p, f, r, o, reader, err);
    case OUTCOME_STOP:
        return plan_stop(p, f, o->message, o->unsure, err);
    }
    return err_set(err, ERR_BUG, "an outcome of kind %d", (int)o->kind);
}

/* ---- without a request ---- */

static enum err_code read_ordinals(struct batch_reader *reader, uint32_t *ordinals, struct err *err)
{
    batch_reader_rewind(reader);
    for (uint32_t i = 0, n = batch_reader_count(reader); i < n; i++) {
        struct record record;
        bool more;
        enum err_code rc = batch_reader_next(reader, &record, &more, err);
        if (rc || !more)
            return rc ? rc : err_set(err, ERR_INVALID, "a batch holds fewer records than it says");
        ordinals[i] = record.ordinal;
    }
    return ERR_OK;
}

enum err_code settle_plan_unsent(struct settle_plan *p, const struct settle_facts *f,
                                 struct slice words, bool doubt, struct batch_reader *reader,
                                 struct err *err)
{
    uint32_t records = batch_reader_count(reader);
    if (f->whole) {
        plan_reset(p, SETTLE_STOP);
        return plan_stop(p, f, words, doubt, err);
    }
    if (records <= 1)
        return settle_plan_all(p, f, doubt ? VERDICT_FAILED : VERDICT_REJECTED, doubt_flag(doubt),
                               words, err);
    plan_reset(p, SETTLE_SPLIT);
    p->next_group = f->first_group;
    p->next_records = f->first_carries_none ? QUEUE_NO_RECORDS : 0;
    uint32_t *ordinals = malloc(records * sizeof *ordinals);
    if (!ordinals)
        return err_set(err, ERR_NOMEM, "no memory to halve a batch");
    enum err_code rc = read_ordinals(reader, ordinals, err);
    if (!rc)
        rc = add_halves(p, f, reader, ordinals, err);
    free(ordinals);
    return rc;
}

enum err_code settle_plan_all(struct settle_plan *p, const struct settle_facts *f,
                              enum verdict verdict, uint32_t flags, struct slice words,
                              struct err *err)
{
    plan_reset(p, flags & RESULT_STOP ? SETTLE_STOP : SETTLE_DONE);
    p->stop = flags & RESULT_STOP;
    struct result result = start_result(f);
    result.rest = verdict;
    result.flags = flags;
    result.message = words;
    return put_result(p, &result, err);
}

void settle_plan_release(struct settle_plan *p)
{
    plan_reset(p, SETTLE_RELEASE);
}
