#include "tests/unit/stream/cdc_world.h"

#include "protocol/base/clock.h"
#include "scheduler/source/source.h"
#include "scheduler/stream/slots.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEADLINE_MS = 60000, LOG_BYTES = 512 << 20 };

static const char *const keys[] = {"id"};

static void must(bool ok, const char *what, struct cdc_world *w)
{
    if (ok)
        return;
    fprintf(stderr, "cdc_world: %s\nlog:\n%s\n", what, w && buf_cstr(&w->log) ? w->log.p : "");
    abort();
}

static void put_value(struct buf *out, struct value v)
{
    static const char *const kinds[] = {
        [VALUE_NULL] = "null",      [VALUE_FALSE] = "false", [VALUE_TRUE] = "true",
        [VALUE_NUMBER] = "number:", [VALUE_TEXT] = "text:",  [VALUE_JSON] = "json:",
        [VALUE_ABSENT] = "absent",  [VALUE_BAD] = "bad:",
    };
    must(!buf_puts(out, kinds[v.kind]) && !buf_put(out, v.p, v.n), "no memory", NULL);
}

static void put_values(struct buf *out, const char *word, const struct value *values, size_t n)
{
    must(!buf_puts(out, word), "no memory", NULL);
    for (size_t i = 0; i < n; i++) {
        must(!buf_putc(out, i ? '|' : ' '), "no memory", NULL);
        put_value(out, values[i]);
    }
    must(!buf_putc(out, '\n'), "no memory", NULL);
}

/* ---- what the feed gives ---- */

static enum err_code on_change(void *ctx, const struct change *change, struct err *err)
{
    struct cdc_world *w = ctx;
    w->changes++;
    if (w->refuses)
        return err_set(err, ERR_REFUSED, "the owner refuses");
    if (w->counts)
        return ERR_OK;
    if (change->kind == CHANGE_ROW) {
        must(change->row->n == w->column_count, "a row of another width", w);
        put_values(&w->log, "row", change->row->values, change->row->n);
    } else {
        put_values(&w->log, change->kind == CHANGE_KEY ? "key" : "gone", change->key,
                   w->model.primary_key_count);
    }
    return ERR_OK;
}

static void on_mark(void *ctx, const struct feed_position *at)
{
    struct cdc_world *w = ctx;
    bool idle = w->changes == w->changes_marked;
    w->mark = *at;
    w->marks += !idle;
    w->changes_marked = w->changes;
    if (!w->counts && !idle)
        must(!buf_puts(&w->log, "mark\n"), "no memory", w);
    if (w->confirms) {
        w->from = *at;
        w->feed->ops->confirm(w->feed, at);
    }
}

static void on_turn(void *ctx)
{
    ((struct cdc_world *)ctx)->turns++;
}

static void on_trouble(void *ctx, enum feed_trouble what, const struct err *err)
{
    static const char *const words[] = {[FEED_LOST] = "lost",
                                        [FEED_BACK] = "back",
                                        [FEED_RESYNC] = "resync",
                                        [FEED_FAILED] = "failed"};
    struct cdc_world *w = ctx;
    must(!buf_printf(&w->log, "%s%s%s\n", words[what], err ? ": " : "", err ? err->text : ""),
         "no memory", w);
    w->backs += what == FEED_BACK;
    w->flows = what == FEED_BACK;
    w->losses += what == FEED_LOST;
    w->failures += what == FEED_FAILED;
    if (err)
        w->why = err->code;
    if (what != FEED_RESYNC)
        return;
    const char *snapshot = w->feed->ops->snapshot(w->feed);
    snprintf(w->snapshot, sizeof w->snapshot, "%s", snapshot ? snapshot : "");
    w->resyncs_told++;
    if (w->resyncs)
        w->feed->ops->resynced(w->feed);
}

/* ---- the model ---- */

static enum err_code on_columns(void *ctx, const struct column *columns, size_t count,
                                struct err *err)
{
    (void)err;
    struct cdc_world *w = ctx;
    if (w->columns)
        return ERR_OK;
    w->columns = calloc(count, sizeof *w->columns);
    must(w->columns, "no memory", w);
    w->column_count = count;
    for (size_t i = 0; i < count; i++)
        w->columns[i] =
            (struct column){strdup(columns[i].name), strdup(columns[i].type_name), columns[i].type};
    return ERR_OK;
}

static enum err_code on_row(void *ctx, const struct row *row, struct err *err)
{
    (void)err;
    struct cdc_world *w = ctx;
    put_values(&w->rows, "row", row->values, row->n);
    return ERR_OK;
}

static void on_end(void *ctx, const struct err *err)
{
    struct cdc_world *w = ctx;
    must(!err, err ? err->text : "", w);
    w->source.statement_timeout_ms = UINT64_MAX; /* the mark that it ended */
}

void world_read(struct cdc_world *w)
{
    struct source_events events = {on_columns, on_row, on_end, w};
    struct source_read *read = NULL;
    struct model model = w->model;
    struct source source = w->source;
    struct err err;
    char sql[512];
    snprintf(sql, sizeof sql, "select * from %s", model.table ? model.table : "public.t");
    if (model.column_count || !model.sql) {
        size_t n = (size_t)snprintf(sql, sizeof sql, "select ");
        for (size_t i = 0; i < model.column_count; i++)
            n += (size_t)snprintf(sql + n, sizeof sql - n, "%s%s", i ? "," : "", model.columns[i]);
        snprintf(sql + n, sizeof sql - n, "%s from %s", model.column_count ? "" : "*",
                 model.table ? model.table : "public.t");
        model.sql = sql;
    }
    model.table = NULL;
    model.source = &source;
    buf_reset(&w->rows);
    struct event_base *outer = w->base;
    w->base = event_base_new();
    must(!source_read_start(w->base, &model, &events, &read, &err), "no read", w);
    event_base_dispatch(w->base);
    must(w->source.statement_timeout_ms == UINT64_MAX, "the read did not end", w);
    w->source.statement_timeout_ms = 0;
    source_read_free(read);
    event_base_free(w->base);
    w->base = outer;
    must(buf_cstr(&w->rows) != NULL, "no memory", w);
}

static void forget_columns(struct cdc_world *w)
{
    for (size_t i = 0; i < w->column_count; i++) {
        free((char *)w->columns[i].name);
        free((char *)w->columns[i].type_name);
    }
    free(w->columns);
    w->columns = NULL;
    w->column_count = 0;
}

/* ---- life ---- */

void world_init(struct cdc_world *w, struct postgres_server *server)
{
    *w = (struct cdc_world){.server = server, .resyncs = true};
    w->params[0] = (struct param){"host", server->dir};
    w->params[1] = (struct param){"user", "postgres"};
    w->params[2] = (struct param){"dbname", "postgres"};
    w->source = (struct source){
        .name = "warehouse", .type = "postgres", .params = w->params, .param_count = 3};
    w->model = (struct model){.name = "m",
                              .source = &w->source,
                              .table = "public.t",
                              .primary_key = keys,
                              .primary_key_count = 1};
    w->sync = (struct sync){.name = "live", .model = &w->model};
    w->sync.schedule.kind = SCHEDULE_STREAM;
    w->sync.schedule.stream.from = STREAM_CDC;
    w->sync.schedule.stream.create = true;
    w->base = event_base_new();
    buf_init(&w->log, LOG_BYTES);
    buf_init(&w->rows, LOG_BYTES);
    must(w->base != NULL, "no loop", w);
}

void world_start(struct cdc_world *w)
{
    struct feed_events events = {on_change, on_mark, on_turn, on_trouble, w};
    struct err err;
    forget_columns(w);
    world_read(w);
    struct feed_options options = {.base = w->base,
                                   .sync = &w->sync,
                                   .state_id = "ABCDEF1234567890",
                                   .columns = w->columns,
                                   .column_count = w->column_count,
                                   .from = w->from,
                                   .keys_only = w->keys_only};
    must(!cdc_feed_ops.start(&options, &events, &w->feed, &err), "no feed", w);
}

void world_stop(struct cdc_world *w)
{
    if (w->feed)
        w->feed->ops->free(w->feed);
    w->feed = NULL;
    w->flows = 0;
}

void world_done(struct cdc_world *w)
{
    struct slot_names names;
    struct slot_dropped dropped;
    struct err err = {0};
    world_stop(w);
    slot_names_of(&w->sync, "ABCDEF1234567890", &names);
    PGconn *conn = postgres_server_connect(w->server, NULL);
    int64_t deadline = clock_mono_ms() + DEADLINE_MS;
    enum err_code rc;
    while ((rc = slot_drop(conn, &names, &dropped, &err)) == ERR_BUSY && clock_mono_ms() < deadline)
        world_run_ms(w, 5); /* the server has not noticed yet that the connection is closed */
    must(!rc, err.text, w);
    PQfinish(conn);
    forget_columns(w);
    event_base_free(w->base);
    buf_done(&w->log);
    buf_done(&w->rows);
}

/* ---- waiting ---- */

static void stop_loop(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(((struct cdc_world *)ctx)->base);
}

void world_run_ms(struct cdc_world *w, int ms)
{
    struct timeval wait = {ms / 1000, ms % 1000 * 1000};
    struct event *timer = evtimer_new(w->base, stop_loop, w);
    must(timer && !evtimer_add(timer, &wait), "no timer", w);
    while (evtimer_pending(timer, NULL))
        event_base_loop(w->base, EVLOOP_ONCE);
    event_free(timer);
}

const char *world_log(struct cdc_world *w)
{
    must(buf_cstr(&w->log) != NULL, "no memory", w);
    return w->log.p;
}

bool world_has(struct cdc_world *w, const char *part)
{
    return strstr(world_log(w), part) != NULL;
}

static void wait_some(struct cdc_world *w, int64_t deadline, const char *what)
{
    must(clock_mono_ms() < deadline, what, w);
    world_run_ms(w, 2);
}

void world_wait(struct cdc_world *w, const char *part)
{
    int64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (!world_has(w, part))
        wait_some(w, deadline, part);
}

void world_wait_count(struct cdc_world *w, const size_t *counter, size_t n)
{
    int64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (*counter < n)
        wait_some(w, deadline, "a counter that does not come");
}

void world_wait_sql(struct cdc_world *w, const char *sql)
{
    int64_t deadline = clock_mono_ms() + DEADLINE_MS;
    PGconn *conn = postgres_server_connect(w->server, NULL);
    for (;;) {
        PGresult *result = PQexec(conn, sql);
        bool yes = PQntuples(result) && PQgetvalue(result, 0, 0)[0] == 't';
        PQclear(result);
        if (yes)
            break;
        wait_some(w, deadline, sql);
    }
    PQfinish(conn);
}

size_t world_count(struct cdc_world *w, const char *word)
{
    size_t count = 0, n = strlen(word);
    for (const char *line = world_log(w); *line; line = strchr(line, '\n') + 1)
        count += strncmp(line, word, n) == 0;
    return count;
}

void world_forget(struct cdc_world *w)
{
    buf_reset(&w->log);
}

void world_sql(struct cdc_world *w, const char *sql)
{
    postgres_server_run(w->server, NULL, sql);
}

/* The horizon is where the log ended when it was looked at, a little behind what is there already:
 * rows that are written from then on have to come as rows. */
void world_settle(struct cdc_world *w)
{
    world_wait_count(w, &w->flows, 1);
    world_sql(w, "create table if not exists apart(n int); insert into apart values (1)");
    world_forget(w);
}

static uint64_t number(struct cdc_world *w, const char *sql)
{
    PGconn *conn = postgres_server_connect(w->server, NULL);
    PGresult *result = PQexec(conn, sql);
    uint64_t n = PQntuples(result) ? strtoull(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    PQfinish(conn);
    return n;
}

uint64_t world_confirmed(struct cdc_world *w)
{
    return number(w, "select (confirmed_flush_lsn - '0/0'::pg_lsn)::bigint from "
                     "pg_replication_slots where slot_name like 'sluice_%'");
}

uint64_t world_end(struct cdc_world *w)
{
    return number(w, "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint");
}
