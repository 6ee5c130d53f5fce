#include "protocol/redis/redis.h"

#include "protocol/base/clock.h"
#include "protocol/base/random.h"
#include "protocol/redis/dial.h"
#include "protocol/redis/internal.h"
#include "protocol/redis/sentinel.h"
#include "protocol/redis/tls.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PAUSE_MIN_MS = 50,
    PAUSE_MAX_MS = 2000,
    CONNECT_TIMEOUT_MS = 5000,
    COMMAND_TIMEOUT_MS = 10000,
    PENDING_BYTES = 256 << 20,
    WRITE_BYTES = 1 << 20, /* most that is written in one turn of the loop */
    SCRATCH_BYTES = 64 << 10,
    READ_BYTES = 1 << 20,        /* most that is read in one turn */
    READER_KEEP_BYTES = 1 << 20, /* the reader's buffer is kept up to this size */
    REPLY_MAX_BYTES = 512 << 20, /* a longer one is a broken stream, not a reply of ours */
};

static const double trip_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                     0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5};

/* ---- timers and telling ---- */

static void set_timer(struct redis *r, uint64_t ms)
{
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    evtimer_add(r->state_timer, &tv);
}

static void tell(struct redis *r, bool connected, const struct err *err)
{
    if (!r->opts.on_state)
        return;
    r->depth++;
    r->opts.on_state(r->opts.ctx, connected, err);
    r->depth--;
}

/* ---- giving up ---- */

static void drop_connection(struct redis *r)
{
    dial_free(r->dial);
    r->dial = NULL;
    if (r->bev)
        bufferevent_free(r->bev);
    r->bev = NULL;
    if (r->reader)
        redisReaderFree(r->reader);
    r->reader = NULL;
    r->broken = false;
}

/* Remembers why; true: this is news for on_state. */
static bool note_trouble(struct redis *r, const struct err *why)
{
    struct err e = *why;
    if (e.code == ERR_IO || e.code == ERR_INVALID)
        e.code = ERR_UNREACHABLE;
    err_prefix(&e, "Redis at %s", r->name);
    bool news = !r->reported || strcmp(e.text, r->trouble.text) != 0;
    r->trouble = e;
    r->reported = true;
    return news;
}

/* Pauses grow to two seconds; the jitter keeps a fleet from returning in step. */
static void start_pause(struct redis *r)
{
    uint64_t pause = r->pause_ms;
    r->pause_ms = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
    r->state = REDIS_PAUSING;
    set_timer(r, pause - random_below(pause / 4 + 1));
}

void redis_lose(struct redis *r, const struct err *why)
{
    bool was_ready = r->state == REDIS_READY;
    struct command_list lost;
    TAILQ_INIT(&lost);
    drop_connection(r);
    TAILQ_CONCAT(&lost, &r->inflight, link);
    bool news = note_trouble(r, why);
    start_pause(r);

    struct err err = r->trouble;
    err.code = ERR_UNREACHABLE;
    err_prefix(&err, "no reply, it may or may not have been carried out");
    if (news || was_ready) {
        struct err told = r->trouble;
        tell(r, false, &told);
    }
    command_fail_all(r, &lost, &err);
}

void redis_leave(struct redis *r, const struct err *why)
{
    struct command_list unsent;
    TAILQ_INIT(&unsent);
    TAILQ_CONCAT(&unsent, &r->waiting, link);
    if (r->state != REDIS_PAUSING && r->state != REDIS_CLOSED)
        redis_lose(r, why);
    command_fail_all(r, &unsent, why);
}

void redis_break(struct redis *r, const struct err *why)
{
    if (r->broken)
        return;
    r->broken = true;
    r->fault = *why;
}

static void lose_if_broken(struct redis *r)
{
    if (r->broken)
        redis_lose(r, &r->fault);
}

/* ---- reading ---- */

/* Hands out every reply that is complete; stops where the connection is to be closed. */
static void drain_reader(struct redis *r)
{
    struct err err;
    while (!r->broken) {
        void *reply = NULL;
        if (redisReaderGetReply(r->reader, &reply) != REDIS_OK) {
            err_set(&err, ERR_INVALID, "not the protocol of Redis: %s", r->reader->errstr);
            redis_break(r, &err);
            return;
        }
        if (!reply)
            return;
        if (command_reply(r, reply, &err))
            redis_break(r, &err);
        freeReplyObject(reply);
    }
}

static void feed(struct redis *r, const char *p, size_t n)
{
    struct err err;
    bool fits = r->reader->len - r->reader->pos + n <= REPLY_MAX_BYTES;
    if (fits && redisReaderFeed(r->reader, p, n) == REDIS_OK) {
        drain_reader(r);
        return;
    }
    err_set(&err, fits ? ERR_NOMEM : ERR_INVALID, "%s",
            fits ? "out of memory for a reply" : "a reply of more than 512 MiB");
    redis_break(r, &err);
}

/* Feeds the chunks as they lie, without putting them in one piece first. */
static void feed_input(struct redis *r)
{
    struct evbuffer *in = bufferevent_get_input(r->bev);
    struct evbuffer_iovec v;
    while (!r->broken && evbuffer_peek(in, -1, NULL, &v, 1) > 0) {
        feed(r, v.iov_base, v.iov_len);
        evbuffer_drain(in, v.iov_len);
    }
}

/*
 * libevent reads 4 KiB a turn. What else lies in a plain socket is read here in larger pieces; the
 * end of the stream is left for libevent to find.
 */
static void feed_socket(struct redis *r)
{
    int fd = bufferevent_getfd(r->bev);
    for (size_t total = 0; !r->broken && total < READ_BYTES;) {
        ssize_t n = recv(fd, r->scratch, SCRATCH_BYTES, MSG_DONTWAIT);
        if (n <= 0) {
            if (n < 0 && errno != EAGAIN && errno != EINTR) {
                struct err err;
                err_errno(&err, errno, "read");
                redis_break(r, &err);
            }
            return;
        }
        total += (size_t)n;
        feed(r, r->scratch, (size_t)n);
        if (n < SCRATCH_BYTES)
            return;
    }
}

static void on_readable(struct bufferevent *bev, void *arg)
{
    (void)bev;
    struct redis *r = arg;
    feed_input(r);
    if (!r->broken && !r->url.tls)
        feed_socket(r);
    lose_if_broken(r);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct redis *r = arg;
    int e = errno;
    if (what & BEV_EVENT_CONNECTED) { /* of TLS: a plain socket is connected before it gets here */
        r->state = REDIS_GREETING;
        greet_start(r);
        lose_if_broken(r);
        return;
    }
    struct err err;
    if (!tls_failure(bev, &err)) {
        if (what & BEV_EVENT_EOF)
            err_set(&err, ERR_UNREACHABLE, "it closed the connection");
        else
            err_errno(&err, e, "connection");
    }
    if (what & BEV_EVENT_WRITING && !r->url.tls)
        feed_socket(r); /* its last replies, which may say why it closed */
    redis_lose(r, r->broken ? &r->fault : &err);
}

/* ---- connecting ---- */

static enum err_code open_plain(struct redis *r, int fd, struct err *err)
{
    r->bev = bufferevent_socket_new(r->base, fd, BEV_OPT_CLOSE_ON_FREE);
    return r->bev ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

static enum err_code open_tls(struct redis *r, int fd, struct err *err)
{
    struct ssl_st *ssl = NULL;
    enum err_code rc = r->tls ? ERR_OK : tls_context_new(r->ca_file, &r->tls, err);
    if (!rc)
        rc = tls_session_new(r->tls, r->url.host, &ssl, err);
    if (rc)
        return rc;
    r->bev = bufferevent_openssl_socket_new(r->base, fd, ssl, BUFFEREVENT_SSL_CONNECTING,
                                            BEV_OPT_CLOSE_ON_FREE);
    if (!r->bev) {
        SSL_free(ssl);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    bufferevent_openssl_set_allow_dirty_shutdown(r->bev, 1);
    return ERR_OK;
}

/* Puts a bufferevent and a reader on the socket, which it takes on success. */
static enum err_code open_connection(struct redis *r, int fd, struct err *err)
{
    r->reader = redisReaderCreate();
    if (!r->reader)
        return err_set(err, ERR_NOMEM, "out of memory");
    r->reader->maxbuf = READER_KEEP_BYTES;
    enum err_code rc = r->url.tls ? open_tls(r, fd, err) : open_plain(r, fd, err);
    if (rc)
        return rc;
    bufferevent_set_max_single_write(r->bev, WRITE_BYTES);
    bufferevent_setcb(r->bev, on_readable, NULL, on_event, r);
    bufferevent_enable(r->bev, EV_READ | EV_WRITE);
    return ERR_OK;
}

static void on_dialed(void *ctx, int fd, const struct err *dial_err)
{
    struct redis *r = ctx;
    struct err err;
    if (fd < 0) {
        err = *dial_err;
        redis_lose(r, &err);
        return;
    }
    if (open_connection(r, fd, &err)) {
        if (!r->bev)
            close(fd);
        redis_lose(r, &err);
        return;
    }
    dial_free(r->dial);
    r->dial = NULL;
    if (r->url.tls)
        return; /* the session tells when it stands */
    r->state = REDIS_GREETING;
    greet_start(r);
    lose_if_broken(r);
}

void redis_dial(struct redis *r)
{
    struct err err;
    r->state = REDIS_DIALING;
    set_timer(r, r->opts.connect_timeout_ms);
    r->dial = dial_new(r->base, &r->url, r->opts.connect_timeout_ms, on_dialed, r);
    if (r->dial)
        return;
    err_set(&err, ERR_NOMEM, "out of memory");
    redis_lose(r, &err);
}

static void on_state_timer(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis *r = arg;
    struct err err;
    if (r->state == REDIS_PAUSING) {
        if (r->sentinel)
            primary_seek(r);
        else
            redis_dial(r);
        return;
    }
    err_set(&err, ERR_UNREACHABLE, "not %s within %llu ms",
            r->state == REDIS_GREETING ? "answered" : "connected",
            (unsigned long long)r->opts.connect_timeout_ms);
    redis_lose(r, &err);
}

void redis_greeted(struct redis *r, const struct err *note)
{
    struct err err;
    evtimer_del(r->state_timer);
    r->state = REDIS_READY;
    r->pause_ms = PAUSE_MIN_MS;
    r->trouble.code = ERR_OK;
    r->reported = false;
    if (command_flush(r, &err)) {
        redis_break(r, &err);
        return;
    }
    tell(r, true, note);
}

/* ---- life cycle ---- */

static bool fill(struct redis *r, const struct redis_options *opts)
{
    if (opts)
        r->opts = *opts;
    if (!r->opts.connect_timeout_ms)
        r->opts.connect_timeout_ms = CONNECT_TIMEOUT_MS;
    if (!r->opts.command_timeout_ms)
        r->opts.command_timeout_ms = COMMAND_TIMEOUT_MS;
    if (!r->opts.pending_bytes)
        r->opts.pending_bytes = PENDING_BYTES;
    if (r->opts.ca_file && !(r->ca_file = strdup(r->opts.ca_file)))
        return false;
    redis_url_safe(&r->url, r->name, sizeof r->name);
    r->scratch = malloc(SCRATCH_BYTES);
    r->state_timer = evtimer_new(r->base, on_state_timer, r);
    r->deadline_timer = evtimer_new(r->base, command_on_deadline, r);
    bool sentinels = r->url.shape == REDIS_SHAPE_SENTINEL;
    return r->scratch && r->state_timer && r->deadline_timer && (!sentinels || primary_init(r));
}

struct redis *redis_new(struct event_base *base, const struct redis_url *url,
                        const struct redis_options *opts)
{
    struct redis *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->base = base;
    r->url = *url;
    r->state = REDIS_PAUSING;
    r->pause_ms = PAUSE_MIN_MS;
    r->deadline_at_ms = INT64_MAX;
    TAILQ_INIT(&r->waiting);
    TAILQ_INIT(&r->inflight);
    histogram_init(&r->trips, trip_bounds, ARRAY_LEN(trip_bounds));
    if (!fill(r, opts)) {
        redis_free(r);
        return NULL;
    }
    set_timer(r, 0);
    return r;
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    ensure(r->depth == 0);
    struct err err;
    err_set(&err, ERR_STOPPED, "the connection to Redis was closed by us");
    r->state = REDIS_CLOSED;
    drop_connection(r);
    command_fail_all(r, &r->inflight, &err);
    command_fail_all(r, &r->waiting, &err);
    sentinel_free(r->sentinel);
    if (r->state_timer)
        event_free(r->state_timer);
    if (r->deadline_timer)
        event_free(r->deadline_timer);
    SSL_CTX_free(r->tls);
    free(r->scratch);
    free(r->ca_file);
    explicit_bzero(&r->url, sizeof r->url);
    free(r);
}

void redis_mute(struct redis *r)
{
    r->opts.on_state = NULL;
}

bool redis_pending(const struct redis *r)
{
    return !TAILQ_EMPTY(&r->waiting) || !TAILQ_EMPTY(&r->inflight);
}

const struct histogram *redis_trips(const struct redis *r)
{
    return &r->trips;
}

bool redis_connected(const struct redis *r)
{
    return r->state == REDIS_READY;
}
