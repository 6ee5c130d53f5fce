/*
 * A replication connection until it flows: opened, its settings, the slot.
 *
 * What a crash here does: nothing. A slot that was being made is not there.
 */
#include "scheduler/stream/replication_private.h"

#include "scheduler/source/pg_error.h"
#include "scheduler/stream/replication_words.h"

#include <event2/event.h>
#include <stdlib.h>

enum { SQL_BYTES = 64 << 10, BEAT_LEAST_MS = 20 };

void replication_lose(struct replication *r, const struct err *err, const PGresult *result)
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

void replication_lose_words(struct replication *r, enum err_code code, const char *words)
{
    struct err err;
    err_set(&err, code, "%s", words);
    replication_lose(r, &err, NULL);
}

static void ask(struct replication *r, enum replication_step step, const char *sql)
{
    r->step = step;
    PQclear(r->answer);
    r->answer = NULL;
    if (!sql || !PQsendQuery(pg_link_conn(r->link), sql)) {
        replication_lose_words(r, ERR_UNREACHABLE, "the warehouse cannot be asked");
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
    r->beat_ms = ms > 0 && ms / 4 < REPLICATION_BEAT_MS
                     ? (ms / 4 < BEAT_LEAST_MS ? BEAT_LEAST_MS : ms / 4)
                     : REPLICATION_BEAT_MS;
    ask(r, STEP_IDENTIFY, "IDENTIFY_SYSTEM");
}

/* The answer of a step is whole and no error. */
static void finish_step(struct replication *r, int columns)
{
    if (columns && (PQntuples(r->answer) < 1 || PQnfields(r->answer) < columns)) {
        replication_lose_words(r, ERR_INVALID,
                               "the warehouse answered something else than was asked");
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
        replication_lose_words(r, ERR_INVALID, "the warehouse did not begin to replicate");
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
    replication_lose(r, &err, answer);
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
                replication_flow_begin(r);
            else
                replication_lose_words(r, ERR_INVALID,
                                       "the warehouse replicates without being asked to");
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
        replication_flow_input(r);
    else if (!waits(r))
        take_answer(r);
    else if (pg_link_lost(r->link))
        replication_lose_words(r, ERR_UNREACHABLE, "connection to the warehouse lost");
}

static void on_refused(void *ctx, const struct err *err)
{
    replication_lose(ctx, err, NULL);
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
    *r = (struct replication){.base = base, .events = *events, .beat_ms = REPLICATION_BEAT_MS};
    buf_init(&r->sql, SQL_BYTES);
    buf_init(&r->start, SQL_BYTES);
    if (!replication_flow_init(r))
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
