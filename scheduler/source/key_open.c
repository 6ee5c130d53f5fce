/*
 * The opening of a connection for questions: everything that they need is prepared.
 *
 * Reads the model, gives prepared statements and, the first time, the model's columns. Invariant:
 * the model is prepared by itself, in a READ ONLY transaction, before it is part of anything else.
 */
#include "scheduler/source/key_ask_parts.h"
#include "scheduler/source/pg_result.h"

#include <stdlib.h>

enum {
    UUID_OID = 2950,
    BIGINT_ARRAY_OID = 1016,
    RECORD_ARRAY_OID = 2287,
    VERSION_UNNEST_MANY = 90400
};

const char ask_model_name[] = "sluice_model";
const char ask_rows_name[] = "sluice_rows";
const char ask_settings_name[] = "sluice_settings";
const char ask_horizon_name[] = "sluice_horizon";

/* What is replayed on a standby may be ahead of what is received, from an archive. */
static const char horizon_sql[] =
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN"
    " GREATEST(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())"
    " ELSE pg_catalog.pg_current_wal_insert_lsn() END";

static PGconn *conn_of(const struct key_ask *ask)
{
    return pg_link_conn(ask->link);
}

/* ---- sending ---- */

static int prepare(struct key_ask *ask, const char *name, const Oid *types)
{
    const char *sql = buf_cstr(&ask->sent);
    int count = types ? (int)ask->model->primary_key_count : 0;
    return sql ? PQsendPrepare(conn_of(ask), name, sql, count, types) : 0;
}

static int send_begin(struct key_ask *ask)
{
    return PQsendQuery(conn_of(ask), "BEGIN READ ONLY");
}

static enum err_code put_settings(struct key_ask *ask)
{
    buf_reset(&ask->sent);
    return pg_settings_put_select(conn_of(ask), ask->model->source, ask->settings,
                                  ask->model->primary_key_count > 1, &ask->sent);
}

static int send_settings(struct key_ask *ask)
{
    const char *sql = put_settings(ask) ? NULL : buf_cstr(&ask->sent);
    return sql ? PQsendQuery(conn_of(ask), sql) : 0;
}

static int send_rollback(struct key_ask *ask)
{
    return PQsendQuery(conn_of(ask), "ROLLBACK");
}

static int send_model(struct key_ask *ask)
{
    const char *sql = buf_cstr(&ask->text);
    return sql ? PQsendPrepare(conn_of(ask), ask_model_name, sql, 0, NULL) : 0;
}

static int send_describe(struct key_ask *ask)
{
    return PQsendDescribePrepared(conn_of(ask), ask_model_name);
}

/* ask->sent holds the query already. */
static int send_types(struct key_ask *ask)
{
    const char *sql = buf_cstr(&ask->sent);
    return sql ? PQsendQueryParams(conn_of(ask), sql, 0, NULL, NULL, NULL, NULL, 0) : 0;
}

static int prepare_for_keys(struct key_ask *ask, const char *name)
{
    Oid *types = calloc(ask->model->primary_key_count, sizeof *types);
    for (size_t i = 0; types && i < ask->model->primary_key_count; i++)
        types[i] = ask->keys[i].array;
    int sent = types ? prepare(ask, name, types) : 0;
    free(types);
    return sent;
}

static int send_probe(struct key_ask *ask)
{
    return prepare_for_keys(ask, "");
}

static int send_probed(struct key_ask *ask)
{
    return PQsendDescribePrepared(conn_of(ask), "");
}

/* A view may group. */
static int send_relation(struct key_ask *ask)
{
    static const char sql[] = "SELECT c.relkind IN ('r', 'p', 'm', 'f') FROM pg_catalog.pg_class c"
                              " WHERE c.oid = $1::pg_catalog.regclass";
    buf_reset(&ask->sent);
    const char *relation = buf_cstr(&ask->relation);
    const char *name = relation && !model_text_name(conn_of(ask), relation, &ask->sent)
                           ? buf_cstr(&ask->sent)
                           : NULL;
    return name ? PQsendQueryParams(conn_of(ask), sql, 1, NULL, &name, NULL, NULL, 0) : 0;
}

static int send_rows(struct key_ask *ask)
{
    return prepare_for_keys(ask, ask_rows_name);
}

static int send_keep(struct key_ask *ask)
{
    return put_settings(ask) ? 0 : prepare(ask, ask_settings_name, NULL);
}

static int send_horizon(struct key_ask *ask)
{
    return PQsendPrepare(conn_of(ask), ask_horizon_name, horizon_sql, 0, NULL);
}

/* ---- taking ---- */

static struct key_text text_of(const struct key_ask *ask)
{
    const struct model *m = ask->model;
    return (struct key_text){
        .read = {conn_of(ask), ask->columns, &ask->types, m->timezone, false, NULL},
        .statement = buf_slice(&ask->text),
        .keys = m->primary_key,
        .key_count = m->primary_key_count,
        .plain = ask->plain};
}

static bool is_uuid(const struct types *types, Oid oid)
{
    const struct pg_type *type = types_find(types, oid);
    while (type && type->base)
        type = types_find(types, type->base);
    return type && type->oid == UUID_OID;
}

static enum err_code find_key(struct key_ask *ask, size_t i, struct err *err)
{
    struct ask_key *key = &ask->keys[i];
    const char *name = ask->model->primary_key[i];
    key->column = -1;
    for (int c = 0; c < PQnfields(ask->columns); c++)
        if (strcmp(PQfname(ask->columns, c), name) == 0)
            key->column = c;
    if (key->column < 0)
        return err_set(err, ERR_CONFIG, "the primary key's column %s is not one of the model's",
                       name);
    Oid oid = PQftype(ask->columns, key->column);
    key->kind = (struct key_kind){types_column(&ask->types, oid), is_uuid(&ask->types, oid)};
    if (key->kind.type == COLUMN_ARRAY)
        return err_set(err, ERR_CONFIG,
                       "the primary key's column %s is an array (%s), whose rows cannot be asked "
                       "for; give its text in the model",
                       name, types_find(&ask->types, oid)->name);
    /* Whatever the width of the column: a key of another table may be wider. */
    key->array = key->kind.type == COLUMN_INT ? BIGINT_ARRAY_OID : InvalidOid;
    return ERR_OK;
}

static enum err_code give_columns(struct key_ask *ask, const Oid *oids, struct err *err)
{
    size_t n = (size_t)PQnfields(ask->columns);
    struct column *columns;
    enum err_code rc = row_decoder_init(&ask->decoder, &ask->types, oids, n, err);
    if (rc)
        return rc;
    rc = pg_result_columns(ask->columns, &ask->types, &columns, err);
    if (rc)
        return rc;
    ask->in_callback = true;
    ask->events.on_columns(ask->events.ctx, columns, n);
    ask->in_callback = false;
    free(columns);
    return ERR_OK;
}

static enum err_code put_probe(struct key_ask *ask, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < ask->model->primary_key_count && !rc; i++)
        rc = find_key(ask, i, err);
    struct key_text text = text_of(ask);
    buf_reset(&ask->sent);
    return rc ? rc : key_text_probe(&text, &ask->sent, err);
}

/* Asks for types until none is missing. */
static enum err_code resolve_types(struct key_ask *ask, enum ask_step *next, struct err *err)
{
    Oid *oids = NULL;
    enum err_code rc = pg_result_oids(ask->columns, &oids, err);
    if (!rc)
        rc = types_query(&ask->types, oids, (size_t)PQnfields(ask->columns), &ask->sent, err);
    *next = ask->sent.len ? ASK_TYPES : ASK_PROBE;
    free(oids);
    return rc || ask->sent.len ? rc : put_probe(ask, err);
}

static enum err_code take_description(struct key_ask *ask, enum ask_step *next, struct err *err)
{
    if (ask->columns && !pg_result_same_columns(ask->columns, ask->answer))
        return err_set(err, ERR_STALE, "the model has other columns than before");
    if (!ask->columns) {
        ask->columns = ask->answer;
        ask->answer = NULL;
    }
    enum err_code rc = pg_result_is_model(ask->columns, err);
    return rc ? rc : resolve_types(ask, next, err);
}

static enum err_code take_types(struct key_ask *ask, enum ask_step *next, struct err *err)
{
    enum err_code rc = types_learn(&ask->types, ask->answer, err);
    return rc ? rc : resolve_types(ask, next, err);
}

static enum err_code put_rows(struct key_ask *ask, struct err *err)
{
    struct key_text text = text_of(ask);
    buf_reset(&ask->sent);
    return key_text_rows(&text, &ask->sent, &ask->chars_before, err);
}

static enum err_code take_probed(struct key_ask *ask, enum ask_step *next, struct err *err)
{
    if (PQnparams(ask->answer) != (int)ask->model->primary_key_count)
        return err_set(err, ERR_SQL, "the warehouse does not say as what keys are compared");
    for (size_t i = 0; i < ask->model->primary_key_count; i++) {
        ask->keys[i].array = PQparamtype(ask->answer, (int)i);
        if (ask->keys[i].array == RECORD_ARRAY_OID)
            return err_set(err, ERR_CONFIG,
                           "the primary key's column %s is composite, whose rows cannot be asked "
                           "for; give its parts as columns of the key",
                           ask->model->primary_key[i]);
    }
    if (ask->model->primary_key_count == 1 || ask->relation.len == 0)
        return put_rows(ask, err);
    *next = ASK_RELATION;
    return ERR_OK;
}

static enum err_code take_relation(struct key_ask *ask, enum ask_step *next, struct err *err)
{
    (void)next;
    ask->plain = PQntuples(ask->answer) == 1 && PQgetvalue(ask->answer, 0, 0)[0] == 't';
    return put_rows(ask, err);
}

static enum err_code take_horizon(struct key_ask *ask, enum ask_step *next, struct err *err)
{
    (void)next, (void)err;
    ask->has_horizon = true;
    return ERR_OK;
}

static const struct {
    int (*send)(struct key_ask *ask);
    enum err_code (*take)(struct key_ask *ask, enum ask_step *next, struct err *err);
    enum ask_step next;
} steps[] = {
    [ASK_BEGIN] = {send_begin, NULL, ASK_SETTINGS},
    [ASK_SETTINGS] = {send_settings, NULL, ASK_MODEL},
    [ASK_AGAIN] = {send_rollback, NULL, ASK_BEGIN},
    [ASK_MODEL] = {send_model, NULL, ASK_DESCRIBE},
    [ASK_DESCRIBE] = {send_describe, take_description, ASK_PROBE},
    [ASK_TYPES] = {send_types, take_types, ASK_PROBE},
    [ASK_PROBE] = {send_probe, NULL, ASK_PROBED},
    [ASK_PROBED] = {send_probed, take_probed, ASK_ROWS},
    [ASK_RELATION] = {send_relation, take_relation, ASK_ROWS},
    [ASK_ROWS] = {send_rows, NULL, ASK_KEEP},
    [ASK_KEEP] = {send_keep, NULL, ASK_HORIZON},
    [ASK_HORIZON] = {send_horizon, take_horizon, ASK_END},
    [ASK_END] = {send_rollback, NULL, ASK_READY},
};

/* ---- moving ---- */

static enum err_code first_time(struct key_ask *ask, struct err *err)
{
    Oid *oids = NULL;
    enum err_code rc = pg_result_oids(ask->columns, &oids, err);
    if (!rc)
        rc = give_columns(ask, oids, err);
    free(oids);
    return rc;
}

static void become_ready(struct key_ask *ask)
{
    struct err err;
    enum err_code rc = ERR_OK;
    if (!PQenterPipelineMode(conn_of(ask)))
        rc = err_set(&err, ERR_BUG, "the connection cannot take several requests at once");
    if (!rc && !ask->described) {
        ask->described = true; /* a question may be sent from within on_columns */
        rc = first_time(ask, &err);
        ask->described = rc == ERR_OK;
    }
    if (rc)
        ask_fail(ask, &err);
    else if (ask->step == ASK_READY)
        ask_ready(ask);
}

static void enter(struct key_ask *ask, enum ask_step step)
{
    ask->step = step;
    if (step == ASK_READY) {
        become_ready(ask);
        return;
    }
    if (steps[step].send(ask)) {
        pg_link_sent(ask->link);
        return;
    }
    struct err err;
    const char *why = PQerrorMessage(conn_of(ask));
    err_set(&err, *why ? ERR_UNREACHABLE : ERR_NOMEM, "the warehouse cannot be asked: %s",
            *why ? why : "no memory");
    ask_fail(ask, &err);
}

/* A refusal after which there is another way. */
static bool is_passable(struct key_ask *ask, enum ask_step *next)
{
    if (!PQresultErrorField(ask->answer, PG_DIAG_SQLSTATE))
        return false;
    if (ask->step == ASK_SETTINGS && ask->settings < PG_SETTINGS_LEAST) {
        ask->settings++;
        *next = ASK_AGAIN;
        return true;
    }
    if (ask->step == ASK_HORIZON) {
        ask->has_horizon = false;
        *next = ASK_END;
        return true;
    }
    return false;
}

static bool is_error(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}

static enum err_code refusal(struct key_ask *ask, struct err *err)
{
    struct pg_statement_place place = {buf_slice(&ask->text), 0};
    enum err_code rc = ask_error(ask->answer, ask->step == ASK_MODEL ? &place : NULL, err);
    if (ask->step == ASK_PROBE && rc == ERR_SQL)
        err_prefix(err, "rows cannot be asked for by the primary key, whose columns must be of "
                        "types that can be compared");
    return rc;
}

static void finish_step(struct key_ask *ask)
{
    struct err err;
    enum ask_step next = steps[ask->step].next;
    enum err_code rc = ERR_OK;
    if (!ask->answer || is_error(ask->answer)) {
        if (!ask->answer || !is_passable(ask, &next))
            rc = refusal(ask, &err);
    } else if (steps[ask->step].take) {
        rc = steps[ask->step].take(ask, &next, &err);
    }
    PQclear(ask->answer);
    ask->answer = NULL;
    if (rc)
        ask_fail(ask, &err);
    else
        enter(ask, next);
}

void ask_open_input(struct key_ask *ask)
{
    while (ask->step > ASK_CONNECT && ask->step < ASK_READY && ask_has_result(ask)) {
        PGresult *result = PQgetResult(conn_of(ask));
        if (!result) {
            finish_step(ask);
        } else if (ask->answer && is_error(ask->answer)) {
            PQclear(result);
        } else {
            PQclear(ask->answer);
            ask->answer = result;
        }
    }
}

static void on_open(void *ctx)
{
    struct key_ask *ask = ctx;
    struct err err;
    enum err_code rc = ERR_OK;
    buf_reset(&ask->text);
    if (PQserverVersion(conn_of(ask)) < VERSION_UNNEST_MANY)
        rc = err_set(&err, ERR_CONFIG,
                     "rows can be asked for by their keys from PostgreSQL 9.4 on; this server is "
                     "older or another product (version %d)",
                     PQserverVersion(conn_of(ask)));
    const char *relation = ask->relation.len ? buf_cstr(&ask->relation) : NULL;
    if (!rc)
        rc = model_text_statement(conn_of(ask), ask->model, relation, &ask->text, &err);
    if (rc)
        ask_fail(ask, &err);
    else
        enter(ask, ASK_BEGIN);
}

static void on_refused(void *ctx, const struct err *err)
{
    ask_fail(ctx, err);
}

enum err_code ask_open(struct key_ask *ask, struct err *err)
{
    const struct pg_link_events events = {on_open, on_refused, ask_input, ask};
    ask->settings = PG_SETTINGS_ALL;
    ask->plain = false;
    enum err_code rc = pg_link_open(ask->base, ask->model->source, &events, &ask->link, err);
    if (!rc)
        ask->step = ASK_CONNECT;
    return rc;
}
