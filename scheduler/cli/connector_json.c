#include "protocol/base/json.h"
#include "scheduler/cli/connector_print.h"

#include <inttypes.h>

/* A member; between is "," from the second on. */
static enum err_code put_text(struct buf *b, const char *between, const char *name,
                              const char *text)
{
    enum err_code rc = buf_printf(b, "%s\"%s\":", between, name);
    PUT(rc, text ? json_put_string(b, slice_str(text)) : buf_puts(b, "null"));
    return rc;
}

static enum err_code put_texts(struct buf *b, const char *name, const char *const *texts,
                               size_t count)
{
    enum err_code rc = buf_printf(b, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        PUT(rc, buf_puts(b, i ? "," : ""));
        PUT(rc, json_put_string(b, slice_str(texts[i])));
    }
    PUT(rc, buf_puts(b, "]"));
    return rc;
}

static enum err_code put_bits(struct buf *b, const char *name, uint32_t bits,
                              const char *const *words, size_t n)
{
    const char *set[8];
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (bits & 1u << i)
            set[count++] = words[i];
    return put_texts(b, name, set, count);
}

static const char *bool_text(bool value)
{
    return value ? "true" : "false";
}

/* ---- options, authentication, limits ---- */

static enum err_code put_option(struct buf *b, const struct option *o)
{
    static const char *const kinds[] = {"text", "number", "bool", "map", "digits"};
    enum err_code rc = put_text(b, "{", "name", o->name);
    PUT(rc, put_text(b, ",", "kind", kinds[o->kind]));
    PUT(rc, buf_printf(b, ",\"secret\":%s,\"required\":%s", bool_text(o->secret),
                       bool_text(o->required)));
    PUT(rc, put_text(b, ",", "default", o->preset));
    PUT(rc, put_texts(b, "one_of", o->one_of, o->one_of_count));
    PUT(rc, put_text(b, ",", "about", o->about));
    PUT(rc, buf_puts(b, "}"));
    return rc;
}

static const char *way_of(const struct auth *a)
{
    static const char *const grants[] = {
        [GRANT_REFRESH] = "refresh_token",
        [GRANT_CLIENT] = "client_credentials",
        [GRANT_JWT] = "jwt_bearer",
        [GRANT_REQUEST] = "request",
    };
    if (a->token)
        return grants[a->token->grant];
    if (a->basic)
        return "basic";
    if (a->sigv4.given)
        return "sigv4";
    if (a->hmac.header || a->hmac.query)
        return "hmac";
    if (a->header_count)
        return "header";
    if (a->query_count)
        return "query";
    return a->body_count ? "body" : "none";
}

static enum err_code put_auth(struct buf *b, const struct connector *c, const struct auth *a)
{
    enum err_code rc = put_text(b, "{", "way", way_of(a));
    PUT(rc, buf_puts(b, ",\"options\":["));
    for (size_t i = 0; i < a->when_count; i++) {
        PUT(rc, buf_puts(b, i ? "," : ""));
        PUT(rc, json_put_string(b, slice_str(c->options[a->when[i]].name)));
    }
    PUT(rc, buf_printf(b, "],\"rotates\":%s}", bool_text(a->token && a->token->rotates)));
    return rc;
}

static enum err_code put_limits(struct buf *b, const struct connector *c)
{
    enum err_code rc = buf_puts(b, ",\"limits\":[");
    const char *between = "";
    for (size_t i = 0; i < c->limit_case_count; i++)
        for (size_t j = 0; j < c->limit_cases[i].count; j++) {
            const struct rate_limit *l = &c->limit_cases[i].limits[j];
            bool named = l->group && l->group <= c->group_count;
            PUT(rc,
                buf_printf(b, "%s{\"%s\":%" PRIu64 ",\"per_ms\":%" PRIu64, between,
                           l->kind == RATE_RECORDS ? "records" : "requests", l->count, l->per_ms));
            PUT(rc, put_text(b, ",", "group", named ? c->groups[l->group - 1] : NULL));
            PUT(rc, put_text(b, ",", "when", c->limit_cases[i].value));
            PUT(rc, buf_puts(b, "}"));
            between = ",";
        }
    PUT(rc, buf_puts(b, "]"));
    PUT(rc, put_text(b, ",", "limits_by",
                     c->limit_option >= 0 ? c->options[c->limit_option].name : NULL));
    PUT(rc, buf_printf(
                b, ",\"concurrency\":%" PRIu32 ",\"timeout_ms\":%" PRIu64 ",\"open_jobs\":%" PRIu32,
                c->concurrency ? c->concurrency : 8, c->timeout_ms ? c->timeout_ms : 30000,
                c->open_jobs));
    return rc;
}

/* ---- objects ---- */

static enum err_code put_fields(struct buf *b, const char *name, const struct object_field *fields,
                                size_t count)
{
    enum err_code rc = buf_printf(b, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        const struct object_field *f = &fields[i];
        PUT(rc, put_text(b, i ? ",{" : "{", "name", f->name));
        PUT(rc, put_text(b, ",", "type", connector_type_words[f->type]));
        PUT(rc, buf_printf(b, ",\"required\":%s", bool_text(f->required)));
        PUT(rc, put_text(b, ",", "recipe", f->recipe));
        PUT(rc, put_text(b, ",", "about", f->about));
        PUT(rc, buf_puts(b, "}"));
    }
    PUT(rc, buf_puts(b, "]"));
    return rc;
}

static enum err_code put_conflicts(struct buf *b, const struct object *o)
{
    static const char *const hows[] = {NULL, "native", "lookup"};
    enum err_code rc = buf_puts(b, ",\"conflicts\":");
    PUT(rc, put_text(b, "{", "set_if_empty", hows[o->set_if_empty]));
    PUT(rc, put_text(b, ",", "create_only", hows[o->create_only]));
    PUT(rc, put_text(b, ",", "newest_wins", hows[o->newest_wins]));
    PUT(rc, put_text(b, ",", "merge_arrays", hows[o->merge_arrays]));
    PUT(rc, buf_puts(b, "}"));
    return rc;
}

static enum err_code put_needs(struct buf *b, const struct connector *c, const struct object *o)
{
    enum err_code rc = buf_puts(b, ",\"needs\":[");
    for (size_t i = 0; i < o->need_count; i++) {
        PUT(rc, buf_puts(b, i ? "," : ""));
        PUT(rc, json_put_string(b, slice_str(c->options[o->needs[i]].name)));
    }
    PUT(rc, buf_puts(b, "]"));
    return rc;
}

static enum err_code put_rest(struct buf *b, const struct object *o)
{
    static const char *const repeats[] = {"safe", "keyed", "double"};
    enum err_code rc = put_text(b, ",", "about", o->about);
    PUT(rc, put_fields(b, "keys", o->keys, o->key_count));
    PUT(rc, put_fields(b, "fields", o->fields, o->field_count));
    PUT(rc, put_texts(b, "any_of", o->any_of, o->any_of_count));
    PUT(rc, put_conflicts(b, o));
    PUT(rc, put_text(b, ",", "repeat", repeats[o->repeat]));
    PUT(rc, put_text(b, ",", "delivery", connector_repeat_words(o->repeat)));
    PUT(rc, buf_printf(b,
                       ",\"max_records\":%" PRIu32 ",\"max_bytes\":%" PRIu64
                       ",\"max_item_bytes\":%" PRIu64 ",\"max_values\":%" PRIu32,
                       o->max_records, o->max_bytes, o->max_item_bytes, o->max_values));
    PUT(rc, buf_printf(b, ",\"one_lane\":%s,\"session\":%s,\"hold_ms\":%" PRIu64,
                       bool_text(o->one_lane), bool_text(o->session), o->hold_ms));
    PUT(rc, put_text(b, ",", "lane_by", o->lane_field));
    PUT(rc, put_texts(b, "group_by", o->group_by, o->group_count));
    PUT(rc, put_text(b, ",", "order_by", o->order_by));
    PUT(rc, put_text(b, ",", "unique_by", o->unique_by));
    return rc;
}

static enum err_code put_object(struct buf *b, const struct connector *c, const struct object *o,
                                bool whole)
{
    enum err_code rc = put_text(b, "{", "name", o->name);
    PUT(rc, put_bits(b, "modes", o->modes, connector_mode_words, ARRAY_LEN(connector_mode_words)));
    PUT(rc, put_bits(b, "remove", o->removals | 1u << REMOVED_IGNORE, connector_removal_words,
                     ARRAY_LEN(connector_removal_words)));
    if (whole)
        PUT(rc, put_rest(b, o));
    if (whole)
        PUT(rc, put_needs(b, c, o));
    PUT(rc, buf_puts(b, "}"));
    return rc;
}

static enum err_code put_whole(struct buf *b, const struct connector *c)
{
    enum err_code rc = put_text(b, ",", "docs", c->docs);
    PUT(rc, put_text(b, ",", "checked", c->checked));
    PUT(rc, put_text(b, ",", "notes", c->notes));
    PUT(rc, buf_puts(b, ",\"options\":["));
    for (size_t i = 0; i < c->option_count; i++) {
        PUT(rc, buf_puts(b, i ? "," : ""));
        PUT(rc, put_option(b, &c->options[i]));
    }
    PUT(rc, buf_puts(b, "],\"auth\":["));
    for (size_t i = 0; i < c->auth_count; i++) {
        PUT(rc, buf_puts(b, i ? "," : ""));
        PUT(rc, put_auth(b, c, &c->auths[i]));
    }
    PUT(rc, buf_puts(b, "]"));
    PUT(rc, put_limits(b, c));
    return rc;
}

enum err_code connector_put_json(struct buf *b, const struct connector *c, bool whole)
{
    enum err_code rc = put_text(b, "{", "name", c->name);
    PUT(rc, put_text(b, ",", "title", c->title));
    PUT(rc, buf_printf(b, ",\"builtin\":%s", bool_text(c->builtin)));
    if (whole)
        PUT(rc, put_whole(b, c));
    PUT(rc, buf_puts(b, ",\"objects\":["));
    for (size_t i = 0; i < c->object_count; i++) {
        PUT(rc, buf_puts(b, i ? "," : ""));
        PUT(rc, put_object(b, c, &c->objects[i], whole));
    }
    PUT(rc, buf_puts(b, "]}"));
    return rc;
}
