#include "tests/unit/judge/judging.h"

#include <strings.h>

enum { REQUEST_BYTES = 64 << 20, ANSWER_BYTES = 256 << 20, TEXT_BYTES = 16 << 10, STEP = 10 };

static void *give(struct judging *g, size_t n)
{
    void *p = arena_alloc(&g->arena, n);
    assert_non_null(p);
    return p;
}

static uint32_t find_step(const struct request *r, const char *name)
{
    for (uint32_t i = 0; name && i < r->step_count; i++)
        if (r->steps[i].name && strcmp(r->steps[i].name, name) == 0)
            return i;
    if (name)
        fail_msg("there is no step %s", name);
    return (uint32_t)r->step_count - 1;
}

static void start(struct judging *g, const char *object, enum record_op op, const char *step)
{
    const char *said = connector_text_said(&g->text);
    if (*said)
        fail_msg("%s", said);
    struct slice star;
    const struct object *o = connector_object(g->text.connector, object, &star);
    assert_non_null(o);
    assert_true(o->request_of[op] >= 0);
    const struct request *r = &o->requests[o->request_of[op]];
    g->step_index = find_step(r, step);
    g->step = &r->steps[g->step_index];
    g->identify_by = "id";
    g->now_ms = 1700000000000;
    arena_init(&g->arena, REQUEST_BYTES);
    arena_init(&g->answer, ANSWER_BYTES);
    judging_records(g, 3, op);
}

void judging_init(struct judging *g, const char *step, const char *beside)
{
    static const char form[] =
        "options: {base_url: {default: 'http://x'}}\n%s\n"
        "objects:\n  things:\n    keys: {'*': {}}\n    fields: {'*': {}}\n"
        "    modes: [upsert, insert, update, append, mirror, full]\n    remove: [delete, clear]\n"
        "    repeat: safe\n    max_records: 50000\n"
        "    requests:\n      upsert: {url: 'http://x/in', body: {json: {$records: "
        "'{{key}}'}}%s%s}\n"
        "      insert: upsert\n      update: upsert\n      append: upsert\n      delete: upsert\n"
        "      clear: upsert\n";
    char text[TEXT_BYTES];
    int n = snprintf(text, sizeof text, form, beside ? beside : "", *step ? ", " : "", step);
    assert_true(n > 0 && (size_t)n < sizeof text);
    *g = (struct judging){.head = {.newest_field = -1}};
    connector_text_read(&g->text, text);
    start(g, "things", OP_UPSERT, NULL);
}

void judging_builtin(struct judging *g, const char *connector, const char *object,
                     enum record_op op, const char *step)
{
    *g = (struct judging){.head = {.newest_field = -1}};
    connector_text_builtin(&g->text, connector);
    start(g, object, op, step);
}

void judging_done(struct judging *g)
{
    answer_rules_free(g->rules);
    connector_text_done(&g->text);
    arena_done(&g->arena);
    arena_done(&g->answer);
}

void judging_records(struct judging *g, uint32_t count, enum record_op op)
{
    struct rendered *r = &g->request;
    r->records = count;
    r->ordinals = give(g, count * sizeof *r->ordinals);
    r->ops = give(g, count * sizeof *r->ops);
    for (uint32_t i = 0; i < count; i++) {
        r->ordinals[i] = i * STEP;
        r->ops[i] = op;
    }
    r->keys = NULL;
    r->chosen = NULL;
}

void judging_keys(struct judging *g, const char *keys, enum record_op op)
{
    uint32_t count = 1, i = 0;
    for (const char *p = keys; *p; p++)
        count += *p == ' ';
    judging_records(g, count, op);
    g->request.keys = give(g, count * sizeof *g->request.keys);
    for (const char *p = keys; i < count; p += g->request.keys[i++].n + 1)
        g->request.keys[i] = slice_of(p, strcspn(p, " "));
}

/* What the engine tells of an answer beside its headers. */
static void read_header(struct http_answer *a, const struct http_header *h, int64_t now_ms)
{
    if (strcasecmp(h->name, "Retry-After") == 0)
        a->retry_after_ms = http_retry_after_ms(h->value, now_ms);
    if (strcasecmp(h->name, "Location") == 0)
        a->location = h->value;
}

struct judged judging_answer(struct judging *g, const struct http_answer *answer)
{
    struct err err = {0};
    struct judged v;
    if (!g->rules && answer_rules_new(g->text.connector, g->step, g->step_index, g->identify_by,
                                      &g->rules, &err))
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

struct judged judging_headers(struct judging *g, uint32_t status, const char *headers,
                              const char *body)
{
    struct http_header list[JUDGING_HEADERS_MAX];
    struct http_answer answer = {.status = status,
                                 .body = slice_str(body),
                                 .reached = true,
                                 .retry_after_ms = -1,
                                 .headers = list};
    for (const char *p = headers; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
        struct http_header *h = &list[answer.header_count++];
        size_t name = strcspn(p, ":"), line = strcspn(p, "\n");
        assert_true(answer.header_count <= JUDGING_HEADERS_MAX && name + 2 <= line);
        h->name = arena_str(&g->arena, slice_of(p, name));
        h->value = arena_str(&g->arena, slice_of(p + name + 2, line - name - 2));
        read_header(&answer, h, g->now_ms);
    }
    return judging_answer(g, &answer);
}

struct judged judging_body(struct judging *g, uint32_t status, const char *body)
{
    return judging_headers(g, status, NULL, body);
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

void assert_entries(struct judging *g, const struct judged *v, const char *expected)
{
    assert_string_equal(judging_entries(g, v), expected);
}
