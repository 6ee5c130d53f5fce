/* The engine's streams: one per sync whose schedule is a stream. Reads: the project in force.
 * Writes: runs of the streams. Invariant: a stream of a project that is no longer in force ends its
 * run before another of the same sync begins. A crash here: the next engine that stays opens them
 * again. */
#include "scheduler/run/engine_private.h"

#include "scheduler/run/stream_driver.h"

#include <stdio.h>
#include <stdlib.h>

struct engine_stream {
    struct stream_driver *driver;
    const struct project *project; /* its sync is of */
    bool leaves;
};

/* ---- what a stream asks of the engine ---- */

static bool may_begin(void *ctx, const struct sync *sync, bool *ret_yield)
{
    struct engine *e = ctx;
    struct err err;
    const char *why;
    *ret_yield = engine_asked(e, sync->name) != NULL;
    if (*ret_yield || !engine_is_ready(e, &why) || engine_run_of(e, sync->name))
        return false;
    if (engine_quota_add(e, sync->destination, &err)) {
        engine_fail(e, &err);
        return false;
    }
    return engine_quota_is_settled(e, sync->destination);
}

static enum err_code open_run(struct sync_run *run, const struct column *columns, size_t count,
                              struct err *err)
{
    enum err_code rc = sync_run_columns(run, columns, count, err);
    return rc ? rc : sync_run_columns_kept(run, err);
}

static enum err_code begin_run(void *ctx, const struct sync *sync, const struct column *columns,
                               size_t count, struct sync_run **ret_run, struct err *err)
{
    struct engine *e = ctx;
    struct err own;
    struct run_start start = {.trigger = "stream", .stream = true};
    enum err_code rc = sync_run_new(&e->run_host, sync, &start, ret_run, err);
    if (!rc)
        rc = engine_run_add(e, *ret_run, err); /* which frees it where it cannot be added */
    if (rc)
        return rc;
    rc = open_run(*ret_run, columns, count, &own);
    struct quota *quota = e->runs[e->run_count - 1].quota;
    if (!rc && quota && quota_is_broken(quota))
        rc = err_set(&own, ERR_REMOTE, "%s", quota_error(quota));
    if (rc) {
        sync_run_stop(*ret_run, rc == ERR_STALE ? RUN_STOP_CANCEL : RUN_STOP_FAIL, own.text);
        *ret_run = NULL;
        *err = own;
        return rc;
    }
    if (e->opts.on_begun)
        e->opts.on_begun(e->opts.ctx, sync_run_record(*ret_run));
    sync_run_attach(*ret_run, quota);
    return ERR_OK;
}

static enum err_code ask_read(void *ctx, const struct sync *sync, const char *trigger,
                              const char *hold, const char *snapshot, char *run, struct err *err)
{
    struct engine *e = ctx;
    struct engine_ask ask = {0};
    snprintf(ask.sync, sizeof ask.sync, "%s", sync->name);
    snprintf(ask.trigger, sizeof ask.trigger, "%s", trigger);
    snprintf(ask.hold, sizeof ask.hold, "%s", hold ? hold : "");
    snprintf(ask.snapshot, sizeof ask.snapshot, "%s", snapshot ? snapshot : "");
    enum err_code rc = engine_ask(e, &ask, err);
    if (!rc)
        snprintf(run, STATE_RUN_ID_MAX + 1, "%s", ask.run);
    return rc;
}

/* ---- which there are ---- */

static struct engine_stream *stream_of(const struct engine *e, const char *sync)
{
    for (size_t i = 0; i < e->stream_count; i++)
        if (strcmp(stream_driver_sync(e->streams[i].driver)->name, sync) == 0)
            return &e->streams[i];
    return NULL;
}

static enum err_code add(struct engine *e, const struct sync *sync, struct err *err)
{
    const struct stream_host host = {
        .base = e->base,
        .state = e->state,
        .log = e->opts.log,
        .ctx = e,
        .may_begin = may_begin,
        .begin_run = begin_run,
        .ask_read = ask_read,
    };
    struct engine_stream *streams = realloc(e->streams, (e->stream_count + 1) * sizeof *streams);
    if (!streams)
        return err_set(err, ERR_NOMEM, "no memory for streams");
    e->streams = streams;
    struct engine_stream *s = &e->streams[e->stream_count];
    *s = (struct engine_stream){.project = e->project};
    enum err_code rc = stream_driver_new(&host, sync, &s->driver, err);
    e->stream_count += !rc;
    return rc;
}

static void drop(struct engine *e, size_t i)
{
    stream_driver_free(e->streams[i].driver);
    e->streams[i] = e->streams[--e->stream_count];
}

/* Those of an older project end their runs, and go. */
static void drop_old(struct engine *e)
{
    for (size_t i = 0; i < e->stream_count; i++) {
        struct engine_stream *s = &e->streams[i];
        if (s->project == e->project)
            continue;
        if (!s->leaves)
            stream_driver_leave(s->driver);
        s->leaves = true;
        if (!stream_driver_run(s->driver))
            drop(e, i--);
    }
}

static enum err_code add_new(struct engine *e, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < e->project->sync_count && !rc; i++) {
        const struct sync *sync = &e->project->syncs[i];
        if (sync->schedule.kind == SCHEDULE_STREAM && !stream_of(e, sync->name))
            rc = add(e, sync, err);
    }
    return rc;
}

void engine_streams_turn(struct engine *e)
{
    struct err err;
    if (!e->opts.stays || e->opts.offline || e->stopping)
        return;
    drop_old(e);
    if (e->streams_of != e->project || e->stream_count < e->streams_wanted) {
        if (add_new(e, &err)) {
            engine_fail(e, &err);
            return;
        }
        e->streams_of = e->project;
        e->streams_wanted = e->stream_count;
    }
    for (size_t i = 0; i < e->stream_count; i++) {
        struct stream_driver *d = e->streams[i].driver;
        if (e->opts.is_paused)
            stream_driver_pause(d, e->opts.is_paused(e->opts.ctx, stream_driver_sync(d)->name));
        stream_driver_turn(d);
    }
}

bool engine_streams_use(const struct engine *e, const struct project *project)
{
    for (size_t i = 0; i < e->stream_count; i++)
        if (e->streams[i].project == project)
            return true;
    return false;
}

/* ---- what streams are told ---- */

void engine_on_settled(void *ctx, struct sync_run *run, uint64_t mark, uint32_t tries,
                       struct slice key, enum settled_how how)
{
    struct engine *e = ctx;
    for (size_t i = 0; i < e->stream_count; i++)
        if (stream_driver_run(e->streams[i].driver) == run)
            stream_driver_settled(e->streams[i].driver, mark, tries, key, how);
}

void engine_streams_run_ended(struct engine *e, const struct run_record *r)
{
    struct engine_stream *s = stream_of(e, r->sync);
    if (s)
        stream_driver_run_ended(s->driver, r);
}

enum err_code engine_streams_before_commit(struct engine *e, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < e->stream_count && !rc; i++)
        rc = stream_driver_before_commit(e->streams[i].driver, err);
    return rc;
}

void engine_streams_committed(struct engine *e)
{
    for (size_t i = 0; i < e->stream_count; i++)
        stream_driver_committed(e->streams[i].driver);
}

bool engine_streams_await_commit(const struct engine *e)
{
    for (size_t i = 0; i < e->stream_count; i++)
        if (stream_driver_awaits_commit(e->streams[i].driver))
            return true;
    return false;
}

void engine_streams_leave(struct engine *e)
{
    for (size_t i = 0; i < e->stream_count; i++)
        stream_driver_leave(e->streams[i].driver);
}

void engine_streams_free(struct engine *e)
{
    while (e->stream_count)
        drop(e, e->stream_count - 1);
    free(e->streams);
    e->streams = NULL;
}

bool engine_stream_look(const struct engine *e, const char *sync, struct stream_view *ret)
{
    const struct engine_stream *s = stream_of(e, sync);
    *ret = (struct stream_view){0};
    if (s)
        stream_driver_look(s->driver, ret);
    return s != NULL;
}
