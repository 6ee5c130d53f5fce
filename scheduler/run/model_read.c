#include "scheduler/run/model_read.h"

#include "scheduler/source/source.h"

#include <stdlib.h>

struct model_read {
    const struct model *model;
    struct sync_run **runs;
    size_t count;
    struct source_read *source;
    uint32_t pauses;
    bool done;
    void (*on_done)(void *ctx);
    void *ctx;
};

static size_t still_reading(const struct model_read *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        n += sync_run_reads(r->runs[i]);
    return n;
}

static void keep_columns(struct model_read *r)
{
    struct err err;
    enum err_code rc = ERR_OK;
    size_t i = 0;
    while (i < r->count && !sync_run_reads(r->runs[i]))
        i++;
    if (i < r->count)
        rc = sync_run_columns_kept(r->runs[i], &err);
    for (; rc && i < r->count; i++)
        if (sync_run_reads(r->runs[i]))
            sync_run_stop(r->runs[i], RUN_STOP_FAIL, err.text);
}

static enum err_code on_columns(void *ctx, const struct column *columns, size_t count,
                                struct err *err)
{
    struct model_read *r = ctx;
    if (source_read_lost_snapshot(r->source))
        sync_run_lost_snapshot(r->runs[0]);
    for (size_t i = 0; i < r->count; i++) {
        struct err own;
        if (sync_run_reads(r->runs[i]) && sync_run_columns(r->runs[i], columns, count, &own))
            sync_run_stop(r->runs[i], RUN_STOP_FAIL, own.text);
    }
    keep_columns(r);
    return still_reading(r)
               ? ERR_OK
               : err_set(err, ERR_STOPPED, "no sync wants the rows of model %s", r->model->name);
}

static enum err_code on_row(void *ctx, const struct row *row, struct err *err)
{
    struct model_read *r = ctx;
    bool wanted = false;
    for (size_t i = 0; i < r->count; i++) {
        struct err own;
        if (!sync_run_reads(r->runs[i]))
            continue;
        if (sync_run_row(r->runs[i], row, &own))
            sync_run_stop(r->runs[i], RUN_STOP_FAIL, own.text);
        else
            wanted = true;
    }
    return wanted ? ERR_OK
                  : err_set(err, ERR_STOPPED, "no sync wants the rows of model %s", r->model->name);
}

static void on_end(void *ctx, const struct err *err)
{
    struct model_read *r = ctx;
    r->done = true;
    for (size_t i = 0; i < r->count; i++)
        if (sync_run_reads(r->runs[i]))
            sync_run_read_end(r->runs[i], err);
    r->on_done(r->ctx);
}

enum err_code model_read_start(struct event_base *base, const struct model *model,
                               const char *snapshot, struct sync_run *const *runs, size_t count,
                               void (*on_done)(void *ctx), void *ctx, struct model_read **ret_read,
                               struct err *err)
{
    struct model_read *r = calloc(1, sizeof *r);
    if (r)
        r->runs = calloc(count, sizeof(struct sync_run *));
    if (!r || !r->runs) {
        free(r);
        return err_set(err, ERR_NOMEM, "model %s: no memory", model->name);
    }
    r->model = model;
    memcpy(r->runs, runs, count * sizeof(struct sync_run *));
    r->count = count;
    r->on_done = on_done;
    r->ctx = ctx;
    struct source_events events = {on_columns, on_row, on_end, r};
    enum err_code rc = source_read_start_at(base, model, snapshot, &events, &r->source, err);
    if (rc) {
        model_read_free(r);
        return rc;
    }
    *ret_read = r;
    return ERR_OK;
}

void model_read_free(struct model_read *r)
{
    if (!r)
        return;
    source_read_free(r->source);
    free(r->runs);
    free(r);
}

bool model_read_has(const struct model_read *r, const struct sync_run *run)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->runs[i] == run)
            return true;
    return false;
}

bool model_read_is_done(const struct model_read *r)
{
    return r->done || !still_reading(r);
}

const struct model *model_read_model(const struct model_read *r)
{
    return r->model;
}

void model_read_pause(struct model_read *r, bool pause)
{
    if (pause) {
        if (r->pauses++ == 0 && r->source)
            source_read_pause(r->source);
    } else if (r->pauses && --r->pauses == 0 && r->source) {
        source_read_resume(r->source);
    }
}
