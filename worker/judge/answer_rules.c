/* A step's rules made ready: every pattern compiled, every test beside its pattern. */
#include "worker/judge/answer_parts.h"

#include <stdlib.h>

enum { RULES_BYTES_MAX = 4 << 20, PATTERNS_MAX = 1024 };

struct making {
    struct answer_rules *rules;
    enum err_code rc;
    struct err *err;
};

static void *give(struct making *m, size_t count, size_t size)
{
    void *p = m->rc ? NULL : arena_alloc(&m->rules->arena, count * size);
    if (!p && !m->rc)
        m->rc = err_set(m->err, ERR_NOMEM, "no memory for the rules of an answer");
    return p;
}

static struct pattern *compile(struct making *m, const char *text)
{
    struct answer_rules *r = m->rules;
    if (!text || m->rc)
        return NULL;
    if (r->pattern_count == PATTERNS_MAX) {
        m->rc = err_set(m->err, ERR_CONFIG, "more than %d patterns", PATTERNS_MAX);
        return NULL;
    }
    struct pattern *p = NULL;
    m->rc = pattern_new(text, &p, m->err);
    if (p)
        r->patterns[r->pattern_count++] = p;
    return p;
}

static struct check check_of(struct making *m, const struct test *test, const struct pointer *at)
{
    struct pattern *p = test->kind == TEST_MATCHES ? compile(m, test->pattern) : NULL;
    return (struct check){.test = test, .at = at, .pattern = p};
}

static struct check json_check_of(struct making *m, const struct json_test *test)
{
    return test->at.given ? check_of(m, &test->test, &test->at) : (struct check){0};
}

static void make_source(struct making *m, const struct verdict_source *as, struct listing *out)
{
    *out = (struct listing){
        .as = as,
        .in = json_check_of(m, &as->in),
        .ok = json_check_of(m, &as->ok),
        .retryable = json_check_of(m, &as->retryable),
        .accept = json_check_of(m, &as->accept),
        .not_found = json_check_of(m, &as->not_found),
        .throttle = json_check_of(m, &as->throttle),
        .matches = as->by == BY_POINTER ? compile(m, as->matches) : NULL,
    };
}

static const struct verdict_plan *make_plan(struct making *m, const struct verdicts *as)
{
    if (!as)
        return NULL;
    struct verdict_plan *plan = give(m, 1, sizeof *plan);
    struct listing *sources = give(m, as->source_count, sizeof *sources);
    if (!plan || !sources)
        return NULL;
    for (size_t i = 0; i < as->source_count; i++)
        make_source(m, &as->sources[i], &sources[i]);
    *plan = (struct verdict_plan){as, sources};
    return plan;
}

static void make_rule(struct making *m, const struct rule *as, struct judge_rule *out)
{
    const struct condition *when = &as->when;
    struct check *headers = give(m, when->header_count, sizeof *headers);
    struct check *json = give(m, when->json_count, sizeof *json);
    if (!headers || !json)
        return;
    for (size_t i = 0; i < when->header_count; i++)
        headers[i] = check_of(m, &when->headers[i].test, NULL);
    for (size_t i = 0; i < when->json_count; i++)
        json[i] = json_check_of(m, &when->json[i]);
    const struct verdict_plan *plan =
        as->verdicts ? make_plan(m, as->verdicts) : m->rules->verdicts;
    *out = (struct judge_rule){as, headers, json, compile(m, when->body_matches), plan};
}

static void make_rules(struct making *m)
{
    struct answer_rules *r = m->rules;
    const struct rule_list *list = r->step->answers;
    r->verdicts = make_plan(m, r->step->verdicts);
    size_t count = list ? list->count : 0;
    r->rules = give(m, count, sizeof *r->rules);
    for (size_t i = 0; i < count && !m->rc; i++)
        make_rule(m, &list->rules[i], &r->rules[i]);
    r->rule_count = count;
    r->captures = give(m, r->step->capture_count, sizeof *r->captures);
    for (size_t i = 0; i < r->step->capture_count && !m->rc; i++)
        r->captures[i] =
            (struct judge_capture){&r->step->captures[i], compile(m, r->step->captures[i].matches)};
    r->next_page = compile(m, r->step->pages.matches);
    r->signals = give(m, r->connector->signal_count, sizeof *r->signals);
    for (size_t i = 0; i < r->connector->signal_count && !m->rc; i++) {
        const struct signal *s = &r->connector->signals[i];
        r->signals[i] = check_of(m, &s->test, &s->json);
    }
}

enum err_code answer_rules_new(const struct connector *connector, const struct step *step,
                               uint32_t step_index, const char *identify_by,
                               struct answer_rules **ret_rules, struct err *err)
{
    struct answer_rules *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(err, ERR_NOMEM, "no memory for the rules of an answer");
    arena_init(&r->arena, RULES_BYTES_MAX);
    r->connector = connector;
    r->step = step;
    r->step_index = step_index;
    r->identify_by = identify_by;
    zone_central(&r->central);
    struct making m = {.rules = r, .err = err};
    r->filters = give(&m, 1, sizeof *r->filters);
    if (r->filters)
        filters_init(r->filters);
    r->patterns = give(&m, PATTERNS_MAX, sizeof(struct pattern *));
    make_rules(&m);
    if (m.rc) {
        answer_rules_free(r);
        return m.rc;
    }
    *ret_rules = r;
    return ERR_OK;
}

void answer_rules_free(struct answer_rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->pattern_count; i++)
        pattern_free(r->patterns[i]);
    if (r->filters)
        filters_done(r->filters);
    arena_done(&r->arena);
    free(r);
}
