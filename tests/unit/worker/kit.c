#include "tests/unit/worker/kit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { KIT_ARENA_MAX = 16 << 20, PIECES_MAX = 32, NAMES_MAX = 64, PAYLOAD_MAX = 64 << 20 };

static void *room(struct kit *k, size_t n)
{
    void *p = arena_alloc(&k->arena, n ? n : 1);
    ensure(p);
    return p;
}

static const char *copied(struct kit *k, const char *p, size_t n)
{
    const char *copy = arena_str(&k->arena, slice_of(p, n));
    ensure(copy);
    return copy;
}

void kit_init(struct kit *k)
{
    static const char *const auth_vars[] = {"token", "expires", "refresh", "assertion"};
    *k = (struct kit){0};
    arena_init(&k->arena, KIT_ARENA_MAX);
    k->connector = (struct connector){.name = "kit",
                                      .options = k->options,
                                      .auth_vars = auth_vars,
                                      .auth_var_count = ARRAY_LEN(auth_vars),
                                      .vars = k->vars};
    k->step = (struct step){
        .name = "send", .method = "POST", .if_var = -1, .unless_var = -1, .gzip_option = -1};
    k->step.url = kit_template(k, "http://x/in");
    k->request = (struct request){.ops = 0x3F, .steps = &k->step, .step_count = 1};
    k->object = (struct object){.name = "things", .requests = &k->request, .request_count = 1};
    k->destination = (struct destination){.name = "there", .type = "kit"};
    k->context = (struct render_context){.connector = &k->connector,
                                         .destination = &k->destination,
                                         .options = k->option_values,
                                         .object = &k->object,
                                         .step = &k->step};
    buf_init(&k->payload, PAYLOAD_MAX);
    rendered_init(&k->rendered);
    k->reader = batch_reader_new();
    ensure(k->reader);
}

void kit_done(struct kit *k)
{
    render_plan_free(k->plan);
    batch_reader_free(k->reader);
    rendered_done(&k->rendered);
    buf_done(&k->payload);
    arena_done(&k->arena);
}

void kit_option(struct kit *k, const char *name, enum option_kind kind, const char *value)
{
    size_t i = k->connector.option_count++;
    ensure(i < KIT_OPTIONS_MAX);
    k->options[i] = (struct option){.name = name, .kind = kind};
    k->option_values[i] = value;
}

void kit_var(struct kit *k, const char *name)
{
    ensure(k->connector.var_count < KIT_VARS_MAX);
    k->vars[k->connector.var_count++] = name;
}

/* ---- templates ---- */

static bool starts(const char *text, const char *with, const char **ret_rest)
{
    size_t n = strlen(with);
    *ret_rest = text + n;
    return strncmp(text, with, n) == 0;
}

static uint32_t index_of(const char *name, const char *const *names, size_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fprintf(stderr, "kit: there is no %s\n", name);
    abort();
}

static void name_piece(struct kit *k, struct piece *p, const char *name)
{
    static const struct {
        const char *name;
        enum piece_kind kind;
    } words[] = {
        {"sync", PIECE_SYNC},       {"run", PIECE_RUN},
        {"batch", PIECE_BATCH},     {"part", PIECE_PART},
        {"attempt", PIECE_ATTEMPT}, {"object", PIECE_OBJECT},
        {"key_as", PIECE_KEY_AS},   {"identify_by", PIECE_IDENTIFY_BY},
        {"records", PIECE_RECORDS}, {"now", PIECE_NOW},
        {"now_ms", PIECE_NOW_MS},   {"session.id", PIECE_SESSION_ID},
        {"op", PIECE_OP},           {"session.seq", PIECE_SESSION_SEQ},
        {"key", PIECE_KEY},         {"session.last", PIECE_SESSION_LAST},
        {"index", PIECE_INDEX},     {"trace", PIECE_TRACE},
        {"uid", PIECE_UID},         {"found", PIECE_FOUND},
        {"cell", PIECE_CELL},       {"column", PIECE_COLUMN},
    };
    const char *rest;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i].name, name) == 0) {
            p->kind = words[i].kind;
            return;
        }
    }
    if (starts(name, "options.", &rest)) {
        const char *names[KIT_OPTIONS_MAX];
        for (size_t i = 0; i < k->connector.option_count; i++)
            names[i] = k->options[i].name;
        *p =
            (struct piece){PIECE_OPTION, .index = index_of(rest, names, k->connector.option_count)};
    } else if (starts(name, "vars.", &rest)) {
        *p = (struct piece){PIECE_VAR, .index = index_of(rest, k->vars, k->connector.var_count)};
    } else if (starts(name, "auth.", &rest)) {
        *p = (struct piece){PIECE_AUTH, .index = index_of(rest, k->connector.auth_vars,
                                                          k->connector.auth_var_count)};
    } else if (starts(name, "joins.", &rest)) {
        *p = (struct piece){PIECE_JOIN, .index = (uint32_t)strtoul(rest, NULL, 10)};
    } else if (starts(name, "group.", &rest)) {
        *p = (struct piece){PIECE_GROUP,
                            .index = index_of(rest, k->object.group_by, k->object.group_count)};
    } else if (starts(name, "fields.", &rest)) {
        *p = (struct piece){PIECE_FIELD, .text = rest};
    } else {
        ensure(starts(name, "keys.", &rest));
        *p = (struct piece){PIECE_KEY_NAMED, .text = rest};
    }
}

static enum filter_kind filter_named(const char *name)
{
    static const char *const names[] = {"raw",    "lower", "upper", "md5",  "sha1",   "sha256",
                                        "base64", "url",   "json",  "text", "number", "ulid"};
    return (enum filter_kind)index_of(name, names, ARRAY_LEN(names));
}

/* name|filter|filter */
static struct piece read_piece(struct kit *k, const char *text, size_t n)
{
    struct piece p = {0};
    const char *end = text + n, *bar = memchr(text, '|', n);
    name_piece(k, &p, copied(k, text, (size_t)((bar ? bar : end) - text)));
    while (bar) {
        const char *name = bar + 1;
        bar = memchr(name, '|', (size_t)(end - name));
        ensure(p.filter_count < CONNECTOR_FILTERS_MAX);
        p.filters[p.filter_count++] =
            filter_named(copied(k, name, (size_t)((bar ? bar : end) - name)));
    }
    return p;
}

struct template kit_template(struct kit *k, const char *text)
{
    struct piece *pieces = room(k, PIECES_MAX * sizeof *pieces);
    size_t count = 0;
    while (*text) {
        const char *open = strstr(text, "{{");
        size_t n = open ? (size_t)(open - text) : strlen(text);
        ensure(count + 2 <= PIECES_MAX);
        if (n)
            pieces[count++] = (struct piece){PIECE_TEXT, .text = copied(k, text, n)};
        text += n;
        if (!open)
            break;
        const char *close = strstr(open, "}}");
        ensure(close);
        pieces[count++] = read_piece(k, open + 2, (size_t)(close - open - 2));
        text = close + 2;
    }
    return (struct template){.pieces = pieces, .count = count};
}

const struct named_template *kit_named(struct kit *k, size_t *ret_count, const char *const *pairs)
{
    struct named_template *list = room(k, KIT_QUERY_MAX * sizeof *list);
    size_t n = 0;
    for (; pairs[n]; n++) {
        const char *colon = strstr(pairs[n], ": ");
        ensure(colon && n < KIT_QUERY_MAX);
        list[n].name = copied(k, pairs[n], (size_t)(colon - pairs[n]));
        list[n].value = kit_template(k, colon + 2);
    }
    *ret_count = n;
    return list;
}

/* ---- trees ---- */

static const struct tree *build(struct kit *k, json_t *j);

static const char *const *texts_of(struct kit *k, json_t *array, size_t *ret_count)
{
    size_t n = *ret_count = json_array_size(array);
    const char **texts = room(k, n * sizeof *texts);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(array, i));
        ensure(s);
        texts[i] = copied(k, s, strlen(s));
    }
    return texts;
}

static struct null_policy null_of(struct kit *k, const char *word)
{
    if (!word)
        return (struct null_policy){0};
    if (strcmp(word, "send") == 0)
        return (struct null_policy){.kind = NULL_SEND};
    if (strcmp(word, "omit") == 0)
        return (struct null_policy){.kind = NULL_OMIT};
    return (struct null_policy){NULL_TEXT, copied(k, word, strlen(word))};
}

static struct field_choice choice_of(struct kit *k, json_t *j)
{
    struct field_choice c = {.policy = -1};
    json_t *as = json_object_get(j, "as"), *value;
    const char *name;
    if (json_is_string(as))
        c.as = strcmp(json_string_value(as), "text") == 0 ? AS_TEXT : AS_NATIVE;
    if (json_is_object(as)) {
        struct param *names = room(k, json_object_size(as) * sizeof *names);
        json_object_foreach(as, name, value)
        {
            const char *to = json_string_value(value);
            names[c.name_count++] =
                (struct param){copied(k, name, strlen(name)), copied(k, to, strlen(to))};
        }
        c.names = names;
    }
    c.null = null_of(k, json_string_value(json_object_get(j, "null")));
    c.flat = json_is_false(json_object_get(j, "nested"));
    c.except = texts_of(k, json_object_get(j, "except"), &c.except_count);
    c.only = texts_of(k, json_object_get(j, "only"), &c.only_count);
    json_t *merge = json_object_get(j, "merge");
    c.merge = merge ? build(k, merge) : NULL;
    return c;
}

static uint32_t op_named(const char *name)
{
    static const char *const ops[] = {"upsert", "insert", "update", "delete", "clear", "append"};
    return index_of(name, ops, ARRAY_LEN(ops));
}

static struct record_filter only_of(struct kit *k, json_t *j)
{
    struct record_filter f = {0};
    json_t *ops = json_object_get(j, "op"), *field = json_object_get(j, "field");
    for (size_t i = 0; i < json_array_size(ops); i++)
        f.ops |= 1U << op_named(json_string_value(json_array_get(ops, i)));
    if (field)
        f.field = copied(k, json_string_value(field), json_string_length(field));
    f.in = texts_of(k, json_object_get(j, "in"), &f.in_count);
    return f;
}

static const struct tree *const *items_of(struct kit *k, json_t *first, json_t *second)
{
    const struct tree **items = room(k, 2 * sizeof *items);
    items[0] = first ? build(k, first) : NULL;
    items[1] = second ? build(k, second) : NULL;
    return items;
}

static void build_by_op(struct kit *k, struct tree *t, json_t *j)
{
    const char *name;
    json_t *value, *preset = json_object_get(j, "default");
    t->kind = TREE_BY_OP;
    for (size_t i = 0; preset && i < ARRAY_LEN(t->ops); i++)
        t->ops[i] = build(k, preset);
    json_object_foreach(j, name, value)
    {
        if (strcmp(name, "default") != 0)
            t->ops[op_named(name)] = build(k, value);
    }
}

/* False: the object is a map, not a word. */
static bool build_word(struct kit *k, struct tree *t, json_t *j)
{
    json_t *arg;
    if ((arg = json_object_get(j, "$records")) || (arg = json_object_get(j, "$record"))) {
        t->kind = json_object_get(j, "$records") ? TREE_RECORDS : TREE_RECORD;
        t->items = items_of(k, arg, NULL);
        t->only = only_of(k, json_object_get(j, "only"));
    } else if ((arg = json_object_get(j, "$columns"))) {
        t->kind = TREE_COLUMNS;
        t->fields = choice_of(k, arg);
    } else if ((arg = json_object_get(j, "$row"))) {
        t->kind = TREE_ROW;
        t->items = items_of(k, json_object_get(arg, "cell"), json_object_get(arg, "filler"));
        t->fields = choice_of(k, arg);
    } else if ((arg = json_object_get(j, "$op"))) {
        build_by_op(k, t, arg);
    } else if ((arg = json_object_get(j, "$json"))) {
        t->kind = TREE_JSON;
        t->text = kit_template(k, json_string_value(arg));
    } else if ((arg = json_object_get(j, "$value"))) {
        const struct piece *guards = t->guards;
        size_t guard_count = t->guard_count;
        *t = *build(k, arg);
        t->guards = guards;
        t->guard_count = guard_count;
    } else {
        return false;
    }
    return true;
}

static void build_map(struct kit *k, struct tree *t, json_t *j)
{
    struct member *members = room(k, json_object_size(j) * sizeof *members);
    const char *name;
    json_t *value;
    t->kind = TREE_OBJECT;
    t->members = members;
    json_object_foreach(j, name, value)
    {
        if (strcmp(name, "$if") == 0)
            continue;
        if (strcmp(name, "$null") == 0) {
            t->omit_null = true;
            continue;
        }
        struct member *m = &members[t->count++];
        bool fields = strcmp(name, "$fields") == 0, keys = strcmp(name, "$keys") == 0;
        m->kind = fields ? MEMBER_FIELDS : keys ? MEMBER_KEYS : MEMBER_NAMED;
        if (fields || keys) {
            m->fields = choice_of(k, value);
        } else {
            m->name = kit_template(k, copied(k, name, strlen(name)));
            m->value = build(k, value);
        }
    }
}

static void build_guards(struct kit *k, struct tree *t, json_t *j)
{
    struct piece *guards = room(k, PIECES_MAX * sizeof *guards);
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(j); i++) {
        const char *name = json_string_value(json_array_get(j, i));
        guards[n++] = read_piece(k, name, strlen(name));
    }
    if (json_is_string(j))
        guards[n++] = read_piece(k, json_string_value(j), json_string_length(j));
    t->guards = guards;
    t->guard_count = n;
}

static const struct tree *build(struct kit *k, json_t *j)
{
    struct tree *t = room(k, sizeof *t);
    if (json_is_object(j)) {
        build_guards(k, t, json_object_get(j, "$if"));
        if (!build_word(k, t, j))
            build_map(k, t, j);
    } else if (json_is_array(j)) {
        const struct tree **items = room(k, json_array_size(j) * sizeof *items);
        t->kind = TREE_ARRAY;
        t->items = items;
        for (; t->count < json_array_size(j); t->count++)
            items[t->count] = build(k, json_array_get(j, t->count));
    } else if (json_is_string(j)) {
        t->kind = TREE_VALUE;
        t->text = kit_template(k, copied(k, json_string_value(j), json_string_length(j)));
    } else {
        char *text = json_dumps(j, JSON_ENCODE_ANY);
        t->kind = TREE_LITERAL;
        t->literal = copied(k, text, strlen(text));
        free(text);
    }
    return t;
}

const struct tree *kit_tree(struct kit *k, const char *json)
{
    json_error_t error;
    json_t *j = json_loads(json, JSON_DECODE_ANY, &error);
    if (!j)
        fprintf(stderr, "kit: %s in %s\n", error.text, json);
    ensure(j);
    const struct tree *t = build(k, j);
    json_decref(j);
    return t;
}

void kit_json(struct kit *k, const char *json)
{
    k->step.body = BODY_JSON_TREE;
    k->step.json = kit_tree(k, json);
}

/* ---- rendering ---- */

static size_t split(const char *text, struct slice *names)
{
    size_t n = 0;
    for (;; text++) {
        size_t bytes = strcspn(text, ".");
        names[n++] = slice_of(text, bytes);
        text += bytes;
        if (!*text)
            return n;
    }
}

static void seal(struct kit *k, const struct kit_batch *b, const struct record *records,
                 uint32_t count)
{
    struct slice keys[NAMES_MAX], names[NAMES_MAX * 4];
    struct field_path fields[NAMES_MAX];
    struct batch_head head = {.sync = SLICE_LIT("s"),
                              .run = SLICE_LIT("r"),
                              .id = SLICE_LIT("b"),
                              .destination = SLICE_LIT("there"),
                              .fingerprint = SLICE_LIT("f"),
                              .planned = b->planned ? b->planned : count,
                              .key_names = keys,
                              .fields = fields,
                              .sequence = b->sequence,
                              .last = b->last,
                              .policies = b->policies,
                              .newest_field = -1};
    struct buf rows;
    struct err err;
    size_t at = 0, values_at;
    for (; b->keys[head.key_count]; head.key_count++)
        keys[head.key_count] = slice_str(b->keys[head.key_count]);
    for (; b->fields[head.field_count]; head.field_count++) {
        size_t n = split(b->fields[head.field_count], names + at);
        fields[head.field_count] = (struct field_path){names + at, n};
        at += n;
    }
    buf_init(&rows, PAYLOAD_MAX);
    for (uint32_t i = 0; i < count; i++)
        ensure(!batch_put_record(&rows, &records[i], head.key_count, head.field_count, &values_at));
    buf_reset(&k->payload);
    ensure(!batch_seal(&k->payload, &head, count, buf_slice(&rows), true, &err));
    buf_done(&rows);
}

enum err_code kit_render(struct kit *k, const struct kit_batch *b, const struct record *records,
                         uint32_t count, struct render_input *in, struct err *err)
{
    seal(k, b, records, count);
    enum err_code rc = batch_reader_open(k->reader, buf_slice(&k->payload), err);
    ensure(!rc);
    render_plan_free(k->plan);
    k->plan = NULL;
    rc = render_plan_new(&k->context, batch_reader_head(k->reader), &k->plan, err);
    if (rc)
        return rc;
    struct delivery delivery = {.reader = k->reader, .part = SLICE_LIT("p"), .attempt = 3};
    in->delivery = &delivery;
    rc = render_step(k->plan, in, &k->rendered, err);
    in->delivery = NULL;
    return rc;
}
