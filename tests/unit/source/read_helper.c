#include "tests/unit/source/read_helper.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEPT_LIMIT_BYTES = 256 << 20, DEADLINE_S = 60, PAUSE_MS = 3 };

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "read_helper: %s\n", what);
    abort();
}

static const char *const kinds[] = {
    [VALUE_NULL] = "null",      [VALUE_FALSE] = "false", [VALUE_TRUE] = "true",
    [VALUE_NUMBER] = "number:", [VALUE_TEXT] = "text:",  [VALUE_JSON] = "json:",
    [VALUE_ABSENT] = "absent",  [VALUE_BAD] = "bad:",
};

static const char *const types[] = {
    [COLUMN_INT] = "int",     [COLUMN_NUMERIC] = "numeric",     [COLUMN_FLOAT] = "float",
    [COLUMN_BOOL] = "bool",   [COLUMN_TEXT] = "text",           [COLUMN_JSON] = "json",
    [COLUMN_DATE] = "date",   [COLUMN_BYTES] = "bytes",         [COLUMN_ARRAY] = "array",
    [COLUMN_OTHER] = "other", [COLUMN_TIMESTAMP] = "timestamp",
};

void read_run_keep_columns(struct read_run *run, const struct column *columns, size_t count)
{
    run->column_calls++;
    for (size_t i = 0; i < count; i++)
        must(!buf_printf(&run->columns, "%s:%s:%s\n", columns[i].name, columns[i].type_name,
                         types[columns[i].type]),
             "no memory");
}

static enum err_code on_columns(void *ctx, const struct column *columns, size_t count,
                                struct err *err)
{
    (void)err;
    struct read_run *run = ctx;
    run->lost_snapshot = source_read_lost_snapshot(run->read);
    read_run_keep_columns(run, columns, count);
    return ERR_OK;
}

static void resume(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct read_run *run = ctx;
    run->paused = false;
    source_read_resume(run->read);
}

void read_run_keep_row(struct read_run *run, const struct row *row)
{
    run->row_count++;
    if (run->row_count > READ_KEPT_ROWS)
        return;
    for (uint16_t i = 0; i < row->n; i++) {
        struct value v = row->values[i];
        must(!buf_puts(&run->rows, kinds[v.kind]) && !buf_put(&run->rows, v.p, v.n) &&
                 !buf_putc(&run->rows, '\n'),
             "no memory");
    }
}

static enum err_code on_row(void *ctx, const struct row *row, struct err *err)
{
    struct read_run *run = ctx;
    if (run->paused)
        run->rows_while_paused++;
    read_run_keep_row(run, row);
    if (run->on_row)
        run->on_row(run, row);
    if (run->row_count == run->refuse_row)
        return err_set(err, ERR_STOPPED, "refused at row %zu", run->row_count);
    if (run->pause_every && run->row_count % run->pause_every == 0) {
        struct timeval delay = {0, PAUSE_MS * 1000};
        run->paused = true;
        source_read_pause(run->read);
        event_base_once(run->base, -1, EV_TIMEOUT, resume, run, &delay);
    }
    if (run->row_count == run->free_at_row) {
        source_read_pause(run->read);
        event_base_loopbreak(run->base);
    }
    return ERR_OK;
}

static void on_end(void *ctx, const struct err *err)
{
    struct read_run *run = ctx;
    must(!run->ended, "on_end came twice");
    run->ended = true;
    run->ok = err == NULL;
    if (err)
        run->err = *err;
    if (run->on_end)
        run->on_end(run);
    event_base_loopbreak(run->base);
}

void read_run_init(struct read_run *run, const struct postgres_server *server,
                   enum read_method method, const char *sql)
{
    *run = (struct read_run){0};
    run->params[0] = (struct param){"host", server->dir};
    run->params[1] = (struct param){"user", "postgres"};
    run->params[2] = (struct param){"dbname", "postgres"};
    run->source = (struct source){.name = "warehouse",
                                  .type = "postgres",
                                  .params = run->params,
                                  .param_count = 3,
                                  .read = method};
    run->model = (struct model){.name = "m", .source = &run->source, .sql = sql};
    buf_init(&run->columns, KEPT_LIMIT_BYTES);
    buf_init(&run->rows, KEPT_LIMIT_BYTES);
    run->base = event_base_new();
    must(run->base != NULL, "no loop");
}

void read_run_go(struct read_run *run)
{
    struct source_events events = {on_columns, on_row, on_end, run};
    run->model.source = &run->source;
    run->source.params = run->params;
    if (source_read_start_at(run->base, &run->model, run->snapshot, &events, &run->read,
                             &run->err)) {
        run->ended = true;
        return;
    }
    struct timeval deadline = {DEADLINE_S, 0};
    event_base_loopexit(run->base, &deadline);
    event_base_dispatch(run->base);
    must(run->ended || run->free_at_row, "the read did not end in time");
    source_read_free(run->read);
    run->read = NULL;
    must(buf_cstr(&run->rows) && buf_cstr(&run->columns), "no memory");
}

void read_run_done(struct read_run *run)
{
    event_base_free(run->base);
    buf_done(&run->columns);
    buf_done(&run->rows);
}
