/*
 * Reads batches, progress and answers; gives requests and outcomes. Invariant: between two calls it
 * holds nothing of a batch: what its next request needs is in its progress, so that any worker can
 * go on. A crash here loses nothing.
 */
#include "worker/drive/http_driver.h"

#include <stdlib.h>

#include "worker/auth/token.h"
#include "worker/drive/at.h"
#include "worker/drive/ensure.h"
#include "worker/drive/follow.h"

enum { SCRATCH_BYTES_MAX = 32 << 20 }; /* progress of 65,535 records, by ordinal and by position */

/* ---- life ---- */

static void http_close(void *state)
{
    struct at *at = state;
    if (!at)
        return;
    ensure_free(at);
    if (at->token)
        at->token->ops->free(at->token);
    plans_free(at->plans);
    arena_done(&at->scratch);
    free(at);
}

static enum err_code open_token(struct at *at, const struct settings *settings, struct err *err)
{
    if (!at->context.auth || !at->context.auth->token)
        return ERR_OK;
    struct render_context context = {
        .connector = at->context.connector,
        .destination = at->destination,
        .options = at->context.options,
        .auth = at->context.auth,
    };
    return token_new(&context, settings ? settings->seal_key : NULL, &at->token, err);
}

static enum err_code http_open(const struct destination *d, const struct settings *settings,
                               void **ret_state, struct err *err)
{
    struct at *at = calloc(1, sizeof *at);
    if (!at)
        return err_set(err, ERR_NOMEM, "no memory for destination %s", d->name);
    at->destination = d;
    at->context = (struct work_context){
        .connector = d->connector,
        .options = d->options,
        .auth = connector_auth(d->connector, d->options),
    };
    for (size_t i = 0; i < d->connector->object_count; i++)
        at->ensures |= d->connector->objects[i].ensure_count > 0;
    arena_init(&at->scratch, SCRATCH_BYTES_MAX);
    at->plans = plans_new(&at->context, d);
    enum err_code rc = at->plans ? open_token(at, settings, err)
                                 : err_set(err, ERR_NOMEM, "no memory for destination %s", d->name);
    if (rc)
        http_close(at);
    else
        *ret_state = at;
    return rc;
}

/* ---- what comes first ---- */

static enum err_code http_prelude(void *state, const struct delivery *d,
                                  struct prelude **ret_prelude, struct err *err)
{
    struct at *at = state;
    struct prelude *ensured = NULL;
    *ret_prelude = NULL;
    if (at->token && !prelude_ready(at->token, d->now_ms)) {
        *ret_prelude = at->token;
        return ERR_OK;
    }
    enum err_code rc = ensure_of(at, d, &ensured, err);
    if (!rc && ensured && !prelude_ready(ensured, d->now_ms))
        *ret_prelude = ensured;
    return rc;
}

/* ---- requests ---- */

static enum err_code find_work(struct at *at, const struct delivery *d, struct arena *a,
                               struct work *ret_work, struct err *err)
{
    struct prelude *ensured = NULL;
    enum err_code rc = ensure_of(at, d, &ensured, err);
    const struct slice *values = ensured ? ensured->ops->values(ensured) : NULL;
    return rc ? rc : work_find(&at->context, d, values, a, ret_work, err);
}

static enum err_code http_next(void *state, const struct delivery *d, struct outcome *o,
                               struct err *err)
{
    struct at *at = state;
    struct work w;
    struct delivery then = *d;
    bool ensuring = false;
    then.progress = o->progress;
    arena_reset(&at->scratch);
    enum err_code rc = ensure_next(at, &then, o, &ensuring, err);
    if (rc || ensuring)
        return rc;
    rc = find_work(at, &then, &at->scratch, &w, err);
    if (rc)
        return rc;
    o->next_group = work_step(&w)->group;
    o->next_carries_none = !work_step(&w)->carries;
    o->open = w.progress.open;
    o->whole = w.object->session;
    return ERR_OK;
}

static enum err_code http_render(void *state, const struct delivery *d, struct rendered *out,
                                 struct err *err)
{
    struct at *at = state;
    struct work w;
    arena_reset(&at->scratch);
    enum err_code rc = find_work(at, d, &at->scratch, &w, err);
    if (!rc)
        rc = at_render(at, &w, d, out, err);
    if (rc)
        return rc;
    /* Once more, where it lasts until the answer; rendering has emptied that place. */
    struct work *lasting = arena_alloc(&out->arena, sizeof *lasting);
    if (!lasting)
        return err_set(err, ERR_NOMEM, "no memory for a request");
    rc = find_work(at, d, &out->arena, lasting, err);
    if (rc)
        return rc;
    at_note_token(at, lasting);
    out->work = lasting;
    return ERR_OK;
}

static enum err_code http_classify(void *state, const struct delivery *d, struct rendered *r,
                                   const struct http_answer *answer, struct outcome *ret_outcome,
                                   struct err *err)
{
    struct at *at = state;
    struct judged judged;
    bool refused = false;
    enum err_code rc = at_judge(at, d, r, answer, &judged, err);
    if (rc)
        return rc;
    struct follow_input in = {
        .work = r->work,
        .delivery = d,
        .request = r,
        .judged = &judged,
        .has_token = at->token != NULL,
    };
    rc = follow(&in, &r->arena, ret_outcome, &refused, err);
    if (!rc && refused)
        at_refuse_token(at, r);
    return rc;
}

const struct driver http_driver = {
    .type = "http",
    .open = http_open,
    .close = http_close,
    .prelude = http_prelude,
    .next = http_next,
    .render = http_render,
    .classify = http_classify,
};
