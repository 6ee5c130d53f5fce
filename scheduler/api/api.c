/*
 * Reads: requests. Gives: answers. Invariant: whoever may ask is decided in serve.c alone. A crash
 * here: the scheduler's; what an action changed was durable before it was answered.
 */
#include "scheduler/api/api.h"

#include "protocol/config/listen.h"
#include "scheduler/api/api_private.h"
#include "scheduler/api/aside.h"
#include "scheduler/api/serve.h"
#include "scheduler/api/socket_file.h"
#include "scheduler/service/control.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 256, LOCAL_CONNECTIONS_MAX = 64 };

/* ---- one endpoint ---- */

/* Takes the fd, also where it fails. */
static enum err_code endpoint_open(struct endpoint *at, int fd, size_t connections_max,
                                   struct err *err)
{
    struct event_base *base = at->api->options.base;
    at->http = evhttp_new(base);
    struct evconnlistener *listener =
        at->http ? evconnlistener_new(base, NULL, NULL,
                                      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd)
                 : NULL;
    if (!listener) {
        close(fd);
        return err_set(err, ERR_NOMEM, "api: no memory");
    }
    if (!evhttp_bind_listener(at->http, listener)) {
        evconnlistener_free(listener);
        return err_set(err, ERR_NOMEM, "api: no memory");
    }
    evhttp_set_allowed_methods(at->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                             EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                             EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_max_headers_size(at->http, SERVE_HEADERS_MAX);
    evhttp_set_max_body_size(at->http, SERVE_BODY_READ_MAX);
    evhttp_set_timeout(at->http, SERVE_TIMEOUT_S);
    evhttp_set_gencb(at->http, serve_request, at);
    enum err_code rc =
        connections_new(base, listener, connections_max, CONNECTION_IDLE_MS, &at->connections, err);
    if (!rc)
        evhttp_set_bevcb(at->http, connections_make, at->connections);
    return rc;
}

static void endpoint_close(struct endpoint *at)
{
    if (at->http)
        evhttp_free(at->http);
    connections_free(at->connections);
}

/* ---- TCP ---- */

static int bind_first(const struct addrinfo *list)
{
    int fd = -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        int one = 1;
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
            return fd;
        int why = errno;
        close(fd);
        errno = why;
        fd = -1;
    }
    return fd;
}

static enum err_code bind_tcp(const struct listen_address *at, int *ret_fd, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", at->port);
    int rc = getaddrinfo(at->host, port, &hints, &list);
    if (rc)
        return err_set(err, ERR_CONFIG, "listen: %s is no address here: %s", at->host,
                       gai_strerror(rc));
    *ret_fd = bind_first(list);
    int why = errno;
    freeaddrinfo(list);
    if (*ret_fd >= 0)
        return ERR_OK;
    err_errno(err, why, "settings.listen: %s port %s cannot be listened at", at->host, port);
    return err->code = ERR_UNREACHABLE;
}

static void name_url(struct api *api, const struct listen_address *at, int fd)
{
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    char port[8] = "";
    if (getsockname(fd, (struct sockaddr *)&bound, &n) == 0)
        getnameinfo((const struct sockaddr *)&bound, n, NULL, 0, port, sizeof port, NI_NUMERICSERV);
    bool six = strchr(at->host, ':');
    snprintf(api->url, sizeof api->url, "http://%s%s%s:%s", six ? "[" : "", at->host,
             six ? "]" : "", port);
}

static enum err_code open_tcp(struct api *api, struct err *err)
{
    struct listen_address at;
    const char *listen_text = api->options.listen;
    int fd = -1;
    if (!listen_text || strcmp(listen_text, "off") == 0)
        return ERR_OK;
    if (!listen_parse(listen_text, &at))
        return err_set(err, ERR_CONFIG, "listen: %s is not an address and a port", listen_text);
    if (!at.loopback && !control_project(api->options.control)->settings.token_count)
        return err_set(err, ERR_CONFIG,
                       "listen: other machines can reach %s, and there are no settings.tokens",
                       at.host);
    enum err_code rc = bind_tcp(&at, &fd, err);
    if (rc)
        return rc;
    name_url(api, &at, fd);
    api->tcp.loopback = at.loopback;
    return endpoint_open(&api->tcp, fd, CONNECTIONS_MAX, err);
}

/* ---- the unix socket ---- */

static enum err_code open_socket_file(struct api *api, struct err *err)
{
    struct socket_file file;
    if (!api->options.socket_path)
        return ERR_OK;
    char *path = strdup(api->options.socket_path);
    if (!path)
        return err_set(err, ERR_NOMEM, "api: no memory");
    enum err_code rc = socket_file_listen(path, &file, err);
    if (rc) {
        free(path);
        return rc;
    }
    api->socket_path = path;
    api->socket_device = file.device;
    api->socket_inode = file.inode;
    return endpoint_open(&api->unix_socket, file.fd, LOCAL_CONNECTIONS_MAX, err);
}

/* ---- life ---- */

enum err_code api_start(const struct api_options *options, struct api **ret, struct err *err)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api)
        return err_set(err, ERR_NOMEM, "api: no memory");
    api->options = *options;
    if (options->worker_program)
        api->options.worker_program = api->worker_program = strdup(options->worker_program);
    api->tcp.api = api->unix_socket.api = api;
    api->unix_socket.local = true;
    enum err_code rc = streams_new(api, &api->streams, err);
    rc = rc ? rc : asides_new(options->base, &api->asides, err);
    rc = rc ? rc : open_tcp(api, err);
    rc = rc ? rc : open_socket_file(api, err);
    if (rc) {
        api_free(api);
        return rc;
    }
    *ret = api;
    return ERR_OK;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    if (api->socket_path)
        socket_file_remove(api->socket_path, api->socket_device, api->socket_inode);
    endpoint_close(&api->tcp);
    endpoint_close(&api->unix_socket);
    asides_free(api->asides);
    streams_free(api->streams);
    free(api->worker_program);
    free(api->socket_path);
    free(api);
}

const char *api_url(const struct api *api)
{
    return api->url;
}
