/* The words that stand for all fields of a record: $fields, $keys, $columns with $row, and CSV. */
#include "worker/deliver/render_compile.h"

#include "protocol/base/json.h"
#include "worker/deliver/encode.h"

/* ---- which fields ---- */

/* A name in a connector's list; one stands for whatever the sync's key field is. */
static struct slice listed_name(const struct batch_head *head, const char *name)
{
    if (strcmp(name, "{{identify_by}}") == 0 && head->key_count)
        return head->key_names[0];
    return slice_str(name);
}

static bool is_listed(const struct batch_head *head, const char *const *names, size_t count,
                      struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq(name, listed_name(head, names[i])))
            return true;
    return false;
}

static bool is_chosen(const struct batch_head *head, const struct field_choice *choice,
                      struct slice name)
{
    if (is_listed(head, choice->except, choice->except_count, name))
        return false;
    return !choice->only_count || is_listed(head, choice->only, choice->only_count, name);
}

static bool suits_policy(const struct batch_head *head, const struct field_choice *choice,
                         size_t field)
{
    int policy = head->policies ? head->policies[field] : POLICY_OVERWRITE;
    if (choice->policy == CHOICE_CONFLICTS)
        return policy != POLICY_OVERWRITE || head->newest_field == (int32_t)field;
    return choice->policy < 0 || choice->policy == policy;
}

static bool is_key(const struct batch_head *head, struct slice name)
{
    for (size_t i = 0; i < head->key_count; i++)
        if (slice_eq(head->key_names[i], name))
            return true;
    return false;
}

static enum err_code no_memory(struct compiler *c)
{
    return err_set(c->err, ERR_NOMEM, "no memory for the fields of a batch");
}

static bool renders_as_text(const struct compiler *c, const struct field_choice *choice)
{
    const struct object *o = c->scope.context->object;
    enum render_as as = choice->as ? choice->as : o ? o->fields_as : AS_DEFAULT;
    return as == AS_TEXT;
}

/* The nearest that says something: the word itself, its map, the object. */
static struct null_policy null_policy(const struct compiler *c, const struct field_choice *choice,
                                      bool omit)
{
    const struct object *o = c->scope.context->object;
    if (choice->null.kind != NULL_DEFAULT)
        return choice->null;
    if (omit)
        return (struct null_policy){.kind = NULL_OMIT};
    return o ? o->null : (struct null_policy){0};
}

/* ---- $fields: names become nested objects, in the order of their first appearance ---- */

struct nest {
    struct compiler *c;
    const struct batch_head *head;
    const uint32_t *chosen; /* indexes of fields */
    size_t count;
    uint16_t flags;
    struct slice null_text;
};

static bool same_start(const struct field_path *a, const struct field_path *b, size_t levels)
{
    if (a->count < levels || b->count < levels)
        return false;
    for (size_t i = 0; i < levels; i++)
        if (!slice_eq(a->names[i], b->names[i]))
            return false;
    return true;
}

static const struct field_path *path_of(const struct nest *n, size_t i)
{
    return &n->head->fields[n->chosen[i]];
}

/* The first chosen field that begins with the same levels as the i-th. */
static size_t first_alike(const struct nest *n, size_t i, size_t levels)
{
    size_t k = 0;
    while (!same_start(path_of(n, k), path_of(n, i), levels))
        k++;
    return k;
}

static enum err_code given_twice(const struct nest *n, struct slice name)
{
    return err_set(n->c->err, ERR_CONFIG,
                   "field %.*s is given twice, or once as a value and once as an object",
                   (int)name.n, name.p);
}

static enum err_code emit_named(const struct nest *n, enum code code, struct slice name,
                                uint32_t field)
{
    struct compiler *c = n->c;
    struct ins ins = {
        .code = (uint16_t)code, .flags = n->flags, .a = field, .null_text = n->null_text};
    buf_reset(&c->scratch);
    if (buf_putc(&c->scratch, ',') || json_put_string(&c->scratch, name) ||
        buf_puts(&c->scratch, code == CODE_OPEN ? ":{" : ":") ||
        emit_keep(c, buf_slice(&c->scratch), &ins.text) || emit(c, ins))
        return no_memory(c);
    return ERR_OK;
}

/* The chosen fields that begin like the like-th as far as `level` names: one JSON object. */
static enum err_code compile_level(const struct nest *n, size_t like, size_t level)
{
    enum err_code rc = ERR_OK;
    if (level > PLAN_DEPTH_MAX)
        return err_set(n->c->err, ERR_INVALID, "a field is nested deeper than %d levels",
                       PLAN_DEPTH_MAX);
    for (size_t i = like; !rc && i < n->count; i++) {
        const struct field_path *path = path_of(n, i);
        if (!same_start(path, path_of(n, like), level))
            continue;
        if (path->count == level)
            return given_twice(n, path->names[level - 1]);
        size_t first = first_alike(n, i, level + 1);
        bool leaf = path->count == level + 1;
        if (first != i && (leaf || path_of(n, first)->count == level + 1))
            return given_twice(n, path->names[level]);
        if (first != i)
            continue;
        rc = emit_named(n, leaf ? CODE_FIELD : CODE_OPEN, path->names[level], n->chosen[i]);
        if (!rc && !leaf)
            rc = compile_level(n, i, level + 1);
        if (!rc && !leaf)
            rc = emit(n->c, (struct ins){.code = CODE_CLOSE});
    }
    return rc;
}

static enum err_code compile_flat(const struct nest *n, struct buf *name)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < n->count; i++) {
        rc = field_name(name, path_of(n, i));
        if (!rc)
            rc = emit_named(n, CODE_FIELD, buf_slice(name), n->chosen[i]);
    }
    return rc;
}

/* ---- a field beside a member of the same name ---- */

static bool mentions(const struct tree *t, struct slice field)
{
    for (size_t i = 0; t && t->kind == TREE_VALUE && i < t->text.count; i++)
        if (t->text.pieces[i].kind == PIECE_FIELD && slice_eq_str(field, t->text.pieces[i].text))
            return true;
    return false;
}

/* False where the member's name differs from record to record. */
static bool constant_name(struct compiler *c, const struct member *m)
{
    buf_reset(&c->scratch);
    for (size_t i = 0; i < m->name.count; i++) {
        struct expr e;
        if (expr_compile(&c->scope, &m->name.pieces[i], &e) || e.origin != FROM_CONSTANT)
            return false;
        struct slice text = text_of_value(&e.constant);
        if (text.n && buf_put(&c->scratch, text.p, text.n))
            return false;
    }
    return true;
}

/* A member that the template writes itself stands for a field of that name when it holds that field
 * or the key; otherwise the two would contradict each other. */
static enum err_code place_field(struct compiler *c, const struct tree *map, struct slice name,
                                 struct slice top, bool *ret_placed)
{
    bool key = is_key(c->scope.head, name);
    for (size_t i = 0; i < map->count; i++) {
        const struct member *m = &map->members[i];
        *ret_placed = false;
        if (m->kind == MEMBER_KEYS && key && is_chosen(c->scope.head, &m->fields, name))
            return ERR_OK;
        if (m->kind != MEMBER_NAMED || !constant_name(c, m) ||
            !slice_eq(buf_slice(&c->scratch), top))
            continue;
        if (key || mentions(m->value, name))
            return ERR_OK;
        return err_set(c->err, ERR_CONFIG,
                       "field %.*s cannot be mapped: the connector's request sets it itself",
                       (int)name.n, name.p);
    }
    *ret_placed = true;
    return ERR_OK;
}

static enum err_code choose_fields(struct compiler *c, const struct tree *map,
                                   const struct field_choice *choice, uint32_t *chosen,
                                   size_t *ret_count)
{
    const struct batch_head *head = c->scope.head;
    struct buf name;
    buf_init(&name, PLAN_BYTES_MAX);
    enum err_code rc = ERR_OK;
    *ret_count = 0;
    for (size_t i = 0; !rc && i < head->field_count; i++) {
        bool placed = false;
        rc = field_name(&name, &head->fields[i]);
        if (!rc && suits_policy(head, choice, i) && is_chosen(head, choice, buf_slice(&name)))
            rc = place_field(c, map, buf_slice(&name),
                             choice->flat ? buf_slice(&name) : head->fields[i].names[0], &placed);
        if (placed)
            chosen[(*ret_count)++] = (uint32_t)i;
    }
    buf_done(&name);
    return rc;
}

static enum err_code compile_chosen(struct nest *n, const struct field_choice *choice)
{
    if (!choice->flat)
        return n->count ? compile_level(n, 0, 0) : ERR_OK;
    struct buf name;
    buf_init(&name, PLAN_BYTES_MAX);
    enum err_code rc = compile_flat(n, &name);
    buf_done(&name);
    return rc;
}

enum err_code compile_fields(struct compiler *c, const struct tree *map,
                             const struct field_choice *choice, enum filling *filling)
{
    const struct batch_head *head = c->scope.head;
    struct null_policy policy = null_policy(c, choice, map->omit_null);
    struct nest n = {.c = c, .head = head, .null_text = SLICE_LIT("null")};
    if (!c->in_loop)
        c->plan->single = true;
    n.flags = (uint16_t)((renders_as_text(c, choice) ? FLAG_AS_TEXT : 0) |
                         (policy.kind == NULL_OMIT ? FLAG_OMIT_NULL : 0));
    if (policy.kind == NULL_TEXT) {
        buf_reset(&c->scratch);
        if (json_put_string(&c->scratch, slice_str(policy.text)) ||
            emit_keep(c, buf_slice(&c->scratch), &n.null_text))
            return no_memory(c);
    }
    uint32_t *chosen = arena_alloc(&c->plan->arena, (head->field_count + 1) * sizeof *chosen);
    if (!chosen)
        return no_memory(c);
    n.chosen = chosen;
    enum err_code rc = choose_fields(c, map, choice, chosen, &n.count);
    if (!rc && n.count && *filling == FILLING_NONE)
        *filling = FILLING_UNSURE;
    return rc ? rc : compile_chosen(&n, choice);
}

enum err_code compile_keys(struct compiler *c, const struct field_choice *choice,
                           enum filling *filling)
{
    const struct batch_head *head = c->scope.head;
    uint16_t flags = renders_as_text(c, choice) ? FLAG_AS_TEXT : 0;
    enum err_code rc = ERR_OK;
    if (!c->in_loop)
        c->plan->single = true;
    for (size_t i = 0; !rc && i < head->key_count; i++) {
        if (!is_chosen(head, choice, head->key_names[i]))
            continue;
        struct ins ins = {.code = CODE_VALUE, .flags = flags, .null_text = SLICE_LIT("null")};
        struct expr e = {.origin = FROM_KEY, .index = (uint32_t)i};
        if (emit_comma(c, filling) || emit_json_string(c, head->key_names[i]) ||
            emit_texts(c, ":") || emit_expr(c, &e, &ins.a) || emit(c, ins))
            rc = no_memory(c);
    }
    return rc;
}

/* ---- columns: a row's fields in a fixed order ---- */

struct columns {
    struct expr *exprs;
    struct slice *names; /* as they are called there */
    size_t count;
};

/* Only removals: they have no fields. */
static bool only_deletes(const struct render_context *x)
{
    const struct object *o = x->object;
    for (size_t i = 0; o && i < o->request_count; i++) {
        const struct request *r = &o->requests[i];
        for (size_t k = 0; k < r->step_count; k++)
            if (&r->steps[k] == x->step)
                return r->ops == 1U << OP_DELETE;
    }
    return false;
}

static enum err_code add_column(struct compiler *c, const struct field_choice *choice,
                                struct columns *columns, enum origin origin, size_t index,
                                struct slice name)
{
    struct slice called = name;
    for (size_t i = 0; i < choice->name_count; i++)
        if (slice_eq_str(name, choice->names[i].name))
            called = slice_str(choice->names[i].value);
    size_t at = columns->count++;
    columns->exprs[at] = (struct expr){.origin = origin, .index = (uint32_t)index};
    return emit_keep(c, called, &columns->names[at]);
}

/* `remove: false`: the destination does not take this key for a removal. */
static bool is_kept(const struct render_context *x, struct slice name)
{
    for (size_t i = 0; x->object && i < x->object->key_count; i++)
        if (slice_eq_str(name, x->object->keys[i].name))
            return x->object->keys[i].keeps;
    return false;
}

static enum err_code add_keys(struct compiler *c, const struct field_choice *choice,
                              struct columns *columns, bool removal)
{
    const struct batch_head *head = c->scope.head;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < head->key_count; i++) {
        struct slice name = head->key_names[i];
        bool skip =
            removal ? is_kept(c->scope.context, name) : field_named(head, name) < head->field_count;
        if (!skip && !is_listed(head, choice->except, choice->except_count, name))
            rc = add_column(c, choice, columns, FROM_KEY, i, name);
    }
    return rc;
}

static enum err_code add_fields(struct compiler *c, const struct field_choice *choice,
                                struct columns *columns)
{
    const struct batch_head *head = c->scope.head;
    struct buf name;
    buf_init(&name, PLAN_BYTES_MAX);
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < head->field_count; i++) {
        rc = field_name(&name, &head->fields[i]);
        if (!rc && suits_policy(head, choice, i) && is_chosen(head, choice, buf_slice(&name)))
            rc = add_column(c, choice, columns, FROM_FIELD, i, buf_slice(&name));
    }
    buf_done(&name);
    return rc;
}

/* In the order that is asked for; a name that is no field may be a key; others are left out. */
static enum err_code add_listed(struct compiler *c, const struct field_choice *choice,
                                struct columns *columns)
{
    const struct batch_head *head = c->scope.head;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < choice->only_count; i++) {
        struct slice name = listed_name(head, choice->only[i]);
        size_t field = field_named(head, name);
        if (is_listed(head, choice->except, choice->except_count, name))
            continue;
        if (field < head->field_count)
            rc = add_column(c, choice, columns, FROM_FIELD, field, name);
        for (size_t k = 0; !rc && field == head->field_count && k < head->key_count; k++)
            if (slice_eq(head->key_names[k], name))
                rc = add_column(c, choice, columns, FROM_KEY, k, name);
    }
    return rc;
}

static enum err_code choose_columns(struct compiler *c, const struct field_choice *choice,
                                    bool key_first, struct columns *ret_columns)
{
    const struct batch_head *head = c->scope.head;
    size_t most = head->field_count + head->key_count + choice->only_count + 1;
    *ret_columns = (struct columns){
        .exprs = arena_alloc(&c->plan->arena, most * sizeof *ret_columns->exprs),
        .names = arena_alloc(&c->plan->arena, most * sizeof *ret_columns->names),
    };
    if (!ret_columns->exprs || !ret_columns->names)
        return no_memory(c);
    if (only_deletes(c->scope.context))
        return add_keys(c, choice, ret_columns, true);
    enum err_code rc = key_first ? add_keys(c, choice, ret_columns, false) : ERR_OK;
    if (rc)
        return rc;
    return choice->only_count ? add_listed(c, choice, ret_columns)
                              : add_fields(c, choice, ret_columns);
}

enum err_code compile_columns(struct compiler *c, const struct field_choice *choice)
{
    struct columns columns;
    enum err_code rc = choose_columns(c, choice, false, &columns);
    if (!rc)
        rc = emit_texts(c, "[");
    for (size_t i = 0; !rc && i < columns.count; i++) {
        rc = emit_texts(c, i ? "," : "");
        if (!rc)
            rc = emit_json_string(c, columns.names[i]);
    }
    return rc ? rc : emit_texts(c, "]");
}

/* One cell: the filler where the value is null, else the cell's own tree. */
static enum err_code compile_cell(struct compiler *c, const struct tree *t, uint32_t expr)
{
    uint32_t filler, end;
    enum err_code rc = emit_jump(c, CODE_IF_NULL, expr, &filler);
    if (!rc && t->items[0])
        rc = compile_tree(c, t->items[0], false);
    else if (!rc)
        rc = emit(c, (struct ins){.code = CODE_VALUE,
                                  .flags = renders_as_text(c, &t->fields) ? FLAG_AS_TEXT : 0,
                                  .a = expr,
                                  .null_text = SLICE_LIT("null")});
    if (!rc)
        rc = emit_jump(c, CODE_JUMP, 0, &end);
    if (!rc)
        rc = emit_land(c, filler);
    if (!rc)
        rc = t->items[1] ? compile_tree(c, t->items[1], false) : emit_texts(c, "null");
    return rc ? rc : emit_land(c, end);
}

enum err_code compile_row(struct compiler *c, const struct tree *t)
{
    struct columns columns;
    struct scope outside = c->scope;
    if (!c->in_loop)
        c->plan->single = true;
    enum err_code rc = choose_columns(c, &t->fields, false, &columns);
    if (!rc)
        rc = emit_texts(c, "[");
    for (size_t i = 0; !rc && i < columns.count; i++) {
        uint32_t expr;
        c->scope.cell = &columns.exprs[i];
        c->scope.column = columns.names[i];
        rc = emit_texts(c, i ? "," : "");
        if (!rc)
            rc = emit_expr(c, &columns.exprs[i], &expr);
        if (!rc)
            rc = compile_cell(c, t, expr);
    }
    c->scope = outside;
    return rc ? rc : emit_texts(c, "]");
}

/* ---- CSV ---- */

static enum err_code compile_csv_header(struct compiler *c, const struct csv_form *form,
                                        const struct columns *columns)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < columns->count; i++) {
        rc = i ? buf_putc(&c->text, form->delimiter) : ERR_OK;
        if (!rc)
            rc = encode_csv(&c->text, columns->names[i], form->delimiter);
    }
    return rc ? rc : emit_texts(c, form->line ? form->line : "\n");
}

enum err_code compile_csv(struct compiler *c, const struct csv_form *form)
{
    struct columns columns;
    uint32_t next;
    struct null_policy policy = null_policy(c, &form->fields, false);
    struct slice null_text = policy.kind == NULL_TEXT ? slice_str(policy.text) : SLICE_LIT("");
    enum err_code rc = choose_columns(c, &form->fields, form->key_first, &columns);
    if (!rc && form->header)
        rc = compile_csv_header(c, form, &columns);
    if (!rc)
        rc = emit_loop(c, NULL, &next);
    for (size_t i = 0; !rc && i < columns.count; i++) {
        struct ins ins = {
            .code = CODE_CELL, .b = (unsigned char)form->delimiter, .null_text = null_text};
        rc = i ? buf_putc(&c->text, form->delimiter) : ERR_OK;
        if (!rc)
            rc = emit_expr(c, &columns.exprs[i], &ins.a);
        if (!rc)
            rc = emit(c, ins);
    }
    if (!rc)
        rc = emit_texts(c, form->line ? form->line : "\n");
    return rc ? rc : emit_loop_end(c, next);
}
