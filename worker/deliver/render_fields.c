/* $fields and $keys: the members of an object that stand for all fields of a record. */
#include "worker/deliver/render_choice.h"

#include "protocol/base/json.h"

static bool is_key(const struct batch_head *head, struct slice name)
{
    for (size_t i = 0; i < head->key_count; i++)
        if (slice_eq(head->key_names[i], name))
            return true;
    return false;
}

/* ---- $fields: names become nested objects, in the order of their first appearance ---- */

struct nest {
    struct compiler *c;
    const struct batch_head *head;
    const uint32_t *chosen; /* indexes of fields */
    size_t count;
    uint16_t flags;
    struct slice null_text;
    const struct tree *merge; /* the form of a list that is added; NULL: as other values */
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
        return choice_no_memory(c);
    return ERR_OK;
}

static bool is_merged(const struct nest *n, uint32_t field)
{
    return n->merge && n->head->policies && n->head->policies[field] == POLICY_MERGE;
}

/* A list in the form in which it is added. Null adds nothing; only a clear says it. */
static enum err_code emit_merged(const struct nest *n, struct slice name, uint32_t field)
{
    struct compiler *c = n->c;
    struct scope outside = c->scope;
    struct expr value = {.origin = FROM_FIELD, .index = field};
    struct nest nulls = *n;
    uint32_t expr, null, end;
    enum err_code rc = emit_expr(c, &value, &expr);
    if (!rc)
        rc = emit_jump(c, CODE_IF_NULL, expr, &null);
    if (!rc)
        rc = emit(c, (struct ins){.code = CODE_COMMA});
    if (!rc)
        rc = emit_json_string(c, name);
    if (!rc)
        rc = emit_texts(c, ":");
    c->scope.cell = &value;
    c->scope.column = name;
    if (!rc)
        rc = compile_tree(c, n->merge, false);
    c->scope = outside;
    if (!rc)
        rc = emit_jump(c, CODE_JUMP, 0, &end);
    if (!rc)
        rc = emit_land(c, null);
    nulls.flags |= FLAG_OMIT_NULL;
    if (!rc)
        rc = emit_named(&nulls, CODE_FIELD, name, field);
    return rc ? rc : emit_land(c, end);
}

static enum err_code emit_leaf(const struct nest *n, struct slice name, uint32_t field)
{
    return is_merged(n, field) ? emit_merged(n, name, field)
                               : emit_named(n, CODE_FIELD, name, field);
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
        rc = leaf ? emit_leaf(n, path->names[level], n->chosen[i])
                  : emit_named(n, CODE_OPEN, path->names[level], n->chosen[i]);
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
            rc = emit_leaf(n, buf_slice(name), n->chosen[i]);
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
        if (m->kind == MEMBER_KEYS && key && choice_takes(c->scope.head, &m->fields, name))
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
        if (!rc && choice_suits_policy(head, choice, i) &&
            choice_takes(head, choice, buf_slice(&name)))
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
    struct null_policy policy = choice_null(c, choice, map->omit_null);
    struct nest n = {.c = c, .head = head, .null_text = SLICE_LIT("null"), .merge = choice->merge};
    if (!c->in_loop)
        c->plan->single = true;
    n.flags = (uint16_t)((choice_as_text(c, choice) ? FLAG_AS_TEXT : 0) |
                         (policy.kind == NULL_OMIT ? FLAG_OMIT_NULL : 0));
    if (policy.kind == NULL_TEXT) {
        buf_reset(&c->scratch);
        if (json_put_string(&c->scratch, slice_str(policy.text)) ||
            emit_keep(c, buf_slice(&c->scratch), &n.null_text))
            return choice_no_memory(c);
    }
    uint32_t *chosen = arena_alloc(&c->plan->arena, (head->field_count + 1) * sizeof *chosen);
    if (!chosen)
        return choice_no_memory(c);
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
    uint16_t flags = choice_as_text(c, choice) ? FLAG_AS_TEXT : 0;
    enum err_code rc = ERR_OK;
    if (!c->in_loop)
        c->plan->single = true;
    for (size_t i = 0; !rc && i < head->key_count; i++) {
        if (!choice_takes(head, choice, head->key_names[i]))
            continue;
        struct ins ins = {.code = CODE_VALUE, .flags = flags, .null_text = SLICE_LIT("null")};
        struct expr e = {.origin = FROM_KEY, .index = (uint32_t)i};
        if (emit_comma(c, filling) || emit_json_string(c, head->key_names[i]) ||
            emit_texts(c, ":") || emit_expr(c, &e, &ins.a) || emit(c, ins))
            rc = choice_no_memory(c);
    }
    return rc;
}
