/*
 * A read of one model from PostgreSQL and what speaks its protocol.
 *
 * Reads model and source configuration, gives the events of source.h. Invariant: nothing but SELECT
 * runs, in a READ ONLY transaction, as one statement that the server parsed by itself before;
 * on_end without error only after the server's CommandComplete. A crash here loses nothing.
 */
#include "scheduler/source/model_text.h"
#include "scheduler/source/pg_read.h"
#include "scheduler/source/pg_result.h"
#include "scheduler/source/pg_window.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TEXT_LIMIT_BYTES = 16 << 20,
    TURN_ROWS = 2000,
    TURN_BYTES = 256 << 10,
    /* A TLS record is larger than what libpq takes in at once; the rest does not show on the
       socket. */
    TLS_EMPTY_READS = 3,
};

static void enter(struct pg_read *r, enum pg_step step);

static void release(struct pg_read *r, bool cancel)
{
    pg_link_close(r->link, cancel);
    r->link = NULL;
    PQclear(r->answer);
    PQclear(r->described);
    r->answer = r->described = NULL;
    row_decoder_done(&r->decoder);
    types_done(&r->types);
    buf_done(&r->table);
    buf_done(&r->text);
    buf_done(&r->sent);
}

/*
 * A server told to look for a closed connection stops by itself. Any other would run the statement
 * on, so it is asked to cancel, which may wait for the network.
 */
static bool needs_cancel(struct pg_read *r)
{
    bool running = r->link && r->step == PG_STEP_ROWS && !r->complete;
    return running && (r->settings != PG_SETTINGS_ALL ||
                       PQserverVersion(pg_link_conn(r->link)) < PG_VERSION_NOTICES_CLOSE);
}

/* err NULL: the query ran to its end. */
static void end(struct pg_read *r, struct err *err)
{
    bool cancel = err && needs_cancel(r);
    r->step = PG_STEP_ENDED;
    release(r, cancel);
    if (err)
        err_prefix(err, "model %s", r->model->name);
    r->in_callback = true;
    r->events.on_end(r->events.ctx, err);
    r->in_callback = false;
}

static struct pg_statement_place place_in(const struct pg_read *r, size_t chars_before)
{
    return (struct pg_statement_place){buf_slice(&r->text), chars_before};
}

/* Steps: taking the answer, which is not an error. */

static enum err_code give_columns(struct pg_read *r, struct err *err)
{
    struct column *columns;
    enum err_code rc = pg_result_columns(r->described, &r->types, &columns, err);
    if (rc)
        return rc;
    r->in_callback = true;
    rc = r->events.on_columns(r->events.ctx, columns, (size_t)PQnfields(r->described), err);
    r->in_callback = false;
    free(columns);
    return rc;
}

/* All types are known: everything for the rows is made ready. */
static enum err_code prepare_rows(struct pg_read *r, const Oid *oids, struct err *err)
{
    size_t n = (size_t)PQnfields(r->described);
    struct model_read read = {pg_link_conn(r->link), r->described, &r->types,
                              r->model->timezone,    r->copy,      r->windowed ? &r->window : NULL};
    bool first = r->decoder.values == NULL; /* after a refused COPY they are there */
    enum err_code rc = ERR_OK;
    if (first)
        rc = row_decoder_init(&r->decoder, &r->types, oids, n, err);
    buf_reset(&r->sent);
    if (!rc)
        rc = model_text_read(&read, buf_slice(&r->text), &r->sent, &r->chars_before, err);
    if (!rc && first)
        rc = give_columns(r, err);
    return rc;
}

/* Asks for types until none is missing. */
static enum err_code resolve_types(struct pg_read *r, enum pg_step *next, struct err *err)
{
    Oid *oids = NULL;
    enum err_code rc = pg_result_oids(r->described, &oids, err);
    if (!rc)
        rc = types_query(&r->types, oids, (size_t)PQnfields(r->described), &r->sent, err);
    *next = r->sent.len ? PG_STEP_TYPES : PG_STEP_ROWS;
    if (!rc && *next == PG_STEP_ROWS)
        rc = prepare_rows(r, oids, err);
    free(oids);
    return rc;
}

/* The second description, after a refused COPY, comes from another transaction. */
static enum err_code take_description(struct pg_read *r, enum pg_step *next, struct err *err)
{
    if (r->described && !pg_result_same_columns(r->described, r->answer))
        return err_set(err, ERR_REMOTE, "the model's columns changed while it was read");
    PQclear(r->described);
    r->described = r->answer;
    r->answer = NULL;
    enum err_code rc = pg_result_is_model(r->described, err);
    return rc ? rc : resolve_types(r, next, err);
}

static enum err_code take_begin(struct pg_read *r, enum pg_step *next, struct err *err)
{
    (void)err;
    if (*r->at)
        *next = PG_STEP_AT;
    return ERR_OK;
}

static enum err_code take_types(struct pg_read *r, enum pg_step *next, struct err *err)
{
    enum err_code rc = types_learn(&r->types, r->answer, err);
    return rc ? rc : resolve_types(r, next, err);
}

static enum err_code take_ended_yet(struct pg_read *r, enum pg_step *next, struct err *err)
{
    (void)next, (void)err;
    r->place.ended = pg_window_is_ended(r->answer);
    return ERR_OK;
}

static void give_place(struct pg_read *r, const struct window_place *place)
{
    r->in_callback = true;
    r->on_place(r->events.ctx, place);
    r->in_callback = false;
}

static enum err_code take_settings(struct pg_read *r, enum pg_step *next, struct err *err)
{
    (void)err;
    if (r->windowed && !r->no_snapshot)
        *next = PG_STEP_SNAPSHOT;
    else if (r->windowed)
        give_place(r, &(struct window_place){0});
    return ERR_OK;
}

static enum err_code take_snapshot(struct pg_read *r, enum pg_step *next, struct err *err)
{
    (void)next;
    enum err_code rc = pg_window_take_open(r->answer, &r->place, err);
    if (!rc)
        give_place(r, &r->place);
    return rc;
}

static const struct {
    int (*send)(struct pg_read *r);
    enum err_code (*take)(struct pg_read *r, enum pg_step *next,
                          struct err *err); /* NULL: to next */
    enum pg_step next;
} steps[] = {
    [PG_STEP_ENDED_YET] = {pg_send_ended_yet, take_ended_yet, PG_STEP_BEGIN},
    [PG_STEP_BEGIN] = {pg_send_begin, take_begin, PG_STEP_SETTINGS},
    [PG_STEP_AT] = {pg_send_at, NULL, PG_STEP_SETTINGS},
    [PG_STEP_SETTINGS] = {pg_send_settings, take_settings, PG_STEP_PREPARE},
    [PG_STEP_SNAPSHOT] = {pg_send_snapshot, take_snapshot, PG_STEP_PREPARE},
    [PG_STEP_PREPARE] = {pg_send_prepare, NULL, PG_STEP_DESCRIBE},
    [PG_STEP_DESCRIBE] = {pg_send_describe, take_description, PG_STEP_ROWS},
    [PG_STEP_TYPES] = {pg_send_sent, take_types, PG_STEP_ROWS},
    [PG_STEP_ROWS] = {pg_send_rows, NULL, PG_STEP_ENDED},
    [PG_STEP_AGAIN] = {pg_send_rollback, NULL, PG_STEP_BEGIN},
};

static void enter(struct pg_read *r, enum pg_step step)
{
    r->step = step;
    r->phase = PG_ROWS_START;
    if (steps[step].send(r)) {
        if (step == PG_STEP_ROWS && r->paused)
            pg_link_pause(r->link);
        pg_link_sent(r->link);
        return;
    }
    struct err err;
    const char *why = PQerrorMessage(pg_link_conn(r->link));
    err_set(&err, *why ? ERR_UNREACHABLE : ERR_NOMEM, "the warehouse cannot be asked: %s",
            *why ? why : "no memory");
    end(r, &err);
}

/* A refusal that a simpler request may not meet: true when there is one left. */
static bool ask_less(struct pg_read *r)
{
    if (!PQresultErrorField(r->answer, PG_DIAG_SQLSTATE))
        return false;
    if (r->step == PG_STEP_BEGIN && !r->plain_begin) {
        r->plain_begin = true;
        return true;
    }
    if (r->step == PG_STEP_AT) {
        r->at[0] = '\0';
        r->lost_snapshot = true;
        return true;
    }
    if (r->step == PG_STEP_SETTINGS && r->settings < PG_SETTINGS_LEAST) {
        r->settings++;
        return true;
    }
    if ((r->step == PG_STEP_SNAPSHOT || r->step == PG_STEP_ENDED_YET) && !r->no_snapshot) {
        r->no_snapshot = true;
        return true;
    }
    return false;
}

static bool is_error(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}

static void finish_step(struct pg_read *r)
{
    struct err err;
    enum pg_step next = steps[r->step].next;
    struct pg_statement_place place = place_in(r, 0);
    enum err_code rc = ERR_OK;
    if (!r->answer || is_error(r->answer)) {
        if (r->answer && ask_less(r))
            next = PG_STEP_AGAIN;
        else
            rc = pg_error_result(r->answer, r->step == PG_STEP_PREPARE ? &place : NULL, &err);
    } else if (steps[r->step].take) {
        rc = steps[r->step].take(r, &next, &err);
    }
    PQclear(r->answer);
    r->answer = NULL;
    if (rc)
        end(r, &err);
    else
        enter(r, next);
}

bool pg_read_ready(struct pg_read *r)
{
    return pg_link_lost(r->link) || !PQisBusy(pg_link_conn(r->link));
}

/* Collects the results of the step in hand; NULL ends them. */
static void take_answer(struct pg_read *r)
{
    while (pg_read_ready(r)) {
        PGresult *result = PQgetResult(pg_link_conn(r->link));
        if (!result) {
            finish_step(r);
            return;
        }
        if (r->answer && is_error(r->answer)) {
            PQclear(result);
            continue;
        }
        PQclear(r->answer);
        r->answer = result;
        /* No step copies; libpq would give this result again and again. */
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH) {
            finish_step(r);
            return;
        }
    }
}

enum pg_progress pg_read_give_row(struct pg_read *r, size_t bytes, struct pg_budget *budget,
                                  struct err *err)
{
    struct row row = row_decoder_run(&r->decoder);
    r->bytes += bytes;
    budget->rows--;
    budget->bytes -= bytes < budget->bytes ? bytes : budget->bytes;
    r->in_callback = true;
    enum err_code rc = r->events.on_row(r->events.ctx, &row, err);
    r->in_callback = false;
    row_decoder_trim(&r->decoder);
    return rc ? PG_PROGRESS_FAIL : PG_PROGRESS_YIELD;
}

enum pg_progress pg_read_failed(struct pg_read *r, const PGresult *result, struct err *err)
{
    struct pg_statement_place place = place_in(r, r->chars_before);
    pg_error_result(result, &place, err);
    return PG_PROGRESS_FAIL;
}

static void take_rows(struct pg_read *r)
{
    struct err err;
    struct pg_budget budget = {TURN_ROWS, TURN_BYTES};
    enum pg_progress progress;
    bool tls = PQsslInUse(pg_link_conn(r->link));
    int empty_reads = 0;
    for (;;) {
        size_t rows = budget.rows;
        progress = r->copy ? pg_copy_take(r, &budget, &err) : pg_tuples_take(r, &budget, &err);
        empty_reads = budget.rows == rows ? empty_reads + 1 : 0;
        if (!tls || progress != PG_PROGRESS_WAIT || empty_reads == TLS_EMPTY_READS)
            break;
        pg_link_read(r->link);
    }
    if (progress == PG_PROGRESS_END || progress == PG_PROGRESS_FAIL) {
        end(r, progress == PG_PROGRESS_FAIL ? &err : NULL);
    } else if (progress == PG_PROGRESS_REFUSED) {
        r->copy = false;
        enter(r, PG_STEP_AGAIN);
    } else if (progress == PG_PROGRESS_YIELD && !r->paused) {
        pg_link_again(r->link);
    }
}

static void on_input(void *ctx)
{
    struct pg_read *r = ctx;
    if (r->step != PG_STEP_ROWS)
        take_answer(r);
    else
        take_rows(r);
}

static void on_refused(void *ctx, const struct err *refused)
{
    struct err err = *refused;
    end(ctx, &err);
}

static void on_open(void *ctx)
{
    struct pg_read *r = ctx;
    struct err err;
    if (PQserverVersion(pg_link_conn(r->link)) < PG_VERSION_REDSHIFT_ENDS &&
        r->model->source->read == READ_AUTO)
        r->copy = false;
    const char *table = r->table.len ? buf_cstr(&r->table) : NULL;
    if (model_text_statement(pg_link_conn(r->link), r->model, table, &r->text, &err))
        end(r, &err);
    else
        enter(r, r->windowed && r->window.earlier.xmax ? PG_STEP_ENDED_YET : PG_STEP_BEGIN);
}

/* from: what kind of read it is to be. */
static enum err_code start(struct event_base *base, const struct pg_read *from,
                           struct source_read **ret_read, struct err *err)
{
    const struct model *model = from->model;
    struct pg_read *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(err, ERR_NOMEM, "no memory for a read");
    *r = *from;
    r->read.ops = &postgres_source_ops;
    r->base = base;
    r->copy = model->source->read != READ_ROWS;
    types_init(&r->types);
    buf_init(&r->table, TEXT_LIMIT_BYTES);
    buf_init(&r->text, TEXT_LIMIT_BYTES);
    buf_init(&r->sent, TEXT_LIMIT_BYTES);
    const struct pg_link_events link_events = {on_open, on_refused, on_input, r};
    enum err_code rc = model_text_relation(model, &r->table, err);
    if (!rc)
        rc = pg_link_open(base, model->source, &link_events, &r->link, err);
    if (rc) {
        err_prefix(err, "model %s", model->name);
        release(r, false);
        free(r);
        return rc;
    }
    *ret_read = &r->read;
    return ERR_OK;
}

static enum err_code postgres_start(struct event_base *base, const struct model *model,
                                    const char *snapshot, const struct source_events *events,
                                    struct source_read **ret_read, struct err *err)
{
    struct pg_read from = {.model = model, .events = *events};
    snprintf(from.at, sizeof from.at, "%s", snapshot ? snapshot : "");
    return start(base, &from, ret_read, err);
}

enum err_code window_read_start(struct event_base *base, const struct model *model,
                                const struct window_options *options,
                                const struct source_events *events,
                                void (*place)(void *ctx, const struct window_place *place),
                                struct source_read **ret_read, struct err *err)
{
    struct pg_read from = {
        .model = model, .events = *events, .windowed = true, .window = *options, .on_place = place};
    return start(base, &from, ret_read, err);
}

static void postgres_pause(struct source_read *read)
{
    struct pg_read *r = (struct pg_read *)read;
    r->paused = true;
    if (r->step == PG_STEP_ROWS)
        pg_link_pause(r->link);
}

static void postgres_resume(struct source_read *read)
{
    struct pg_read *r = (struct pg_read *)read;
    r->paused = false;
    if (r->step == PG_STEP_ROWS)
        pg_link_resume(r->link);
}

static void postgres_free(struct source_read *read)
{
    struct pg_read *r = (struct pg_read *)read;
    ensure(!r->in_callback);
    release(r, needs_cancel(r));
    free(r);
}

static uint64_t postgres_bytes(const struct source_read *read)
{
    return ((const struct pg_read *)read)->bytes;
}

static bool postgres_lost_snapshot(const struct source_read *read)
{
    return ((const struct pg_read *)read)->lost_snapshot;
}

const struct source_ops postgres_source_ops = {
    .type = "postgres",
    .start = postgres_start,
    .pause = postgres_pause,
    .resume = postgres_resume,
    .free = postgres_free,
    .bytes = postgres_bytes,
    .lost_snapshot = postgres_lost_snapshot,
};
