#include "worker/drive/plans.h"

#include <stdlib.h>

enum { KEY_BYTES_MAX = 16 << 20 };

struct kept {
    struct buf key;
    struct plan plan;
    char *star;
    char *identify_by;
    uint64_t used;
};

struct plans {
    const struct work_context *context;
    const struct destination *destination;
    struct buf key;
    uint64_t turn;
    struct kept kept[PLANS_KEPT];
};

struct plans *plans_new(const struct work_context *context, const struct destination *destination)
{
    struct plans *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->context = context;
    p->destination = destination;
    buf_init(&p->key, KEY_BYTES_MAX);
    for (size_t i = 0; i < PLANS_KEPT; i++)
        buf_init(&p->kept[i].key, KEY_BYTES_MAX);
    return p;
}

static void drop(struct kept *k)
{
    render_plan_free(k->plan.render);
    answer_rules_free(k->plan.rules);
    free(k->star);
    free(k->identify_by);
    k->plan = (struct plan){0};
    k->star = k->identify_by = NULL;
    k->used = 0;
    buf_reset(&k->key);
}

void plans_free(struct plans *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < PLANS_KEPT; i++) {
        drop(&p->kept[i]);
        buf_done(&p->kept[i].key);
    }
    buf_done(&p->key);
    free(p);
}

/* Steps lie at fixed addresses in the project, so that one stands for connector, object and
 * request. */
static enum err_code put_key(struct plans *p, const struct plan_wanted *w)
{
    buf_reset(&p->key);
    enum err_code rc = buf_put(&p->key, &w->step, sizeof w->step);
    if (!rc)
        rc = buf_put(&p->key, &w->star.n, sizeof w->star.n);
    if (!rc)
        rc = buf_put(&p->key, w->star.p, w->star.n);
    return rc ? rc : render_plan_key(&p->key, w->head);
}

static enum err_code compile(const struct plans *p, const struct plan_wanted *w, struct kept *k,
                             struct err *err)
{
    struct slice identify_by = w->head->key_count ? w->head->key_names[0] : SLICE_LIT("");
    k->star = strndup(w->star.n ? w->star.p : "", w->star.n);
    k->identify_by = strndup(identify_by.p, identify_by.n);
    if (!k->star || !k->identify_by)
        return err_set(err, ERR_NOMEM, "no memory to prepare requests");
    struct render_context context = {
        .connector = p->context->connector,
        .destination = p->destination,
        .options = p->context->options,
        .auth = p->context->auth,
        .object = w->object,
        .star = {k->star, w->star.n},
        .step = w->step,
    };
    enum err_code rc = render_plan_new(&context, w->head, &k->plan.render, err);
    return rc ? rc
              : answer_rules_new(p->context->connector, w->step, w->step_index, k->identify_by,
                                 &k->plan.rules, err);
}

static struct kept *find(struct plans *p, struct kept **ret_oldest)
{
    struct kept *oldest = &p->kept[0];
    for (size_t i = 0; i < PLANS_KEPT; i++) {
        struct kept *k = &p->kept[i];
        if (k->used && slice_eq(buf_slice(&k->key), buf_slice(&p->key)))
            return k;
        if (k->used < oldest->used)
            oldest = k;
    }
    *ret_oldest = oldest;
    return NULL;
}

enum err_code plans_get(struct plans *p, const struct plan_wanted *wanted, struct plan *ret_plan,
                        struct err *err)
{
    struct kept *oldest = NULL;
    if (put_key(p, wanted))
        return err_set(err, ERR_NOMEM, "no memory for the names of a batch");
    struct kept *k = find(p, &oldest);
    if (!k) {
        k = oldest;
        drop(k);
        enum err_code rc = compile(p, wanted, k, err);
        if (rc) {
            drop(k);
            return rc;
        }
        struct buf old = k->key;
        k->key = p->key;
        p->key = old;
    }
    k->used = ++p->turn;
    *ret_plan = k->plan;
    return ERR_OK;
}
