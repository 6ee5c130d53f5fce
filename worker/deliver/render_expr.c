/* Expressions: which value a placeholder is, known while compiling or told by the present run. */
#include "worker/deliver/render_compile.h"

#include <xxhash.h>

#include "protocol/base/json.h"
#include "worker/deliver/encode.h"
#include "worker/deliver/json_check.h"

enum err_code field_name(struct buf *b, const struct field_path *path)
{
    enum err_code rc = ERR_OK;
    buf_reset(b);
    for (size_t i = 0; !rc && i < path->count; i++) {
        rc = i ? buf_putc(b, '.') : ERR_OK;
        if (!rc)
            rc = buf_put(b, path->names[i].p, path->names[i].n);
    }
    return rc;
}

static bool is_named(const struct field_path *path, struct slice dotted)
{
    for (size_t i = 0; i < path->count; i++) {
        struct slice name = path->names[i];
        if (i) {
            if (!dotted.n || *dotted.p != '.')
                return false;
            dotted = slice_of(dotted.p + 1, dotted.n - 1);
        }
        if (dotted.n < name.n || memcmp(dotted.p, name.p, name.n) != 0)
            return false;
        dotted = slice_of(dotted.p + name.n, dotted.n - name.n);
    }
    return path->count && !dotted.n;
}

size_t field_named(const struct batch_head *head, struct slice dotted)
{
    size_t i = 0;
    while (i < head->field_count && !is_named(&head->fields[i], dotted))
        i++;
    return i;
}

/* ---- compiling ---- */

static void set_constant(struct expr *e, enum value_kind kind, struct slice s)
{
    e->origin = FROM_CONSTANT;
    e->constant = value_of(kind, s);
}

/* An option that is empty counts as not given. */
static void compile_option(const struct scope *s, uint32_t index, struct expr *e)
{
    const char *text = s->context->options[index];
    struct slice value = slice_str(text);
    enum value_kind kind = VALUE_TEXT;
    switch (s->context->connector->options[index].kind) {
    case OPTION_NUMBER:
        kind = json_is_number(value) ? VALUE_NUMBER : VALUE_TEXT;
        break;
    case OPTION_BOOL:
        kind = slice_eq_str(value, "true")    ? VALUE_TRUE
               : slice_eq_str(value, "false") ? VALUE_FALSE
                                              : VALUE_TEXT;
        break;
    case OPTION_MAP:
        kind = json_check(value) ? VALUE_JSON : VALUE_TEXT;
        break;
    case OPTION_TEXT:
    case OPTION_DIGITS: /* an account: leading zeros count */
        break;
    }
    set_constant(e, value.n ? kind : VALUE_ABSENT, value);
}

static void set_origin(struct expr *e, enum origin origin, size_t index)
{
    e->origin = origin;
    e->index = (uint32_t)index;
}

static void compile_key(const struct scope *s, const char *name, struct expr *e)
{
    const struct batch_head *head = s->head;
    for (size_t i = 0; head && i < head->key_count; i++) {
        if (!name || slice_eq_str(head->key_names[i], name)) {
            set_origin(e, FROM_KEY, i);
            return;
        }
    }
}

/* A field that is not mapped may still be part of the key. */
static void compile_field(const struct scope *s, const char *name, struct expr *e)
{
    if (!s->head)
        return;
    size_t i = field_named(s->head, slice_str(name));
    if (i < s->head->field_count)
        set_origin(e, FROM_FIELD, i);
    else
        compile_key(s, name, e);
}

static void compile_key_as(const struct scope *s, struct expr *e)
{
    if (!s->head || !s->head->key_count)
        return;
    const struct object *o = s->context->object;
    struct slice name = s->head->key_names[0];
    const struct object_field *found = NULL;
    for (size_t i = 0; o && i < o->key_count; i++) {
        bool exact = slice_eq_str(name, o->keys[i].name);
        if (exact || (!found && strcmp(o->keys[i].name, "*") == 0))
            found = &o->keys[i];
        if (exact)
            break;
    }
    set_constant(e, VALUE_TEXT, found && found->as ? slice_str(found->as) : name);
}

static void compile_object(const struct scope *s, struct expr *e)
{
    const struct render_context *x = s->context;
    struct slice name = x->star.n ? x->star : slice_str(x->object ? x->object->name : NULL);
    set_constant(e, VALUE_TEXT, name);
}

/* Those that are known for the life of a plan. */
static bool compile_constant(const struct scope *s, const struct piece *piece, struct expr *e)
{
    const struct batch_head *head = s->head;
    switch ((int)piece->kind) {
    case PIECE_TEXT:
        set_constant(e, VALUE_TEXT, slice_str(piece->text));
        return true;
    case PIECE_OPTION:
        compile_option(s, piece->index, e);
        return true;
    case PIECE_SYNC:
        set_constant(e, VALUE_TEXT, head ? head->sync : SLICE_LIT(""));
        return true;
    case PIECE_OBJECT:
        compile_object(s, e);
        return true;
    case PIECE_IDENTIFY_BY:
        if (head && head->key_count)
            set_constant(e, VALUE_TEXT, head->key_names[0]);
        return true;
    case PIECE_CONFLICT_FIELDS:
        set_constant(e, VALUE_TEXT, s->conflicts);
        return true;
    case PIECE_CONFLICTS:
        if (head &&
            batch_conflicts(head->policies, head->field_count, head->newest_field) & piece->index)
            set_constant(e, VALUE_TRUE, (struct slice){0});
        return true;
    case PIECE_KEY_AS:
        compile_key_as(s, e);
        return true;
    case PIECE_COLUMN:
        set_constant(e, VALUE_TEXT, s->column);
        return true;
    default:
        return false;
    }
}

static void compile_origin(const struct scope *s, const struct piece *piece, struct expr *e)
{
    static const struct {
        enum origin origin;
        uint32_t index;
    } plain[] = {
        [PIECE_RUN] = {FROM_REQUEST, REQUEST_RUN},
        [PIECE_BATCH] = {FROM_REQUEST, REQUEST_BATCH},
        [PIECE_PART] = {FROM_REQUEST, REQUEST_PART},
        [PIECE_ATTEMPT] = {FROM_REQUEST, REQUEST_ATTEMPT},
        [PIECE_RECORDS] = {FROM_REQUEST, REQUEST_RECORDS},
        [PIECE_NOW] = {FROM_REQUEST, REQUEST_NOW},
        [PIECE_NOW_MS] = {FROM_REQUEST, REQUEST_NOW_MS},
        [PIECE_SESSION_ID] = {FROM_REQUEST, REQUEST_SESSION_ID},
        [PIECE_SESSION_SEQ] = {FROM_REQUEST, REQUEST_SESSION_SEQ},
        [PIECE_SESSION_LAST] = {FROM_REQUEST, REQUEST_SESSION_LAST},
        [PIECE_OP] = {FROM_OP, 0},
        [PIECE_INDEX] = {FROM_INDEX, 0},
        [PIECE_TRACE] = {FROM_TRACE, 0},
        [PIECE_UID] = {FROM_UID, 0},
        [PIECE_FOUND] = {FROM_FOUND, 0},
    };
    switch ((int)piece->kind) {
    case PIECE_AUTH:
        set_origin(e, FROM_AUTH, piece->index);
        return;
    case PIECE_VAR:
        set_origin(e, FROM_VAR, piece->index);
        return;
    case PIECE_JOIN:
        set_origin(e, FROM_JOIN, piece->index);
        return;
    case PIECE_GROUP:
        set_origin(e, FROM_GROUP, piece->index);
        return;
    case PIECE_KEY:
        compile_key(s, NULL, e);
        return;
    case PIECE_KEY_NAMED:
        compile_key(s, piece->text, e);
        return;
    case PIECE_FIELD:
        compile_field(s, piece->text, e);
        return;
    default:
        if ((size_t)piece->kind < ARRAY_LEN(plain))
            set_origin(e, plain[piece->kind].origin, plain[piece->kind].index);
    }
}

enum err_code expr_compile(const struct scope *s, const struct piece *piece, struct expr *ret_expr)
{
    struct expr e = {.origin = FROM_CONSTANT, .constant = {.kind = VALUE_ABSENT}};
    if (piece->kind == PIECE_CELL && s->cell)
        e = *s->cell;
    else if (!compile_constant(s, piece, &e))
        compile_origin(s, piece, &e);
    if (e.origin == FROM_CONSTANT) {
        enum err_code rc =
            filters_apply(s->filters, piece->filters, piece->filter_count, &e.constant);
        *ret_expr = e;
        return rc;
    }
    e.filter_count = piece->filter_count;
    memcpy(e.filters, piece->filters, sizeof e.filters);
    *ret_expr = e;
    return ERR_OK;
}

void group_compile(const struct scope *s, const char *name, struct expr *ret_expr)
{
    *ret_expr = (struct expr){.origin = FROM_CONSTANT, .constant = {.kind = VALUE_ABSENT}};
    compile_field(s, name, ret_expr);
}

bool expr_is_null(const struct expr *e)
{
    return e->origin == FROM_CONSTANT &&
           (e->constant.kind == VALUE_NULL || e->constant.kind == VALUE_ABSENT);
}

/* ---- running ---- */

static enum err_code put_hashed(struct buf *b, const struct value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct value *v = &values[i];
        uint32_t head[2] = {(uint32_t)v->kind, v->kind >= VALUE_NUMBER ? v->n : 0};
        enum err_code rc = buf_put(b, head, sizeof head);
        if (!rc && head[1])
            rc = buf_put(b, v->p, v->n);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

/* Of what names the record and what is in it, and nothing of when it is sent. */
static enum err_code make_uid(struct run *r)
{
    struct render_plan *p = r->plan;
    struct slice sync = batch_reader_head(r->reader)->sync;
    uint32_t n = (uint32_t)sync.n;
    buf_reset(&p->hashed);
    enum err_code rc = buf_put(&p->hashed, &n, sizeof n);
    if (!rc)
        rc = buf_put(&p->hashed, sync.p, sync.n);
    if (!rc)
        rc = put_hashed(&p->hashed, r->record.keys, p->key_count);
    if (!rc && r->record.fields)
        rc = put_hashed(&p->hashed, r->record.fields, p->field_count);
    if (rc)
        return rc;
    XXH128_canonical_t sum;
    XXH128_canonicalFromHash(&sum, XXH3_128bits(p->hashed.p, p->hashed.len));
    sum.digest[6] = (unsigned char)((sum.digest[6] & 0x0F) | 0x50); /* RFC 4122: version 5 */
    sum.digest[8] = (unsigned char)((sum.digest[8] & 0x3F) | 0x80); /* and its variant */
    static const char digits[] = "0123456789abcdef";
    char *o = r->uid;
    for (size_t i = 0; i < sizeof sum.digest; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *o++ = '-';
        *o++ = digits[sum.digest[i] >> 4];
        *o++ = digits[sum.digest[i] & 15];
    }
    return ERR_OK;
}

static struct value text_or_absent(const struct slice *items, uint32_t index)
{
    if (!items || !items[index].p)
        return (struct value){.kind = VALUE_ABSENT};
    return value_of(VALUE_TEXT, items[index]);
}

static enum err_code record_value(struct run *r, const struct expr *e, struct value *v)
{
    if (!r->at_record) {
        v->kind = VALUE_ABSENT;
        return ERR_OK;
    }
    switch (e->origin) {
    case FROM_OP:
        *v = value_of(VALUE_TEXT, slice_str(record_op_name(r->record.op)));
        return ERR_OK;
    case FROM_KEY:
        *v = r->record.keys[e->index];
        return ERR_OK;
    case FROM_FIELD:
        *v = r->named[e->index];
        return ERR_OK;
    case FROM_INDEX:
        *v = value_of(VALUE_NUMBER,
                      slice_of(r->number, (size_t)(encode_u32(r->number, r->index) - r->number)));
        return ERR_OK;
    case FROM_TRACE:
        render_trace(r->record.ordinal, r->trace);
        *v = value_of(VALUE_TEXT, slice_str(r->trace));
        return ERR_OK;
    case FROM_UID:
        *v = value_of(VALUE_TEXT, slice_of(r->uid, sizeof r->uid));
        return make_uid(r);
    case FROM_FOUND:
        *v = text_or_absent(r->in->found, r->position);
        return ERR_OK;
    case FROM_CONSTANT:
    case FROM_REQUEST:
    case FROM_AUTH:
    case FROM_VAR:
    case FROM_JOIN:
    case FROM_GROUP:
        break;
    }
    return ERR_BUG;
}

enum err_code expr_value(struct run *r, const struct expr *e, struct value *v)
{
    enum err_code rc = ERR_OK;
    switch (e->origin) {
    case FROM_CONSTANT:
        *v = e->constant;
        return ERR_OK;
    case FROM_REQUEST:
        *v = r->request[e->index];
        break;
    case FROM_AUTH:
        *v = text_or_absent(r->in->auth_vars, e->index);
        break;
    case FROM_VAR:
        *v = text_or_absent(r->in->vars, e->index);
        break;
    case FROM_JOIN:
        *v = r->plan ? value_of(VALUE_TEXT, buf_slice(&r->plan->joined[e->index]))
                     : (struct value){.kind = VALUE_ABSENT};
        break;
    case FROM_GROUP:
        *v = r->group[e->index];
        break;
    case FROM_OP:
    case FROM_KEY:
    case FROM_FIELD:
    case FROM_INDEX:
    case FROM_TRACE:
    case FROM_UID:
    case FROM_FOUND:
        rc = record_value(r, e, v);
        break;
    }
    return rc || LIKELY(!e->filter_count)
               ? rc
               : filters_apply(r->filters, e->filters, e->filter_count, v);
}
