#include "scheduler/api/serve.h"

#include "protocol/base/clock.h"
#include "scheduler/api/api_private.h"
#include "scheduler/api/routes.h"

#include <event2/buffer.h>
#include <event2/http_struct.h>
#include <stdio.h>
#include <xxhash.h>

static const struct {
    enum evhttp_cmd_type method;
    const char *name;
} methods[] = {{EVHTTP_REQ_GET, "GET"}, {EVHTTP_REQ_HEAD, "HEAD"}, {EVHTTP_REQ_POST, "POST"}};

/* ---- who ---- */

static void gather_facts(struct api_call *c, const struct endpoint *at)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(c->req);
    c->facts = (struct auth_facts){
        .local = at->local,
        .loopback = at->loopback,
        .changes = c->method != EVHTTP_REQ_GET && c->method != EVHTTP_REQ_HEAD,
        .authorization = evhttp_find_header(headers, "Authorization"),
        .cookie = evhttp_find_header(headers, "Cookie"),
        .host = evhttp_find_header(headers, "Host"),
        .origin = evhttp_find_header(headers, "Origin"),
        .x_sluice = evhttp_find_header(headers, "X-Sluice"),
        .content_type = evhttp_find_header(headers, "Content-Type"),
        .now_ms = clock_mono_ms(),
    };
}

/* One bucket for each token, else for each address. Those of the unix socket are not counted. */
static bool is_allowed_now(struct api_call *c)
{
    uint64_t key;
    if (c->local)
        return true;
    if (c->who.kind == CALLER_TOKEN || c->who.kind == CALLER_COOKIE) {
        key = XXH3_64bits(c->who.token, sizeof c->who.token);
    } else {
        char *address = NULL;
        ev_uint16_t port;
        evhttp_connection_get_peer(evhttp_request_get_connection(c->req), &address, &port);
        struct slice s = slice_str(address);
        key = XXH3_64bits(s.p ? s.p : "", s.n);
    }
    if (rate_take(&c->api->rate, key | 1, c->facts.now_ms))
        return true;
    call_header(c, "Retry-After", "1");
    call_refuse(c, 429, "too_many_requests", "more than %d requests in a second", RATE_PER_SECOND);
    return false;
}

static bool may(struct api_call *c, const struct route *route)
{
    if (route->access == ACCESS_OPEN)
        return true;
    if (c->who.kind == CALLER_UNKNOWN) {
        call_header(c, "WWW-Authenticate", "Bearer");
        call_refuse(c, 401, "unauthorized",
                    "send Authorization: Bearer TOKEN, with a token of settings.tokens");
        return false;
    }
    enum role needed = (enum role)(route->access - ACCESS_VIEWER);
    if (c->who.role >= needed)
        return true;
    call_refuse(c, 403, "forbidden", "%s is %s, and this takes %s", c->who.name,
                role_name(c->who.role), role_name(needed));
    return false;
}

/* ---- what ---- */

static bool read_body(struct api_call *c)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(c->req);
    size_t n = evbuffer_get_length(in);
    json_error_t error;
    if (n > CALL_BODY_MAX) {
        call_refuse(c, 413, "too_large", "the body has more than %d bytes", CALL_BODY_MAX);
        return false;
    }
    if (!n || !c->facts.changes)
        return true;
    const char *bytes = (const char *)evbuffer_pullup(in, -1);
    c->body = bytes ? json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &error) : NULL;
    if (json_is_object(c->body))
        return true;
    if (c->body)
        call_refuse(c, 400, "invalid", "the body must be a JSON object");
    else
        call_refuse(c, 400, "invalid", "the body is not JSON: line %d, column %d", error.line,
                    error.column);
    return false;
}

static void put_allow(struct api_call *c, unsigned allowed)
{
    char text[64];
    int n = 0;
    if (allowed & EVHTTP_REQ_GET)
        allowed |= EVHTTP_REQ_HEAD;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (allowed & methods[i].method)
            n += snprintf(text + n, sizeof text - (size_t)n, "%s, ", methods[i].name);
    snprintf(text + n, sizeof text - (size_t)n, "OPTIONS");
    call_header(c, "Allow", text);
}

/* No route fits: the path is unknown, or known for other methods. */
static void answer_no_route(struct api_call *c, unsigned allowed)
{
    if (!allowed) {
        call_refuse(c, 404, "not_found",
                    "there is no such path; /api/v1/openapi.json has them all");
        return;
    }
    put_allow(c, allowed);
    if (c->method == EVHTTP_REQ_OPTIONS)
        call_answer_empty(c, 204);
    else
        call_refuse(c, 405, "method_not_allowed", "this path has other methods: see Allow");
}

/* Probes come with whatever name the prober has for us, and learn nothing else. */
static bool is_probe(const struct api_call *c)
{
    return c->target.segment_count == 1 && (strcmp(c->target.segments[0], "healthz") == 0 ||
                                            strcmp(c->target.segments[0], "readyz") == 0);
}

static void serve(struct api_call *c)
{
    const struct settings *settings = &control_project(c->control)->settings;
    struct err err;
    unsigned allowed;
    auth_identify(&c->api->auth, settings, &c->facts, &c->who);
    if (!is_allowed_now(c))
        return;
    if (request_target_parse(evhttp_request_get_uri(c->req), &c->target, &err)) {
        call_invalid(c, &err);
        return;
    }
    const char *objection = is_probe(c) ? NULL : auth_objection(settings, &c->who, &c->facts);
    if (objection) {
        call_refuse(c, 403, "forbidden", "%s", objection);
        return;
    }
    const struct route *route = route_find(c, &allowed);
    if (!route)
        answer_no_route(c, allowed);
    else if (may(c, route) && read_body(c))
        route->answer(c);
}

void serve_request(struct evhttp_request *req, void *ctx)
{
    struct endpoint *at = ctx;
    struct api_call c = {
        .api = at->api,
        .control = at->api->options.control,
        .req = req,
        .method = evhttp_request_get_command(req),
        .local = at->local,
    };
    gather_facts(&c, at);
    connections_asked(at->connections,
                      evhttp_connection_get_bufferevent(evhttp_request_get_connection(req)), false);
    serve(&c);
    json_decref(c.body);
}
