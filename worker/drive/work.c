#include "worker/drive/work.h"

#include "protocol/config/quantity.h"

enum {
    POLL_EVERY_MS = 5000,        /* where a step says pending and has no `wait` */
    POLL_DEADLINE_MS = 86400000, /* likewise */
    POLL_FACTOR_TIMES_MAX = 1000,
};

/* ---- steps ---- */

bool work_option_set(const struct work_context *context, int32_t option)
{
    const char *text = context->options[option];
    return text && *text && strcmp(text, "false") != 0;
}

static bool is_wanted(const struct work_context *context, const struct course *c,
                      const struct step *step, const struct slice *vars)
{
    if (step->if_conflicts && !(step->if_conflicts & c->conflicts))
        return false;
    if (step->if_var >= 0 && !vars[step->if_var].p)
        return false;
    if (step->unless_var >= 0 && vars[step->unless_var].p)
        return false;
    if (step->if_option >= 0 && !work_option_set(context, step->if_option))
        return false;
    return step->unless_option < 0 || !work_option_set(context, step->unless_option);
}

uint32_t course_next(const struct work_context *context, const struct course *c, uint32_t from,
                     const struct slice *vars)
{
    uint32_t i = from;
    while (i < c->count && !is_wanted(context, c, &c->steps[i], vars))
        i++;
    return i;
}

/* ---- waiting ---- */

static uint64_t option_ms(const struct work_context *context, int32_t option, uint64_t otherwise_ms)
{
    uint64_t ms;
    const char *text = option < 0 ? NULL : context->options[option];
    return text && duration_parse(text, &ms) ? ms : otherwise_ms;
}

uint64_t course_first_ms(const struct work_context *context, const struct step *step)
{
    const struct poll *p = &step->poll;
    return p->given ? option_ms(context, p->first_option, p->first_ms) : 0;
}

uint64_t course_again_ms(const struct work_context *context, const struct step *step,
                         uint32_t polls)
{
    const struct poll *p = &step->poll;
    uint64_t every_ms = p->given ? option_ms(context, p->every_option, p->every_ms) : 0;
    uint64_t max_ms = p->given && p->max_ms ? p->max_ms : POLL_DEADLINE_MS;
    double ms = (double)(every_ms ? every_ms : POLL_EVERY_MS);
    if (p->given && p->factor > 1)
        for (uint32_t i = 0; i < polls && i < POLL_FACTOR_TIMES_MAX && ms < (double)max_ms; i++)
            ms *= p->factor;
    return ms < (double)max_ms ? (uint64_t)ms : max_ms;
}

uint64_t course_deadline_ms(const struct step *step)
{
    return step->poll.given && step->poll.deadline_ms ? step->poll.deadline_ms : POLL_DEADLINE_MS;
}

/* ---- the batch's own ---- */

enum err_code work_object(const struct work_context *context, const struct batch_head *head,
                          struct arena *a, const struct object **ret_object, struct slice *ret_star,
                          struct err *err)
{
    const char *name = head->object.n ? arena_str(a, head->object) : NULL;
    if (head->object.n && !name)
        return err_set(err, ERR_NOMEM, "no memory for the name of an object");
    *ret_object = connector_object(context->connector, name, ret_star);
    if (*ret_object)
        return ERR_OK;
    return err_set(err, ERR_CONFIG, "connector %s has no object %s", context->connector->name,
                   name ? name : "of its own: name one");
}

static enum err_code first_op(struct batch_reader *reader, enum record_op *ret_op, struct err *err)
{
    struct record record;
    bool more;
    batch_reader_rewind(reader);
    enum err_code rc = batch_reader_next(reader, &record, &more, err);
    if (rc)
        return rc;
    if (!more)
        return err_set(err, ERR_INVALID, "a batch holds no record");
    *ret_op = record.op;
    batch_reader_rewind(reader);
    return ERR_OK;
}

static uint32_t conflicts_of(const struct batch_head *head)
{
    return batch_conflicts(head->policies, head->field_count, head->newest_field);
}

static enum err_code find_request(struct work *w, struct batch_reader *reader, struct err *err)
{
    enum record_op op = OP_UPSERT;
    enum err_code rc = first_op(reader, &op, err);
    if (rc)
        return rc;
    int8_t i = w->object->request_of[op];
    if (i < 0)
        return err_set(err, ERR_CONFIG, "object %s of connector %s cannot %s", w->object->name,
                       w->context->connector->name, record_op_name(op));
    const struct request *r = &w->object->requests[i];
    uint32_t max = r->max_records ? r->max_records : w->object->max_records;
    if (max && batch_reader_count(reader) > max)
        return err_set(err, ERR_FULL, "a request of object %s holds at most %u records",
                       w->object->name, max);
    w->request =
        (struct course){r->steps, (uint32_t)r->step_count, conflicts_of(batch_reader_head(reader))};
    return ERR_OK;
}

/* A batch that has begun carries what was ensured for it; one that begins takes what is known now.
 */
static enum err_code read_progress(struct work *w, const struct delivery *d,
                                   const struct slice *ensured, struct arena *a, struct err *err)
{
    uint32_t count = (uint32_t)w->context->connector->var_count;
    enum err_code rc = progress_read(&w->progress, a, d->progress, count, err);
    if (rc)
        return rc;
    if (w->progress.ensuring) { /* what it waited for is known by now: it begins */
        w->progress.ensuring = false;
        w->progress.step = 0;
        w->progress.polls = 0;
        w->progress.since_ms = 0;
    }
    for (uint32_t i = 0; ensured && i < count; i++) {
        if (w->progress.vars[i].p || !ensured[i].p)
            continue;
        /* copied: it may be learnt anew before the answer is judged */
        w->progress.vars[i] = slice_of(arena_str(a, ensured[i]), ensured[i].n);
        if (!w->progress.vars[i].p)
            return err_set(err, ERR_NOMEM, "no memory for what was ensured");
    }
    return ERR_OK;
}

enum err_code work_find(const struct work_context *context, const struct delivery *d,
                        const struct slice *ensured, struct arena *a, struct work *ret_work,
                        struct err *err)
{
    struct work w = {.context = context};
    enum err_code rc =
        work_object(context, batch_reader_head(d->reader), a, &w.object, &w.star, err);
    if (!rc)
        rc = find_request(&w, d->reader, err);
    if (!rc)
        rc = read_progress(&w, d, ensured, a, err);
    if (rc)
        return rc;
    w.step = course_next(context, &w.request, w.progress.step, w.progress.vars);
    if (w.step == w.request.count)
        return err_set(err, ERR_CONFIG, "object %s of connector %s: no step is left to do",
                       w.object->name, context->connector->name);
    *ret_work = w;
    return ERR_OK;
}
