#include "scheduler/stream/side.h"

#include "protocol/base/buf.h"
#include "scheduler/source/pg_error.h"
#include "scheduler/source/pg_link.h"

#include <event2/event.h>
#include <stdlib.h>

enum { SIDE_TEXT_BYTES = 4 << 20, QUESTION_S = 60 };

struct side {
    struct event_base *base;
    const struct source *source;
    int idle_s;
    struct pg_link *link;
    struct event *timer; /* the question's deadline, else the end of idling */
    bool open;
    bool asking;
    bool used; /* the connection has answered before: it may be stale */
    struct buf sql;
    struct buf values; /* each with its NUL */
    int count;
    PGresult *answer; /* the first error, else the last result */
    struct side_answer events;
};

static void close_link(struct side *s)
{
    pg_link_close(s->link, false);
    s->link = NULL;
    s->open = false;
    PQclear(s->answer);
    s->answer = NULL;
}

static void rest(struct side *s)
{
    struct timeval idle = {s->idle_s, 0};
    s->asking = false;
    evtimer_add(s->timer, &idle);
}

static void fail(struct side *s, const struct err *err)
{
    close_link(s);
    rest(s);
    s->events.call(s->events.ctx, NULL, err);
}

static bool send_question(struct side *s)
{
    const char *values[SIDE_VALUES_MAX] = {0}, *sql = buf_cstr(&s->sql);
    const char *p = s->values.p;
    for (int i = 0; i < s->count; i++, p += strlen(p) + 1)
        values[i] = p;
    PGconn *conn = pg_link_conn(s->link);
    if (!sql || !PQsendQueryParams(conn, sql, s->count, NULL, values, NULL, NULL, 0))
        return false;
    pg_link_sent(s->link);
    return true;
}

static enum err_code open_link(struct side *s, struct err *err);

/* A connection that idled may be gone without a trace: once more on a new one. */
static bool retry(struct side *s)
{
    struct err err;
    if (!s->used)
        return false;
    close_link(s);
    return open_link(s, &err) == ERR_OK;
}

static void ask_now(struct side *s)
{
    if (send_question(s) || retry(s))
        return;
    struct err err;
    err_set(&err, ERR_UNREACHABLE, "the warehouse cannot be asked");
    fail(s, &err);
}

static void finish(struct side *s)
{
    PGresult *answer = s->answer;
    ExecStatusType status = PQresultStatus(answer);
    s->answer = NULL;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        s->used = true;
        rest(s);
        s->events.call(s->events.ctx, answer, NULL);
    } else if (!pg_link_lost(s->link) || !retry(s)) {
        struct err err;
        pg_error_result(answer, NULL, &err);
        if (s->link && pg_link_lost(s->link))
            close_link(s);
        rest(s);
        s->events.call(s->events.ctx, NULL, &err);
    }
    PQclear(answer);
}

static bool is_error(const PGresult *answer)
{
    ExecStatusType status = PQresultStatus(answer);
    return answer && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK;
}

static void on_input(void *ctx)
{
    struct side *s = ctx;
    PGconn *conn = pg_link_conn(s->link);
    while (s->asking && (pg_link_lost(s->link) || !PQisBusy(conn))) {
        PGresult *result = PQgetResult(conn);
        if (!result) {
            finish(s);
            return;
        }
        if (is_error(s->answer)) {
            PQclear(result);
            continue;
        }
        PQclear(s->answer);
        s->answer = result;
    }
    if (!s->asking && pg_link_lost(s->link))
        close_link(s);
}

static void on_open(void *ctx)
{
    struct side *s = ctx;
    s->open = true;
    ask_now(s);
}

static void on_refused(void *ctx, const struct err *refused)
{
    struct err err = *refused;
    fail(ctx, &err);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct side *s = ctx;
    if (!s->asking) {
        close_link(s);
        return;
    }
    struct err err;
    err_set(&err, ERR_TIMEOUT, "the warehouse did not answer within %d s", QUESTION_S);
    fail(s, &err);
}

static enum err_code open_link(struct side *s, struct err *err)
{
    const struct pg_link_events events = {on_open, on_refused, on_input, s};
    s->used = false;
    return pg_link_open(s->base, s->source, &events, &s->link, err);
}

enum err_code side_new(struct event_base *base, const struct source *source, int idle_s,
                       struct side **ret, struct err *err)
{
    struct side *s = calloc(1, sizeof *s);
    if (s) {
        *s = (struct side){.base = base, .source = source, .idle_s = idle_s};
        buf_init(&s->sql, SIDE_TEXT_BYTES);
        buf_init(&s->values, SIDE_TEXT_BYTES);
        s->timer = evtimer_new(base, on_timer, s);
    }
    if (!s || !s->timer) {
        side_free(s);
        return err_set(err, ERR_NOMEM, "no memory for a connection");
    }
    *ret = s;
    return ERR_OK;
}

enum err_code side_ask(struct side *s, const char *sql, const char *const *values, int count,
                       struct side_answer answer, struct err *err)
{
    ensure(!s->asking && count <= SIDE_VALUES_MAX);
    buf_reset(&s->sql);
    buf_reset(&s->values);
    enum err_code rc = buf_puts(&s->sql, sql);
    for (int i = 0; i < count && !rc; i++)
        rc = buf_put(&s->values, values[i], strlen(values[i]) + 1);
    if (rc)
        return err_set(err, rc, "no memory for a question");
    s->count = count;
    s->events = answer;
    if (!s->link && (rc = open_link(s, err)))
        return rc;
    static const struct timeval deadline = {QUESTION_S, 0};
    s->asking = true;
    evtimer_add(s->timer, &deadline);
    if (s->open && !send_question(s) && !retry(s)) {
        close_link(s);
        rest(s);
        return err_set(err, ERR_UNREACHABLE, "the warehouse cannot be asked");
    }
    return ERR_OK;
}

bool side_busy(const struct side *s)
{
    return s->asking;
}

void side_drop(struct side *s)
{
    if (!s->asking)
        return;
    close_link(s);
    rest(s);
}

void side_free(struct side *s)
{
    if (!s)
        return;
    close_link(s);
    if (s->timer)
        event_free(s->timer);
    buf_done(&s->sql);
    buf_done(&s->values);
    free(s);
}
