/* `rate_limits` of a destination: its own, or those that its connector has by default. */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/config/quantity.h"
#include "protocol/connector/connector.h"

enum {
    LIMITS_MAX = 16,
    DAY_MS = 86400000,
};

#define MEMBER(m) .offset = offsetof(struct limit_form, m)
struct limit_form {
    const struct node *requests;
    const struct node *records;
    const struct node *per;
    const struct node *group;
};
static const struct field limit_fields[] = {
    {"requests", FIELD_NODE, MEMBER(requests)},
    {"records", FIELD_NODE, MEMBER(records)},
    {"per", FIELD_NODE, MEMBER(per), .required = true},
    {"group", FIELD_NODE, MEMBER(group)},
};
static const struct form limit_form = {"rate limit", limit_fields, ARRAY_LEN(limit_fields), false};

static bool read_count(struct reader *rd, const struct node *v, const char *key, uint64_t *ret)
{
    if (v->broken)
        return false;
    if (node_is_core(v, CORE_INT) && core_whole(v->text, ret) && *ret > 0 && *ret <= 1ull << 40)
        return true;
    mistake(rd, v->at, "`%s` must be a whole number above 0", key);
    return false;
}

static bool read_period(struct reader *rd, const struct node *v, uint64_t *ret_ms)
{
    if (v->broken)
        return false;
    if (node_is_text(v) && period_parse(v->text, ret_ms) && *ret_ms > 0 &&
        *ret_ms <= 366ull * DAY_MS)
        return true;
    mistake(rd, v->at, "`per` must be a duration such as 1s, 10s, 1m, 1h or 1d, but it is %s",
            v->kind == NODE_SCALAR && v->type != CORE_NULL ? shown(rd, v) : node_kind_name(v));
    return false;
}

/* A connector's groups have the numbers from 1 on. */
static bool read_group(struct reader *rd, const struct node *v, const struct connector *c,
                       uint32_t *ret)
{
    if (v->broken || !c)
        return false;
    const char **names = reader_alloc(rd, (c->group_count + 1) * sizeof *names);
    if (!names)
        return false;
    for (size_t i = 0; i < c->group_count; i++)
        names[i] = c->groups[i];
    int which = word_of(rd, v, "group", names);
    *ret = (uint32_t)(which + 1);
    return which >= 0;
}

static bool read_limit(struct reader *rd, const struct node *node, const struct connector *c,
                       struct rate_limit *out)
{
    struct limit_form f = {0};
    struct entry of = {NULL, node->at, node};
    if (!form_read(rd, &limit_form, &of, &f))
        return false;
    if (!f.requests == !f.records) {
        mistake(
            rd, node->at,
            "a rate limit must have one of `requests` and `records`: {requests: 100, per: 10s}");
        return false;
    }
    out->kind = f.requests ? RATE_REQUESTS : RATE_RECORDS;
    bool good = f.per && read_period(rd, f.per, &out->per_ms);
    if (f.group)
        good = read_group(rd, f.group, c, &out->group) && good;
    return read_count(rd, f.requests ? f.requests : f.records, f.requests ? "requests" : "records",
                      &out->count) &&
           good;
}

static void read_list(struct reader *rd, const struct node *list, struct destination *d)
{
    if (list->kind != NODE_LIST) {
        wrong_type(rd, list, "rate_limits", "a list: [{requests: 100, per: 10s}]");
        return;
    }
    if (list->count > LIMITS_MAX) {
        mistake(rd, list->at, "there are more than %d rate limits: keep the tightest", LIMITS_MAX);
        return;
    }
    struct rate_limit *limits = reader_alloc(rd, list->count * sizeof *limits);
    if (!limits)
        return;
    for (size_t i = 0; i < list->count; i++) {
        struct rate_limit limit = {0};
        if (!read_limit(rd, list->items[i], d->connector, &limit))
            continue;
        for (size_t j = 0; j < d->limit_count; j++)
            if (limits[j].kind == limit.kind && limits[j].per_ms == limit.per_ms &&
                limits[j].group == limit.group)
                mistake(rd, list->items[i]->at,
                        "this rate limit has the kind and the period of an earlier one: keep one");
        limits[d->limit_count++] = limit;
    }
    d->limits = limits;
}

void destination_limits_read(struct reader *rd, const struct node *list, struct destination *d)
{
    if (list) {
        if (!list->broken)
            read_list(rd, list, d);
        return;
    }
    const struct limit_case *own =
        d->connector && d->options ? connector_limits(d->connector, d->options) : NULL;
    d->limits = own ? own->limits : NULL;
    d->limit_count = own ? own->count : 0;
}
