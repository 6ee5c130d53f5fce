#include "tests/unit/source/ask_helper.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DEADLINE_S = 60, TURN_MS = 2 };

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "ask_helper: %s\n", what);
    abort();
}

static void on_columns(void *ctx, const struct column *columns, size_t count)
{
    struct ask_run *run = ctx;
    read_run_keep_columns(&run->read, columns, count);
}

static enum err_code on_row(void *ctx, const struct row *row, struct err *err)
{
    struct ask_run *run = ctx;
    read_run_keep_row(&run->read, row);
    if (run->read.row_count == run->refuse_row)
        return err_set(err, ERR_STOPPED, "refused at row %zu", run->read.row_count);
    return ERR_OK;
}

static void on_horizon(void *ctx, uint64_t horizon)
{
    struct ask_run *run = ctx;
    must(!run->told && !run->read.row_count && !run->answered, "the horizon comes first, once");
    run->told = true;
    run->horizon = horizon;
}

static void on_answer(void *ctx, const struct err *err)
{
    struct ask_run *run = ctx;
    must(!run->answered, "on_answer came twice");
    run->answered = true;
    run->ok = err == NULL;
    must(run->told || !run->ok, "the horizon was told");
    if (err)
        run->err = *err;
}

static void on_refused(void *ctx, const struct err *err)
{
    struct ask_run *run = ctx;
    must(!run->refused, "on_refused came twice");
    run->refused = true;
    run->err = *err;
}

void ask_run_init(struct ask_run *run, const struct postgres_server *server, const char *sql,
                  const char *key)
{
    static char names[64][64];
    static size_t used;
    *run = (struct ask_run){0};
    read_run_init(&run->read, server, READ_AUTO, sql);
    char *rest = names[used++ % 64];
    snprintf(rest, sizeof names[0], "%s", key);
    for (char *name; (name = strsep(&rest, ","));)
        run->key[run->read.model.primary_key_count++] = name;
}

void ask_run_until(struct ask_run *run, bool (*done)(struct ask_run *run))
{
    time_t deadline = time(NULL) + DEADLINE_S;
    struct timeval turn = {0, TURN_MS * 1000};
    while (!done(run)) {
        must(time(NULL) < deadline, "what is waited for does not come");
        event_base_loopexit(run->read.base, &turn);
        event_base_loop(run->read.base, EVLOOP_ONCE);
    }
}

static bool is_described(struct ask_run *run)
{
    return run->read.column_calls || run->refused;
}

bool ask_run_is_answered(struct ask_run *run)
{
    return run->answered;
}

bool ask_run_start(struct ask_run *run)
{
    struct key_ask_events events = {on_columns, on_horizon, on_row, on_answer, on_refused, run};
    run->read.model.source = &run->read.source;
    run->read.source.params = run->read.params;
    run->read.model.primary_key = run->key;
    if (key_ask_start(run->read.base, &run->read.model, &events, &run->ask, &run->err)) {
        run->refused = true;
        return false;
    }
    ask_run_until(run, is_described);
    must(buf_cstr(&run->read.columns) != NULL, "no memory");
    return !run->refused;
}

bool ask_run_ask(struct ask_run *run, const struct value *keys, size_t count)
{
    buf_reset(&run->read.rows);
    run->read.row_count = 0;
    run->answered = run->told = false;
    if (key_ask_send(run->ask, keys, count, &run->err))
        return false;
    must(key_ask_busy(run->ask), "it is not busy");
    ask_run_until(run, ask_run_is_answered);
    must(!key_ask_busy(run->ask), "it is busy still");
    must(buf_cstr(&run->read.rows) != NULL, "no memory");
    return run->ok;
}

void ask_run_done(struct ask_run *run)
{
    key_ask_free(run->ask);
    read_run_done(&run->read);
}
