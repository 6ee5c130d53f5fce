#include "scheduler/api/call.h"

#include "protocol/base/utf8.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000 };

/* ---- what was sent ---- */

bool call_members(struct api_call *c, const char *const *names)
{
    const char *key;
    json_t *value;
    json_object_foreach(c->body, key, value)
    {
        const char *const *name = names;
        while (*name && strcmp(*name, key) != 0)
            name++;
        if (!*name) {
            call_refuse(c, 400, "invalid", "the body has an unknown member \"%.100s\"", key);
            return false;
        }
    }
    return true;
}

bool call_flag(struct api_call *c, const char *name, bool *ret)
{
    const json_t *value = json_object_get(c->body, name);
    if (value && !json_is_boolean(value)) {
        call_refuse(c, 400, "invalid", "%s must be true or false", name);
        return false;
    }
    if (value)
        *ret = json_is_true(value);
    return true;
}

bool call_text(struct api_call *c, const char *name, const char **ret)
{
    const json_t *value = json_object_get(c->body, name);
    if (value && !json_is_null(value) && !json_is_string(value)) {
        call_refuse(c, 400, "invalid", "%s must be a text", name);
        return false;
    }
    if (json_is_string(value))
        *ret = json_string_value(value);
    return true;
}

bool call_limit(struct api_call *c, size_t *ret)
{
    uint64_t limit = LIMIT_DEFAULT;
    struct err err;
    if (request_query_number(&c->target, "limit", 1, LIMIT_MAX, &limit, &err)) {
        call_invalid(c, &err);
        return false;
    }
    *ret = (size_t)limit;
    return true;
}

const struct sync *call_sync(struct api_call *c, const char *name)
{
    const struct project *project = control_project(c->control);
    const struct sync *sync = project_sync(project, name);
    struct err err;
    if (!sync) {
        project_no_sync(project, name, &err);
        call_refuse(c, 404, "not_found", "%s", err.text);
    }
    return sync;
}

const struct destination *call_destination(struct api_call *c, const char *name)
{
    const struct destination *d = project_destination(control_project(c->control), name);
    if (!d)
        call_refuse(c, 404, "not_found", "there is no destination %.200s", name);
    return d;
}

/* ---- answers ---- */

void call_header(struct api_call *c, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(c->req), name, value);
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Not Allowed"},
        {409, "Conflict"},
        {413, "Too Large"},
        {422, "Unprocessable"},
        {429, "Too Many Requests"},
        {500, "Internal Error"},
        {503, "Unavailable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* Sends what is in body; of HEAD only its length. */
static void send_answer(struct api_call *c, int status, struct evbuffer *body)
{
    if (c->method == EVHTTP_REQ_HEAD && status != 304) {
        char length[24];
        snprintf(length, sizeof length, "%zu", body ? evbuffer_get_length(body) : 0);
        call_header(c, "Content-Length", length);
        body = NULL;
    }
    call_header(c, "X-Content-Type-Options", "nosniff");
    if (!evhttp_find_header(evhttp_request_get_output_headers(c->req), "Cache-Control"))
        call_header(c, "Cache-Control", "no-store");
    evhttp_send_reply(c->req, status, reason_of(status), body);
}

void call_answer_empty(struct api_call *c, int status)
{
    send_answer(c, status, NULL);
}

void call_answer_bytes(struct api_call *c, int status, const char *type, struct slice bytes)
{
    struct evbuffer *body = evbuffer_new();
    call_header(c, "Content-Type", type);
    if (body && evbuffer_add(body, bytes.p, bytes.n) == 0)
        send_answer(c, status, body);
    else
        send_answer(c, 503, NULL);
    if (body)
        evbuffer_free(body);
}

static void free_bytes(const void *bytes, size_t n, void *ctx)
{
    (void)n, (void)ctx;
    free((void *)(uintptr_t)bytes);
}

void call_answer(struct api_call *c, int status, struct output *o)
{
    struct evbuffer *body = evbuffer_new();
    if (!body || o->failed) {
        enum err_code failed = o->failed;
        output_done(o);
        if (body)
            evbuffer_free(body);
        call_refuse(c, 503, "too_large", "the answer cannot be written: %s",
                    failed ? err_name(failed) : "no memory");
        return;
    }
    call_header(c, "Content-Type", "application/json");
    if (evbuffer_add_reference(body, o->buf.p, o->buf.len, free_bytes, NULL) == 0)
        buf_init(&o->buf, OUTPUT_BYTES_MAX); /* taken */
    send_answer(c, status, body);
    evbuffer_free(body);
    output_done(o);
}

void call_refuse(struct api_call *c, int status, const char *code, const char *fmt, ...)
{
    char text[ERR_TEXT_BYTES];
    struct output o;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    output_init(&o);
    output_open(&o, NULL, '{');
    output_open(&o, "error", '{');
    output_text(&o, "code", code);
    output_slice(&o, "message", utf8_prefix(slice_str(text), sizeof text));
    output_close(&o, '}');
    output_close(&o, '}');
    if (o.failed) { /* no memory for a hundred bytes */
        output_done(&o);
        send_answer(c, 503, NULL);
        return;
    }
    call_answer(c, status, &o);
}

void call_fail(struct api_call *c, const struct err *err)
{
    static const struct {
        enum err_code code;
        int status;
        const char *word;
    } statuses[] = {
        {ERR_NOTFOUND, 404, "not_found"},
        {ERR_USAGE, 409, "conflict"},
        {ERR_BUSY, 409, "busy"},
        {ERR_STALE, 409, "conflict"},
        {ERR_CONFIG, 422, "configuration"},
        {ERR_INVALID, 400, "invalid"},
        {ERR_FULL, 503, "full"},
        {ERR_UNREACHABLE, 503, "unreachable"},
        {ERR_TIMEOUT, 503, "timeout"},
        {ERR_THROTTLED, 503, "throttled"},
        {ERR_STOPPED, 503, "stopping"},
        {ERR_NOMEM, 503, "memory"},
    };
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (statuses[i].code == err->code) {
            call_refuse(c, statuses[i].status, statuses[i].word, "%s", err->text);
            return;
        }
    call_refuse(c, 500, "internal", "%s", err->text);
}

void call_invalid(struct api_call *c, const struct err *err)
{
    call_refuse(c, 400, "invalid", "%s", err->text);
}
