/* /api/v1/destinations: the use of their limits; pause, resume. */
#include "scheduler/api/routes.h"
#include "scheduler/api/views.h"

void answer_destinations(struct api_call *c)
{
    const struct project *p = control_project(c->control);
    struct output o;
    struct err err = {0};
    enum err_code rc = ERR_OK;
    output_init(&o);
    output_open(&o, NULL, '{');
    output_open(&o, "destinations", '[');
    for (size_t i = 0; i < p->destination_count && !rc; i++)
        rc = view_destination(&o, NULL, c->control, &p->destinations[i], &err);
    output_close(&o, ']');
    output_close(&o, '}');
    if (!rc) {
        call_answer(c, 200, &o);
        return;
    }
    output_done(&o);
    call_fail(c, &err);
}

static void set_paused(struct api_call *c, bool paused)
{
    static const char *const members[] = {NULL};
    const struct destination *d = call_destination(c, c->arguments[0]);
    const struct control_actor who = call_actor(c);
    struct output o;
    struct err err;
    if (!d || !call_members(c, members))
        return;
    enum err_code rc = control_pause_destination(c->control, &who, d->name, paused, &err);
    output_init(&o);
    rc = rc ? rc : view_destination(&o, NULL, c->control, d, &err);
    if (!rc) {
        call_answer(c, 200, &o);
        return;
    }
    output_done(&o);
    call_fail(c, &err);
}

void answer_destination_pause(struct api_call *c)
{
    set_paused(c, true);
}

void answer_destination_resume(struct api_call *c)
{
    set_paused(c, false);
}
