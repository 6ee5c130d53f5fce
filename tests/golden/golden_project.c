/* The project of a case, and its batch. Values are what a warehouse would give; the sync's mappings
 * and the object's recipes make of them what is sent. */
#include "tests/golden/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "scheduler/map/map.h"

enum { COLUMNS_MAX = 256, PATH_BYTES = 256 };

/* Columns of the model, by the names that records use. */
struct columns {
    struct column items[COLUMNS_MAX];
    size_t count;
};

static bool removes(const json_t *record)
{
    const char *op = json_string_value(json_object_get(record, "op"));
    return op && (strcmp(op, "delete") == 0 || strcmp(op, "clear") == 0);
}

static enum record_op op_of(const struct golden *g, const json_t *record)
{
    const char *word = json_string_value(golden_get(g, record, "op"));
    for (int op = OP_UPSERT; op <= OP_APPEND; op++)
        if (word && strcmp(word, record_op_name((enum record_op)op)) == 0)
            return (enum record_op)op;
    golden_fail(g->path, "a record's `op` is none");
}

/* ---- the project ---- */

static json_t *names_of(const struct golden *g, const char *member)
{
    json_t *names = json_object(), *record, *v;
    const char *key;
    size_t i;
    json_array_foreach(golden_get(g, g->root, "records"), i, record)
    {
        if (strcmp(member, "fields") == 0 && removes(record))
            continue;
        json_object_foreach(json_object_get(record, member), key, v)
            json_object_set_new(names, key, json_true());
    }
    return names;
}

static json_t *keys_list(const json_t *names)
{
    json_t *list = json_array(), *v;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)names, key, v)
        json_array_append_new(list, json_string(key));
    return list;
}

/* Every field is mapped from the column of its name. */
static json_t *own_mappings(json_t *fields)
{
    json_t *list = json_array(), *v;
    const char *key;
    json_object_foreach(fields, key, v)
        json_array_append_new(list, json_pack("{s:s,s:s}", "from", key, "to", key));
    return list;
}

static bool any_removal(const struct golden *g, const char **ret_op)
{
    json_t *record;
    size_t i;
    json_array_foreach(golden_get(g, g->root, "records"), i, record) if (removes(record))
    {
        *ret_op = json_string_value(json_object_get(record, "op"));
        return true;
    }
    return false;
}

static json_t *sync_of(const struct golden *g, json_t *fields, const json_t *keys)
{
    json_t *sync = json_deep_copy(golden_get(g, g->root, "sync"));
    const char *identify_by = json_string_value(json_object_get(sync, "identify_by"));
    const char *mode = json_string_value(json_object_get(sync, "mode"));
    const char *removal;
    if (identify_by)
        json_object_set_new(fields, identify_by, json_true());
    else if (!json_object_size(fields))
        json_object_update(fields, (json_t *)(uintptr_t)keys);
    json_object_set_new(sync, "model", json_string("model"));
    json_object_set_new(sync, "destination", json_string("there"));
    if (!json_object_get(sync, "mappings"))
        json_object_set_new(sync, "mappings", own_mappings(fields));
    if (!json_object_get(sync, "first_run"))
        json_object_set_new(sync, "first_run", json_string("send"));
    if (any_removal(g, &removal) && !json_object_get(sync, "on_removed") &&
        (!mode || strcmp(mode, "mirror") != 0))
        json_object_set_new(sync, "on_removed", json_string(removal));
    return sync;
}

static json_t *project_of(const struct golden *g, json_t *fields, json_t *keys)
{
    json_t *sync = sync_of(g, fields, keys);
    bool identified = json_object_get(sync, "identify_by");
    json_t *primary = identified ? json_pack("[s]", "_row") : keys_list(keys);
    json_t *project =
        json_pack("{s:{s:{s:s,s:s}},s:{s:{s:s,s:s,s:o}},s:{s:O},s:{s:o}}", "sources", "warehouse",
                  "type", "postgres", "url", "postgres://localhost/none", "models", "model",
                  "source", "warehouse", "sql", "select 1", "primary_key", primary, "destinations",
                  "there", golden_get(g, g->root, "destination"), "syncs", "golden", sync);
    json_t *connectors = json_object_get(g->root, "connectors");
    if (connectors)
        json_object_set(project, "connectors", connectors);
    return project;
}

static void load_project(struct golden *g, const json_t *project)
{
    char dir[] = "/tmp/golden.XXXXXX", file[PATH_BYTES];
    struct problem_list problems;
    struct err err = {0};
    if (!mkdtemp(dir))
        golden_fail(g->path, "no folder can be made in /tmp");
    snprintf(file, sizeof file, "%s/project.yaml", dir);
    if (json_dump_file(project, file, JSON_INDENT(1)))
        golden_fail(g->path, "%s cannot be written", file);
    problem_list_init(&problems);
    enum err_code rc = project_load(dir, &g->project, &problems, &err);
    unlink(file);
    rmdir(dir);
    for (size_t i = 0; i < problems.count; i++)
        if (problems.items[i].kind != PROBLEM_NOTE)
            fprintf(stderr, "%s: %s\n", g->path, problems.items[i].text);
    problem_list_done(&problems);
    if (rc)
        golden_fail(g->path, "the project of this case is not right: %s", err.text);
    g->sync = project_sync(g->project, "golden");
}

/* ---- rows ---- */

static enum column_type type_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_INTEGER:
        return COLUMN_INT;
    case JSON_REAL:
        return COLUMN_NUMERIC;
    case JSON_TRUE:
    case JSON_FALSE:
        return COLUMN_BOOL;
    case JSON_ARRAY:
        return COLUMN_ARRAY;
    case JSON_OBJECT:
        return COLUMN_JSON;
    case JSON_STRING:
    case JSON_NULL:
        break;
    }
    return COLUMN_TEXT;
}

static enum column_type type_named(const struct golden *g, const char *word)
{
    static const struct {
        const char *word;
        enum column_type type;
    } known[] = {{"int", COLUMN_INT},   {"numeric", COLUMN_NUMERIC},     {"float", COLUMN_FLOAT},
                 {"bool", COLUMN_BOOL}, {"text", COLUMN_TEXT},           {"json", COLUMN_JSON},
                 {"date", COLUMN_DATE}, {"timestamp", COLUMN_TIMESTAMP}, {"array", COLUMN_ARRAY}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (word && strcmp(word, known[i].word) == 0)
            return known[i].type;
    golden_fail(g->path, "`types`: a type is int, numeric, float, bool, text, json, date, "
                         "timestamp or array");
}

static json_t *value_in(const json_t *record, const char *name)
{
    json_t *v = json_object_get(json_object_get(record, "fields"), name);
    return v ? v : json_object_get(json_object_get(record, "key"), name);
}

static void add_column(const struct golden *g, struct columns *c, const char *name)
{
    if (c->count == COLUMNS_MAX)
        golden_fail(g->path, "there are more than %d fields", COLUMNS_MAX);
    struct column *column = &c->items[c->count++];
    const json_t *types = json_object_get(g->root, "types"), *record, *v;
    size_t i;
    *column = (struct column){name, "text", COLUMN_TEXT};
    json_array_foreach(json_object_get(g->root, "records"), i, record)
    {
        v = value_in(record, name);
        if (!v || json_is_null(v) || removes(record))
            continue;
        column->type = type_of(v);
        break;
    }
    if (json_object_get(types, name))
        column->type = type_named(g, json_string_value(json_object_get(types, name)));
}

static struct value value_of_json(struct arena *a, const json_t *v)
{
    if (!v || json_is_null(v))
        return (struct value){VALUE_NULL, 0, NULL};
    if (json_is_boolean(v))
        return (struct value){json_is_true(v) ? VALUE_TRUE : VALUE_FALSE, 0, NULL};
    if (json_is_string(v))
        return value_of(VALUE_TEXT, slice_of(json_string_value(v), json_string_length(v)));
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    struct slice copy = slice_str(arena_str(a, slice_str(text)));
    free(text);
    return value_of(json_is_number(v) ? VALUE_NUMBER : VALUE_JSON, copy);
}

/* ---- the batch ---- */

struct batching {
    struct golden *g;
    struct columns columns;
    struct map_program *map;
    struct arena arena;
    struct buf rows;
};

static void put_row(struct batching *b, const json_t *record, uint32_t ordinal)
{
    struct value *values = arena_alloc(&b->arena, (b->columns.count + 1) * sizeof *values);
    struct mapped mapped;
    struct err err;
    size_t key_count, field_count, at;
    char number[16];
    map_key_names(b->map, &key_count);
    map_fields(b->map, &field_count);
    snprintf(number, sizeof number, "%u", ordinal);
    for (size_t i = 0; i < b->columns.count; i++) {
        const char *name = b->columns.items[i].name;
        values[i] = strcmp(name, "_row") == 0 ? value_of(VALUE_NUMBER, slice_str(number))
                                              : value_of_json(&b->arena, value_in(record, name));
    }
    struct row row = {values, (uint16_t)b->columns.count};
    if (map_run(b->map, &row, &mapped, &err))
        golden_fail(b->g->path, "record %u is invalid: %s", ordinal, err.text);
    struct record r = {ordinal, op_of(b->g, record), mapped.keys, mapped.fields};
    if (batch_put_record(&b->rows, &r, key_count, field_count, &at))
        golden_fail(b->g->path, "record %u cannot be put into a batch", ordinal);
}

/* A removal names what was accepted once: its key goes as it stands in the case. */
static void put_removal(struct batching *b, const json_t *record, uint32_t ordinal)
{
    size_t key_count, field_count, at;
    const struct slice *names = map_key_names(b->map, &key_count);
    map_fields(b->map, &field_count);
    struct value *keys = arena_alloc(&b->arena, (key_count + 1) * sizeof *keys);
    for (size_t i = 0; i < key_count; i++) {
        const char *name = arena_str(&b->arena, names[i]);
        keys[i] = value_of_json(&b->arena, golden_get(b->g, golden_get(b->g, record, "key"), name));
    }
    struct record r = {ordinal, op_of(b->g, record), keys, NULL};
    if (batch_put_record(&b->rows, &r, key_count, field_count, &at))
        golden_fail(b->g->path, "record %u cannot be put into a batch", ordinal);
}

static const char *text_or(const json_t *map, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(map, name));
    return text ? text : otherwise;
}

static void seal(struct batching *b)
{
    struct golden *g = b->g;
    const json_t *batch = json_object_get(g->root, "batch");
    const json_t *sequence = json_object_get(batch, "sequence");
    struct batch_head head = {
        .sync = slice_str(text_or(batch, "sync", "golden")),
        .run = slice_str(text_or(batch, "run", "run-1")),
        .id = slice_str(text_or(batch, "id", "run-1.0")),
        .destination = slice_str("there"),
        .fingerprint = slice_str(g->sync->destination->fingerprint),
        .object = slice_str(g->sync->object),
        .planned = g->records,
        .sequence = sequence ? (uint32_t)json_integer_value(sequence) : 1,
        .last = !json_is_false(json_object_get(batch, "last")),
        .policies = map_policies(b->map),
        .newest_field = map_newest_field(b->map),
    };
    struct err err;
    head.key_names = map_key_names(b->map, &head.key_count);
    head.fields = map_fields(b->map, &head.field_count);
    if (batch_seal(&g->batch, &head, g->records, buf_slice(&b->rows), false, &err))
        golden_fail(g->path, "%s", err.text);
}

static void make_batch(struct golden *g, json_t *names)
{
    enum { ARENA_MAX = 64 << 20 };
    struct batching b = {.g = g};
    const char *key;
    json_t *v, *record;
    struct err err;
    size_t i;
    arena_init(&b.arena, ARENA_MAX);
    buf_init(&b.rows, GOLDEN_TEXT_MAX);
    json_object_foreach(names, key, v) add_column(g, &b.columns, key);
    if (map_compile(g->sync, b.columns.items, b.columns.count, &b.map, &err))
        golden_fail(g->path, "%s", err.text);
    json_array_foreach(json_object_get(g->root, "records"), i, record)
    {
        if (removes(record))
            put_removal(&b, record, (uint32_t)i);
        else
            put_row(&b, record, (uint32_t)i);
        g->records++;
    }
    seal(&b);
    map_free(b.map);
    buf_done(&b.rows);
    arena_done(&b.arena);
}

static void take_now(struct golden *g)
{
    const char *text = text_or(g->root, "now", "2026-01-15T12:00:00Z");
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end || strcmp(end, "Z") != 0)
        golden_fail(g->path, "`now` must look like 2026-01-15T12:00:00Z");
    g->now_ms = (int64_t)timegm(&tm) * 1000;
}

void golden_make(struct golden *g)
{
    take_now(g);
    json_t *fields = names_of(g, "fields"), *keys = names_of(g, "key");
    json_t *project = project_of(g, fields, keys);
    load_project(g, project);
    json_object_update(fields, keys);
    json_object_set_new(fields, "_row", json_true());
    make_batch(g, fields);
    json_decref(project);
    json_decref(fields);
    json_decref(keys);
}
