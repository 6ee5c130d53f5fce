/* The engine's runs: which there are, when they begin, what happens when they end. */
#include "scheduler/run/engine_private.h"

#include "protocol/base/clock.h"
#include "scheduler/batch/spool.h"
#include "scheduler/history/history.h"
#include "scheduler/run/approval.h"
#include "scheduler/run/sync_stream.h"
#include "scheduler/state/entries.h"

#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CLEAN_MS = 30,
    PRUNE_EVERY_MS = 5000,
    SWEEP_KEYS = 5000,
    SWEEP_KEYS_BESIDE = 500,
    DROP_BATCHES = 1000,
    WINDOW_LEAST_BYTES = 1 << 20
};

/* ---- what the runs ask of the engine ---- */

static enum err_code commit_now(void *ctx, struct err *err)
{
    enum err_code rc = engine_commit(ctx, err);
    return rc == ERR_FULL ? ERR_OK : rc; /* the tick tries again and says so */
}

static enum err_code commit_if_due(void *ctx, struct err *err)
{
    struct engine *e = ctx;
    if (!state_commit_due(e->state))
        return ERR_OK;
    return commit_now(e, err);
}

static struct model_read *read_of(struct engine *e, const struct sync_run *run)
{
    for (size_t i = 0; i < e->read_count; i++)
        if (e->reads[i] && model_read_has(e->reads[i], run))
            return e->reads[i];
    return NULL;
}

static void on_pause(void *ctx, struct sync_run *run, bool pause)
{
    struct model_read *r = read_of(ctx, run);
    if (r)
        model_read_pause(r, pause);
}

static void on_read_unwanted(void *ctx, struct sync_run *run)
{
    (void)ctx; /* the turn of the loop frees a read that nobody wants */
    (void)run;
}

static void on_ended(void *ctx, struct sync_run *run)
{
    struct engine *e = ctx;
    for (size_t i = 0; i < e->run_count; i++)
        if (e->runs[i].run == run)
            e->runs[i].ended = true;
}

static uint64_t window_share(void *ctx)
{
    struct engine *e = ctx;
    uint64_t active = 0, all = e->project->settings.window_bytes;
    for (size_t i = 0; i < e->run_count; i++)
        active += !e->runs[i].ended;
    uint64_t share = all / (active ? active : 1);
    return share > WINDOW_LEAST_BYTES ? share : WINDOW_LEAST_BYTES;
}

void engine_runs_set_host(struct engine *e)
{
    e->run_host = (struct run_host){
        .base = e->base,
        .state = e->state,
        .project = e->project,
        .log = e->opts.log,
        .ctx = e,
        .need_workers = engine_need_workers,
        .commit = commit_now,
        .commit_if_due = commit_if_due,
        .on_pause = on_pause,
        .on_read_unwanted = on_read_unwanted,
        .on_ended = on_ended,
        .window_share = window_share,
        .on_settled = engine_on_settled,
    };
}

enum err_code engine_run_add(struct engine *e, struct sync_run *run, struct err *err)
{
    struct engine_run_slot *runs = realloc(e->runs, (e->run_count + 1) * sizeof *runs);
    if (!runs) {
        sync_run_free(run);
        return err_set(err, ERR_NOMEM, "no memory for runs");
    }
    e->runs = runs;
    e->runs[e->run_count] = (struct engine_run_slot){.run = run, .project = e->project};
    const struct sync *sync = sync_run_sync(run);
    enum err_code rc = sync ? engine_quota_add(e, sync->destination, err) : ERR_OK;
    e->runs[e->run_count].quota = sync ? engine_quota_of(e, sync->destination) : NULL;
    e->run_count++;
    return rc;
}

struct engine_run_slot *engine_run_of(const struct engine *e, const char *sync)
{
    for (size_t i = 0; i < e->run_count; i++)
        if (!e->runs[i].cleaned && strcmp(sync_run_record(e->runs[i].run)->sync, sync) == 0)
            return &e->runs[i];
    return NULL;
}

/* ---- beginning ---- */

static void on_read_done(void *ctx)
{
    (void)ctx; /* the turn of the loop frees it */
}

/* All runs of the model that wait share a read; one with a snapshot has a read of its own. */
static bool shares_read(const struct sync_run *run, const struct sync_run *first)
{
    if (run == first)
        return true;
    return sync_run_reads(run) && !sync_run_snapshot(run) && !sync_run_snapshot(first) &&
           sync_run_sync(run)->model == sync_run_sync(first)->model;
}

static enum err_code start_read(struct engine *e, const struct model *model, size_t first_run,
                                struct err *err)
{
    struct sync_run *first = e->runs[first_run].run;
    struct sync_run **runs = calloc(e->run_count, sizeof(struct sync_run *));
    struct model_read **reads =
        realloc(e->reads, (e->read_count + 1) * sizeof(struct model_read *));
    size_t n = 0;
    if (reads)
        e->reads = reads;
    if (!runs || !reads) {
        free(runs);
        return err_set(err, ERR_NOMEM, "no memory for a read");
    }
    for (size_t i = first_run; i < e->run_count; i++)
        if (shares_read(e->runs[i].run, first))
            runs[n++] = e->runs[i].run;
    enum err_code rc = model_read_start(e->base, model, sync_run_snapshot(first), runs, n,
                                        on_read_done, e, &e->reads[e->read_count], err);
    for (size_t i = 0; i < n && rc; i++)
        sync_run_read_end(runs[i], err);
    if (!rc)
        e->read_count++;
    free(runs);
    return ERR_OK; /* what could not be read has failed its runs */
}

static bool is_read(const struct engine *e, const struct model *model)
{
    for (size_t i = 0; i < e->read_count; i++)
        if (e->reads[i] && model_read_model(e->reads[i]) == model)
            return true;
    return false;
}

static uint32_t reads_at(const struct engine *e, const struct source *source)
{
    uint32_t n = 0;
    for (size_t i = 0; i < e->read_count; i++)
        n += e->reads[i] && strcmp(model_read_model(e->reads[i])->source->name, source->name) == 0;
    return n;
}

/* Models not read yet wait for a turn. */
enum err_code engine_start_reads(struct engine *e, struct err *err)
{
    for (size_t i = 0; i < e->run_count; i++) {
        struct sync_run *run = e->runs[i].run;
        if (!sync_run_reads(run) || read_of(e, run))
            continue;
        const struct model *model = sync_run_sync(run)->model;
        if (is_read(e, model) || reads_at(e, model->source) >= model->source->connections)
            continue;
        enum err_code rc = start_read(e, model, i, err);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

void engine_runs_go(struct engine *e, const struct quota *q)
{
    for (size_t i = 0; i < e->run_count; i++)
        if (!e->runs[i].ended && (!q || e->runs[i].quota == q))
            sync_run_attach(e->runs[i].run, e->runs[i].quota);
}

/* ---- ending ---- */

static void on_forgotten(void *ctx, int64_t left, const struct err *err)
{
    (void)ctx;
    (void)left;
    (void)err; /* what is left is cleared with the next epoch */
}

/* Everything that only a run under way needs; false: more is left for the next turn. */
static enum err_code clean(struct engine *e, struct engine_run_slot *slot, struct err *err)
{
    const struct run_record *r = sync_run_record(slot->run);
    char path[PATH_MAX];
    bool more = false;
    if (r->status == RUN_HELD) {
        sync_run_retire(slot->run);
        slot->cleaned = true;
        return ERR_OK;
    }
    enum err_code rc = state_batch_drop(e->state, r->id, DROP_BATCHES, &more, err);
    if (rc || more)
        return rc;
    rc = state_run_prune(e->state, r->sync, 0, err);
    if (!rc)
        rc = approval_forget(e->state, r->id, err);
    bool whole =
        !r->stream && r->read_ended && (r->status == RUN_SUCCESS || r->status == RUN_WARNING);
    if (!rc && whole)
        rc = resync_done(e->state, r->sync, r->id, err);
    snprintf(path, sizeof path, "%s/%s", e->project->settings.state_dir, r->spool);
    if (!rc)
        rc = history_keep(e->project->settings.state_dir, r, path, sync_run_notes(slot->run),
                          e->project->settings.history_bytes, err);
    if (!rc && slot->quota && quota_is_ready(slot->quota))
        rc = queue_control(quota_queue(slot->quota), quota_epoch(slot->quota), QUEUE_FORGET_SYNC,
                           r->sync, on_forgotten, e, err);
    slot->cleaned = !rc;
    e->sweeps = e->history_grew = true;
    if (slot->cleaned)
        sync_run_retire(slot->run);
    return rc;
}

/* Those that ended since the last turn, once they are durable: one commit for all of them. */
static void tell_ended(struct engine *e)
{
    struct err err;
    bool any = false;
    for (size_t i = 0; i < e->run_count; i++)
        any |= e->runs[i].ended && !e->runs[i].told;
    if (!any)
        return;
    enum err_code rc = engine_commit(e, &err);
    if (rc == ERR_FULL)
        engine_tell_full(e, &err); /* any other error ends the engine with the next commit */
    if (rc)
        return; /* told once it is durable */
    for (size_t i = 0; i < e->run_count; i++) {
        struct engine_run_slot *slot = &e->runs[i];
        if (!slot->ended || slot->told)
            continue;
        slot->told = true;
        engine_streams_run_ended(e, sync_run_record(slot->run));
        e->opts.on_run(e->opts.ctx, sync_run_record(slot->run), slot->recovered);
    }
}

bool engine_lets_go(struct engine *e, const char *sync)
{
    struct engine_run_slot *slot = engine_run_of(e, sync);
    if (!slot || !slot->ended)
        return !slot;
    tell_ended(e);
    sync_run_retire(slot->run);
    slot->cleaned = slot->told && sync_run_record(slot->run)->status == RUN_HELD;
    return true;
}

/* It waits for a server that was given up. */
static bool is_stuck(const struct engine *e, const struct engine_run_slot *slot)
{
    return !slot->cleaned && slot->quota && engine_redis_gave_up(e, slot->quota);
}

static bool all_ended(const struct engine *e)
{
    for (size_t i = 0; i < e->run_count; i++)
        if (!e->runs[i].cleaned && !is_stuck(e, &e->runs[i]))
            return false;
    return true;
}

bool engine_runs_stuck(const struct engine *e)
{
    size_t stuck = 0;
    if (!all_ended(e))
        return false;
    for (size_t i = 0; i < e->run_count; i++)
        stuck += is_stuck(e, &e->runs[i]);
    for (size_t i = 0; i < e->ask_count; i++) {
        const struct sync *sync = project_sync(e->project, e->asks[i].sync);
        const struct quota *q = sync ? engine_quota_of(e, sync->destination) : NULL;
        if (!q || !engine_redis_gave_up(e, q))
            return false;
        stuck++;
    }
    return stuck > 0;
}

static void free_done_reads(struct engine *e)
{
    for (size_t i = 0; i < e->read_count; i++) {
        if (!e->reads[i] || !model_read_is_done(e->reads[i]))
            continue;
        model_read_free(e->reads[i]);
        e->reads[i] = NULL;
    }
}

/* An engine that stays has no use for them; a read may have, until it ends. */
static void free_cleaned(struct engine *e)
{
    for (size_t i = 0; i < e->run_count; i++) {
        if (!e->opts.stays || !e->runs[i].cleaned || read_of(e, e->runs[i].run))
            continue;
        sync_run_free(e->runs[i].run);
        memmove(&e->runs[i], &e->runs[i + 1], (--e->run_count - i) * sizeof *e->runs);
        i--;
    }
    while (e->read_count && !e->reads[e->read_count - 1])
        e->read_count--;
}

static enum err_code sweep(struct engine *e, bool *ret_more, struct err *err)
{
    size_t most = e->run_count ? SWEEP_KEYS_BESIDE : SWEEP_KEYS;
    *ret_more = false;
    enum err_code rc = e->sweeps ? state_sweep(e->state, most, ret_more, err) : ERR_OK;
    e->sweeps = rc || *ret_more;
    return rc;
}

/* What is left over goes; then comes what comes once all have ended. */
static enum err_code move_on(struct engine *e, struct err *err)
{
    bool more;
    enum err_code rc = sweep(e, &more, err);
    if (rc || more || e->opts.stays)
        return rc;
    if (engine_redis_unfinished(e))
        return ERR_OK;
    if (e->ask_count && !e->stopping)
        e->phase = PHASE_RUN;
    else
        engine_all_ended(e);
    return ERR_OK;
}

/* Many that end at once take several turns. */
static enum err_code clean_ended(struct engine *e, struct err *err)
{
    int64_t since = clock_mono_ms();
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < e->run_count && !rc && clock_mono_ms() - since <= CLEAN_MS; i++)
        if (e->runs[i].told && !e->runs[i].cleaned)
            rc = clean(e, &e->runs[i], err);
    return rc;
}

void engine_prune_history(struct engine *e, int64_t every_ms)
{
    struct err err;
    const struct settings *s = &e->project->settings;
    int64_t now = clock_mono_ms();
    if (!e->history_grew || now - e->history_ms < every_ms)
        return;
    e->history_grew = false;
    e->history_ms = now;
    if (history_prune(s->state_dir, s->history_bytes, &err))
        log_event(e->opts.log, LOG_WARN, "history_not_pruned", LOG_STR("reason", err.text));
}

void engine_runs_turn(struct engine *e)
{
    struct err err;
    free_done_reads(e);
    tell_ended(e);
    enum err_code rc = clean_ended(e, &err);
    engine_prune_history(e, PRUNE_EVERY_MS);
    free_cleaned(e);
    if (!rc && e->phase == PHASE_RUN && !e->stopping)
        rc = engine_asks_begin(e, &err);
    if (!rc && e->phase == PHASE_RUN && !e->beginning)
        rc = engine_start_reads(e, &err);
    /* In an engine that stays there may always be one under way. */
    if (!rc && (e->opts.stays || all_ended(e)))
        rc = move_on(e, &err);
    if (e->workers_pause_ms && e->run_count)
        engine_need_workers(e);
    /* A full disk, Redis away for a moment: the next turn tries again. */
    bool passes = rc == ERR_FULL || rc == ERR_UNREACHABLE || rc == ERR_TIMEOUT;
    if (rc && !passes)
        engine_fail(e, &err);
}

/* A stream has nothing left to read: what it planned is sent, now or by the next start. */
static void stop_read(struct sync_run *run, const char *why)
{
    if (sync_run_record(run)->stream)
        sync_run_finish(run);
    else
        sync_run_stop(run, RUN_STOP_CANCEL, why);
}

void engine_runs_stop_reads(struct engine *e, const char *why)
{
    for (size_t i = 0; i < e->run_count; i++)
        if (!e->runs[i].ended && sync_run_plans(e->runs[i].run))
            stop_read(e->runs[i].run, why);
}

void engine_runs_stop(struct engine *e, enum run_stop how, const char *why)
{
    for (size_t i = 0; i < e->run_count; i++)
        if (!e->runs[i].ended)
            sync_run_stop(e->runs[i].run, how, why);
}

void engine_runs_free(struct engine *e)
{
    for (size_t i = 0; i < e->read_count; i++)
        model_read_free(e->reads[i]);
    for (size_t i = 0; i < e->run_count; i++)
        sync_run_free(e->runs[i].run);
    free(e->reads);
    free(e->runs);
}
