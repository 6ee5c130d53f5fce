/* The scheduler itself: is it well, who am I, log in, reload, audit log, metrics. */
#include "scheduler/api/api_private.h"
#include "scheduler/api/routes.h"
#include "scheduler/report/demand.h"

#include <stdio.h>
#include <stdlib.h>

enum { METRICS_BYTES_MAX = 16 << 20, PROBLEMS_MAX = 1000, AUDIT_MAX = 10000 };

/* ---- well? ---- */

void answer_healthz(struct api_call *c)
{
    call_answer_bytes(c, 200, "text/plain", SLICE_LIT("ok\n"));
}

static bool put_ready(struct output *o, struct control *control)
{
    const char *why = NULL;
    bool ready = control_is_ready(control, &why);
    output_flag(o, "ready", ready);
    output_text(o, "why", why); /* of a ready one: which server is not reached */
    return ready;
}

static void put_servers(struct output *o, const struct control *control)
{
    output_open(o, "redis", '[');
    for (size_t i = 0; i < control_redis_count(control); i++) {
        struct engine_redis_view v;
        control_redis_look(control, i, &v);
        output_open(o, NULL, '{');
        output_text(o, "server", v.name);
        output_flag(o, "connected", v.connected);
        output_flag(o, "leaving", !v.stays);
        if (v.primary) {
            char at[REDIS_HOST_BYTES + 8];
            snprintf(at, sizeof at, "%s:%u", v.primary->host, v.primary->port);
            output_text(o, "primary", at);
        }
        output_count(o, "quotas", v.quotas);
        output_count(o, "left_of", v.left);
        output_text(o, "error", v.error);
        output_close(o, '}');
    }
    output_close(o, ']');
}

void answer_readyz(struct api_call *c)
{
    struct output o;
    output_init(&o);
    output_open(&o, NULL, '{');
    bool ready = put_ready(&o, c->control);
    output_close(&o, '}');
    call_answer(c, ready ? 200 : 503, &o);
}

void answer_metrics(struct api_call *c)
{
    const struct api_options *options = &c->api->options;
    CLEANUP(buf_done) struct buf text;
    struct err err;
    buf_init(&text, METRICS_BYTES_MAX);
    if (!options->metrics)
        call_refuse(c, 404, "not_found", "this scheduler writes no metrics");
    else if (options->metrics(options->metrics_ctx, &text, &err))
        call_fail(c, &err);
    else
        call_answer_bytes(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&text));
}

static void put_config(struct output *o, const struct control *control)
{
    struct control_config config;
    control_config_look(control, &config);
    output_open(o, "config", '{');
    output_text_or_null(o, "revision", config.revision);
    output_time(o, "loaded_at", config.loaded_ms);
    output_time(o, "refused_at", config.refused_ms);
    output_flag(o, "watched", config.watched);
    output_close(o, '}');
}

void answer_status(struct api_call *c)
{
    const struct settings *settings = &control_project(c->control)->settings;
    struct demand demand;
    struct output o;
    struct err err;
    if (demand_take(c->control, &demand, &err)) {
        call_fail(c, &err);
        return;
    }
    uint64_t desired = demand.workers;
    demand_done(&demand);
    output_init(&o);
    output_open(&o, NULL, '{');
    output_text(&o, "version", SLUICE_VERSION);
    output_time(&o, "started_at", control_started_ms(c->control));
    put_ready(&o, c->control);
    output_count(&o, "shards", settings->shards);
    if (settings->shard >= 0)
        output_count(&o, "shard", (uint64_t)settings->shard);
    else
        output_text_or_null(&o, "shard", NULL);
    output_count(&o, "workers", control_workers_alive(c->control));
    output_count(&o, "desired_workers", desired);
    put_servers(&o, c->control);
    output_text_or_null(&o, "reload_error", control_reload_error(c->control));
    put_config(&o, c->control);
    output_text(&o, "role", role_name(c->who.role));
    output_text(&o, "name", c->who.name);
    output_close(&o, '}');
    call_answer(c, 200, &o);
}

/* ---- sessions ---- */

static void put_caller(struct api_call *c, const char *name, enum role role)
{
    struct output o;
    output_init(&o);
    output_open(&o, NULL, '{');
    output_text(&o, "name", name);
    output_text(&o, "role", role_name(role));
    output_close(&o, '}');
    call_answer(c, 200, &o);
}

void answer_login(struct api_call *c)
{
    static const char *const members[] = {"token", NULL};
    const struct settings *s = &control_project(c->control)->settings;
    const char *text = NULL;
    char id[2 * AUTH_SESSION_BYTES + 1], cookie[256];
    if (!call_members(c, members) || !call_text(c, "token", &text))
        return;
    if (c->who.kind == CALLER_LOCAL || c->who.kind == CALLER_ANYONE) {
        put_caller(c, c->who.name, c->who.role); /* nothing to log in to */
        return;
    }
    const struct api_token *token = text ? auth_token(s, slice_str(text)) : NULL;
    if (!token) {
        call_refuse(c, 401, "unauthorized", "this token is not known");
        return;
    }
    auth_login(&c->api->auth, token, c->facts.now_ms, id);
    snprintf(cookie, sizeof cookie,
             AUTH_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d", id,
             AUTH_SESSION_MS / 1000);
    call_header(c, "Set-Cookie", cookie);
    put_caller(c, token->name, token->role);
}

void answer_logout(struct api_call *c)
{
    static const char *const members[] = {NULL};
    if (!call_members(c, members))
        return;
    auth_logout(&c->api->auth, c->facts.cookie);
    call_header(c, "Set-Cookie", AUTH_COOKIE "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    call_answer_empty(c, 204);
}

/* ---- reload ---- */

static void put_problems(struct output *o, const char *text)
{
    output_open(o, "problems", '[');
    for (size_t i = 0; text && *text && i < PROBLEMS_MAX; i++) {
        size_t n = strcspn(text, "\n");
        if (n)
            output_slice(o, NULL, slice_of(text, n));
        text += n + (text[n] == '\n');
    }
    output_close(o, ']');
}

void answer_reload(struct api_call *c)
{
    static const char *const members[] = {NULL};
    const struct control_actor who = call_actor(c);
    char *problems = NULL;
    struct output o;
    struct err err;
    if (!call_members(c, members))
        return;
    enum err_code rc = control_reload(c->control, &who, &problems, &err);
    output_init(&o);
    output_open(&o, NULL, '{');
    if (rc == ERR_CONFIG) {
        output_open(&o, "error", '{');
        output_text(&o, "code", "configuration");
        output_text(&o, "message", err.text);
        put_problems(&o, problems);
        output_close(&o, '}');
    } else {
        output_flag(&o, "ok", true);
    }
    output_close(&o, '}');
    free(problems);
    if (!rc || rc == ERR_CONFIG) {
        call_answer(c, rc ? 422 : 200, &o);
        return;
    }
    output_done(&o);
    call_fail(c, &err);
}

/* ---- audit ---- */

static bool put_entry(void *ctx, const struct control_audit *a)
{
    struct output *o = ctx;
    output_open(o, NULL, '{');
    output_time(o, "at", a->time_ms);
    output_slice(o, "actor", a->actor);
    output_slice(o, "action", a->action);
    output_slice(o, "target", a->target);
    output_slice(o, "outcome", a->outcome);
    output_close(o, '}');
    return true;
}

void answer_audit(struct api_call *c)
{
    uint64_t limit = 100;
    struct output o;
    struct err err;
    if (request_query_number(&c->target, "limit", 1, AUDIT_MAX, &limit, &err)) {
        call_invalid(c, &err);
        return;
    }
    output_init(&o);
    output_open(&o, NULL, '{');
    output_open(&o, "entries", '[');
    enum err_code rc = control_audit_list(c->control, (size_t)limit, put_entry, &o, &err);
    output_close(&o, ']');
    output_close(&o, '}');
    if (!rc) {
        call_answer(c, 200, &o);
        return;
    }
    output_done(&o);
    call_fail(c, &err);
}
