/* /api/v1/runs: past and present ones, and what becomes of them. */
#include "scheduler/api/routes.h"
#include "scheduler/api/views.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOKED_AT_MAX = 20000, STARTS_MAX = 1000 };

/* ---- a list ---- */

struct listing {
    struct output *o;
    struct control *control;
    int status; /* enum run_status; -1: any */
    size_t limit;
    size_t shown;
    size_t looked;
    struct run_mark last; /* looked at */
};

static bool list_run(void *ctx, const struct run_record *r)
{
    struct listing *l = ctx;
    struct run_record now;
    struct err none;
    l->looked++;
    l->last.started_ms = r->started_ms;
    memcpy(l->last.id, r->id, sizeof l->last.id);
    if (!run_status_ended(r->status) && !control_run_get(l->control, r->id, &now, &none))
        r = &now; /* newer than its record */
    if (l->status < 0 || r->status == (enum run_status)l->status) {
        view_run(l->o, NULL, l->control, r);
        l->shown++;
    }
    return l->shown < l->limit && l->looked < LOOKED_AT_MAX;
}

static bool read_status(struct api_call *c, int *ret)
{
    const char *text = request_query(&c->target, "status");
    *ret = -1;
    if (!text || !*text)
        return true;
    for (int i = RUN_READING; i <= RUN_SUPERSEDED; i++)
        if (strcmp(run_status_name((enum run_status)i), text) == 0)
            *ret = i;
    if (*ret < 0)
        call_refuse(c, 400, "invalid", "there is no status %.100s", text);
    return *ret >= 0;
}

/* "1764360000000.20261128T200000-1a2b3c4d" */
static bool read_mark(struct api_call *c, struct run_mark *ret, bool *ret_given)
{
    const char *text = request_query(&c->target, "cursor");
    int at = 0;
    *ret_given = text && *text;
    if (!*ret_given)
        return true;
    if (strlen(text) < 100 && sscanf(text, "%" SCNd64 ".%n", &ret->started_ms, &at) == 1 && at &&
        text[at] && strlen(text + at) <= STATE_RUN_ID_MAX && ret->started_ms >= 0) {
        snprintf(ret->id, sizeof ret->id, "%s", text + at);
        return true;
    }
    call_refuse(c, 400, "invalid", "cursor must be a next_cursor of an earlier answer");
    return false;
}

static void put_next(struct output *o, const struct listing *l)
{
    char cursor[STATE_RUN_ID_MAX + 32];
    bool more = l->shown == l->limit || l->looked == LOOKED_AT_MAX;
    snprintf(cursor, sizeof cursor, "%" PRId64 ".%s", l->last.started_ms, l->last.id);
    output_text(o, "next_cursor", more ? cursor : NULL);
}

void answer_runs(struct api_call *c)
{
    struct listing l = {.control = c->control};
    struct run_mark mark;
    bool from;
    const char *sync = request_query(&c->target, "sync");
    if (!call_limit(c, &l.limit) || !read_status(c, &l.status) || !read_mark(c, &mark, &from))
        return;
    struct output o;
    struct err err;
    output_init(&o);
    l.o = &o;
    output_open(&o, NULL, '{');
    output_open(&o, "runs", '[');
    enum err_code rc = state_run_list_from(control_state(c->control), sync && *sync ? sync : NULL,
                                           from ? &mark : NULL, 0, list_run, &l, &err);
    output_close(&o, ']');
    put_next(&o, &l);
    output_close(&o, '}');
    if (!rc) {
        call_answer(c, 200, &o);
        return;
    }
    output_done(&o);
    call_fail(c, &err);
}

/* ---- starting ---- */

/* The names in `syncs`; all must be known. Owned by the caller: free. */
static bool read_syncs(struct api_call *c, const char ***ret, size_t *ret_count)
{
    const json_t *list = json_object_get(c->body, "syncs");
    *ret = NULL;
    *ret_count = 0;
    if (!list)
        return true;
    if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > STARTS_MAX) {
        call_refuse(c, 400, "invalid", "syncs must be a list of 1 to %d names", STARTS_MAX);
        return false;
    }
    *ret = calloc(json_array_size(list), sizeof **ret);
    for (size_t i = 0; *ret && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name) {
            call_refuse(c, 400, "invalid", "syncs must be a list of names");
            return false;
        }
        const struct sync *sync = call_sync(c, name);
        if (!sync)
            return false;
        (*ret)[(*ret_count)++] = sync->name;
    }
    if (!*ret)
        call_refuse(c, 503, "memory", "no memory");
    return *ret;
}

static void start(struct api_call *c, const struct control_run_request *request)
{
    const struct control_actor who = call_actor(c);
    struct control_started *started = NULL;
    size_t count = 0;
    struct err err;
    if (control_run(c->control, &who, request, &started, &count, &err)) {
        call_fail(c, &err);
        return;
    }
    struct output o;
    output_init(&o);
    output_open(&o, NULL, '{');
    output_open(&o, "started", '[');
    for (size_t i = 0; i < count; i++) {
        output_open(&o, NULL, '{');
        output_text(&o, "run", started[i].run);
        output_text(&o, "sync", started[i].sync);
        output_flag(&o, "queued", started[i].queued);
        output_close(&o, '}');
    }
    output_close(&o, ']');
    output_close(&o, '}');
    free(started);
    call_answer(c, 202, &o);
}

void answer_runs_start(struct api_call *c)
{
    static const char *const members[] = {"syncs", "full", "adopt", "plan", NULL};
    struct control_run_request request = {0};
    const char **names = NULL;
    if (call_members(c, members) && call_flag(c, "full", &request.full) &&
        call_flag(c, "adopt", &request.adopt) && call_flag(c, "plan", &request.plan) &&
        read_syncs(c, &names, &request.sync_count)) {
        request.syncs = names;
        start(c, &request);
    }
    free(names);
}

/* ---- one run ---- */

static void answer_with(struct api_call *c, const char *id)
{
    struct run_record r;
    struct err err;
    struct output o;
    if (control_run_get(c->control, id, &r, &err)) {
        call_fail(c, &err);
        return;
    }
    output_init(&o);
    view_run(&o, NULL, c->control, &r);
    call_answer(c, 200, &o);
}

void answer_run(struct api_call *c)
{
    answer_with(c, c->arguments[0]);
}

typedef enum err_code run_action(struct control *, const struct control_actor *, const char *,
                                 struct err *);

static void act(struct api_call *c, run_action *action)
{
    static const char *const members[] = {NULL};
    const struct control_actor who = call_actor(c);
    struct err err;
    if (!call_members(c, members))
        return;
    struct run_record r;
    if (action(c->control, &who, c->arguments[0], &err))
        call_fail(c, &err);
    else if (control_run_get(c->control, c->arguments[0], &r, &err))
        call_answer_empty(c, 204); /* was queued only, and has left nothing */
    else
        answer_with(c, c->arguments[0]);
}

void answer_run_cancel(struct api_call *c)
{
    act(c, control_cancel);
}

void answer_run_approve(struct api_call *c)
{
    act(c, control_approve);
}

void answer_run_reject(struct api_call *c)
{
    act(c, control_reject);
}

/* ---- its batches ---- */

struct batch_listing {
    struct output *o;
    size_t limit;
    size_t shown;
    uint64_t last;
};

static bool list_batch(void *ctx, const struct batch_state *b)
{
    struct batch_listing *l = ctx;
    output_open(l->o, NULL, '{');
    output_count(l->o, "number", b->number);
    output_count(l->o, "records", b->planned);
    output_count(l->o, "answered", b->settled);
    output_close(l->o, '}');
    l->last = b->number;
    return ++l->shown < l->limit;
}

void answer_run_batches(struct api_call *c)
{
    struct batch_listing l = {0};
    struct run_record r;
    uint64_t from = 0;
    struct err err;
    if (!call_limit(c, &l.limit))
        return;
    if (request_query_number(&c->target, "cursor", 0, UINT64_MAX - 1, &from, &err)) {
        call_invalid(c, &err);
        return;
    }
    if (control_run_get(c->control, c->arguments[0], &r, &err)) {
        call_fail(c, &err);
        return;
    }
    struct output o;
    char cursor[24];
    output_init(&o);
    l.o = &o;
    output_open(&o, NULL, '{');
    output_open(&o, "batches", '[');
    enum err_code rc =
        state_batch_list(control_state(c->control), r.id, from, 0, list_batch, &l, &err);
    output_close(&o, ']');
    snprintf(cursor, sizeof cursor, "%" PRIu64, l.last + 1);
    output_text(&o, "next_cursor", l.shown == l.limit ? cursor : NULL);
    output_close(&o, '}');
    if (!rc) {
        call_answer(c, 200, &o);
        return;
    }
    output_done(&o);
    call_fail(c, &err);
}
