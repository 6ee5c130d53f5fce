/* Reads: the lock on the state directory, tried again and again. Writes: nothing. A crash here: it
 * had nothing. */
#include "scheduler/service/standby.h"

#include "protocol/config/listen.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { TRY_MS = 200, REQUEST_BYTES_MAX = 8192, TIMEOUT_S = 10 };

struct standby {
    const struct settings *settings;
    const struct log *log;
    struct event_base *base;
    struct event *again, *sigint, *sigterm;
    struct evhttp *http;
    struct state_lock *lock;
    bool told, got, stopped;
    struct err error; /* why the lock cannot be had at all */
};

static void try_lock(struct standby *s)
{
    struct err err;
    enum err_code rc = state_lock_take(s->lock, s->settings->state_dir, &err);
    if (rc == ERR_BUSY) {
        if (!s->told)
            log_event(s->log, LOG_INFO, "stands_by", LOG_STR("for", err.text));
        s->told = true;
        return;
    }
    s->got = !rc;
    if (rc)
        s->error = err;
    event_base_loopbreak(s->base);
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    try_lock(ctx);
}

static void on_signal(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct standby *s = ctx;
    s->stopped = true;
    event_base_loopbreak(s->base);
}

/* ---- health ---- */

static void answer(struct evhttp_request *req, int status, const char *type, const char *body)
{
    struct evbuffer *out = evbuffer_new();
    evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", type);
    if (out)
        evbuffer_add(out, body, strlen(body));
    evhttp_send_reply(req, status, status == 200 ? "OK" : "Service Unavailable", out);
    if (out)
        evbuffer_free(out);
}

static void on_request(struct evhttp_request *req, void *ctx)
{
    (void)ctx;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    if (path && strcmp(path, "/healthz") == 0)
        answer(req, 200, "text/plain", "ok\n");
    else if (path && strcmp(path, "/readyz") == 0)
        answer(req, 503, "application/json",
               "{\"ready\":false,\"why\":\"standby: another scheduler has the state\"}");
    else
        answer(req, 503, "application/json",
               "{\"error\":{\"code\":\"unreachable\",\"message\":\"standby: another scheduler has "
               "the state\"}}");
}

static unsigned port_of(struct evhttp_bound_socket *bound)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;
    char port[8] = "0";
    unsigned number = 0;
    if (!getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&at, &n) &&
        !getnameinfo((struct sockaddr *)&at, n, NULL, 0, port, sizeof port, NI_NUMERICSERV))
        sscanf(port, "%u", &number);
    return number;
}

/* The one that has the state may have the address as well, on one machine: then nobody asks here.
 */
static void serve(struct standby *s)
{
    struct listen_address at;
    if (!listen_parse(s->settings->listen, &at))
        return;
    s->http = evhttp_new(s->base);
    struct evhttp_bound_socket *bound =
        s->http ? evhttp_bind_socket_with_handle(s->http, at.host, at.port) : NULL;
    if (!bound) {
        log_event(s->log, LOG_WARN, "standby_not_served", LOG_STR("listen", s->settings->listen));
        return;
    }
    evhttp_set_max_headers_size(s->http, REQUEST_BYTES_MAX);
    evhttp_set_max_body_size(s->http, REQUEST_BYTES_MAX);
    evhttp_set_timeout(s->http, TIMEOUT_S);
    evhttp_set_gencb(s->http, on_request, s);
    bool six = strchr(at.host, ':');
    char url[LISTEN_HOST_BYTES + 32];
    snprintf(url, sizeof url, "http://%s%s%s:%u", six ? "[" : "", at.host, six ? "]" : "",
             port_of(bound));
    log_event(s->log, LOG_INFO, "standby_listens", LOG_STR("url", url));
}

/* ---- life ---- */

static enum err_code open_all(struct standby *s, struct err *err)
{
    struct timeval every = {0, TRY_MS * 1000};
    s->base = event_base_new();
    if (!s->base)
        return err_set(err, ERR_NOMEM, "no event loop");
    s->again = event_new(s->base, -1, EV_PERSIST, on_again, s);
    s->sigint = evsignal_new(s->base, SIGINT, on_signal, s);
    s->sigterm = evsignal_new(s->base, SIGTERM, on_signal, s);
    if (!s->again || !s->sigint || !s->sigterm || event_add(s->again, &every) ||
        event_add(s->sigint, NULL) || event_add(s->sigterm, NULL))
        return err_set(err, ERR_NOMEM, "no memory for events");
    serve(s);
    return ERR_OK;
}

static void close_all(struct standby *s)
{
    struct event *events[] = {s->again, s->sigint, s->sigterm};
    if (s->http)
        evhttp_free(s->http);
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (events[i])
            event_free(events[i]);
    if (s->base)
        event_base_free(s->base);
}

enum err_code standby_wait(const struct settings *settings, const struct log *log,
                           struct state_lock *ret_lock, struct err *err)
{
    struct standby s = {.settings = settings, .log = log, .lock = ret_lock};
    signal(SIGPIPE, SIG_IGN);
    enum err_code rc = state_lock_take(ret_lock, settings->state_dir, err);
    if (rc != ERR_BUSY)
        return rc;
    rc = open_all(&s, err);
    if (!rc) {
        try_lock(&s);
        if (!s.got && !s.error.code)
            event_base_dispatch(s.base);
    }
    close_all(&s);
    if (rc)
        return rc;
    if (s.error.code) {
        *err = s.error;
        return err->code;
    }
    if (!s.got)
        return err_set(err, ERR_STOPPED, "stopped while standing by");
    log_event(log, LOG_INFO, "takes_over");
    return ERR_OK;
}
