/* Which fields are given and how: below $fields, $keys, $columns, $row and csv. */
#include "protocol/connector/parts.h"

const char *const render_words[3] = {"native", "text", NULL};

static const char *const policy_words[] = {"overwrite", "set_if_empty", "create_only",
                                           "merge",     "conflicts",    NULL};
enum { POLICY_WORD_CONFLICTS = POLICY_MERGE + 1 };

struct choice_form {
    const struct node *as;
    const struct node *null;
    const struct node *except;
    const struct node *only;
    bool nested;
    int policy;
    const struct node *merge;
    const struct node *cell, *filler; /* of $row: read elsewhere */
};

#define MEMBER(m) .offset = offsetof(struct choice_form, m)
static const struct field fields[] = {
    {"as", FIELD_NODE, MEMBER(as)},
    {"except", FIELD_NODE, MEMBER(except)},
    {"only", FIELD_NODE, MEMBER(only)},
    {"policy", FIELD_WORD, MEMBER(policy), .words = policy_words}, /* $columns has these four */
    {"null", FIELD_NODE, MEMBER(null)},
    {"nested", FIELD_FLAG, MEMBER(nested)},
    {"merge", FIELD_NODE, MEMBER(merge)},
};
static const struct field row_fields[] = {
    {"as", FIELD_NODE, MEMBER(as)},         {"except", FIELD_NODE, MEMBER(except)},
    {"only", FIELD_NODE, MEMBER(only)},     {"cell", FIELD_NODE, MEMBER(cell)},
    {"filler", FIELD_NODE, MEMBER(filler)},
};
static const struct form forms[] = {
    [CHOICE_FIELDS] = {"`$fields` map", fields, ARRAY_LEN(fields), false},
    [CHOICE_COLUMNS] = {"`$columns` map", fields, 4, false},
    [CHOICE_ROW] = {"`$row` map", row_fields, ARRAY_LEN(row_fields), false},
};

bool null_of(struct scope *s, const struct node *node, struct null_policy *out)
{
    *out = (struct null_policy){0};
    if (node->broken)
        return false;
    if (!node_is_text(node)) {
        wrong_type(s->rd, node, "null", "send, omit or a text in quotes");
        return false;
    }
    if (node_is_word(node, "send"))
        out->kind = NULL_SEND;
    else if (node_is_word(node, "omit"))
        out->kind = NULL_OMIT;
    else
        *out = (struct null_policy){NULL_TEXT, node->text};
    return true;
}

/* {{identify_by}} among the names stands for the field that names the record. */
static void read_names(struct scope *s, const struct node *node, const char *key,
                       const char *const **ret_names, size_t *ret_count)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items), kept = 0;
    const char **names = reader_alloc(s->rd, count * sizeof *names);
    for (size_t i = 0; names && i < count; i++) {
        const char *name = text_of(s->rd, items[i], key);
        if (!name)
            continue;
        if (strcmp(name, "{{identify_by}}") != 0)
            field_check(s, name, items[i]->at, items[i]->substituted);
        names[kept++] = name;
    }
    if (count == 0)
        mistake(s->rd, node->at, "`%s` is an empty list: name a field or remove it", key);
    *ret_names = names;
    *ret_count = kept;
}

static void read_renames(struct scope *s, const struct node *node, struct field_choice *out)
{
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, "as", "a map of fields to column names");
        return;
    }
    struct param *names = reader_alloc(s->rd, node->count * sizeof *names);
    for (size_t i = 0; names && i < node->count; i++) {
        const struct pair *pair = &node->pairs[i];
        const char *name = text_of(s->rd, pair->value, pair->key);
        field_check(s, pair->key, pair->at, false);
        if (name)
            names[out->name_count++] = (struct param){pair->key, name};
    }
    out->names = names;
}

static const struct tree *read_cell(struct scope *s, const struct node *node)
{
    bool within = s->cell;
    s->cell = true;
    const struct tree *cell = tree_of(s, node);
    s->cell = within;
    return cell;
}

void choice_read(struct scope *s, const struct node *node, enum choice_use use,
                 struct field_choice *out)
{
    struct choice_form f = {.nested = true, .policy = -1};
    struct entry of = {NULL, node->at, node};
    *out = (struct field_choice){.policy = -1};
    if (!form_read(s->rd, &forms[use], &of, &f))
        return;
    if (f.as && use == CHOICE_COLUMNS) {
        read_renames(s, f.as, out);
    } else if (f.as) {
        int word = word_of(s->rd, f.as, "as", render_words);
        out->as = word == 0 ? AS_NATIVE : word == 1 ? AS_TEXT : AS_DEFAULT;
    }
    if (f.null)
        (void)null_of(s, f.null, &out->null);
    if (f.except)
        read_names(s, f.except, "except", &out->except, &out->except_count);
    if (f.only)
        read_names(s, f.only, "only", &out->only, &out->only_count);
    out->flat = !f.nested;
    if (f.merge)
        out->merge = read_cell(s, f.merge);
    s->merges = s->merges || f.merge || f.policy == POLICY_MERGE;
    out->policy = f.policy == POLICY_WORD_CONFLICTS ? CHOICE_CONFLICTS : f.policy;
}
