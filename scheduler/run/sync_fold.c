/* Reads: results, manifests. Writes: entries, batch bits, counters: one transaction. Invariant: a
 * record's verdict is counted once, whatever Redis repeats. A crash here: the results are drained
 * again. */
#include "scheduler/run/sync_run_private.h"

#include "protocol/base/clock.h"
#include "protocol/wire/ordset.h"
#include "scheduler/run/approval.h"
#include "scheduler/run/guard.h"

#include <stdio.h>
#include <stdlib.h>

enum err_code run_fold_ready(struct sync_run *run, bool has_identity,
                             const struct map_digest *mapping, struct err *err)
{
    struct tally_options o = {
        .entries = run->entries,
        .run = run->record.id,
        .has_identity = has_identity,
        .primary_names = run->primary_names,
        .primary_count = run->primary_count,
        .mapping = *mapping,
    };
    run->results = result_reader_new();
    run->bits = calloc(1, BATCH_BITS_BYTES_MAX);
    run->provisional = calloc(PROVISIONAL_MAX, sizeof *run->provisional);
    if (!run->results || !run->bits || !run->provisional)
        return err_set(err, ERR_NOMEM, "run %s: no memory", run->record.id);
    return tally_new(&o, &run->tally, err);
}

void run_fold_free(struct sync_run *run)
{
    tally_free(run->tally);
    result_reader_free(run->results);
    free(run->bits);
    free(run->provisional);
    run->tally = NULL;
    run->results = NULL;
    run->bits = NULL;
    run->provisional = NULL;
}

static bool bit(const uint8_t *bits, uint32_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

static void clear_bit(uint8_t *bits, uint32_t i)
{
    bits[i / 8] = (uint8_t)(bits[i / 8] & ~(1u << (i % 8)));
}

static void count(struct sync_run *run, enum tally_count what)
{
    struct run_counts *c = &run->record.counts;
    run->dirty = true;
    switch (what) {
    case TALLY_SUCCEEDED:
        c->succeeded++;
        break;
    case TALLY_REJECTED:
        c->rejected++;
        break;
    case TALLY_FAILED:
        c->failed++;
        break;
    case TALLY_CANCELLED:
        c->cancelled++;
        break;
    }
}

static enum err_code fold_entry(struct sync_run *run, uint64_t batch, uint32_t ordinal,
                                const struct manifest_entry *e, const struct tally_verdict *v,
                                struct err *err)
{
    struct tally_record r = {
        .slot = run->recovered ? SLOT_NONE : e->slot,
        .op = e->op,
        .key = e->key,
        .identity = e->identity,
    };
    memcpy(r.hash, e->hash, sizeof r.hash);
    enum tally_count what;
    enum err_code rc = tally_fold(run->tally, &r, v, &what, err);
    if (rc)
        return rc;
    count(run, what);
    if (run->record.stream && !run->recovered)
        run_stream_settled(run, e->slot, e->key, what);
    if (what == TALLY_FAILED && !*run->failed_words)
        snprintf(run->failed_words, sizeof run->failed_words, "%.*s", (int)v->message.n,
                 v->message.p ? v->message.p : "");
    if (what != TALLY_SUCCEEDED)
        history_note(&run->notes, batch, ordinal, what, v);
    return ERR_OK;
}

/* What a batch's verdicts are: one for all whose bit is set, or one per entry of a result. */
struct verdicts {
    const struct result *result;
    struct tally_verdict rest;
};

static struct tally_verdict verdict_of(const struct verdicts *v, uint32_t ordinal, size_t *at)
{
    const struct result *r = v->result;
    while (r && *at < r->entry_count && r->entries[*at].ordinal < ordinal)
        (*at)++;
    if (!r || *at >= r->entry_count || r->entries[*at].ordinal != ordinal)
        return v->rest;
    struct tally_verdict own = v->rest;
    own.verdict = r->entries[*at].verdict;
    own.doubt = r->entries[*at].doubt;
    own.message = r->entries[*at].message;
    return own;
}

/* Folds the records whose bit is set in run->bits and was not settled before. */
static enum err_code fold_bits(struct sync_run *run, const struct frame *f,
                               const struct verdicts *v, struct err *err)
{
    uint32_t fresh, settled;
    enum err_code rc = state_batch_settle(run->host->state, run->record.id, f->number, f->records,
                                          run->bits, &fresh, &settled, err);
    if (rc)
        return rc;
    struct slice rest = f->manifest;
    size_t at = 0;
    for (uint32_t i = 0; i < f->records && fresh; i++) {
        struct manifest_entry e;
        rc = manifest_next(&rest, &e, err);
        if (rc)
            return rc;
        if (!bit(run->bits, i))
            continue;
        struct tally_verdict verdict = verdict_of(v, i, &at);
        rc = fold_entry(run, f->number, i, &e, &verdict, err);
        if (rc)
            return rc;
        fresh--;
        ensure(run->open[f->number] && run->open_total);
        run->open[f->number]--;
        run->open_total--;
        run->open_batches -= !run->open[f->number];
    }
    return ERR_OK;
}

enum err_code run_fold_rest(struct sync_run *run, uint64_t batch, const struct tally_verdict *v,
                            struct err *err)
{
    struct frame f;
    enum err_code rc = spool_read(run->spool, batch, &f, err);
    if (rc)
        return rc;
    struct verdicts all = {.rest = *v};
    all.rest.now_ms = clock_wall_ms();
    memset(run->bits, 0xFF, (f.records + 7) / 8);
    return fold_bits(run, &f, &all, err);
}

/* ---- refusals of single records before anything was accepted ---- */

static bool is_provisional(const struct sync_run *run, const struct result *r)
{
    return (r->flags & RESULT_SINGLE) && r->rest == VERDICT_REJECTED && r->entry_count == 0 &&
           run->record.counts.succeeded == 0;
}

static enum err_code settle_one(struct sync_run *run, const struct provisional *p,
                                enum verdict verdict, struct err *err)
{
    struct frame f;
    enum err_code rc = spool_read(run->spool, p->batch, &f, err);
    if (rc)
        return rc;
    struct verdicts v = {
        .rest = {.verdict = verdict, .message = slice_str(p->message), .now_ms = clock_wall_ms()}};
    memset(run->bits, 0, (f.records + 7) / 8);
    run->bits[p->ordinal / 8] = (uint8_t)(1u << (p->ordinal % 8));
    return fold_bits(run, &f, &v, err);
}

enum err_code run_provisional_settle(struct sync_run *run, enum verdict verdict, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < run->provisional_count && !rc; i++)
        rc = settle_one(run, &run->provisional[i], verdict, err);
    if (!rc)
        run->provisional_count = 0;
    return rc;
}

static enum err_code hold_back(struct sync_run *run, const struct frame *f, const struct result *r,
                               struct err *err)
{
    for (uint32_t i = 0; i < f->records; i++) {
        if (!bit(run->bits, i))
            continue;
        for (size_t k = 0; k < run->provisional_count; k++)
            if (run->provisional[k].batch == f->number && run->provisional[k].ordinal == i)
                return ERR_OK;
        struct provisional *p = &run->provisional[run->provisional_count++];
        *p = (struct provisional){.batch = f->number, .ordinal = i};
        size_t n = r->message.n < RESULT_MESSAGE_MAX ? r->message.n : RESULT_MESSAGE_MAX;
        if (n)
            memcpy(p->message, r->message.p, n);
    }
    if (run->provisional_count < PROVISIONAL_MAX)
        return ERR_OK;
    char why[RUN_TEXT_MAX];
    snprintf(why, sizeof why,
             "the destination refused %d single records in a row and accepted none: %.600s",
             PROVISIONAL_MAX, run->provisional[PROVISIONAL_MAX - 1].message);
    enum err_code rc = run_provisional_settle(run, VERDICT_FAILED, err);
    sync_run_stop(run, RUN_STOP_FAIL, why);
    return rc;
}

/* ---- results ---- */

/* Sets run->bits for the records with a verdict: the request's, less those that stay open. */
static enum err_code result_bits(struct sync_run *run, const struct result *r, uint32_t records,
                                 struct err *err)
{
    enum err_code rc = ordset_bits(r->ordset, records, run->bits, err);
    size_t at = 0;
    struct verdicts v = {.result = r, .rest = {.verdict = r->rest}};
    for (uint32_t i = 0; i < records && !rc; i++)
        if (bit(run->bits, i) && verdict_of(&v, i, &at).verdict == VERDICT_OPEN)
            clear_bit(run->bits, i);
    return rc;
}

static void judge(struct sync_run *run, const struct result *r)
{
    struct run_counts *c = &run->record.counts;
    char why[RUN_TEXT_MAX];
    if (r->flags & RESULT_BUG)
        log_event(run->host->log, LOG_ERROR, "answer_makes_no_sense",
                  LOG_STR("run", run->record.id), LOG_STR("sync", run->record.sync),
                  LOG_INT("status", r->status));
    if (r->flags & RESULT_WARN) {
        c->warnings++;
        snprintf(run->record.warning, sizeof run->record.warning, "%.*s", (int)r->message.n,
                 r->message.p ? r->message.p : "");
    }
    if (r->flags & RESULT_STOP) {
        snprintf(why, sizeof why, "%.*s", (int)r->message.n, r->message.p);
        sync_run_stop(run, RUN_STOP_FAIL, why);
    }
    uint64_t verdicts = c->succeeded + c->rejected + c->failed;
    if (run->sync && guard_stops(&run->sync->guard, verdicts, c->rejected, why, sizeof why))
        sync_run_stop(run, RUN_STOP_FAIL, why);
}

static enum err_code fold_result(struct sync_run *run, const struct frame *f,
                                 const struct result *r, struct err *err)
{
    enum err_code rc = result_bits(run, r, f->records, err);
    if (rc)
        return rc;
    bool provisional = is_provisional(run, r);
    if (provisional && !run->stopping)
        return hold_back(run, f, r, err);
    struct verdicts v = {
        .result = r,
        .rest = {
            .verdict = provisional ? VERDICT_FAILED
                                   : r->rest, /* the run stops without knowing whose fault it is */
            .doubt = (r->flags & RESULT_DOUBT) != 0,
            .message = r->message,
            .kills = r->kills,
            .now_ms = clock_wall_ms(),
        }};
    rc = fold_bits(run, f, &v, err);
    if (!rc && run->provisional_count && run->record.counts.succeeded)
        rc = run_provisional_settle(run, VERDICT_REJECTED, err);
    return rc;
}

enum err_code sync_run_result(struct sync_run *run, uint64_t batch, struct slice body,
                              struct err *err)
{
    struct result r;
    struct frame f;
    if (!run->tally || run->stage == RUN_STAGE_ENDED)
        return ERR_OK;
    if (batch >= run->open_count)
        return err_set(err, ERR_INVALID, "a result speaks of batch %llu of %zu",
                       (unsigned long long)batch, run->open_count);
    enum err_code rc = result_parse(run->results, body, &r, err);
    if (rc)
        return rc;
    run->record.counts.requests += r.requests;
    run->record.counts.retries += r.retries;
    run->record.counts.bytes += r.bytes;
    run->record.counts.request_ms += r.requests ? r.duration_ms : 0;
    run->dirty = true;
    uint64_t open_before = run->open_batches;
    if (r.rest != VERDICT_OPEN || r.entry_count) {
        rc = spool_read(run->spool, batch, &f, err);
        if (!rc)
            rc = fold_result(run, &f, &r, err);
    }
    if (rc)
        return rc;
    if (run->quota)
        quota_note_requests(run->quota, r.requests, r.duration_ms, open_before - run->open_batches);
    judge(run, &r);
    run_check_end(run);
    return ERR_OK;
}

void sync_run_result_lost(struct sync_run *run, uint64_t batch, const struct err *why)
{
    struct err err;
    struct tally_verdict v = {
        .verdict = VERDICT_FAILED, .doubt = true, .message = slice_str(why->text)};
    if (run->stage == RUN_STAGE_ENDED || batch >= run->open_count)
        return;
    if (resync_mark(run->host->state, run->record.sync, why->text, &err))
        log_event(run->host->log, LOG_ERROR, "resync_not_marked", LOG_STR("reason", err.text));
    if (run_fold_rest(run, batch, &v, &err)) {
        /* Not even its frame can be read: the next run, which sends every row, settles it. */
        run->record.counts.failed += run->open[batch];
        run->open_total -= run->open[batch];
        run->open_batches -= run->open[batch] != 0;
        run->open[batch] = 0;
        run->dirty = true;
    }
    sync_run_stop(run, RUN_STOP_FAIL, why->text);
}
