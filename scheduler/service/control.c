/* Actions that are asked of the service. Writes: what the engine writes, the audit log. Invariant:
 * what an action changed is committed before it says so. */
#include "scheduler/service/service_private.h"

#include "protocol/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { RETRY_STEP = 10000, WHY_BYTES = 200 };

/* ---- runs ---- */

static bool is_under_way(const struct control *c, const char *sync)
{
    size_t count;
    const struct engine_view *views = engine_views(c->engine, &count);
    for (size_t i = 0; i < count; i++)
        if (!views[i].ended && strcmp(views[i].record->sync, sync) == 0)
            return true;
    return false;
}

void control_tell_asked(struct control *c, const struct engine_ask *ask, bool by_schedule)
{
    /* One that waits for the run before it is told when it begins; a plan is no run to schedules.
     */
    if (!ask->plan && (by_schedule || !is_under_way(c, ask->sync)))
        schedule_started(c->table, ask->sync, ask->run, clock_wall_ms());
}

enum err_code control_ask(struct control *c, struct engine_ask *ask, bool by_schedule,
                          struct err *err)
{
    enum err_code rc = engine_ask(c->engine, ask, err);
    if (!rc)
        rc = engine_commit(c->engine, err);
    if (!rc)
        control_tell_asked(c, ask, by_schedule);
    return rc;
}

static enum err_code run_one(struct control *c, const struct control_actor *who,
                             const struct control_run_request *request, const char *sync,
                             struct control_started *ret, struct err *err)
{
    struct engine_ask ask = {.full = request->full, .adopt = request->adopt, .plan = request->plan};
    snprintf(ask.sync, sizeof ask.sync, "%s", sync);
    snprintf(ask.trigger, sizeof ask.trigger, "%.*s", RUN_TRIGGER_MAX, who->name);
    struct control_sync_view view;
    enum err_code rc = control_sync_look(c, sync, &view, err);
    if (!rc)
        rc = engine_ask(c->engine, &ask, err);
    if (rc)
        return rc;
    *ret = (struct control_started){.queued = view.phase != CONTROL_IDLE};
    memcpy(ret->sync, ask.sync, sizeof ret->sync);
    memcpy(ret->run, ask.run, sizeof ret->run);
    return ERR_OK;
}

/* One commit, however many they are. */
static enum err_code run_all(struct control *c, const struct control_actor *who,
                             const struct control_run_request *request,
                             struct control_started *started, size_t count, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < count && !rc; i++)
        rc = run_one(c, who, request, started[i].sync, &started[i], err);
    if (!rc)
        rc = engine_commit(c->engine, err);
    for (size_t i = 0; i < count && !rc; i++) {
        const struct engine_ask *ask = engine_asked_run(c->engine, started[i].run);
        if (ask)
            control_tell_asked(c, ask, false);
    }
    return rc;
}

static enum err_code check_syncs(const struct control *c, const struct control_run_request *request,
                                 struct err *err)
{
    for (size_t i = 0; i < request->sync_count; i++)
        if (control_sync_index(c, request->syncs[i]) < 0)
            return project_no_sync(c->project, request->syncs[i], err);
    return ERR_OK;
}

/* Those that are asked for, or all that have something to run. */
static size_t name_syncs(const struct control *c, const struct control_run_request *request,
                         struct control_started *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < request->sync_count; i++, n++)
        snprintf(ret[n].sync, sizeof ret[n].sync, "%s", request->syncs[i]);
    for (size_t i = 0; !request->sync_count && i < c->project->sync_count; i++)
        if (!sync_only_streams(&c->project->syncs[i]))
            snprintf(ret[n++].sync, sizeof ret->sync, "%s", c->project->syncs[i].name);
    return n;
}

static const char *words_of(const struct control_run_request *request)
{
    if (request->plan)
        return "plan";
    if (request->adopt)
        return "adopt";
    return request->full ? "run full" : "run";
}

enum err_code control_run(struct control *c, const struct control_actor *who,
                          const struct control_run_request *request,
                          struct control_started **ret_started, size_t *ret_count, struct err *err)
{
    size_t n = request->sync_count ? request->sync_count : c->project->sync_count;
    struct control_started *started = calloc(n ? n : 1, sizeof *started);
    *ret_started = NULL;
    *ret_count = 0;
    if (!started)
        return err_set(err, ERR_NOMEM, "no memory");
    enum err_code rc = check_syncs(c, request, err);
    if (rc) {
        free(started);
        return rc;
    }
    n = name_syncs(c, request, started);
    rc = run_all(c, who, request, started, n, err);
    for (size_t i = 0; i < n; i++)
        audit_write(c, who, words_of(request), started[i].sync, rc ? err : NULL);
    if (rc) {
        free(started);
        return rc;
    }
    *ret_started = started;
    *ret_count = n;
    return ERR_OK;
}

static enum err_code cancel(struct control *c, const struct control_actor *who, const char *run,
                            struct err *err)
{
    char why[WHY_BYTES];
    struct run_record r;
    snprintf(why, sizeof why, "cancelled by %.100s", who->name);
    const struct engine_ask *ask = engine_asked_run(c->engine, run);
    bool queued = ask, approval = ask && ask->approve; /* without which the run is held still */
    enum err_code rc = control_run_get(c, run, &r, err);
    if (rc)
        return rc;
    if (!queued && (run_status_ended(r.status) || r.status == RUN_HELD))
        return err_set(err, ERR_USAGE, "run %s is not under way: it is %s", run,
                       run_status_name(r.status));
    rc = engine_cancel(c->engine, run, why, err);
    if (!rc && queued && !approval)
        schedule_ran(c->table, r.sync, run, SCHEDULE_RAN_CANCELLED, clock_wall_ms());
    return rc ? rc : engine_commit(c->engine, err);
}

enum err_code control_cancel(struct control *c, const struct control_actor *who, const char *run,
                             struct err *err)
{
    enum err_code rc = cancel(c, who, run, err);
    audit_write(c, who, "cancel", run, rc ? err : NULL);
    return rc;
}

enum err_code control_approve(struct control *c, const struct control_actor *who, const char *run,
                              struct err *err)
{
    struct engine_ask ask = {.approve = true};
    snprintf(ask.run, sizeof ask.run, "%s", run);
    snprintf(ask.trigger, sizeof ask.trigger, "%.*s", RUN_TRIGGER_MAX, who->name);
    enum err_code rc = engine_ask(c->engine, &ask, err);
    if (!rc)
        rc = engine_commit(c->engine, err);
    audit_write(c, who, "approve", run, rc ? err : NULL);
    return rc;
}

static enum err_code reject(struct control *c, const struct control_actor *who, const char *run,
                            struct err *err)
{
    struct run_record r;
    char why[WHY_BYTES];
    snprintf(why, sizeof why, "rejected by %.100s", who->name);
    enum err_code rc = engine_reject(c->engine, run, why, err);
    if (!rc)
        rc = state_run_get(c->state, run, &r, err);
    if (rc)
        return rc;
    if (r.status == RUN_HELD)
        return ERR_OK; /* told when it has ended */
    control_note_run(c, &r);
    schedule_ran(c->table, r.sync, run, SCHEDULE_RAN_CANCELLED, clock_wall_ms());
    events_run(c, &r, true);
    return ERR_OK;
}

enum err_code control_reject(struct control *c, const struct control_actor *who, const char *run,
                             struct err *err)
{
    enum err_code rc = reject(c, who, run, err);
    audit_write(c, who, "reject", run, rc ? err : NULL);
    return rc;
}

/* ---- refusals ---- */

/* Its run has ended, and is put away with the engine's next turn: it still has the entries open. */
static bool ends_now(const struct control *c, const char *sync)
{
    size_t count;
    const struct engine_view *views = engine_views(c->engine, &count);
    for (size_t i = 0; i < count; i++)
        if (views[i].ended && strcmp(views[i].record->sync, sync) == 0)
            return true;
    return false;
}

static enum err_code retry(struct control *c, const char *sync, const struct retry_filter *filter,
                           uint64_t *ret_count, struct err *err)
{
    struct control_sync_view view;
    struct state_sync *ss = NULL;
    uint64_t position = 0;
    bool more = true;
    enum err_code rc = control_sync_look(c, sync, &view, err);
    if (rc)
        return rc;
    if (!engine_lets_go(c->engine, sync))
        return err_set(err, ERR_BUSY, "run %s of sync %s is under way: retry when it has ended",
                       view.run, sync);
    if (ends_now(c, sync))
        return err_set(err, ERR_BUSY, "a run of sync %s ends just now: try again", sync);
    rc = state_sync_open(c->state, sync, &ss, err);
    while (!rc && more) {
        rc = state_retry(ss, filter, &position, RETRY_STEP, ret_count, &more, err);
        if (!rc)
            rc = engine_commit(c->engine, err);
    }
    state_sync_close(ss);
    return rc;
}

enum err_code control_retry(struct control *c, const struct control_actor *who, const char *sync,
                            const struct retry_filter *filter, uint64_t *ret_count, struct err *err)
{
    *ret_count = 0;
    enum err_code rc = retry(c, sync, filter, ret_count, err);
    audit_write(c, who, "retry", sync, rc ? err : NULL);
    return rc;
}
