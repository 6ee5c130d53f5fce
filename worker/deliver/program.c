#include "worker/deliver/program.h"

#include <stdlib.h>

#include "protocol/base/arena.h"
#include "protocol/base/json.h"

enum {
    PROGRAM_BYTES_MAX = 16 << 20,
    DEPTH_MAX = 32,
    RECORD_FIXED_BYTES = 64, /* {"op":"upsert","key":{},"fields":{}} and room */
    NULL_BYTES = 4,
};

enum step_kind { STEP_VALUE, STEP_OPEN, STEP_CLOSE };

/* A step writes text without its leading comma where nothing stands before it in its object. */
struct step {
    enum step_kind kind;
    uint32_t field;
    struct slice text; /* VALUE: ,"name": OPEN: ,"name":{ CLOSE: } */
    bool in_key;       /* VALUE: the field is part of the record's key */
};

struct program {
    struct arena arena;
    struct step *steps;
    size_t step_count;
    struct slice *key_texts; /* ,"name": */
    size_t key_count;
    size_t field_count;
    size_t text_bytes; /* of all steps and keys together */
};

/* ---- compiling ---- */

struct compiler {
    struct program *program;
    const struct batch_head *head;
    struct buf text;
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

/* The index of the first field that begins with the same levels as field i. */
static size_t first_alike(const struct batch_head *head, size_t i, size_t levels)
{
    size_t k = 0;
    while (!same_start(&head->fields[k], &head->fields[i], levels))
        k++;
    return k;
}

static enum err_code name_text(struct compiler *c, struct slice name, bool open,
                               struct slice *ret_text)
{
    buf_reset(&c->text);
    if (buf_putc(&c->text, ',') || json_put_string(&c->text, name) ||
        buf_puts(&c->text, open ? ":{" : ":"))
        return ERR_NOMEM;
    char *copy = arena_str(&c->program->arena, buf_slice(&c->text));
    if (!copy)
        return ERR_NOMEM;
    *ret_text = slice_of(copy, c->text.len);
    c->program->text_bytes += c->text.len;
    return ERR_OK;
}

static bool is_key(const struct batch_head *head, const struct field_path *path)
{
    for (size_t i = 0; i < head->key_count; i++)
        if (path->count == 1 && slice_eq(head->key_names[i], path->names[0]))
            return true;
    return false;
}

static enum err_code add_step(struct compiler *c, enum step_kind kind, size_t field, size_t level)
{
    struct program *p = c->program;
    struct step *s = &p->steps[p->step_count++];
    *s = (struct step){.kind = kind, .field = (uint32_t)field, .text = SLICE_LIT("}")};
    if (kind == STEP_CLOSE) {
        p->text_bytes++;
        return ERR_OK;
    }
    s->in_key = is_key(c->head, &c->head->fields[field]);
    return name_text(c, c->head->fields[field].names[level], kind == STEP_OPEN, &s->text);
}

static enum err_code given_twice(struct slice name, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "field %.*s is given twice, or once as a value and once as an object",
                   (int)name.n, name.p);
}

/* The fields that begin like field `like` as far as `level` names: one JSON object. */
static enum err_code compile_object(struct compiler *c, size_t like, size_t level, struct err *err)
{
    const struct batch_head *head = c->head;
    if (level > DEPTH_MAX)
        return err_set(err, ERR_INVALID, "a field is nested deeper than %d levels", DEPTH_MAX);
    for (size_t i = like; i < head->field_count; i++) {
        const struct field_path *path = &head->fields[i];
        if (!same_start(path, &head->fields[like], level))
            continue;
        if (path->count == level)
            return given_twice(path->names[level - 1], err);
        size_t first = first_alike(head, i, level + 1);
        bool leaf = path->count == level + 1;
        if (first != i && (leaf || head->fields[first].count == level + 1))
            return given_twice(path->names[level], err);
        if (first != i)
            continue;
        if (add_step(c, leaf ? STEP_VALUE : STEP_OPEN, i, level))
            return err_set(err, ERR_NOMEM, "no memory for the fields of a batch");
        if (leaf)
            continue;
        enum err_code rc = compile_object(c, i, level + 1, err);
        if (!rc)
            rc = add_step(c, STEP_CLOSE, i, level);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static enum err_code compile(struct compiler *c, struct err *err)
{
    const struct batch_head *head = c->head;
    struct program *p = c->program;
    size_t steps = 1;
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].count == 0)
            return err_set(err, ERR_INVALID, "a field of the batch has no name");
        steps += 2 * head->fields[i].count;
    }
    p->steps = arena_alloc(&p->arena, steps * sizeof *p->steps);
    p->key_texts = arena_alloc(&p->arena, (head->key_count + 1) * sizeof *p->key_texts);
    if (!p->steps || !p->key_texts)
        return err_set(err, ERR_NOMEM, "no memory for the fields of a batch");
    p->key_count = head->key_count;
    p->field_count = head->field_count;
    for (size_t i = 0; i < head->key_count; i++)
        if (name_text(c, head->key_names[i], false, &p->key_texts[i]))
            return err_set(err, ERR_NOMEM, "no memory for the keys of a batch");
    return compile_object(c, 0, 0, err);
}

enum err_code program_new(const struct batch_head *head, struct program **ret_program,
                          struct err *err)
{
    struct program *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ERR_NOMEM, "no memory for a program");
    arena_init(&p->arena, PROGRAM_BYTES_MAX);
    struct compiler c = {.program = p, .head = head};
    buf_init(&c.text, PROGRAM_BYTES_MAX);
    enum err_code rc = compile(&c, err);
    buf_done(&c.text);
    if (rc)
        program_free(p);
    else
        *ret_program = p;
    return rc;
}

void program_free(struct program *p)
{
    if (!p)
        return;
    arena_done(&p->arena);
    free(p);
}

static enum err_code put_sized(struct buf *out, struct slice s)
{
    uint32_t n = (uint32_t)s.n;
    enum err_code rc = buf_put(out, &n, sizeof n);
    return rc ? rc : buf_put(out, s.p, s.n);
}

enum err_code program_key(struct buf *out, const struct batch_head *head)
{
    uint32_t counts[2] = {(uint32_t)head->key_count, (uint32_t)head->field_count};
    enum err_code rc = buf_put(out, counts, sizeof counts);
    for (size_t i = 0; !rc && i < head->key_count; i++)
        rc = put_sized(out, head->key_names[i]);
    for (size_t i = 0; !rc && i < head->field_count; i++) {
        uint32_t levels = (uint32_t)head->fields[i].count;
        rc = buf_put(out, &levels, sizeof levels);
        for (size_t k = 0; !rc && k < levels; k++)
            rc = put_sized(out, head->fields[i].names[k]);
    }
    return rc;
}

/* ---- running: the caller has reserved enough for the whole record ---- */

static inline char *put_slice(char *o, struct slice s)
{
    memcpy(o, s.p, s.n);
    return o + s.n;
}

static char *put_value(char *o, const struct value *v)
{
    switch (v->kind) {
    case VALUE_TEXT:
        return json_write_string(o, value_slice(*v));
    case VALUE_NUMBER:
    case VALUE_JSON:
        return put_slice(o, value_slice(*v));
    case VALUE_NULL:
        return put_slice(o, SLICE_LIT("null"));
    case VALUE_TRUE:
        return put_slice(o, SLICE_LIT("true"));
    case VALUE_FALSE:
        return put_slice(o, SLICE_LIT("false"));
    case VALUE_ABSENT:
    case VALUE_BAD:
        break;
    }
    return NULL;
}

/* No value ends in an open brace, so the byte before says whether a comma is due. */
static inline char *put_name(char *o, struct slice text)
{
    size_t skip = o[-1] == '{';
    return put_slice(o, slice_of(text.p + skip, text.n - skip));
}

static char *put_fields(const struct program *p, char *o, const struct record *r)
{
    static const struct value null_value = {.kind = VALUE_NULL};
    char *opened[DEPTH_MAX + 1];
    size_t depth = 0;
    bool clear = r->op == OP_CLEAR;
    for (const struct step *s = p->steps, *end = s + p->step_count; s < end && o; s++) {
        if (s->kind == STEP_OPEN) {
            opened[depth++] = o;
            o = put_name(o, s->text);
        } else if (s->kind == STEP_CLOSE) {
            /* An object none of whose fields is sent is not sent either. */
            depth--;
            o = o[-1] == '{' ? opened[depth] : put_slice(o, s->text);
        } else if (clear ? !s->in_key : r->fields[s->field].kind != VALUE_ABSENT) {
            o = put_value(put_name(o, s->text), clear ? &null_value : &r->fields[s->field]);
        }
    }
    return o;
}

static size_t value_bytes_max(const struct value *values, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += values[i].kind == VALUE_TEXT ? json_string_max(values[i].n) : values[i].n + 1;
    return bytes;
}

enum err_code program_put(const struct program *p, struct buf *out, const struct record *r)
{
    static const struct slice heads[] = {
        [OP_UPSERT] = SLICE_LIT("{\"op\":\"upsert\",\"key\":{"),
        [OP_INSERT] = SLICE_LIT("{\"op\":\"insert\",\"key\":{"),
        [OP_UPDATE] = SLICE_LIT("{\"op\":\"update\",\"key\":{"),
        [OP_DELETE] = SLICE_LIT("{\"op\":\"delete\",\"key\":{"),
        [OP_CLEAR] = SLICE_LIT("{\"op\":\"clear\",\"key\":{"),
        [OP_APPEND] = SLICE_LIT("{\"op\":\"append\",\"key\":{"),
    };
    if ((size_t)r->op >= ARRAY_LEN(heads))
        return ERR_INVALID;
    bool values = r->fields && r->op != OP_DELETE;
    size_t most = RECORD_FIXED_BYTES + p->text_bytes + NULL_BYTES * (p->step_count + p->key_count) +
                  value_bytes_max(r->keys, p->key_count) +
                  (values ? value_bytes_max(r->fields, p->field_count) : 0);
    enum err_code rc = buf_reserve(out, most);
    if (rc)
        return rc;
    char *o = put_slice(out->p + out->len, heads[r->op]);
    for (size_t i = 0; i < p->key_count && o; i++)
        o = put_value(put_name(o, p->key_texts[i]), &r->keys[i]);
    if (!o)
        return ERR_BUG;
    o = put_slice(o, SLICE_LIT("},\"fields\":{"));
    if (values || r->op == OP_CLEAR)
        o = put_fields(p, o, r);
    if (!o)
        return ERR_BUG;
    o = put_slice(o, SLICE_LIT("}}"));
    out->len = (size_t)(o - out->p);
    return ERR_OK;
}
