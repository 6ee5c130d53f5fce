#include "tests/unit/judge/judging.h"

enum { RULES_BYTES = 32 << 20, ANSWER_BYTES = 256 << 20, ORDINAL_STEP = 10 };

void judging_init(struct judging *g)
{
    *g = (struct judging){.identify_by = "id", .now_ms = 1700000000000};
    arena_init(&g->arena, RULES_BYTES);
    arena_init(&g->answer, ANSWER_BYTES);
    judging_records(g, 3);
}

void judging_done(struct judging *g)
{
    answer_rules_free(g->rules);
    arena_done(&g->arena);
    arena_done(&g->answer);
}

static void *give(struct judging *g, size_t n)
{
    void *p = arena_alloc(&g->arena, n);
    assert_non_null(p);
    return p;
}

struct pointer judging_pointer(struct judging *g, const char *text)
{
    if (!text)
        return (struct pointer){0};
    struct pointer p = {.given = true};
    struct pointer_level *levels = give(g, strlen(text) * sizeof *levels + 1);
    for (const char *at = text; *at;) {
        size_t n = strcspn(++at, "/");
        char *name = arena_str(&g->arena, slice_of(at, n)), *end;
        struct pointer_level *l = &levels[p.count++];
        *l = (struct pointer_level){.kind = LEVEL_NAME, .name = name, .index = -1};
        if (strcmp(name, "*") == 0)
            l->kind = LEVEL_ANY;
        else if (strcmp(name, "{{identify_by}}") == 0)
            l->kind = LEVEL_IDENTIFY_BY;
        else if (*name >= '0' && *name <= '9')
            l->index = strtol(name, &end, 10);
        at += n;
    }
    p.levels = levels;
    return p;
}

struct json_test judging_test(struct judging *g, const char *at, struct test test)
{
    return (struct json_test){judging_pointer(g, at), test};
}

struct json_test judging_equals(struct judging *g, const char *at, const char *value)
{
    const char **texts = give(g, sizeof *texts);
    *texts = value;
    return judging_test(g, at, (struct test){.kind = TEST_IN, .texts = texts, .text_count = 1});
}

struct pointer_list judging_pointers(struct judging *g, const char *text)
{
    struct pointer *p = give(g, sizeof *p);
    *p = judging_pointer(g, text);
    return (struct pointer_list){p, 1};
}

void judging_records(struct judging *g, uint32_t count)
{
    struct rendered *r = &g->request;
    r->records = count;
    r->ordinals = give(g, count * sizeof *r->ordinals + 1);
    r->ops = give(g, count * sizeof *r->ops + 1);
    for (uint32_t i = 0; i < count; i++)
        r->ordinals[i] = i * ORDINAL_STEP;
    r->keys = NULL;
    r->chosen = NULL;
}

void judging_keys(struct judging *g, const char *const *keys)
{
    g->request.keys = give(g, g->request.records * sizeof *g->request.keys);
    for (uint32_t i = 0; i < g->request.records; i++)
        g->request.keys[i] = slice_str(keys[i]);
}

struct verdicts *judging_verdicts(struct judging *g, struct verdict_source source)
{
    struct verdict_source *s = give(g, sizeof *s);
    struct verdicts *v = give(g, sizeof *v);
    *s = source;
    *v = (struct verdicts){.sources = s, .source_count = 1};
    g->step.verdicts = v;
    answer_rules_free(g->rules);
    g->rules = NULL;
    return v;
}

struct judged judging_answer(struct judging *g, const struct http_answer *answer)
{
    struct err err = {0};
    struct judged v;
    if (!g->rules && answer_rules_new(&g->connector, &g->step, 0, g->identify_by, &g->rules, &err))
        fail_msg("%s", err.text);
    struct judge_input in = {.request = &g->request,
                             .answer = answer,
                             .head = &g->head,
                             .updated = g->updated,
                             .object = g->object,
                             .now_ms = g->now_ms};
    arena_reset(&g->answer);
    if (answer_judge(g->rules, &in, &g->answer, &v, &err))
        fail_msg("%s", err.text);
    return v;
}

struct judged judging_body(struct judging *g, uint32_t status, const char *body)
{
    struct http_answer answer = {
        .status = status, .body = slice_str(body), .reached = true, .retry_after_ms = -1};
    return judging_answer(g, &answer);
}

const char *judging_entries(struct judging *g, const struct judged *v)
{
    static const char *const names[] = {"open",      "ok",     "rejected",
                                        "not_found", "failed", "cancelled"};
    size_t size = 1, n = 0;
    for (size_t i = 0; i < v->entry_count; i++)
        size += v->entries[i].message.n + 40;
    char *text = give(g, size);
    for (size_t i = 0; i < v->entry_count; i++) {
        const struct outcome_entry *e = &v->entries[i];
        assert_true(e->index < g->request.records && (!i || e->index > e[-1].index));
        n += (size_t)snprintf(text + n, size - n, "%s%u:%s", i ? " " : "", e->index,
                              names[e->verdict]);
        if (e->message.n)
            n += (size_t)snprintf(text + n, size - n, "(%.*s)", (int)e->message.n, e->message.p);
    }
    return text;
}

void assert_words(struct slice words, const char *expected)
{
    if (!slice_eq_str(words, expected))
        fail_msg("words are \"%.*s\", not \"%s\"", (int)words.n, words.n ? words.p : "", expected);
}
