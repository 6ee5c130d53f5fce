#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/config/quantity.h"

#include <stdlib.h>

enum {
    LIMITS_MAX = 16,
    DAY_MS = 86400000,
};

struct destination_form {
    struct destination d;
    const char *type;
    const struct node *limits;
    const struct node *retry;
    struct webhook_nodes webhook;
};

#define MEMBER(m) .offset = offsetof(struct destination_form, m)
/* The first COMMON_FIELDS belong to every type, the rest to webhook. */
static const struct field fields[] = {
    {"type", FIELD_TEXT, MEMBER(type), .required = true},
    {"quota", FIELD_TEXT, MEMBER(d.quota)},
    {"rate_limits", FIELD_NODE, MEMBER(limits)},
    {"concurrency", FIELD_COUNT, MEMBER(d.concurrency), .min = 1, .max = 10000},
    {"timeout", FIELD_DURATION, MEMBER(d.timeout_ms), .min = 1, .max = 3600000},
    {"retry", FIELD_NODE, MEMBER(retry)},
    {"batch_size", FIELD_COUNT, MEMBER(d.batch_size), .min = 1, .max = WEBHOOK_BATCH_MAX},
    {"batch_bytes", FIELD_SIZE, MEMBER(d.batch_bytes), .min = 1024, .max = WEBHOOK_BATCH_BYTES_MAX},
    {"url", FIELD_TEXT, MEMBER(d.url), .required = true},
    {"headers", FIELD_NODE, MEMBER(webhook.headers)},
    {"bearer", FIELD_TEXT, MEMBER(d.bearer)},
    {"basic", FIELD_NODE, MEMBER(webhook.basic)},
    {"sign", FIELD_NODE, MEMBER(webhook.sign)},
    {"gzip", FIELD_FLAG, MEMBER(d.gzip)},
    {"ca_file", FIELD_TEXT, MEMBER(d.ca_file), .may_be_empty = true},
};
enum { COMMON_FIELDS = 8 };
static const struct form webhook_form = {"webhook destination", fields, ARRAY_LEN(fields), false};
static const struct form other_form = {"destination", fields, COMMON_FIELDS, true};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct retry_form, m)
struct retry_form {
    uint32_t attempts;
    uint64_t base_ms;
    uint64_t max_ms;
    uint64_t throttled_max_ms;
};
static const struct field retry_fields[] = {
    {"attempts", FIELD_COUNT, MEMBER(attempts), .min = 1, .max = 100},
    {"base", FIELD_DURATION, MEMBER(base_ms), .min = 1, .max = DAY_MS},
    {"max", FIELD_DURATION, MEMBER(max_ms), .min = 1, .max = DAY_MS},
    {"throttled_max", FIELD_DURATION, MEMBER(throttled_max_ms), .min = 1, .max = 30ull * DAY_MS},
};
static const struct form retry_form = {"`retry` map", retry_fields, ARRAY_LEN(retry_fields), false};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct limit_form, m)
struct limit_form {
    const struct node *requests;
    const struct node *records;
    const struct node *per;
};
static const struct field limit_fields[] = {
    {"requests", FIELD_NODE, MEMBER(requests)},
    {"records", FIELD_NODE, MEMBER(records)},
    {"per", FIELD_NODE, MEMBER(per), .required = true},
};
static const struct form limit_form = {"rate limit", limit_fields, ARRAY_LEN(limit_fields), false};

static const char *const types[] = {
    "webhook",   "http",     "hubspot",  "salesforce", "meta",       "google",
    "tiktok",    "linkedin", "klaviyo",  "braze",      "customerio", "iterable",
    "mailchimp", "marketo",  "intercom", "zendesk",    "segment",    "mixpanel",
    "amplitude", "slack",    "airtable", "postgres",   NULL,
};

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

static bool read_limit(struct reader *rd, const struct node *node, struct rate_limit *out)
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
    return read_count(rd, f.requests ? f.requests : f.records, f.requests ? "requests" : "records",
                      &out->count) &&
           good;
}

static void read_limits(struct reader *rd, const struct node *list, struct destination *d)
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
        if (!read_limit(rd, list->items[i], &limit))
            continue;
        for (size_t j = 0; j < d->limit_count; j++)
            if (limits[j].kind == limit.kind && limits[j].per_ms == limit.per_ms)
                mistake(rd, list->items[i]->at,
                        "this rate limit has the kind and the period of an earlier one: keep one");
        limits[d->limit_count++] = limit;
    }
    d->limits = limits;
}

static void read_retry(struct reader *rd, const struct node *node, struct config_place at,
                       struct retry_policy *out)
{
    struct retry_form f = {out->attempts, out->base_ms, out->max_ms, out->throttled_max_ms};
    struct entry of = {NULL, at, node};
    if (!form_read(rd, &retry_form, &of, &f))
        return;
    if (f.base_ms > f.max_ms)
        mistake(rd, node->at, "`base` of `retry` is above its `max`: make it smaller");
    *out = (struct retry_policy){f.attempts, f.base_ms, f.max_ms, f.throttled_max_ms};
}

/* A batch with more records than a window admits could never be sent. */
static void fit_batch(struct reader *rd, const struct entry *of, struct destination *d)
{
    const struct pair *given = node_get(of->node, "batch_size");
    for (size_t i = 0; i < d->limit_count; i++) {
        if (d->limits[i].kind != RATE_RECORDS || d->limits[i].count >= d->batch_size)
            continue;
        if (given && !given->value->broken)
            mistake(rd, given->value->at,
                    "`batch_size` is above the `records` of a rate limit, so that no batch could "
                    "ever be sent: make it smaller");
        d->batch_size = (uint32_t)d->limits[i].count;
        given = NULL;
    }
}

static void read_common(struct reader *rd, const struct entry *of, struct destination_form *f)
{
    if (f->d.quota != of->name)
        name_check(rd, node_get(of->node, "quota")->value->at, f->d.quota, "a quota's name");
    if (f->limits && !f->limits->broken)
        read_limits(rd, f->limits, &f->d);
    if (f->retry)
        read_retry(rd, f->retry, node_get(of->node, "retry")->at, &f->d.retry);
    fit_batch(rd, of, &f->d);
}

/* False where the type is not ours to read. */
static bool check_type(struct reader *rd, const struct entry *of)
{
    const struct pair *type = node_get(of->node, "type");
    if (!type || type->value->broken || node_is_word(type->value, types[0]))
        return type && !type->value->broken;
    const struct section *own = &rd->sections[SECTION_CONNECTORS];
    for (size_t i = 0; i < own->count && node_is_text(type->value); i++) {
        if (strcmp(own->names[i], type->value->text) != 0)
            continue;
        unsupported(rd, type->value->at,
                    "connectors of a project are not supported by this version: use webhook");
        return false;
    }
    int which = word_of(rd, type->value, "type", types);
    if (which > 0)
        unsupported(rd, type->value->at,
                    "a destination of type %s is not supported by this version: use webhook",
                    types[which]);
    return false;
}

static void destination_read(struct reader *rd, const struct entry *of, struct destination *out)
{
    struct destination_form f = {
        .d = {.name = of->name,
              .quota = of->name,
              .type = types[0],
              .concurrency = 8,
              .timeout_ms = 30000,
              .retry = {5, 500, 30000, 3600000},
              .batch_size = WEBHOOK_BATCH_SIZE,
              .batch_bytes = WEBHOOK_BATCH_BYTES,
              .batch_max = WEBHOOK_BATCH_MAX,
              .place = of->at},
    };
    bool webhook = check_type(rd, of);
    if (!webhook)
        f.d.batch_max = UINT32_MAX;
    if (form_read(rd, webhook ? &webhook_form : &other_form, of, &f)) {
        read_common(rd, of, &f);
        if (webhook)
            webhook_read(rd, of, &f.webhook, &f.d);
    }
    fingerprint_make(rd, &f.d);
    *out = f.d;
}

void destinations_read(struct reader *rd)
{
    const struct section *s = &rd->sections[SECTION_DESTINATIONS];
    rd->project->destinations = reader_alloc(rd, s->count * sizeof *rd->project->destinations);
    if (!rd->project->destinations)
        return;
    rd->project->destination_count = s->count;
    for (size_t i = 0; i < s->count && !rd->failed; i++)
        destination_read(rd, &s->entries[i], &rd->project->destinations[i]);
}
