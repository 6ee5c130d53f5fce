#include "worker/drive/ensure.h"

#include <stdio.h>
#include <stdlib.h>

#include "worker/drive/follow.h"

enum { NAME_BYTES = 200, ARENA_BYTES = 1 << 20 };

struct ensured {
    struct prelude prelude; /* first: ops get a pointer to it */
    struct at *at;
    const struct object *object;
    char *star;
    size_t star_bytes;
    char name[NAME_BYTES];
    struct slice *vars; /* one per connector->vars, in known */
    struct arena known;
    int64_t got_ms; /* wall clock; 0: nothing is known */
    struct ensured *next;
};

static struct ensured *of(struct prelude *p)
{
    return (struct ensured *)p;
}

static struct course course_of(const struct object *object)
{
    return (struct course){object->ensure, (uint32_t)object->ensure_count, false};
}

/* ---- what is known ---- */

static bool ready(struct prelude *p, int64_t now_ms)
{
    struct ensured *e = of(p);
    struct course course = course_of(e->object);
    if (e->got_ms && now_ms < e->got_ms + ENSURE_KEPT_MS)
        return true;
    /* Options may make all of it needless. */
    struct slice none[CONNECTOR_VARS_MAX] = {0};
    return course_next(&e->at->context, &course, 0, none) == course.count;
}

/* Takes the vars of p, which may be its own. */
static enum err_code take(struct ensured *e, const struct progress *p, int64_t got_ms)
{
    struct arena fresh;
    arena_init(&fresh, ARENA_BYTES);
    uint32_t count = (uint32_t)e->at->context.connector->var_count;
    struct slice *vars = arena_alloc(&fresh, (count + 1) * sizeof *vars);
    bool complete = vars != NULL;
    for (uint32_t i = 0; complete && i < count; i++) {
        if (!p->vars[i].p)
            continue;
        vars[i] = slice_of(arena_str(&fresh, p->vars[i]), p->vars[i].n);
        complete = vars[i].p != NULL;
    }
    if (!complete) {
        arena_done(&fresh);
        return ERR_NOMEM;
    }
    arena_done(&e->known);
    e->known = fresh;
    e->vars = vars;
    e->got_ms = got_ms;
    e->prelude.generation++;
    return ERR_OK;
}

static bool learn(struct prelude *p, struct slice value, int64_t now_ms)
{
    struct ensured *e = of(p);
    struct progress known;
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    bool good = value.n && !progress_read(&known, &a, value,
                                          (uint32_t)e->at->context.connector->var_count, NULL);
    good = good && known.since_ms && now_ms < known.since_ms + ENSURE_KEPT_MS &&
           !take(e, &known, known.since_ms);
    arena_done(&a);
    return good;
}

static void refuse(struct prelude *p, uint64_t generation)
{
    if (p->generation == generation)
        of(p)->got_ms = 0;
}

static const struct slice *values(const struct prelude *p)
{
    return ((const struct ensured *)p)->vars;
}

static void free_ensured(struct prelude *p)
{
    if (!p)
        return;
    struct ensured *e = of(p);
    arena_done(&e->known);
    free(e->star);
    free(e);
}

/* ---- its requests ---- */

/* A batch in the middle of the steps goes on with them, another one begins. */
static enum err_code find_work(struct ensured *e, const struct delivery *d, struct arena *a,
                               struct work *ret_work, struct err *err)
{
    const struct work_context *context = &e->at->context;
    struct work w = {
        .context = context,
        .object = e->object,
        .star = {e->star, e->star_bytes},
        .request = course_of(e->object),
    };
    uint32_t count = (uint32_t)context->connector->var_count;
    enum err_code rc = progress_read(&w.progress, a, d->progress, count, err);
    if (!rc && !w.progress.ensuring)
        rc = progress_init(&w.progress, a, count);
    if (rc)
        return rc;
    w.progress.ensuring = true;
    w.step = course_next(context, &w.request, w.progress.step, w.progress.vars);
    if (w.step == w.request.count)
        return err_set(err, ERR_CONFIG, "object %s of connector %s: `ensure` has no step to do",
                       e->object->name, context->connector->name);
    *ret_work = w;
    return ERR_OK;
}

static enum err_code render(struct prelude *p, const struct delivery *d, struct rendered *out,
                            struct err *err)
{
    struct ensured *e = of(p);
    struct at *at = e->at;
    struct work w;
    arena_reset(&at->scratch);
    enum err_code rc = find_work(e, d, &at->scratch, &w, err);
    if (!rc)
        rc = at_render(at, &w, d, out, err);
    if (rc)
        return rc;
    out->records = 0;
    struct work *lasting = arena_alloc(&out->arena, sizeof *lasting);
    if (!lasting)
        return err_set(err, ERR_NOMEM, "no memory for a request");
    rc = find_work(e, d, &out->arena, lasting, err);
    if (rc)
        return rc;
    at_note_token(at, lasting);
    out->work = lasting;
    return ERR_OK;
}

/* The last step was done: known from now on, and the batch begins with it. */
static enum err_code finish(struct ensured *e, const struct delivery *d, const struct work *w,
                            const struct judged *judged, struct arena *a,
                            struct prelude_answer *ret, struct err *err)
{
    const struct step *step = work_step(w);
    struct progress known;
    struct outcome *o = &ret->outcome;
    enum err_code rc = progress_init(&known, a, w->progress.var_count);
    for (uint32_t i = 0; !rc && i < known.var_count; i++)
        known.vars[i] = w->progress.vars[i];
    for (size_t i = 0; !rc && i < step->capture_count; i++)
        if (judged->captured && judged->captured[i].p)
            known.vars[step->captures[i].var] = judged->captured[i];
    if (!rc)
        rc = take(e, &known, d->now_ms);
    if (rc)
        return err_set(err, rc, "no memory for what was ensured");
    known.since_ms = d->now_ms;
    rc = follow_continue(&known, step, a, o, err);
    ret->known = true;
    ret->value = o->progress;
    ret->keep_ms = ENSURE_KEPT_MS;
    return rc;
}

/* What a step was to make may be there, though nothing sure was said: made again it would be there
 * twice. The steps begin anew, with the one that looks for it. */
static void look_again(struct ensured *e, struct outcome *o)
{
    struct course course = course_of(e->object);
    o->progress = (struct slice){0};
    o->next_group = course.steps[0].group;
}

/* Of a batch that holds nothing but the turn, little can be said. */
static void narrow(struct outcome *o)
{
    bool stops =
        o->kind == OUTCOME_REFUSED || (o->kind == OUTCOME_ALL && o->rest != VERDICT_FAILED);
    if (stops)
        o->kind = OUTCOME_STOP;
    else if (o->kind == OUTCOME_ALL)
        o->kind = OUTCOME_RETRY;
    o->unsure = false;
    o->carried_none = true;
    o->entries = NULL;
    o->entry_count = 0;
}

static enum err_code classify(struct prelude *p, const struct delivery *d, struct rendered *r,
                              const struct http_answer *answer, struct prelude_answer *ret_answer,
                              struct err *err)
{
    struct ensured *e = of(p);
    struct judged judged;
    bool refused = false;
    *ret_answer = (struct prelude_answer){0};
    enum err_code rc = at_judge(e->at, d, r, answer, &judged, err);
    if (rc)
        return rc;
    struct follow_input in = {
        .work = r->work,
        .delivery = d,
        .request = r,
        .judged = &judged,
        .has_token = e->at->token != NULL,
    };
    rc = follow(&in, &r->arena, &ret_answer->outcome, &refused, err);
    if (!rc && refused)
        at_refuse_token(e->at, r);
    if (!rc && ret_answer->outcome.kind == OUTCOME_ANSWERED)
        rc = finish(e, d, r->work, &judged, &r->arena, ret_answer, err);
    if (!rc && ret_answer->outcome.kind == OUTCOME_RETRY && judged.unsure)
        look_again(e, &ret_answer->outcome);
    narrow(&ret_answer->outcome);
    return rc;
}

static const struct prelude_ops ops = {
    .ready = ready,
    .learn = learn,
    .render = render,
    .classify = classify,
    .refuse = refuse,
    .values = values,
    .free = free_ensured,
};

/* ---- by object ---- */

/* The configuration's fingerprint is part of the name: what was made for one account is not there
 * in another. */
static void name_it(struct ensured *e)
{
    const struct destination *d = e->at->destination;
    snprintf(e->name, sizeof e->name, "ensure:%.64s:%.16s:%.48s:%.60s", d->name, d->fingerprint,
             e->object->name, e->star);
}

static struct ensured *add(struct at *at, const struct object *object, struct slice star)
{
    struct ensured *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->at = at;
    e->object = object;
    e->star = strndup(star.n ? star.p : "", star.n);
    e->star_bytes = star.n;
    arena_init(&e->known, ARENA_BYTES);
    e->vars = e->star
                  ? arena_alloc(&e->known, (at->context.connector->var_count + 1) * sizeof *e->vars)
                  : NULL;
    if (!e->vars) {
        free_ensured(&e->prelude);
        return NULL;
    }
    name_it(e);
    e->prelude = (struct prelude){.ops = &ops, .name = e->name, .shared = true};
    e->next = at->ensured;
    at->ensured = e;
    return e;
}

static enum err_code find_or_add(struct at *at, const struct object *object, struct slice star,
                                 struct ensured **ret_ensured, struct err *err)
{
    size_t count = 0;
    struct ensured *e = at->ensured;
    for (; e; e = e->next, count++)
        if (e->object == object && slice_eq(star, slice_of(e->star, e->star_bytes)))
            break;
    if (!e && count == ENSURE_MAX)
        return err_set(err, ERR_FULL, "destination %s has more than %d objects to be ensured",
                       at->destination->name, ENSURE_MAX);
    if (!e)
        e = add(at, object, star);
    if (!e)
        return err_set(err, ERR_NOMEM, "no memory for what is to be ensured");
    *ret_ensured = e;
    return ERR_OK;
}

/* Whether the batch has not begun, or is in the middle of ensure steps. */
static enum err_code read_stage(struct at *at, const struct delivery *d, bool *ret_begins,
                                bool *ret_ensuring, struct err *err)
{
    struct progress p;
    struct arena a;
    *ret_begins = !d->progress.n;
    *ret_ensuring = false;
    if (!d->progress.n)
        return ERR_OK;
    arena_init(&a, SIZE_MAX);
    enum err_code rc =
        progress_read(&p, &a, d->progress, (uint32_t)at->context.connector->var_count, err);
    *ret_ensuring = !rc && p.ensuring;
    arena_done(&a);
    return rc;
}

enum err_code ensure_of(struct at *at, const struct delivery *d, struct prelude **ret_prelude,
                        struct err *err)
{
    const struct object *object = NULL;
    struct slice star;
    struct ensured *e = NULL;
    bool begins, ensuring;
    *ret_prelude = NULL;
    if (!at->ensures)
        return ERR_OK;
    enum err_code rc = read_stage(at, d, &begins, &ensuring, err);
    if (rc || (!begins && !ensuring))
        return rc;
    rc = work_object(&at->context, batch_reader_head(d->reader), &at->scratch, &object, &star, err);
    if (rc || !object->ensure_count)
        return rc;
    rc = find_or_add(at, object, star, &e, err);
    if (!rc)
        *ret_prelude = &e->prelude;
    return rc;
}

enum err_code ensure_next(struct at *at, const struct delivery *d, struct outcome *o,
                          bool *ret_ensuring, struct err *err)
{
    struct prelude *p = NULL;
    struct work w;
    enum err_code rc = ensure_of(at, d, &p, err);
    *ret_ensuring = false;
    if (rc || !p || prelude_ready(p, d->now_ms))
        return rc;
    rc = find_work(of(p), d, &at->scratch, &w, err);
    if (rc)
        return rc;
    *ret_ensuring = true;
    o->next_group = work_step(&w)->group;
    o->next_carries_none = true;
    o->open = false;
    return ERR_OK;
}

void ensure_free(struct at *at)
{
    while (at->ensured) {
        struct ensured *e = at->ensured;
        at->ensured = e->next;
        free_ensured(&e->prelude);
    }
}
