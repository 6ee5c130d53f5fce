/* JSON pointers (RFC 6901) with wildcards, and tests of what stands there. */
#include "protocol/connector/parts.h"

#include <stdlib.h>

const char *const test_words[7] = {"equals",   "in",      "matches", "exists",
                                   "at_least", "at_most", NULL};

static int64_t index_of(const char *name)
{
    size_t n = strspn(name, "0123456789");
    if (n == 0 || name[n] || n > 9 || (n > 1 && *name == '0'))
        return -1;
    return strtol(name, NULL, 10);
}

/* ~1 and ~0 are / and ~. */
static bool unescape(char *level)
{
    char *to = level;
    for (const char *p = level; *p; p++) {
        if (*p != '~') {
            *to++ = *p;
            continue;
        }
        p++;
        if (*p != '0' && *p != '1')
            return false;
        *to++ = *p == '0' ? '~' : '/';
    }
    *to = '\0';
    return true;
}

static const char *read_level(struct scope *s, struct slice text, struct pointer_level *out)
{
    char *name = reader_str(s->rd, text);
    *out = (struct pointer_level){.kind = LEVEL_NAME, .name = name, .index = -1};
    if (!name)
        return NULL;
    if (strcmp(name, "*") == 0)
        out->kind = LEVEL_ANY;
    else if (strcmp(name, "{{identify_by}}") == 0)
        out->kind = LEVEL_IDENTIFY_BY;
    else if (strstr(name, "{{"))
        return "may hold {{identify_by}} as a whole level, and no other placeholder";
    else if (!unescape(name))
        return "has a ~ that is neither ~0 (a ~) nor ~1 (a /)";
    else
        out->index = index_of(name);
    return NULL;
}

bool pointer_of(struct scope *s, const struct node *node, const char *key, struct pointer *out)
{
    *out = (struct pointer){0};
    if (node->broken)
        return false;
    if (!node_is_text(node) || (*node->text && *node->text != '/')) {
        mistake(s->rd, node->at,
                "`%s` must be a JSON pointer such as /results/0/id (\"\": the whole answer)", key);
        return false;
    }
    size_t count = 0;
    for (const char *p = node->text; *p; p++)
        count += *p == '/';
    if (count > POINTER_LEVELS_MAX) {
        mistake(s->rd, node->at, "`%s` has more than %d levels: use fewer", key,
                POINTER_LEVELS_MAX);
        return false;
    }
    struct pointer_level *levels = reader_alloc(s->rd, count * sizeof *levels);
    const char *p = node->text;
    for (size_t i = 0; levels && i < count; i++) {
        size_t n = strcspn(++p, "/");
        const char *problem = read_level(s, slice_of(p, n), &levels[i]);
        if (problem) {
            mistake(s->rd, node->at, "the pointer `%s` %s", key, problem);
            return false;
        }
        p += n;
    }
    *out = (struct pointer){levels != NULL, levels, count};
    return out->given;
}

void pointers_of(struct scope *s, const struct node *node, const char *key,
                 struct pointer_list *out)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items), kept = 0;
    struct pointer *list = reader_alloc(s->rd, count * sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        kept += pointer_of(s, items[i], key, &list[kept]);
    *out = (struct pointer_list){list, kept};
}

static bool number_of(struct scope *s, const struct node *node, const char *key, double *out)
{
    if (node->broken)
        return false;
    char *end = NULL;
    if (node_is_core(node, CORE_INT) || node_is_core(node, CORE_FLOAT)) {
        *out = strtod(node->text, &end);
        if (!*end)
            return true;
    }
    mistake(s->rd, node->at, "`%s` must be a number", key);
    return false;
}

bool test_of(struct scope *s, const struct node *node, const char *key, struct test *out)
{
    const struct pair *pair = only_one_of(s->rd, node, test_words);
    if (!pair) {
        mistake(s->rd, node->at, "`%s` says nothing to compare with: add one of %s", key,
                listed(s->rd, test_words));
        return false;
    }
    const struct node *v = pair->value;
    *out = (struct test){.kind = TEST_IN};
    switch (pair->key[0] == 'a' ? pair->key[3] : pair->key[0]) {
    case 'e':
        if (strcmp(pair->key, "equals") == 0) {
            if (v->kind == NODE_SCALAR)
                return scalars_of(s, v, pair->key, &out->texts, &out->text_count);
            wrong_type(s->rd, v, pair->key, "one value; `in` takes a list");
            return false;
        }
        out->kind = TEST_EXISTS;
        if (node_is_core(v, CORE_BOOL))
            out->flag = node_is_true(v);
        else
            wrong_type(s->rd, v, pair->key, "true or false");
        return node_is_core(v, CORE_BOOL);
    case 'i':
        return scalars_of(s, v, pair->key, &out->texts, &out->text_count);
    case 'l':
        out->kind = TEST_AT_LEAST;
        return number_of(s, v, pair->key, &out->number);
    case 'm':
        if (pair->key[0] == 'a') {
            out->kind = TEST_AT_MOST;
            return number_of(s, v, pair->key, &out->number);
        }
        out->kind = TEST_MATCHES;
        out->pattern = pattern_of(s, v, pair->key, 0);
        return out->pattern != NULL;
    default:
        return false;
    }
}

bool json_test_of(struct scope *s, const struct node *node, const char *key, struct json_test *out)
{
    static const char *const known[] = {"at",     "equals",   "in",      "matches",
                                        "exists", "at_least", "at_most", NULL};
    bool good = true;
    *out = (struct json_test){0};
    if (node->broken)
        return false;
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, key, "a map such as {at: /code, equals: 7}");
        return false;
    }
    for (size_t i = 0; i < node->count; i++) {
        const char *word = node->pairs[i].key;
        bool is_known = false;
        for (size_t k = 0; known[k]; k++)
            is_known = is_known || strcmp(known[k], word) == 0;
        if (!is_known)
            form_unknown(s->rd, reader_printf(s->rd, "`%s` map", key), &node->pairs[i], known);
        good = good && is_known;
    }
    const struct pair *at = node_get(node, "at");
    if (!at) {
        mistake(s->rd, node->at, "`%s` has no `at`: add the pointer to the value", key);
        good = false;
    } else {
        good = pointer_of(s, at->value, "at", &out->at) && good;
    }
    return test_of(s, node, key, &out->test) && good;
}
