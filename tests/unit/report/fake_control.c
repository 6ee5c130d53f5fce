#include "tests/unit/report/fake_control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void open_state(struct control *c)
{
    struct err err;
    if (state_open(c->state_dir, &(struct state_options){.map_bytes = 4 << 20}, &c->state, &err))
        fail_msg("%s", err.text);
}

void fake_control_init(struct control *c, const char *yaml)
{
    *c = (struct control){.ready = true, .started_ms = 1700000000000, .workers = 2};
    folder_init(&c->folder);
    folder_load_text(&c->folder, yaml);
    if (!c->folder.project)
        folder_print(&c->folder);
    assert_non_null(c->folder.project);
    assert_true(c->folder.project->sync_count <= FAKE_SYNCS);
    strcpy(c->state_dir, "/tmp/sluice-report-XXXXXX");
    assert_non_null(mkdtemp(c->state_dir));
    open_state(c);
    for (size_t i = 0; i < c->folder.project->sync_count; i++)
        c->views[i].sync = &c->folder.project->syncs[i];
}

void fake_control_restart(struct control *c)
{
    state_close(c->state);
    open_state(c);
}

void fake_control_done(struct control *c)
{
    char path[128];
    state_close(c->state);
    snprintf(path, sizeof path, "%s/state.lmdb", c->state_dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/state.lmdb-lock", c->state_dir);
    unlink(path);
    rmdir(c->state_dir);
    folder_done(&c->folder);
}

static size_t index_of(const struct control *c, const char *sync)
{
    for (size_t i = 0; i < c->folder.project->sync_count; i++)
        if (strcmp(c->folder.project->syncs[i].name, sync) == 0)
            return i;
    return FAKE_SYNCS;
}

struct control_sync_view *fake_view(struct control *c, const char *sync)
{
    size_t i = index_of(c, sync);
    assert_true(i < FAKE_SYNCS);
    return &c->views[i];
}

static struct fake_quota *find_quota(const struct control *c, const char *quota)
{
    for (size_t i = 0; i < c->quota_count; i++)
        if (strcmp(c->quotas[i].name, quota) == 0)
            return (struct fake_quota *)&c->quotas[i];
    return NULL;
}

struct fake_quota *fake_quota(struct control *c, const char *quota)
{
    struct fake_quota *q = find_quota(c, quota);
    if (q)
        return q;
    assert_true(c->quota_count < FAKE_QUOTAS);
    q = &c->quotas[c->quota_count++];
    snprintf(q->name, sizeof q->name, "%s", quota);
    q->view = (struct control_quota_view){.quota = q->name,
                                          .open = true,
                                          .factor = 1,
                                          .limit_used = q->used,
                                          .limit_count = FAKE_LIMITS};
    return q;
}

void fake_run_put(struct control *c, const struct run_record *r)
{
    struct err err;
    if (state_run_put(c->state, r, &err))
        fail_msg("%s", err.text);
}

void fake_run_ends(struct control *c, const struct run_record *r)
{
    struct control_event event = {
        .kind = CONTROL_EVENT_RUN, .name = r->id, .record = r, .ended = true};
    fake_run_put(c, r);
    for (size_t i = 0; i < FAKE_LISTENERS; i++)
        if (c->listeners[i].cb)
            c->listeners[i].cb(c->listeners[i].ctx, &event);
}

struct run_record fake_run(const char *id, const char *sync, enum run_status status,
                           int64_t ended_ms, int64_t seconds)
{
    struct run_record r = {.status = status,
                           .started_ms = ended_ms - seconds * 1000,
                           .ended_ms = run_status_ended(status) ? ended_ms : 0};
    snprintf(r.id, sizeof r.id, "%s", id);
    snprintf(r.sync, sizeof r.sync, "%s", sync);
    r.scheduled_ms = r.started_ms;
    return r;
}

/* ---- control.h ---- */

const struct project *control_project(const struct control *c)
{
    return c->folder.project;
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
    *ret_why = c->ready ? NULL : "Redis is not reached";
    return c->ready;
}

size_t control_redis_count(const struct control *c)
{
    (void)c;
    return 1;
}

void control_redis_look(const struct control *c, size_t i, struct engine_redis_view *ret)
{
    (void)i;
    *ret = (struct engine_redis_view){
        .name = "private", .stays = true, .connected = c->ready, .trips = &c->trips};
}

bool control_stood_still(const struct control *c)
{
    (void)c;
    return false;
}

uint32_t control_workers_alive(const struct control *c)
{
    return c->workers;
}

void control_config_look(const struct control *c, struct control_config *ret)
{
    *ret = (struct control_config){.revision = "0123456789ab",
                                   .loaded_ms = 1500,
                                   .refused_ms = c->reload_error ? 2500 : 0,
                                   .watched = true};
}

const char *control_reload_error(const struct control *c)
{
    return c->reload_error;
}

enum err_code control_sync_look(const struct control *c, const char *sync,
                                struct control_sync_view *ret, struct err *err)
{
    size_t i = index_of(c, sync);
    if (i == FAKE_SYNCS)
        return err_set(err, ERR_NOTFOUND, "no sync %s", sync);
    *ret = c->views[i];
    return ERR_OK;
}

const struct control_run_view *control_runs(struct control *c, size_t *ret_count)
{
    for (size_t i = 0; i < c->run_count; i++)
        c->runs[i].record = &c->records[i];
    *ret_count = c->run_count;
    return c->runs;
}

enum err_code control_run_get(struct control *c, const char *run, struct run_record *ret,
                              struct err *err)
{
    return state_run_get(c->state, run, ret, err);
}

enum err_code control_quota_look(const struct control *c, const struct destination *destination,
                                 struct control_quota_view *ret)
{
    const struct fake_quota *q = find_quota(c, destination->quota);
    *ret = q ? q->view : (struct control_quota_view){.quota = destination->quota, .factor = 1};
    return ERR_OK;
}

bool control_destination_paused(const struct control *c, const char *destination)
{
    const struct fake_quota *q = find_quota(c, destination);
    return q && q->paused;
}

enum err_code control_listen(struct control *c, control_event_cb cb, void *ctx, struct err *err)
{
    for (size_t i = 0; i < FAKE_LISTENERS; i++)
        if (!c->listeners[i].cb) {
            c->listeners[i].cb = cb;
            c->listeners[i].ctx = ctx;
            return ERR_OK;
        }
    return err_set(err, ERR_FULL, "too many listeners");
}

void control_unlisten(struct control *c, control_event_cb cb, void *ctx)
{
    for (size_t i = 0; i < FAKE_LISTENERS; i++)
        if (c->listeners[i].cb == cb && c->listeners[i].ctx == ctx)
            c->listeners[i].cb = NULL;
}
