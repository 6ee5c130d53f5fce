/* Sources and models: a connection, the statement described and planned, every sync's columns. */
#include "scheduler/cli/connect.h"
#include "scheduler/map/map.h"
#include "scheduler/source/pg_connect.h"
#include "scheduler/source/pg_shape.h"
#include "scheduler/source/source.h"
#include "scheduler/stream/events_feed.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

struct look {
    struct connect_report *report;
    const struct project *project;
    const struct model *model;
    struct event_base *base;
    size_t columns;
    bool described;
    struct err err; /* why it was not described */
};

/* ---- columns ---- */

static bool has_order(enum column_type type)
{
    return type == COLUMN_INT || type == COLUMN_NUMERIC || type == COLUMN_FLOAT ||
           type == COLUMN_DATE || type == COLUMN_TIMESTAMP;
}

/* What a poll goes by. */
static enum err_code check_cursor(const struct sync *s, const struct column *columns, size_t count,
                                  struct err *err)
{
    const struct schedule_stream *stream = &s->schedule.stream;
    if (s->schedule.kind != SCHEDULE_STREAM || stream->from != STREAM_POLL)
        return ERR_OK;
    size_t i = 0;
    while (i < count && strcmp(columns[i].name, stream->cursor) != 0)
        i++;
    if (i == count)
        return err_set(err, ERR_CONFIG, "the model has no column %s, the `cursor` of its stream",
                       stream->cursor);
    return has_order(columns[i].type)
               ? ERR_OK
               : err_set(err, ERR_CONFIG,
                         "the cursor %s is %s: it must be a time, a date or a number",
                         stream->cursor, columns[i].type_name);
}

static void check_sync(struct look *l, const struct sync *s, const struct column *columns,
                       size_t count)
{
    struct map_program *map = NULL;
    struct err err;
    enum err_code rc = map_compile(s, columns, count, &map, &err);
    char text[64];
    if (!rc)
        rc = check_cursor(s, columns, count, &err);
    snprintf(text, sizeof text, "%zu fields", s->map_all ? count : s->mapping_count);
    connect_say(l->report, "sync", s->name, rc ? &err : NULL, text);
    map_free(map);
}

static void check_syncs(struct look *l, const struct column *columns, size_t count)
{
    for (size_t i = 0; i < l->project->sync_count; i++)
        if (l->project->syncs[i].model == l->model)
            check_sync(l, &l->project->syncs[i], columns, count);
}

/* Ends the read before the statement is carried out. */
static enum err_code on_columns(void *ctx, const struct column *columns, size_t count,
                                struct err *err)
{
    struct look *l = ctx;
    l->described = true;
    l->columns = count;
    check_syncs(l, columns, count);
    return err_set(err, ERR_STOPPED, "described");
}

static enum err_code on_row(void *ctx, const struct row *row, struct err *err)
{
    (void)ctx;
    (void)row;
    return err_set(err, ERR_BUG, "a row was read");
}

static void on_end(void *ctx, const struct err *err)
{
    struct look *l = ctx;
    if (!l->described && err)
        l->err = *err;
    event_base_loopbreak(l->base);
}

static enum err_code describe(struct look *l, struct err *err)
{
    struct source_events events = {on_columns, on_row, on_end, l};
    struct source_read *read = NULL;
    enum err_code rc = source_read_start(l->base, l->model, &events, &read, err);
    if (rc)
        return rc;
    event_base_dispatch(l->base);
    source_read_free(read);
    if (!l->described)
        *err = l->err;
    return l->described ? ERR_OK : err->code;
}

static void check_model(struct look *l, PGconn *conn)
{
    struct err err = {0};
    char text[64];
    enum err_code rc = describe(l, &err);
    if (!rc && pg_shape_readable(conn, l->model, &err))
        rc = err_prefix(&err, "model %s", l->model->name);
    snprintf(text, sizeof text, "%zu columns", l->columns);
    connect_say(l->report, "model", l->model->name, rc ? &err : NULL, text);
}

/* ---- sources ---- */

static void server_text(PGconn *conn, char *out, size_t n)
{
    const char *version = PQparameterStatus(conn, "server_version");
    snprintf(out, n, "%s %s%s", PQuser(conn) ? PQuser(conn) : "", version ? version : "connected",
             PQsslInUse(conn) ? ", TLS" : "");
}

static void check_source(struct connect_report *r, const struct project *p, const struct source *s,
                         struct event_base *base)
{
    PGconn *conn = NULL;
    struct err err = {0};
    char text[128] = "";
    enum err_code rc = pg_connect(s, &conn, &err);
    if (!rc)
        server_text(conn, text, sizeof text);
    connect_say(r, "source", s->name, rc ? &err : NULL, text);
    for (size_t i = 0; i < p->model_count && !rc; i++) {
        struct look l = {.report = r, .project = p, .model = &p->models[i], .base = base};
        if (p->models[i].source == s)
            check_model(&l, conn);
    }
    if (!rc)
        connect_streams(r, p, s, conn);
    PQfinish(conn);
}

/* Its models say what they consist of; whether the stream is there yet does not matter. */
static void check_redis(struct connect_report *r, const struct project *p, const struct source *s)
{
    struct column columns[EVENTS_COLUMNS_MAX];
    char text[512] = "";
    struct err err;
    enum err_code rc = connect_redis_source(s, text, sizeof text, &err);
    connect_say(r, "source", s->name, rc ? &err : NULL, text);
    for (size_t i = 0; i < p->model_count && !rc; i++) {
        struct look l = {.report = r, .project = p, .model = &p->models[i]};
        if (p->models[i].source != s)
            continue;
        size_t count = events_columns(l.model, columns);
        snprintf(text, sizeof text, "%zu columns of events", count);
        connect_say(r, "model", l.model->name, NULL, text);
        check_syncs(&l, columns, count);
    }
}

void connect_sources(struct connect_report *r, const struct project *p)
{
    struct event_base *base = event_base_new();
    struct err err;
    if (!base) {
        err_set(&err, ERR_NOMEM, "no memory for an event loop");
        connect_say(r, "sources", "", &err, "");
        return;
    }
    for (size_t i = 0; i < p->source_count; i++)
        if (source_is_redis(&p->sources[i]))
            check_redis(r, p, &p->sources[i]);
        else
            check_source(r, p, &p->sources[i], base);
    event_base_free(base);
}
