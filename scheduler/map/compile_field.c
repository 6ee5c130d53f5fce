/* One field: from a mapping to its origin, its steps and its constants. */
#include "scheduler/map/compile_parts.h"

#include "protocol/base/json.h"
#include "scheduler/map/json_scan.h"

#include <stdio.h>
#include <stdlib.h>

enum { WHAT_TEXT_BYTES = 256 };

#define ALL_KINDS                                                                                  \
    (1u << VALUE_FALSE | 1u << VALUE_TRUE | 1u << VALUE_NUMBER | 1u << VALUE_TEXT |                \
     1u << VALUE_JSON)

enum err_code compiler_no_memory(struct compiler *c)
{
    return err_set(c->err, ERR_NOMEM, "no memory for the mappings of sync %s", c->sync->name);
}

/* Turns the sentence in err into a mistake at a place of the configuration. */
enum err_code compiler_config_error(struct compiler *c, const struct config_place *place)
{
    if (c->err)
        c->err->code = ERR_CONFIG;
    place_prefix(c->err, place);
    return ERR_CONFIG;
}

void *compiler_take(struct compiler *c, size_t n)
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
        char *text = compiler_take(c, s.n);
        size_t n;
        if (!text)
            return compiler_no_memory(c);
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
    char *name = compiler_take(c, n), *o = name;
    if (!name)
        return compiler_no_memory(c);
    for (size_t i = 0; i < f->path.count; i++) {
        if (i)
            *o++ = '.';
        o = mempcpy(o, f->path.names[i].p, f->path.names[i].n);
    }
    f->name = slice_of(name, (size_t)(o - name));
    return ERR_OK;
}

enum err_code compile_path(struct compiler *c, struct field *f, const char *const *names,
                           size_t count)
{
    struct slice *path = compiler_take(c, count * sizeof *path);
    if (!path)
        return compiler_no_memory(c);
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
    f->steps = compiler_take(c, m->transform_count * sizeof *f->steps);
    if (!f->steps)
        return compiler_no_memory(c);
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
        return compiler_config_error(c, &f->mapping->place);
    if (rc)
        return rc;
    if (v->n) {
        char *copy = arena_str(&c->p->arena, value_slice(*v));
        if (!copy)
            return compiler_no_memory(c);
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

enum err_code compile_mapping(struct compiler *c, struct field *f, const struct mapping *m)
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
    enum err_code rc = compile_path(c, f, m->path, m->path_count);
    rc = rc ? rc : compile_origin(c, f, &input, what);
    rc = rc ? rc : compile_steps(c, f, &input);
    rc = rc ? rc : compile_null(c, f);
    rc = rc ? rc : fold_default(c, f);
    return rc || f->kind != FIELD_CONSTANT ? rc : fold(c, f, &f->constant);
}
