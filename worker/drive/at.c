#include "worker/drive/at.h"

#include "worker/deliver/redact.h"

/* ---- rendering ---- */

/* What is known of the records, by position in the request. */
struct known {
    struct slice *ids;
    uint64_t *left_out;
};

static enum err_code place_known(const struct progress *p, struct batch_reader *reader,
                                 struct arena *a, struct known *ret_known, struct err *err)
{
    uint32_t records = batch_reader_count(reader);
    struct known known = {arena_alloc(a, (records + 1) * sizeof *known.ids),
                          arena_alloc(a, (records + 1) * sizeof *known.left_out)};
    if (!known.ids || !known.left_out)
        return err_set(err, ERR_NOMEM, "no memory for what is known of a batch's records");
    batch_reader_rewind(reader);
    for (uint32_t i = 0; i < records; i++) {
        struct record record;
        bool more;
        enum err_code rc = batch_reader_next(reader, &record, &more, err);
        if (rc || !more)
            return rc ? rc : err_set(err, ERR_INVALID, "a batch holds fewer records than it says");
        const struct progress_record *of = progress_record(p, record.ordinal);
        if (of) {
            known.ids[i] = of->id;
            known.left_out[i] = of->left_out;
        }
    }
    batch_reader_rewind(reader);
    *ret_known = known;
    return ERR_OK;
}

/* Answers that tell something of each record may be long. */
static size_t answer_max(const struct step *step, uint32_t records)
{
    bool many = records > 1 && ((step->verdicts && step->verdicts->source_count) || step->lookup);
    for (size_t i = 0; step->verdicts && i < step->verdicts->source_count; i++)
        many |= step->verdicts->sources[i].format != FORMAT_JSON;
    return many ? HTTP_BODY_LARGE_MAX : HTTP_BODY_MAX;
}

/* A request outlives the plan that it was rendered by: another batch's may take that one's place
 * before this one is sent. */
static enum err_code own_texts(struct rendered *out, struct err *err)
{
    out->url = arena_str(&out->arena, slice_str(out->url));
    bool complete = out->url != NULL;
    for (size_t i = 0; complete && i < out->header_count; i++) {
        out->headers[i] = arena_str(&out->arena, slice_str(out->headers[i]));
        complete = out->headers[i] != NULL;
    }
    return complete ? ERR_OK : err_set(err, ERR_NOMEM, "no memory for a request");
}

static enum err_code get_plan(struct at *at, const struct work *w, const struct delivery *d,
                              struct plan *ret_plan, struct err *err)
{
    struct plan_wanted wanted = {
        .object = w->object,
        .star = w->star,
        .step = work_step(w),
        .step_index = w->step,
        .head = batch_reader_head(d->reader),
    };
    return plans_get(at->plans, &wanted, ret_plan, err);
}

enum err_code at_render(struct at *at, const struct work *w, const struct delivery *d,
                        struct rendered *out, struct err *err)
{
    const struct step *step = work_step(w);
    struct known known = {0};
    struct plan plan;
    enum err_code rc = get_plan(at, w, d, &plan, err);
    if (!rc && w->progress.record_count)
        rc = place_known(&w->progress, d->reader, &at->scratch, &known, err);
    if (rc)
        return rc;
    struct render_input in = {
        .delivery = d,
        .vars = w->progress.vars,
        .auth_vars = at->token ? at->token->ops->values(at->token) : NULL,
        .found = known.ids,
        .left_out = known.left_out,
        .now_ms = d->now_ms,
    };
    batch_reader_rewind(d->reader);
    rc = render_step(plan.render, &in, out, err);
    if (!rc)
        rc = own_texts(out, err);
    if (rc)
        return rc;
    out->timeout_ms = step->timeout_ms;
    out->answer_max = answer_max(step, out->records);
    return ERR_OK;
}

/* ---- judging ---- */

/* The records' own timestamps, where an answer may tell of newer ones. */
static enum err_code own_times(const struct step *step, const struct delivery *d, struct arena *a,
                               const struct slice **ret_updated, struct err *err)
{
    const struct batch_head *head = batch_reader_head(d->reader);
    *ret_updated = NULL;
    if (!step->lookup || head->newest_field < 0)
        return ERR_OK;
    uint32_t records = batch_reader_count(d->reader);
    struct slice *times = arena_alloc(a, (records + 1) * sizeof *times);
    if (!times)
        return err_set(err, ERR_NOMEM, "no memory for the times of a batch's records");
    batch_reader_rewind(d->reader);
    for (uint32_t i = 0; i < records; i++) {
        struct record record;
        bool more;
        enum err_code rc = batch_reader_next(d->reader, &record, &more, err);
        if (rc || !more)
            return rc ? rc : err_set(err, ERR_INVALID, "a batch holds fewer records than it says");
        const struct value *v = record.fields ? &record.fields[head->newest_field] : NULL;
        if (v && (v->kind == VALUE_TEXT || v->kind == VALUE_NUMBER))
            times[i] = value_slice(*v);
    }
    *ret_updated = times;
    return ERR_OK;
}

/* Without the tokens that it may quote. What else the token's answer gave, such as an address, is
 * no secret. */
static enum err_code without_tokens(struct at *at, struct arena *a,
                                    const struct http_answer *answer, struct http_answer *ret_safe,
                                    struct err *err)
{
    *ret_safe = *answer;
    if (!at->token || !answer->body.n)
        return ERR_OK;
    const struct slice *values = at->token->ops->values(at->token);
    const struct slice secrets[] = {values[AUTH_TOKEN], values[AUTH_REFRESH],
                                    values[AUTH_ASSERTION]};
    ret_safe->body = redact_texts(a, secrets, ARRAY_LEN(secrets), answer->body);
    return ret_safe->body.n ? ERR_OK : err_set(err, ERR_NOMEM, "no memory to read an answer");
}

enum err_code at_judge(struct at *at, const struct delivery *d, struct rendered *r,
                       const struct http_answer *answer, struct judged *ret_judged, struct err *err)
{
    const struct work *w = r->work;
    struct http_answer safe;
    struct judge_input in = {
        .request = r,
        .answer = &safe,
        .head = batch_reader_head(d->reader),
        .object = w->star.n ? w->star : slice_str(w->object->name),
        .now_ms = d->now_ms,
    };
    struct plan plan;
    enum err_code rc = get_plan(at, w, d, &plan, err);
    if (!rc)
        rc = without_tokens(at, &r->arena, answer, &safe, err);
    if (!rc)
        rc = own_times(work_step(w), d, &r->arena, &in.updated, err);
    return rc ? rc : answer_judge(plan.rules, &in, &r->arena, ret_judged, err);
}

void at_note_token(struct at *at, struct work *w)
{
    if (!at->token)
        return;
    w->token_generation = at->token->generation;
    w->token_new = at->token->unused;
    at->token->unused = false;
}

void at_refuse_token(struct at *at, const struct rendered *r)
{
    const struct work *w = r->work;
    at->token->ops->refuse(at->token, w->token_generation);
}
