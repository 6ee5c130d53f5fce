/*
 * The flow of a replication connection: messages in, confirmations out.
 *
 * Reads what the server sends, a bounded portion per turn of the loop. Invariant: the position told
 * is what replication_confirm was given, at least every ten seconds whether anything is read or
 * not. A crash here loses nothing: the server keeps what was not confirmed.
 */
#include "scheduler/stream/replication_private.h"

#include "protocol/base/clock.h"
#include "scheduler/source/pg_error.h"

#include <event2/event.h>

enum {
    TURN_MESSAGES = 2000,
    TURN_BYTES = 256 << 10,
    TLS_EMPTY_READS = 3,
    SOON_MS = 100,    /* confirmations are told at most every */
    ASKED_OFTEN = 20, /* times a second: the server shuts down, and waits for what we keep */
};

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
        replication_lose_words(r, ERR_UNREACHABLE, "connection to the warehouse lost");
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
        replication_lose_words(r, ERR_UNREACHABLE, "the warehouse is shutting down");
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
        replication_lose(r, &err, NULL);
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
    replication_lose(r, &err, result);
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

void replication_flow_input(struct replication *r)
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

void replication_flow_begin(struct replication *r)
{
    struct timeval beat = span(r->beat_ms);
    r->step = STEP_FLOW;
    event_add(r->beat, &beat);
    follow(r);
    r->events.on_flow(r->events.ctx, r->horizon);
}

bool replication_flow_init(struct replication *r)
{
    r->beat = event_new(r->base, -1, EV_PERSIST, on_beat, r);
    r->soon = evtimer_new(r->base, on_soon, r);
    return r->beat && r->soon;
}
