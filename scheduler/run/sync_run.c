/* Reads: everything of one run. Writes: its record. Invariant: it ends once, and its totals balance
 * or it says so. A crash here: the record still says reading or planned; the next start goes on
 * with sync_run_recover. */
#include "scheduler/run/sync_run_private.h"

#include "protocol/base/clock.h"
#include "protocol/base/random.h"
#include "scheduler/map/map.h"

#include <event2/event.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { CANCEL_POLL_MS = 50 };

/* ---- life ---- */

static void on_step(evutil_socket_t fd, short what, void *arg);

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    sync_run_pump(arg);
}

void run_on_spool(void *ctx, const struct err *err)
{
    struct sync_run *run = ctx;
    if (err)
        run_fail(run, err);
    else
        sync_run_pump(run);
}

enum err_code run_alloc(const struct run_host *host, const struct sync *sync, struct sync_run **ret,
                        struct err *err)
{
    struct sync_run *run = calloc(1, sizeof *run);
    if (!run)
        return err_set(err, ERR_NOMEM, "run: no memory");
    run->host = host;
    run->sync = sync;
    run->started_mono_ms = clock_mono_ms();
    buf_init(&run->out.bytes, (size_t)PUBLISH_BYTES + FRAME_BYTES_MAX);
    history_notes_init(&run->notes);
    run->reader = batch_reader_new();
    run->step = evtimer_new(host->base, on_step, run);
    run->again = evtimer_new(host->base, on_again, run);
    size_t names = sync ? sync->model->primary_key_count : 0;
    run->primary_names = calloc(names ? names : 1, sizeof *run->primary_names);
    if (!run->reader || !run->step || !run->again || !run->primary_names) {
        sync_run_free(run);
        return err_set(err, ERR_NOMEM, "run: no memory");
    }
    run->primary_count = names;
    for (size_t i = 0; i < names; i++)
        run->primary_names[i] = slice_str(sync->model->primary_key[i]);
    *ret = run;
    return ERR_OK;
}

void sync_run_retire(struct sync_run *run)
{
    batcher_free(run->batcher);
    diff_free(run->diff);
    run_fold_free(run);
    spool_close(run->spool);
    map_free(run->map);
    state_sync_close(run->entries);
    run->batcher = NULL;
    run->diff = NULL;
    run->spool = NULL;
    run->map = NULL;
    run->entries = NULL;
}

void sync_run_free(struct sync_run *run)
{
    if (!run)
        return;
    if (run->step)
        event_free(run->step);
    sync_run_retire(run);
    run_publish_free(run);
    in_flight_done(&run->stream.in_flight);
    buf_done(&run->stream.landed);
    history_notes_done(&run->notes);
    free(run->primary_names);
    free(run);
}

/* 20261122T140102-7f3a9c21: sorts by time, and no two are alike. */
void sync_run_id(int64_t wall_ms, char out[STATE_RUN_ID_MAX + 1])
{
    size_t n = STATE_RUN_ID_MAX + 1;
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    char random[9];
    gmtime_r(&s, &tm);
    random_hex(random, 8);
    size_t len = strftime(out, n, "%Y%m%dT%H%M%S-", &tm);
    snprintf(out + len, n - len, "%s", random);
}

void run_spool_path(const struct sync_run *run, char *out)
{
    snprintf(out, PATH_MAX, "%s/%s", run->host->project->settings.state_dir, run->record.spool);
}

/* A hold is replaced by whatever runs next. */
static enum err_code supersede(struct state *state, const char *sync, const char *state_dir,
                               struct err *err)
{
    struct run_record last;
    char path[PATH_MAX];
    enum err_code rc = state_run_last(state, sync, &last, err);
    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    if (rc || last.status != RUN_HELD)
        return rc;
    last.status = RUN_SUPERSEDED;
    last.counts.cancelled = last.counts.planned; /* none of it was sent */
    last.ended_ms = clock_wall_ms();
    snprintf(path, sizeof path, "%s/%s", state_dir, last.spool);
    rc = state_run_put(state, &last, err);
    return rc ? rc : spool_remove(path, err);
}

static void begin_record(struct sync_run *run, const struct run_start *start)
{
    struct run_record *r = &run->record;
    r->started_ms = clock_wall_ms();
    r->scheduled_ms = start->scheduled_ms ? start->scheduled_ms : r->started_ms;
    r->status = RUN_READING;
    r->plan = start->plan;
    r->stream = start->stream;
    if (start->id)
        snprintf(r->id, sizeof r->id, "%s", start->id);
    else
        sync_run_id(r->started_ms, r->id);
    snprintf(r->sync, sizeof r->sync, "%s", run->sync->name);
    snprintf(r->spool, sizeof r->spool, "spool/%s", r->id);
    snprintf(r->trigger, sizeof r->trigger, "%s", start->trigger ? start->trigger : "");
}

enum err_code sync_run_new(const struct run_host *host, const struct sync *sync,
                           const struct run_start *start, struct sync_run **ret_run,
                           struct err *err)
{
    struct sync_run *run = NULL;
    char path[PATH_MAX];
    enum err_code rc = run_alloc(host, sync, &run, err);
    if (rc)
        return rc;
    run->full = start->full || start->state_lost;
    run->state_lost = start->state_lost;
    run->adopt = start->adopt;
    snprintf(run->asked_hold, sizeof run->asked_hold, "%s", start->hold ? start->hold : "");
    snprintf(run->snapshot, sizeof run->snapshot, "%s", start->snapshot ? start->snapshot : "");
    begin_record(run, start);
    run_spool_path(run, path);
    /* Of a begin that failed there is nothing in state. */
    rc = spool_create(host->base, path, run_on_spool, run, &run->spool, err);
    if (!rc)
        rc = supersede(host->state, sync->name, host->project->settings.state_dir, err);
    if (!rc)
        rc = run_save(run, err);
    if (rc) {
        unlink(path);
        sync_run_free(run);
        return rc;
    }
    *ret_run = run;
    return ERR_OK;
}

/* ---- small things ---- */

enum err_code run_save(struct sync_run *run, struct err *err)
{
    run->dirty = false;
    return state_run_put(run->host->state, &run->record, err);
}

enum err_code sync_run_before_commit(struct sync_run *run, struct err *err)
{
    if (!run->dirty || run->stage == RUN_STAGE_ENDED)
        return ERR_OK;
    if (run->record.stream && run->diff)
        run_take_counts(run);
    return run_save(run, err);
}

void run_step_soon(struct sync_run *run, uint32_t ms)
{
    struct timeval t = {ms / 1000, (ms % 1000) * 1000};
    event_add(run->step, &t);
}

bool sync_run_reads(const struct sync_run *run)
{
    return run->stage == RUN_STAGE_READING && !run->record.stream;
}

const char *sync_run_asked_hold(const struct sync_run *run)
{
    return run->asked_hold;
}

const char *sync_run_snapshot(const struct sync_run *run)
{
    return *run->snapshot ? run->snapshot : NULL;
}

void sync_run_lost_snapshot(const struct sync_run *run)
{
    log_event(run->host->log, LOG_INFO, "snapshot_gone", LOG_STR("run", run->record.id),
              LOG_STR("sync", run->record.sync));
}

bool sync_run_is_full(const struct sync_run *run)
{
    return run->full;
}

bool sync_run_adopts(const struct sync_run *run)
{
    return run->adopt;
}

bool sync_run_stopping(const struct sync_run *run)
{
    return run->stopping;
}

bool sync_run_plans(const struct sync_run *run)
{
    return run->stage == RUN_STAGE_READING || run->stage == RUN_STAGE_PLANNING;
}

bool sync_run_ended(const struct sync_run *run)
{
    return run->stage == RUN_STAGE_ENDED;
}

const struct run_record *sync_run_record(const struct sync_run *run)
{
    if (run->diff && run->stage != RUN_STAGE_ENDED)
        run_take_counts((struct sync_run *)run);
    return &run->record;
}

const struct history_notes *sync_run_notes(const struct sync_run *run)
{
    return &run->notes;
}

const struct sync *sync_run_sync(const struct sync_run *run)
{
    return run->sync;
}

struct quota *sync_run_quota(const struct sync_run *run)
{
    return run->quota;
}

void sync_run_attach(struct sync_run *run, struct quota *quota)
{
    run->quota = quota;
    sync_run_pump(run);
}

/* ---- stopping ---- */

void run_fail(struct sync_run *run, const struct err *err)
{
    sync_run_stop(run, RUN_STOP_FAIL, err->text);
}

void sync_run_stop(struct sync_run *run, enum run_stop how, const char *why)
{
    if (run->stage == RUN_STAGE_ENDED)
        return;
    if (!*run->record.error)
        snprintf(run->record.error, sizeof run->record.error, "%.*s", RUN_TEXT_MAX, why);
    if (run->stopping)
        return;
    run->stopping = true;
    run->stop_how = how;
    log_event(run->host->log, how == RUN_STOP_CANCEL ? LOG_INFO : LOG_WARN, "run_stops",
              LOG_STR("run", run->record.id), LOG_STR("sync", run->record.sync));
    if (run->stage == RUN_STAGE_READING) {
        struct err stopped = {.code = ERR_STOPPED};
        memcpy(stopped.text, run->record.error, sizeof stopped.text);
        sync_run_read_end(run, &stopped);
        run->host->on_read_unwanted(run->host->ctx, run);
    }
    run_step_soon(run, 0);
}

static void on_cancelled(void *ctx, int64_t left, const struct err *err)
{
    struct sync_run *run = ctx;
    run->cancel_busy = false;
    run->cancelled_rest = !err && left == 0;
    /* The last verdict may have come while this was on its way, and the run could not end then. */
    if (run->stage != RUN_STAGE_ENDED)
        run_step_soon(run, run->cancelled_rest ? 0 : CANCEL_POLL_MS);
}

/* Redis may have verdicts of an earlier epoch, or batches of this one. */
static bool waits_for_quota(const struct sync_run *run)
{
    if (!run->quota)
        return run->recovered && run->sync && run->handed;
    return run->published && !quota_is_ready(run->quota);
}

/* What Redis still has is cancelled there (leased batches may settle); what it never had, here. */
static void stop_step(struct sync_run *run)
{
    struct err err;
    if (run->out.busy || run->cancel_busy) {
        run_step_soon(run, CANCEL_POLL_MS);
        return;
    }
    if (run->quota && quota_is_broken(run->quota))
        run->published = 0; /* it tells no more: what it was given is in doubt */
    if (waits_for_quota(run)) {
        run_step_soon(run, CANCEL_POLL_MS);
        return;
    }
    bool epoch_over = !run->published || !run->quota;
    if (run->spool && run->tally && run_cancel_unpublished(run, &err)) {
        log_event(run->host->log, LOG_ERROR, "cancel_failed", LOG_STR("run", run->record.id),
                  LOG_STR("reason", err.text));
        run_step_soon(run, CANCEL_POLL_MS);
        return;
    }
    run_check_end(run);
    if (run->stage == RUN_STAGE_ENDED || run->cancelled_rest || epoch_over)
        return;
    run->cancel_busy = true;
    enum queue_control what =
        run->stop_how == RUN_STOP_GIVE_UP ? QUEUE_FAIL_SYNC : QUEUE_CANCEL_SYNC;
    if (queue_control(quota_queue(run->quota), quota_epoch(run->quota), what, run->record.sync,
                      on_cancelled, run, &err)) {
        run->cancel_busy = false;
        run_step_soon(run, CANCEL_POLL_MS);
    }
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct sync_run *run = arg;
    if (run->stage == RUN_STAGE_ENDED)
        return;
    if (run->stage == RUN_STAGE_PLANNING || run->disk_full)
        run_plan_step(run);
    if (run->stopping && run->stage == RUN_STAGE_SENDING)
        stop_step(run);
    else if (run->stage == RUN_STAGE_SENDING)
        run_check_end(run);
}

/* ---- the end ---- */

/* Every row and every planned record is in exactly one count; if not, the run says so and fails. */
static void balance(struct sync_run *run)
{
    struct run_counts *c = &run->record.counts;
    struct run_sums sums;
    if (run_counts_balance(c, &sums))
        return;
    run->record.status = RUN_FAILED;
    snprintf(run->record.error, sizeof run->record.error,
             "the run does not balance: rows %" PRIu64 " against %" PRIu64
             " (added + changed + unchanged + %sinvalid + "
             "quarantined); planned %" PRIu64 " against %" PRIu64
             " (added + changed + removed) and %" PRIu64
             " (succeeded + rejected + failed + cancelled)",
             c->rows, sums.rows, run->record.stream ? "coalesced + " : "", c->planned, sums.planned,
             sums.verdicts);
    log_event(run->host->log, LOG_ERROR, "run_unbalanced", LOG_STR("run", run->record.id),
              LOG_STR("sync", run->record.sync), LOG_STR("reason", run->record.error));
}

static enum run_status final_status(const struct sync_run *run)
{
    const struct run_counts *c = &run->record.counts;
    if (run->stopping || *run->record.error)
        return run->stop_how == RUN_STOP_CANCEL ? RUN_CANCELLED : RUN_FAILED;
    return c->rejected + c->failed + c->invalid ? RUN_WARNING : RUN_SUCCESS;
}

static void end(struct sync_run *run, enum run_status status)
{
    struct err err;
    if (run->diff)
        run_take_counts(run);
    run->stage = RUN_STAGE_ENDED;
    run->record.status = status;
    run->record.duration_ms += (uint64_t)(clock_mono_ms() - run->started_mono_ms);
    if (status != RUN_HELD) {
        run->record.ended_ms = clock_wall_ms();
        balance(run);
    }
    if (status == RUN_WARNING && run_reached_nobody(&run->record))
        snprintf(run->record.reason, sizeof run->record.reason,
                 "no record reached the destination: %.900s", run->failed_words);
    if (run_save(run, &err))
        log_event(run->host->log, LOG_ERROR, "record_not_saved", LOG_STR("run", run->record.id),
                  LOG_STR("reason", err.text));
    run->host->on_ended(run->host->ctx, run);
}

void run_check_end(struct sync_run *run)
{
    struct err err;
    if (run->stage != RUN_STAGE_SENDING || run->out.busy || run->cancel_busy || run->disk_full)
        return;
    if (run->record.status == RUN_HELD && !run->stopping) {
        if (!run->spool || spool_ended(run->spool))
            end(run, RUN_HELD);
        else
            run_step_soon(run, CANCEL_POLL_MS);
        return;
    }
    if (run->published < run->open_count || (run->stopping && run->cancel_busy))
        return;
    if (run->open_total && run->open_total == run->provisional_count &&
        run_provisional_settle(run, VERDICT_REJECTED, &err)) {
        log_event(run->host->log, LOG_ERROR, "fold_failed", LOG_STR("run", run->record.id),
                  LOG_STR("reason", err.text));
        return;
    }
    if (!run->open_total)
        end(run, final_status(run));
}
