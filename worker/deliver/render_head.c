/* A request's url and headers: most headers never change and are made with the plan. */
#include "worker/deliver/render_compile.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "worker/deliver/encode.h"

enum { HEADERS_FIXED = 4 }; /* Content-Type, Authorization, Idempotency key, Content-Encoding */

/* ---- compiling ---- */

static enum err_code compile_query(struct compiler *c, const struct named_template *q)
{
    uint32_t skip;
    bool may, never;
    enum err_code rc = emit_unless_null(c, &q->value, &skip, &may, &never);
    if (rc || never)
        return rc;
    rc = emit(c, (struct ins){.code = CODE_QUERY});
    if (!rc)
        rc = encode_url(&c->text, slice_str(q->name));
    if (!rc)
        rc = emit_texts(c, "=");
    if (!rc)
        rc = emit_template(c, &q->value, FORM_QUERY);
    return rc || !may ? rc : emit_land(c, skip);
}

enum err_code compile_url(struct compiler *c)
{
    const struct render_context *x = c->scope.context;
    c->plan->url = emit_here(c);
    enum err_code rc = emit_template(c, &x->step->url, FORM_URL);
    for (size_t i = 0; !rc && i < x->step->query_count; i++)
        rc = compile_query(c, &x->step->query[i]);
    for (size_t i = 0; !rc && x->auth && i < x->auth->query_count; i++)
        rc = compile_query(c, &x->auth->query[i]);
    return rc ? rc : emit_end(c);
}

static bool is_clean(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7F)
            return false;
    return true;
}

static enum err_code bad_header(const struct render_context *x, const char *name, struct err *err)
{
    bool readable = is_clean(slice_str(name)) && *name;
    return err_set(err, ERR_CONFIG,
                   "destination %s: header %s has a name or value that HTTP does not allow",
                   x->destination->name, readable ? name : "(unreadable)");
}

static bool is_configured(const struct destination *d, const char *name)
{
    for (size_t i = 0; i < d->header_count; i++)
        if (strcasecmp(d->headers[i].name, name) == 0)
            return true;
    return false;
}

static bool is_among(const struct named_template *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(headers[i].name, name) == 0)
            return true;
    return false;
}

/* "Name: value"; libcurl's form for a header without a value ends in a semicolon. */
static enum err_code put_line(struct buf *b, const char *name, struct slice value)
{
    buf_reset(b);
    enum err_code rc = buf_puts(b, name);
    if (!rc)
        rc = buf_puts(b, value.n ? ": " : ";");
    return rc || !value.n ? rc : buf_put(b, value.p, value.n);
}

static enum err_code add_constant(struct compiler *c, const char *name, struct slice value)
{
    struct slice line;
    if (!*name || strpbrk(name, ": ") || !is_clean(slice_str(name)) || !is_clean(value))
        return bad_header(c->scope.context, name, c->err);
    enum err_code rc = put_line(&c->scratch, name, value);
    if (!rc)
        rc = emit_keep(c, buf_slice(&c->scratch), &line);
    if (!rc)
        c->plan->headers[c->plan->header_count++] =
            (struct header_plan){.name = name, .line = line.p};
    return rc;
}

static enum err_code add_template(struct compiler *c, const char *name, const struct template *t)
{
    struct header_plan h = {.name = name, .only_if = NO_EXPR, .entry = emit_here(c)};
    struct expr e;
    if (is_configured(c->scope.context->destination, name))
        return ERR_OK;
    enum err_code rc = t->count == 1 ? emit_piece(c, &t->pieces[0], &e) : ERR_OK;
    if (!rc && t->count == 1 && expr_is_null(&e))
        return ERR_OK;
    if (!rc && t->count == 1 && e.origin != FROM_CONSTANT)
        rc = emit_expr(c, &e, &h.only_if);
    size_t before = c->code.len;
    if (!rc)
        rc = emit_template(c, t, FORM_RAW);
    if (!rc && c->code.len == before) {
        rc = add_constant(c, name, buf_slice(&c->text));
        buf_reset(&c->text);
        return rc;
    }
    if (!*name || strpbrk(name, ": ") || !is_clean(slice_str(name)))
        return bad_header(c->scope.context, name, c->err);
    c->plan->headers[c->plan->header_count++] = h;
    return rc ? rc : emit_end(c);
}

static enum err_code add_templates(struct compiler *c, const struct named_template *headers,
                                   size_t count)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < count; i++)
        rc = add_template(c, headers[i].name, &headers[i].value);
    return rc;
}

static enum err_code add_basic(struct compiler *c, const struct auth *auth)
{
    struct header_plan h = {
        .name = "Authorization", .only_if = NO_EXPR, .entry = emit_here(c), .basic = true};
    if (!auth || !auth->basic || is_configured(c->scope.context->destination, h.name))
        return ERR_OK;
    enum err_code rc = emit_template(c, &auth->user, FORM_RAW);
    if (!rc)
        rc = emit_texts(c, ":");
    if (!rc)
        rc = emit_template(c, &auth->password, FORM_RAW);
    c->plan->headers[c->plan->header_count++] = h;
    return rc ? rc : emit_end(c);
}

static enum err_code add_content_type(struct compiler *c)
{
    static const char *const types[] = {
        [BODY_NONE] = NULL,
        [BODY_JSON_TREE] = "application/json",
        [BODY_NDJSON] = "application/x-ndjson",
        [BODY_FORM] = "application/x-www-form-urlencoded",
        [BODY_CSV] = "text/csv",
        [BODY_TEXT] = "text/plain",
    };
    static const char name[] = "Content-Type";
    const struct render_context *x = c->scope.context;
    const char *type = types[x->step->body];
    if (!type || is_configured(x->destination, name) ||
        is_among(x->step->headers, x->step->header_count, name) ||
        (x->auth && is_among(x->auth->headers, x->auth->header_count, name)))
        return ERR_OK;
    return add_constant(c, name, slice_str(type));
}

enum err_code compile_headers(struct compiler *c)
{
    static const struct piece part = {.kind = PIECE_PART};
    static const struct template idempotency = {.pieces = &part, .count = 1};
    const struct render_context *x = c->scope.context;
    const struct destination *d = x->destination;
    const struct step *s = x->step;
    size_t most =
        HEADERS_FIXED + s->header_count + d->header_count + (x->auth ? x->auth->header_count : 0);
    c->plan->headers = arena_alloc(&c->plan->arena, most * sizeof *c->plan->headers);
    if (!c->plan->headers)
        return ERR_NOMEM;
    enum err_code rc = add_content_type(c);
    if (!rc)
        rc = add_templates(c, s->headers, s->header_count);
    if (!rc && x->auth)
        rc = add_templates(c, x->auth->headers, x->auth->header_count);
    if (!rc)
        rc = add_basic(c, x->auth);
    for (size_t i = 0; !rc && i < d->header_count; i++)
        rc = add_constant(c, d->headers[i].name, slice_str(d->headers[i].value));
    if (!rc && c->plan->packs)
        rc = add_constant(c, "Content-Encoding", SLICE_LIT("gzip"));
    return rc || !s->idempotency ? rc : add_template(c, s->idempotency, &idempotency);
}

/* ---- running ---- */

static enum err_code run_text(struct run *r, uint32_t entry, const char **ret_text)
{
    buf_reset(&r->plan->line);
    enum err_code rc = run_program(r, entry, &r->plan->line);
    if (rc)
        return rc;
    *ret_text = arena_str(&r->out->arena, buf_slice(&r->plan->line));
    return *ret_text ? ERR_OK : ERR_NOMEM;
}

static enum err_code put_header(struct run *r, const char *name, struct slice value)
{
    struct slice start = slice_str(name);
    if (!is_clean(value))
        return bad_header(&r->plan->context, name, r->err);
    char *line = arena_alloc(&r->out->arena, start.n + value.n + 3);
    if (!line)
        return ERR_NOMEM;
    memcpy(line, start.p, start.n);
    memcpy(line + start.n, value.n ? ": " : ";", value.n ? 2 : 1);
    if (value.n)
        memcpy(line + start.n + 2, value.p, value.n);
    r->out->headers[r->out->header_count++] = line;
    return ERR_OK;
}

static enum err_code run_basic(struct run *r, const struct header_plan *h)
{
    struct buf *plain = &r->plan->line, *header = &r->plan->scratch;
    buf_reset(plain);
    buf_reset(header);
    enum err_code rc = run_program(r, h->entry, plain);
    if (!rc)
        rc = buf_puts(header, "Basic ");
    if (!rc)
        rc = encode_base64(header, buf_slice(plain));
    if (!rc)
        rc = put_header(r, h->name, buf_slice(header));
    if (header->p)
        OPENSSL_cleanse(header->p, header->len);
    return rc;
}

static enum err_code run_header(struct run *r, const struct header_plan *h)
{
    struct value v = {.kind = VALUE_TEXT};
    if (h->line) {
        r->out->headers[r->out->header_count++] = h->line;
        return ERR_OK;
    }
    if (h->basic)
        return run_basic(r, h);
    enum err_code rc =
        h->only_if == NO_EXPR ? ERR_OK : expr_value(r, &r->plan->exprs[h->only_if], &v);
    if (rc || v.kind == VALUE_NULL || v.kind == VALUE_ABSENT)
        return rc;
    buf_reset(&r->plan->line);
    rc = run_program(r, h->entry, &r->plan->line);
    return rc ? rc : put_header(r, h->name, buf_slice(&r->plan->line));
}

/* ---- signing ---- */

static enum err_code make_mac(struct run *r, unsigned char *mac, unsigned *ret_n)
{
    const struct signer *s = &r->plan->signer;
    const char *secret = NULL, *of = NULL;
    struct slice text = buf_slice(&r->out->text);
    enum err_code rc = run_text(r, s->secret, &secret);
    if (!rc && !s->hmac->of_body) {
        rc = run_text(r, s->of, &of);
        text = slice_str(of);
    }
    if (rc)
        return rc;
    const void *bytes = text.n ? text.p : "";
    bool done = HMAC(s->digest, secret, (int)strlen(secret), bytes, text.n, mac, ret_n);
    OPENSSL_cleanse((char *)(uintptr_t)secret, strlen(secret));
    return done ? ERR_OK : err_set(r->err, ERR_BUG, "a request could not be signed");
}

static enum err_code put_signature_query(struct run *r, const char *name, struct slice value)
{
    struct buf *url = &r->plan->line;
    buf_reset(url);
    enum err_code rc = buf_puts(url, r->out->url);
    if (!rc)
        rc = buf_putc(url, strchr(r->out->url, '?') ? '&' : '?');
    if (!rc)
        rc = encode_url(url, slice_str(name));
    if (!rc)
        rc = buf_putc(url, '=');
    if (!rc)
        rc = encode_url(url, value);
    r->out->url = rc ? NULL : arena_str(&r->out->arena, buf_slice(url));
    return rc || r->out->url ? rc : ERR_NOMEM;
}

static enum err_code run_signer(struct run *r)
{
    const struct signer *s = &r->plan->signer;
    struct buf *value = &r->plan->scratch;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!s->hmac)
        return ERR_OK;
    enum err_code rc = make_mac(r, mac, &n);
    buf_reset(value);
    if (!rc)
        rc = run_program(r, s->prefix, value);
    if (!rc)
        rc = s->hmac->encoding == HMAC_BASE64 ? encode_base64(value, slice_of(mac, n))
                                              : encode_hex(value, slice_of(mac, n));
    if (rc)
        return rc;
    return s->hmac->query ? put_signature_query(r, s->hmac->query, buf_slice(value))
                          : put_header(r, s->hmac->header, buf_slice(value));
}

static enum err_code run_sigv4(struct run *r)
{
    const char **const parts[] = {&r->out->sigv4.service, &r->out->sigv4.region, &r->out->sigv4.key,
                                  &r->out->sigv4.secret};
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && r->plan->signs_sigv4 && i < ARRAY_LEN(parts); i++)
        rc = run_text(r, r->plan->sigv4[i], parts[i]);
    return rc;
}

static enum err_code check_url(struct run *r)
{
    const char *p = r->out->url;
    while ((unsigned char)*p > ' ' && *p != 0x7F)
        p++;
    if (*p || p == r->out->url)
        return err_set(r->err, ERR_CONFIG, "destination %s: the request's address %s",
                       r->plan->context.destination->name,
                       *p ? "holds a character that no URL may hold" : "is empty");
    return ERR_OK;
}

enum err_code run_head(struct run *r)
{
    struct rendered *out = r->out;
    out->headers = arena_alloc(&out->arena, (r->plan->header_count + 1) * sizeof *out->headers);
    if (!out->headers)
        return ERR_NOMEM;
    enum err_code rc = run_text(r, r->plan->url, &out->url);
    if (!rc)
        rc = check_url(r);
    for (size_t i = 0; !rc && i < r->plan->header_count; i++)
        rc = run_header(r, &r->plan->headers[i]);
    if (!rc)
        rc = run_signer(r);
    return rc ? rc : run_sigv4(r);
}
