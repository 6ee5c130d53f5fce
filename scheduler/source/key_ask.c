/*
 * Questions to a model: rows of keys, in one exchange with the server.
 *
 * Reads keys, gives rows and where the source's log stood. Invariant: each question is a READ ONLY
 * transaction that is rolled back, and on_answer without error comes only after the server has
 * answered all of it. A crash here loses nothing: nothing is kept.
 */
#include "scheduler/source/key_ask_parts.h"
#include "scheduler/source/pg_result.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TEXT_LIMIT_BYTES = 16 << 20,
    KEYS_LIMIT_BYTES = 64 << 20, /* of one column's values in a question */
    KEYS_KEPT_BYTES = 1 << 20,
    IDLE_MS = 60 * 1000,
    TURN_BYTES = 256 << 10,
    /* A TLS record is larger than what libpq takes in at once; the rest does not show on the
       socket. */
    TLS_EMPTY_READS = 3,
};

static PGconn *conn_of(const struct key_ask *ask)
{
    return pg_link_conn(ask->link);
}

bool ask_has_result(const struct key_ask *ask)
{
    return pg_link_lost(ask->link) || !PQisBusy(conn_of(ask));
}

/* The server says so of a prepared statement whose columns are others than when it was prepared. */
static bool tells_of_other_columns(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    return state && function && strcmp(state, "0A000") == 0 &&
           strcmp(function, "RevalidateCachedQuery") == 0;
}

enum err_code ask_error(const PGresult *result, const struct pg_statement_place *place,
                        struct err *err)
{
    if (tells_of_other_columns(result))
        return err_set(err, ERR_STALE, "the model has other columns than before");
    return pg_error_result(result, place, err);
}

/* ---- the connection ---- */

static void close_link(struct key_ask *ask)
{
    bool running = ask->step == ASK_ANSWER;
    bool cancel = running && (ask->settings != PG_SETTINGS_ALL ||
                              PQserverVersion(conn_of(ask)) < PG_VERSION_NOTICES_CLOSE);
    if (ask->link)
        pg_link_close(ask->link, cancel);
    ask->link = NULL;
    PQclear(ask->answer);
    ask->answer = NULL;
    ask->step = ASK_CLOSED;
    evtimer_del(ask->idle);
    evtimer_del(ask->soon);
}

static void be_idle(struct key_ask *ask)
{
    struct timeval after = {(time_t)(ask->idle_ms / 1000),
                            (suseconds_t)(ask->idle_ms % 1000 * 1000)};
    evtimer_add(ask->idle, &after);
}

static void on_idle(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct key_ask *ask = ctx;
    if (!ask->busy)
        close_link(ask);
}

void ask_fail(struct key_ask *ask, const struct err *failure)
{
    struct err err = *failure;
    close_link(ask);
    err_prefix(&err, "model %s", ask->model->name);
    bool refused = !ask->described;
    if (!refused && !ask->busy)
        return;
    ask->busy = false;
    ask->in_callback = true;
    if (refused)
        ask->events.on_refused(ask->events.ctx, &err);
    else
        ask->events.on_answer(ask->events.ctx, &err);
    ask->in_callback = false;
}

static void on_soon(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct key_ask *ask = ctx;
    struct err err = ask->failure;
    ask_fail(ask, &err);
}

static void fail_soon(struct key_ask *ask, enum err_code code, const char *why)
{
    static const struct timeval now = {0, 0};
    err_set(&ask->failure, code, "the warehouse cannot be asked: %s", *why ? why : "no memory");
    evtimer_add(ask->soon, &now);
}

/* ---- sending ---- */

static bool send_rows(struct key_ask *ask)
{
    size_t n = ask->model->primary_key_count;
    const char **values = calloc(n, sizeof *values);
    bool ok = values != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        values[i] = buf_cstr(&ask->keys[i].text);
        ok = values[i] != NULL;
    }
    if (ok)
        ok = PQsendQueryPrepared(conn_of(ask), ask_rows_name, (int)n, values, NULL, NULL, 0);
    free(values);
    return ok;
}

static bool send_part(struct key_ask *ask, enum ask_part part)
{
    PGconn *conn = conn_of(ask);
    switch (part) {
    case PART_BEGIN:
        return PQsendQueryParams(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", 0, NULL,
                                 NULL, NULL, NULL, 0);
    case PART_SETTINGS:
        return PQsendQueryPrepared(conn, ask_settings_name, 0, NULL, NULL, NULL, 0);
    case PART_MODEL:
        return PQsendDescribePrepared(conn, ask_model_name);
    case PART_ROWS:
        return send_rows(ask);
    case PART_HORIZON:
        return PQsendQueryPrepared(conn, ask_horizon_name, 0, NULL, NULL, NULL, 0);
    case PART_ROLLBACK:
        return PQsendQueryParams(conn, "ROLLBACK", 0, NULL, NULL, NULL, NULL, 0);
    case PART_SYNC:
        break;
    }
    return PQpipelineSync(conn);
}

/* The horizon is looked at after the snapshot was taken, which the rows share: whatever they tell
 * of was in the log before. */
static void choose_parts(struct key_ask *ask)
{
    ask->part_count = ask->part = 0;
    for (enum ask_part p = PART_BEGIN; p <= PART_SYNC; p++) {
        bool rows = p == PART_SETTINGS || p == PART_MODEL || p == PART_ROWS;
        if ((rows && ask->count == 0) || (p == PART_HORIZON && !ask->has_horizon))
            continue;
        ask->parts[ask->part_count++] = p;
    }
}

static void send_question(struct key_ask *ask)
{
    ask->step = ASK_ANSWER;
    ask->horizon = 0;
    ask->horizon_told = false;
    choose_parts(ask);
    for (size_t i = 0; i < ask->part_count; i++)
        if (!send_part(ask, ask->parts[i])) {
            fail_soon(ask, ERR_UNREACHABLE, PQerrorMessage(conn_of(ask)));
            return;
        }
    pg_link_sent(ask->link);
}

void ask_ready(struct key_ask *ask)
{
    ask->step = ASK_READY;
    if (ask->busy)
        send_question(ask);
    else
        be_idle(ask);
}

/* ---- taking ---- */

static enum err_code give_rows(struct key_ask *ask, const PGresult *tuples, size_t *bytes,
                               struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; i < PQntuples(tuples) && !rc; i++) {
        rc = pg_result_cells(tuples, i, &ask->decoder, err);
        if (rc)
            break;
        struct row row = row_decoder_run(&ask->decoder);
        *bytes += ask->decoder.line.len;
        ask->in_callback = true;
        rc = ask->events.on_row(ask->events.ctx, &row, err);
        ask->in_callback = false;
        row_decoder_trim(&ask->decoder);
    }
    return rc;
}

static enum err_code take_horizon(struct key_ask *ask, const PGresult *result, struct err *err)
{
    unsigned high, low;
    if (PQntuples(result) != 1)
        return err_set(err, ERR_INVALID, "the warehouse does not say where its log stands");
    if (PQgetisnull(result, 0, 0))
        return ERR_OK;
    if (sscanf(PQgetvalue(result, 0, 0), "%X/%X", &high, &low) != 2)
        return err_set(err, ERR_INVALID, "the warehouse does not say where its log stands");
    ask->horizon = (uint64_t)high << 32 | low;
    return ERR_OK;
}

static enum err_code take_result(struct key_ask *ask, const PGresult *result, size_t *bytes,
                                 struct err *err)
{
    enum ask_part part = ask->parts[ask->part];
    ExecStatusType status = PQresultStatus(result);
    bool tuples = status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE;
    if (status == PGRES_PIPELINE_SYNC && part == PART_SYNC) {
        ask->part++;
        return ERR_OK;
    }
    if (!tuples && status != PGRES_COMMAND_OK) {
        struct pg_statement_place place = {buf_slice(&ask->text), ask->chars_before};
        return ask_error(result, part == PART_ROWS ? &place : NULL, err);
    }
    if (part == PART_ROWS && tuples)
        return give_rows(ask, result, bytes, err);
    if (part == PART_HORIZON && tuples)
        return take_horizon(ask, result, err);
    return ERR_OK;
}

static void tell_horizon(struct key_ask *ask)
{
    if (ask->horizon_told)
        return;
    ask->horizon_told = true;
    ask->in_callback = true;
    ask->events.on_horizon(ask->events.ctx, ask->horizon);
    ask->in_callback = false;
}

/* The next part's results follow. */
static enum err_code next_part(struct key_ask *ask, struct err *err)
{
    if (pg_link_lost(ask->link) || ask->part + 1 >= ask->part_count)
        return err_set(err, ERR_UNREACHABLE, "connection to the warehouse lost");
    ask->part++;
    if (ask->parts[ask->part] > PART_HORIZON)
        tell_horizon(ask);
    if (ask->parts[ask->part] == PART_ROWS && !PQsetSingleRowMode(conn_of(ask)))
        return err_set(err, ERR_BUG, "rows cannot be taken one by one");
    return ERR_OK;
}

static void answer(struct key_ask *ask)
{
    for (size_t i = 0; i < ask->model->primary_key_count; i++)
        if (ask->keys[i].text.cap > KEYS_KEPT_BYTES)
            buf_done(&ask->keys[i].text);
    ask->busy = false;
    ask->step = ASK_READY;
    be_idle(ask);
    ask->in_callback = true;
    ask->events.on_answer(ask->events.ctx, NULL);
    ask->in_callback = false;
}

/* Everything that is at hand, or as much as a turn may take. Returns how many bytes of rows. */
static size_t take_answer(struct key_ask *ask)
{
    size_t bytes = 0;
    struct err err;
    while (ask->part < ask->part_count && ask_has_result(ask)) {
        if (bytes >= TURN_BYTES) {
            pg_link_again(ask->link);
            return bytes;
        }
        PGresult *result = PQgetResult(conn_of(ask));
        enum err_code rc = result ? take_result(ask, result, &bytes, &err) : next_part(ask, &err);
        PQclear(result);
        if (rc) {
            ask_fail(ask, &err);
            return 0;
        }
    }
    if (ask->part == ask->part_count)
        answer(ask);
    return bytes;
}

static void take_all_answer(struct key_ask *ask)
{
    int empty_reads = 0;
    while (ask->link && ask->step == ASK_ANSWER) {
        bool tls = PQsslInUse(conn_of(ask));
        size_t part = ask->part, bytes = take_answer(ask);
        if (!tls || ask->step != ASK_ANSWER || bytes >= TURN_BYTES)
            return;
        empty_reads = bytes || ask->part != part ? 0 : empty_reads + 1;
        if (empty_reads == TLS_EMPTY_READS)
            return;
        pg_link_read(ask->link);
    }
}

void ask_input(void *ctx)
{
    struct key_ask *ask = ctx;
    if (ask->step == ASK_ANSWER)
        take_all_answer(ask);
    else if (ask->step != ASK_READY)
        ask_open_input(ask);
    else if (pg_link_lost(ask->link))
        close_link(ask);
}

/* ---- keys ---- */

static bool fits(const struct key_ask *ask, const struct value *key)
{
    for (size_t i = 0; i < ask->model->primary_key_count; i++)
        if (!key_text_fits(ask->keys[i].kind, key[i]))
            return false;
    return true;
}

static enum err_code put_key(struct key_ask *ask, const struct value *key, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < ask->model->primary_key_count && !rc; i++)
        rc = key_text_element(ask->keys[i].kind, key[i], &ask->keys[i].text);
    if (rc == ERR_INVALID)
        return err_set(err, rc, "a key without a value cannot be asked for");
    return rc ? err_set(err, rc, "no room for the keys of a question") : ERR_OK;
}

static enum err_code put_keys(struct key_ask *ask, const struct value *keys, size_t count,
                              struct err *err)
{
    size_t n = ask->model->primary_key_count;
    enum err_code rc = ERR_OK;
    ask->count = 0;
    for (size_t i = 0; i < n; i++)
        buf_reset(&ask->keys[i].text);
    for (size_t i = 0; i < count && !rc; i++)
        if (fits(ask, keys + i * n)) {
            rc = put_key(ask, keys + i * n, err);
            ask->count++;
        }
    for (size_t i = 0; i < n && !rc; i++)
        if (key_text_close(&ask->keys[i].text))
            rc = err_set(err, ERR_NOMEM, "no room for the keys of a question");
    return rc;
}

enum err_code key_ask_send(struct key_ask *ask, const struct value *keys, size_t count,
                           struct err *err)
{
    ensure(!ask->busy && count <= KEY_ASK_MAX);
    if (!ask->described)
        return err_set(err, ERR_BUSY, "model %s is not described yet", ask->model->name);
    enum err_code rc = put_keys(ask, keys, count, err);
    if (!rc && ask->step == ASK_READY && pg_link_lost(ask->link))
        close_link(ask);
    if (!rc && ask->step == ASK_CLOSED)
        rc = ask_open(ask, err);
    if (rc)
        return err_prefix(err, "model %s", ask->model->name);
    ask->busy = true;
    evtimer_del(ask->idle);
    if (ask->step == ASK_READY)
        send_question(ask);
    return ERR_OK;
}

bool key_ask_busy(const struct key_ask *ask)
{
    return ask->busy;
}

/* ---- life ---- */

static void release(struct key_ask *ask)
{
    if (ask->idle && ask->soon)
        close_link(ask);
    if (ask->idle)
        event_free(ask->idle);
    if (ask->soon)
        event_free(ask->soon);
    PQclear(ask->columns);
    row_decoder_done(&ask->decoder);
    types_done(&ask->types);
    buf_done(&ask->relation);
    buf_done(&ask->text);
    buf_done(&ask->sent);
    for (size_t i = 0; ask->keys && i < ask->model->primary_key_count; i++)
        buf_done(&ask->keys[i].text);
    free(ask->keys);
    free(ask);
}

static enum err_code prepare(struct key_ask *ask, struct err *err)
{
    size_t n = ask->model->primary_key_count;
    if (n == 0)
        return err_set(err, ERR_CONFIG,
                       "the model has no primary_key, by which rows are asked for");
    ask->keys = calloc(n, sizeof *ask->keys);
    ask->idle = evtimer_new(ask->base, on_idle, ask);
    ask->soon = evtimer_new(ask->base, on_soon, ask);
    if (!ask->keys || !ask->idle || !ask->soon)
        return err_set(err, ERR_NOMEM, "no memory to ask for rows");
    for (size_t i = 0; i < n; i++)
        buf_init(&ask->keys[i].text, KEYS_LIMIT_BYTES);
    enum err_code rc = model_text_relation(ask->model, &ask->relation, err);
    return rc ? rc : ask_open(ask, err);
}

enum err_code key_ask_start(struct event_base *base, const struct model *model,
                            const struct key_ask_events *events, struct key_ask **ret_ask,
                            struct err *err)
{
    struct key_ask *ask = calloc(1, sizeof *ask);
    if (!ask)
        return err_set(err, ERR_NOMEM, "no memory to ask for rows");
    *ask = (struct key_ask){.base = base, .model = model, .events = *events, .idle_ms = IDLE_MS};
    types_init(&ask->types);
    buf_init(&ask->relation, TEXT_LIMIT_BYTES);
    buf_init(&ask->text, TEXT_LIMIT_BYTES);
    buf_init(&ask->sent, TEXT_LIMIT_BYTES);
    enum err_code rc = prepare(ask, err);
    if (rc) {
        err_prefix(err, "model %s", model->name);
        release(ask);
        return rc;
    }
    *ret_ask = ask;
    return ERR_OK;
}

void key_ask_idle_after(struct key_ask *ask, uint64_t ms)
{
    ask->idle_ms = ms;
    if (evtimer_pending(ask->idle, NULL))
        be_idle(ask);
}

void key_ask_free(struct key_ask *ask)
{
    if (!ask)
        return;
    ensure(!ask->in_callback);
    release(ask);
}
