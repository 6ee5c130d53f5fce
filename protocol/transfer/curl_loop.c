#include "protocol/transfer/curl_loop.h"

#include <event2/event.h>
#include <stdlib.h>

struct curl_loop {
    struct event_base *base;
    CURLM *multi;
    struct event *timer;
    curl_loop_cb done;
    void *ctx;
};

static void harvest(struct curl_loop *l)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(l->multi, &left))) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* the message is gone with the handle's removal */
        if (message->msg == CURLMSG_DONE)
            l->done(l->ctx, easy, code);
    }
}

static void on_socket(evutil_socket_t fd, short what, void *ctx)
{
    struct curl_loop *l = ctx;
    int mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(l->multi, fd, mask, &running);
    harvest(l);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct curl_loop *l = ctx;
    int running;
    curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    harvest(l);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    (void)easy;
    struct curl_loop *l = ctx;
    struct event *ev = socket_ctx;
    if (ev)
        event_free(ev);
    ev = NULL;
    if (what != CURL_POLL_REMOVE) {
        int events = EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
                     (what & CURL_POLL_OUT ? EV_WRITE : 0);
        ev = event_new(l->base, fd, (short)events, on_socket, l);
        if (!ev || event_add(ev, NULL))
            return -1;
    }
    curl_multi_assign(l->multi, fd, ev);
    return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    struct curl_loop *l = ctx;
    if (timeout_ms < 0)
        return event_del(l->timer);
    struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    return event_add(l->timer, &tv);
}

struct curl_loop *curl_loop_new(struct event_base *base, curl_loop_cb done, void *ctx)
{
    struct curl_loop *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    *l = (struct curl_loop){.base = base, .done = done, .ctx = ctx};
    l->timer = evtimer_new(base, on_timer, l);
    l->multi = curl_multi_init();
    if (!l->timer || !l->multi) {
        curl_loop_free(l);
        return NULL;
    }
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    return l;
}

void curl_loop_free(struct curl_loop *l)
{
    if (!l)
        return;
    if (l->multi)
        curl_multi_cleanup(l->multi);
    if (l->timer)
        event_free(l->timer);
    free(l);
    curl_global_cleanup();
}

CURLM *curl_loop_multi(const struct curl_loop *l)
{
    return l->multi;
}
