/*
 * Runs a plan's instructions over a batch.
 *
 * Every record is read once per loop; what a removal lacks is filled from arrays that were made
 * with the plan, so that an instruction only ever looks at an index.
 */
#include "worker/deliver/render_parts.h"

#include "protocol/base/json.h"
#include "worker/deliver/encode.h"
#include "worker/deliver/json_check.h"

/* ---- records ---- */

static const struct value *without_left_out(struct render_plan *p, const struct value *fields,
                                            uint64_t left_out)
{
    for (size_t i = 0; i < p->field_count; i++) {
        bool out = p->left_bits[i] != LEFT_NEVER && left_out >> p->left_bits[i] & 1;
        p->masked[i] = out ? (struct value){.kind = VALUE_ABSENT} : fields[i];
    }
    return p->masked;
}

static void bind_record(struct run *r)
{
    struct render_plan *p = r->plan;
    r->fields = r->named = r->record.fields;
    if (UNLIKELY(!r->record.fields)) {
        bool clear = r->record.op == OP_CLEAR;
        struct value *named = clear ? p->cleared : p->removed;
        for (size_t i = 0; i < p->key_field_count; i++)
            named[p->key_fields[i].field] = r->record.keys[p->key_fields[i].key];
        r->fields = clear ? p->emptied : p->none;
        r->named = named;
    } else if (UNLIKELY(r->in->left_out && r->in->left_out[r->position])) {
        r->fields = r->named = without_left_out(p, r->record.fields, r->in->left_out[r->position]);
    }
}

static void collect(struct run *r)
{
    struct rendered *out = r->out;
    out->ordinals[r->position] = r->record.ordinal;
    out->ops[r->position] = r->record.op;
    out->keys[r->position] = r->plan->key_count ? text_of_value(&r->record.keys[0]) : SLICE_LIT("");
}

static enum err_code read_record(struct run *r, bool *ret_more)
{
    *ret_more = false;
    if (!r->reader)
        return ERR_OK;
    enum err_code rc = batch_reader_next(r->reader, &r->record, ret_more, r->err);
    if (rc)
        return rc;
    if (!*ret_more) {
        if (r->read != r->out->records)
            return err_set(r->err, ERR_INVALID, "a batch holds fewer records than it says");
        r->collected = true;
        return ERR_OK;
    }
    if (r->read == r->out->records)
        return err_set(r->err, ERR_INVALID, "a batch holds more records than it says");
    r->position = r->read++;
    r->at_record = true;
    if (!r->collected)
        collect(r);
    bind_record(r);
    return ERR_OK;
}

static void rewind_records(struct run *r)
{
    if (r->reader)
        batch_reader_rewind(r->reader);
    r->read = 0;
    r->index = UINT32_MAX;
}

enum err_code run_collect(struct run *r)
{
    bool more = true;
    enum err_code rc = ERR_OK;
    rewind_records(r);
    while (!rc && more)
        rc = read_record(r, &more);
    r->index = 0;
    return rc;
}

enum err_code run_group(struct run *r)
{
    const struct object *o = r->plan->context.object;
    bool more;
    rewind_records(r);
    enum err_code rc = read_record(r, &more);
    for (size_t i = 0; !rc && more && i < o->group_count; i++)
        rc = expr_value(r, &r->plan->group[i], &r->group[i]);
    rewind_records(r);
    r->at_record = false;
    return rc;
}

/* The answer may count within the array that this value chose. */
static enum err_code note_chosen(struct run *r, struct slice text)
{
    struct rendered *out = r->out;
    if (!out->chosen)
        out->chosen = arena_alloc(&out->arena, out->records * sizeof *out->chosen);
    if (!out->chosen)
        return err_set(r->err, ERR_NOMEM, "no memory for a request of %u records", out->records);
    out->chosen[r->position] = text;
    return ERR_OK;
}

static enum err_code admits(struct run *r, const struct admission *a, bool *ret_admitted)
{
    *ret_admitted = !a->ops || a->ops >> r->record.op & 1;
    if (!*ret_admitted || a->expr == NO_EXPR)
        return ERR_OK;
    struct value v;
    enum err_code rc = expr_value(r, &r->plan->exprs[a->expr], &v);
    struct slice text = text_of_value(&v);
    rc = rc ? rc : note_chosen(r, text);
    *ret_admitted = false;
    for (size_t i = 0; !rc && i < a->filter->in_count && !*ret_admitted; i++)
        *ret_admitted = slice_eq_str(text, a->filter->in[i]);
    return rc;
}

static enum err_code too_large(struct run *r)
{
    return err_set(r->err, ERR_FULL, "a request's body would pass %llu bytes",
                   (unsigned long long)r->plan->body_max);
}

static enum err_code next_admitted(struct run *r, uint32_t admission, const struct buf *out,
                                   bool *ret_more)
{
    const struct admission *a = &r->plan->admissions[admission];
    bool admitted = false;
    enum err_code rc = ERR_OK;
    if (UNLIKELY(out->len > r->plan->body_max))
        return too_large(r);
    do {
        rc = read_record(r, ret_more);
        if (!rc && *ret_more)
            rc = admits(r, a, &admitted);
    } while (!rc && *ret_more && !admitted);
    r->index++;
    if (!*ret_more) { /* outside of the loop, a request's only record still stands */
        r->at_record = r->plan->single;
        r->index = 0;
    }
    return rc;
}

/* ---- values ---- */

static enum err_code put_text_value(struct buf *out, const struct value *v)
{
    switch (v->kind) {
    case VALUE_TRUE:
        return buf_put(out, "\"true\"", 6);
    case VALUE_FALSE:
        return buf_put(out, "\"false\"", 7);
    case VALUE_NUMBER: {
        enum err_code rc = buf_reserve(out, v->n + 2U);
        if (rc)
            return rc;
        char *o = out->p + out->len;
        *o++ = '"';
        memcpy(o, v->p, v->n);
        o[v->n] = '"';
        out->len += v->n + 2U;
        return ERR_OK;
    }
    case VALUE_TEXT:
    case VALUE_JSON:
        return json_put_string(out, value_slice(*v));
    case VALUE_NULL:
    case VALUE_ABSENT:
    case VALUE_BAD:
        break;
    }
    return ERR_BUG;
}

static enum err_code put_value(struct buf *out, const struct ins *i, const struct value *v)
{
    if (v->kind == VALUE_NULL || v->kind == VALUE_ABSENT)
        return buf_put(out, i->null_text.p, i->null_text.n);
    return i->flags & FLAG_AS_TEXT ? put_text_value(out, v) : json_put_value(out, *v);
}

/* No value ends in an open brace or bracket, so the byte before says whether a comma is due. */
static inline bool after_opening(const struct buf *out)
{
    char last = out->p[out->len - 1];
    return last == '{' || last == '[';
}

static enum err_code put_name(struct buf *out, struct slice text)
{
    size_t skip = after_opening(out);
    enum err_code rc = buf_reserve(out, text.n);
    if (rc)
        return rc;
    memcpy(out->p + out->len, text.p + skip, text.n - skip);
    out->len += text.n - skip;
    return ERR_OK;
}

/* A clear says null even where nulls are otherwise left out: it would else do nothing. */
static inline bool is_left_out(const struct run *r, const struct ins *i, const struct value *v)
{
    return v->kind == VALUE_ABSENT ||
           (v->kind == VALUE_NULL && i->flags & FLAG_OMIT_NULL && r->record.op != OP_CLEAR);
}

static enum err_code put_field(struct run *r, const struct ins *i, struct buf *out)
{
    if (!r->at_record)
        return ERR_OK;
    const struct value *v = &r->fields[i->a];
    if (is_left_out(r, i, v))
        return ERR_OK;
    enum err_code rc = put_name(out, i->text);
    return rc ? rc : put_value(out, i, v);
}

static enum err_code open_object(struct run *r, const struct ins *i, struct buf *out)
{
    r->opened[r->depth++] = out->len;
    return put_name(out, i->text);
}

static enum err_code close_object(struct run *r, struct buf *out)
{
    r->depth--;
    if (out->p[out->len - 1] != '{')
        return buf_putc(out, '}');
    out->len = r->opened[r->depth];
    return ERR_OK;
}

static enum err_code put_cell(const struct ins *i, const struct value *v, struct buf *out)
{
    bool empty = v->kind == VALUE_TEXT && !v->n && i->flags & FLAG_EMPTY_AS_NULL;
    if (v->kind == VALUE_NULL || empty)
        return i->null_text.n ? buf_put(out, i->null_text.p, i->null_text.n) : ERR_OK;
    return encode_csv(out, text_of_value(v), (char)i->b);
}

/* A path that lost its last name would speak of everything instead of one record; "." and ".." are
 * taken away by whoever normalises the URL (RFC 3986 section 5.2.4). */
static enum err_code put_segment(struct run *r, const struct value *v, struct buf *out)
{
    struct slice text = text_of_value(v);
    if (!text.n || slice_eq_str(text, ".") || slice_eq_str(text, ".."))
        return err_set(r->err, ERR_REFUSED,
                       "the request's address needs a value that this record does not have");
    return encode_url(out, text);
}

/* What the list cannot carry would name other records. Its record is told apart from the others by
 * halving, and refused alone. */
static enum err_code check_joined(struct run *r, const struct join *join, struct slice text)
{
    for (size_t i = 0; join->refuse && i < text.n; i++)
        if (text.p[i] && strchr(join->refuse, text.p[i]))
            return err_set(r->err, batch_reader_count(r->reader) > 1 ? ERR_FULL : ERR_REFUSED,
                           "a value with `%c` cannot be named in the destination's list of values",
                           text.p[i]);
    return ERR_OK;
}

static enum err_code put_joined(struct run *r, const struct join *join, const struct value *v,
                                struct buf *out)
{
    struct slice text = text_of_value(v);
    enum err_code rc = check_joined(r, join, text);
    for (size_t at = 0; !rc && at < text.n;) {
        const struct param *hit = NULL;
        size_t n = 1;
        for (size_t k = 0; k < join->escape_count && !hit; k++) {
            size_t bytes = strlen(join->escapes[k].name);
            if (bytes && bytes <= text.n - at &&
                memcmp(text.p + at, join->escapes[k].name, bytes) == 0) {
                hit = &join->escapes[k];
                n = bytes;
            }
        }
        rc = hit ? buf_puts(out, hit->value) : buf_putc(out, text.p[at]);
        at += n;
    }
    return rc;
}

/* ---- JSON that a template embeds ---- */

static enum err_code end_embedded(struct run *r, struct buf *out)
{
    struct slice text = slice_of(out->p + r->embed, out->len - r->embed);
    struct buf *copy = &r->plan->scratch;
    if (!text.n)
        return buf_put(out, "null", 4);
    buf_reset(copy);
    enum err_code rc = buf_put(copy, text.p, text.n);
    if (rc)
        return rc;
    out->len = r->embed;
    /* Without white space, so that it is one line in NDJSON. What is no JSON becomes a string: the
     * body stays whole and the destination says what it thinks of the record. */
    return json_check(buf_slice(copy)) ? json_put_compact(out, buf_slice(copy))
                                       : json_put_string(out, buf_slice(copy));
}

static enum err_code end_form(struct run *r, struct buf *out)
{
    struct buf *copy = &r->plan->scratch;
    buf_reset(copy);
    if (out->len == r->form)
        return ERR_OK;
    enum err_code rc = buf_put(copy, out->p + r->form, out->len - r->form);
    out->len = r->form;
    return rc ? rc : encode_url(out, buf_slice(copy));
}

/* ---- the loop ---- */

static enum err_code put_expr(struct run *r, const struct ins *i, struct buf *out)
{
    struct value v;
    enum err_code rc = expr_value(r, &r->plan->exprs[i->a], &v);
    if (rc)
        return rc;
    switch (i->code) {
    case CODE_VALUE:
        return put_value(out, i, &v);
    case CODE_ESCAPED:
        return encode_json(out, text_of_value(&v));
    case CODE_ENCODED:
        return encode_url(out, text_of_value(&v));
    case CODE_SEGMENT:
        return put_segment(r, &v, out);
    case CODE_CELL:
        return put_cell(i, &v, out);
    case CODE_JOINED:
        return put_joined(r, &r->plan->context.step->joins[i->b], &v, out);
    default:
        return text_of_value(&v).n ? buf_put(out, text_of_value(&v).p, text_of_value(&v).n)
                                   : ERR_OK;
    }
}

/* Instructions that only write. */
static enum err_code write_one(struct run *r, const struct ins *i, struct buf *out)
{
    switch (i->code) {
    case CODE_TEXT:
        return buf_put(out, i->text.p, i->text.n);
    case CODE_COMMA:
        return after_opening(out) ? ERR_OK : buf_putc(out, ',');
    case CODE_FIELD:
        return put_field(r, i, out);
    case CODE_OPEN:
        return open_object(r, i, out);
    case CODE_CLOSE:
        return close_object(r, out);
    case CODE_BETWEEN:
        return out->len && i->text.n ? buf_put(out, i->text.p, i->text.n) : ERR_OK;
    case CODE_QUERY:
        return buf_putc(out, out->len && memchr(out->p, '?', out->len) ? '&' : '?');
    case CODE_EMBED:
        r->embed = out->len;
        return ERR_OK;
    case CODE_EMBEDDED:
        return end_embedded(r, out);
    case CODE_FORM:
        r->form = out->len;
        return ERR_OK;
    case CODE_FORMED:
        return end_form(r, out);
    default:
        return put_expr(r, i, out);
    }
}

static enum err_code is_null(struct run *r, uint32_t expr, bool *ret_null)
{
    struct value v;
    enum err_code rc = expr_value(r, &r->plan->exprs[expr], &v);
    *ret_null = v.kind == VALUE_NULL || v.kind == VALUE_ABSENT;
    return rc;
}

/* Instructions that go elsewhere: *pc is the next one. */
static enum err_code jump_one(struct run *r, const struct ins *i, const struct buf *out,
                              uint32_t *pc)
{
    bool flag = false;
    enum err_code rc = ERR_OK;
    switch (i->code) {
    case CODE_JUMP:
        *pc = i->a;
        return ERR_OK;
    case CODE_IF_NULL:
    case CODE_IF_SET:
        rc = is_null(r, i->b, &flag);
        *pc = flag == (i->code == CODE_IF_NULL) ? i->a : *pc + 1;
        return rc;
    case CODE_BY_OP:
        *pc = r->plan->by_op[i->a][r->record.op];
        return ERR_OK;
    case CODE_RECORDS:
        rewind_records(r);
        ++*pc;
        return ERR_OK;
    default:
        rc = next_admitted(r, i->b, out, &flag);
        *pc = flag ? *pc + 1 : i->a;
        return rc;
    }
}

enum err_code run_program(struct run *r, uint32_t entry, struct buf *out)
{
    enum err_code rc = ERR_OK;
    r->depth = 0;
    for (uint32_t pc = entry; !rc;) {
        const struct ins *i = &r->plan->code[pc];
        if (i->code == CODE_END)
            break;
        if (i->code >= CODE_JUMP) {
            rc = jump_one(r, i, out, &pc);
        } else {
            rc = write_one(r, i, out);
            pc++;
        }
    }
    return rc;
}

void run_init(struct run *r, struct filters *filters, const struct render_input *in,
              struct rendered *out, struct err *err)
{
    *r = (struct run){.in = in, .filters = filters, .out = out, .err = err};
}
