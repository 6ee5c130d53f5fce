/* Limits that a destination has by default, by an option's value where they differ. */
#include "protocol/config/quantity.h"
#include "protocol/connector/parts.h"

enum { LIMITS_MAX = 16, CASES_MAX = 32 };

static const char *const what_words[] = {"requests", "records", NULL};

struct limit_form {
    const struct node *requests, *records, *per;
    const char *group;
};

#define MEMBER(m) .offset = offsetof(struct limit_form, m)
static const struct field fields[] = {
    {"requests", FIELD_NODE, MEMBER(requests)},
    {"records", FIELD_NODE, MEMBER(records)},
    {"per", FIELD_NODE, MEMBER(per), .required = true},
    {"group", FIELD_TEXT, MEMBER(group)},
};
static const struct form form = {"limit", fields, ARRAY_LEN(fields), false};

static bool read_amounts(struct scope *s, const struct node *count, const struct node *per,
                         struct rate_limit *out)
{
    bool good = true;
    if (!node_is_core(count, CORE_INT) || !core_whole(count->text, &out->count) || !out->count ||
        out->count > 1ull << 40) {
        mistake(s->rd, count->at, "a limit must be a whole number above 0");
        good = false;
    }
    if (!node_is_text(per) || !period_parse(per->text, &out->per_ms) || !out->per_ms ||
        out->per_ms > 366ull * 86400000) {
        mistake(s->rd, per->at, "`per` must be a duration such as 1s, 10s, 1m, 1h or 1d");
        good = false;
    }
    return good;
}

static bool read_limit(struct scope *s, const struct node *node, struct rate_limit *out)
{
    struct limit_form f = {0};
    struct entry of = {NULL, node->at, node};
    *out = (struct rate_limit){0};
    if (!form_read(s->rd, &form, &of, &f))
        return false;
    const struct pair *what = only_one_of(s->rd, node, what_words);
    if (!what) {
        mistake(s->rd, node->at,
                "a limit must have one of `requests` and `records`: {requests: 100, per: 10s}");
        return false;
    }
    out->kind = f.requests ? RATE_REQUESTS : RATE_RECORDS;
    if (f.group) {
        int32_t group = names_add(&s->groups, f.group);
        if (group < 0)
            mistake(s->rd, node->at, "there are more than %d groups of limits: use fewer",
                    CONNECTOR_GROUPS_MAX);
        out->group = group < 0 ? 0 : (uint32_t)group + 1;
    }
    return f.per && read_amounts(s, what->value, f.per, out);
}

static void read_list(struct scope *s, const struct node *list, struct limit_case *out)
{
    if (list->kind != NODE_LIST || list->count > LIMITS_MAX) {
        wrong_type(
            s->rd, list, "limits",
            reader_printf(s->rd, "a list of at most %d: [{requests: 100, per: 10s}]", LIMITS_MAX));
        return;
    }
    struct rate_limit *limits = reader_alloc(s->rd, list->count * sizeof *limits);
    for (size_t i = 0; limits && i < list->count; i++) {
        struct rate_limit *limit = &limits[out->count];
        if (!read_limit(s, list->items[i], limit))
            continue;
        for (size_t k = 0; k < out->count; k++)
            if (limits[k].kind == limit->kind && limits[k].per_ms == limit->per_ms &&
                limits[k].group == limit->group)
                mistake(s->rd, list->items[i]->at,
                        "this limit has the kind, the period and the group of an earlier one: "
                        "keep one");
        out->count++;
    }
    out->limits = limits;
}

struct cases_form {
    const char *by;
    const struct node *cases, *otherwise;
};

/* A case that no allowed value chooses is a typing mistake. */
static void check_case(struct scope *s, const struct pair *pair)
{
    if (s->c->limit_option < 0)
        return;
    const struct option *o = &s->c->options[s->c->limit_option];
    for (size_t i = 0; i < o->one_of_count; i++)
        if (strcmp(o->one_of[i], pair->key) == 0)
            return;
    if (o->one_of_count)
        mistake(s->rd, pair->at, "%s is not a value of the option `%s`; %s",
                shown_text(s->rd, pair->key), o->name,
                did_you_mean(s->rd, pair->key, o->one_of, o->one_of_count,
                             "write one of its `one_of`"));
}

static void read_cases(struct scope *s, const struct node *node)
{
    static const struct field cases_fields[] = {
        {"by", FIELD_TEXT, .offset = offsetof(struct cases_form, by), .required = true},
        {"cases", FIELD_NODE, .offset = offsetof(struct cases_form, cases), .required = true},
        {"default", FIELD_NODE, .offset = offsetof(struct cases_form, otherwise)},
    };
    static const struct form cases = {"`limits` map", cases_fields, ARRAY_LEN(cases_fields), false};
    struct cases_form f = {0};
    struct entry of = {NULL, node->at, node};
    struct connector *c = s->c;
    if (!form_read(s->rd, &cases, &of, &f) || !f.by || !f.cases)
        return;
    c->limit_option = option_find(c, f.by);
    if (c->limit_option < 0)
        mistake(s->rd, node->at, "`by` names no option: add %s under `options`",
                shown_text(s->rd, f.by));
    if (f.cases->kind != NODE_MAP || f.cases->count > CASES_MAX) {
        wrong_type(s->rd, f.cases, "cases", "a map of the option's values to limits");
        return;
    }
    struct limit_case *list = reader_alloc(s->rd, (f.cases->count + 1) * sizeof *list);
    for (size_t i = 0; list && i < f.cases->count; i++) {
        list[i].value = f.cases->pairs[i].key;
        check_case(s, &f.cases->pairs[i]);
        read_list(s, f.cases->pairs[i].value, &list[i]);
    }
    if (list && f.otherwise)
        read_list(s, f.otherwise, &list[f.cases->count]);
    c->limit_cases = list;
    c->limit_case_count = list ? f.cases->count + (f.otherwise != NULL) : 0;
}

void limits_read(struct scope *s, const struct node *node)
{
    if (node->kind == NODE_MAP) {
        read_cases(s, node);
        return;
    }
    struct limit_case *all = reader_alloc(s->rd, sizeof *all);
    if (!all)
        return;
    read_list(s, node, all);
    s->c->limit_cases = all;
    s->c->limit_case_count = 1;
}
