/*
 * Running a program: per row a walk over its fields, without a name looked up or memory taken once
 * the scratch memory has grown to what rows need.
 */
#include "scheduler/map/map.h"

#include "scheduler/map/program.h"

#include <stdlib.h>

void map_free(struct map_program *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->fields && i < p->field_count; i++)
        for (size_t j = 0; j < p->fields[i].step_count; j++)
            step_done(&p->fields[i].steps[j]);
    step_env_done(&p->env);
    arena_done(&p->arena);
    free(p);
}

const struct field_path *map_fields(const struct map_program *p, size_t *ret_count)
{
    *ret_count = p->field_count;
    return p->paths;
}

int32_t map_find_field(const struct map_program *p, const char *name)
{
    for (size_t i = 0; name && i < p->field_count; i++)
        if (slice_eq_str(p->fields[i].name, name) || strcmp(p->fields[i].to, name) == 0)
            return (int32_t)i;
    return -1;
}

const struct slice *map_key_names(const struct map_program *p, size_t *ret_count)
{
    *ret_count = p->key_count;
    return p->key_names;
}

bool map_has_identity(const struct map_program *p)
{
    return p->has_identity;
}

bool map_uses_column(const struct map_program *p, size_t column)
{
    return column < p->column_count && p->used[column];
}

int map_lane_column(const struct map_program *p)
{
    return p->lane;
}

int32_t map_lane_field(const struct map_program *p)
{
    return p->lane_field;
}

int32_t map_newest_field(const struct map_program *p)
{
    return p->newest;
}

const uint8_t *map_policies(const struct map_program *p)
{
    return p->policies;
}

struct map_digest map_names_digest(const struct map_program *p)
{
    return p->names_digest;
}

struct map_digest map_fingerprint(const struct map_program *p)
{
    return p->fingerprint;
}

enum err_code map_run_steps(struct step_env *env, const struct field *field, struct value *v,
                            struct err *err)
{
    for (size_t i = 0; i < field->step_count && v->kind != VALUE_NULL; i++) {
        enum err_code rc = step_run(env, &field->steps[i], v, err);
        if (UNLIKELY(rc))
            return err_prefix(err, "field %.*s", (int)field->name.n, field->name.p);
    }
    if (v->kind == VALUE_NULL)
        *v = field->on_null;
    return ERR_OK;
}

static enum err_code bad_column(const struct map_program *p, const struct row *row, uint16_t column,
                                struct err *err)
{
    struct slice reason = value_slice(row->values[column]);
    return err_set(err, ERR_INVALID, "column %s: %.*s", p->column_names[column], (int)reason.n,
                   reason.n ? reason.p : "");
}

static enum err_code take_column(const struct map_program *p, const struct row *row,
                                 uint16_t column, struct value *ret, struct err *err)
{
    *ret = row->values[column];
    return UNLIKELY(ret->kind == VALUE_BAD) ? bad_column(p, row, column, err) : ERR_OK;
}

static enum err_code run_template(struct map_program *p, const struct field *field,
                                  const struct row *row, struct value *ret, struct err *err)
{
    for (size_t i = 0; i < field->template.count; i++) {
        const struct template_piece *piece = &field->template.pieces[i];
        if (piece->is_column && row->values[piece->column].kind == VALUE_BAD)
            return bad_column(p, row, piece->column, err);
    }
    enum err_code rc = template_run(&field->template, row, &p->env.scratch, ret, err);
    if (rc)
        return err_prefix(err, "field %.*s", (int)field->name.n, field->name.p);
    return map_run_steps(&p->env, field, ret, err);
}

static enum err_code run_field(struct map_program *p, const struct field *field,
                               const struct row *row, struct value *ret, struct err *err)
{
    enum err_code rc;
    switch (field->kind) {
    case FIELD_CONSTANT:
        return ERR_OK;
    case FIELD_COPY:
        rc = take_column(p, row, field->column, ret, err);
        if (ret->kind == VALUE_NULL)
            *ret = field->on_null;
        return rc;
    case FIELD_COLUMN:
        rc = take_column(p, row, field->column, ret, err);
        return rc ? rc : map_run_steps(&p->env, field, ret, err);
    case FIELD_TEMPLATE:
        return run_template(p, field, row, ret, err);
    }
    return err_set(err, ERR_BUG, "field of unknown kind");
}

static enum err_code check_identity(const struct map_program *p, struct err *err)
{
    const struct field *field = &p->fields[p->identity];
    switch (p->values[p->identity].kind) {
    case VALUE_TEXT:
    case VALUE_NUMBER:
    case VALUE_FALSE:
    case VALUE_TRUE:
        return ERR_OK;
    case VALUE_NULL:
    case VALUE_ABSENT:
        return err_set(err, ERR_INVALID, "identify_by field %.*s is null", (int)field->name.n,
                       field->name.p);
    case VALUE_JSON:
    case VALUE_BAD:
        break;
    }
    return err_set(err, ERR_INVALID, "identify_by field %.*s is JSON, not a single value",
                   (int)field->name.n, field->name.p);
}

static enum err_code run_primary(struct map_program *p, const struct row *row, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < p->primary_count; i++) {
        p->primary[i] = row->values[p->primary_columns[i]];
        if (UNLIKELY(p->primary[i].kind == VALUE_BAD) && !rc)
            rc = bad_column(p, row, p->primary_columns[i], err);
    }
    return rc;
}

/* A record that names nobody is not worth a request. */
static enum err_code check_any_of(const struct map_program *p, struct err *err)
{
    for (size_t i = 0; i < p->any_of_count; i++) {
        enum value_kind kind = p->values[p->any_of[i]].kind;
        if (kind != VALUE_NULL && kind != VALUE_ABSENT)
            return ERR_OK;
    }
    return err_set(err, ERR_INVALID, "%s has a value", p->any_of_words);
}

enum err_code map_run(struct map_program *p, const struct row *row, struct mapped *ret,
                      struct err *err)
{
    ensure(row->n == p->column_count);
    scratch_reset(&p->env.scratch);
    *ret = (struct mapped){
        .fields = p->values,
        .primary = p->primary,
        .keys = p->identity >= 0 ? &p->values[p->identity] : p->primary,
    };
    enum err_code rc = run_primary(p, row, err);
    for (size_t i = 0; !rc && i < p->field_count; i++)
        rc = run_field(p, &p->fields[i], row, &p->values[i], err);
    if (!rc && p->any_of_words)
        rc = check_any_of(p, err);
    return rc || p->identity < 0 ? rc : check_identity(p, err);
}
