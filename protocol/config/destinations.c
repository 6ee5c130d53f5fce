/* Destinations: the keys that all of them have; those of the connector are read by options.c. */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/config/shard.h"
#include "protocol/connector/connector.h"

#include <stdlib.h>

enum {
    DAY_MS = 86400000,
    CONCURRENCY = 8,
    TIMEOUT_MS = 30000,
};

struct destination_form {
    struct destination d;
    const char *type;
    const struct node *limits;
    const struct node *retry;
    const struct node *headers;
    const struct node *shard;
};

#define MEMBER(m) .offset = offsetof(struct destination_form, m)
static const struct field fields[] = {
    {"type", FIELD_TEXT, MEMBER(type), .required = true},
    {"quota", FIELD_TEXT, MEMBER(d.quota)},
    {"shard", FIELD_NODE, MEMBER(shard)},
    {"rate_limits", FIELD_NODE, MEMBER(limits)},
    {"concurrency", FIELD_COUNT, MEMBER(d.concurrency), .min = 1, .max = 10000},
    {"timeout", FIELD_DURATION, MEMBER(d.timeout_ms), .min = 1, .max = 3600000},
    {"retry", FIELD_NODE, MEMBER(retry)},
    {"batch_size", FIELD_COUNT, MEMBER(d.batch_size), .min = 1, .max = BATCH_RECORDS_MAX},
    {"batch_bytes", FIELD_SIZE, MEMBER(d.batch_bytes), .min = 1024, .max = BATCH_BYTES_MAX},
    {"headers", FIELD_NODE, MEMBER(headers)},
    {"ca_file", FIELD_TEXT, MEMBER(d.ca_file), .may_be_empty = true},
};
/* The other keys are the connector's options. */
static const struct form form = {"destination", fields, ARRAY_LEN(fields), true};

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

/* Those of the connector behind the common ones; NULL ends them. */
static const char *const *known_keys(struct reader *rd, const struct connector *c)
{
    const char **known =
        reader_alloc(rd, (ARRAY_LEN(fields) + c->option_count + 1) * sizeof *known);
    size_t n = 0;
    if (!known)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        known[n++] = fields[i].name;
    for (size_t i = 0; i < c->option_count; i++) {
        const char *name = c->options[i].name, *dot = strchr(name, '.');
        const char *key = dot ? reader_printf(rd, "%.*s", (int)(dot - name), name) : name;
        if (strcmp(key, known[n - 1]) != 0)
            known[n++] = key;
    }
    return known;
}

/* Of a destination of `type: http`, connector_read_inline has said what is unknown. */
static void refuse_unknown(struct reader *rd, const struct entry *of, const struct connector *c)
{
    const char *const *known = known_keys(rd, c);
    for (size_t i = 0; known && i < of->node->count; i++) {
        const struct pair *pair = &of->node->pairs[i];
        size_t j = 0;
        while (known[j] && strcmp(known[j], pair->key) != 0)
            j++;
        if (!known[j])
            form_unknown(rd, reader_printf(rd, "%s destination", c->name), pair, known);
    }
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
static void check_size(struct reader *rd, const struct entry *of, const struct destination *d)
{
    const struct pair *size = node_get(of->node, "batch_size");
    const struct pair *bytes = node_get(of->node, "batch_bytes");
    uint32_t records_max = 1;
    uint64_t bytes_max = 1024;
    for (size_t i = 0; i < d->connector->object_count; i++) {
        const struct object *o = &d->connector->objects[i];
        records_max = o->max_records > records_max ? o->max_records : records_max;
        bytes_max = o->max_bytes > bytes_max ? o->max_bytes : bytes_max;
    }
    if (d->batch_size > records_max)
        mistake(rd, size->value->at, "`batch_size` must be from 1 to %u", records_max);
    if (d->batch_bytes > bytes_max)
        mistake(rd, bytes->value->at, "`batch_bytes` must be from 1024B to %s",
                size_text(rd, bytes_max));
    for (size_t i = 0; i < d->limit_count; i++)
        if (d->limits[i].kind == RATE_RECORDS && d->limits[i].count < d->batch_size)
            mistake(rd, size->value->at,
                    "`batch_size` is above the `records` of a rate limit, so that no batch could "
                    "ever be sent: make it smaller");
}

/* A step that may take longer than a request usually does must fit the destination's lease. */
static uint64_t default_timeout(const struct connector *c)
{
    uint64_t longest = c->timeout_ms ? c->timeout_ms : TIMEOUT_MS;
    for (size_t i = 0; i < c->object_count; i++) {
        const struct object *o = &c->objects[i];
        for (size_t j = 0; j < o->request_count; j++)
            for (size_t k = 0; k < o->requests[j].step_count; k++)
                if (o->requests[j].steps[k].timeout_ms > longest)
                    longest = o->requests[j].steps[k].timeout_ms;
    }
    return longest;
}

static uint32_t read_shard(struct reader *rd, const struct node *node, const char *quota)
{
    uint32_t shards = rd->project->settings.shards, shard = 0;
    struct err err;
    if (!node)
        return shard_of_quota(quota, shards);
    if (node->kind != NODE_SCALAR || shard_parse(node->text, "", &shard, &err) || shard >= shards)
        mistake(rd, node->at, "`shard` must be a number from 0 to %u: `settings.shards` is %u",
                shards - 1, shards);
    return shard < shards ? shard : 0;
}

static void read_common(struct reader *rd, const struct entry *of, struct destination_form *f)
{
    if (f->d.quota != of->name)
        name_check(rd, node_get(of->node, "quota")->value->at, f->d.quota, "a quota's name");
    f->d.shard = read_shard(rd, f->shard, f->d.quota);
    destination_limits_read(rd, f->limits, &f->d);
    if (f->retry)
        read_retry(rd, f->retry, node_get(of->node, "retry")->at, &f->d.retry);
}

static void destination_read(struct reader *rd, const struct entry *of, struct destination *out)
{
    struct destination_form f = {
        .d = {.name = of->name,
              .quota = of->name,
              .retry = {5, 500, 30000, 3600000},
              .place = of->at},
    };
    const struct node *definition = NULL;
    const struct connector *c = connector_of(rd, of, &definition);
    f.d.connector = c;
    f.d.type = c ? c->name : "";
    f.d.concurrency = c && c->concurrency ? c->concurrency : CONCURRENCY;
    f.d.timeout_ms = c ? default_timeout(c) : TIMEOUT_MS;
    if (form_read(rd, &form, of, &f)) {
        if (c) {
            if (definition != of->node)
                refuse_unknown(rd, of, c);
            destination_options_read(rd, of, &f.d);
        }
        read_common(rd, of, &f);
        destination_http_read(rd, of, f.headers, &f.d);
        if (c)
            check_size(rd, of, &f.d);
    }
    if (destination_rotates(&f.d) && !rd->project->settings.seal_key)
        note(rd, of->at,
             "the refresh token of the destination %s changes with each use: set "
             "`settings.seal_key`, or let no more than one worker run",
             shown_text(rd, of->name));
    secrets_gather(rd, definition, &f.d);
    if (c)
        fingerprint_make(rd, definition, &f.d);
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
