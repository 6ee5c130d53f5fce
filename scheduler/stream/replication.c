/*
 * What a crash here does: nothing. The server keeps what was not confirmed.
 */
#include "scheduler/stream/replication.h"

#include "protocol/base/buf.h"
#include "protocol/base/clock.h"
#include "scheduler/source/pg_error.h"
#include "scheduler/source/pg_link.h"
#include "scheduler/stream/replication_words.h"

#include <event2/event.h>
#include <stdlib.h>

enum {
    TURN_MESSAGES = 2000,
    TURN_BYTES = 256 << 10,
    TLS_EMPTY_READS = 3,
    BEAT_MS = 10000,  /* a status at least every */
    SOON_MS = 100,    /* confirmations are told at most every */
    ASKED_OFTEN = 20, /* times a second: the server shuts down, and waits for what we keep */
    SQL_BYTES = 64 << 10,
};

enum step {
    STEP_OPEN,
    STEP_SETTINGS,
    STEP_TIMEOUT,
    STEP_IDENTIFY,
    STEP_READY,
    STEP_CREATE,
    STEP_CREATED,
    STEP_HORIZON,
    STEP_BEGIN,
    STEP_FLOW,
    STEP_LOST,
};

struct replication {
    struct event_base *base;
    struct pg_link *link;
    struct replication_events events;
    enum step step;
    struct buf sql;
    PGresult *answer; /* of the step in hand: the first error, else the last result */
    char *held;       /* a message to be given again; blocked until go_on */
    struct pgoutput_frame held_frame;
    bool paused, stopped, blocked;
    struct event *beat, *soon;
    int64_t beat_ms;
    int64_t told_ms; /* when the last status went, monotonic */
    uint64_t received, confirmed, told;
    uint64_t horizon;
    struct replication_server server;
    struct buf start; /* the statement that begins the flow */
    int asked;        /* replies that were wanted since asked_ms */
    int64_t asked_ms;
};

static void lose(struct replication *r, const struct err *err, const PGresult *result)
{
    char state[8] = "";
    const char *given = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (given)
        strncpy(state, given, sizeof state - 1);
    r->step = STEP_LOST;
    event_del(r->beat);
    event_del(r->soon);
    r->events.on_lost(r->events.ctx, err, state);
}

static void lose_words(struct replication *r, enum err_code code, const char *words)
{
    struct err err;
    err_set(&err, code, "%s", words);
    lose(r, &err, NULL);
}

/* ---- what the server is told ---- */

static void tell(struct replication *r)
{
    char status[PGOUTPUT_STATUS_BYTES];
    if (r->step != STEP_FLOW || pg_link_lost(r->link))
        return;
    uint64_t received = r->received > r->confirmed ? r->received : r->confirmed;
    pgoutput_status(received, r->confirmed, clock_wall_ms(), status);
    if (PQputCopyData(pg_link_conn(r->link), status, sizeof status) == 1) {
        r->told = r->confirmed;
        r->told_ms = clock_mono_ms();
    }
    pg_link_sent(r->link);
}

static struct timeval span(int64_t ms)
{
    return (struct timeval){ms / 1000, ms % 1000 * 1000};
}

static bool reads(const struct replication *r)
{
    return !r->paused && !r->stopped && !r->blocked;
}

static void on_beat(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct replication *r = ctx;
    tell(r);
    /* Whoever does not read does not see that it is gone. */
    if (pg_link_lost(r->link) && !reads(r))
        lose_words(r, ERR_UNREACHABLE, "connection to the warehouse lost");
}

static void on_soon(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct replication *r = ctx;
    if (r->confirmed > r->told)
        tell(r);
}

void replication_confirm(struct replication *r, uint64_t lsn)
{
    if (lsn <= r->confirmed)
        return;
    r->confirmed = lsn;
    if (r->step != STEP_FLOW || evtimer_pending(r->soon, NULL))
        return;
    int64_t left = r->told_ms + SOON_MS - clock_mono_ms();
    struct timeval wait = span(left > 0 ? left : 0);
    evtimer_add(r->soon, &wait);
}

/* ---- the flow ---- */

static void follow(struct replication *r)
{
    if (r->step != STEP_FLOW)
        return;
    if (reads(r))
        pg_link_resume(r->link);
    else
        pg_link_pause(r->link);
}

/* A server that shuts down asks again and again until all that it sent is confirmed. What is not
 * settled cannot be: it is let go instead. */
static bool shuts_down(struct replication *r)
{
    int64_t now = clock_mono_ms();
    if (now - r->asked_ms > 1000) {
        r->asked_ms = now;
        r->asked = 0;
    }
    return ++r->asked > ASKED_OFTEN;
}

enum flow { FLOW_ON, FLOW_STOP, FLOW_LOST };

static enum flow take_keepalive(struct replication *r, const struct pgoutput_frame *f)
{
    if (f->lsn > r->received)
        r->received = f->lsn;
    r->events.on_reached(r->events.ctx, f->lsn, f->clock_ms);
    if (!f->reply)
        return FLOW_ON;
    if (shuts_down(r)) {
        lose_words(r, ERR_UNREACHABLE, "the warehouse is shutting down");
        return FLOW_LOST;
    }
    tell(r);
    return FLOW_ON;
}

/* Takes data over. */
static enum flow give(struct replication *r, char *data, const struct pgoutput_frame *f)
{
    enum replication_taken taken = r->events.on_message(r->events.ctx, f);
    if (taken == REPLICATION_HELD) {
        r->held = data;
        r->held_frame = *f;
        r->blocked = true;
        return FLOW_STOP;
    }
    if (f->lsn > r->received)
        r->received = f->lsn;
    PQfreemem(data);
    r->stopped |= taken == REPLICATION_STOP;
    return reads(r) ? FLOW_ON : FLOW_STOP;
}

static enum flow give_held(struct replication *r)
{
    char *data = r->held;
    struct pgoutput_frame f = r->held_frame;
    r->held = NULL;
    return give(r, data, &f);
}

static enum flow take_data(struct replication *r, char *data, size_t n)
{
    struct pgoutput_frame f;
    struct err err;
    if (pgoutput_frame(data, n, &f, &err)) {
        PQfreemem(data);
        lose(r, &err, NULL);
        return FLOW_LOST;
    }
    if (!f.keepalive)
        return give(r, data, &f);
    PQfreemem(data);
    return take_keepalive(r, &f);
}

/* The copy has ended, which only a server does that fails or leaves. */
static void end_flow(struct replication *r)
{
    struct err err;
    PGresult *result;
    while ((result = PQgetResult(pg_link_conn(r->link)))) {
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            break;
        PQclear(result);
    }
    if (result)
        pg_error_result(result, NULL, &err);
    else
        err_set(&err, ERR_UNREACHABLE, "the warehouse ended the replication");
    lose(r, &err, result);
    PQclear(result);
}

/* 0: none at hand; below 0: the end. */
static int next_data(struct replication *r, char **data)
{
    PGconn *conn = pg_link_conn(r->link);
    int n = PQgetCopyData(conn, data, 1);
    for (int i = 0; n == 0 && PQsslInUse(conn) && i < TLS_EMPTY_READS; i++) {
        pg_link_read(r->link);
        n = PQgetCopyData(conn, data, 1);
    }
    return n == 0 && pg_link_lost(r->link) ? -2 : n;
}

static void flow(struct replication *r)
{
    enum flow on = r->held ? give_held(r) : FLOW_ON;
    size_t bytes = 0;
    for (int i = 0; i < TURN_MESSAGES && bytes < TURN_BYTES && on == FLOW_ON; i++) {
        char *data = NULL;
        int n = next_data(r, &data);
        if (n < 0) {
            end_flow(r);
            return;
        }
        if (n == 0)
            break;
        bytes += (size_t)n;
        on = take_data(r, data, (size_t)n);
        if (on == FLOW_LOST)
            return;
        if (i == TURN_MESSAGES - 1 || bytes >= TURN_BYTES)
            pg_link_again(r->link);
    }
    if (on == FLOW_STOP)
        follow(r);
    r->events.on_turn(r->events.ctx);
}

/* Input, or a turn that was asked for. */
static void take_flow(struct replication *r)
{
    if (reads(r))
        flow(r);
}

void replication_go_on(struct replication *r)
{
    r->blocked = false;
    follow(r);
}

void replication_pause(struct replication *r)
{
    r->paused = true;
    follow(r);
}

void replication_resume(struct replication *r)
{
    r->paused = false;
    follow(r);
}

/* ---- the steps before ---- */

static void ask(struct replication *r, enum step step, const char *sql)
{
    r->step = step;
    PQclear(r->answer);
    r->answer = NULL;
    if (!sql || !PQsendQuery(pg_link_conn(r->link), sql)) {
        lose_words(r, ERR_UNREACHABLE, "the warehouse cannot be asked");
        return;
    }
    pg_link_sent(r->link);
}

void replication_create(struct replication *r, const char *slot)
{
    ensure(r->step == STEP_READY);
    buf_reset(&r->sql);
    bool ok = !replication_words_create(&r->sql, slot);
    ask(r, STEP_CREATE, ok ? buf_cstr(&r->sql) : NULL);
}

void replication_begin(struct replication *r, const char *slot, const char *publication,
                       uint64_t lsn)
{
    ensure(r->step == STEP_READY || r->step == STEP_CREATED);
    buf_reset(&r->start);
    bool ok = !replication_words_begin(&r->start, slot, publication, lsn);
    r->confirmed = r->received = lsn;
    ask(r, STEP_HORIZON, ok ? "SELECT pg_catalog.pg_current_wal_insert_lsn()" : NULL);
}

static void begin_flow(struct replication *r)
{
    struct timeval beat = span(r->beat_ms);
    r->step = STEP_FLOW;
    event_add(r->beat, &beat);
    follow(r);
    r->events.on_flow(r->events.ctx, r->horizon);
}

static void take_identity(struct replication *r)
{
    r->server.system = strtoull(PQgetvalue(r->answer, 0, 0), NULL, 10);
    r->server.timeline = (uint32_t)strtoul(PQgetvalue(r->answer, 0, 1), NULL, 10);
    r->step = STEP_READY;
    r->events.on_ready(r->events.ctx, &r->server);
}

static void take_slot(struct replication *r)
{
    char snapshot[64];
    uint64_t lsn = replication_lsn(PQgetvalue(r->answer, 0, 1));
    strncpy(snapshot, PQgetvalue(r->answer, 0, 2), sizeof snapshot - 1);
    snapshot[sizeof snapshot - 1] = '\0';
    r->step = STEP_CREATED;
    r->events.on_created(r->events.ctx, lsn, snapshot);
}

static void take_timeout(struct replication *r)
{
    long ms = strtol(PQgetvalue(r->answer, 0, 0), NULL, 10);
    r->beat_ms = ms > 0 && ms / 4 < BEAT_MS ? (ms < 80 ? 20 : ms / 4) : BEAT_MS;
    ask(r, STEP_IDENTIFY, "IDENTIFY_SYSTEM");
}

/* The answer of a step is whole and no error. */
static void finish_step(struct replication *r, int columns)
{
    if (columns && (PQntuples(r->answer) < 1 || PQnfields(r->answer) < columns)) {
        lose_words(r, ERR_INVALID, "the warehouse answered something else than was asked");
        return;
    }
    if (r->step == STEP_SETTINGS) {
        ask(r, STEP_TIMEOUT, replication_words_timeout);
    } else if (r->step == STEP_TIMEOUT) {
        take_timeout(r);
    } else if (r->step == STEP_IDENTIFY) {
        take_identity(r);
    } else if (r->step == STEP_CREATE) {
        take_slot(r);
    } else if (r->step == STEP_HORIZON) {
        r->horizon = replication_lsn(PQgetvalue(r->answer, 0, 0));
        ask(r, STEP_BEGIN, buf_cstr(&r->start));
    } else {
        lose_words(r, ERR_INVALID, "the warehouse did not begin to replicate");
    }
}

static void end_step(struct replication *r)
{
    static const int columns[] = {
        [STEP_TIMEOUT] = 1, [STEP_IDENTIFY] = 2, [STEP_CREATE] = 3,
        [STEP_HORIZON] = 1, [STEP_FLOW] = 0,
    };
    ExecStatusType status = PQresultStatus(r->answer);
    if (r->answer && (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)) {
        finish_step(r, columns[r->step]);
        return;
    }
    struct err err;
    PGresult *answer = r->answer;
    r->answer = NULL;
    pg_error_result(answer, NULL, &err);
    lose(r, &err, answer);
    PQclear(answer);
}

static bool is_error(const PGresult *answer)
{
    ExecStatusType status = PQresultStatus(answer);
    return answer && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK;
}

static bool waits(const struct replication *r)
{
    return r->step == STEP_READY || r->step == STEP_CREATED;
}

static void take_answer(struct replication *r)
{
    while (pg_link_lost(r->link) || !PQisBusy(pg_link_conn(r->link))) {
        PGresult *result = PQgetResult(pg_link_conn(r->link));
        if (result && PQresultStatus(result) == PGRES_COPY_BOTH) {
            PQclear(result);
            if (r->step == STEP_BEGIN)
                begin_flow(r);
            else
                lose_words(r, ERR_INVALID, "the warehouse replicates without being asked to");
            return;
        }
        if (!result) {
            end_step(r);
            return;
        }
        if (is_error(r->answer)) {
            PQclear(result);
            continue;
        }
        PQclear(r->answer);
        r->answer = result;
    }
}

static void on_input(void *ctx)
{
    struct replication *r = ctx;
    if (r->step == STEP_LOST || r->step == STEP_OPEN)
        return;
    if (r->step == STEP_FLOW)
        take_flow(r);
    else if (!waits(r))
        take_answer(r);
    else if (pg_link_lost(r->link))
        lose_words(r, ERR_UNREACHABLE, "connection to the warehouse lost");
}

static void on_refused(void *ctx, const struct err *err)
{
    lose(ctx, err, NULL);
}

static void on_open(void *ctx)
{
    struct replication *r = ctx;
    buf_reset(&r->sql);
    bool ok = !replication_words_settings(&r->sql, pg_link_conn(r->link));
    ask(r, STEP_SETTINGS, ok ? buf_cstr(&r->sql) : NULL);
}

enum err_code replication_open(struct event_base *base, const struct source *source,
                               const struct replication_events *events, struct replication **ret,
                               struct err *err)
{
    struct replication *r = calloc(1, sizeof *r);
    struct param *params = calloc(source->param_count + 1, sizeof *params);
    enum err_code rc = ERR_NOMEM;
    if (!r || !params)
        goto out;
    *r = (struct replication){.base = base, .events = *events, .beat_ms = BEAT_MS};
    buf_init(&r->sql, SQL_BYTES);
    buf_init(&r->start, SQL_BYTES);
    r->beat = event_new(base, -1, EV_PERSIST, on_beat, r);
    r->soon = evtimer_new(base, on_soon, r);
    if (!r->beat || !r->soon)
        goto out;
    for (size_t i = 0; i < source->param_count; i++)
        params[i] = source->params[i];
    params[source->param_count] = (struct param){"replication", "database"};
    struct source replicating = *source;
    replicating.params = params;
    replicating.param_count++;
    const struct pg_link_events link_events = {on_open, on_refused, on_input, r};
    rc = pg_link_open(base, &replicating, &link_events, &r->link, err);
    if (!rc)
        *ret = r;
out:
    if (rc == ERR_NOMEM)
        err_set(err, rc, "no memory for a connection");
    if (rc)
        replication_close(r);
    free(params);
    return rc;
}

void replication_close(struct replication *r)
{
    if (!r)
        return;
    pg_link_close(r->link, false);
    if (r->beat)
        event_free(r->beat);
    if (r->soon)
        event_free(r->soon);
    PQclear(r->answer);
    PQfreemem(r->held);
    buf_done(&r->sql);
    buf_done(&r->start);
    free(r);
}
