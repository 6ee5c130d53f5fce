/* A record's fields in a fixed order: $columns with $row, and CSV. */
#include "worker/deliver/render_choice.h"

#include "worker/deliver/encode.h"

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
        if (!skip && !choice_lists(head, choice->except, choice->except_count, name))
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
        if (!rc && choice_suits_policy(head, choice, i) &&
            choice_takes(head, choice, buf_slice(&name)))
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
        struct slice name = choice_name(head, choice->only[i]);
        size_t field = field_named(head, name);
        if (choice_lists(head, choice->except, choice->except_count, name))
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
        return choice_no_memory(c);
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
                                  .flags = choice_as_text(c, &t->fields) ? FLAG_AS_TEXT : 0,
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
    struct null_policy policy = choice_null(c, &form->fields, false);
    struct slice null_text = policy.kind == NULL_TEXT ? slice_str(policy.text) : SLICE_LIT("");
    enum err_code rc = choose_columns(c, &form->fields, form->key_first, &columns);
    if (!rc && form->header)
        rc = compile_csv_header(c, form, &columns);
    if (!rc)
        rc = emit_loop(c, NULL, &next);
    for (size_t i = 0; !rc && i < columns.count; i++) {
        struct ins ins = {
            .code = CODE_CELL, .b = (unsigned char)form->delimiter, .null_text = null_text};
        ins.flags = form->empty_as_null ? FLAG_EMPTY_AS_NULL : 0;
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
