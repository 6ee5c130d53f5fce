/*
 * faultproxy LISTEN TARGET [FIFO]: a stream proxy whose faults are ordered line by line, for tests.
 *
 * LISTEN and TARGET are a port of 127.0.0.1 (LISTEN 0: any free one) or the absolute path of a unix
 * socket. Orders come from FIFO (made if missing) or from standard input, whose end ends the proxy;
 * each is answered on standard output by a line `ok` or `error …`. The first line there is
 * `listening PORT|PATH`.
 *
 *   ok            no fault; what a blackhole held back flows on, a refused port listens again
 *   delay MS      every byte arrives MS later, in order
 *   rate N        each direction of each connection passes N bytes a second
 *   rst           resets every connection, and new ones when they speak
 *   blackhole     connections stand, nothing flows (a partition: it heals with `ok`)
 *   refuse        resets every connection and stops listening
 *   close N       each connection passes N more bytes, both directions together, and is reset
 *
 * delay and rate may stand together; every other order replaces what was before. Dies with its
 * parent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { HELD_BYTES = 4 << 20, TICKS_A_SECOND = 20, ORDER_BYTES = 256 };
enum mode { MODE_PASS, MODE_RESET, MODE_BLACKHOLE, MODE_REFUSE };

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
    };
    socklen_t len;
};

/* Bytes under way that are delivered when their time has come. */
struct chunk {
    TAILQ_ENTRY(chunk) next;
    struct evbuffer *bytes;
    struct timeval due;
};

struct link;
/* One end of a connection; held are bytes that came from here and wait for the peer. */
struct side {
    struct link *link;
    struct side *peer;
    struct bufferevent *bev;
    TAILQ_HEAD(, chunk) held;
    size_t held_bytes;
    struct event *due;
    bool ended; /* no more bytes come from here */
};

struct link {
    LIST_ENTRY(link) next;
    struct proxy *proxy;
    struct side client, server;
    uint64_t left; /* bytes until it is reset; UINT64_MAX: no such order */
};

struct proxy {
    struct event_base *base;
    struct evconnlistener *listener;
    struct address listen, target;
    struct bufferevent *orders;
    LIST_HEAD(, link) links;
    enum mode mode;
    uint64_t delay_ms;
    uint64_t close_after;
    struct ev_token_bucket_cfg *rate;
};

/* ---- ending a link ---- */

static void side_done(struct side *s, bool reset)
{
    struct chunk *c;
    while ((c = TAILQ_FIRST(&s->held))) {
        TAILQ_REMOVE(&s->held, c, next);
        evbuffer_free(c->bytes);
        free(c);
    }
    if (s->due)
        event_free(s->due);
    if (!s->bev)
        return;
    int fd = bufferevent_getfd(s->bev);
    if (reset && fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                   sizeof(struct linger));
    bufferevent_free(s->bev);
}

static void link_free(struct link *l, bool reset)
{
    LIST_REMOVE(l, next);
    side_done(&l->client, reset);
    side_done(&l->server, reset);
    free(l);
}

static void reset_all(struct proxy *p)
{
    while (!LIST_EMPTY(&p->links))
        link_free(LIST_FIRST(&p->links), true);
}

/* ---- passing bytes ---- */

static size_t under_way(const struct side *s)
{
    return s->held_bytes + evbuffer_get_length(bufferevent_get_output(s->peer->bev));
}

/* Reads from a side only while nothing forbids it and its peer keeps up. */
static void update_reading(struct side *s)
{
    if (s->link->proxy->mode == MODE_BLACKHOLE || under_way(s) > HELD_BYTES)
        bufferevent_disable(s->bev, EV_READ);
    else
        bufferevent_enable(s->bev, EV_READ);
}

/* An end that was read is passed on once everything before it has been. false: the link is gone. */
static bool pass_end(struct side *s)
{
    if (!s->ended || under_way(s) > 0)
        return true;
    link_free(s->link, false);
    return false;
}

/* Hands bytes to the peer, or as many as `close` allows. false: the link is gone. */
static bool deliver(struct side *s, struct evbuffer *bytes)
{
    struct link *l = s->link;
    size_t n = evbuffer_get_length(bytes);
    struct evbuffer *out = bufferevent_get_output(s->peer->bev);
    if (n <= l->left) {
        if (l->left != UINT64_MAX)
            l->left -= n;
        bufferevent_write_buffer(s->peer->bev, bytes);
        return true;
    }
    evbuffer_remove_buffer(bytes, out, (size_t)l->left);
    int fd = bufferevent_getfd(s->peer->bev);
    while (evbuffer_get_length(out) > 0 && evbuffer_write(out, fd) > 0)
        continue;
    link_free(l, true);
    return false;
}

static void hold(struct side *s, struct evbuffer *bytes)
{
    struct chunk *c = calloc(1, sizeof *c);
    uint64_t ms = s->link->proxy->delay_ms;
    struct timeval now,
        wait = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    if (!c || !(c->bytes = evbuffer_new()))
        abort();
    s->held_bytes += evbuffer_get_length(bytes);
    evbuffer_add_buffer(c->bytes, bytes);
    event_base_gettimeofday_cached(s->link->proxy->base, &now);
    evutil_timeradd(&now, &wait, &c->due);
    TAILQ_INSERT_TAIL(&s->held, c, next);
    if (TAILQ_FIRST(&s->held) == c)
        evtimer_add(s->due, &wait);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct side *s = arg;
    struct chunk *c;
    struct timeval now, left;
    evutil_gettimeofday(&now, NULL);
    while ((c = TAILQ_FIRST(&s->held))) {
        if (evutil_timercmp(&c->due, &now, >)) {
            evutil_timersub(&c->due, &now, &left);
            evtimer_add(s->due, &left);
            break;
        }
        TAILQ_REMOVE(&s->held, c, next);
        s->held_bytes -= evbuffer_get_length(c->bytes);
        bool alive = deliver(s, c->bytes);
        evbuffer_free(c->bytes);
        free(c);
        if (!alive)
            return;
    }
    update_reading(s);
    pass_end(s);
}

static void on_readable(struct bufferevent *bev, void *arg)
{
    struct side *s = arg;
    struct proxy *p = s->link->proxy;
    struct evbuffer *in = bufferevent_get_input(bev);
    if (p->mode == MODE_RESET)
        link_free(s->link, true);
    else if (p->delay_ms || !TAILQ_EMPTY(&s->held))
        hold(s, in);
    else if (deliver(s, in))
        update_reading(s);
}

/* The output of this side has drained: its peer may be read again, or its end passed on. */
static void on_drained(struct bufferevent *bev, void *arg)
{
    (void)bev;
    struct side *s = arg;
    update_reading(s->peer);
    pass_end(s->peer);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct side *s = arg;
    if (what & BEV_EVENT_EOF) {
        s->ended = true;
        bufferevent_disable(bev, EV_READ);
        pass_end(s);
    } else if (what & BEV_EVENT_ERROR) {
        link_free(s->link, true);
    }
}

/* ---- accepting ---- */

static void side_init(struct side *s, struct link *l, struct side *peer, int fd)
{
    struct proxy *p = l->proxy;
    s->link = l;
    s->peer = peer;
    TAILQ_INIT(&s->held);
    s->due = evtimer_new(p->base, on_due, s);
    s->bev = bufferevent_socket_new(p->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!s->due || !s->bev)
        abort();
    bufferevent_setcb(s->bev, on_readable, on_drained, on_event, s);
    if (p->rate)
        bufferevent_set_rate_limit(s->bev, p->rate);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int len, void *arg)
{
    (void)listener, (void)from, (void)len;
    struct proxy *p = arg;
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    l->proxy = p;
    l->left = p->close_after;
    LIST_INSERT_HEAD(&p->links, l, next);
    side_init(&l->client, l, &l->server, fd);
    side_init(&l->server, l, &l->client, -1);
    if (bufferevent_socket_connect(l->server.bev, &p->target.any, (int)p->target.len)) {
        link_free(l, true);
        return;
    }
    update_reading(&l->client);
    update_reading(&l->server);
}

static bool start_listening(struct proxy *p)
{
    if (p->listener)
        return true;
    if (p->listen.any.sa_family == AF_UNIX)
        unlink(p->listen.un.sun_path);
    p->listener = evconnlistener_new_bind(
        p->base, on_accept, p, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC,
        128, &p->listen.any, (int)p->listen.len);
    if (!p->listener)
        return false;
    /* A port that was chosen for us stays ours over `refuse`. */
    getsockname(evconnlistener_get_fd(p->listener), &p->listen.any, &p->listen.len);
    return true;
}

/* ---- orders ---- */

static void set_rate(struct proxy *p, uint64_t bytes_a_second)
{
    struct link *l;
    struct ev_token_bucket_cfg *before = p->rate;
    struct timeval tick = {.tv_usec = 1000000 / TICKS_A_SECOND};
    size_t n = (size_t)(bytes_a_second / TICKS_A_SECOND);
    n = n ? n : 1;
    p->rate = NULL;
    if (bytes_a_second)
        p->rate = ev_token_bucket_cfg_new(n, n, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, &tick);
    LIST_FOREACH(l, &p->links, next)
    {
        bufferevent_set_rate_limit(l->client.bev, p->rate);
        bufferevent_set_rate_limit(l->server.bev, p->rate);
    }
    if (before)
        ev_token_bucket_cfg_free(before);
}

static void set_mode(struct proxy *p, enum mode mode, uint64_t close_after)
{
    struct link *l;
    p->mode = mode;
    p->close_after = close_after;
    if (mode == MODE_RESET || mode == MODE_REFUSE)
        reset_all(p);
    if (mode == MODE_REFUSE && p->listener) {
        evconnlistener_free(p->listener);
        p->listener = NULL;
    }
    LIST_FOREACH(l, &p->links, next)
    {
        l->left = close_after;
        update_reading(&l->client);
        update_reading(&l->server);
    }
}

static void pass(struct proxy *p, uint64_t delay_ms, uint64_t rate)
{
    p->delay_ms = delay_ms;
    set_rate(p, rate);
    set_mode(p, MODE_PASS, UINT64_MAX);
}

/* Everything but delay and rate ends delay and rate. Returns NULL or what is wrong. */
static const char *obey(struct proxy *p, const char *order)
{
    char word[16] = "", end;
    unsigned long long n = 0;
    int fields = sscanf(order, "%15s %llu %c", word, &n, &end);
    bool number = fields == 2;
    if (fields < 1 || fields > 2)
        return "an order is a word, some with a number";
    if (!strcmp(word, "delay") && number) {
        p->delay_ms = n;
        set_mode(p, MODE_PASS, UINT64_MAX);
    } else if (!strcmp(word, "rate") && number) {
        set_rate(p, n);
        set_mode(p, MODE_PASS, UINT64_MAX);
    } else if (!strcmp(word, "close") && number) {
        pass(p, 0, 0);
        set_mode(p, MODE_PASS, n);
    } else if (!strcmp(word, "ok") && !number) {
        pass(p, 0, 0);
    } else if (!strcmp(word, "rst") && !number) {
        set_mode(p, MODE_RESET, UINT64_MAX);
    } else if (!strcmp(word, "blackhole") && !number) {
        set_mode(p, MODE_BLACKHOLE, UINT64_MAX);
    } else if (!strcmp(word, "refuse") && !number) {
        set_mode(p, MODE_REFUSE, UINT64_MAX);
    } else {
        return "unknown order, or a number too few or too many";
    }
    return p->mode == MODE_REFUSE || start_listening(p) ? NULL : "cannot listen again";
}

static void on_order(struct bufferevent *bev, void *arg)
{
    char *line;
    while ((line = evbuffer_readln(bufferevent_get_input(bev), NULL, EVBUFFER_EOL_ANY))) {
        const char *wrong = *line ? obey(arg, line) : NULL;
        printf(wrong ? "error: %s\n" : "ok\n", wrong);
        fflush(stdout);
        free(line);
    }
}

static void on_orders_end(struct bufferevent *bev, short what, void *arg)
{
    (void)bev, (void)what;
    struct proxy *p = arg;
    event_base_loopbreak(p->base);
}

static bool open_orders(struct proxy *p, const char *fifo)
{
    int fd = STDIN_FILENO;
    if (fifo) {
        if (mkfifo(fifo, 0600) && errno != EEXIST)
            return false;
        fd = open(fifo, O_RDWR | O_CLOEXEC); /* writable too: it never ends */
    }
    if (fd < 0 || evutil_make_socket_nonblocking(fd))
        return false;
    p->orders = bufferevent_socket_new(p->base, fd, 0);
    if (!p->orders)
        return false;
    bufferevent_setcb(p->orders, on_order, NULL, on_orders_end, p);
    return bufferevent_enable(p->orders, EV_READ) == 0;
}

/* ---- the program ---- */

static bool parse_address(const char *text, struct address *a)
{
    *a = (struct address){.len = sizeof a->in};
    if (text[0] == '/') {
        a->un.sun_family = AF_UNIX;
        a->len = sizeof a->un;
        return snprintf(a->un.sun_path, sizeof a->un.sun_path, "%s", text) <
               (int)sizeof a->un.sun_path;
    }
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    a->in.sin_family = AF_INET;
    a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a->in.sin_port = htons((uint16_t)port);
    return *text && !*end && port <= 65535;
}

static void say_where(const struct proxy *p)
{
    if (p->listen.any.sa_family == AF_UNIX)
        printf("listening %s\n", p->listen.un.sun_path);
    else
        printf("listening %u\n", ntohs(p->listen.in.sin_port));
    fflush(stdout);
}

static void proxy_done(struct proxy *p)
{
    reset_all(p);
    if (p->listener)
        evconnlistener_free(p->listener);
    if (p->orders)
        bufferevent_free(p->orders);
    if (p->rate)
        ev_token_bucket_cfg_free(p->rate);
    event_base_loop(p->base, EVLOOP_NONBLOCK); /* lets deferred callbacks go of what they hold */
    event_base_free(p->base);
}

int main(int argc, char **argv)
{
    struct proxy p = {.close_after = UINT64_MAX};
    if (argc < 3 || argc > 4 || !parse_address(argv[1], &p.listen) ||
        !parse_address(argv[2], &p.target)) {
        fprintf(stderr, "usage: faultproxy PORT|PATH PORT|PATH [FIFO]\n");
        return 64;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    p.base = event_base_new();
    bool ok = p.base && open_orders(&p, argc == 4 ? argv[3] : NULL) && start_listening(&p);
    if (!ok)
        perror("faultproxy");
    if (ok) {
        say_where(&p);
        ok = event_base_dispatch(p.base) >= 0;
    }
    if (p.base)
        proxy_done(&p);
    return ok ? 0 : 1;
}
