#include "protocol/redis/dial.h"

#include "protocol/redis/lookup.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct dial {
    struct event_base *base;
    const struct redis_url *url;
    uint64_t timeout_ms;
    dial_cb cb;
    void *ctx;
    struct event *start;    /* the first turn, so that dial_new itself calls nobody */
    struct event *writable; /* of the address being tried */
    int fd;
    struct lookup *lookup;
    struct addrinfo *addrs;
    struct addrinfo *next; /* not yet tried */
    size_t addr_count;
    struct err err; /* of the latest address */
};

static struct timeval timeval_of(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000),
                            .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

static void drop_socket(struct dial *d)
{
    if (d->writable)
        event_free(d->writable);
    d->writable = NULL;
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}

/* The last act of an attempt: the callee may free d. */
static void finish(struct dial *d)
{
    int fd = d->fd;
    d->fd = -1;
    drop_socket(d);
    d->cb(d->ctx, fd, fd < 0 ? &d->err : NULL);
}

static void try_next(struct dial *d);

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct dial *d = arg;
    int e = ETIMEDOUT;
    socklen_t n = sizeof e;
    if (!(what & EV_TIMEOUT) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n))
        e = errno;
    if (!e) {
        finish(d);
        return;
    }
    err_errno(&d->err, e, "connect");
    drop_socket(d);
    try_next(d);
}

/* Starts connecting to one address; false: it failed at once. */
static bool try_address(struct dial *d, const struct addrinfo *a)
{
    int on = 1;
    d->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0) {
        err_errno(&d->err, errno, "socket");
        return false;
    }
    setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(d->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (connect(d->fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS) {
        err_errno(&d->err, errno, "connect");
        drop_socket(d);
        return false;
    }
    struct timeval share = timeval_of(d->timeout_ms / d->addr_count + 1);
    d->writable = event_new(d->base, d->fd, EV_WRITE, on_writable, d);
    if (d->writable && event_add(d->writable, &share) == 0)
        return true;
    err_set(&d->err, ERR_NOMEM, "connect: out of memory");
    drop_socket(d);
    return false;
}

static void try_next(struct dial *d)
{
    while (d->next) {
        const struct addrinfo *a = d->next;
        d->next = a->ai_next;
        if (try_address(d, a))
            return;
    }
    finish(d);
}

static void on_addresses(void *ctx, struct addrinfo *addrs, const struct err *err)
{
    struct dial *d = ctx;
    if (err)
        d->err = *err;
    d->addrs = d->next = addrs;
    for (const struct addrinfo *a = addrs; a; a = a->ai_next)
        d->addr_count++;
    try_next(d);
}

/* A numeric address needs no thread. */
static void begin_tcp(struct dial *d)
{
    char port[8];
    snprintf(port, sizeof port, "%u", d->url->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *addrs = NULL;
    if (getaddrinfo(d->url->host, port, &hints, &addrs) == 0) {
        on_addresses(d, addrs, NULL);
        return;
    }
    d->lookup = lookup_new(d->base, d->url->host, d->url->port, on_addresses, d, &d->err);
    if (!d->lookup)
        finish(d);
}

/*
 * The address of a socket file. sun_path has 108 bytes; where the path is longer, its folder is
 * opened and /proc/self/fd names it. Returns that descriptor in ret_folder (-1: none was needed).
 */
static enum err_code unix_address(const char *path, struct sockaddr_un *sa, int *ret_folder,
                                  struct err *err)
{
    *ret_folder = -1;
    sa->sun_family = AF_UNIX;
    size_t n = strlen(path);
    if (n < sizeof sa->sun_path) {
        memcpy(sa->sun_path, path, n + 1);
        return ERR_OK;
    }
    const char *name = strrchr(path, '/');
    char folder[sizeof((struct redis_url *)0)->path];
    snprintf(folder, sizeof folder, "%.*s", (int)(name - path + 1), path);
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "folder of the socket");
    int len = snprintf(sa->sun_path, sizeof sa->sun_path, "/proc/self/fd/%d%s", fd, name);
    if (len < 0 || (size_t)len >= sizeof sa->sun_path) {
        close(fd);
        return err_set(err, ERR_CONFIG, "the socket's file name is too long");
    }
    *ret_folder = fd;
    return ERR_OK;
}

/* A unix socket connects at once or not at all (EAGAIN: its backlog is full). */
static void begin_unix(struct dial *d)
{
    struct sockaddr_un sa = {0};
    int folder;
    if (!unix_address(d->url->path, &sa, &folder, &d->err)) {
        d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (d->fd < 0 || connect(d->fd, (const struct sockaddr *)&sa, sizeof sa)) {
            err_errno(&d->err, errno, "connect");
            drop_socket(d);
        }
        if (folder >= 0)
            close(folder);
    }
    finish(d);
}

static void on_start(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct dial *d = arg;
    if (d->url->path[0])
        begin_unix(d);
    else
        begin_tcp(d);
}

struct dial *dial_new(struct event_base *base, const struct redis_url *url, uint64_t timeout_ms,
                      dial_cb cb, void *ctx)
{
    struct dial *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    *d = (struct dial){
        .base = base, .url = url, .timeout_ms = timeout_ms, .cb = cb, .ctx = ctx, .fd = -1};
    d->start = evtimer_new(base, on_start, d);
    if (!d->start || evtimer_add(d->start, &(struct timeval){0})) {
        dial_free(d);
        return NULL;
    }
    return d;
}

void dial_free(struct dial *d)
{
    if (!d)
        return;
    drop_socket(d);
    if (d->start)
        event_free(d->start);
    lookup_free(d->lookup);
    if (d->addrs)
        freeaddrinfo(d->addrs);
    free(d);
}
