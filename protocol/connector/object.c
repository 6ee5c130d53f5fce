/* An object: what can be written, under which names and limits, and by which requests. */
#include "protocol/connector/parts.h"

enum { DAY_MS = 86400000, BYTES_DEFAULT = 4 << 20, BYTES_MAX = 256 << 20 };

const char *const object_words[] = {
    "about",         "keys",        "fields",      "any_of",    "modes",          "remove",
    "conflicts",     "repeat",      "max_records", "max_bytes", "max_item_bytes", "max_values",
    "batch_records", "batch_bytes", "group_by",    "order_by",  "unique_by",      "one_lane",
    "lane_by",       "hold",        "session",     "fields_as", "null",           "ensure",
    "requests",      "needs",       NULL,
};
const char *const mode_words[7] = {"upsert", "insert", "update", "append", "full", "mirror", NULL};
const char *const removed_words[4] = {"ignore", "delete", "clear", NULL};
static const char *const repeat_words[] = {"safe", "keyed", "double", NULL};
static const char *const conflict_words[] = {"native", "lookup", NULL};
static const char *const merge_words[] = {"native", NULL};
static const char *const type_words[] = {"any",       "text", "number", "bool", "date",
                                         "timestamp", "json", "list",   NULL};

struct object_form {
    struct object o;
    int repeat;
    int fields_as;
    const struct node *keys, *fields, *any_of, *modes, *remove, *conflicts, *lane_by, *null;
    const struct node *ensure, *requests, *one_lane, *group_by, *order_by, *unique_by, *needs;
};

#define MEMBER(m) .offset = offsetof(struct object_form, m)
static const struct field fields[] = {
    {"about", FIELD_TEXT, MEMBER(o.about)},
    {"needs", FIELD_NODE, MEMBER(needs)},
    {"keys", FIELD_NODE, MEMBER(keys)},
    {"fields", FIELD_NODE, MEMBER(fields)},
    {"any_of", FIELD_NODE, MEMBER(any_of)},
    {"modes", FIELD_NODE, MEMBER(modes)},
    {"remove", FIELD_NODE, MEMBER(remove)},
    {"conflicts", FIELD_NODE, MEMBER(conflicts)},
    {"repeat", FIELD_WORD, MEMBER(repeat), .words = repeat_words},
    {"max_records", FIELD_COUNT, MEMBER(o.max_records), .min = 1, .max = OBJECT_RECORDS_MAX},
    {"max_bytes", FIELD_SIZE, MEMBER(o.max_bytes), .min = 1024, .max = BYTES_MAX},
    {"max_item_bytes", FIELD_SIZE, MEMBER(o.max_item_bytes), .min = 64, .max = BYTES_MAX},
    {"max_values", FIELD_COUNT, MEMBER(o.max_values), .min = 1, .max = UINT32_MAX},
    {"batch_records", FIELD_COUNT, MEMBER(o.batch_records), .min = 1, .max = OBJECT_RECORDS_MAX},
    {"batch_bytes", FIELD_SIZE, MEMBER(o.batch_bytes), .min = 1024, .max = BYTES_MAX},
    {"group_by", FIELD_NODE, MEMBER(group_by)},
    {"order_by", FIELD_NODE, MEMBER(order_by)},
    {"unique_by", FIELD_NODE, MEMBER(unique_by)},
    {"one_lane", FIELD_NODE, MEMBER(one_lane)},
    {"lane_by", FIELD_NODE, MEMBER(lane_by)},
    {"hold", FIELD_DURATION, MEMBER(o.hold_ms), .min = 1, .max = DAY_MS},
    {"session", FIELD_FLAG, MEMBER(o.session)},
    {"fields_as", FIELD_WORD, MEMBER(fields_as), .words = render_words},
    {"null", FIELD_NODE, MEMBER(null)},
    {"ensure", FIELD_NODE, MEMBER(ensure)},
    {"requests", FIELD_NODE, MEMBER(requests)},
};

/* ---- fields ---- */

struct field_form {
    struct object_field f;
    int type;
    bool removes;
};

#undef MEMBER
#define MEMBER(m) .offset = offsetof(struct field_form, m)
static const struct field field_fields[] = {
    {"type", FIELD_WORD, MEMBER(type), .words = type_words},
    {"recipe", FIELD_TEXT, MEMBER(f.recipe)},
    {"about", FIELD_TEXT, MEMBER(f.about)},
    {"required", FIELD_FLAG, MEMBER(f.required)},
    {"as", FIELD_TEXT, MEMBER(f.as)},
    {"remove", FIELD_FLAG, MEMBER(removes)},
};
enum { KEY_FIELDS = 2 }; /* the last ones */
static const struct form key_form = {"key", field_fields, ARRAY_LEN(field_fields), false};
static const struct form field_form = {"field", field_fields, ARRAY_LEN(field_fields) - KEY_FIELDS,
                                       false};

static void read_field(struct scope *s, const struct pair *pair, bool key, struct object_field *out)
{
    struct field_form f = {.f = {.name = pair->key}, .removes = true};
    struct entry of = {pair->key, pair->at, pair->value};
    if (!node_is_core(pair->value, CORE_NULL))
        (void)form_read(s->rd, key ? &key_form : &field_form, &of, &f);
    *out = f.f;
    out->type = (enum field_type)f.type;
    out->keeps = !f.removes;
    if (out->recipe)
        out->recipe_at = node_get(pair->value, "recipe")->value->at;
    if (out->required && strcmp(out->name, "*") == 0)
        mistake(s->rd, pair->at, "\"*\" stands for any field and cannot be required");
}

/* Without the map any field will do. */
static void read_fields(struct scope *s, const struct node *node, bool key,
                        const struct object_field **ret, size_t *ret_count)
{
    static const struct object_field any = {.name = "*"};
    *ret = &any;
    *ret_count = 1;
    if (!node || node->broken)
        return;
    const char *what = key ? "keys" : "fields";
    if (node->kind != NODE_MAP || node->count == 0) {
        wrong_type(s->rd, node, what, "a map of at least one name: {email: {}, \"*\": {}}");
        return;
    }
    if (node->count > OBJECT_NAMES_MAX) {
        mistake(s->rd, node->at, "there are more than %d names in `%s`: use fewer",
                OBJECT_NAMES_MAX, what);
        return;
    }
    struct object_field *list = reader_alloc(s->rd, node->count * sizeof *list);
    for (size_t i = 0; list && i < node->count; i++)
        read_field(s, &node->pairs[i], key, &list[i]);
    if (!list)
        return;
    *ret = list;
    *ret_count = node->count;
}

/* ---- what it can do ---- */

static uint32_t words_of(struct scope *s, const struct node *node, const char *key,
                         const char *const *words)
{
    struct node *self = (struct node *)(uintptr_t)node;
    struct node *const *items = &self;
    size_t count = items_of(node, &items);
    uint32_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        int word = word_of(s->rd, items[i], key, words);
        if (word >= 0)
            bits |= 1u << word;
    }
    return bits;
}

static void read_conflicts(struct scope *s, const struct node *node, struct object *o)
{
    struct conflict_form {
        int of[4];
    } f = {{-1, -1, -1, -1}};
    static const struct field known[] = {
        {"set_if_empty", FIELD_WORD, .offset = offsetof(struct conflict_form, of[0]),
         .words = conflict_words},
        {"create_only", FIELD_WORD, .offset = offsetof(struct conflict_form, of[1]),
         .words = conflict_words},
        {"newest_wins", FIELD_WORD, .offset = offsetof(struct conflict_form, of[2]),
         .words = conflict_words},
        {"merge_arrays", FIELD_WORD, .offset = offsetof(struct conflict_form, of[3]),
         .words = merge_words},
    };
    static const struct form form = {"`conflicts` map", known, ARRAY_LEN(known), false};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &form, &of, &f))
        return;
    o->set_if_empty = (enum object_conflict)(f.of[0] + 1);
    o->create_only = (enum object_conflict)(f.of[1] + 1);
    o->newest_wins = (enum object_conflict)(f.of[2] + 1);
    o->merge_arrays = (enum object_conflict)(f.of[3] + 1);
}

static void read_lane(struct scope *s, const struct node *node, struct object *o)
{
    o->lane_field = text_of(s->rd, node, "lane_by");
    if (o->lane_field)
        field_check(s, o->lane_field, node->at, node->substituted);
}

/* A session is one lane by its nature. */
static void read_lanes(struct scope *s, const struct object_form *f, struct object *o)
{
    if (f->one_lane && !node_is_core(f->one_lane, CORE_BOOL))
        wrong_type(s->rd, f->one_lane, "one_lane", "true or false");
    bool said = f->one_lane && node_is_core(f->one_lane, CORE_BOOL);
    bool one = said && node_is_true(f->one_lane);
    if (o->session && said && !one)
        mistake(s->rd, f->one_lane->at,
                "the batches of a session go one after another: remove `one_lane: false`");
    o->one_lane = one || o->session;
    if (f->lane_by)
        read_lane(s, f->lane_by, o);
    if (f->lane_by && o->one_lane)
        mistake(s->rd, f->lane_by->at, "`lane_by` and %s exclude each other: keep one",
                o->session ? "`session`" : "`one_lane`");
}

/* ---- which records share a batch ---- */

static bool is_key(const struct object *o, const char *name)
{
    for (size_t i = 0; i < o->key_count; i++)
        if (strcmp(o->keys[i].name, name) == 0)
            return true;
    return false;
}

static const char *read_sorted(struct scope *s, const struct node *node, const char *key)
{
    const char *name = node ? text_of(s->rd, node, key) : NULL;
    if (name && strcmp(name, "{{identify_by}}") != 0 && !is_key(s->object, name))
        field_check(s, name, node->at, node->substituted);
    return name;
}

/* In a session the batches are parts of one whole, of which a value knows nothing. */
static void read_groups(struct scope *s, const struct node *node, struct object *o)
{
    if (!texts_of(s, node, "group_by", &o->group_by, &o->group_count))
        return;
    if (o->group_count > OBJECT_GROUP_MAX) {
        mistake(s->rd, node->at, "there are more than %d fields in `group_by`: use fewer",
                OBJECT_GROUP_MAX);
        o->group_count = 0;
    }
    for (size_t i = 0; i < o->group_count; i++)
        if (!is_key(o, o->group_by[i]))
            field_check(s, o->group_by[i], node->at, node->substituted);
    if (o->session)
        mistake(s->rd, node->at, "`group_by` and `session` exclude each other: keep one");
}

static void read_any_of(struct scope *s, const struct node *node, struct object *o)
{
    if (!texts_of(s, node, "any_of", &o->any_of, &o->any_of_count))
        return;
    for (size_t i = 0; i < o->any_of_count; i++)
        field_check(s, o->any_of[i], node->at, node->substituted);
}

/* Of options that are always there nothing needs to be said. */
static void read_needs(struct scope *s, const struct node *node, struct object *o)
{
    const char *const *names = NULL;
    size_t count = 0;
    if (!texts_of(s, node, "needs", &names, &count))
        return;
    uint32_t *needs = reader_alloc(s->rd, (count + 1) * sizeof *needs);
    for (size_t i = 0; needs && i < count; i++) {
        int32_t option = option_find(s->c, names[i]);
        if (option < 0)
            mistake(s->rd, node->at,
                    "`needs` names \"%s\", and there is no such option: correct it", names[i]);
        else if (s->c->options[option].required || s->c->options[option].preset)
            mistake(s->rd, node->at, "the option %s is never missing: remove it from `needs`",
                    names[i]);
        else
            needs[o->need_count++] = (uint32_t)option;
    }
    o->needs = needs;
}

/* ---- the whole ---- */

static void read_sizes(struct scope *s, const struct node *map, struct object *o)
{
    if (!node_get(map, "max_records") && strcmp(s->c->driver, "http") == 0)
        mistake(s->rd, map->at, "the object has no `max_records`: add it");
    if (!o->max_records)
        o->max_records = OBJECT_RECORDS_MAX;
    if (o->batch_records > o->max_records)
        mistake(s->rd, node_get(map, "batch_records")->at,
                "`batch_records` is above `max_records`: make it smaller");
    if (!o->batch_records || o->batch_records > o->max_records)
        o->batch_records = o->max_records;
    if (o->batch_bytes > o->max_bytes)
        mistake(s->rd, node_get(map, "batch_bytes")->at,
                "`batch_bytes` is above `max_bytes`: make it smaller");
    if (!o->batch_bytes || o->batch_bytes > o->max_bytes)
        o->batch_bytes = o->max_bytes;
    if (o->max_item_bytes > o->max_bytes)
        mistake(s->rd, node_get(map, "max_item_bytes")->at,
                "`max_item_bytes` is above `max_bytes`: make it smaller");
}

static void read_parts(struct scope *s, const struct object_form *f, struct object *o)
{
    if (f->any_of)
        read_any_of(s, f->any_of, o);
    if (f->needs)
        read_needs(s, f->needs, o);
    if (f->modes) {
        static const enum sync_mode modes[] = {MODE_UPSERT, MODE_INSERT, MODE_UPDATE,
                                               MODE_APPEND, MODE_FULL,   MODE_MIRROR};
        uint32_t words = words_of(s, f->modes, "modes", mode_words);
        for (size_t i = 0; i < ARRAY_LEN(modes); i++)
            o->modes |= words & 1u << i ? 1u << modes[i] : 0;
    }
    if (f->remove)
        o->removals = words_of(s, f->remove, "remove", removed_words);
    if (f->conflicts)
        read_conflicts(s, f->conflicts, o);
    if (f->null)
        (void)null_of(s, f->null, &o->null);
    read_lanes(s, f, o);
    if (f->group_by)
        read_groups(s, f->group_by, o);
    o->order_by = read_sorted(s, f->order_by, "order_by");
    o->unique_by = read_sorted(s, f->unique_by, "unique_by");
    if (f->ensure)
        (void)steps_read(s, f->ensure, "ensure", &o->ensure, &o->ensure_count);
    if (f->requests)
        requests_read(s, f->requests, o);
}

void object_read(struct scope *s, const struct entry *of, struct object *out, bool open)
{
    const struct form form = {"object", fields, ARRAY_LEN(fields), open};
    struct object_form f = {
        .o = {.name = of->name, .max_bytes = BYTES_DEFAULT, .place = of->at},
        .fields_as = -1,
    };
    memset(f.o.request_of, -1, sizeof f.o.request_of);
    bool is_map = form_read(s->rd, &form, of, &f);
    *out = f.o;
    if (!is_map)
        return;
    out->repeat = (enum repeat_kind)f.repeat;
    out->fields_as = f.fields_as == 0 ? AS_NATIVE : f.fields_as == 1 ? AS_TEXT : AS_DEFAULT;
    read_fields(s, f.keys, true, &out->keys, &out->key_count);
    read_fields(s, f.fields, false, &out->fields, &out->field_count);
    read_sizes(s, of->node, out);
    s->object = out;
    s->vars_known = 0;
    s->merges = false;
    read_parts(s, &f, out);
    object_check(s, of->node, out);
    s->object = NULL;
}
