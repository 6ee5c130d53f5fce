/* JSON trees: a slot is a place in a container (a member, an item) which a tree may leave empty;
 * a value is a place that must hold something. */
#include "worker/deliver/render_compile.h"

#include "protocol/base/json.h"

/* A place in an object or array. */
struct slot {
    enum filling *filling;       /* of the container; NULL: no container, no commas */
    const struct template *name; /* NULL: an item */
    bool omit_null;
};

static enum err_code compile_value(struct compiler *c, const struct tree *t, bool root);
static enum err_code compile_slot(struct compiler *c, struct slot slot, const struct tree *t);

enum err_code emit_comma(struct compiler *c, enum filling *filling)
{
    enum filling before = *filling;
    *filling = FILLING_SOME;
    if (before == FILLING_SOME)
        return emit_texts(c, ",");
    return before == FILLING_NONE ? ERR_OK : emit(c, (struct ins){.code = CODE_COMMA});
}

static enum err_code emit_name(struct compiler *c, const struct template *name)
{
    enum err_code rc = emit_texts(c, "\"");
    if (!rc)
        rc = emit_template(c, name, FORM_JSON);
    return rc ? rc : emit_texts(c, "\":");
}

static enum err_code begin_slot(struct compiler *c, struct slot slot)
{
    enum err_code rc = slot.filling ? emit_comma(c, slot.filling) : ERR_OK;
    return rc || !slot.name ? rc : emit_name(c, slot.name);
}

/* ---- values ---- */

static enum err_code emit_json_value(struct compiler *c, const struct expr *e, uint16_t flags)
{
    if (e->origin == FROM_CONSTANT) {
        struct value v = e->constant;
        if (v.kind == VALUE_ABSENT)
            v.kind = VALUE_NULL;
        return json_put_value(&c->text, v);
    }
    struct ins ins = {.code = CODE_VALUE, .flags = flags, .null_text = SLICE_LIT("null")};
    enum err_code rc = emit_expr(c, e, &ins.a);
    return rc ? rc : emit(c, ins);
}

static enum err_code compile_text(struct compiler *c, const struct template *t)
{
    if (t->count == 1) {
        struct expr e;
        enum err_code rc = emit_piece(c, &t->pieces[0], &e);
        return rc ? rc : emit_json_value(c, &e, 0);
    }
    enum err_code rc = emit_texts(c, "\"");
    if (!rc)
        rc = emit_template(c, t, FORM_JSON);
    return rc ? rc : emit_texts(c, "\"");
}

static enum err_code compile_embedded(struct compiler *c, const struct template *t)
{
    enum err_code rc = emit(c, (struct ins){.code = CODE_EMBED});
    if (!rc)
        rc = emit_template(c, t, FORM_RAW);
    return rc ? rc : emit(c, (struct ins){.code = CODE_EMBEDDED});
}

/* What auth adds to every object that is a body. */
static enum err_code compile_auth_members(struct compiler *c, enum filling *filling)
{
    const struct auth *auth = c->scope.context->auth;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && auth && i < auth->body_count; i++) {
        rc = emit_comma(c, filling);
        if (!rc)
            rc = emit_json_string(c, slice_str(auth->body[i].name));
        if (!rc)
            rc = emit_texts(c, ":");
        if (!rc)
            rc = compile_text(c, &auth->body[i].value);
    }
    return rc;
}

static enum err_code compile_object(struct compiler *c, const struct tree *t, bool root)
{
    enum filling filling = FILLING_NONE;
    enum err_code rc = emit_texts(c, "{");
    if (!rc && root)
        rc = compile_auth_members(c, &filling);
    for (size_t i = 0; !rc && i < t->count; i++) {
        const struct member *m = &t->members[i];
        if (m->kind == MEMBER_FIELDS)
            rc = compile_fields(c, t, &m->fields, &filling);
        else if (m->kind == MEMBER_KEYS)
            rc = compile_keys(c, &m->fields, &filling);
        else
            rc = compile_slot(c, (struct slot){&filling, &m->name, t->omit_null}, m->value);
    }
    return rc ? rc : emit_texts(c, "}");
}

static enum err_code compile_array(struct compiler *c, const struct tree *t)
{
    enum filling filling = FILLING_NONE;
    enum err_code rc = emit_texts(c, "[");
    for (size_t i = 0; !rc && i < t->count; i++)
        rc = compile_slot(c, (struct slot){.filling = &filling}, t->items[i]);
    return rc ? rc : emit_texts(c, "]");
}

static enum err_code compile_records(struct compiler *c, const struct tree *t)
{
    uint32_t next;
    enum filling filling = FILLING_UNSURE;
    enum err_code rc = emit_texts(c, "[");
    if (!rc)
        rc = emit_loop(c, &t->only, &next);
    if (!rc)
        rc = compile_slot(c, (struct slot){.filling = &filling}, t->items[0]);
    if (!rc)
        rc = emit_loop_end(c, next);
    return rc ? rc : emit_texts(c, "]");
}

static enum err_code compile_one(struct compiler *c, const struct tree *t, bool root)
{
    switch (t->kind) {
    case TREE_LITERAL:
        return emit_texts(c, t->literal);
    case TREE_VALUE:
        return compile_text(c, &t->text);
    case TREE_JSON:
        return compile_embedded(c, &t->text);
    case TREE_OBJECT:
        return compile_object(c, t, root);
    case TREE_ARRAY:
        return compile_array(c, t);
    case TREE_RECORDS:
        return compile_records(c, t);
    case TREE_COLUMNS:
        return compile_columns(c, &t->fields);
    case TREE_ROW:
        return compile_row(c, t);
    case TREE_RECORD:
        return compile_value(c, t->items[0], root);
    case TREE_BY_OP:
        break;
    }
    return ERR_BUG;
}

static enum err_code compile_kind(struct compiler *c, const struct tree *t, bool root)
{
    if (c->depth == TREE_DEPTH_MAX)
        return err_set(c->err, ERR_CONFIG, "a body is nested deeper than %d levels",
                       TREE_DEPTH_MAX);
    c->depth++;
    enum err_code rc = compile_one(c, t, root);
    c->depth--;
    return rc;
}

/* ---- what may be absent: guards, operations, nulls ---- */

/* Jumps to where the caller lands `ret_skip` unless one of the guards is set. *ret_known: nothing
 * was emitted, since the answer is the same for every record: *ret_set. */
static enum err_code compile_guards(struct compiler *c, const struct tree *t, uint32_t *ret_skip,
                                    bool *ret_known, bool *ret_set)
{
    uint32_t *hits = arena_alloc(&c->plan->arena, (t->guard_count + 1) * sizeof *hits);
    size_t count = 0;
    enum err_code rc = hits ? ERR_OK : ERR_NOMEM;
    *ret_set = false;
    for (size_t i = 0; !rc && i < t->guard_count && !*ret_set; i++) {
        struct expr e;
        uint32_t index;
        rc = emit_piece(c, &t->guards[i], &e);
        if (rc || expr_is_null(&e))
            continue;
        *ret_set = e.origin == FROM_CONSTANT;
        if (*ret_set)
            break;
        rc = emit_expr(c, &e, &index);
        if (!rc)
            rc = emit_jump(c, CODE_IF_SET, index, &hits[count++]);
    }
    *ret_known = *ret_set || !count;
    if (!rc && !*ret_known)
        rc = emit_jump(c, CODE_JUMP, 0, ret_skip);
    for (size_t i = 0; !rc && i < count; i++)
        rc = emit_land(c, hits[i]);
    return rc;
}

static enum filling either(enum filling a, enum filling b)
{
    return a == b ? a : FILLING_UNSURE;
}

/* One of six branches: branch(ctx, op's tree) writes each, NULL trees too. */
static enum err_code compile_by_op(struct compiler *c, struct slot slot, const struct tree *t,
                                   bool root, bool in_slot)
{
    uint32_t targets[6], ends[6], at;
    enum filling before = slot.filling ? *slot.filling : FILLING_NONE, after = before;
    static const struct tree null_tree = {.kind = TREE_LITERAL, .literal = "null"};
    enum err_code rc = ERR_OK;
    if (!c->in_loop)
        c->plan->single = true;
    rc = emit_jump(c, CODE_BY_OP, 0, &at);
    for (size_t op = 0; !rc && op < ARRAY_LEN(targets); op++) {
        const struct tree *branch = t->ops[op] ? t->ops[op] : &null_tree;
        enum filling filling = before;
        targets[op] = emit_here(c);
        if (in_slot)
            rc = compile_slot(
                c, (struct slot){slot.filling ? &filling : NULL, slot.name, slot.omit_null},
                branch);
        else
            rc = compile_value(c, branch, root);
        after = op ? either(after, filling) : filling;
        if (!rc)
            rc = emit_jump(c, CODE_JUMP, 0, &ends[op]);
    }
    for (size_t op = 0; !rc && op < ARRAY_LEN(ends); op++)
        rc = emit_land(c, ends[op]);
    if (rc)
        return rc;
    if (slot.filling)
        *slot.filling = after;
    ((struct ins *)(void *)c->code.p)[at].a = (uint32_t)(c->by_op.len / sizeof targets);
    return buf_put(&c->by_op, targets, sizeof targets);
}

static bool is_null_tree(const struct tree *t)
{
    return t->kind == TREE_LITERAL && strcmp(t->literal, "null") == 0;
}

/* A member that is left out where its only placeholder is null. */
static enum err_code compile_omittable(struct compiler *c, struct slot slot, const struct tree *t)
{
    struct expr e;
    uint32_t index, skip;
    enum err_code rc = emit_piece(c, &t->text.pieces[0], &e);
    if (rc || expr_is_null(&e))
        return rc;
    if (e.origin == FROM_CONSTANT) {
        rc = begin_slot(c, slot);
        return rc ? rc : compile_kind(c, t, false);
    }
    enum filling before = slot.filling ? *slot.filling : FILLING_NONE;
    rc = emit_expr(c, &e, &index);
    if (!rc)
        rc = emit_jump(c, CODE_IF_NULL, index, &skip);
    if (!rc)
        rc = begin_slot(c, slot);
    if (!rc)
        rc = compile_kind(c, t, false);
    if (!rc)
        rc = emit_land(c, skip);
    if (slot.filling)
        *slot.filling = either(before, *slot.filling);
    return rc;
}

static enum err_code compile_present(struct compiler *c, struct slot slot, const struct tree *t)
{
    if (t->kind == TREE_BY_OP)
        return compile_by_op(c, slot, t, false, true);
    if (t->kind == TREE_RECORD)
        return compile_slot(c, slot, t->items[0]);
    if (slot.omit_null && is_null_tree(t))
        return ERR_OK;
    bool one = (t->kind == TREE_VALUE || t->kind == TREE_JSON) && t->text.count == 1;
    if (slot.omit_null && one)
        return compile_omittable(c, slot, t);
    enum err_code rc = begin_slot(c, slot);
    return rc ? rc : compile_kind(c, t, false);
}

static enum err_code compile_slot(struct compiler *c, struct slot slot, const struct tree *t)
{
    if (!t->guard_count)
        return compile_present(c, slot, t);
    bool known, set;
    uint32_t skip;
    enum filling before = slot.filling ? *slot.filling : FILLING_NONE;
    enum err_code rc = compile_guards(c, t, &skip, &known, &set);
    if (rc || (known && !set))
        return rc;
    rc = compile_present(c, slot, t);
    if (!rc && !known)
        rc = emit_land(c, skip);
    if (!known && slot.filling)
        *slot.filling = either(before, *slot.filling);
    return rc;
}

static enum err_code compile_value(struct compiler *c, const struct tree *t, bool root)
{
    bool known = true, set = true;
    uint32_t skip, end;
    enum err_code rc = ERR_OK;
    if (t->guard_count)
        rc = compile_guards(c, t, &skip, &known, &set);
    if (!rc && known && !set)
        rc = emit_texts(c, "null");
    else if (!rc)
        rc = t->kind == TREE_BY_OP ? compile_by_op(c, (struct slot){0}, t, root, false)
                                   : compile_kind(c, t, root);
    if (!rc && !known) {
        rc = emit_jump(c, CODE_JUMP, 0, &end);
        if (!rc)
            rc = emit_land(c, skip);
        if (!rc)
            rc = emit_texts(c, "null");
        if (!rc)
            rc = emit_land(c, end);
    }
    return rc;
}

enum err_code compile_tree(struct compiler *c, const struct tree *t, bool root)
{
    return compile_value(c, t, root);
}

enum err_code compile_lines(struct compiler *c, const struct tree *t)
{
    uint32_t next, skip;
    bool known = true, set = true;
    enum err_code rc = emit_loop(c, NULL, &next);
    if (!rc && t->guard_count)
        rc = compile_guards(c, t, &skip, &known, &set);
    if (!rc && (set || !known))
        rc = t->kind == TREE_BY_OP ? compile_by_op(c, (struct slot){0}, t, false, false)
                                   : compile_kind(c, t, false);
    if (!rc && (set || !known))
        rc = emit_texts(c, "\n");
    if (!rc && !known)
        rc = emit_land(c, skip);
    return rc ? rc : emit_loop_end(c, next);
}
