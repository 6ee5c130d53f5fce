#include "worker/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "protocol/base/exposition.h"
#include "worker/engine.h"

enum {
    ANSWER_BYTES_MAX = 8 << 20,
    HEADER_BYTES_MAX = 16 << 10,
    BODY_BYTES_MAX = 1024,
    IDLE_SECONDS = 10, /* a connection that says nothing for so long is closed */
    HOST_BYTES = 256,
    URL_BYTES = HOST_BYTES + 32,
};

struct listener {
    struct engine *engine;
    struct evhttp *http;
    char url[URL_BYTES];
};

static void answer(struct evhttp_request *r, int status, const char *type, struct slice text)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(r);
    struct evbuffer *body = evbuffer_new();
    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    if (!body || evbuffer_add(body, text.p, text.n))
        status = HTTP_SERVUNAVAIL;
    evhttp_send_reply(r, status, NULL, body);
    if (body)
        evbuffer_free(body);
}

static void answer_text(struct evhttp_request *r, int status, const char *text)
{
    answer(r, status, "text/plain; charset=utf-8", slice_str(text));
}

static void on_metrics(struct evhttp_request *r, void *ctx)
{
    struct listener *l = ctx;
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, ANSWER_BYTES_MAX);
    if (metrics_put(l->engine, &out))
        answer_text(r, HTTP_SERVUNAVAIL, "no memory for the metrics\n");
    else
        answer(r, HTTP_OK, EXPOSITION_TYPE, buf_slice(&out));
}

/* That this answers says it all: the loop turns. A folder that is refused is no reason to be
 * started anew, with nothing to go on from. */
static void on_healthz(struct evhttp_request *r, void *ctx)
{
    const struct listener *l = ctx;
    answer_text(r, HTTP_OK,
                l->engine->refused_ms
                    ? "ok, but the project folder has mistakes: the configuration "
                      "before goes on; the log names them\n"
                    : "ok\n");
}

static void on_readyz(struct evhttp_request *r, void *ctx)
{
    struct listener *l = ctx;
    char why[ENGINE_WHY_BYTES], text[ENGINE_WHY_BYTES + 16];
    bool ready = engine_is_ready(l->engine, why);
    snprintf(text, sizeof text, "%s%s%s\n", ready ? "ok" : "", ready && *why ? "; " : "", why);
    answer_text(r, ready ? HTTP_OK : HTTP_SERVUNAVAIL, text);
}

static void on_other(struct evhttp_request *r, void *ctx)
{
    (void)ctx;
    answer_text(r, HTTP_NOTFOUND, "there are /metrics, /healthz and /readyz\n");
}

/* host and port of the address; false where it is none. */
static bool take_address(const char *address, char *host, uint16_t *ret_port)
{
    const char *colon = strrchr(address, ':');
    char *end;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || colon[1] < '0' || colon[1] > '9' || *end || port > UINT16_MAX)
        return false;
    size_t n = (size_t)(colon - address);
    bool brackets = n > 2 && address[0] == '[' && address[n - 1] == ']';
    if (!n || n >= HOST_BYTES)
        return false;
    snprintf(host, HOST_BYTES, "%.*s", (int)(brackets ? n - 2 : n), address + brackets);
    *ret_port = (uint16_t)port;
    return true;
}

static void name_url(struct listener *l, const char *host, evutil_socket_t fd)
{
    struct sockaddr_storage at = {0};
    socklen_t n = sizeof at;
    uint16_t port = 0;
    if (getsockname(fd, (struct sockaddr *)&at, &n) == 0)
        port = at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                        : ((struct sockaddr_in *)&at)->sin_port;
    bool six = strchr(host, ':') != NULL;
    snprintf(l->url, sizeof l->url, "http://%s%s%s:%u", six ? "[" : "", host, six ? "]" : "",
             ntohs(port));
}

static enum err_code bind_to(struct listener *l, const char *address, struct err *err)
{
    char host[HOST_BYTES];
    uint16_t port;
    if (!take_address(address, host, &port))
        return err_set(err, ERR_CONFIG, "%s is no address to listen on: write 127.0.0.1:9470",
                       address);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(l->http, host, port);
    if (!bound)
        return err_errno(err, errno, "cannot listen on %s", address);
    name_url(l, host, evhttp_bound_socket_get_fd(bound));
    return ERR_OK;
}

enum err_code listener_new(struct engine *e, const char *address, struct listener **ret_listener,
                           struct err *err)
{
    struct listener *l = calloc(1, sizeof *l);
    if (l)
        l->http = evhttp_new(e->base);
    if (!l || !l->http) {
        listener_free(l);
        return err_set(err, ERR_NOMEM, "no memory to listen on %s", address);
    }
    l->engine = e;
    evhttp_set_allowed_methods(l->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_max_headers_size(l->http, HEADER_BYTES_MAX);
    evhttp_set_max_body_size(l->http, BODY_BYTES_MAX);
    evhttp_set_timeout(l->http, IDLE_SECONDS);
    evhttp_set_gencb(l->http, on_other, l);
    enum err_code rc = bind_to(l, address, err);
    if (evhttp_set_cb(l->http, "/metrics", on_metrics, l) ||
        evhttp_set_cb(l->http, "/healthz", on_healthz, l) ||
        evhttp_set_cb(l->http, "/readyz", on_readyz, l))
        rc = err_set(err, ERR_NOMEM, "no memory to listen on %s", address);
    if (rc)
        listener_free(l);
    else
        *ret_listener = l;
    return rc;
}

void listener_free(struct listener *l)
{
    if (!l)
        return;
    if (l->http)
        evhttp_free(l->http);
    free(l);
}

const char *listener_url(const struct listener *l)
{
    return l->url;
}
