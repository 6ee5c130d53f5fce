/* What the double does when it is asked. */
#include "double_private.h"

#include "protocol/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

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
    bool busy = double_of_sync(c, sync, false);
    struct under_way *at = busy ? double_of_sync(c, sync, true) : NULL;
    if (!at)
        at = begin(c, sync, who->name, busy);
    snprintf(ret->sync, sizeof ret->sync, "%s", sync);
    snprintf(ret->run, sizeof ret->run, "%s", at->record.id);
    ret->queued = busy;
    double_note(c, who, "run", sync, "ok");
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
    if (!rc && !double_find(c, run))
        rc = err_set(err, ERR_USAGE, "%s has ended", run);
    if (!rc)
        double_end_run(c, run, RUN_CANCELLED);
    double_note(c, who, "cancel", run, rc ? err->text : "ok");
    return rc;
}

static enum err_code decide(struct control *c, const struct control_actor *who, const char *run,
                            const char *action, enum run_status status, struct err *err)
{
    struct run_record r;
    enum err_code rc = state_run_get(c->state, run, &r, err);
    if (!rc && r.status != RUN_HELD)
        rc = err_set(err, ERR_USAGE, "%s is not held", run);
    double_note(c, who, action, run, rc ? err->text : "ok");
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
    if (double_of_sync(c, sync, false))
        return err_set(err, ERR_BUSY, "a run of %s is under way", sync);
    enum err_code rc = state_sync_open(c->state, sync, &ss, err);
    *ret_count = 0;
    while (!rc && more)
        rc = state_retry(ss, filter, &position, 1000, ret_count, &more, err);
    state_sync_close(ss);
    double_note(c, who, "retry", sync, rc ? err->text : "ok");
    return rc ? rc : state_commit(c->state, err);
}

static void set_paused(struct control *c, const char *kind, const char *name, bool paused)
{
    char *at = double_pause_of(c, kind, name);
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
    double_note(c, who, paused ? "pause" : "resume", sync, "ok");
    double_tell(c, CONTROL_EVENT_SYNC, sync, NULL);
    return ERR_OK;
}

enum err_code control_pause_destination(struct control *c, const struct control_actor *who,
                                        const char *destination, bool paused, struct err *err)
{
    (void)err;
    set_paused(c, "destination", destination, paused);
    double_note(c, who, paused ? "pause" : "resume", destination, "ok");
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
    double_note(c, who, "reload", "", good ? "ok" : c->reload_error);
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
