/* Placeholders: every one resolved against what may stand at its place. */
#include "protocol/connector/parts.h"

enum { COMPARED_FIELDS = 200 }; /* for "did you mean" */

/* Where a placeholder has a meaning. */
enum need {
    NEED_NOTHING,
    NEED_BATCH,
    NEED_OBJECT,
    NEED_SESSION,
    NEED_GROUP,
    NEED_RECORD,
    NEED_FOUND,
    NEED_CELL,
};

struct word {
    const char *name;
    enum piece_kind kind;
    enum need need;
    bool tail; /* a name follows behind a dot */
};

static const struct word words[] = {
    {"options", PIECE_OPTION, NEED_NOTHING, true},
    {"sync", PIECE_SYNC, NEED_BATCH, false},
    {"run", PIECE_RUN, NEED_BATCH, false},
    {"batch", PIECE_BATCH, NEED_BATCH, false},
    {"part", PIECE_PART, NEED_BATCH, false},
    {"attempt", PIECE_ATTEMPT, NEED_BATCH, false},
    {"object", PIECE_OBJECT, NEED_BATCH, false},
    {"identify_by", PIECE_IDENTIFY_BY, NEED_BATCH, false},
    {"conflict_fields", PIECE_CONFLICT_FIELDS, NEED_OBJECT, false},
    {"conflicts", PIECE_CONFLICTS, NEED_OBJECT, true},
    {"key_as", PIECE_KEY_AS, NEED_OBJECT, false},
    {"records", PIECE_RECORDS, NEED_BATCH, false},
    {"now", PIECE_NOW, NEED_NOTHING, false},
    {"now_ms", PIECE_NOW_MS, NEED_NOTHING, false},
    {"session.id", PIECE_SESSION_ID, NEED_SESSION, false},
    {"session.seq", PIECE_SESSION_SEQ, NEED_SESSION, false},
    {"session.last", PIECE_SESSION_LAST, NEED_SESSION, false},
    {"auth", PIECE_AUTH, NEED_NOTHING, true},
    {"vars", PIECE_VAR, NEED_OBJECT, true},
    {"joins", PIECE_JOIN, NEED_OBJECT, true},
    {"group", PIECE_GROUP, NEED_GROUP, true},
    {"op", PIECE_OP, NEED_RECORD, false},
    {"key", PIECE_KEY, NEED_RECORD, false},
    {"keys", PIECE_KEY_NAMED, NEED_RECORD, true},
    {"fields", PIECE_FIELD, NEED_RECORD, true},
    {"index", PIECE_INDEX, NEED_RECORD, false},
    {"trace", PIECE_TRACE, NEED_RECORD, false},
    {"uid", PIECE_UID, NEED_RECORD, false},
    {"found", PIECE_FOUND, NEED_FOUND, false},
    {"cell", PIECE_CELL, NEED_CELL, false},
    {"column", PIECE_COLUMN, NEED_CELL, false},
};

static const char *const filters[] = {
    [FILTER_RAW] = "raw",
    [FILTER_LOWER] = "lower",
    [FILTER_UPPER] = "upper",
    [FILTER_MD5] = "md5",
    [FILTER_SHA1] = "sha1",
    [FILTER_SHA256] = "sha256",
    [FILTER_BASE64] = "base64",
    [FILTER_URL] = "url",
    [FILTER_JSON] = "json",
    [FILTER_AS_TEXT] = "text",
    [FILTER_AS_NUMBER] = "number",
    [FILTER_ULID] = "ulid",
    NULL,
};

/* What is being read, for messages. */
struct reading {
    struct scope *s;
    struct config_place at;
    bool hidden; /* it holds a value from outside: never shown */
};

static const char *named(const struct reading *r, const char *name)
{
    return r->hidden ? "this placeholder" : reader_printf(r->s->rd, "{{%.80s}}", name);
}

/* ---- whether a placeholder has a meaning here ---- */

static const char *need_problem(const struct scope *s, enum need need)
{
    switch (need) {
    case NEED_NOTHING:
        return NULL;
    case NEED_BATCH:
        return s->token ? "has no meaning in a token's request, which belongs to no batch" : NULL;
    case NEED_OBJECT:
        return s->object ? NULL : "has no meaning outside of an object's requests";
    case NEED_SESSION:
        return s->object && s->object->session
                   ? NULL
                   : "needs an object with `session: true`, which this is not";
    case NEED_GROUP:
        if (!s->ops)
            return "has no meaning outside of an object's requests";
        return s->object->group_count ? NULL : "needs an object with `group_by`, which this is not";
    case NEED_RECORD:
    case NEED_FOUND:
        if (!s->record)
            return "needs a record: use it below $records, in `joins`, or in a request with "
                   "`max_records: 1`";
        return need == NEED_FOUND && !s->found ? "needs a step with `lookup` before this one"
                                               : NULL;
    case NEED_CELL:
        return s->cell ? NULL : "is known only below `cell` of $row";
    }
    return NULL;
}

static bool find_option(const struct reading *r, const char *name, struct piece *p)
{
    struct connector *c = r->s->c;
    int32_t option = option_find(c, name);
    if (option >= 0) {
        p->index = (uint32_t)option;
        return true;
    }
    const char **known = reader_alloc(r->s->rd, (c->option_count + 1) * sizeof *known);
    for (size_t i = 0; known && i < c->option_count; i++)
        known[i] = c->options[i].name;
    mistake(r->s->rd, r->at, "%s names no option; %s", named(r, p->text),
            !known || r->hidden
                ? "add it under `options`"
                : did_you_mean(r->s->rd, name, known, c->option_count, "add it under `options`"));
    return false;
}

static bool find_named(const struct reading *r, const struct names *n, const char *name,
                       const char *what, struct piece *p)
{
    int32_t i = names_find(n, name);
    if (i >= 0) {
        p->index = (uint32_t)i;
        return true;
    }
    mistake(r->s->rd, r->at, "%s is never captured; %s", named(r, p->text),
            did_you_mean(r->s->rd, r->hidden ? "" : name, n->items, n->count, what));
    return false;
}

static bool find_auth(const struct reading *r, const char *name, struct piece *p)
{
    struct scope *s = r->s;
    int32_t i = names_find(&s->auth_vars, name);
    if ((i == AUTH_REFRESH || i == AUTH_ASSERTION) && !s->token) {
        mistake(s->rd, r->at, "%s is known only in a token's request", named(r, p->text));
        return false;
    }
    if (s->auth_vars.count == 0) {
        mistake(s->rd, r->at, "%s needs `auth` with a `token`, which there is not",
                named(r, p->text));
        return false;
    }
    return find_named(r, &s->auth_vars, name, "add it to `capture` of the token", p);
}

static bool find_var(const struct reading *r, const char *name, struct piece *p)
{
    struct scope *s = r->s;
    if (!find_named(r, &s->vars, name, "add it to `capture` of an earlier step", p))
        return false;
    if (s->vars_known & 1u << p->index)
        return true;
    mistake(s->rd, r->at, "%s is captured by no earlier step of this request", named(r, p->text));
    return false;
}

static bool find_join(const struct reading *r, const char *name, struct piece *p)
{
    for (size_t i = 0; i < r->s->join_count; i++) {
        if (strcmp(r->s->joins[i].name, name) == 0) {
            p->index = (uint32_t)i;
            return true;
        }
    }
    mistake(r->s->rd, r->at, "%s names no entry of this step's `joins`: add it", named(r, p->text));
    return false;
}

static bool find_conflicts(const struct reading *r, const char *name, struct piece *p)
{
    p->index = conflict_bits(name);
    if (!p->index)
        mistake(r->s->rd, r->at,
                "%s names no way of handling conflicts: write {{conflicts.set_if_empty}}, "
                "create_only, newest_wins or merge_arrays",
                named(r, p->text));
    return p->index;
}

/* A removal has no fields but those that name it. */
static bool find_group(const struct reading *r, const char *name, struct piece *p)
{
    struct scope *s = r->s;
    const struct object *o = s->object;
    bool bare = !(s->ops & ~(1u << OP_DELETE | 1u << OP_CLEAR));
    for (size_t i = 0; i < o->group_count; i++) {
        if (strcmp(o->group_by[i], name) != 0)
            continue;
        p->index = (uint32_t)i;
        s->shared |= 1u << i;
        if (!bare || object_key(o, name))
            return true;
        mistake(s->rd, r->at, "%s is not known to a removal, which has key fields alone",
                named(r, p->text));
        return false;
    }
    mistake(s->rd, r->at, "%s names no field of the object's `group_by`: add it there",
            named(r, p->text));
    return false;
}

static bool is_declared(const struct object *o, const char *name)
{
    size_t n = strcspn(name, ".");
    if (object_field(o, name))
        return true;
    for (; name[n]; n += 1 + strcspn(name + n + 1, ".")) /* a member of a field that holds JSON */
        for (size_t i = 0; i < o->field_count; i++)
            if (strlen(o->fields[i].name) == n && memcmp(o->fields[i].name, name, n) == 0)
                return true;
    return false;
}

void field_check(struct scope *s, const char *field, struct config_place at, bool hidden)
{
    const struct object *o = s->object;
    if (!o || is_declared(o, field))
        return;
    const char *known[COMPARED_FIELDS] = {0};
    size_t count = hidden ? 0 : o->field_count;
    for (size_t i = 0; i < count && i < COMPARED_FIELDS; i++)
        known[i] = o->fields[i].name;
    mistake(s->rd, at, "the object has no field %s; %s",
            hidden ? "of this name" : shown_text(s->rd, field),
            did_you_mean(s->rd, hidden ? "" : field, known,
                         count < COMPARED_FIELDS ? count : COMPARED_FIELDS,
                         "add it under `fields`"));
}

static bool find_key(const struct reading *r, const char *name)
{
    if (object_key(r->s->object, name))
        return true;
    mistake(r->s->rd, r->at, "%s names no key of the object: add it under `keys`",
            named(r, reader_printf(r->s->rd, "keys.%s", name)));
    return false;
}

static bool resolve(const struct reading *r, const char *tail, struct piece *p)
{
    if (p->kind == PIECE_OPTION)
        return find_option(r, tail, p);
    if (p->kind == PIECE_AUTH)
        return find_auth(r, tail, p);
    if (p->kind == PIECE_VAR)
        return find_var(r, tail, p);
    if (p->kind == PIECE_JOIN)
        return find_join(r, tail, p);
    if (p->kind == PIECE_GROUP)
        return find_group(r, tail, p);
    if (p->kind == PIECE_CONFLICTS)
        return find_conflicts(r, tail, p);
    p->text = tail;
    if (p->kind == PIECE_FIELD)
        field_check(r->s, tail, r->at, r->hidden);
    return p->kind != PIECE_KEY_NAMED || find_key(r, tail);
}

/* ---- one placeholder ---- */

static struct slice trimmed(struct slice t)
{
    while (t.n && (t.p[0] == ' ' || t.p[0] == '\t'))
        t.p++, t.n--;
    while (t.n && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
        t.n--;
    return t;
}

static const struct word *find_word(const char *name, const char **ret_tail)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t n = strlen(words[i].name);
        if (strncmp(words[i].name, name, n) != 0)
            continue;
        *ret_tail = words[i].tail ? name + n + 1 : NULL;
        if (words[i].tail ? name[n] == '.' && name[n + 1] : !name[n])
            return &words[i];
    }
    return NULL;
}

static void unknown_word(const struct reading *r, const char *name)
{
    const char *known[ARRAY_LEN(words) + 1] = {0};
    const char *head = reader_str(r->s->rd, slice_of(name, strcspn(name, ".")));
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        known[i] = words[i].name;
        if (!head || r->hidden || !words[i].tail || strcmp(head, known[i]) != 0)
            continue;
        mistake(r->s->rd, r->at, "%s says no name: write {{%s.NAME}}", named(r, name), head);
        return;
    }
    mistake(r->s->rd, r->at, "%s stands for nothing; %s", named(r, name),
            did_you_mean(r->s->rd, r->hidden || !head ? "" : head, known, ARRAY_LEN(words),
                         "write one such as {{fields.NAME}}, {{key}} or {{options.NAME}}"));
}

static bool read_filter(const struct reading *r, struct slice text, struct piece *p)
{
    for (int f = 0; filters[f]; f++) {
        if (!slice_eq_str(text, filters[f]))
            continue;
        if (p->filter_count == CONNECTOR_FILTERS_MAX) {
            mistake(r->s->rd, r->at, "a placeholder has more than %d filters: use fewer",
                    CONNECTOR_FILTERS_MAX);
            return false;
        }
        p->filters[p->filter_count++] = (enum filter_kind)f;
        return true;
    }
    const char *name = reader_str(r->s->rd, text);
    mistake(r->s->rd, r->at, "there is no filter %s; %s",
            name && !r->hidden ? shown_text(r->s->rd, name) : "of this name",
            did_you_mean(r->s->rd, name && !r->hidden ? name : "", filters, ARRAY_LEN(filters),
                         reader_printf(r->s->rd, "known: %s", listed(r->s->rd, filters))));
    return false;
}

static bool read_name(const struct reading *r, const char *name, struct piece *p)
{
    const char *tail = NULL;
    const struct word *w = find_word(name, &tail);
    if (!w) {
        unknown_word(r, name);
        return false;
    }
    const char *problem = need_problem(r->s, w->need);
    if (problem) {
        mistake(r->s->rd, r->at, "%s %s", named(r, name), problem);
        return false;
    }
    r->s->uses = r->s->uses || w->need >= NEED_RECORD || w->kind == PIECE_JOIN;
    p->kind = w->kind;
    p->text = name;
    return resolve(r, tail, p);
}

bool piece_read(struct scope *s, struct slice inside, struct config_place at, bool hidden,
                struct piece *out)
{
    struct reading of = {s, at, hidden}, *r = &of;
    const char *bar = memchr(inside.p, '|', inside.n);
    struct slice first = trimmed(slice_of(inside.p, bar ? (size_t)(bar - inside.p) : inside.n));
    const char *name = reader_str(r->s->rd, first);
    bool good = name && read_name(r, name, out);
    while (bar) {
        const char *from = bar + 1, *end = inside.p + inside.n;
        bar = memchr(from, '|', (size_t)(end - from));
        good = read_filter(r, trimmed(slice_of(from, (size_t)((bar ? bar : end) - from))), out) &&
               good;
    }
    return good;
}

bool piece_of(struct scope *s, const struct node *node, const char *key, struct piece *out)
{
    const char *text = text_of(s->rd, node, key);
    *out = (struct piece){0};
    return text && piece_read(s, slice_str(text), node->at, node->substituted, out);
}
