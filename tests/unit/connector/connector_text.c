#include "tests/unit/connector/connector_text.h"

#include "protocol/config/problem.h"
#include "protocol/config/yaml.h"

enum { ARENA_BYTES = 64 << 20, SAID_BYTES = 1 << 20 };

static void start(struct connector_text *t)
{
    *t = (struct connector_text){.project = {.dir = "/nowhere"}};
    arena_init(&t->project.arena, ARENA_BYTES);
    problem_list_init(&t->problems);
    buf_init(&t->said, SAID_BYTES);
    t->reader = (struct reader){.project = &t->project, .problems = &t->problems};
}

static const struct node *parse(struct connector_text *t, const char *text)
{
    struct config_place second = {0};
    return yaml_read(&t->reader, "test.yaml", slice_str(text), &second);
}

void connector_text_read(struct connector_text *t, const char *text)
{
    start(t);
    const struct node *root = parse(t, text);
    if (root)
        t->connector = connector_read(&t->reader, "test", root, root->at);
}

void connector_text_read_inline(struct connector_text *t, const char *text)
{
    start(t);
    const struct node *root = parse(t, text);
    if (root)
        t->connector = connector_read_inline(&t->reader, "test", root, root->at);
}

void connector_text_builtin(struct connector_text *t, const char *name)
{
    start(t);
    t->connector = connector_builtin(&t->reader, name);
}

const char *connector_text_said(struct connector_text *t)
{
    buf_reset(&t->said);
    problem_sort(&t->problems);
    for (size_t i = 0; i < t->problems.count; i++) {
        const struct problem *p = &t->problems.items[i];
        ensure(!buf_printf(&t->said, "%u:%u: %s\n", p->place.line, p->place.col, p->text));
    }
    const char *said = buf_cstr(&t->said);
    ensure(said);
    return said;
}

void connector_text_done(struct connector_text *t)
{
    buf_done(&t->said);
    problem_list_done(&t->problems);
    arena_done(&t->project.arena);
}
