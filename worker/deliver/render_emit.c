/* Writing instructions: constant text is gathered and becomes one instruction, jumps are patched
 * when their target is known. */
#include "worker/deliver/render_compile.h"

#include <stdlib.h>

#include "protocol/base/json.h"
#include "worker/deliver/encode.h"

enum err_code emit_keep(struct compiler *c, struct slice s, struct slice *ret_kept)
{
    struct kept *k = malloc(sizeof *k + s.n + 1);
    if (!k)
        return ERR_NOMEM;
    k->next = c->plan->kept;
    k->n = s.n;
    if (s.n)
        memcpy(k->bytes, s.p, s.n);
    k->bytes[s.n] = '\0';
    c->plan->kept = k;
    *ret_kept = slice_of(k->bytes, s.n);
    return ERR_OK;
}

static enum err_code flush(struct compiler *c)
{
    if (!c->text.len)
        return ERR_OK;
    struct ins ins = {.code = CODE_TEXT};
    enum err_code rc = emit_keep(c, buf_slice(&c->text), &ins.text);
    buf_reset(&c->text);
    return rc ? rc : buf_put(&c->code, &ins, sizeof ins);
}

uint32_t emit_here(struct compiler *c)
{
    /* What cannot be flushed now cannot be flushed by the next emit either, which reports it. */
    if (flush(c))
        return NO_ENTRY;
    return (uint32_t)(c->code.len / sizeof(struct ins));
}

enum err_code emit(struct compiler *c, struct ins ins)
{
    enum err_code rc = flush(c);
    return rc ? rc : buf_put(&c->code, &ins, sizeof ins);
}

enum err_code emit_text(struct compiler *c, struct slice s)
{
    return s.n ? buf_put(&c->text, s.p, s.n) : ERR_OK;
}

enum err_code emit_texts(struct compiler *c, const char *s)
{
    return emit_text(c, slice_str(s));
}

enum err_code emit_json_string(struct compiler *c, struct slice s)
{
    return json_put_string(&c->text, s.p ? s : SLICE_LIT(""));
}

enum err_code emit_jump(struct compiler *c, enum code code, uint32_t expr, uint32_t *ret_at)
{
    enum err_code rc = flush(c);
    if (rc)
        return rc;
    *ret_at = emit_here(c);
    return emit(c, (struct ins){.code = (uint16_t)code, .b = expr});
}

enum err_code emit_land(struct compiler *c, uint32_t at)
{
    enum err_code rc = flush(c);
    if (rc)
        return rc;
    ((struct ins *)(void *)c->code.p)[at].a = emit_here(c);
    return ERR_OK;
}

enum err_code emit_expr(struct compiler *c, const struct expr *e, uint32_t *ret_index)
{
    struct expr kept = *e;
    *ret_index = (uint32_t)(c->exprs.len / sizeof kept);
    if (e->origin == FROM_CONSTANT && e->constant.n) {
        struct slice bytes;
        enum err_code rc = emit_keep(c, value_slice(e->constant), &bytes);
        if (rc)
            return rc;
        kept.constant = value_of(e->constant.kind, bytes);
    }
    return buf_put(&c->exprs, &kept, sizeof kept);
}

enum err_code emit_piece(struct compiler *c, const struct piece *piece, struct expr *ret_expr)
{
    enum err_code rc = expr_compile(&c->scope, piece, ret_expr);
    if (!rc && expr_of_record(ret_expr) && !c->in_loop)
        c->plan->single = true;
    c->plan->grouped = c->plan->grouped || (!rc && ret_expr->origin == FROM_GROUP);
    return rc;
}

/* ---- templates ---- */

/* How far into a URL the template is. */
struct url_place {
    bool begun; /* anything but a leading option, token or variable has been written */
    bool in_query;
};

static bool is_raw(const struct piece *piece)
{
    for (size_t i = 0; i < piece->filter_count; i++)
        if (piece->filters[i] == FILTER_RAW)
            return true;
    return false;
}

static enum code code_of(enum template_form form, const struct piece *piece, const struct expr *e,
                         const struct url_place *at)
{
    switch (form) {
    case FORM_RAW:
        return CODE_RAW;
    case FORM_JSON:
        return CODE_ESCAPED;
    case FORM_QUERY:
        return is_raw(piece) ? CODE_RAW : CODE_ENCODED;
    case FORM_URL:
        break;
    }
    if (is_raw(piece))
        return CODE_RAW;
    if (!at->begun &&
        (piece->kind == PIECE_OPTION || piece->kind == PIECE_AUTH || piece->kind == PIECE_VAR))
        return CODE_RAW;
    bool names = expr_of_record(e) || e->origin == FROM_GROUP;
    return names && !at->in_query ? CODE_SEGMENT : CODE_ENCODED;
}

static enum err_code put_constant(struct buf *out, enum code code, struct slice s)
{
    switch ((int)code) {
    case CODE_ESCAPED:
        return s.n ? encode_json(out, s) : ERR_OK;
    case CODE_ENCODED:
    case CODE_SEGMENT:
        return encode_url(out, s);
    default:
        return s.n ? buf_put(out, s.p, s.n) : ERR_OK;
    }
}

static enum err_code emit_one(struct compiler *c, const struct piece *piece,
                              enum template_form form, struct url_place *at)
{
    if (piece->kind == PIECE_TEXT && form == FORM_URL) {
        struct slice text = slice_str(piece->text);
        at->begun = at->begun || text.n;
        at->in_query = at->in_query || (text.n && memchr(text.p, '?', text.n));
        return encode_url_text(&c->text, text);
    }
    struct expr e;
    enum err_code rc = emit_piece(c, piece, &e);
    if (rc)
        return rc;
    enum code code = code_of(form, piece, &e, at);
    at->begun = at->begun || code != CODE_RAW;
    if (e.origin == FROM_CONSTANT)
        return put_constant(&c->text, code, text_of_value(&e.constant));
    struct ins ins = {.code = (uint16_t)code};
    rc = emit_expr(c, &e, &ins.a);
    return rc ? rc : emit(c, ins);
}

enum err_code emit_template(struct compiler *c, const struct template *t, enum template_form form)
{
    struct url_place at = {0};
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < t->count; i++)
        rc = emit_one(c, &t->pieces[i], form, &at);
    return rc;
}

/* ---- loops ---- */

static enum err_code emit_admission(struct compiler *c, const struct record_filter *only,
                                    uint32_t *ret_index)
{
    struct admission a = {.expr = NO_EXPR, .filter = only, .ops = only ? only->ops : 0};
    enum err_code rc = ERR_OK;
    if (only && only->field) {
        struct piece piece = {.kind = PIECE_FIELD, .text = only->field};
        struct expr e;
        rc = expr_compile(&c->scope, &piece, &e);
        if (!rc)
            rc = emit_expr(c, &e, &a.expr);
    }
    *ret_index = (uint32_t)(c->admissions.len / sizeof a);
    return rc ? rc : buf_put(&c->admissions, &a, sizeof a);
}

enum err_code emit_loop(struct compiler *c, const struct record_filter *only, uint32_t *ret_next)
{
    if (c->in_loop)
        return err_set(c->err, ERR_CONFIG, "$records stands within $records");
    uint32_t admission;
    enum err_code rc = emit(c, (struct ins){.code = CODE_RECORDS});
    if (!rc)
        rc = emit_admission(c, only, &admission);
    if (!rc)
        rc = emit_jump(c, CODE_NEXT, admission, ret_next);
    c->in_loop = true;
    return rc;
}

enum err_code emit_loop_end(struct compiler *c, uint32_t next)
{
    c->in_loop = false;
    enum err_code rc = emit(c, (struct ins){.code = CODE_JUMP, .a = next});
    return rc ? rc : emit_land(c, next);
}

/* ---- programs ---- */

enum err_code emit_end(struct compiler *c)
{
    return emit(c, (struct ins){.code = CODE_END});
}

enum err_code emit_program(struct compiler *c, const struct template *t, uint32_t *ret_entry)
{
    *ret_entry = emit_here(c);
    enum err_code rc = emit_template(c, t, FORM_RAW);
    return rc ? rc : emit_end(c);
}

enum err_code emit_unless_null(struct compiler *c, const struct template *t, uint32_t *ret_skip,
                               bool *ret_may, bool *ret_never)
{
    struct expr e;
    uint32_t index;
    *ret_may = *ret_never = false;
    if (t->count != 1)
        return ERR_OK;
    enum err_code rc = emit_piece(c, &t->pieces[0], &e);
    *ret_never = !rc && expr_is_null(&e);
    if (rc || e.origin == FROM_CONSTANT)
        return rc;
    *ret_may = true;
    rc = emit_expr(c, &e, &index);
    return rc ? rc : emit_jump(c, CODE_IF_NULL, index, ret_skip);
}
