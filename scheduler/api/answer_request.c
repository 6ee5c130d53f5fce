/* /api/v1/records/request: the request that carried a record, as the worker renders it, and what
 * came of it. History has what was sent, the worker program makes a request of it; both in a child
 * process. Operators only: it has the contents of rows. */
#include "protocol/wire/ordset.h"
#include "scheduler/api/api_private.h"
#include "scheduler/api/aside.h"
#include "scheduler/api/record_key.h"
#include "scheduler/api/routes.h"
#include "scheduler/batch/batcher.h"
#include "scheduler/history/history.h"
#include "scheduler/plan/first_request.h"
#include "scheduler/state/key.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYS_BYTES_MAX = RECORD_KEYS_MAX * KEY_BYTES_MAX, REQUEST_BYTES_MAX = 8 << 20 };

struct request_ask {
    const char *sync, *state_dir, *project_dir, *worker_program;
    const char *run; /* NULL: the last one */
    struct buf keys;
    size_t ends[RECORD_KEYS_MAX];
    size_t count;
};

struct showing {
    const struct request_ask *ask;
    struct output *o;
    bool found;
    enum err_code code;
    struct err err;
};

/* The batch of this record alone. */
static enum err_code single_out(const struct history_hit *hit, struct buf *out, struct err *err)
{
    struct batch_reader *reader = batch_reader_new();
    struct record r;
    uint8_t *keep = NULL;
    bool more = true;
    enum err_code rc = reader ? batch_reader_open(reader, hit->payload, err)
                              : err_set(err, ERR_NOMEM, "no memory for a batch");
    if (!rc) {
        keep = calloc(batch_reader_count(reader) + 1, 1);
        rc = keep ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for a batch");
    }
    for (uint32_t i = 0; !rc && more; i++) {
        rc = batch_reader_next(reader, &r, &more, err);
        if (!rc && more)
            keep[i] = r.ordinal == hit->ordinal;
    }
    if (!rc) {
        batch_reader_rewind(reader);
        rc = batch_reader_subset(reader, keep, out, err);
    }
    free(keep);
    batch_reader_free(reader);
    return rc;
}

static void put_lines(struct output *o, struct slice lines)
{
    output_open(o, "requests", '[');
    while (lines.n) {
        const char *end = memchr(lines.p, '\n', lines.n);
        size_t n = end ? (size_t)(end - lines.p) : lines.n;
        output_json(o, NULL, slice_of(lines.p, n));
        lines = end ? slice_of(end + 1, lines.n - n - 1) : (struct slice){0};
    }
    output_close(o, ']');
}

static void put_hit(struct output *o, const struct history_hit *hit, struct slice lines)
{
    char batch[BATCH_PART_ID_BYTES];
    output_open(o, NULL, '{');
    output_text(o, "run", hit->run->id);
    output_text(o, "batch", batch_id(hit->run->id, hit->batch, batch));
    output_text(o, "op", record_op_name(hit->op));
    output_text(o, "verdict", history_verdict_name(hit->verdict));
    if (hit->message.n)
        output_slice(o, "message", hit->message);
    else
        output_null(o, "message");
    put_lines(o, lines);
    output_close(o, '}');
}

static bool show(void *ctx, const struct history_hit *hit)
{
    struct showing *s = ctx;
    CLEANUP(buf_done) struct buf batch;
    CLEANUP(buf_done) struct buf lines;
    if (s->ask->run && strcmp(s->ask->run, hit->run->id) != 0)
        return true;
    buf_init(&batch, BATCH_BYTES_MAX);
    buf_init(&lines, REQUEST_BYTES_MAX);
    s->found = true;
    s->code = single_out(hit, &batch, &s->err);
    if (!s->code)
        s->code = first_request(s->ask->worker_program, s->ask->project_dir, buf_slice(&batch),
                                &lines, &s->err);
    if (!s->code)
        put_hit(s->o, hit, buf_slice(&lines));
    return false;
}

/* In a child. */
static enum err_code read_request(void *ctx, struct output *o, struct err *err)
{
    const struct request_ask *ask = ctx;
    struct state_options options = {.read_only = true};
    struct showing s = {.ask = ask, .o = o};
    struct state *state = NULL;
    size_t from = 0;
    enum err_code rc = state_open(ask->state_dir, &options, &state, err);
    for (size_t i = 0; i < ask->count && !rc && !s.found; from = ask->ends[i++])
        rc = history_find(ask->state_dir, state, ask->sync,
                          slice_of(ask->keys.p + from, ask->ends[i] - from), show, &s, err);
    state_close(state);
    if (!rc && !s.found)
        rc = err_set(err, ERR_NOTFOUND, "nothing that is kept was sent of this record by %s",
                     ask->sync);
    if (!rc && s.code) {
        *err = s.err;
        rc = s.code;
    }
    return rc;
}

void answer_request(struct api_call *c)
{
    const char *name = request_query(&c->target, "sync"), *key = request_query(&c->target, "key");
    const struct project *p = control_project(c->control);
    struct request_ask ask = {.state_dir = p->settings.state_dir,
                              .project_dir = p->named,
                              .worker_program = c->api->options.worker_program,
                              .run = request_query(&c->target, "run")};
    struct err err;
    if (!name || !key) {
        call_refuse(c, 400, "invalid", "say which record: ?sync=NAME&key=KEY");
        return;
    }
    const struct sync *sync = call_sync(c, name);
    if (!sync)
        return;
    if (!ask.worker_program) {
        call_refuse(c, 503, "unavailable", "no worker program is here to render requests");
        return;
    }
    ask.sync = sync->name;
    buf_init(&ask.keys, KEYS_BYTES_MAX);
    if (record_keys(sync->model, key, &ask.keys, ask.ends, &ask.count, &err))
        call_invalid(c, &err);
    else
        call_aside(c, read_request, &ask);
    buf_done(&ask.keys);
}
