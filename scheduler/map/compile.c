/*
 * Compiling: from a sync's mappings and a model's columns to a program. Runs once per run; here
 * names are looked up, patterns compiled, constants computed, and mistakes found before the first
 * row is read.
 */
#include "protocol/config/target.h"
#include "scheduler/map/compile_parts.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROGRAM_BYTES_MAX = 64 << 20 };

static const struct field_recipe *recipe_for(const struct sync *sync, const char *field)
{
    for (size_t i = 0; i < sync->recipe_count; i++)
        if (strcmp(sync->recipes[i].field, field) == 0)
            return &sync->recipes[i];
    return NULL;
}

/* A column that has a recipe is mapped as if it had been written down. */
static enum err_code compile_recipe(struct compiler *c, struct field *f,
                                    const struct field_recipe *recipe, const char *const *name)
{
    struct mapping *m = compiler_take(c, sizeof *m);
    if (!m)
        return compiler_no_memory(c);
    *m = (struct mapping){.kind = MAPPING_COLUMN,
                          .from = *name,
                          .to = *name,
                          .path = name,
                          .path_count = 1,
                          .transforms = recipe->transforms,
                          .transform_count = recipe->transform_count,
                          .place = c->sync->place};
    return compile_mapping(c, f, m);
}

/* What the target says of fields, asked when they are known at last. */
static enum err_code check_all(struct compiler *c)
{
    const struct object *o = c->sync->target;
    const char *const *fields = c->columns.names;
    size_t n = c->columns.count;
    const char *lack = target_lacks(o, c->sync->mode, fields, n);
    char name[TARGET_NAME_BYTES];
    target_name(c->sync->destination->connector, o, name);
    size_t i = 0;
    while (i < n && target_takes(o, fields[i]))
        i++;
    if (i < n)
        err_set(c->err, ERR_CONFIG,
                "mappings: all gives the field %s, which %s does not have; map "
                "the columns one by one",
                fields[i], name);
    else if (lack)
        err_set(c->err, ERR_CONFIG, "%s needs the field %s, and the model has no such column", name,
                lack);
    else if (!target_has_any(o, fields, n))
        err_set(c->err, ERR_CONFIG,
                "the model has no column for any of the fields of which %s "
                "needs one",
                name);
    else
        return ERR_OK;
    return place_prefix(c->err, &c->sync->place);
}

static enum err_code compile_all(struct compiler *c)
{
    enum err_code rc = c->sync->target ? check_all(c) : ERR_OK;
    for (size_t i = 0; !rc && i < c->columns.count; i++) {
        struct field *f = &c->p->fields[i];
        const struct field_recipe *recipe = recipe_for(c->sync, c->columns.names[i]);
        if (recipe) {
            rc = compile_recipe(c, f, recipe, &c->columns.names[i]);
            continue;
        }
        f->to = c->columns.names[i];
        f->kind = FIELD_COPY;
        f->on_null = (struct value){.kind = VALUE_NULL};
        rc = columns_find(&c->columns, slice_str(f->to), "mappings: all", &c->sync->place,
                          &f->column, c->err);
        rc = rc ? rc : compile_path(c, f, &c->columns.names[i], 1);
    }
    return rc;
}

static enum err_code compile_fields(struct compiler *c)
{
    struct map_program *p = c->p;
    size_t n = c->sync->map_all ? c->columns.count : c->sync->mapping_count;
    if (!n || n > BATCH_FIELDS_MAX) {
        err_set(c->err, ERR_CONFIG, "sync %s maps %zu fields; 1 to %d are possible", c->sync->name,
                n, BATCH_FIELDS_MAX);
        return place_prefix(c->err, &c->sync->place);
    }
    p->fields = compiler_take(c, n * sizeof *p->fields);
    p->paths = compiler_take(c, n * sizeof *p->paths);
    p->values = compiler_take(c, n * sizeof *p->values);
    if (!p->fields || !p->paths || !p->values)
        return compiler_no_memory(c);
    p->field_count = n;
    if (c->sync->map_all)
        return compile_all(c);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < n; i++)
        rc = compile_mapping(c, &p->fields[i], &c->sync->mappings[i]);
    return rc;
}

static int compare_paths(const void *a, const void *b)
{
    const struct field_path *x = &((const struct field *)a)->path,
                            *y = &((const struct field *)b)->path;
    for (size_t i = 0; i < x->count && i < y->count; i++) {
        struct slice u = x->names[i], v = y->names[i];
        int order = memcmp(u.p, v.p, u.n < v.n ? u.n : v.n);
        if (order || u.n != v.n)
            return order ? order : (u.n > v.n) - (u.n < v.n);
    }
    return (x->count > y->count) - (x->count < y->count);
}

/* True when a's path begins b's, or is the same: both cannot be sent. */
static bool covers(const struct field *a, const struct field *b)
{
    if (a->path.count > b->path.count)
        return false;
    for (size_t i = 0; i < a->path.count; i++)
        if (!slice_eq(a->path.names[i], b->path.names[i]))
            return false;
    return true;
}

/* Sorted paths stand next to what they begin, so neighbours are enough to compare. */
static enum err_code sort_fields(struct compiler *c)
{
    struct map_program *p = c->p;
    qsort(p->fields, p->field_count, sizeof *p->fields, compare_paths);
    for (size_t i = 0; i < p->field_count; i++) {
        const struct field *f = &p->fields[i];
        p->paths[i] = f->path;
        p->values[i] = f->constant;
        if (!i || !covers(f - 1, f))
            continue;
        const char *why = f[-1].path.count == f->path.count ? "is given twice" : "is also inside";
        err_set(c->err, ERR_CONFIG, "destination field %s %s%s%s; keep one of them", f->to, why,
                f[-1].path.count == f->path.count ? "" : " ",
                f[-1].path.count == f->path.count ? "" : f[-1].to);
        return place_prefix(c->err, f->mapping ? &f->mapping->place : &c->sync->place);
    }
    return ERR_OK;
}

static enum err_code compile_primary(struct compiler *c)
{
    struct map_program *p = c->p;
    const struct model *model = c->sync->model;
    size_t n = model->primary_key_count;
    if (!n || n > BATCH_KEY_FIELDS_MAX) {
        err_set(c->err, ERR_CONFIG, "primary_key of model %s has %zu columns; 1 to %d are possible",
                model->name, n, BATCH_KEY_FIELDS_MAX);
        return place_prefix(c->err, &model->place);
    }
    p->primary_columns = compiler_take(c, n * sizeof *p->primary_columns);
    p->primary = compiler_take(c, n * sizeof *p->primary);
    p->key_names = compiler_take(c, n * sizeof *p->key_names);
    if (!p->primary_columns || !p->primary || !p->key_names)
        return compiler_no_memory(c);
    p->primary_count = p->key_count = n;
    for (size_t i = 0; i < n; i++) {
        struct slice name = slice_str(model->primary_key[i]);
        p->key_names[i] = name;
        enum err_code rc = columns_find(&c->columns, name, "primary_key", &model->place,
                                        &p->primary_columns[i], c->err);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err_code unknown_identity(struct compiler *c)
{
    struct map_program *p = c->p;
    const char **names = compiler_take(c, p->field_count * sizeof *names);
    if (!names)
        return compiler_no_memory(c);
    for (size_t i = 0; i < p->field_count; i++)
        names[i] = p->fields[i].to;
    const char *near = nearest_name(c->sync->identify_by, names, p->field_count);
    err_set(c->err, ERR_CONFIG, "identify_by: %s is no field of the mappings%s%s%s",
            c->sync->identify_by, near ? "; did you mean " : "", near ? near : "",
            near ? "?" : ";");
    list_names(c->err, " They give: ", names, p->field_count);
    return place_prefix(c->err, &c->sync->place);
}

static enum err_code compile_identity(struct compiler *c)
{
    struct map_program *p = c->p;
    struct slice wanted = slice_str(c->sync->identify_by);
    p->identity = -1;
    if (!wanted.n)
        return ERR_OK;
    for (size_t i = 0; i < p->field_count && p->identity < 0; i++)
        if (slice_eq(p->fields[i].name, wanted) || slice_eq_str(wanted, p->fields[i].to))
            p->identity = (int)i;
    if (p->identity < 0)
        return unknown_identity(c);
    const struct field *f = &p->fields[p->identity];
    p->key_names[0] = f->name;
    p->key_count = 1;
    bool is_key =
        f->kind == FIELD_COPY && p->primary_count == 1 && f->column == p->primary_columns[0];
    p->has_identity = !is_key;
    return ERR_OK;
}

/* The fields of which a record must have one, and the words for a row that has none. */
static enum err_code compile_any_of(struct compiler *c)
{
    struct map_program *p = c->p;
    size_t count = 0;
    const char *const *names = c->sync->target ? target_any_of(c->sync->target, &count) : NULL;
    if (!names)
        return ERR_OK;
    p->any_of = compiler_take(c, p->field_count * sizeof *p->any_of);
    if (!p->any_of)
        return compiler_no_memory(c);
    for (size_t i = 0; i < p->field_count; i++)
        for (size_t j = 0; j < count; j++) {
            struct slice name = p->fields[i].name;
            size_t n = strlen(names[j]);
            if (name.n >= n && memcmp(name.p, names[j], n) == 0 &&
                (name.n == n || name.p[n] == '.')) {
                p->any_of[p->any_of_count++] = (uint16_t)i;
                break;
            }
        }
    struct err words;
    err_set(&words, ERR_INVALID, "none of the fields");
    list_names(&words, " ", names, count);
    p->any_of_words = arena_str(&p->arena, slice_str(words.text));
    return p->any_of_words ? ERR_OK : compiler_no_memory(c);
}

static enum err_code compile_policies(struct compiler *c)
{
    struct map_program *p = c->p;
    p->newest = map_find_field(p, c->sync->newest_wins);
    p->lane_field = map_find_field(p, c->sync->lane_field);
    if (c->sync->newest_wins && p->newest < 0) {
        err_set(c->err, ERR_CONFIG, "newest_wins: %s is no field of the mappings",
                c->sync->newest_wins);
        return place_prefix(c->err, &c->sync->place);
    }
    uint8_t *policies = compiler_take(c, p->field_count);
    if (!policies)
        return compiler_no_memory(c);
    for (size_t i = 0; i < p->field_count; i++) {
        const struct mapping *m = p->fields[i].mapping;
        if (m && m->merge_arrays)
            policies[i] = POLICY_MERGE;
        else if (m && m->on_conflict == ON_CONFLICT_SET_IF_EMPTY)
            policies[i] = POLICY_SET_IF_EMPTY;
        else if (m && m->on_conflict == ON_CONFLICT_CREATE_ONLY)
            policies[i] = POLICY_CREATE_ONLY;
        if (policies[i] != POLICY_OVERWRITE)
            p->policies = policies;
    }
    return ERR_OK;
}

static enum err_code compile_lane(struct compiler *c)
{
    uint16_t column;
    c->p->lane = -1;
    if (!c->sync->lane_by)
        return ERR_OK;
    enum err_code rc = columns_find(&c->columns, slice_str(c->sync->lane_by), "lane_by",
                                    &c->sync->place, &column, c->err);
    if (!rc)
        c->p->lane = column;
    return rc;
}

static enum err_code copy_columns(struct compiler *c, const struct column *columns, size_t count)
{
    struct map_program *p = c->p;
    p->column_names = compiler_take(c, count * sizeof *p->column_names);
    if (!p->column_names)
        return compiler_no_memory(c);
    for (size_t i = 0; i < count; i++) {
        p->column_names[i] = arena_str(&p->arena, slice_str(columns[i].name));
        if (!p->column_names[i])
            return compiler_no_memory(c);
    }
    p->column_count = count;
    p->used = compiler_take(c, count ? count : 1);
    if (!p->used)
        return compiler_no_memory(c);
    c->columns = (struct columns){columns, count, p->column_names, c->sync->model->name, p->used};
    return ERR_OK;
}

static enum err_code compile(struct compiler *c, const struct column *columns, size_t count)
{
    enum err_code rc = copy_columns(c, columns, count);
    rc = rc ? rc : compile_primary(c);
    rc = rc ? rc : compile_fields(c);
    rc = rc ? rc : sort_fields(c);
    rc = rc ? rc : compile_identity(c);
    rc = rc ? rc : compile_lane(c);
    rc = rc ? rc : compile_any_of(c);
    rc = rc ? rc : compile_policies(c);
    return rc ? rc : map_digest_program(c->p, c->sync, c->err);
}

enum err_code map_compile(const struct sync *sync, const struct column *columns, size_t count,
                          struct map_program **ret_program, struct err *err)
{
    struct map_program *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ERR_NOMEM, "no memory for the mappings of sync %s", sync->name);
    arena_init(&p->arena, PROGRAM_BYTES_MAX);
    struct compiler c = {.p = p, .sync = sync, .err = err};
    enum err_code rc = compile(&c, columns, count);
    if (rc) {
        map_free(p);
        return rc;
    }
    *ret_program = p;
    return ERR_OK;
}
