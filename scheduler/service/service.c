/* The service's life and its turns. Reads: what engine and table tell. Writes: the table's memory
 * (`schedule:NAME`) into state. Invariant: a start is durable before the table is told of it. */
#include "scheduler/service/service_private.h"

#include "protocol/base/clock.h"
#include "protocol/watch/watch.h"
#include "scheduler/api/api.h"
#include "scheduler/report/metrics.h"
#include "scheduler/report/report.h"
#include "scheduler/run/workers.h"
#include "scheduler/state/limits.h"

#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { TURN_MS = 100, STARTS_MAX = 64, NAME_BYTES = STATE_NAME_MAX + 16 };

void control_complain(const struct control *c, const char *event, const struct err *err)
{
    log_event(c->opts.log, LOG_WARN, event, LOG_STR("reason", err->text));
}

/* ---- what the engine tells ---- */

static enum schedule_status schedule_status_of(const struct run_record *r)
{
    switch ((int)r->status) {
    case RUN_SUCCESS:
        return SCHEDULE_RAN_SUCCESS;
    case RUN_WARNING:
        return SCHEDULE_RAN_WARNING;
    case RUN_HELD:
        return SCHEDULE_RAN_HELD;
    case RUN_CANCELLED:
    case RUN_SUPERSEDED:
        return SCHEDULE_RAN_CANCELLED;
    default:
        return SCHEDULE_RAN_FAILED;
    }
}

/* A run that is made only to be looked at sends nothing: to schedules it is none. */
static void on_run(void *ctx, const struct run_record *r, bool recovered)
{
    struct control *c = ctx;
    const struct run_counts *n = &r->counts;
    bool away = r->status == RUN_WARNING && run_reached_nobody(r);
    enum log_level level = r->status == RUN_FAILED || away ? LOG_ERROR : LOG_INFO;
    /* The destination's words may quote a record: sluice status has them. */
    const char *why = r->status == RUN_HELD ? r->reason
                      : away                ? "no record reached the destination"
                                            : r->error;
    log_event(c->opts.log, level, r->status == RUN_HELD ? "run_held" : "run_end",
              LOG_STR("run", r->id), LOG_STR("sync", r->sync),
              LOG_STR("status", run_status_name(r->status)), LOG_INT("rows", n->rows),
              LOG_INT("planned", n->planned), LOG_INT("succeeded", n->succeeded),
              LOG_INT("rejected", n->rejected), LOG_INT("failed", n->failed),
              LOG_INT("cancelled", n->cancelled), LOG_INT("invalid", n->invalid),
              LOG_INT("ms", r->duration_ms), LOG_INT("recovered", recovered),
              LOG_STR("reason", why));
    control_note_run(c, r);
    if (!r->plan)
        schedule_ran(c->table, r->sync, r->id, schedule_status_of(r), clock_wall_ms());
    events_run(c, r, true);
}

static void on_begun(void *ctx, const struct run_record *r)
{
    struct control *c = ctx;
    int i = control_sync_index(c, r->sync);
    int64_t now = clock_wall_ms();
    log_event(c->opts.log, LOG_INFO, "run_begin", LOG_STR("run", r->id), LOG_STR("sync", r->sync),
              LOG_STR("trigger", r->trigger));
    if (i >= 0 && c->syncs[i].held) { /* it takes the held one's place, or is it, approved */
        if (strcmp(c->syncs[i].held_run, r->id) != 0)
            schedule_ran(c->table, r->sync, c->syncs[i].held_run, SCHEDULE_RAN_CANCELLED, now);
        c->syncs[i].held = false;
        c->syncs[i].held_run[0] = '\0';
    }
    /* As of its read: one that was approved takes in nothing that came due since. */
    if (!r->plan)
        schedule_started(c->table, r->sync, r->id, r->started_ms);
    events_run(c, r, false);
}

static void on_ask_failed(void *ctx, const struct engine_ask *ask, const struct err *err)
{
    struct control *c = ctx;
    log_event(c->opts.log, LOG_WARN, "run_not_begun", LOG_STR("run", ask->run),
              LOG_STR("sync", ask->sync), LOG_STR("reason", err->text));
    if (!ask->approve)
        schedule_ran(c->table, ask->sync, ask->run, SCHEDULE_RAN_FAILED, clock_wall_ms());
}

static bool is_paused(void *ctx, const char *sync)
{
    const struct control *c = ctx;
    int i = control_sync_index(c, sync);
    return i >= 0 && c->syncs[i].paused;
}

static void on_quota_ready(void *ctx, struct quota *q)
{
    pauses_apply(ctx, q);
}

static void on_stopping(void *ctx)
{
    struct control *c = ctx;
    log_event(c->opts.log, LOG_INFO, "stopping");
    if (c->opts.on_stopping)
        c->opts.on_stopping(c->opts.ctx);
}

/* ---- turns ---- */

static enum err_code keep_memory(void *ctx, const char *sync, struct slice packed, struct err *err)
{
    struct control *c = ctx;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "schedule:%s", sync);
    return state_misc_put(c->state, name, packed, err);
}

static bool ask_for(struct control *c, const struct schedule_start *due, struct engine_ask *ret)
{
    struct err err;
    *ret = (struct engine_ask){.scheduled_ms = due->scheduled_ms};
    snprintf(ret->sync, sizeof ret->sync, "%s", due->sync->name);
    snprintf(ret->trigger, sizeof ret->trigger, "schedule");
    if (!engine_ask(c->engine, ret, &err))
        return true;
    control_complain(c, "run_not_asked_for", &err);
    return false;
}

static void start_due(struct control *c)
{
    struct schedule_start due[STARTS_MAX];
    struct engine_ask asks[STARTS_MAX];
    struct err err;
    size_t n = schedule_due(c->table, clock_wall_ms(), due, STARTS_MAX), count = 0;
    for (size_t i = 0; i < n; i++)
        count += ask_for(c, &due[i], &asks[count]);
    if (count && engine_commit(c->engine, &err)) {
        control_complain(c, "run_not_asked_for", &err); /* asked for again at the next turn */
        return;
    }
    for (size_t i = 0; i < count; i++)
        control_tell_asked(c, &asks[i], true);
}

static void tell_ready(struct control *c)
{
    const char *why;
    bool ready = engine_is_ready(c->engine, &why);
    const char *words = why ? why : ready ? "" : "-";
    if (strcmp(words, c->why_waits) == 0)
        return;
    snprintf(c->why_waits, sizeof c->why_waits, "%s", words);
    log_event(c->opts.log, LOG_INFO, ready ? "ready" : "waits", LOG_STR("for", why));
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct control *c = arg;
    struct err err;
    size_t count;
    if (engine_is_stopping(c->engine))
        return;
    tell_ready(c);
    if (engine_stood_still(c->engine))
        return;
    pauses_turn(c);
    start_due(c);
    schedule_watch_turn(c->watch, clock_wall_ms());
    if (schedule_keep(c->table, keep_memory, c, &err))
        control_complain(c, "schedule_not_kept", &err);
    const struct engine_view *views = engine_views(c->engine, &count);
    events_turn(c, views, count);
    streams_turn(c);
}

static void on_look_failed(void *ctx, const char *sync, const struct err *err)
{
    struct control *c = ctx;
    log_event(c->opts.log, LOG_WARN, "look_failed", LOG_STR("sync", sync),
              LOG_STR("reason", err->text));
}

static void on_looked(void *ctx)
{
    (void)ctx; /* the next turn sees it */
}

/* ---- life ---- */

static enum err_code open_engine(struct control *c, struct err *err)
{
    struct engine_options o = {
        .project = c->project,
        .stays = true,
        .no_workers = c->opts.no_workers,
        .take_over = c->opts.take_over,
        .lock = c->opts.lock,
        .watched = c->opts.watch,
        .workers = c->opts.workers,
        .log = c->opts.log,
        .on_run = on_run,
        .on_begun = on_begun,
        .on_ask_failed = on_ask_failed,
        .on_quota_ready = on_quota_ready,
        .is_paused = is_paused,
        .on_project_unused = control_on_project_unused,
        .on_stopping = on_stopping,
        .ctx = c,
    };
    enum err_code rc = engine_new(&o, &c->engine, err);
    if (!rc)
        c->state = engine_state(c->engine);
    return rc;
}

struct recall {
    struct control *c;
    int64_t now;
};

static bool recall(void *ctx, const char *name, struct slice value)
{
    struct recall *r = ctx;
    struct err err;
    if (schedule_recall(r->c->table, strchr(name, ':') + 1, value, r->now, &err))
        control_complain(r->c, "schedule_not_recalled", &err);
    return true;
}

static enum err_code open_table(struct control *c, struct err *err)
{
    struct recall r = {c, clock_wall_ms()};
    enum err_code rc = schedule_table_new(c->project, r.now, &c->table, err);
    if (!rc)
        rc = state_misc_list(c->state, "schedule:", recall, &r, err);
    for (size_t i = 0; i < c->project->sync_count && !rc; i++) {
        struct run_record last;
        rc = state_run_last(c->state, c->project->syncs[i].name, &last, err);
        if (rc == ERR_NOTFOUND) {
            rc = ERR_OK;
            continue;
        }
        if (rc)
            break;
        if (last.plan)
            continue;
        schedule_started(c->table, last.sync, last.id, last.started_ms);
        if (run_status_ended(last.status) || last.status == RUN_HELD)
            schedule_ran(c->table, last.sync, last.id, schedule_status_of(&last),
                         last.ended_ms ? last.ended_ms : r.now);
    }
    return rc;
}

static enum err_code open_events(struct control *c, struct err *err)
{
    struct timeval t = {0, TURN_MS * 1000};
    struct event_base *base = engine_base(c->engine);
    struct schedule_watch_events events = {on_look_failed, on_looked, c};
    enum err_code rc = schedule_watch_new(base, c->table, &events, &c->watch, err);
    if (rc)
        return rc;
    c->turn = event_new(base, -1, EV_PERSIST, on_turn, c);
    c->sighup = evsignal_new(base, SIGHUP, folder_on_sighup, c);
    if (!c->turn || !c->sighup || event_add(c->turn, &t) || event_add(c->sighup, NULL))
        return err_set(err, ERR_NOMEM, "no memory for events");
    return ERR_OK;
}

static enum err_code write_metrics(void *ctx, struct buf *out, struct err *err)
{
    return metrics_write(ctx, out, err);
}

/* Whoever comes in finds everything in place. */
static enum err_code open_doors(struct control *c, struct err *err)
{
    const struct settings *s = &c->project->settings;
    char path[PATH_MAX], worker[PATH_MAX];
    struct report_options reports = {engine_base(c->engine), c, c->opts.log};
    if ((size_t)snprintf(path, sizeof path, "%s/control.sock", s->state_dir) >= sizeof path)
        return err_set(err, ERR_CONFIG, "the path of state_dir is too long");
    struct api_options doors = {
        .base = engine_base(c->engine),
        .control = c,
        .log = c->opts.log,
        .listen = s->listen,
        .socket_path = path,
        .metrics = write_metrics,
        .metrics_ctx = c,
        .worker_program = worker,
    };
    enum err_code rc = sibling_program("sluice-worker", worker, err);
    if (!rc)
        rc = report_start(&reports, &c->report, err);
    if (!rc)
        rc = api_start(&doors, &c->api, err);
    if (rc)
        return rc;
    log_event(c->opts.log, LOG_INFO, "listens", LOG_STR("url", api_url(c->api)),
              LOG_STR("socket", path));
    if (c->opts.on_up)
        c->opts.on_up(c->opts.ctx, c->project, *api_url(c->api) ? api_url(c->api) : NULL);
    return ERR_OK;
}

static enum err_code open_all(struct control *c, struct err *err)
{
    enum err_code rc = open_engine(c, err);
    if (!rc)
        rc = open_table(c, err);
    if (!rc)
        rc = control_remember(c, err);
    if (!rc)
        rc = audit_load(c, err);
    if (!rc)
        rc = open_events(c, err);
    if (!rc)
        rc = folder_watch(c, err);
    if (!rc)
        rc = open_doors(c, err);
    return rc;
}

static void close_all(struct control *c)
{
    watch_free(c->folder);
    api_free(c->api);
    report_free(c->report);
    schedule_watch_free(c->watch);
    if (c->turn)
        event_free(c->turn);
    if (c->sighup)
        event_free(c->sighup);
    schedule_table_free(c->table);
    engine_free(c->engine);
    events_free(c);
    free(c->reload_error);
    free(c->views);
    free(c->syncs);
    free(c->destinations);
    project_free(c->project);
    free(c);
}

enum err_code service_run(const struct service_options *opts, struct err *err)
{
    struct control *c = calloc(1, sizeof *c);
    if (!c) {
        project_free(opts->project);
        return err_set(err, ERR_NOMEM, "no memory");
    }
    c->opts = *opts;
    c->project = opts->project;
    c->started_ms = clock_wall_ms();
    c->why_waits[0] = '-'; /* nothing was told yet */
    c->loaded_ms = c->started_ms;
    signal(SIGPIPE, SIG_IGN); /* whoever asked may have gone */
    enum err_code rc = open_all(c, err);
    if (!rc)
        rc = engine_loop(c->engine, err);
    close_all(c);
    return rc;
}
