/* /api/v1/syncs: what each does and is about to do; run, pause, resume, retry. */
#include "scheduler/api/routes.h"
#include "scheduler/api/views.h"

#include <stdlib.h>

void answer_syncs(struct api_call *c)
{
    const struct project *p = control_project(c->control);
    struct output o;
    struct err err = {0};
    enum err_code rc = ERR_OK;
    output_init(&o);
    output_open(&o, NULL, '{');
    output_open(&o, "syncs", '[');
    for (size_t i = 0; i < p->sync_count && !rc; i++)
        rc = view_sync(&o, NULL, c->control, &p->syncs[i], false, &err);
    output_close(&o, ']');
    output_close(&o, '}');
    if (!rc) {
        call_answer(c, 200, &o);
        return;
    }
    output_done(&o);
    call_fail(c, &err);
}

void answer_sync(struct api_call *c)
{
    const struct sync *sync = call_sync(c, c->arguments[0]);
    struct output o;
    struct err err;
    if (!sync)
        return;
    output_init(&o);
    if (!view_sync(&o, NULL, c->control, sync, true, &err)) {
        call_answer(c, 200, &o);
        return;
    }
    output_done(&o);
    call_fail(c, &err);
}

void answer_sync_run(struct api_call *c)
{
    static const char *const members[] = {"full", "adopt", "plan", NULL};
    const struct sync *sync = call_sync(c, c->arguments[0]);
    struct control_run_request request = {.sync_count = 1};
    if (!sync || !call_members(c, members) || !call_flag(c, "full", &request.full) ||
        !call_flag(c, "adopt", &request.adopt) || !call_flag(c, "plan", &request.plan))
        return;
    const char *name = sync->name;
    const struct control_actor who = call_actor(c);
    struct control_started *started = NULL;
    size_t count = 0;
    struct err err;
    request.syncs = &name;
    if (control_run(c->control, &who, &request, &started, &count, &err)) {
        call_fail(c, &err);
        return;
    }
    ensure(count == 1);
    struct output o;
    output_init(&o);
    output_open(&o, NULL, '{');
    output_text(&o, "run", started->run);
    output_text(&o, "sync", started->sync);
    output_flag(&o, "queued", started->queued);
    output_close(&o, '}');
    free(started);
    call_answer(c, 202, &o);
}

static void set_paused(struct api_call *c, bool paused)
{
    static const char *const members[] = {NULL};
    const struct sync *sync = call_sync(c, c->arguments[0]);
    const struct control_actor who = call_actor(c);
    struct err err;
    if (!sync || !call_members(c, members))
        return;
    if (control_pause_sync(c->control, &who, sync->name, paused, &err))
        call_fail(c, &err);
    else
        answer_sync(c);
}

void answer_sync_pause(struct api_call *c)
{
    set_paused(c, true);
}

void answer_sync_resume(struct api_call *c)
{
    set_paused(c, false);
}

void answer_sync_retry(struct api_call *c)
{
    static const char *const members[] = {"message", "key", NULL};
    const struct sync *sync = call_sync(c, c->arguments[0]);
    struct retry_filter filter = {0};
    if (!sync || !call_members(c, members) || !call_text(c, "message", &filter.message) ||
        !call_text(c, "key", &filter.key))
        return;
    const struct control_actor who = call_actor(c);
    uint64_t count = 0;
    struct err err;
    if (control_retry(c->control, &who, sync->name, &filter, &count, &err)) {
        call_fail(c, &err);
        return;
    }
    struct output o;
    output_init(&o);
    output_open(&o, NULL, '{');
    output_count(&o, "count", count);
    output_close(&o, '}');
    call_answer(c, 200, &o);
}
