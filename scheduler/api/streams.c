#include "scheduler/api/streams.h"

#include "scheduler/api/api_private.h"
#include "scheduler/api/routes.h"
#include "scheduler/api/views.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>

enum { READ_MAX = 4096, WRITE_TIMEOUT_S = 30 };

struct client {
    struct evhttp_request *req;
    struct evhttp_connection *connection;
    struct caller who;
};

struct streams {
    struct api *api;
    struct event *keep_alive;
    size_t count;
    struct client clients[2 * STREAMS_MAX];
};

/* ---- clients ---- */

/* The connection ends. Where its client left, evhttp has taken the request off it, for us to end;
 * else it frees the request with the connection. */
static void on_close(struct evhttp_connection *connection, void *ctx)
{
    struct streams *e = ctx;
    for (size_t i = 0; i < e->count; i++)
        if (e->clients[i].connection == connection) {
            struct evhttp_request *req = e->clients[i].req;
            e->clients[i] = e->clients[--e->count];
            if (!evhttp_request_get_connection(req))
                evhttp_send_reply_end(req);
            return;
        }
}

static bool send_to(struct client *client, struct slice text)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(client->connection);
    if (evbuffer_get_length(bufferevent_get_output(bev)) + text.n > STREAMS_BUFFER_MAX)
        return false;
    struct evbuffer *chunk = evbuffer_new();
    bool good = chunk && evbuffer_add(chunk, text.p, text.n) == 0;
    if (good)
        evhttp_send_reply_chunk(client->req, chunk);
    if (chunk)
        evbuffer_free(chunk);
    return good;
}

static void send_to_all(struct streams *e, struct slice text)
{
    const struct settings *s = &control_project(e->api->options.control)->settings;
    for (size_t i = e->count; i-- > 0;)
        if (!auth_is_known(s, &e->clients[i].who) || !send_to(&e->clients[i], text))
            evhttp_connection_free(e->clients[i].connection);
}

static void on_keep_alive(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    send_to_all(ctx, SLICE_LIT(": keep-alive\n\n"));
}

/* ---- events ---- */

static const char *const kind_names[] = {
    [CONTROL_EVENT_RUN] = "run",
    [CONTROL_EVENT_SYNC] = "sync",
    [CONTROL_EVENT_DESTINATION] = "destination",
    [CONTROL_EVENT_RELOAD] = "reload",
};

static void put_reload(struct output *o, struct control *c)
{
    output_open(o, NULL, '{');
    output_text(o, "error", control_reload_error(c));
    output_close(o, '}');
}

/* The event's data; an error where its subject is gone. */
static enum err_code put_data(struct output *o, struct control *c, const struct control_event *ev,
                              struct err *err)
{
    const struct project *p = control_project(c);
    const struct sync *sync;
    const struct destination *destination;
    switch (ev->kind) {
    case CONTROL_EVENT_RUN:
        view_run(o, NULL, c, ev->record);
        return ERR_OK;
    case CONTROL_EVENT_SYNC:
        sync = project_sync(p, ev->name);
        return sync ? view_sync(o, NULL, c, sync, false, err) : ERR_NOTFOUND;
    case CONTROL_EVENT_DESTINATION:
        destination = project_destination(p, ev->name);
        return destination ? view_destination(o, NULL, c, destination, err) : ERR_NOTFOUND;
    case CONTROL_EVENT_RELOAD:
        put_reload(o, c);
        break;
    }
    return ERR_OK;
}

static void on_event(void *ctx, const struct control_event *ev)
{
    struct streams *e = ctx;
    struct output o;
    struct err err;
    if (!e->count)
        return;
    output_init(&o);
    o.failed = buf_printf(&o.buf, "event: %s\ndata: ", kind_names[ev->kind]);
    enum err_code rc = put_data(&o, e->api->options.control, ev, &err);
    if (!rc && !o.failed && !buf_puts(&o.buf, "\n\n"))
        send_to_all(e, buf_slice(&o.buf));
    output_done(&o);
}

/* ---- subscribing ---- */

/* People's streams do not take the places of commands', nor the other way round. */
static size_t count_of(const struct streams *e, bool local)
{
    size_t count = 0;
    for (size_t i = 0; i < e->count; i++)
        count += (e->clients[i].who.kind == CALLER_LOCAL) == local;
    return count;
}

/* The loop's own timeouts are for requests: a stream is quiet for long, and its client says nothing
 * more. */
static void set_limits(struct evhttp_connection *connection)
{
    static const struct timeval write_timeout = {.tv_sec = WRITE_TIMEOUT_S};
    struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
    bufferevent_set_timeouts(bev, NULL, &write_timeout);
    bufferevent_setwatermark(bev, EV_READ, 0, READ_MAX);
}

void answer_events(struct api_call *c)
{
    struct streams *e = c->api->streams;
    call_header(c, "Content-Type", "text/event-stream");
    call_header(c, "Cache-Control", "no-store");
    call_header(c, "X-Accel-Buffering", "no"); /* nginx would hold events back */
    if (c->method == EVHTTP_REQ_HEAD) {
        call_answer_empty(c, 200);
        return;
    }
    if (count_of(e, c->local) == STREAMS_MAX) {
        evhttp_remove_header(evhttp_request_get_output_headers(c->req), "Content-Type");
        call_header(c, "Retry-After", "10");
        call_refuse(c, 503, "full", "%d event streams are open, more are not allowed", STREAMS_MAX);
        return;
    }
    struct client *client = &e->clients[e->count++];
    *client = (struct client){
        .req = c->req, .connection = evhttp_request_get_connection(c->req), .who = c->who};
    call_header(c, "X-Content-Type-Options", "nosniff");
    evhttp_connection_set_closecb(client->connection, on_close, e);
    connections_asked(c->local ? c->api->unix_socket.connections : c->api->tcp.connections,
                      evhttp_connection_get_bufferevent(client->connection), true);
    evhttp_send_reply_start(c->req, 200, "OK");
    set_limits(client->connection);
    send_to(client, SLICE_LIT("retry: 2000\n\n"));
}

/* ---- life ---- */

enum err_code streams_new(struct api *api, struct streams **ret, struct err *err)
{
    static const struct timeval period = {.tv_sec = STREAMS_KEEP_ALIVE_S};
    struct streams *e = calloc(1, sizeof *e);
    if (!e)
        return err_set(err, ERR_NOMEM, "api: no memory");
    e->api = api;
    e->keep_alive = event_new(api->options.base, -1, EV_PERSIST, on_keep_alive, e);
    enum err_code rc = e->keep_alive && event_add(e->keep_alive, &period) == 0
                           ? control_listen(api->options.control, on_event, e, err)
                           : err_set(err, ERR_NOMEM, "api: no memory");
    if (rc) {
        if (e->keep_alive)
            event_free(e->keep_alive);
        free(e);
        return rc;
    }
    *ret = e;
    return ERR_OK;
}

void streams_free(struct streams *e)
{
    if (!e)
        return;
    control_unlisten(e->api->options.control, on_event, e);
    event_free(e->keep_alive);
    free(e);
}

size_t streams_clients(const struct streams *e)
{
    return e->count;
}
