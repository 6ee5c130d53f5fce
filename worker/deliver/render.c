/* One request: its body first, since a signature is made of it, then its address and headers. */
#include "worker/deliver/render.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

#include "worker/deliver/encode.h"
#include "worker/deliver/render_parts.h"

/* ---- trace ---- */

void render_trace(uint32_t ordinal, char *out)
{
    *out = 'r';
    *encode_u32(out + 1, ordinal) = '\0';
}

bool render_trace_parse(struct slice text, uint32_t *ret_ordinal)
{
    uint64_t n = 0;
    if (text.n < 2 || text.n >= TRACE_BYTES || text.p[0] != 'r' || (text.p[1] == '0' && text.n > 2))
        return false;
    for (size_t i = 1; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text.p[i] - '0');
    }
    if (n > UINT32_MAX)
        return false;
    *ret_ordinal = (uint32_t)n;
    return true;
}

/* ---- what is the same for the whole request ---- */

static void set_number(struct run *r, enum request_value which, int64_t n)
{
    int bytes = snprintf(r->texts[which], sizeof r->texts[which], "%" PRId64, n);
    r->request[which] = value_of(VALUE_NUMBER, slice_of(r->texts[which], (size_t)bytes));
}

static void set_batch(struct run *r, const struct delivery *d)
{
    const struct batch_head *head = batch_reader_head(d->reader);
    r->request[REQUEST_RUN] = value_of(VALUE_TEXT, head->run);
    r->request[REQUEST_BATCH] = value_of(VALUE_TEXT, head->id);
    r->request[REQUEST_PART] = value_of(VALUE_TEXT, d->part);
    r->request[REQUEST_SESSION_LAST].kind = head->last ? VALUE_TRUE : VALUE_FALSE;
    set_number(r, REQUEST_ATTEMPT, d->attempt);
    set_number(r, REQUEST_RECORDS, batch_reader_count(d->reader));
    set_number(r, REQUEST_SESSION_SEQ, head->sequence);
    int64_t id = (int64_t)(XXH3_64bits(head->run.p, head->run.n) & INT64_MAX);
    set_number(r, REQUEST_SESSION_ID, id ? id : 1);
}

static void set_request(struct run *r)
{
    for (size_t i = 0; i < ARRAY_LEN(r->request); i++)
        r->request[i].kind = VALUE_ABSENT;
    if (r->in->delivery && r->in->delivery->reader)
        set_batch(r, r->in->delivery);
    set_number(r, REQUEST_NOW, r->in->now_ms / 1000);
    set_number(r, REQUEST_NOW_MS, r->in->now_ms);
}

/* ---- a step ---- */

static enum err_code prepare(struct run *r)
{
    struct rendered *out = r->out;
    const struct step *s = r->plan->context.step;
    const struct delivery *d = r->in->delivery;
    rendered_reset(out);
    out->method = s->method;
    out->timeout_ms = s->timeout_ms;
    r->reader = d ? d->reader : NULL;
    out->records = r->reader ? batch_reader_count(r->reader) : 0;
    out->ordinals = arena_alloc(&out->arena, (out->records + 1) * sizeof *out->ordinals);
    out->ops = arena_alloc(&out->arena, (out->records + 1) * sizeof *out->ops);
    out->keys = arena_alloc(&out->arena, (out->records + 1) * sizeof *out->keys);
    if (!out->ordinals || !out->ops || !out->keys)
        return ERR_NOMEM;
    set_request(r);
    enum err_code rc = r->plan->grouped ? run_group(r) : ERR_OK;
    if (rc || !r->plan->single)
        return rc;
    if (out->records != 1)
        return err_set(r->err, ERR_BUG, "a request for one record is given %u", out->records);
    return run_collect(r);
}

static enum err_code run_joins(struct run *r)
{
    struct render_plan *p = r->plan;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < p->join_count; i++) {
        buf_reset(&p->joined[i]);
        rc = run_program(r, p->joins[i], &p->joined[i]);
    }
    return rc;
}

static enum err_code run_body(struct run *r)
{
    struct rendered *out = r->out;
    enum err_code rc = ERR_OK;
    if (r->plan->body != NO_ENTRY)
        rc = run_program(r, r->plan->body, &out->text);
    if (!rc && out->text.len > r->plan->body_max)
        return err_set(r->err, ERR_FULL, "a request's body would pass %" PRIu64 " bytes",
                       r->plan->body_max);
    if (!rc && !r->collected)
        rc = run_collect(r);
    out->body = buf_slice(&out->text);
    return rc;
}

static enum err_code pack_body(struct run *r)
{
    struct rendered *out = r->out;
    if (!r->plan->gzip.ready || !out->body.n)
        return ERR_OK;
    enum err_code rc = gzip_pack(&r->plan->gzip, out->body, &out->packed, r->err);
    out->body = buf_slice(&out->packed);
    return rc;
}

enum err_code render_step(struct render_plan *plan, const struct render_input *in,
                          struct rendered *out, struct err *err)
{
    struct run r;
    struct err own = {0};
    run_init(&r, &plan->filters, in, out, &own);
    r.plan = plan;
    enum err_code rc = prepare(&r);
    if (!rc)
        rc = run_joins(&r);
    if (!rc)
        rc = run_body(&r);
    if (!rc)
        rc = run_head(&r);
    if (!rc)
        rc = pack_body(&r);
    if (!rc)
        return ERR_OK;
    return own.code == rc ? err_set(err, rc, "%s", own.text)
                          : err_set(err, rc, "a request of destination %s: %s",
                                    plan->context.destination->name, err_name(rc));
}

/* ---- a template alone ---- */

enum err_code render_template(const struct render_context *context, const struct template *t,
                              const struct render_input *in, bool encode, struct buf *out,
                              struct err *err)
{
    struct filters filters;
    struct run r;
    struct scope scope = {.context = context, .filters = &filters};
    enum err_code rc = ERR_OK;
    filters_init(&filters);
    run_init(&r, &filters, in, NULL, err);
    set_request(&r);
    if (in->delivery && in->delivery->reader)
        scope.head = batch_reader_head(in->delivery->reader);
    for (size_t i = 0; !rc && i < t->count; i++) {
        struct expr e;
        struct value v;
        rc = expr_compile(&scope, &t->pieces[i], &e);
        if (!rc)
            rc = expr_value(&r, &e, &v);
        if (rc)
            break;
        struct slice text = text_of_value(&v);
        rc = encode ? encode_url(out, text) : text.n ? buf_put(out, text.p, text.n) : ERR_OK;
    }
    filters_done(&filters);
    return rc ? err_set(err, rc, "a text of destination %s: %s", context->destination->name,
                        err_name(rc))
              : ERR_OK;
}
