/*
 * What a sync asks of its object at the destination, and what that can do: each refusal names the
 * latter.
 */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/config/target.h"
#include "protocol/connector/connector.h"

static const char *const mode_words[] = {"upsert", "insert", "update", "append", "full", "mirror"};
static const char *const removal_words[] = {"ignore", "delete", "clear"};

static struct config_place place_of(const struct entry *of, const char *key)
{
    const struct pair *pair = node_get(of->node, key);
    return pair ? pair->value->at : of->at;
}

static const char *name_of(struct reader *rd, const struct sync *s)
{
    char name[TARGET_NAME_BYTES];
    return reader_printf(rd, "%s", target_name(s->destination->connector, s->target, name));
}

/* The words whose bits are set. */
static const char *set_words(struct reader *rd, uint32_t bits, const char *const *words, size_t n)
{
    const char *set[ARRAY_LEN(mode_words) + 1] = {0};
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (bits & 1u << i)
            set[count++] = words[i];
    return listed(rd, set);
}

/* Names of fields, NULL ends them. */
static const char *const *field_names(struct reader *rd, const struct object_field *fields,
                                      size_t count)
{
    const char **names = reader_alloc(rd, (count + 1) * sizeof *names);
    for (size_t i = 0; names && i < count; i++)
        names[i] = fields[i].name;
    return names;
}

/* ---- which object ---- */

static bool names_object(const struct template *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->pieces[i].kind == PIECE_OBJECT)
            return true;
    return false;
}

/* An address that is made with the object's name cannot do without one, nor can a table. */
static bool needs_name(const struct connector *c, const struct object *o)
{
    bool needs = strcmp(c->driver, "http") != 0 || strcmp(o->name, "*") != 0;
    for (size_t i = 0; i < o->request_count && !needs; i++)
        for (size_t j = 0; j < o->requests[i].step_count && !needs; j++)
            needs = names_object(&o->requests[i].steps[j].url);
    return needs && strchr(o->name, '*');
}

void sync_resolve(struct reader *rd, const struct entry *of, struct sync *s)
{
    const struct connector *c = s->destination ? s->destination->connector : NULL;
    if (!c || c->object_count == 0)
        return;
    s->target = connector_object(c, s->object, &s->star);
    if (s->target && !s->object && needs_name(c, s->target))
        s->target = NULL;
    const char **names = reader_alloc(rd, (c->object_count + 1) * sizeof *names);
    if (s->target || !names)
        return;
    for (size_t i = 0; i < c->object_count; i++)
        names[i] = c->objects[i].name;
    const struct pair *object = node_get(of->node, "object");
    if (object && object->value->broken)
        return;
    if (!object && c->object_count == 1 && strcmp(names[0], "*") == 0)
        mistake(rd, of->at, "the sync %s has no `object`: write its name at %s%s%s",
                shown_text(rd, of->name), c->name, c->objects[0].about ? ", for " : "",
                c->objects[0].about ? c->objects[0].about : "");
    else if (!object)
        mistake(rd, of->at, "the sync %s has no `object`: write which of %s has (%s)",
                shown_text(rd, of->name), c->name, listed(rd, names));
    else
        mistake(rd, object->value->at, "%s has no object %s: %s (objects: %s)", c->name,
                shown(rd, object->value),
                did_you_mean(rd, object->value->substituted ? "" : s->object, names,
                             c->object_count, "write one that it has"),
                listed(rd, names));
}

/* What the connector as a whole can do without, and this object cannot. */
static void check_needs(struct reader *rd, const struct entry *of, const struct sync *s)
{
    const struct destination *d = s->destination;
    for (size_t i = 0; d->options && i < s->target->need_count; i++) {
        uint32_t option = s->target->needs[i];
        if (!d->options[option] || !*d->options[option])
            mistake(rd, place_of(of, "object"),
                    "%s needs `%s` of its destination, and %s has none: add it there",
                    name_of(rd, s), d->connector->options[option].name, shown_text(rd, d->name));
    }
}

/* ---- modes ---- */

/* Who wrote the connector can help himself: what a removal lacks is a request. */
static const char *or_request(const struct sync *s)
{
    bool clears = s->on_removed == REMOVED_CLEAR;
    if (s->destination->connector->builtin || s->on_removed == REMOVED_IGNORE ||
        s->target->request_of[clears ? OP_CLEAR : OP_DELETE] >= 0)
        return "";
    return clears ? ", or add a request for clear to it" : ", or add a request for delete to it";
}

static void check_mode(struct reader *rd, const struct entry *of, const struct sync *s)
{
    const struct object *o = s->target;
    if (!(o->modes & 1u << s->mode)) {
        const char *can = set_words(rd, o->modes, mode_words, ARRAY_LEN(mode_words));
        mistake(rd, place_of(of, "mode"), "%s cannot do mode %s: %s `mode` it takes (%s)%s",
                name_of(rd, s), mode_words[s->mode],
                node_get(of->node, "mode") ? "write a" : "add a", can, or_request(s));
        return;
    }
    if (s->on_removed == REMOVED_IGNORE || o->removals & 1u << s->on_removed)
        return;
    const char *can =
        set_words(rd, o->removals | 1u << REMOVED_IGNORE, removal_words, ARRAY_LEN(removal_words));
    mistake(rd, place_of(of, "on_removed"),
            "%s cannot do `on_removed: %s`: write what it takes (%s)%s", name_of(rd, s),
            removal_words[s->on_removed], can, or_request(s));
}

/* ---- keys ---- */

static void check_key(struct reader *rd, const struct entry *of, const struct sync *s)
{
    const struct object *o = s->target;
    if (o->key_count == 0)
        return;
    const char *keys = listed(rd, field_names(rd, o->keys, o->key_count));
    if (s->identify_by) {
        if (!object_key(o, s->identify_by))
            mistake(rd, place_of(of, "identify_by"),
                    "%s does not find records by this field: `identify_by` must be one of its keys "
                    "(%s)",
                    name_of(rd, s), keys);
        return;
    }
    for (size_t i = 0; s->model && i < s->model->primary_key_count; i++) {
        if (object_key(o, s->model->primary_key[i]))
            continue;
        mistake(rd, of->at,
                "%s does not find records by %s, the primary key: add `identify_by` with one of "
                "its keys (%s)",
                name_of(rd, s), shown_text(rd, s->model->primary_key[i]), keys);
        return;
    }
}

/* A key field by which the API finds records to write, but none to delete. */
static const char *key_that_keeps(const struct sync *s)
{
    const struct object_field *f = s->identify_by ? object_key(s->target, s->identify_by) : NULL;
    if (f && f->keeps)
        return s->identify_by;
    for (size_t i = 0; !s->identify_by && s->model && i < s->model->primary_key_count; i++) {
        f = object_key(s->target, s->model->primary_key[i]);
        if (f && f->keeps)
            return s->model->primary_key[i];
    }
    return NULL;
}

static void check_removal_key(struct reader *rd, const struct entry *of, const struct sync *s)
{
    const struct object *o = s->target;
    const char *field = s->on_removed == REMOVED_DELETE ? key_that_keeps(s) : NULL;
    if (!field)
        return;
    const char **others = reader_alloc(rd, (o->key_count + 1) * sizeof *others);
    for (size_t i = 0, n = 0; others && i < o->key_count; i++)
        if (!o->keys[i].keeps)
            others[n++] = o->keys[i].name;
    mistake(rd, place_of(of, node_get(of->node, "on_removed") ? "on_removed" : "mode"),
            "%s cannot delete records that are named by %s: name them by another of its keys "
            "(`identify_by`: %s), or delete none",
            name_of(rd, s), shown_text(rd, field), others ? listed(rd, others) : "");
}

/* ---- fields ---- */

static const char *type_name(enum field_type type)
{
    static const char *const names[] = {"any",    "text",        "a number", "true or false",
                                        "a date", "a timestamp", "JSON",     "a list"};
    return names[type];
}

/* json is not empty: what a value is shows in its first character. */
static bool constant_suits(const struct object *o, enum field_type type, const char *json)
{
    bool text = *json == '"', list = *json == '[', map = *json == '{';
    bool flag = strcmp(json, "true") == 0 || strcmp(json, "false") == 0;
    if (strcmp(json, "null") == 0)
        return true;
    switch (type) {
    case FIELD_ANY:
    case FIELD_IS_JSON:
        return true;
    case FIELD_IS_TEXT:
        return text || (o->fields_as == AS_TEXT && !list && !map);
    case FIELD_IS_NUMBER:
        return !text && !list && !map && !flag;
    case FIELD_IS_BOOL:
        return flag;
    case FIELD_IS_DATE:
        return text;
    case FIELD_IS_TIMESTAMP:
        return !list && !map && !flag;
    case FIELD_IS_LIST:
        return list;
    }
    return true;
}

static void check_field(struct reader *rd, const struct sync *s, const struct mapping *m)
{
    const struct object *o = s->target;
    if (!target_takes(o, m->to)) {
        const char *const *names = field_names(rd, o->fields, o->field_count);
        mistake(rd, m->place, "%s has no field %s: %s (fields: %s)", name_of(rd, s),
                shown_text(rd, m->to),
                did_you_mean(rd, m->to, names, o->field_count, "map to one that it has"),
                listed(rd, names));
        return;
    }
    const struct object_field *f = object_field(o, m->to);
    if (f && m->kind == MAPPING_CONSTANT && m->constant && m->transform_count == 0 &&
        !constant_suits(o, f->type, m->constant))
        mistake(rd, m->place, "the field %s of %s is %s, and `value` is not: write another value",
                shown_text(rd, m->to), name_of(rd, s), type_name(f->type));
}

static void check_fields(struct reader *rd, const struct entry *of, const struct sync *s)
{
    const struct object *o = s->target;
    const char **fields = reader_alloc(rd, (s->mapping_count + 1) * sizeof *fields);
    if (!fields || s->map_all || s->mapping_count == 0)
        return;
    for (size_t i = 0; i < s->mapping_count; i++) {
        fields[i] = s->mappings[i].to;
        check_field(rd, s, &s->mappings[i]);
    }
    const char *lack = target_lacks(o, s->mode, fields, s->mapping_count);
    if (lack)
        mistake(rd, of->at, "%s needs the field %s: add a mapping to it", name_of(rd, s), lack);
    if (target_has_any(o, fields, s->mapping_count))
        return;
    const char **any = reader_alloc(rd, (o->any_of_count + 1) * sizeof *any);
    for (size_t i = 0; any && i < o->any_of_count; i++)
        any[i] = o->any_of[i];
    if (any)
        mistake(rd, of->at, "%s needs one of the fields %s: add a mapping to one", name_of(rd, s),
                listed(rd, any));
}

/* ---- values that requests are about ---- */

static bool is_key(const struct sync *s, const char *field)
{
    if (s->identify_by)
        return strcmp(s->identify_by, field) == 0;
    for (size_t i = 0; s->model && i < s->model->primary_key_count; i++)
        if (strcmp(s->model->primary_key[i], field) == 0)
            return true;
    return false;
}

static bool is_mapped(const struct sync *s, const char *field)
{
    bool mapped = s->map_all || s->mapping_count == 0;
    for (size_t i = 0; i < s->mapping_count && !mapped; i++)
        mapped = mapping_is_to(&s->mappings[i], field);
    return mapped;
}

/* The field of group_by that the op's request is about and its records lack; NULL: none. */
static const char *lacks_group(const struct sync *s, enum record_op op, bool removal)
{
    const struct object *o = s->target;
    uint32_t used = o->request_of[op] < 0 ? 0 : o->requests[o->request_of[op]].groups;
    for (size_t i = 0; i < o->group_count; i++)
        if (used & 1u << i && !is_key(s, o->group_by[i]) &&
            (removal || !is_mapped(s, o->group_by[i])))
            return o->group_by[i];
    return NULL;
}

static void check_groups(struct reader *rd, const struct entry *of, const struct sync *s)
{
    static const enum record_op ops[] = {
        [MODE_UPSERT] = OP_UPSERT, [MODE_INSERT] = OP_INSERT, [MODE_UPDATE] = OP_UPDATE,
        [MODE_APPEND] = OP_APPEND, [MODE_FULL] = OP_UPSERT,   [MODE_MIRROR] = OP_UPSERT};
    const char *lack = lacks_group(s, ops[s->mode], false);
    if (lack)
        mistake(rd, of->at,
                "%s needs the field %s, which each of its requests is about: add a "
                "mapping to it",
                name_of(rd, s), lack);
    if (s->on_removed == REMOVED_IGNORE)
        return;
    lack = lacks_group(s, s->on_removed == REMOVED_CLEAR ? OP_CLEAR : OP_DELETE, true);
    if (lack)
        mistake(rd, place_of(of, node_get(of->node, "on_removed") ? "on_removed" : "mode"),
                "a removal knows only what names the record, and each request of %s is about the "
                "field %s: name records by it (`identify_by`), or remove none",
                name_of(rd, s), lack);
}

/* ---- conflicts ---- */

static const char *conflicts_of(struct reader *rd, const struct object *o)
{
    const char *can[5] = {"on_conflict: overwrite"};
    size_t n = 1;
    if (o->set_if_empty)
        can[n++] = "on_conflict: set_if_empty";
    if (o->create_only)
        can[n++] = "on_conflict: create_only";
    if (o->merge_arrays)
        can[n++] = "arrays: merge";
    return listed(rd, can);
}

static void check_conflict(struct reader *rd, const struct sync *s, const struct mapping *m)
{
    const struct object *o = s->target;
    const char *what = NULL;
    if (m->on_conflict == ON_CONFLICT_SET_IF_EMPTY && !o->set_if_empty)
        what = "on_conflict: set_if_empty";
    else if (m->on_conflict == ON_CONFLICT_CREATE_ONLY && !o->create_only)
        what = "on_conflict: create_only";
    else if (m->merge_arrays && !o->merge_arrays)
        what = "arrays: merge";
    if (what)
        mistake(rd, m->place, "%s cannot do `%s`: remove it, or write what it can (%s)",
                name_of(rd, s), what, conflicts_of(rd, o));
}

/* Of more fields the worker could not tell which ones a look-up leaves out. */
static void check_looked_up(struct reader *rd, const struct sync *s)
{
    const struct object *o = s->target;
    const struct mapping *first_beyond = NULL;
    bool looks_up = false;
    size_t count = 0;
    for (size_t i = 0; i < s->mapping_count; i++) {
        const struct mapping *m = &s->mappings[i];
        bool empty = m->on_conflict == ON_CONFLICT_SET_IF_EMPTY;
        bool create = m->on_conflict == ON_CONFLICT_CREATE_ONLY;
        if (!empty && !create && !m->merge_arrays)
            continue;
        looks_up = looks_up || (empty && o->set_if_empty == CONFLICT_LOOKUP) ||
                   (create && o->create_only == CONFLICT_LOOKUP);
        if (++count == POLICIES_LOOKED_UP_MAX + 1)
            first_beyond = m;
    }
    if (looks_up && first_beyond)
        mistake(rd, first_beyond->place,
                "%s asks first what is there, and can do so for %d fields with `on_conflict` or "
                "`arrays: merge`, of which the sync has %zu: remove it from %zu mappings, or write "
                "a second sync for them",
                name_of(rd, s), POLICIES_LOOKED_UP_MAX, count, count - POLICIES_LOOKED_UP_MAX);
}

static void check_newest(struct reader *rd, const struct entry *of, const struct sync *s)
{
    const struct pair *given = node_get(of->node, "newest_wins");
    const char **known = reader_alloc(rd, (s->mapping_count + 1) * sizeof *known);
    if (!s->target->newest_wins) {
        mistake(rd, given->at, "%s cannot do `newest_wins`: remove it, its records are overwritten",
                name_of(rd, s));
        return;
    }
    if (!known || s->map_all || s->mapping_count == 0)
        return;
    for (size_t i = 0; i < s->mapping_count; i++) {
        known[i] = s->mappings[i].to;
        if (!mapping_is_to(&s->mappings[i], s->newest_wins))
            continue;
        if (s->mappings[i].kind == MAPPING_CONSTANT)
            mistake(rd, given->value->at,
                    "`newest_wins` names a field with the same value for all records: name one "
                    "with the row's timestamp");
        return;
    }
    mistake(rd, given->value->at, "`newest_wins` names the field %s, which no mapping fills: %s",
            shown(rd, given->value),
            did_you_mean(rd, given->value->substituted ? "" : s->newest_wins, known,
                         s->mapping_count, "add a mapping of the row's timestamp to it"));
}

/* ---- sizes and lanes ---- */

/* The object's maximum, then the limits: a batch above a window's records could never be sent. */
static void set_batch_size(struct reader *rd, const struct entry *of, struct sync *s)
{
    const struct destination *d = s->destination;
    const struct object *o = s->target;
    bool given = s->batch_size != 0;
    uint32_t usual =
        o->batch_records && o->batch_records < o->max_records ? o->batch_records : o->max_records;
    if (!given)
        s->batch_size = d->batch_size && d->batch_size < o->max_records ? d->batch_size
                        : d->batch_size                                 ? o->max_records
                                                                        : usual;
    if (s->batch_size > o->max_records)
        mistake(rd, place_of(of, "batch_size"),
                "`batch_size` is above the maximum of %s, which is %u: make it smaller",
                name_of(rd, s), o->max_records);
    for (size_t i = 0; i < d->limit_count; i++) {
        if (d->limits[i].kind != RATE_RECORDS || d->limits[i].count >= s->batch_size)
            continue;
        if (given)
            mistake(rd, place_of(of, "batch_size"),
                    "`batch_size` is above the `records` of a rate limit of %s, so that no batch "
                    "could ever be sent: make it smaller",
                    shown_text(rd, d->name));
        s->batch_size = (uint32_t)d->limits[i].count;
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void set_sizes(struct reader *rd, const struct entry *of, struct sync *s)
{
    const struct object *o = s->target;
    uint64_t usual = o->batch_bytes ? o->batch_bytes : o->max_bytes;
    set_batch_size(rd, of, s);
    s->batch_bytes = s->destination->batch_bytes ? s->destination->batch_bytes : usual;
    s->batch_bytes = least(least(s->batch_bytes, o->max_bytes), BATCH_BYTES_MAX);
    s->one_lane = o->one_lane || o->session;
    if (!s->lane_by && !s->one_lane)
        s->lane_field = o->lane_field;
}

void sync_target(struct reader *rd, const struct entry *of, struct sync *s)
{
    if (!s->target)
        return;
    set_sizes(rd, of, s);
    check_needs(rd, of, s);
    check_mode(rd, of, s);
    check_key(rd, of, s);
    check_removal_key(rd, of, s);
    check_fields(rd, of, s);
    check_groups(rd, of, s);
    for (size_t i = 0; i < s->mapping_count; i++)
        check_conflict(rd, s, &s->mappings[i]);
    check_looked_up(rd, s);
    if (s->newest_wins)
        check_newest(rd, of, s);
}
