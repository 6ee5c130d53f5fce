/* Making a plan: the step's parts become programs, one behind the other. */
#include "worker/deliver/render_compile.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "worker/deliver/encode.h"

/* ---- the body ---- */

static enum err_code compile_form_member(struct compiler *c, const char *name,
                                         const struct template *text, const struct tree *json)
{
    uint32_t skip;
    bool may = false, never = false;
    enum err_code rc = json ? ERR_OK : emit_unless_null(c, text, &skip, &may, &never);
    if (rc || never)
        return rc;
    rc = emit(c, (struct ins){.code = CODE_BETWEEN, .text = SLICE_LIT("&")});
    if (!rc)
        rc = encode_url(&c->text, slice_str(name));
    if (!rc)
        rc = emit_texts(c, "=");
    if (!rc && json) {
        rc = emit(c, (struct ins){.code = CODE_FORM});
        if (!rc)
            rc = compile_tree(c, json, false);
        if (!rc)
            rc = emit(c, (struct ins){.code = CODE_FORMED});
    } else if (!rc) {
        rc = emit_template(c, text, FORM_QUERY);
    }
    return rc || !may ? rc : emit_land(c, skip);
}

static enum err_code compile_form(struct compiler *c, const struct step *s)
{
    const struct auth *auth = c->scope.context->auth;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < s->form_count; i++)
        rc = compile_form_member(c, s->form[i].name, &s->form[i].text, s->form[i].json);
    for (size_t i = 0; !rc && auth && i < auth->body_count; i++)
        rc = compile_form_member(c, auth->body[i].name, &auth->body[i].value, NULL);
    return rc;
}

static enum err_code compile_body(struct compiler *c)
{
    const struct step *s = c->scope.context->step;
    enum err_code rc = ERR_OK;
    c->plan->body = emit_here(c);
    switch (s->body) {
    case BODY_NONE:
        c->plan->body = NO_ENTRY;
        return ERR_OK;
    case BODY_JSON_TREE:
        rc = compile_tree(c, s->json, true);
        break;
    case BODY_NDJSON:
        rc = compile_lines(c, s->json);
        break;
    case BODY_FORM:
        rc = compile_form(c, s);
        break;
    case BODY_CSV:
        rc = compile_csv(c, &s->csv);
        break;
    case BODY_TEXT:
        rc = emit_template(c, &s->text, FORM_RAW);
        break;
    }
    return rc ? rc : emit_end(c);
}

/* ---- joins ---- */

/* The record is passed over where any of the placeholders is null. */
static enum err_code compile_skips(struct compiler *c, const struct template *t, uint32_t next)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < t->count; i++) {
        struct expr e;
        struct ins ins = {.code = CODE_IF_NULL, .a = next};
        rc = emit_piece(c, &t->pieces[i], &e);
        if (rc || (e.origin == FROM_CONSTANT && !expr_is_null(&e)))
            continue;
        rc = emit_expr(c, &e, &ins.b);
        if (!rc)
            rc = emit(c, ins);
    }
    return rc;
}

static enum err_code compile_joined(struct compiler *c, const struct piece *piece, uint32_t join)
{
    if (piece->kind == PIECE_TEXT)
        return emit_texts(c, piece->text);
    struct expr e;
    struct ins ins = {.code = CODE_JOINED, .b = join};
    enum err_code rc = emit_piece(c, piece, &e);
    if (!rc)
        rc = emit_expr(c, &e, &ins.a);
    return rc ? rc : emit(c, ins);
}

static enum err_code compile_join(struct compiler *c, uint32_t index)
{
    const struct join *join = &c->scope.context->step->joins[index];
    uint32_t next;
    struct ins between = {.code = CODE_BETWEEN, .text = slice_str(join->by ? join->by : "")};
    c->plan->joins[index] = emit_here(c);
    enum err_code rc = emit_loop(c, NULL, &next);
    if (!rc && join->skip_absent)
        rc = compile_skips(c, &join->each, next);
    if (!rc)
        rc = emit(c, between);
    for (size_t i = 0; !rc && i < join->each.count; i++)
        rc = compile_joined(c, &join->each.pieces[i], index);
    if (!rc)
        rc = emit_loop_end(c, next);
    return rc ? rc : emit_end(c);
}

static enum err_code compile_joins(struct compiler *c)
{
    struct render_plan *p = c->plan;
    size_t count = c->scope.context->step->join_count;
    p->joins = arena_alloc(&p->arena, (count + 1) * sizeof *p->joins);
    p->joined = arena_alloc(&p->arena, (count + 1) * sizeof *p->joined);
    if (!p->joins || !p->joined)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        buf_init(&p->joined[i], JOIN_BYTES_MAX);
    p->join_count = count;
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < count; i++)
        rc = compile_join(c, (uint32_t)i);
    return rc;
}

/* ---- signing ---- */

static enum err_code compile_signer(struct compiler *c)
{
    const struct auth *auth = c->scope.context->auth;
    struct signer *s = &c->plan->signer;
    if (!auth || !(auth->hmac.header || auth->hmac.query))
        return ERR_OK;
    const char *algorithm = auth->hmac.algorithm ? auth->hmac.algorithm : "sha256";
    s->hmac = &auth->hmac;
    s->digest = EVP_get_digestbyname(algorithm);
    if (!s->digest)
        return err_set(c->err, ERR_CONFIG, "connector %s: there is no digest %s to sign with",
                       c->scope.context->connector->name, algorithm);
    enum err_code rc = emit_program(c, &auth->hmac.secret, &s->secret);
    if (!rc && !auth->hmac.of_body)
        rc = emit_program(c, &auth->hmac.of, &s->of);
    return rc ? rc : emit_program(c, &auth->hmac.prefix, &s->prefix);
}

static enum err_code compile_sigv4(struct compiler *c)
{
    const struct auth *auth = c->scope.context->auth;
    if (!auth || !auth->sigv4.given)
        return ERR_OK;
    const struct template *const parts[] = {&auth->sigv4.service, &auth->sigv4.region,
                                            &auth->sigv4.key, &auth->sigv4.secret};
    enum err_code rc = ERR_OK;
    c->plan->signs_sigv4 = true;
    for (size_t i = 0; !rc && i < ARRAY_LEN(parts); i++)
        rc = emit_program(c, parts[i], &c->plan->sigv4[i]);
    return rc;
}

/* ---- what stands for the fields that a removal lacks ---- */

static void fill_values(struct value *values, size_t count, enum value_kind kind)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (struct value){.kind = kind};
}

static size_t key_index(struct compiler *c, const struct batch_head *head, size_t field)
{
    size_t k = 0;
    if (field_name(&c->scratch, &head->fields[field]))
        return head->key_count;
    while (k < head->key_count && !slice_eq(head->key_names[k], buf_slice(&c->scratch)))
        k++;
    return k;
}

static void mark_policies(struct render_plan *p, const struct batch_head *head)
{
    uint8_t bit = 0;
    memset(p->left_bits, LEFT_NEVER, p->field_count);
    for (size_t i = 0; head->policies && i < p->field_count && bit < POLICIES_LOOKED_UP_MAX; i++)
        if (head->policies[i] != POLICY_OVERWRITE)
            p->left_bits[i] = bit++;
}

static enum err_code make_stand_ins(struct compiler *c)
{
    struct render_plan *p = c->plan;
    const struct batch_head *head = c->scope.head;
    size_t n = p->field_count = head->field_count;
    struct value **arrays[] = {&p->masked, &p->none, &p->removed, &p->emptied, &p->cleared};
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++)
        if (!(*arrays[i] = arena_alloc(&p->arena, (n + 1) * sizeof **arrays[i])))
            return ERR_NOMEM;
    p->key_count = head->key_count;
    p->left_bits = arena_alloc(&p->arena, n + 1);
    p->key_fields = arena_alloc(&p->arena, (n + 1) * sizeof *p->key_fields);
    if (!p->left_bits || !p->key_fields)
        return ERR_NOMEM;
    fill_values(p->none, n, VALUE_ABSENT);
    fill_values(p->removed, n, VALUE_ABSENT);
    fill_values(p->emptied, n, VALUE_NULL);
    fill_values(p->cleared, n, VALUE_NULL);
    mark_policies(p, head);
    for (size_t i = 0; i < n; i++) {
        size_t k = key_index(c, head, i);
        if (k == head->key_count)
            continue;
        p->key_fields[p->key_field_count++] = (struct key_field){(uint32_t)i, (uint32_t)k};
        p->emptied[i].kind = VALUE_ABSENT;
    }
    return ERR_OK;
}

/* ---- the whole ---- */

static uint64_t body_max(const struct render_context *x)
{
    const struct object *o = x->object;
    uint64_t max = o ? o->max_bytes : 0;
    for (size_t i = 0; o && i < o->request_count; i++)
        for (size_t k = 0; k < o->requests[i].step_count; k++)
            if (&o->requests[i].steps[k] == x->step && o->requests[i].max_bytes)
                max = o->requests[i].max_bytes;
    return max && max < RENDERED_BODY_MAX ? max : RENDERED_BODY_MAX;
}

static bool is_packed(const struct render_context *x)
{
    const struct step *s = x->step;
    const char *option = s->gzip_option >= 0 ? x->options[s->gzip_option] : NULL;
    bool asked = option && *option && strcmp(option, "false") != 0;
    return s->body != BODY_NONE && (s->gzip || asked);
}

static const void *moved(struct compiler *c, const struct buf *b)
{
    void *copy = arena_alloc(&c->plan->arena, b->len + 1);
    if (copy && b->len)
        memcpy(copy, b->p, b->len);
    return copy;
}

static enum err_code compile(struct compiler *c)
{
    struct render_plan *p = c->plan;
    const struct object *o = c->scope.context->object;
    enum err_code rc = make_stand_ins(c);
    for (size_t i = 0; o && i < o->group_count; i++)
        group_compile(&c->scope, o->group_by[i], &p->group[i]);
    if (!rc)
        rc = compile_joins(c);
    if (!rc)
        rc = compile_body(c);
    if (!rc)
        rc = compile_url(c);
    if (!rc)
        rc = compile_headers(c);
    if (!rc)
        rc = compile_signer(c);
    if (!rc)
        rc = compile_sigv4(c);
    if (rc)
        return rc;
    p->code = moved(c, &c->code);
    p->exprs = moved(c, &c->exprs);
    p->by_op = moved(c, &c->by_op);
    p->admissions = moved(c, &c->admissions);
    return p->code && p->exprs && p->by_op && p->admissions ? ERR_OK : ERR_NOMEM;
}

static enum err_code check_head(const struct batch_head *head, struct err *err)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (!head->fields[i].count)
            return err_set(err, ERR_INVALID, "a field of the batch has no name");
    return ERR_OK;
}

/* "email,plan": the fields with a conflict policy, and newest_wins'. */
static enum err_code name_conflicts(struct compiler *c)
{
    const struct batch_head *head = c->scope.head;
    struct buf name CLEANUP(buf_done);
    buf_init(&name, PLAN_BYTES_MAX);
    enum err_code rc = ERR_OK;
    buf_reset(&c->scratch);
    for (size_t i = 0; !rc && i < head->field_count; i++) {
        bool policy = head->policies && head->policies[i] != POLICY_OVERWRITE;
        if (!policy && head->newest_field != (int32_t)i)
            continue;
        rc = field_name(&name, &head->fields[i]);
        if (!rc && c->scratch.len)
            rc = buf_putc(&c->scratch, ',');
        if (!rc)
            rc = buf_put(&c->scratch, name.p, name.len);
    }
    const char *text = rc ? NULL : arena_str(&c->plan->arena, buf_slice(&c->scratch));
    if (!rc && !text)
        rc = ERR_NOMEM;
    c->scope.conflicts = text ? slice_str(text) : (struct slice){0};
    buf_reset(&c->scratch);
    return rc;
}

static enum err_code compile_plan(struct render_plan *p, const struct batch_head *head,
                                  struct err *err)
{
    struct compiler c = {.plan = p, .err = err};
    struct buf *const bufs[] = {&c.text, &c.code, &c.exprs, &c.by_op, &c.admissions, &c.scratch};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_init(bufs[i], PLAN_BYTES_MAX);
    c.scope = (struct scope){.context = &p->context, .head = head, .filters = &p->filters};
    enum err_code rc = check_head(head, err);
    if (!rc)
        rc = name_conflicts(&c);
    if (!rc)
        rc = compile(&c);
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++) {
        if (bufs[i]->p)
            OPENSSL_cleanse(bufs[i]->p, bufs[i]->cap);
        buf_done(bufs[i]);
    }
    return rc;
}

enum err_code render_plan_new(const struct render_context *context, const struct batch_head *head,
                              struct render_plan **ret_plan, struct err *err)
{
    static const struct batch_head no_head = {.newest_field = -1};
    struct render_plan *p = calloc(1, sizeof *p);
    struct err own = {0};
    if (!p)
        return err_set(err, ERR_NOMEM, "no memory for a plan");
    p->context = *context;
    arena_init(&p->arena, PLAN_BYTES_MAX);
    filters_init(&p->filters);
    buf_init(&p->scratch, RENDERED_BODY_MAX);
    buf_init(&p->hashed, RENDERED_BODY_MAX);
    buf_init(&p->line, JOIN_BYTES_MAX * 4);
    p->body_max = body_max(context);
    p->packs = is_packed(context);
    enum err_code rc = compile_plan(p, head ? head : &no_head, &own);
    if (!rc && p->packs)
        rc = gzip_init(&p->gzip, &own);
    if (!rc) {
        *ret_plan = p;
        return ERR_OK;
    }
    render_plan_free(p);
    return own.code == rc
               ? err_set(err, rc, "%s", own.text)
               : err_set(err, rc, "no memory for a plan of connector %s", context->connector->name);
}

void render_plan_free(struct render_plan *p)
{
    if (!p)
        return;
    for (struct kept *k = p->kept, *next; k; k = next) {
        next = k->next;
        OPENSSL_cleanse(k->bytes, k->n);
        free(k);
    }
    for (size_t i = 0; i < p->join_count; i++)
        buf_done(&p->joined[i]);
    filters_done(&p->filters);
    gzip_done(&p->gzip);
    buf_done(&p->scratch);
    buf_done(&p->hashed);
    if (p->line.p)
        OPENSSL_cleanse(p->line.p, p->line.cap);
    buf_done(&p->line);
    arena_done(&p->arena);
    free(p);
}

/* ---- which plan serves which batch ---- */

static enum err_code put_sized(struct buf *out, struct slice s)
{
    uint32_t n = (uint32_t)s.n;
    enum err_code rc = buf_put(out, &n, sizeof n);
    return rc || !s.n ? rc : buf_put(out, s.p, s.n);
}

enum err_code render_plan_key(struct buf *out, const struct batch_head *head)
{
    uint32_t counts[3] = {(uint32_t)head->key_count, (uint32_t)head->field_count,
                          (uint32_t)head->newest_field};
    enum err_code rc = put_sized(out, head->sync);
    if (!rc)
        rc = buf_put(out, counts, sizeof counts);
    for (size_t i = 0; !rc && i < head->key_count; i++)
        rc = put_sized(out, head->key_names[i]);
    for (size_t i = 0; !rc && i < head->field_count; i++) {
        uint32_t levels = (uint32_t)head->fields[i].count;
        rc = buf_put(out, &levels, sizeof levels);
        for (size_t k = 0; !rc && k < levels; k++)
            rc = put_sized(out, head->fields[i].names[k]);
        if (!rc)
            rc = buf_putc(out, head->policies ? (char)head->policies[i] : POLICY_OVERWRITE);
    }
    return rc;
}
