#include "scheduler/api/record_key.h"

#include "protocol/base/json.h"
#include "protocol/base/utf8.h"
#include "scheduler/map/json_scan.h"
#include "scheduler/state/key.h"

#include <stdio.h>

enum { TEXT_MAX = 8192 };

/* The values of an object being read; what strings mean is kept in scratch. */
struct reading {
    const struct model *model;
    struct value values[KEY_VALUES_MAX];
    bool given[KEY_VALUES_MAX];
    char scratch[TEXT_MAX];
    size_t used;
};

static enum err_code explain(const struct model *model, struct err *err)
{
    char names[256] = "";
    size_t n = 0;
    for (size_t i = 0; i < model->primary_key_count && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s\"%s\":…", i ? "," : "",
                              model->primary_key[i]);
    return err_set(err, ERR_INVALID, "key must be written {%.*s}%s",
                   (int)utf8_prefix(slice_str(names), sizeof names).n, names,
                   model->primary_key_count == 1 ? ", or as the plain value" : "");
}

/* A string literal's meaning. */
static bool meaning(struct reading *r, struct slice literal, struct slice *ret)
{
    size_t n;
    if (literal.n > sizeof r->scratch - r->used || json_unescape(literal, r->scratch + r->used, &n))
        return false;
    *ret = slice_of(r->scratch + r->used, n);
    r->used += n;
    return true;
}

static bool read_value(struct reading *r, struct slice literal, struct value *ret)
{
    struct slice text = literal;
    enum value_kind kind = VALUE_NUMBER;
    if (literal.p[0] == '"') {
        kind = VALUE_TEXT;
        if (!meaning(r, literal, &text))
            return false;
    } else if (literal.p[0] == '{' || literal.p[0] == '[') {
        kind = VALUE_JSON;
    } else if (literal.p[0] == 't' || literal.p[0] == 'f') {
        kind = literal.p[0] == 't' ? VALUE_TRUE : VALUE_FALSE;
    } else if (literal.p[0] == 'n') {
        return false;
    }
    *ret = value_of(kind, text);
    return true;
}

static bool read_member(struct reading *r, struct json_scan *s)
{
    struct slice literal, name;
    if (!json_scan_value(s, &literal) || literal.p[0] != '"' || !meaning(r, literal, &name) ||
        !json_scan_char(s, ':') || !json_scan_value(s, &literal))
        return false;
    for (size_t i = 0; i < r->model->primary_key_count; i++)
        if (!r->given[i] && slice_eq_str(name, r->model->primary_key[i]))
            return r->given[i] = read_value(r, literal, &r->values[i]);
    return false;
}

static bool read_object(struct reading *r, const char *text)
{
    struct json_scan s = {.p = text, .end = text + strlen(text)};
    size_t members = 0;
    const char *reason;
    if (!json_scan_document(slice_str(text), &reason) || !json_scan_char(&s, '{'))
        return false;
    do {
        if (!read_member(r, &s))
            return false;
        members++;
    } while (json_scan_char(&s, ','));
    return members == r->model->primary_key_count;
}

static enum err_code add(const struct model *model, const struct value *values, struct buf *out,
                         size_t *ends, size_t *count, struct err *err)
{
    enum err_code rc = key_encode(out, values, model->primary_key_count, NULL, err);
    if (!rc)
        ends[(*count)++] = out->len;
    return rc;
}

enum err_code record_keys(const struct model *model, const char *text, struct buf *out,
                          size_t ret_ends[RECORD_KEYS_MAX], size_t *ret_count, struct err *err)
{
    struct reading r = {.model = model};
    struct slice plain = slice_str(text);
    enum err_code rc = ERR_OK;
    *ret_count = 0;
    if (plain.n > TEXT_MAX || model->primary_key_count > KEY_VALUES_MAX)
        return explain(model, err);
    if (text[0] == '{' && read_object(&r, text))
        return add(model, r.values, out, ret_ends, ret_count, err);
    if (model->primary_key_count != 1 || !plain.n)
        return explain(model, err);
    if (json_is_number(plain)) {
        r.values[0] = value_of(VALUE_NUMBER, plain);
        rc = add(model, r.values, out, ret_ends, ret_count, err);
    } else if (slice_eq_str(plain, "true") || slice_eq_str(plain, "false")) {
        r.values[0] = (struct value){.kind = text[0] == 't' ? VALUE_TRUE : VALUE_FALSE};
        rc = add(model, r.values, out, ret_ends, ret_count, err);
    }
    r.values[0] = value_of(VALUE_TEXT, plain);
    return rc ? rc : add(model, r.values, out, ret_ends, ret_count, err);
}
