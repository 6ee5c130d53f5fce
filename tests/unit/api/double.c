/* What tests do with the double, and what it shows. */
#include "double_private.h"

#include "protocol/base/clock.h"
#include "scheduler/state/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- for tests ---- */

struct control *double_new(struct folder *folder)
{
    struct control *c = calloc(1, sizeof *c);
    c->folder = folder;
    c->started_ms = clock_wall_ms();
    folder_load(folder);
    if (!folder->project)
        folder_print(folder);
    assert_non_null(folder->project);
    mkdir(folder->project->settings.state_dir, 0700);
    must(state_open(folder->project->settings.state_dir,
                    &(struct state_options){.map_bytes = 4 << 20}, &c->state, &err));
    return c;
}

void double_free(struct control *c)
{
    assert_int_equal(c->listener_count, 0);
    state_close(c->state);
    free(c);
}

void double_set_ready(struct control *c, const char *why_not)
{
    c->why_not_ready = why_not;
}

void double_set_stream(struct control *c, const char *sync, const struct stream_view *view)
{
    snprintf(c->streams, sizeof c->streams, "%s", sync);
    c->stream = *view;
}

size_t double_listeners(const struct control *c)
{
    return c->listener_count;
}

void double_tell(struct control *c, enum control_event_kind kind, const char *name,
                 const struct run_record *r)
{
    const struct control_event event = {
        .kind = kind, .name = name, .record = r, .ended = r && run_status_ended(r->status)};
    for (size_t i = 0; i < c->listener_count; i++)
        c->listeners[i].cb(c->listeners[i].ctx, &event);
}

struct under_way *double_find(struct control *c, const char *run)
{
    for (size_t i = 0; i < c->run_count; i++)
        if (strcmp(c->runs[i].record.id, run) == 0)
            return &c->runs[i];
    return NULL;
}

struct under_way *double_of_sync(struct control *c, const char *sync, bool queued)
{
    for (size_t i = 0; i < c->run_count; i++)
        if (strcmp(c->runs[i].record.sync, sync) == 0 &&
            (c->runs[i].phase == CONTROL_QUEUED) == queued)
            return &c->runs[i];
    return NULL;
}

void double_put_run(struct control *c, const struct run_record *r, enum control_phase phase)
{
    must(state_run_put(c->state, r, &err));
    if (run_status_ended(r->status) || r->status == RUN_HELD)
        return;
    assert_true(c->run_count < RUNS_MAX);
    c->runs[c->run_count++] = (struct under_way){*r, phase};
}

void double_end_run(struct control *c, const char *run, enum run_status status)
{
    struct under_way *at = double_find(c, run);
    assert_non_null(at);
    struct run_record r = at->record;
    *at = c->runs[--c->run_count];
    r.status = status;
    r.ended_ms = clock_wall_ms();
    must(state_run_put(c->state, &r, &err));
    double_tell(c, CONTROL_EVENT_RUN, r.id, &r);
}

static struct slice number_key(struct buf *b, unsigned id)
{
    char text[16];
    struct value v =
        value_of(VALUE_NUMBER, slice_of(text, (size_t)snprintf(text, sizeof text, "%u", id)));
    must(key_encode(b, &v, 1, NULL, &err));
    return buf_slice(b);
}

static void put_entry(struct control *c, const char *sync, unsigned id, uint8_t flags,
                      const struct rejected *r)
{
    CLEANUP(buf_done) struct buf key;
    struct state_sync *ss;
    uint32_t slot;
    bool added;
    buf_init(&key, KEY_BYTES_MAX);
    must(state_sync_open(c->state, sync, &ss, &err));
    must(state_key_take(ss, number_key(&key, id), &slot, &added, &err));
    must(state_entry_put(ss, slot, &(struct entry){.flags = flags}, &err));
    if (r) {
        struct refusal refusal = {.reason = r->message};
        struct rejected with_key = *r;
        with_key.key = buf_slice(&key);
        must(state_rejected_put(ss, &with_key, &err));
        if (flags & ENTRY_REFUSED)
            must(state_refusal_put(ss, slot, REFUSAL_ROW, &refusal, &err));
    }
    state_sync_close(ss);
    must(state_commit(c->state, &err));
}

void double_reject(struct control *c, const char *sync, enum rejected_kind kind, unsigned id,
                   const char *message)
{
    char text[32];
    snprintf(text, sizeof text, "{\"id\":%u}", id);
    struct rejected r = {.kind = kind,
                         .text = slice_str(text),
                         .message = slice_str(message),
                         .run = SLICE_LIT("r1"),
                         .time_ms = 1700000000000 + id};
    put_entry(c, sync, id, kind == REJECTED_REFUSED ? ENTRY_REFUSED | ENTRY_LISTED : ENTRY_LISTED,
              &r);
}

void double_accept(struct control *c, const char *sync, unsigned id)
{
    put_entry(c, sync, id, ENTRY_ACCEPTED, NULL);
}

void double_note(struct control *c, const struct control_actor *who, const char *action,
                 const char *target, const char *outcome)
{
    assert_true(c->audit_count < AUDIT_MAX);
    struct audit_line *a = &c->audit[c->audit_count++];
    a->time_ms = clock_wall_ms();
    snprintf(a->actor, sizeof a->actor, "%s (%s)", who->name, who->role);
    snprintf(a->action, sizeof a->action, "%s", action);
    snprintf(a->target, sizeof a->target, "%s", target);
    snprintf(a->outcome, sizeof a->outcome, "%s", outcome);
}

/* ---- views ---- */

const struct project *control_project(const struct control *c)
{
    return c->folder->project;
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
    *ret_why = c->why_not_ready;
    return !c->why_not_ready;
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
        .name = "private", .stays = true, .connected = !c->why_not_ready};
}

uint32_t control_workers_alive(const struct control *c)
{
    return c->why_not_ready ? 0 : 2;
}

void control_config_look(const struct control *c, struct control_config *ret)
{
    *ret = (struct control_config){.revision = "0123456789ab",
                                   .loaded_ms = 1500,
                                   .refused_ms = *c->reload_error ? 2500 : 0,
                                   .watched = true};
}

const char *control_reload_error(const struct control *c)
{
    return *c->reload_error ? c->reload_error : NULL;
}

const char *control_phase_name(enum control_phase phase)
{
    static const char *const names[] = {"idle", "queued", "reading", "sending", "stopping"};
    return names[phase];
}

char *double_pause_of(struct control *c, const char *kind, const char *name)
{
    char text[256];
    snprintf(text, sizeof text, "%s:%s", kind, name);
    for (size_t i = 0; i < PAUSED_MAX; i++)
        if (strcmp(c->paused[i], text) == 0)
            return c->paused[i];
    return NULL;
}

enum err_code control_sync_look(const struct control *c, const char *sync,
                                struct control_sync_view *ret, struct err *err)
{
    struct control *own = (struct control *)(uintptr_t)c;
    const struct sync *s = project_sync(control_project(c), sync);
    struct run_record last = {0};
    if (!s)
        return err_set(err, ERR_NOTFOUND, "there is no sync %s", sync);
    *ret = (struct control_sync_view){.sync = s};
    struct under_way *at = double_of_sync(own, sync, false);
    at = at ? at : double_of_sync(own, sync, true);
    if (at) {
        ret->phase = at->phase;
        strcpy(ret->run, at->record.id);
    }
    ret->paused = double_pause_of(own, "sync", sync);
    ret->destination_paused = control_destination_paused(c, s->destination->name);
    ret->held = !state_run_last(c->state, sync, &last, NULL) && last.status == RUN_HELD;
    ret->next_ms = ret->paused ? 0 : c->started_ms + 60000;
    ret->fresh_ms = *last.id ? last.ended_ms : 0;
    if (ret->paused)
        strcpy(ret->waits_for, "it is paused");
    ret->streams = strcmp(c->streams, sync) == 0;
    if (ret->streams)
        ret->stream = c->stream;
    return ERR_OK;
}

const struct control_run_view *control_runs(struct control *c, size_t *ret_count)
{
    *ret_count = c->run_count;
    for (size_t i = 0; i < c->run_count; i++)
        c->views[i] = (struct control_run_view){
            .record = &c->runs[i].record, .phase = c->runs[i].phase, .batches_due = 5};
    return c->views;
}

enum control_phase control_run_phase(struct control *c, const char *run)
{
    struct under_way *at = double_find(c, run);
    return at ? at->phase : CONTROL_IDLE;
}

enum err_code control_run_get(struct control *c, const char *run, struct run_record *ret,
                              struct err *err)
{
    struct under_way *at = double_find(c, run);
    if (!at)
        return state_run_get(c->state, run, ret, err);
    *ret = at->record;
    return ERR_OK;
}

enum err_code control_quota_look(const struct control *c, const struct destination *destination,
                                 struct control_quota_view *ret)
{
    *ret = (struct control_quota_view){
        .quota = destination->quota,
        .open = true,
        .now = {.queued = 7, .leased = 2, .throttled_left_ms = 1500, .cost = {250, 1}},
        .factor = 0.5,
        .limit_used = c->used,
        .limit_count = destination->limit_count};
    return ERR_OK;
}

bool control_destination_paused(const struct control *c, const char *destination)
{
    return double_pause_of((struct control *)(uintptr_t)c, "destination", destination);
}
