/* What the service shows of itself. Reads: engine, table, state; writes nothing. */
#include "scheduler/service/service_private.h"

#include "protocol/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

const char *control_phase_name(enum control_phase phase)
{
    static const char *const names[] = {
        [CONTROL_IDLE] = "idle",         [CONTROL_QUEUED] = "queued",
        [CONTROL_READING] = "reading",   [CONTROL_SENDING] = "sending",
        [CONTROL_STOPPING] = "stopping",
    };
    return (size_t)phase < ARRAY_LEN(names) ? names[phase] : "unknown";
}

const struct project *control_project(const struct control *c)
{
    return c->project;
}

struct state *control_state(struct control *c)
{
    return c->state;
}

int64_t control_started_ms(const struct control *c)
{
    return c->started_ms;
}

bool control_is_ready(const struct control *c, const char **ret_why)
{
    return engine_is_ready(c->engine, ret_why);
}

bool control_stood_still(const struct control *c)
{
    return engine_stood_still(c->engine);
}

uint32_t control_workers_alive(const struct control *c)
{
    return engine_workers_alive(c->engine);
}

const char *control_reload_error(const struct control *c)
{
    return c->reload_error;
}

int control_sync_index(const struct control *c, const char *sync)
{
    const struct sync *s = project_sync(c->project, sync);
    return s ? (int)(s - c->project->syncs) : -1;
}

int control_destination_index(const struct control *c, const char *destination)
{
    const struct destination *d = project_destination(c->project, destination);
    return d ? (int)(d - c->project->destinations) : -1;
}

enum err_code control_no_sync(const struct control *c, const char *sync, struct err *err)
{
    struct err words;
    (void)project_no_sync(c->project, sync, &words);
    return err_set(err, ERR_NOTFOUND, "%s", words.text);
}

enum control_phase control_phase_of(const struct engine_view *v)
{
    if (v->ended)
        return CONTROL_IDLE;
    if (v->stopping)
        return CONTROL_STOPPING;
    return v->reading ? CONTROL_READING : CONTROL_SENDING;
}

/* ---- syncs ---- */

static void look_under_way(const struct control *c, const char *sync, struct control_sync_view *ret)
{
    size_t count;
    const struct engine_view *views = engine_views(c->engine, &count);
    for (size_t i = 0; i < count; i++) {
        if (views[i].ended || strcmp(views[i].record->sync, sync) != 0)
            continue;
        ret->phase = control_phase_of(&views[i]);
        snprintf(ret->run, sizeof ret->run, "%s", views[i].record->id);
        return;
    }
    const struct engine_ask *ask = engine_asked(c->engine, sync);
    if (!ask)
        return;
    ret->phase = CONTROL_QUEUED;
    snprintf(ret->run, sizeof ret->run, "%s", ask->run);
    snprintf(ret->waits_for, sizeof ret->waits_for, "%s", engine_asked_why(c->engine, ask));
}

enum err_code control_sync_look(const struct control *c, const char *sync,
                                struct control_sync_view *ret, struct err *err)
{
    int i = control_sync_index(c, sync);
    if (i < 0)
        return control_no_sync(c, sync, err);
    const struct sync_memory *m = &c->syncs[i];
    *ret = (struct control_sync_view){
        .sync = &c->project->syncs[i],
        .paused = m->paused,
        .destination_paused = control_destination_paused(c, c->project->syncs[i].destination->name),
        .held = m->held,
        .next_ms = schedule_next_ms(c->table, sync),
        .fresh_ms = m->fresh_ms,
    };
    ret->streams = engine_stream_look(c->engine, sync, &ret->stream);
    ret->ails_ms = m->ails_since_ms ? clock_mono_ms() - m->ails_since_ms : 0;
    look_under_way(c, sync, ret);
    if (ret->phase == CONTROL_IDLE) {
        char why[SCHEDULE_WHY_BYTES];
        snprintf(ret->waits_for, sizeof ret->waits_for, "%s", schedule_why(c->table, sync, why));
    }
    return ERR_OK;
}

/* ---- runs ---- */

const struct control_run_view *control_runs(struct control *c, size_t *ret_count)
{
    size_t count, n = 0;
    const struct engine_view *views = engine_views(c->engine, &count);
    struct control_run_view *all = realloc(c->views, (count + 1) * sizeof *all);
    *ret_count = 0;
    if (!all)
        return NULL;
    c->views = all;
    for (size_t i = 0; i < count; i++)
        if (!views[i].ended)
            all[n++] = (struct control_run_view){views[i].record, control_phase_of(&views[i]),
                                                 views[i].batches_due};
    *ret_count = n;
    return all;
}

static const struct engine_view *view_of(struct control *c, const char *run)
{
    size_t count;
    const struct engine_view *views = engine_views(c->engine, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(views[i].record->id, run) == 0)
            return &views[i];
    return NULL;
}

enum control_phase control_run_phase(struct control *c, const char *run)
{
    const struct engine_view *v = view_of(c, run);
    if (v)
        return control_phase_of(v);
    return engine_asked_run(c->engine, run) ? CONTROL_QUEUED : CONTROL_IDLE;
}

enum err_code control_run_get(struct control *c, const char *run, struct run_record *ret,
                              struct err *err)
{
    const struct engine_view *v = view_of(c, run);
    const struct engine_ask *ask = engine_asked_run(c->engine, run);
    if (v) {
        *ret = *v->record;
        return ERR_OK;
    }
    if (!ask || ask->approve)
        return state_run_get(c->state, run, ret, err);
    *ret = (struct run_record){.status = RUN_READING, .scheduled_ms = ask->scheduled_ms};
    memcpy(ret->id, ask->run, sizeof ret->id);
    memcpy(ret->sync, ask->sync, sizeof ret->sync);
    memcpy(ret->trigger, ask->trigger, sizeof ret->trigger);
    return ERR_OK;
}

/* ---- destinations, and where they are ---- */

size_t control_redis_count(const struct control *c)
{
    return engine_redis_count(c->engine);
}

void control_redis_look(const struct control *c, size_t i, struct engine_redis_view *ret)
{
    engine_redis_look(c->engine, i, ret);
}

enum err_code control_quota_look(const struct control *c, const struct destination *destination,
                                 struct control_quota_view *ret)
{
    const struct quota *q = engine_quota_of(c->engine, destination);
    *ret = (struct control_quota_view){.quota = destination->quota, .factor = 1.0};
    if (!q)
        return ERR_OK;
    ret->open = quota_is_ready(q);
    if (quota_is_broken(q) && *quota_error(q))
        ret->error = quota_error(q);
    ret->server = quota_server(q);
    (void)quota_waits(q, ret->waits_for, sizeof ret->waits_for);
    if (!ret->open)
        return ERR_OK;
    ret->now = *quota_summary(q);
    if (quota_factor(q) > 0)
        ret->factor = quota_factor(q);
    ret->limit_used = quota_limit_used(q, &ret->limit_count);
    ret->limit_returns = quota_limit_returns(q);
    ret->syncs = quota_syncs(q, &ret->sync_count);
    return ERR_OK;
}
