/* What a step takes from its answers: values to keep, ids of records, the state of a job, further
 * pages. */
#include "protocol/config/quantity.h"
#include "protocol/connector/parts.h"

#include <stdlib.h>

/* ---- capture ---- */

struct capture_form {
    const struct node *json, *matches, *named, *take;
    const char *header;
};

#define MEMBER(m) .offset = offsetof(struct capture_form, m)
static const struct field capture_fields[] = {
    {"json", FIELD_NODE, MEMBER(json)},       {"header", FIELD_TEXT, MEMBER(header)},
    {"matches", FIELD_NODE, MEMBER(matches)}, {"named", FIELD_NODE, MEMBER(named)},
    {"take", FIELD_NODE, MEMBER(take)},
};
static const struct form capture_form = {"capture", capture_fields, ARRAY_LEN(capture_fields),
                                         false};

static bool read_capture(struct scope *s, const struct pair *pair, bool of_auth,
                         struct capture *out)
{
    struct capture_form f = {0};
    struct entry of = {pair->key, pair->at, pair->value};
    if (!form_read(s->rd, &capture_form, &of, &f))
        return false;
    if (!f.json == !f.header) {
        mistake(s->rd, pair->value->at,
                "a capture must have one of `json` and `header`: {json: /id}");
        return false;
    }
    *out = (struct capture){.from = f.json ? CAPTURE_JSON : CAPTURE_HEADER, .header = f.header};
    bool good = !f.json || pointer_of(s, f.json, "json", &out->at);
    if (f.matches)
        out->matches = pattern_of(s, f.matches, "matches", 1);
    if (!f.named != !f.take || (f.named && (!f.json || of_auth)))
        mistake(s->rd, pair->value->at,
                "`named` and `take` stand together, with `json`: the entry that is named like the "
                "object, and what is taken of it");
    if (f.named)
        good = pointer_of(s, f.named, "named", &out->named) && good;
    if (f.take)
        good = pointer_of(s, f.take, "take", &out->take) && good;
    return good;
}

void captures_read(struct scope *s, const struct node *node, struct names *vars, bool of_auth,
                   const struct capture **ret, size_t *ret_count)
{
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, "capture", "a map of names to what they take");
        return;
    }
    struct capture *list = reader_alloc(s->rd, node->count * sizeof *list);
    size_t kept = 0;
    for (size_t i = 0; list && i < node->count; i++) {
        const struct pair *pair = &node->pairs[i];
        int32_t var = names_add(vars, pair->key);
        if (var < 0) {
            mistake(s->rd, pair->at, "this connector captures more than %d names: use fewer",
                    CONNECTOR_VARS_MAX);
            break;
        }
        if (!of_auth)
            s->vars_known |= 1u << var;
        if (read_capture(s, pair, of_auth, &list[kept]))
            list[kept++].var = (uint32_t)var;
    }
    *ret = list;
    *ret_count = kept;
}

/* ---- lookup ---- */

static const char *const missing_words[] = {"ok", "not_found", "reject", "create", "keep", NULL};

struct lookup_form {
    const struct node *entries, *key, *id, *values, *updated;
    int key_as;
    int missing;
    bool single;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct lookup_form, m)
static const struct field lookup_fields[] = {
    {"entries", FIELD_NODE, MEMBER(entries)},
    {"key", FIELD_NODE, MEMBER(key)},
    {"key_as", FIELD_WORD, MEMBER(key_as), .words = key_form_words},
    {"id", FIELD_NODE, MEMBER(id)},
    {"missing", FIELD_WORD, MEMBER(missing), .words = missing_words, .required = true},
    {"values", FIELD_NODE, MEMBER(values)},
    {"updated", FIELD_NODE, MEMBER(updated)},
    {"single", FIELD_FLAG, MEMBER(single)},
};
static const struct form lookup_form = {"`lookup` map", lookup_fields, ARRAY_LEN(lookup_fields),
                                        false};

static void read_values(struct scope *s, const struct node *node, struct lookup *out)
{
    if (node->kind != NODE_MAP) {
        wrong_type(s->rd, node, "values", "a map of fields to pointers");
        return;
    }
    struct lookup_value *list = reader_alloc(s->rd, node->count * sizeof *list);
    for (size_t i = 0; list && i < node->count; i++) {
        const struct pair *pair = &node->pairs[i];
        bool any = strcmp(pair->key, "*") == 0;
        struct lookup_value v = {.field = any ? NULL : pair->key};
        if (!any)
            field_check(s, pair->key, pair->at, false);
        if (pointer_of(s, pair->value, pair->key, &v.at))
            list[out->value_count++] = v;
    }
    out->values = list;
}

static void check_lookup(struct scope *s, const struct node *node, const struct lookup_form *f)
{
    if (f->single && (f->entries || f->key))
        mistake(s->rd, node->at,
                "a lookup with `single` is about the one record: remove `entries` and `key`");
    if (!f->single && (!f->entries || !f->key))
        mistake(s->rd, node->at,
                "a lookup must have `entries` and `key`, or `single: true` where the answer is "
                "about the one record");
    if (f->single && !s->record)
        mistake(s->rd, node->at,
                "a lookup with `single` needs a request with `max_records: 1`: add it");
}

void lookup_read(struct scope *s, const struct node *node, struct step *step)
{
    static const enum lookup_missing kinds[] = {MISSING_ACCEPT, MISSING_NOT_FOUND, MISSING_REJECT,
                                                MISSING_KEEP, MISSING_KEEP};
    struct lookup_form f = {0};
    struct entry of = {NULL, node->at, node};
    struct lookup *l = reader_alloc(s->rd, sizeof *l);
    if (!l || !form_read(s->rd, &lookup_form, &of, &f))
        return;
    check_lookup(s, node, &f);
    l->single = f.single;
    l->key_form = (enum key_form)f.key_as;
    l->missing = kinds[f.missing];
    if (f.entries)
        (void)pointer_of(s, f.entries, "entries", &l->entries);
    if (f.key)
        (void)pointer_of(s, f.key, "key", &l->key);
    if (f.id)
        (void)pointer_of(s, f.id, "id", &l->id);
    if (f.values)
        read_values(s, f.values, l);
    if (f.updated)
        (void)pointer_of(s, f.updated, "updated", &l->updated);
    step->lookup = l;
    s->found = s->found || f.id;
}

/* ---- polling ---- */

static bool read_factor(struct scope *s, const struct node *node, double *out)
{
    char *end = NULL;
    double factor = node->kind == NODE_SCALAR && !node->broken ? strtod(node->text, &end) : 0;
    if (end && !*end && factor >= 1 && factor <= 10) {
        *out = factor;
        return true;
    }
    if (!node->broken)
        mistake(s->rd, node->at, "`factor` must be a number from 1 to 10");
    return false;
}

enum { DAY_MS = 86400000 };

struct poll_form {
    struct poll p;
    const struct node *first, *every, *factor;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct poll_form, m)
static const struct field poll_fields[] = {
    {"first", FIELD_NODE, MEMBER(first)},
    {"every", FIELD_NODE, MEMBER(every)},
    {"factor", FIELD_NODE, MEMBER(factor)},
    {"max", FIELD_DURATION, MEMBER(p.max_ms), .min = 1, .max = 7ull * DAY_MS},
    {"deadline", FIELD_DURATION, MEMBER(p.deadline_ms), .min = 1, .max = 7ull * DAY_MS},
};
static const struct form poll_form = {"`wait` map of a step", poll_fields, ARRAY_LEN(poll_fields),
                                      false};

/* A duration, or one option that holds it. */
static void read_pause(struct scope *s, const struct node *node, const char *key, uint64_t *ret_ms,
                       int32_t *ret_option)
{
    struct template t = {0};
    if (node->broken)
        return;
    if (node_is_text(node) && duration_parse(node->text, ret_ms) && *ret_ms <= 7ull * DAY_MS)
        return;
    if (!node_is_text(node) || !strstr(node->text, "{{")) {
        mistake(s->rd, node->at,
                "`%s` must be a duration up to 7d such as 10s or 5m, or one option", key);
        return;
    }
    if (!template_of(s, node, key, &t))
        return;
    if (t.count == 1 && t.pieces[0].kind == PIECE_OPTION && !t.pieces[0].filter_count)
        *ret_option = (int32_t)t.pieces[0].index;
    else
        mistake(s->rd, node->at, "`%s` may be one option and nothing else: \"{{options.first}}\"",
                key);
}

void poll_read(struct scope *s, const struct node *node, struct step *step)
{
    struct poll_form f = {.p = {.given = true,
                                .every_ms = 10000,
                                .deadline_ms = 7200000,
                                .factor = 1.5,
                                .first_option = -1,
                                .every_option = -1}};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &poll_form, &of, &f))
        return;
    if (f.factor)
        (void)read_factor(s, f.factor, &f.p.factor);
    if (f.every)
        read_pause(s, f.every, "every", &f.p.every_ms, &f.p.every_option);
    f.p.first_ms = f.p.every_ms;
    f.p.first_option = f.p.every_option;
    if (f.first) {
        f.p.first_option = -1;
        read_pause(s, f.first, "first", &f.p.first_ms, &f.p.first_option);
    }
    if (!f.p.max_ms)
        f.p.max_ms = f.p.every_ms > 300000 ? f.p.every_ms : 300000;
    if (f.p.max_ms < f.p.every_ms && f.p.every_option < 0)
        mistake(s->rd, node->at, "`max` is below `every`: make it larger");
    if (f.p.deadline_ms < f.p.first_ms && f.p.first_option < 0)
        mistake(s->rd, node->at, "`deadline` is before the first question: make it larger");
    step->poll = f.p;
}

void pages_read(struct scope *s, const struct node *node, struct step *step)
{
    struct pages_form {
        const struct node *next, *of;
        const char *var, *until;
    } f = {0};
    static const struct field fields[] = {
        {"next", FIELD_NODE, .offset = offsetof(struct pages_form, next), .required = true},
        {"of", FIELD_NODE, .offset = offsetof(struct pages_form, of)},
        {"var", FIELD_TEXT, .offset = offsetof(struct pages_form, var), .required = true},
        {"until", FIELD_TEXT, .offset = offsetof(struct pages_form, until)},
    };
    static const struct form form = {"`pages` map", fields, ARRAY_LEN(fields), false};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &form, &of, &f) || !f.next || !f.var)
        return;
    struct pair as_capture = {f.var, f.next->at, (struct node *)(uintptr_t)f.next};
    struct capture c = {0};
    int32_t var = names_add(&s->vars, f.var);
    int32_t until = f.until ? names_add(&s->vars, f.until) : -1;
    if (var < 0 || (f.until && until < 0)) {
        mistake(s->rd, node->at, "this connector captures more than %d names: use fewer",
                CONNECTOR_VARS_MAX);
        return;
    }
    struct pointer last = {0};
    if (!read_capture(s, &as_capture, true, &c) || (f.of && !pointer_of(s, f.of, "of", &last)))
        return;
    if (f.of && c.header)
        mistake(s->rd, f.of->at, "`of` belongs to a `next` that is read from JSON: remove it");
    s->vars_known |= 1u << var;
    step->pages = (struct pages){.given = true,
                                 .next = c.at,
                                 .next_header = c.header,
                                 .matches = c.matches,
                                 .of = last,
                                 .var = (uint32_t)var,
                                 .until = until};
}
