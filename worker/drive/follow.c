#include "worker/drive/follow.h"

#include "worker/drive/marks.h"

enum { THROTTLED_PAUSE_MS = 1000 }; /* where some records were throttled and no time was named */

struct following {
    const struct follow_input *in;
    const struct work *work;
    const struct step *step;
    const struct judged *judged;
    struct arena *arena;
    struct progress progress; /* as it is to be kept */
    struct marks marks;
    struct outcome *o;
    struct err *err;
};

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "no memory for what follows from an answer");
}

/* ---- the batch's next request ---- */

static void set_next(struct outcome *o, const struct step *next)
{
    o->next_group = next->group;
    o->next_carries_none = !next->carries;
}

/* It begins again: nothing is known but what the object's ensure steps gave. */
static enum err_code begin_anew(struct following *f)
{
    const struct work_context *context = f->work->context;
    const struct object *object = f->work->object;
    struct slice *vars = arena_alloc(f->arena, (f->progress.var_count + 1) * sizeof *vars);
    if (!vars)
        return no_memory(f->err);
    for (size_t i = 0; i < object->ensure_count; i++)
        for (size_t k = 0; k < object->ensure[i].capture_count; k++) {
            uint32_t var = object->ensure[i].captures[k].var;
            vars[var] = f->work->progress.vars[var];
        }
    uint32_t first = course_next(context, &f->work->request, 0, vars);
    set_next(f->o, &f->work->request.steps[first < f->work->request.count ? first : 0]);
    f->o->progress = (struct slice){0};
    f->o->open = false;
    return ERR_OK;
}

enum err_code follow_continue(const struct progress *progress, const struct step *next,
                              struct arena *a, struct outcome *o, struct err *err)
{
    struct buf bytes;
    buf_init(&bytes, PROGRESS_BYTES_MAX);
    enum err_code rc = progress_put(&bytes, progress);
    char *copy = rc ? NULL : arena_str(a, buf_slice(&bytes));
    o->progress = slice_of(copy, bytes.len);
    buf_done(&bytes);
    if (rc == ERR_FULL)
        return err_set(err, ERR_FULL, "more is known of a batch's records than can be kept");
    if (rc || !copy)
        return no_memory(err);
    o->kind = OUTCOME_CONTINUE;
    o->open = progress->open;
    set_next(o, next);
    return ERR_OK;
}

/* An answer that does not mind the token. */
static void forget_refusals(struct progress *p)
{
    p->refusals = 0;
    p->refused_new = 0;
}

/* The same step again, with what it had. */
static enum err_code stay(struct following *f)
{
    enum outcome_kind kind = f->o->kind;
    if (f->progress.refusals) {
        forget_refusals(&f->progress);
        enum err_code rc = follow_continue(&f->progress, f->step, f->arena, f->o, f->err);
        f->o->kind = kind;
        return rc;
    }
    f->o->progress = f->in->delivery->progress;
    f->o->open = f->work->progress.open;
    set_next(f->o, f->step);
    return ERR_OK;
}

/* ---- an answer that was ok ---- */

static enum err_code tell(struct following *f, struct marks_told told)
{
    return marks_tell(&f->marks, told, f->arena, f->o) ? no_memory(f->err) : ERR_OK;
}

/* Some records ask for the destination to be left alone: they are sent again when it was, which
 * counts as no attempt. */
static enum err_code end_throttled(struct following *f)
{
    enum verdict others = f->judged->unmentioned;
    int64_t wait_ms = f->judged->wait_ms;
    f->o->retry_after_ms = wait_ms;
    if (marks_open(&f->marks, others) == f->marks.count) {
        f->o->kind = OUTCOME_THROTTLE;
        return begin_anew(f);
    }
    f->o->kind = OUTCOME_CONTINUE;
    f->o->delay_ms = wait_ms < 0 ? THROTTLED_PAUSE_MS : wait_ms;
    if (f->o->pause_ms < (uint64_t)f->o->delay_ms)
        f->o->pause_ms = (uint64_t)f->o->delay_ms;
    enum err_code rc = tell(f, (struct marks_told){.all = true, .others = others});
    return rc ? rc : begin_anew(f);
}

/* The last step was done. */
static enum err_code end_ok(struct following *f)
{
    enum verdict others = f->judged->unmentioned;
    f->o->kind = OUTCOME_ANSWERED;
    f->o->unsure = false;
    f->o->warning = f->judged->warning;
    if (!f->marks.items)
        return ERR_OK;
    if (f->judged->entry_throttles && marks_open(&f->marks, others))
        return end_throttled(f);
    if (others != VERDICT_OK && others != VERDICT_OPEN) {
        f->o->kind = OUTCOME_ALL;
        f->o->rest = others;
    }
    enum err_code rc =
        tell(f, (struct marks_told){.open = true, .all = others == VERDICT_OPEN, .others = others});
    return rc ? rc : begin_anew(f);
}

/* A step between: what it says for good of some records is told now, they leave the batch. False
 * when nobody is left in it. */
static bool take_out(struct following *f)
{
    enum verdict others = f->judged->unmentioned;
    uint32_t left = 0;
    for (uint32_t i = 0; i < f->marks.count; i++) {
        if (others != VERDICT_OK && !f->marks.items[i].known)
            marks_set(&f->marks, i, others, f->judged->message);
        left += !f->marks.items[i].known || f->marks.items[i].verdict == VERDICT_OPEN;
    }
    return left || !f->marks.items;
}

static enum err_code keep_marks(struct following *f, bool collecting)
{
    if (!f->marks.items)
        return ERR_OK;
    return marks_keep(&f->marks, f->in->request, collecting, f->arena, &f->progress)
               ? no_memory(f->err)
               : ERR_OK;
}

static enum err_code go_on(struct following *f, uint32_t next)
{
    const struct step *step = &f->work->request.steps[next];
    if (!take_out(f))
        return end_ok(f);
    f->progress.step = next;
    f->progress.polls = 0;
    f->progress.since_ms = f->in->delivery->now_ms;
    f->o->delay_ms = (int64_t)course_first_ms(f->work->context, step);
    f->o->warning = f->judged->warning;
    enum err_code rc = f->marks.items ? tell(f, (struct marks_told){0}) : ERR_OK;
    if (!rc)
        rc = keep_marks(f, false);
    return rc ? rc : follow_continue(&f->progress, step, f->arena, f->o, f->err);
}

/* The same step for the next page; its verdicts wait for those of the last one. */
static enum err_code turn_page(struct following *f)
{
    f->progress.vars[f->step->pages.var] = f->judged->next_page;
    f->progress.step = f->work->step;
    if (++f->progress.polls > FOLLOW_PAGES_MAX) {
        f->o->kind = OUTCOME_RETRY;
        f->o->bug = true;
        f->o->message = SLICE_LIT("the answer has pages without end");
        return begin_anew(f);
    }
    enum err_code rc = keep_marks(f, true);
    return rc ? rc : follow_continue(&f->progress, f->step, f->arena, f->o, f->err);
}

static enum err_code own_vars(struct following *f)
{
    struct progress *p = &f->progress;
    struct slice *vars = arena_alloc(f->arena, (p->var_count + 1) * sizeof *vars);
    if (!vars)
        return no_memory(f->err);
    if (p->var_count)
        memcpy(vars, p->vars, p->var_count * sizeof *vars);
    p->vars = vars;
    for (size_t i = 0; i < f->step->capture_count; i++)
        if (f->judged->captured && f->judged->captured[i].p)
            vars[f->step->captures[i].var] = f->judged->captured[i];
    return ERR_OK;
}

static enum err_code follow_ok(struct following *f)
{
    const struct step *step = f->step;
    enum err_code rc = own_vars(f);
    if (rc)
        return rc;
    bool more = step->pages.given && f->judged->next_page.p &&
                (step->pages.until < 0 || !f->progress.vars[step->pages.until].p);
    forget_refusals(&f->progress);
    f->progress.sent |= step->carries;
    f->progress.open |= step->opens;
    f->o->unsure = f->progress.sent;
    if (f->work->progress.record_count || f->judged->entry_count || step->lookup ||
        f->judged->unmentioned != VERDICT_OK) {
        if (marks_make(&f->marks, f->in->request, &f->work->progress, f->arena))
            return no_memory(f->err);
        marks_entries(&f->marks, f->judged);
        if (step->lookup && f->judged->found)
            marks_lookup(&f->marks, step->lookup, f->judged->found, more);
    }
    if (more)
        return turn_page(f);
    if (step->pages.given)
        f->progress.vars[step->pages.var] = (struct slice){0};
    uint32_t next =
        course_next(f->work->context, &f->work->request, f->work->step + 1, f->progress.vars);
    return next == f->work->request.count ? end_ok(f) : go_on(f, next);
}

/* ---- others ---- */

/* An attempt failed, and what was done for it so far is of no use. */
static enum err_code fail_attempt(struct following *f, struct slice words)
{
    f->o->kind = OUTCOME_RETRY;
    if (!f->o->message.n)
        f->o->message = words;
    return begin_anew(f);
}

static enum err_code follow_pending(struct following *f)
{
    struct progress *p = &f->progress;
    int64_t now_ms = f->in->delivery->now_ms;
    if (!p->since_ms || p->step != f->work->step) {
        p->since_ms = now_ms;
        p->polls = 0;
    }
    if (now_ms - p->since_ms >= (int64_t)course_deadline_ms(f->step))
        return fail_attempt(f, SLICE_LIT("the destination did not finish in time"));
    int64_t wait_ms = f->judged->wait_ms;
    f->o->delay_ms =
        wait_ms >= 0 ? wait_ms : (int64_t)course_again_ms(f->work->context, f->step, p->polls);
    p->step = f->work->step;
    p->polls++;
    forget_refusals(p);
    f->o->message = (struct slice){0};
    return follow_continue(p, f->step, f->arena, f->o, f->err);
}

static enum err_code follow_goto(struct following *f)
{
    struct progress *p = &f->progress;
    uint32_t to = course_next(f->work->context, &f->work->request, f->judged->step, p->vars);
    if (to == f->work->request.count)
        to = f->judged->step;
    if (to <= f->work->step && ++p->jumps > FOLLOW_JUMPS_MAX)
        return fail_attempt(f, SLICE_LIT("the destination sent this batch back too often"));
    const struct step *step = &f->work->request.steps[to];
    p->step = to;
    p->polls = 0;
    forget_refusals(p);
    p->since_ms = f->in->delivery->now_ms;
    f->o->message = (struct slice){0};
    f->o->delay_ms = f->judged->wait_ms >= 0 ? f->judged->wait_ms
                                             : (int64_t)course_first_ms(f->work->context, step);
    return follow_continue(p, step, f->arena, f->o, f->err);
}

/* The request was refused for the sake of some records: they get their verdict, the others are
 * sent without them. */
static enum err_code follow_drop(struct following *f)
{
    if (marks_make(&f->marks, f->in->request, &f->work->progress, f->arena))
        return no_memory(f->err);
    marks_entries(&f->marks, f->judged);
    enum err_code rc = tell(f, (struct marks_told){0});
    if (rc)
        return rc;
    f->o->unsure = false;
    f->o->kind = OUTCOME_CONTINUE;
    if (!f->o->entry_count)
        f->o->kind = OUTCOME_REFUSED;
    else if (f->o->entry_count == f->in->request->records)
        f->o->kind = OUTCOME_ANSWERED;
    return begin_anew(f);
}

static enum err_code follow_auth(struct following *f, bool *ret_refused)
{
    struct progress *p = &f->progress;
    *ret_refused = f->in->has_token;
    p->refusals++;
    p->refused_new += f->work->token_new;
    if (!f->in->has_token || p->refused_new == FOLLOW_REFUSED_NEW_MAX) {
        f->o->kind = OUTCOME_STOP;
        return ERR_OK;
    }
    if (p->refusals > FOLLOW_REFUSALS_MAX)
        return fail_attempt(f, SLICE_LIT("the destination refused one token after another"));
    p->step = f->work->step;
    f->o->message = (struct slice){0};
    return follow_continue(&f->progress, f->step, f->arena, f->o, f->err);
}

static enum err_code follow_all(struct following *f, enum verdict verdict)
{
    f->o->kind = OUTCOME_ALL;
    f->o->rest = verdict;
    if (!f->work->progress.record_count)
        return ERR_OK;
    if (marks_make(&f->marks, f->in->request, &f->work->progress, f->arena))
        return no_memory(f->err);
    return tell(f, (struct marks_told){0});
}

static enum err_code follow_act(struct following *f, bool *ret_refused)
{
    switch (f->judged->act) {
    case DO_OK:
        return follow_ok(f);
    case DO_THROTTLE:
        f->o->kind = OUTCOME_THROTTLE;
        f->o->retry_after_ms = f->judged->wait_ms;
        return stay(f);
    case DO_RETRY:
        f->o->bug = f->judged->bug;
        f->o->retry_after_ms = f->judged->wait_ms;
        return stay(f);
    case DO_RESTART:
        f->o->retry_after_ms = f->judged->wait_ms;
        return fail_attempt(f, SLICE_LIT("the destination wants this from the beginning"));
    case DO_AUTH:
        return follow_auth(f, ret_refused);
    case DO_SPLIT:
        f->o->kind = OUTCOME_REFUSED;
        return begin_anew(f);
    case DO_DROP:
        return follow_drop(f);
    case DO_REJECT:
        return follow_all(f, VERDICT_REJECTED);
    case DO_NOT_FOUND:
        return follow_all(f, VERDICT_NOT_FOUND);
    case DO_FAIL:
        return follow_all(f, VERDICT_FAILED);
    case DO_HALT:
        f->o->kind = OUTCOME_STOP;
        return ERR_OK;
    case DO_PENDING:
        return follow_pending(f);
    case DO_GOTO:
        return follow_goto(f);
    }
    return err_set(f->err, ERR_BUG, "an answer was judged as %d", (int)f->judged->act);
}

enum err_code follow(const struct follow_input *in, struct arena *a, struct outcome *ret_outcome,
                     bool *ret_refused, struct err *err)
{
    const struct step *step = work_step(in->work);
    const struct judged *judged = in->judged;
    bool carried = step->carries;
    struct outcome o = {
        .kind = OUTCOME_RETRY,
        .unsure = (judged->unsure && carried) || in->work->progress.sent,
        .retry_after_ms = -1,
        .message = judged->message,
        .pause_ms = judged->pause_ms,
        .hold_ms = in->work->object->hold_ms,
        .whole = in->work->object->session,
        .carried_none = !carried,
    };
    struct following f = {
        .in = in,
        .work = in->work,
        .step = step,
        .judged = judged,
        .arena = a,
        .progress = in->work->progress,
        .o = &o,
        .err = err,
    };
    *ret_refused = false;
    enum err_code rc = follow_act(&f, ret_refused);
    if (rc == ERR_FULL) { /* fewer records leave less to be kept */
        o.kind = OUTCOME_REFUSED;
        o.message = slice_str(arena_str(a, slice_str(err->text)));
        rc = begin_anew(&f);
    }
    if (!rc)
        *ret_outcome = o;
    return rc;
}
