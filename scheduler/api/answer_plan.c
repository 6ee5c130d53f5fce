/* /api/v1/runs/{id}/plan: what a held run would send, out of its spool. Operators only: it has the
 * contents of rows. */
#include "scheduler/api/aside.h"
#include "scheduler/api/routes.h"
#include "scheduler/plan/plan.h"

#include <event2/event.h>
#include <limits.h>
#include <stdio.h>

enum { SAMPLES_DEFAULT = 5 };

struct plan_ask {
    struct run_record run;
    const struct sync *sync; /* NULL: no longer in the project */
    const char *state_dir;
    char path[PATH_MAX];
    uint64_t samples;
};

static void put_samples(struct output *o, const struct plan *p, enum record_class class)
{
    output_open(o, plan_class_name(class), '[');
    for (size_t i = 0; i < p->sample_count[class]; i++) {
        const struct plan_sample *s = &p->samples[class][i];
        output_open(o, NULL, '{');
        output_text(o, "op", record_op_name(s->op));
        output_text(o, "key", s->key);
        output_raw(o, "before", s->before ? s->before : "null");
        output_raw(o, "fields", s->fields ? s->fields : "null");
        output_close(o, '}');
    }
    output_close(o, ']');
}

static void put_plan(struct output *o, const struct plan_ask *ask, const struct plan *p)
{
    output_open(o, NULL, '{');
    output_text(o, "run", ask->run.id);
    output_text(o, "sync", ask->run.sync);
    output_count(o, "records", p->records);
    output_count(o, "batches", p->batches);
    output_decimal(o, "least_seconds", (double)p->least_ms / 1000);
    output_text(o, "digest", p->digest);
    put_samples(o, p, RECORD_ADDED);
    put_samples(o, p, RECORD_CHANGED);
    put_samples(o, p, RECORD_REMOVED);
    output_close(o, '}');
}

static enum err_code look_back(const struct plan_ask *ask, struct plan *plan, struct err *err)
{
    struct state_options options = {.read_only = true};
    struct state *s = NULL;
    enum err_code rc = state_open(ask->state_dir, &options, &s, err);
    if (!rc)
        rc = plan_look_back(plan, ask->state_dir, s, ask->run.sync, err);
    state_close(s);
    return rc;
}

/* In a child: a spool may be long. */
static enum err_code read_plan(void *ctx, struct output *o, struct err *err)
{
    const struct plan_ask *ask = ctx;
    struct plan plan;
    struct event_base *base = event_base_new();
    if (!base)
        return err_set(err, ERR_NOMEM, "no memory");
    enum err_code rc = plan_read(base, ask->path, ask->sync, (size_t)ask->samples, &plan, err);
    if (!rc)
        rc = look_back(ask, &plan, err);
    if (!rc)
        put_plan(o, ask, &plan);
    plan_done(&plan);
    event_base_free(base);
    return rc;
}

void answer_run_plan(struct api_call *c)
{
    const struct project *p = control_project(c->control);
    struct plan_ask ask = {.samples = SAMPLES_DEFAULT};
    struct err err;
    if (request_query_number(&c->target, "samples", 1, PLAN_SAMPLES_MAX, &ask.samples, &err)) {
        call_invalid(c, &err);
        return;
    }
    if (control_run_get(c->control, c->arguments[0], &ask.run, &err)) {
        call_fail(c, &err);
        return;
    }
    if (ask.run.status != RUN_HELD || !*ask.run.spool) {
        call_refuse(c, 409, "conflict", "%s is not held: there is no plan of it", ask.run.id);
        return;
    }
    ask.sync = project_sync(p, ask.run.sync);
    ask.state_dir = p->settings.state_dir;
    snprintf(ask.path, sizeof ask.path, "%s/%s", p->settings.state_dir, ask.run.spool);
    call_aside(c, read_plan, &ask);
}
