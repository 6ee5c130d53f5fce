/* Reads: batches. Gives: rows to a session, outcomes to the engine. Invariant: a batch is in one
 * transaction, so that its records were all written or none. A crash here: the lease ends, the
 * batch is carried again; every statement but append's insert may be repeated. */
#include "worker/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/clock.h"
#include "protocol/connector/connector.h"
#include "worker/deliver/words.h"
#include "worker/postgres/rows.h"
#include "worker/postgres/session.h"

enum {
    SESSIONS_MAX = 64, /* of one destination in one worker; a slot has at most one */
    STATUS_OK = 200,   /* what results are told by: there is no HTTP here */
    STATUS_REFUSED = 400,
    STATUS_DENIED = 403,
    STATUS_TRY_AGAIN = 500,
};

/* A session with the request it carries. */
struct carrier {
    struct session *session;
    const struct rendered *r;
    http_cb cb;
    void *ctx;
    int64_t started_ms;
};

struct postgres {
    const struct destination *destination;
    const char *url;
    struct carrier carriers[SESSIONS_MAX];
};

/* ---- opening ---- */

static const char *option(const struct destination *d, const char *name)
{
    for (size_t i = 0; i < d->connector->option_count; i++)
        if (strcmp(d->connector->options[i].name, name) == 0)
            return d->options[i];
    return NULL;
}

static enum err_code postgres_open(const struct destination *destination,
                                   const struct settings *settings, void **ret_state,
                                   struct err *err)
{
    (void)settings;
    struct postgres *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ERR_NOMEM, "no memory for destination %s", destination->name);
    p->destination = destination;
    p->url = option(destination, "url");
    if (!p->url) {
        free(p);
        return err_set(err, ERR_CONFIG, "destination %s has no url", destination->name);
    }
    *ret_state = p;
    return ERR_OK;
}

static void postgres_close(void *state)
{
    struct postgres *p = state;
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        session_free(p->carriers[i].session);
    free(p);
}

/* ---- rendering ---- */

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "no memory for a batch");
}

static enum err_code put_rows(struct shape *shape, struct batch_reader *reader,
                              struct rendered *out, struct err *err)
{
    uint32_t n = 0;
    for (;;) {
        struct record record;
        bool more;
        enum err_code rc = batch_reader_next(reader, &record, &more, err);
        if (rc || !more)
            return rc || n == out->records
                       ? rc
                       : err_set(err, ERR_INVALID, "a batch holds fewer records than it says");
        if (n == out->records)
            return err_set(err, ERR_INVALID, "a batch holds more records than it says");
        rc = rows_put(&out->text, shape, &record, n);
        if (rc)
            return err_set(err, rc, "record %u of the batch: %s", record.ordinal, err_name(rc));
        out->ordinals[n] = record.ordinal;
        out->ops[n++] = record.op;
    }
}

static enum err_code postgres_render(void *state, const struct delivery *d, struct rendered *out,
                                     struct err *err)
{
    (void)state;
    rendered_reset(out);
    struct shape *shape = arena_alloc(&out->arena, sizeof *shape);
    out->records = batch_reader_count(d->reader);
    out->ordinals = arena_alloc(&out->arena, out->records * sizeof *out->ordinals);
    out->ops = arena_alloc(&out->arena, out->records * sizeof *out->ops);
    if (!shape || !out->ordinals || !out->ops)
        return no_memory(err);
    enum err_code rc = shape_make(&out->arena, batch_reader_head(d->reader), shape, err);
    if (!rc)
        rc = put_rows(shape, d->reader, out, err);
    out->shape = shape;
    out->body = buf_slice(&out->text);
    return rc;
}

/* ---- sending ---- */

/*
 * PostgreSQL documentation, appendix A. 08 connection, 40 rollback, 53 resources, 55 not in the
 * right state, 57 operator, 58 system, XX internal pass; 21, 22, 23, 44 speak of the data;
 * everything else of credentials, names or rights.
 */
static uint32_t status_of(const char *sqlstate)
{
    static const char passing[] = "08 40 53 55 57 58 XX ", data[] = "21 22 23 44 P0 ";
    char class[4] = {sqlstate[0], sqlstate[1], ' ', '\0'};
    if (strstr(passing, class))
        return STATUS_TRY_AGAIN;
    return strstr(data, class) ? STATUS_REFUSED : STATUS_DENIED;
}

/* "3,17": what classify reads again. */
static struct slice missing_text(struct buf *out, const struct session_answer *a)
{
    for (size_t i = 0; i < a->missing_count; i++)
        if (buf_printf(out, "%s%u", i ? "," : "", a->missing[i]))
            return (struct slice){0};
    return buf_slice(out);
}

static void on_carried(void *ctx, const struct session_answer *a)
{
    struct carrier *c = ctx;
    struct buf body CLEANUP(buf_done);
    buf_init(&body, 16 << 20);
    int64_t now_ms = clock_mono_ms();
    struct http_answer answer = {
        .retry_after_ms = -1,
        .body_bytes_sent = c->r->body.n,
        .charge_at_ms = now_ms,
        .duration_ms = (uint64_t)(now_ms - c->started_ms),
    };
    if (a->kind == SESSION_LOST) {
        answer.error = a->message;
        answer.reached = a->unsure;
    } else if (a->kind == SESSION_REFUSED) {
        answer.status = status_of(a->sqlstate);
        if (!buf_printf(&body, "%s: %s", a->sqlstate, a->message))
            answer.body = buf_slice(&body);
    } else {
        answer.body = missing_text(&body, a);
        bool told = a->missing_count == 0 || answer.body.n;
        answer.status = told ? STATUS_OK : 0;
        answer.error = told ? NULL : "no memory for the answer";
        answer.reached = true;
    }
    c->r = NULL;
    c->cb(c->ctx, &answer);
}

static struct carrier *free_carrier(struct postgres *p, struct event_base *base)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct carrier *c = &p->carriers[i];
        if (!c->session)
            c->session = session_new(base, p->url);
        if (!c->session || !c->r)
            return c->session ? c : NULL;
    }
    return NULL;
}

static enum err_code postgres_send(void *state, struct event_base *base, const struct rendered *r,
                                   uint64_t timeout_ms, http_cb cb, void *ctx, struct err *err)
{
    struct carrier *c = free_carrier(state, base);
    if (!c)
        return err_set(err, ERR_NOMEM, "no connection is free for a batch");
    c->r = r;
    c->cb = cb;
    c->ctx = ctx;
    c->started_ms = clock_mono_ms();
    session_carry(c->session, r->shape, r->body, timeout_ms, on_carried, c);
    return ERR_OK;
}

/* ---- judging ---- */

static enum err_code take_missing(struct rendered *r, struct slice body, struct outcome *o)
{
    size_t count = body.n ? 1 : 0, n = 0;
    for (size_t i = 0; i < body.n; i++)
        count += body.p[i] == ',';
    struct outcome_entry *entries = arena_alloc(&r->arena, (count + 1) * sizeof *entries);
    const char *text = arena_str(&r->arena, body);
    if (!entries || !text)
        return ERR_NOMEM;
    while (n < count) {
        char *end;
        entries[n++] = (struct outcome_entry){
            .index = (uint32_t)strtoul(text, &end, 10),
            .verdict = VERDICT_NOT_FOUND,
            .message = SLICE_LIT("there is no such row to update"),
        };
        text = *end ? end + 1 : end;
    }
    o->entries = entries;
    o->entry_count = count;
    return ERR_OK;
}

static enum err_code postgres_classify(void *state, const struct delivery *d, struct rendered *r,
                                       const struct http_answer *answer,
                                       struct outcome *ret_outcome, struct err *err)
{
    (void)state, (void)d;
    struct outcome o = {.kind = OUTCOME_RETRY, .retry_after_ms = -1};
    o.message = words_clean(&r->arena, answer->error ? slice_str(answer->error) : answer->body);
    if (answer->status == 0) {
        o.unsure = answer->reached;
    } else if (answer->status == STATUS_OK) {
        o.kind = OUTCOME_ANSWERED;
        o.message = (struct slice){0};
        if (take_missing(r, answer->body, &o))
            return no_memory(err);
    } else if (answer->status != STATUS_TRY_AGAIN) {
        o.kind = answer->status == STATUS_REFUSED ? OUTCOME_REFUSED : OUTCOME_STOP;
    }
    *ret_outcome = o;
    return ERR_OK;
}

const struct driver postgres_driver = {
    .type = "postgres",
    .open = postgres_open,
    .close = postgres_close,
    .render = postgres_render,
    .send = postgres_send,
    .classify = postgres_classify,
};
