/* Reads: runs and rejected records in state. Writes: tables in the warehouse, then `warehouse:SYNC`
 * in state. A crash here: the run that was written last is written again, which changes nothing. */
#include "scheduler/report/warehouse.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/clock.h"
#include "protocol/base/random.h"
#include "scheduler/report/warehouse_sql.h"
#include "scheduler/source/pg_link.h"
#include "scheduler/state/limits.h"

enum {
    STEP_DEADLINE_MS = 30000,
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_MAX_MS = 300000,
    BACKOFF_SHIFT_MAX = 9,
    BACKLOG_RUNS = 200, /* of a sync that are made up for; older ones are left out */
    MARK_NAME_BYTES = STATE_NAME_MAX + 16,
    WORDS_BYTES = 300,
};

enum warehouse_step { STEP_IDLE, STEP_OPEN, STEP_SETUP, STEP_WRITE };

struct pending {
    const struct sync *sync;
    bool any; /* there may be runs to write */
};

struct warehouse {
    struct event_base *base;
    struct control *control;
    const struct log *log;
    struct pending *syncs;
    size_t sync_count;
    struct pg_link *link;
    enum warehouse_step step;
    int64_t deadline_ms; /* monotonic, of the step */
    int64_t next_ms;     /* monotonic: not before */
    unsigned failures;
    bool dead;               /* the link is to be closed once its callback is over */
    char words[WORDS_BYTES]; /* why the answer at hand is an error; empty: it is none */
    struct run_record run;   /* being written */
};

/* ---- what there is to write ---- */

static void mark_name(const char *sync, char *out)
{
    snprintf(out, MARK_NAME_BYTES, "warehouse:%s", sync);
}

/* When the run that was written last ended. */
static int64_t mark_get(struct warehouse *w, const char *sync)
{
    char name[MARK_NAME_BYTES];
    struct err err;
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 64);
    mark_name(sync, name);
    if (state_misc_get(control_state(w->control), name, &text, &err) || !buf_cstr(&text))
        return 0;
    return strtoll(text.p, NULL, 10);
}

static enum err_code mark_put(struct warehouse *w, const struct run_record *r, struct err *err)
{
    char name[MARK_NAME_BYTES], text[32];
    mark_name(r->sync, name);
    snprintf(text, sizeof text, "%lld", (long long)r->ended_ms);
    return state_misc_put(control_state(w->control), name, slice_str(text), err);
}

struct search {
    int64_t after_ms;
    struct run_record *oldest;
    bool found;
};

static bool look_at(void *ctx, const struct run_record *r)
{
    struct search *s = ctx;
    if (run_status_ended(r->status) && r->ended_ms > s->after_ms &&
        (!s->found || r->ended_ms < s->oldest->ended_ms)) {
        *s->oldest = *r;
        s->found = true;
    }
    return true;
}

/* The oldest run that is not written yet, into w->run. */
static bool find_run(struct warehouse *w)
{
    for (size_t i = 0; i < w->sync_count; i++) {
        struct pending *p = &w->syncs[i];
        struct search s = {.after_ms = p->any ? mark_get(w, p->sync->name) : 0, .oldest = &w->run};
        struct err err;
        if (!p->any)
            continue;
        if (!state_run_list(control_state(w->control), p->sync->name, BACKLOG_RUNS, look_at, &s,
                            &err) &&
            s.found)
            return true;
        p->any = false;
    }
    return false;
}

/* ---- the way to the warehouse ---- */

static void close_link(struct warehouse *w)
{
    pg_link_close(w->link, false);
    w->link = NULL;
    w->step = STEP_IDLE;
    w->dead = false;
}

static void go(struct warehouse *w, enum warehouse_step step)
{
    w->step = step;
    w->deadline_ms = clock_mono_ms() + STEP_DEADLINE_MS;
}

/* The link is closed in the next turn: this may be its callback. */
static void fail(struct warehouse *w, const char *why)
{
    unsigned shift = w->failures < BACKOFF_SHIFT_MAX ? w->failures : BACKOFF_SHIFT_MAX;
    int64_t most = (int64_t)BACKOFF_FIRST_MS << shift;
    most = most < BACKOFF_MAX_MS ? most : BACKOFF_MAX_MS;
    int64_t pause_ms = most / 2 + (int64_t)random_below((uint64_t)most / 2 + 1);
    w->failures++;
    w->next_ms = clock_mono_ms() + pause_ms;
    w->dead = true;
    log_event(w->log, LOG_WARN, "warehouse_log_failed", LOG_STR("reason", why),
              LOG_INT("again_ms", pause_ms));
}

static void send_setup(struct warehouse *w)
{
    const struct settings *s = &control_project(w->control)->settings;
    PGconn *conn = pg_link_conn(w->link);
    CLEANUP(buf_done) struct buf sql;
    buf_init(&sql, WAREHOUSE_SQL_BYTES);
    go(w, STEP_SETUP);
    w->words[0] = '\0';
    if (warehouse_sql_setup(conn, s->warehouse_schema, &sql) || !buf_cstr(&sql))
        fail(w, "no memory for the log");
    else if (!PQsendQuery(conn, sql.p))
        fail(w, "the connection was lost");
    else
        pg_link_sent(w->link);
}

static void send_run(struct warehouse *w)
{
    const struct settings *s = &control_project(w->control)->settings;
    PGconn *conn = pg_link_conn(w->link);
    struct warehouse_params params;
    struct err err;
    CLEANUP(buf_done) struct buf sql;
    buf_init(&sql, WAREHOUSE_SQL_BYTES);
    go(w, STEP_WRITE);
    w->words[0] = '\0';
    if (warehouse_params_make(control_state(w->control), &w->run, &params, &err))
        fail(w, err.text);
    else if (warehouse_sql_run(conn, s->warehouse_schema, &sql) || !buf_cstr(&sql))
        fail(w, "no memory for the log");
    else if (!PQsendQueryParams(conn, sql.p, WAREHOUSE_PARAMS, NULL, params.values, NULL, NULL, 0))
        fail(w, "the connection was lost");
    else
        pg_link_sent(w->link);
    warehouse_params_done(&params);
}

static void on_open(void *ctx)
{
    send_setup(ctx);
}

static void on_refused(void *ctx, const struct err *err)
{
    fail(ctx, err->text);
}

/* The server's message and SQLSTATE, but no detail: it may quote what was written. */
static void note_error(struct warehouse *w, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(w->words, sizeof w->words, "%s (SQLSTATE %s)",
             message ? message : "the connection was lost", state ? state : "none");
}

/* True once the statement at hand is answered whole. */
static bool take_answer(struct warehouse *w)
{
    PGconn *conn = pg_link_conn(w->link);
    while (pg_link_lost(w->link) || !PQisBusy(conn)) {
        PGresult *result = PQgetResult(conn);
        if (!result)
            return true;
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && !w->words[0])
            note_error(w, result);
        PQclear(result);
    }
    return false;
}

static void write_next(struct warehouse *w)
{
    if (find_run(w))
        send_run(w);
    else
        w->dead = true; /* until there is more */
}

static void on_input(void *ctx)
{
    struct warehouse *w = ctx;
    struct err err;
    if (w->dead || !take_answer(w))
        return;
    if (!w->words[0] && pg_link_lost(w->link))
        snprintf(w->words, sizeof w->words, "the connection was lost");
    if (w->words[0]) {
        fail(w, w->words);
        return;
    }
    w->failures = 0;
    if (w->step == STEP_WRITE && mark_put(w, &w->run, &err)) {
        fail(w, err.text);
        return;
    }
    write_next(w);
}

static void open_link(struct warehouse *w)
{
    const struct pg_link_events events = {
        .on_open = on_open, .on_refused = on_refused, .on_input = on_input, .ctx = w};
    struct err err;
    go(w, STEP_OPEN);
    if (pg_link_open(w->base, control_project(w->control)->settings.warehouse_log, &events,
                     &w->link, &err)) {
        w->link = NULL;
        fail(w, err.text);
    }
}

/* ---- what others call ---- */

void warehouse_run(struct warehouse *w, const char *sync)
{
    for (size_t i = 0; w && i < w->sync_count; i++)
        if (strcmp(w->syncs[i].sync->name, sync) == 0)
            w->syncs[i].any = true;
}

void warehouse_turn(struct warehouse *w)
{
    int64_t now_ms = clock_mono_ms();
    if (!w)
        return;
    if (w->step != STEP_IDLE && !w->dead && now_ms >= w->deadline_ms)
        fail(w, "no answer in time");
    if (w->dead)
        close_link(w);
    if (w->step == STEP_IDLE && now_ms >= w->next_ms && find_run(w))
        open_link(w);
}

/* ---- life ---- */

enum err_code warehouse_new(struct event_base *base, struct control *c, const struct log *log,
                            struct warehouse **ret_warehouse, struct err *err)
{
    const struct project *p = control_project(c);
    *ret_warehouse = NULL;
    if (!p->settings.warehouse_log)
        return ERR_OK;
    struct warehouse *w = calloc(1, sizeof *w);
    struct pending *syncs = calloc(p->sync_count + 1, sizeof *syncs);
    if (!w || !syncs) {
        free(w);
        free(syncs);
        return err_set(err, ERR_NOMEM, "no memory for the warehouse's log");
    }
    w->base = base;
    w->control = c;
    w->log = log;
    w->syncs = syncs;
    for (size_t i = 0; i < p->sync_count; i++)
        w->syncs[w->sync_count++] = (struct pending){&p->syncs[i], true};
    *ret_warehouse = w;
    return ERR_OK;
}

void warehouse_free(struct warehouse *w)
{
    if (!w)
        return;
    pg_link_close(w->link, false);
    free(w->syncs);
    free(w);
}
