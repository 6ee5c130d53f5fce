/* The project and what stands beside it. Invariant: a project is taken as a whole or not at all,
 * and the one before lives until nothing uses it. */
#include "scheduler/service/service_private.h"

#include "protocol/base/buf.h"
#include "protocol/base/clock.h"
#include "scheduler/report/report.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROBLEMS_BYTES_MAX = 256 << 10, NAME_BYTES = STATE_NAME_MAX + 16, FRESH_LOOK = 100 };

/* ---- what is remembered of syncs ---- */

static const char *fresh_name(const char *sync, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "fresh:%s", sync);
    return out;
}

static bool find_fresh(void *ctx, const struct run_record *r)
{
    if (!run_is_whole(r))
        return true;
    *(int64_t *)ctx = r->started_ms;
    return false;
}

static enum err_code load_fresh(struct control *c, const char *sync, int64_t *ret, struct err *err)
{
    char name[NAME_BYTES];
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, 64);
    enum err_code rc = state_misc_get(c->state, fresh_name(sync, name), &b, err);
    if (rc == ERR_NOTFOUND)
        return state_run_list(c->state, sync, FRESH_LOOK, find_fresh, ret, err);
    struct unpack u = {(const uint8_t *)b.p, b.len};
    if (!rc)
        *ret = (int64_t)unpack_u64(&u);
    return rc;
}

static enum err_code remember_sync(struct control *c, size_t i, struct err *err)
{
    struct sync_memory *m = &c->syncs[i];
    const char *name = c->project->syncs[i].name;
    struct run_record last;
    enum err_code rc = state_run_last(c->state, name, &last, err);
    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    if (!rc && last.status == RUN_HELD && !last.plan) {
        m->held = true;
        memcpy(m->held_run, last.id, sizeof m->held_run);
    }
    return rc ? rc : load_fresh(c, name, &m->fresh_ms, err);
}

enum err_code control_remember(struct control *c, struct err *err)
{
    size_t syncs = c->project->sync_count, destinations = c->project->destination_count;
    free(c->syncs);
    free(c->destinations);
    c->syncs = calloc(syncs ? syncs : 1, sizeof *c->syncs);
    c->destinations = calloc(destinations ? destinations : 1, sizeof *c->destinations);
    if (!c->syncs || !c->destinations)
        return err_set(err, ERR_NOMEM, "no memory for syncs");
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < syncs && !rc; i++)
        rc = remember_sync(c, i, err);
    return rc ? rc : pauses_load(c, err);
}

void control_keep_fresh(struct control *c, const char *sync, int64_t fresh_ms)
{
    uint8_t bytes[8];
    char name[NAME_BYTES];
    struct err err;
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    pack_u64(&k, (uint64_t)fresh_ms);
    if (state_misc_put(c->state, fresh_name(sync, name), slice_of(bytes, k.n), &err))
        control_complain(c, "freshness_not_kept", &err);
}

void control_note_run(struct control *c, const struct run_record *r)
{
    int i = control_sync_index(c, r->sync);
    if (i < 0)
        return;
    struct sync_memory *m = &c->syncs[i];
    m->held = r->status == RUN_HELD && !r->plan;
    snprintf(m->held_run, sizeof m->held_run, "%s", m->held ? r->id : "");
    if (!run_is_whole(r))
        return;
    m->fresh_ms = r->started_ms;
    control_keep_fresh(c, r->sync, r->started_ms);
}

/* ---- reloading ---- */

static enum err_code put_problem(struct buf *b, const struct problem *p)
{
    if (p->kind == PROBLEM_NOTE)
        return ERR_OK;
    if (p->place.line)
        return buf_printf(b, "%s:%u:%u: %s\n", p->place.file, p->place.line, p->place.col, p->text);
    return p->place.file ? buf_printf(b, "%s: %s\n", p->place.file, p->text)
                         : buf_printf(b, "%s\n", p->text);
}

static bool differ(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) != 0 : a != b;
}

/* What was decided when the process began. */
static void refuse_settings(const struct control *c, const struct project *now, struct buf *b)
{
    const struct settings *was = &c->project->settings, *is = &now->settings;
    const char *what = NULL;
    if (!was->redis_count != !is->redis_count)
        what = "redis"; /* a private server, and others */
    else if (differ(was->redis_ca, is->redis_ca))
        what = "redis_ca";
    else if (was->shards != is->shards)
        what = "shards";
    else if (differ(was->state_dir, is->state_dir))
        what = "state_dir";
    else if (differ(was->listen, is->listen))
        what = "listen";
    if (what && buf_printf(b,
                           "%s:%u:%u: settings.%s cannot change while the scheduler runs: "
                           "restart it\n",
                           is->place.file ? is->place.file : c->project->dir, is->place.line,
                           is->place.col, what))
        buf_reset(b);
}

/* Fills problems where the project cannot be taken. */
static enum err_code load(struct control *c, struct project **ret, struct buf *problems,
                          struct err *err)
{
    struct problem_list list;
    problem_list_init(&list);
    enum err_code rc = project_load(c->project->named, ret, &list, err);
    for (size_t i = 0; i < list.count; i++)
        if (put_problem(problems, &list.items[i]))
            break;
    if (rc && !problems->len && buf_printf(problems, "%s\n", err->text))
        buf_reset(problems);
    folder_loaded(c, rc ? &list.inputs : &(*ret)->inputs);
    problem_list_done(&list);
    if (!rc)
        refuse_settings(c, *ret, problems);
    if (!rc && problems->len)
        rc = ERR_CONFIG;
    if (rc) {
        project_free(*ret);
        *ret = NULL;
    }
    return rc;
}

/* Runs whose destination is another now would wait for workers that no longer know it. */
static void restart_changed(struct control *c)
{
    size_t count;
    const struct engine_view *views = engine_views(c->engine, &count);
    for (size_t i = 0; i < count; i++) {
        const struct sync *was = views[i].sync;
        struct err err;
        if (views[i].ended || views[i].stopping || !was)
            continue;
        const struct sync *is = project_sync(c->project, was->name);
        if (is && strcmp(is->destination->fingerprint, was->destination->fingerprint) == 0)
            continue;
        if (engine_cancel(c->engine, views[i].record->id,
                          "its destination was changed by a reload: the sync runs again", &err))
            control_complain(c, "run_not_cancelled", &err);
        struct engine_ask ask = {
            .scheduled_ms = views[i].record->scheduled_ms,
            .full = views[i].full,
            .adopt = views[i].adopt,
            .plan = views[i].record->plan,
        };
        memcpy(ask.sync, views[i].record->sync, sizeof ask.sync);
        snprintf(ask.trigger, sizeof ask.trigger, "reload");
        if (is && control_ask(c, &ask, false, &err))
            control_complain(c, "run_not_asked_for", &err);
        views = engine_views(c->engine, &count);
    }
}

static enum err_code take(struct control *c, struct project *now, struct err *err)
{
    enum err_code rc = schedule_table_reload(c->table, now, clock_wall_ms(), err);
    if (rc)
        return rc;
    schedule_watch_reset(c->watch);
    c->project = now;
    c->loaded_ms = clock_wall_ms();
    rc = control_remember(c, err);
    report_reload(c->report); /* while the one before is still there */
    engine_set_project(c->engine, now);
    restart_changed(c);
    if (!rc)
        rc = engine_commit(c->engine, err);
    events_tell(c, &(struct control_event){.kind = CONTROL_EVENT_RELOAD, .name = ""});
    return rc;
}

static void note_error(struct control *c, const char *problems)
{
    if (problems && !c->reload_error)
        c->refused_ms = clock_wall_ms();
    free(c->reload_error);
    c->reload_error = problems ? strdup(problems) : NULL;
}

enum err_code control_reload(struct control *c, const struct control_actor *who,
                             char **ret_problems, struct err *err)
{
    struct project *now = NULL;
    CLEANUP(buf_done) struct buf problems;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    *ret_problems = NULL;
    enum err_code rc = load(c, &now, &problems, err);
    if (rc) {
        const char *text = buf_cstr(&problems);
        note_error(c, text ? text : err->text);
        *ret_problems = text ? strdup(text) : NULL;
        rc = err_set(err, ERR_CONFIG,
                     "the project folder has mistakes: the configuration before "
                     "goes on");
    } else {
        note_error(c, NULL);
        rc = take(c, now, err);
        if (rc && c->project != now)
            project_free(now);
    }
    if (rc)
        events_tell(c, &(struct control_event){.kind = CONTROL_EVENT_RELOAD, .name = ""});
    audit_write(c, who, "reload", c->project->named, rc ? err : NULL);
    return rc;
}

void control_on_project_unused(void *ctx, const struct project *project)
{
    (void)ctx;
    project_free((struct project *)(uintptr_t)project);
}
