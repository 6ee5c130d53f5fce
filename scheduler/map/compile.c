/*
 * Compiling: from a sync's mappings and a model's columns to a program. Runs once per run; here
 * names are looked up, patterns compiled, constants computed, and mistakes found before the first
 * row is read.
 */
#include "protocol/base/json.h"
#include "protocol/config/target.h"
#include "scheduler/map/columns.h"
#include "scheduler/map/json_scan.h"
#include "scheduler/map/program.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROGRAM_BYTES_MAX = 64 << 20, WHAT_TEXT_BYTES = 256 };

#define ALL_KINDS                                                                                  \
    (1u << VALUE_FALSE | 1u << VALUE_TRUE | 1u << VALUE_NUMBER | 1u << VALUE_TEXT |                \
     1u << VALUE_JSON)

struct compiler {
    struct map_program *p;
    const struct sync *sync;
    struct columns columns;
    struct err *err;
};

static enum err_code no_memory(struct compiler *c)
{
    return err_set(c->err, ERR_NOMEM, "no memory for the mappings of sync %s", c->sync->name);
}

/* Turns the sentence in err into a mistake at a place of the configuration. */
static enum err_code config_error(struct compiler *c, const struct config_place *place)
{
    if (c->err)
        c->err->code = ERR_CONFIG;
    place_prefix(c->err, place);
    return ERR_CONFIG;
}

static void *take(struct compiler *c, size_t n)
{
    return arena_alloc(&c->p->arena, n ? n : 1);
}

/* Kinds that a column's values have, NULL aside. */
static unsigned column_kinds(enum column_type type)
{
    switch (type) {
    case COLUMN_INT:
    case COLUMN_NUMERIC:
    case COLUMN_FLOAT:
        return 1u << VALUE_NUMBER;
    case COLUMN_BOOL:
        return 1u << VALUE_FALSE | 1u << VALUE_TRUE;
    case COLUMN_JSON:
    case COLUMN_ARRAY:
        return 1u << VALUE_JSON;
    case COLUMN_TEXT:
    case COLUMN_DATE:
    case COLUMN_TIMESTAMP:
    case COLUMN_BYTES:
    case COLUMN_OTHER:
        return 1u << VALUE_TEXT;
    }
    return ALL_KINDS;
}

/* The value of a JSON literal of the configuration. */
static enum err_code literal_value(struct compiler *c, const char *literal, struct value *ret)
{
    const char *reason;
    struct slice s = slice_str(literal);
    if (!json_scan_document(s, &reason))
        return err_set(c->err, ERR_CONFIG, "'%s' is not JSON: %s", literal ? literal : "", reason);
    if (slice_eq_str(s, "null"))
        *ret = (struct value){.kind = VALUE_NULL};
    else if (slice_eq_str(s, "true") || slice_eq_str(s, "false"))
        *ret = (struct value){.kind = s.n == 4 ? VALUE_TRUE : VALUE_FALSE};
    else if (json_is_number(s))
        *ret = value_of(VALUE_NUMBER, s);
    else if (s.p[0] != '"')
        *ret = value_of(VALUE_JSON, s);
    else {
        char *text = take(c, s.n);
        size_t n;
        if (!text)
            return no_memory(c);
        reason = json_unescape(s, text, &n);
        if (reason)
            return err_set(c->err, ERR_CONFIG, "%s", reason);
        *ret = value_of(VALUE_TEXT, slice_of(text, n));
    }
    return ERR_OK;
}

static enum err_code join_path(struct compiler *c, struct field *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->path.count; i++)
        n += f->path.names[i].n + 1;
    char *name = take(c, n), *o = name;
    if (!name)
        return no_memory(c);
    for (size_t i = 0; i < f->path.count; i++) {
        if (i)
            *o++ = '.';
        o = mempcpy(o, f->path.names[i].p, f->path.names[i].n);
    }
    f->name = slice_of(name, (size_t)(o - name));
    return ERR_OK;
}

static enum err_code set_path(struct compiler *c, struct field *f, const char *const *names,
                              size_t count)
{
    struct slice *path = take(c, count * sizeof *path);
    if (!path)
        return no_memory(c);
    for (size_t i = 0; i < count; i++)
        path[i] = slice_str(names[i]);
    f->path = (struct field_path){path, count};
    return join_path(c, f);
}

static enum err_code compile_template(struct compiler *c, struct field *f)
{
    const struct mapping *m = f->mapping;
    enum err_code rc = template_parse(&f->template, m->from, &c->p->arena, c->err);
    if (rc) {
        place_prefix(c->err, &m->place);
        return rc;
    }
    for (size_t i = 0; !rc && i < f->template.count; i++) {
        struct template_piece *piece = &f->template.pieces[i];
        if (piece->is_column)
            rc = columns_find(&c->columns, piece->text, "template", &m->place, &piece->column,
                              c->err);
    }
    return rc;
}

/* Where the field's value comes from, and what is known of it. */
static enum err_code compile_origin(struct compiler *c, struct field *f, struct step_input *input,
                                    char *what)
{
    const struct mapping *m = f->mapping;
    enum err_code rc;
    switch (m->kind) {
    case MAPPING_COLUMN:
        f->kind = m->transform_count ? FIELD_COLUMN : FIELD_COPY;
        rc = columns_find(&c->columns, slice_str(m->from), "from", &m->place, &f->column, c->err);
        if (rc)
            return rc;
        const struct column *column = &c->columns.items[f->column];
        snprintf(what, WHAT_TEXT_BYTES, "column %s (%s)", column->name,
                 column->type_name ? column->type_name : "?");
        *input =
            (struct step_input){column_kinds(column->type), column->type == COLUMN_BYTES, what};
        return ERR_OK;
    case MAPPING_TEMPLATE:
        f->kind = FIELD_TEMPLATE;
        *input = (struct step_input){1u << VALUE_TEXT, false, "a template"};
        return compile_template(c, f);
    case MAPPING_CONSTANT:
        f->kind = FIELD_CONSTANT;
        rc = literal_value(c, m->constant, &f->constant);
        *input = (struct step_input){1u << f->constant.kind, false, "the constant"};
        if (f->constant.kind == VALUE_NULL)
            input->kinds = ALL_KINDS; /* NULL passes everything */
        if (rc)
            place_prefix(c->err, &m->place);
        return rc;
    }
    return err_set(c->err, ERR_BUG, "mapping of unknown kind");
}

static enum err_code compile_steps(struct compiler *c, struct field *f, struct step_input *input)
{
    const struct mapping *m = f->mapping;
    char what[WHAT_TEXT_BYTES];
    f->steps = take(c, m->transform_count * sizeof *f->steps);
    if (!f->steps)
        return no_memory(c);
    for (size_t i = 0; i < m->transform_count; i++) {
        const struct transform *t = &m->transforms[i];
        if (i) {
            snprintf(what, sizeof what, "the result of %s", step_name(t[-1].kind));
            input->what = what;
        }
        f->step_count++;
        enum err_code rc = step_compile(&f->steps[i], t, &c->p->env, &c->p->arena, input, c->err);
        if (rc) {
            place_prefix(c->err, t->place.line ? &t->place : &m->place);
            return rc;
        }
    }
    return ERR_OK;
}

static enum err_code compile_null(struct compiler *c, struct field *f)
{
    const struct mapping *m = f->mapping;
    f->on_null = (struct value){.kind = VALUE_NULL};
    enum err_code rc = m->fallback ? literal_value(c, m->fallback, &f->on_null) : ERR_OK;
    if (rc) {
        place_prefix(c->err, &m->place);
        return rc;
    }
    if (f->on_null.kind == VALUE_NULL && m->if_null == IF_NULL_SKIP)
        f->on_null.kind = VALUE_ABSENT;
    return ERR_OK;
}

/* A value that is known now goes through its steps now; what they wrote must outlive the scratch
 * memory. */
static enum err_code fold(struct compiler *c, const struct field *f, struct value *v)
{
    enum err_code rc = map_run_steps(&c->p->env, f, v, c->err);
    if (rc == ERR_INVALID)
        return config_error(c, &f->mapping->place);
    if (rc)
        return rc;
    if (v->n) {
        char *copy = arena_str(&c->p->arena, value_slice(*v));
        if (!copy)
            return no_memory(c);
        v->p = copy;
    }
    return ERR_OK;
}

/* What takes the place of null is in the form that the object's recipe gives, too. */
static enum err_code fold_default(struct compiler *c, struct field *f)
{
    struct field tail = *f;
    size_t count = f->mapping->recipe_count;
    if (!count || !f->mapping->fallback || f->on_null.kind == VALUE_NULL)
        return ERR_OK;
    tail.steps += f->step_count - count;
    tail.step_count = count;
    tail.on_null = (struct value){.kind = VALUE_NULL};
    return fold(c, &tail, &f->on_null);
}

static enum err_code compile_mapping(struct compiler *c, struct field *f, const struct mapping *m)
{
    struct step_input input = {0};
    char what[WHAT_TEXT_BYTES];
    f->mapping = m;
    f->to = m->to;
    if (!m->path_count || m->path_count > BATCH_PATH_MAX) {
        err_set(c->err, ERR_CONFIG, "to: %s has %zu levels; at most %d are possible", m->to,
                m->path_count, BATCH_PATH_MAX);
        return place_prefix(c->err, &m->place);
    }
    enum err_code rc = set_path(c, f, m->path, m->path_count);
    rc = rc ? rc : compile_origin(c, f, &input, what);
    rc = rc ? rc : compile_steps(c, f, &input);
    rc = rc ? rc : compile_null(c, f);
    rc = rc ? rc : fold_default(c, f);
    return rc || f->kind != FIELD_CONSTANT ? rc : fold(c, f, &f->constant);
}

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
    struct mapping *m = take(c, sizeof *m);
    if (!m)
        return no_memory(c);
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
        rc = rc ? rc : set_path(c, f, &c->columns.names[i], 1);
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
    p->fields = take(c, n * sizeof *p->fields);
    p->paths = take(c, n * sizeof *p->paths);
    p->values = take(c, n * sizeof *p->values);
    if (!p->fields || !p->paths || !p->values)
        return no_memory(c);
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
    p->primary_columns = take(c, n * sizeof *p->primary_columns);
    p->primary = take(c, n * sizeof *p->primary);
    p->key_names = take(c, n * sizeof *p->key_names);
    if (!p->primary_columns || !p->primary || !p->key_names)
        return no_memory(c);
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
    const char **names = take(c, p->field_count * sizeof *names);
    if (!names)
        return no_memory(c);
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

static int32_t find_field(const struct map_program *p, const char *name)
{
    for (size_t i = 0; name && i < p->field_count; i++)
        if (slice_eq_str(p->fields[i].name, name) || strcmp(p->fields[i].to, name) == 0)
            return (int32_t)i;
    return -1;
}

/* The fields of which a record must have one, and the words for a row that has none. */
static enum err_code compile_any_of(struct compiler *c)
{
    struct map_program *p = c->p;
    size_t count = 0;
    const char *const *names = c->sync->target ? target_any_of(c->sync->target, &count) : NULL;
    if (!names)
        return ERR_OK;
    p->any_of = take(c, p->field_count * sizeof *p->any_of);
    if (!p->any_of)
        return no_memory(c);
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
    return p->any_of_words ? ERR_OK : no_memory(c);
}

static enum err_code compile_policies(struct compiler *c)
{
    struct map_program *p = c->p;
    p->newest = find_field(p, c->sync->newest_wins);
    p->lane_field = find_field(p, c->sync->lane_field);
    if (c->sync->newest_wins && p->newest < 0) {
        err_set(c->err, ERR_CONFIG, "newest_wins: %s is no field of the mappings",
                c->sync->newest_wins);
        return place_prefix(c->err, &c->sync->place);
    }
    uint8_t *policies = take(c, p->field_count);
    if (!policies)
        return no_memory(c);
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
    p->column_names = take(c, count * sizeof *p->column_names);
    if (!p->column_names)
        return no_memory(c);
    for (size_t i = 0; i < count; i++) {
        p->column_names[i] = arena_str(&p->arena, slice_str(columns[i].name));
        if (!p->column_names[i])
            return no_memory(c);
    }
    p->column_count = count;
    c->columns = (struct columns){columns, count, p->column_names, c->sync->model->name};
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
