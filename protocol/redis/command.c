#include "protocol/base/clock.h"
#include "protocol/redis/internal.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COPY_BYTES = 4096,      /* a smaller command is copied to the output, a larger one lent to it */
    LENGTH_BYTES = 24,      /* "$18446744073709551615\r\n" */
    REPLICA_PAUSE_MS = 250, /* a replica does not become a primary at once */
};

/* ---- encoding (RESP: *argc, then $length and bytes each) ---- */

static char *put_length(char *p, char kind, size_t n)
{
    char digits[LENGTH_BYTES];
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    *p++ = kind;
    memcpy(p, digits + i, sizeof digits - i);
    p += sizeof digits - i;
    *p++ = '\r';
    *p++ = '\n';
    return p;
}

static char *put_arg(char *p, struct slice arg)
{
    p = put_length(p, '$', arg.n);
    if (arg.n)
        memcpy(p, arg.p, arg.n);
    p += arg.n;
    *p++ = '\r';
    *p++ = '\n';
    return p;
}

static size_t bound(const struct slice *argv, size_t argc)
{
    size_t n = 0;
    for (size_t i = 0; i < argc; i++)
        n += argv[i].n + LENGTH_BYTES + 2;
    return n;
}

struct command *command_new(const struct slice *prefix, size_t prefix_count,
                            const struct slice *argv, size_t argc)
{
    size_t room = LENGTH_BYTES + bound(prefix, prefix_count) + bound(argv, argc);
    struct command *c = malloc(sizeof *c + room);
    if (!c)
        return NULL;
    *c = (struct command){.refs = 1, .argc = prefix_count + argc};
    char *p = put_length(c->bytes, '*', c->argc);
    for (size_t i = 0; i < prefix_count; i++) {
        p = put_arg(p, prefix[i]);
        if (i == 1)
            c->head = (size_t)(p - c->bytes);
    }
    for (size_t i = 0; i < argc; i++)
        p = put_arg(p, argv[i]);
    c->n = (size_t)(p - c->bytes);
    return c;
}

void command_unref(struct command *c)
{
    if (c && --c->refs == 0)
        free(c);
}

/* ---- deadlines: one timer, never later than the earliest ---- */

static int64_t instant(uint64_t from_now_ms)
{
    int64_t now = clock_mono_ms();
    return from_now_ms < (uint64_t)(INT64_MAX - now) ? now + (int64_t)from_now_ms : INT64_MAX;
}

static void deadline_touch(struct redis *r, int64_t at_ms)
{
    if (at_ms >= r->deadline_at_ms)
        return;
    int64_t left = at_ms - clock_mono_ms();
    left = left > 0 ? left : 0;
    struct timeval tv = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
    r->deadline_at_ms = at_ms;
    evtimer_add(r->deadline_timer, &tv);
}

/* Moves what is late from one list to another; returns the earliest deadline of the rest. */
static int64_t take_late(struct command_list *from, struct command_list *late, int64_t now_ms)
{
    int64_t earliest = INT64_MAX;
    for (struct command *c = TAILQ_FIRST(from), *next; c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->deadline_ms <= now_ms) {
            TAILQ_REMOVE(from, c, link);
            TAILQ_INSERT_TAIL(late, c, link);
        } else if (c->deadline_ms < earliest) {
            earliest = c->deadline_ms;
        }
    }
    return earliest;
}

/* A command that never left: what keeps the connection from standing is its error. */
static void fail_unsent(struct redis *r, struct command_list *late)
{
    struct err err = r->trouble;
    bool known = err.code != ERR_OK;
    if (!known)
        err_set(&err, ERR_UNREACHABLE, "Redis at %s: still connecting", r->name);
    else if (err_class(err.code) != ERR_CLASS_STOP)
        err.code = ERR_UNREACHABLE;
    err_prefix(&err, "not sent before its deadline");
    command_fail_all(r, late, &err);
}

/* Replies come in order, so after one is late the stream cannot be used any further. */
static void fail_unanswered(struct redis *r, struct command_list *late)
{
    struct err err;
    unsigned long long ms = TAILQ_FIRST(late)->timeout_ms;
    err_set(&err, ERR_TIMEOUT, "no reply within %llu ms", ms);
    redis_lose(r, &err);
    err_set(&err, ERR_TIMEOUT, "no reply within %llu ms, it may or may not have been carried out",
            ms);
    err_prefix(&err, "Redis at %s", r->name);
    command_fail_all(r, late, &err);
}

void command_on_deadline(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis *r = arg;
    struct command_list unsent, unanswered;
    TAILQ_INIT(&unsent);
    TAILQ_INIT(&unanswered);
    int64_t now = clock_mono_ms();
    r->deadline_at_ms = INT64_MAX;
    int64_t a = take_late(&r->waiting, &unsent, now);
    int64_t b = take_late(&r->inflight, &unanswered, now);
    if (a != INT64_MAX || b != INT64_MAX)
        deadline_touch(r, a < b ? a : b);
    if (!TAILQ_EMPTY(&unanswered))
        fail_unanswered(r, &unanswered);
    if (!TAILQ_EMPTY(&unsent))
        fail_unsent(r, &unsent);
}

/* ---- sending ---- */

static void give_back(const void *data, size_t n, void *extra)
{
    (void)data, (void)n;
    command_unref(extra);
}

enum err_code command_put(struct command *c, size_t from, struct evbuffer *out)
{
    if (c->n - from < COPY_BYTES)
        return evbuffer_add(out, c->bytes + from, c->n - from) ? ERR_NOMEM : ERR_OK;
    c->refs++;
    if (evbuffer_add_reference(out, c->bytes + from, c->n - from, give_back, c) == 0)
        return ERR_OK;
    c->refs--;
    return ERR_NOMEM;
}

/* c is in no list. */
static enum err_code send_bytes(struct redis *r, struct command *c, struct err *err)
{
    if (command_put(c, 0, bufferevent_get_output(r->bev)))
        return err_set(err, ERR_NOMEM, "no memory for a command to Redis");
    c->sent_us = clock_mono_us();
    TAILQ_INSERT_TAIL(&r->inflight, c, link);
    return ERR_OK;
}

enum err_code command_flush(struct redis *r, struct err *err)
{
    struct command *c;
    while ((c = TAILQ_FIRST(&r->waiting))) {
        TAILQ_REMOVE(&r->waiting, c, link);
        enum err_code rc = send_bytes(r, c, err);
        if (rc) {
            TAILQ_INSERT_HEAD(&r->waiting, c, link);
            return rc;
        }
    }
    return ERR_OK;
}

enum err_code command_submit(struct redis *r, struct command *c, uint64_t deadline_ms,
                             struct err *err)
{
    enum err_code rc = ERR_OK;
    c->timeout_ms = deadline_ms ? deadline_ms : r->opts.command_timeout_ms;
    c->deadline_ms = instant(c->timeout_ms);
    if (r->state == REDIS_CLOSED)
        rc = err_set(err, ERR_STOPPED, "the connection to Redis is being closed");
    else if (c->n > r->opts.pending_bytes - r->pending_bytes)
        rc = err_set(err, ERR_FULL, "Redis at %s: %zu bytes wait for a reply, %zu more do not fit",
                     r->name, r->pending_bytes, c->n);
    else if (r->state == REDIS_READY && !r->broken)
        rc = send_bytes(r, c, err);
    else
        TAILQ_INSERT_TAIL(&r->waiting, c, link);
    if (rc) {
        command_unref(c);
        return rc;
    }
    r->pending_bytes += c->n;
    deadline_touch(r, c->deadline_ms);
    return ERR_OK;
}

enum err_code command_send_now(struct redis *r, const struct slice *argv, size_t argc, redis_cb cb,
                               struct err *err)
{
    struct command *c = command_new(NULL, 0, argv, argc);
    if (!c)
        return err_set(err, ERR_NOMEM, "no memory for a command to Redis");
    c->cb = cb;
    c->ctx = r;
    c->deadline_ms = INT64_MAX;
    enum err_code rc = send_bytes(r, c, err);
    if (rc)
        command_unref(c);
    else
        r->pending_bytes += c->n;
    return rc;
}

enum err_code redis_command(struct redis *r, const struct slice *argv, size_t argc,
                            uint64_t deadline_ms, redis_cb cb, void *ctx, struct err *err)
{
    struct command *c = command_new(NULL, 0, argv, argc);
    if (!c)
        return err_set(err, ERR_NOMEM, "no memory for a command to Redis");
    c->cb = cb;
    c->ctx = ctx;
    return command_submit(r, c, deadline_ms, err);
}

/* ---- answers ---- */

static void finish(struct redis *r, struct command *c, const struct redisReply *reply,
                   const struct err *err)
{
    r->pending_bytes -= c->n;
    r->depth++;
    if (c->cb)
        c->cb(c->ctx, reply, err);
    r->depth--;
    command_unref(c);
}

void command_fail_all(struct redis *r, struct command_list *list, const struct err *err)
{
    struct command *c;
    while ((c = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, c, link);
        finish(r, c, NULL, err);
    }
}

/*
 * Redis' own words, without the arguments it repeats for a command it does not know. What a server
 * does not carry out because it is not the one that should is as if it was not reached.
 */
static void describe(const struct redisReply *reply, struct err *err)
{
    static const struct {
        const char *word;
        enum err_code code;
    } kinds[] = {
        {"NOSCRIPT ", ERR_STALE},
        {"OOM ", ERR_FULL},
        {"NOAUTH ", ERR_DENIED},
        {"NOPERM ", ERR_DENIED},
        {"WRONGPASS ", ERR_DENIED},
        {"DENIED ", ERR_DENIED},
        {"ERR The user executing the script ", ERR_DENIED},
        {"READONLY ", ERR_UNREACHABLE},
        {"UNBLOCKED ", ERR_UNREACHABLE},
        {"MASTERDOWN ", ERR_UNREACHABLE},
        {"NOREPLICAS ", ERR_UNREACHABLE},
        {"MOVED ", ERR_UNREACHABLE},
        {"ASK ", ERR_UNREACHABLE},
        {"CLUSTERDOWN ", ERR_UNREACHABLE},
        {"TRYAGAIN ", ERR_UNREACHABLE},
    };
    enum err_code code = ERR_REMOTE;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strncmp(reply->str, kinds[i].word, strlen(kinds[i].word)) == 0)
            code = kinds[i].code;
    const char *args = strstr(reply->str, "with args beginning with");
    size_t n = args ? (size_t)(args - reply->str) : (size_t)reply->len;
    err_set(err, code, "%.*s", (int)(n < ERR_TEXT_BYTES ? n : ERR_TEXT_BYTES), reply->str);
}

/* The server does not know the script: the same command goes out again with its text. */
static bool resent_as_eval(struct redis *r, struct command *c, const struct err *err)
{
    if (err->code != ERR_STALE || !c->script || r->state != REDIS_READY)
        return false;
    if (script_put_eval(c, bufferevent_get_output(r->bev)))
        return false;
    c->script = NULL;
    TAILQ_INSERT_TAIL(&r->inflight, c, link);
    return true;
}

/* What has only some of the slots cannot be used as a server by itself: no waiting helps. */
static bool is_node_unasked(const struct redis *r, const struct err *err)
{
    return r->url.shape != REDIS_SHAPE_CLUSTER && strncmp(err->text, "MOVED ", 6) == 0;
}

/* The server became a replica: whatever else is sent to it would be refused, too. */
static bool is_replica(const struct err *err)
{
    return err->code == ERR_UNREACHABLE &&
           (strncmp(err->text, "READONLY ", 9) == 0 || strncmp(err->text, "UNBLOCKED ", 10) == 0);
}

enum err_code command_reply(struct redis *r, const struct redisReply *reply, struct err *err)
{
    struct command *c = TAILQ_FIRST(&r->inflight);
    if (!c)
        return err_set(err, ERR_INVALID, "a reply that nobody asked for");
    TAILQ_REMOVE(&r->inflight, c, link);
    histogram_add(&r->trips, (double)(clock_mono_us() - c->sent_us) / 1e6);
    if (reply->type != REDIS_REPLY_ERROR) {
        finish(r, c, reply, NULL);
        return ERR_OK;
    }
    struct err remote;
    describe(reply, &remote);
    if (!resent_as_eval(r, c, &remote))
        finish(r, c, NULL, &remote);
    if (is_replica(&remote)) {
        r->pause_ms = r->pause_ms < REPLICA_PAUSE_MS ? REPLICA_PAUSE_MS : r->pause_ms;
        redis_break(r, &remote);
    } else if (is_node_unasked(r, &remote)) {
        err_set(&remote, ERR_CONFIG,
                "it is a node of a cluster, which has a part of the keys only: write "
                "redis+cluster:// in place of redis://");
        redis_break(r, &remote);
    }
    return ERR_OK;
}
