/* A connector as a whole, and the one that a destination of type http writes in place. */
#include "protocol/connector/read.h"

#include "protocol/connector/parts.h"

enum { OBJECTS_MAX = 200, AUTH_VARS_MAX = CONNECTOR_VARS_MAX + AUTH_VARS_FIXED };

struct connector_form {
    struct connector c;
    const struct node *options, *auth, *limits, *answers, *signals, *objects;
    int driver;
};

static const char *const driver_words[] = {"http", "postgres", NULL};

#define MEMBER(m) .offset = offsetof(struct connector_form, m)
static const struct field fields[] = {
    {"title", FIELD_TEXT, MEMBER(c.title)},
    {"docs", FIELD_TEXT, MEMBER(c.docs)},
    {"checked", FIELD_TEXT, MEMBER(c.checked)},
    {"notes", FIELD_TEXT, MEMBER(c.notes)},
    {"driver", FIELD_WORD, MEMBER(driver), .words = driver_words},
    {"options", FIELD_NODE, MEMBER(options)},
    {"auth", FIELD_NODE, MEMBER(auth)},
    {"limits", FIELD_NODE, MEMBER(limits)},
    {"open_jobs", FIELD_COUNT, MEMBER(c.open_jobs), .min = 1, .max = 100000},
    {"concurrency", FIELD_COUNT, MEMBER(c.concurrency), .min = 1, .max = 10000},
    {"timeout", FIELD_DURATION, MEMBER(c.timeout_ms), .min = 1, .max = 3600000},
    {"answers", FIELD_NODE, MEMBER(answers)},
    {"signals", FIELD_NODE, MEMBER(signals)},
    {"objects", FIELD_NODE, MEMBER(objects)},
};
static const struct form form = {"connector", fields, ARRAY_LEN(fields), false};

/* What such a destination may say besides the keys of every destination. */
static const struct field inline_fields[] = {
    {"auth", FIELD_NODE, MEMBER(auth)},
    {"answers", FIELD_NODE, MEMBER(answers)},
    {"signals", FIELD_NODE, MEMBER(signals)},
    {"objects", FIELD_NODE, MEMBER(objects)},
    {"open_jobs", FIELD_COUNT, MEMBER(c.open_jobs), .min = 1, .max = 100000},
};
static const struct form inline_form = {"http destination", inline_fields, ARRAY_LEN(inline_fields),
                                        true};
static const char *const common_words[] = {
    "type",       "quota",       "rate_limits", "concurrency", "timeout", "retry",
    "batch_size", "batch_bytes", "headers",     "ca_file",     "auth",    "answers",
    "signals",    "objects",     "open_jobs",   "shard",       NULL,
};

/* ---- objects ---- */

static size_t count_stars(const char *name)
{
    size_t n = 0;
    for (; *name; name++)
        n += *name == '*';
    return n;
}

static void objects_read(struct scope *s, const struct node *node)
{
    if (node->kind != NODE_MAP || node->count == 0) {
        wrong_type(s->rd, node, "objects", "a map of at least one name");
        return;
    }
    if (node->count > OBJECTS_MAX) {
        mistake(s->rd, node->at, "there are more than %d objects: use fewer", OBJECTS_MAX);
        return;
    }
    struct object *list = reader_alloc(s->rd, node->count * sizeof *list);
    for (size_t i = 0; list && i < node->count; i++) {
        const struct pair *pair = &node->pairs[i];
        struct entry of = {pair->key, pair->at, pair->value};
        if (!*pair->key || count_stars(pair->key) > 1)
            mistake(s->rd, pair->at, "an object's name must not be empty and has at most one *");
        object_read(s, &of, &list[i], false);
    }
    s->c->objects = list;
    s->c->object_count = list ? node->count : 0;
}

/* ---- the parts in the order in which they refer to each other ---- */

static bool open_scope(struct scope *s, struct reader *rd, struct connector *c)
{
    *s = (struct scope){.rd = rd, .c = c};
    if (!names_init(s, &s->vars, CONNECTOR_VARS_MAX) ||
        !names_init(s, &s->auth_vars, AUTH_VARS_MAX) ||
        !names_init(s, &s->groups, CONNECTOR_GROUPS_MAX) ||
        !names_init(s, &s->all_steps, ALL_STEPS_MAX))
        return false;
    (void)names_add(&s->groups, "main");
    return true;
}

static void read_parts(struct scope *s, const struct connector_form *f)
{
    if (f->options)
        options_read(s, f->options);
    if (f->limits)
        limits_read(s, f->limits);
    if (f->auth)
        auth_read(s, f->auth);
    if (f->answers)
        answers_read(s, f->answers);
    if (f->signals)
        signals_read(s, f->signals);
    if (f->objects)
        objects_read(s, f->objects);
}

static void close_scope(struct scope *s)
{
    answers_check(s);
    struct connector *c = s->c;
    c->vars = s->vars.items;
    c->var_count = s->vars.count;
    c->auth_vars = s->auth_vars.items;
    c->auth_var_count = s->auth_vars.count;
    c->groups = s->groups.items;
    c->group_count = s->groups.count;
}

const struct connector *connector_read(struct reader *rd, const char *name, const struct node *node,
                                       struct config_place at)
{
    struct connector_form f = {.c = {.name = name, .limit_option = -1, .place = at}};
    struct entry of = {name, at, node};
    struct connector *c = reader_alloc(rd, sizeof *c);
    struct scope s;
    if (!c || !open_scope(&s, rd, c) || !form_read(rd, &form, &of, &f))
        return NULL;
    f.c.driver = driver_words[f.driver];
    *c = f.c;
    if (!f.objects)
        mistake(rd, at, "the connector %s has no `objects`: add at least one",
                shown_text(rd, name));
    read_parts(&s, &f);
    close_scope(&s);
    return rd->failed ? NULL : c;
}

/* ---- in place ---- */

static void check_inline(struct reader *rd, const struct node *node, bool has_objects)
{
    const char *known[FORM_FIELDS * 2] = {0};
    size_t n = 0;
    for (size_t i = 0; common_words[i]; i++)
        known[n++] = common_words[i];
    for (size_t i = 0; object_words[i]; i++)
        known[n++] = object_words[i];
    for (size_t i = 0; i < node->count; i++) {
        const struct pair *pair = &node->pairs[i];
        size_t k = 0;
        while (k < n && strcmp(known[k], pair->key) != 0)
            k++;
        if (k == n)
            form_unknown(rd, "http destination", pair, known);
        else if (has_objects && k >= ARRAY_LEN(common_words) - 1)
            mistake(rd, pair->at, "`%s` belongs to an object: move it into one of `objects`",
                    pair->key);
    }
}

static void read_only_object(struct scope *s, const struct entry *of)
{
    struct object *o = reader_alloc(s->rd, sizeof *o);
    struct entry object = {"*", of->at, of->node};
    if (!o)
        return;
    object_read(s, &object, o, true);
    s->c->objects = o;
    s->c->object_count = 1;
}

const struct connector *connector_read_inline(struct reader *rd, const char *name,
                                              const struct node *node, struct config_place at)
{
    struct connector_form f = {.c = {.name = name, .limit_option = -1, .place = at}};
    struct entry of = {name, at, node};
    struct connector *c = reader_alloc(rd, sizeof *c);
    struct scope s;
    if (!c || !open_scope(&s, rd, c) || !form_read(rd, &inline_form, &of, &f))
        return NULL;
    f.c.driver = driver_words[0];
    *c = f.c;
    check_inline(rd, node, f.objects != NULL);
    read_parts(&s, &f);
    if (!f.objects)
        read_only_object(&s, &of);
    close_scope(&s);
    return rd->failed ? NULL : c;
}
