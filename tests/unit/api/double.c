#include "double.h"

#include "protocol/base/clock.h"
#include "scheduler/state/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>

enum { RUNS_MAX = 32, PAUSED_MAX = 16, LISTENERS_MAX = 4, AUDIT_MAX = 64 };

struct under_way {
    struct run_record record;
    enum control_phase phase;
};

struct audit_line {
    int64_t time_ms;
    char actor[100], action[32], target[250], outcome[ERR_TEXT_BYTES];
};

struct control {
    struct folder *folder;
    struct state *state;
    int64_t started_ms;
    const char *why_not_ready;
    char reload_error[ERR_TEXT_BYTES];
    struct under_way runs[RUNS_MAX];
    struct control_run_view views[RUNS_MAX];
    size_t run_count;
    unsigned next_run;
    char paused[PAUSED_MAX][256]; /* "sync:name", "destination:name"; empty: free */
    struct {
        control_event_cb cb;
        void *ctx;
    } listeners[LISTENERS_MAX];
    size_t listener_count;
    struct audit_line audit[AUDIT_MAX];
    size_t audit_count;
    uint64_t used[16];
};

#define must(call)                                                                                 \
    do {                                                                                           \
        struct err err;                                                                            \
        if (call)                                                                                  \
            fail_msg("%s", err.text);                                                              \
    } while (0)

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

static struct under_way *find(struct control *c, const char *run)
{
    for (size_t i = 0; i < c->run_count; i++)
        if (strcmp(c->runs[i].record.id, run) == 0)
            return &c->runs[i];
    return NULL;
}

static struct under_way *of_sync(struct control *c, const char *sync, bool queued)
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
    struct under_way *at = find(c, run);
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

static void note(struct control *c, const struct control_actor *who, const char *action,
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

uint32_t control_workers_alive(const struct control *c)
{
    return c->why_not_ready ? 0 : 2;
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

static char *pause_of(struct control *c, const char *kind, const char *name)
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
    struct under_way *at = of_sync(own, sync, false);
    at = at ? at : of_sync(own, sync, true);
    if (at) {
        ret->phase = at->phase;
        strcpy(ret->run, at->record.id);
    }
    ret->paused = pause_of(own, "sync", sync);
    ret->destination_paused = control_destination_paused(c, s->destination->name);
    ret->held = !state_run_last(c->state, sync, &last, NULL) && last.status == RUN_HELD;
    ret->next_ms = ret->paused ? 0 : c->started_ms + 60000;
    ret->fresh_ms = *last.id ? last.ended_ms : 0;
    if (ret->paused)
        strcpy(ret->waits_for, "it is paused");
    return ERR_OK;
}

const struct control_run_view *control_runs(struct control *c, size_t *ret_count)
{
    *ret_count = c->run_count;
    for (size_t i = 0; i < c->run_count; i++)
        c->views[i] = (struct control_run_view){&c->runs[i].record, c->runs[i].phase};
    return c->views;
}

enum control_phase control_run_phase(struct control *c, const char *run)
{
    struct under_way *at = find(c, run);
    return at ? at->phase : CONTROL_IDLE;
}

enum err_code control_run_get(struct control *c, const char *run, struct run_record *ret,
                              struct err *err)
{
    struct under_way *at = find(c, run);
    if (!at)
        return state_run_get(c->state, run, ret, err);
    *ret = at->record;
    return ERR_OK;
}

enum err_code control_quota_look(const struct control *c, const struct destination *destination,
                                 struct control_quota_view *ret)
{
    *ret = (struct control_quota_view){.quota = destination->quota,
                                       .open = true,
                                       .now = {.queued = 7, .leased = 2, .throttled_left_ms = 1500},
                                       .factor = 0.5,
                                       .limit_used = c->used,
                                       .limit_count = destination->limit_count};
    return ERR_OK;
}

bool control_destination_paused(const struct control *c, const char *destination)
{
    return pause_of((struct control *)(uintptr_t)c, "destination", destination);
}

/* ---- actions ---- */

static struct under_way *begin(struct control *c, const char *sync, const char *trigger,
                               bool queued)
{
    struct run_record r = {.status = RUN_READING, .started_ms = clock_wall_ms()};
    snprintf(r.id, sizeof r.id, "run-%u", ++c->next_run);
    snprintf(r.sync, sizeof r.sync, "%s", sync);
    snprintf(r.trigger, sizeof r.trigger, "%.60s", trigger);
    double_put_run(c, &r, queued ? CONTROL_QUEUED : CONTROL_READING);
    return &c->runs[c->run_count - 1];
}

static void start(struct control *c, const struct control_actor *who, const char *sync,
                  struct control_started *ret)
{
    bool busy = of_sync(c, sync, false);
    struct under_way *at = busy ? of_sync(c, sync, true) : NULL;
    if (!at)
        at = begin(c, sync, who->name, busy);
    snprintf(ret->sync, sizeof ret->sync, "%s", sync);
    snprintf(ret->run, sizeof ret->run, "%s", at->record.id);
    ret->queued = busy;
    note(c, who, "run", sync, "ok");
}

enum err_code control_run(struct control *c, const struct control_actor *who,
                          const struct control_run_request *request,
                          struct control_started **ret_started, size_t *ret_count, struct err *err)
{
    const struct project *p = control_project(c);
    if (c->why_not_ready)
        return err_set(err, ERR_UNREACHABLE, "%s", c->why_not_ready);
    size_t count = request->sync_count ? request->sync_count : p->sync_count;
    *ret_started = calloc(count, sizeof **ret_started);
    *ret_count = count;
    for (size_t i = 0; i < count; i++)
        start(c, who, request->sync_count ? request->syncs[i] : p->syncs[i].name,
              &(*ret_started)[i]);
    return ERR_OK;
}

enum err_code control_cancel(struct control *c, const struct control_actor *who, const char *run,
                             struct err *err)
{
    struct run_record r;
    enum err_code rc = control_run_get(c, run, &r, err);
    if (!rc && !find(c, run))
        rc = err_set(err, ERR_USAGE, "%s has ended", run);
    if (!rc)
        double_end_run(c, run, RUN_CANCELLED);
    note(c, who, "cancel", run, rc ? err->text : "ok");
    return rc;
}

static enum err_code decide(struct control *c, const struct control_actor *who, const char *run,
                            const char *action, enum run_status status, struct err *err)
{
    struct run_record r;
    enum err_code rc = state_run_get(c->state, run, &r, err);
    if (!rc && r.status != RUN_HELD)
        rc = err_set(err, ERR_USAGE, "%s is not held", run);
    note(c, who, action, run, rc ? err->text : "ok");
    if (rc)
        return rc;
    r.status = status;
    r.ended_ms = run_status_ended(status) ? clock_wall_ms() : 0;
    double_put_run(c, &r, CONTROL_SENDING);
    return ERR_OK;
}

enum err_code control_approve(struct control *c, const struct control_actor *who, const char *run,
                              struct err *err)
{
    return decide(c, who, run, "approve", RUN_PLANNED, err);
}

enum err_code control_reject(struct control *c, const struct control_actor *who, const char *run,
                             struct err *err)
{
    return decide(c, who, run, "reject", RUN_CANCELLED, err);
}

enum err_code control_retry(struct control *c, const struct control_actor *who, const char *sync,
                            const struct retry_filter *filter, uint64_t *ret_count, struct err *err)
{
    struct state_sync *ss;
    uint64_t position = 0;
    bool more = true;
    if (of_sync(c, sync, false))
        return err_set(err, ERR_BUSY, "a run of %s is under way", sync);
    enum err_code rc = state_sync_open(c->state, sync, &ss, err);
    *ret_count = 0;
    while (!rc && more)
        rc = state_retry(ss, filter, &position, 1000, ret_count, &more, err);
    state_sync_close(ss);
    note(c, who, "retry", sync, rc ? err->text : "ok");
    return rc ? rc : state_commit(c->state, err);
}

static void set_paused(struct control *c, const char *kind, const char *name, bool paused)
{
    char *at = pause_of(c, kind, name);
    if (at)
        *at = '\0';
    for (size_t i = 0; paused; i++) {
        assert_true(i < PAUSED_MAX);
        if (*c->paused[i])
            continue;
        snprintf(c->paused[i], sizeof c->paused[i], "%s:%s", kind, name);
        break;
    }
}

enum err_code control_pause_sync(struct control *c, const struct control_actor *who,
                                 const char *sync, bool paused, struct err *err)
{
    (void)err;
    set_paused(c, "sync", sync, paused);
    note(c, who, paused ? "pause" : "resume", sync, "ok");
    double_tell(c, CONTROL_EVENT_SYNC, sync, NULL);
    return ERR_OK;
}

enum err_code control_pause_destination(struct control *c, const struct control_actor *who,
                                        const char *destination, bool paused, struct err *err)
{
    (void)err;
    set_paused(c, "destination", destination, paused);
    note(c, who, paused ? "pause" : "resume", destination, "ok");
    double_tell(c, CONTROL_EVENT_DESTINATION, destination, NULL);
    return ERR_OK;
}

static char *say_problems(const struct problem_list *list)
{
    char *text = calloc(1, 1 << 16);
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        n += (size_t)snprintf(text + n, (1 << 16) - n, "%s:%u:%u: %s\n", list->items[i].place.file,
                              list->items[i].place.line, list->items[i].place.col,
                              list->items[i].text);
    return text;
}

enum err_code control_reload(struct control *c, const struct control_actor *who,
                             char **ret_problems, struct err *err)
{
    struct project *old = c->folder->project;
    problem_list_done(&c->folder->problems);
    problem_list_init(&c->folder->problems);
    c->folder->project = NULL;
    folder_load(c->folder);
    bool good = c->folder->project;
    if (good) {
        project_free(old);
    } else {
        c->folder->project = old;
        *ret_problems = say_problems(&c->folder->problems);
        snprintf(c->reload_error, sizeof c->reload_error, "%s", *ret_problems);
    }
    if (good)
        c->reload_error[0] = '\0';
    note(c, who, "reload", "", good ? "ok" : c->reload_error);
    double_tell(c, CONTROL_EVENT_RELOAD, "", NULL);
    return good ? ERR_OK : err_set(err, ERR_CONFIG, "the configuration has mistakes");
}

/* ---- events, audit ---- */

enum err_code control_listen(struct control *c, control_event_cb cb, void *ctx, struct err *err)
{
    if (c->listener_count == LISTENERS_MAX)
        return err_set(err, ERR_FULL, "too many listeners");
    c->listeners[c->listener_count].cb = cb;
    c->listeners[c->listener_count++].ctx = ctx;
    return ERR_OK;
}

void control_unlisten(struct control *c, control_event_cb cb, void *ctx)
{
    for (size_t i = 0; i < c->listener_count; i++)
        if (c->listeners[i].cb == cb && c->listeners[i].ctx == ctx) {
            c->listeners[i] = c->listeners[--c->listener_count];
            return;
        }
}

static struct slice words(const char *text, size_t max)
{
    return slice_of(text, strnlen(text, max));
}

enum err_code control_audit_list(struct control *c, size_t limit, control_audit_cb cb, void *ctx,
                                 struct err *err)
{
    (void)err;
    for (size_t i = c->audit_count; i-- > 0 && limit-- > 0;) {
        const struct audit_line *a = &c->audit[i];
        const struct control_audit entry = {
            a->time_ms, words(a->actor, sizeof a->actor), words(a->action, sizeof a->action),
            words(a->target, sizeof a->target), words(a->outcome, sizeof a->outcome)};
        if (!cb(ctx, &entry))
            break;
    }
    return ERR_OK;
}
