#include "protocol/config/form.h"
#include "protocol/config/parts.h"

#include <stdlib.h>

enum {
    MAPPINGS_MAX = 1600,   /* as many as a table has columns */
    JSON_BYTES = 64 << 10, /* of one value */
};

struct mapping_form {
    const char *from;
    const struct node *value;
    const char *template;
    const char *to;
    int if_null;
    const struct node *fallback;
    const struct node *transform;
    int on_conflict;
    int arrays;
    int recipe; /* -1: not given */
};

static const char *const if_nulls[] = {"send", "skip", NULL};
static const char *const conflicts[] = {"overwrite", "set_if_empty", "create_only", NULL};
static const char *const array_words[] = {"replace", "merge", NULL};
static const char *const recipe_words[] = {"off", NULL};

#define MEMBER(m) .offset = offsetof(struct mapping_form, m)
static const struct field fields[] = {
    {"from", FIELD_TEXT, MEMBER(from)},
    {"value", FIELD_NODE, MEMBER(value)},
    {"template", FIELD_TEXT, MEMBER(template)},
    {"to", FIELD_TEXT, MEMBER(to), .required = true},
    {"transform", FIELD_NODE, MEMBER(transform)},
    {"if_null", FIELD_WORD, MEMBER(if_null), .words = if_nulls},
    {"default", FIELD_NODE, MEMBER(fallback)},
    {"on_conflict", FIELD_WORD, MEMBER(on_conflict), .words = conflicts},
    {"arrays", FIELD_WORD, MEMBER(arrays), .words = array_words},
    {"recipe", FIELD_WORD, MEMBER(recipe), .words = recipe_words},
};
static const struct form form = {"mapping", fields, ARRAY_LEN(fields), false};

static const char *json_of(struct reader *rd, const struct node *node, const char *key)
{
    struct buf b CLEANUP(buf_done);
    buf_init(&b, JSON_BYTES);
    enum err_code rc = node->broken ? ERR_STOPPED : node_put_json(&b, node);
    if (!rc)
        return reader_str(rd, buf_slice(&b));
    if (rc == ERR_NOMEM)
        rd->failed = rc;
    else if (rc == ERR_INVALID)
        mistake(rd, node->at, "`%s` holds a number that JSON does not have: write another", key);
    else if (rc == ERR_FULL)
        mistake(rd, node->at, "`%s` is longer than %d bytes: shorten it", key, JSON_BYTES);
    return NULL;
}

/* Cuts `to` at its dots; "\." is a dot in a name. */
static void split_path(struct reader *rd, struct config_place at, struct mapping *m)
{
    size_t n = strlen(m->to), count = 1;
    for (size_t i = 0; i < n; i++)
        count += m->to[i] == '.';
    const char **path = reader_alloc(rd, count * sizeof *path);
    char *out = reader_str(rd, slice_str(m->to));
    if (!path || !out)
        return;
    m->path = path;
    const char *start = out;
    for (const char *p = m->to;; p++) {
        if (*p == '\\' && p[1] == '.') {
            *out++ = *++p;
        } else if (*p && *p != '.') {
            *out++ = *p;
        } else {
            if (out == start)
                mistake(rd, at,
                        "`to` has an empty name between its dots: remove a dot, or write \\. for "
                        "one in a name");
            *out++ = '\0'; /* never ahead of p: the end of the text at the latest */
            path[m->path_count++] = start;
            start = out;
        }
        if (!*p)
            return;
    }
}

static void check_template(struct reader *rd, const struct node *node)
{
    for (const char *p = strstr(node->text, "{{"); p; p = strstr(p, "{{")) {
        if (p > node->text && p[-1] == '\\') { /* two literal braces */
            p += 2;
            continue;
        }
        const char *name = p + 2 + strspn(p + 2, " \t");
        const char *end = strstr(p + 2, "}}");
        if (!end) {
            mistake(rd, node->at,
                    "{{ without its }} in `template`: close it, or write \\{{ for two braces");
            return;
        }
        if (name >= end)
            mistake(rd, node->at,
                    "{{}} names no column in `template`: write {{column}}, or \\{{ for two braces");
        p = end + 2;
    }
}

/* A constant is written as it is to be sent. */
static void refuse_extras(struct reader *rd, const struct node *item, const char *kind)
{
    static const char *const extras[] = {"transform", "if_null", "default"};
    for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
        const struct pair *pair = node_get(item, extras[i]);
        if (pair)
            mistake(rd, pair->at, "`%s` belongs to `from` and `template`, not to `%s`: remove it",
                    extras[i], kind);
    }
}

/* What may be done to a value before it is sent. */
static void read_treatment(struct reader *rd, const struct node *item, const struct mapping_form *f,
                           struct mapping *m)
{
    m->if_null = (enum if_null)f->if_null;
    if (f->fallback)
        m->fallback = json_of(rd, f->fallback, "default");
    if (f->fallback && m->if_null == IF_NULL_SKIP)
        mistake(rd, node_get(item, "default")->at,
                "`default` and `if_null: skip` exclude each other: keep one");
    if (f->transform && !f->transform->broken)
        transforms_read(rd, f->transform, m);
}

static void read_origin(struct reader *rd, const struct node *item, const struct mapping_form *f,
                        struct mapping *m)
{
    const struct pair *from = node_get(item, "from"), *value = node_get(item, "value");
    const struct pair *template = node_get(item, "template");
    if (!!from + !!value + !!template != 1) {
        mistake(rd, item->at, "a mapping must have one of `from`, `value` and `template`: %s",
                from || value || template ? "keep one" : "add one");
        return;
    }
    if (from) {
        m->kind = MAPPING_COLUMN;
        m->from = f->from;
        read_treatment(rd, item, f, m);
        return;
    }
    if (template)
        read_treatment(rd, item, f, m);
    else
        refuse_extras(rd, item, "value");
    if (value) {
        m->kind = MAPPING_CONSTANT;
        m->constant = json_of(rd, value->value, "value");
    } else {
        m->kind = MAPPING_TEMPLATE;
        m->from = f->template;
        if (f->template)
            check_template(rd, template->value);
    }
}

/* What is done with the destination's own value. */
static void read_conflict(struct reader *rd, const struct node *item, const struct mapping_form *f,
                          struct mapping *m)
{
    m->on_conflict = (enum on_conflict)f->on_conflict;
    m->merge_arrays = f->arrays == 1;
    m->recipe_off = f->recipe == 0;
    if (m->merge_arrays && m->on_conflict != ON_CONFLICT_OVERWRITE)
        mistake(rd, node_get(item, "arrays")->at,
                "`arrays: merge` and `on_conflict: %s` exclude each other: keep one",
                conflicts[m->on_conflict]);
}

static void mapping_read(struct reader *rd, const struct node *item, struct mapping *m)
{
    struct mapping_form f = {.recipe = -1};
    struct entry of = {NULL, item->at, item};
    m->place = item->at;
    if (item->kind == NODE_SCALAR) {
        f.from = f.to = text_of(rd, item, "mappings");
        m->kind = MAPPING_COLUMN;
        m->from = f.from;
    } else if (form_read(rd, &form, &of, &f)) {
        read_origin(rd, item, &f, m);
        read_conflict(rd, item, &f, m);
    }
    m->to = f.to;
    if (!m->to)
        return;
    const struct pair *to = node_get(item, "to");
    split_path(rd, to ? to->value->at : item->at, m);
}

void mappings_read(struct reader *rd, const struct node *node, struct sync *sync)
{
    if (node_is_word(node, "all")) {
        sync->map_all = true;
        if (sync->target)
            sync_add_recipes(rd, sync);
        return;
    }
    if (node->kind != NODE_LIST) {
        wrong_type(rd, node, "mappings", "all or a list: [{from: column, to: field}]");
        return;
    }
    if (node->count == 0 || node->count > MAPPINGS_MAX) {
        mistake(rd, node->at,
                "`mappings` must have from 1 to %d items: map the columns to send, or write all",
                MAPPINGS_MAX);
        return;
    }
    struct mapping *mappings = reader_alloc(rd, node->count * sizeof *mappings);
    if (!mappings)
        return;
    for (size_t i = 0; i < node->count && !rd->failed; i++) {
        struct mapping *m = &mappings[sync->mapping_count];
        mapping_read(rd, node->items[i], m);
        if (m->to && sync->target)
            mapping_add_recipe(rd, sync->target, m);
        sync->mapping_count += m->to != NULL;
    }
    sync->mappings = mappings;
}

/* Parts one by one; a path comes right before those that lie in it. */
static int compare_paths(const struct mapping *a, const struct mapping *b)
{
    for (size_t i = 0; i < a->path_count && i < b->path_count; i++) {
        int order = strcmp(a->path[i], b->path[i]);
        if (order)
            return order;
    }
    return (a->path_count > b->path_count) - (a->path_count < b->path_count);
}

static int by_path(const void *left, const void *right)
{
    const struct mapping *a = *(const struct mapping *const *)left;
    const struct mapping *b = *(const struct mapping *const *)right;
    int order = compare_paths(a, b);
    return order ? order : (a > b) - (a < b);
}

static bool lies_in(const struct mapping *m, const struct mapping *outer)
{
    if (m->path_count < outer->path_count)
        return false;
    for (size_t i = 0; i < outer->path_count; i++)
        if (strcmp(m->path[i], outer->path[i]) != 0)
            return false;
    return true;
}

static void report_conflict(struct reader *rd, const struct mapping *a, const struct mapping *b)
{
    const struct mapping *later = a > b ? a : b, *first = a > b ? b : a;
    if (a->path_count == b->path_count)
        mistake(rd, later->place,
                "the destination field %s is given twice, first in line %u: remove one",
                shown_text(rd, later->to), first->place.line);
    else
        mistake(rd, later->place,
                "the destination fields %s and %s (line %u) lie in each other: rename one",
                shown_text(rd, later->to), shown_text(rd, first->to), first->place.line);
}

void mappings_check(struct reader *rd, const struct sync *sync)
{
    const struct mapping **sorted = reader_alloc(rd, sync->mapping_count * sizeof *sorted);
    if (!sorted || rd->failed)
        return;
    for (size_t i = 0; i < sync->mapping_count; i++)
        sorted[i] = &sync->mappings[i];
    qsort(sorted, sync->mapping_count, sizeof *sorted, by_path);
    const struct mapping *outer = NULL;
    for (size_t i = 0; i < sync->mapping_count; i++) {
        if (outer && lies_in(sorted[i], outer))
            report_conflict(rd, outer, sorted[i]);
        else
            outer = sorted[i];
    }
}

bool mapping_is_to(const struct mapping *mapping, const char *field)
{
    return strcmp(mapping->to, field) == 0;
}
