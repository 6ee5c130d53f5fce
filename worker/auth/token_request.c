/* The request that gets a token, and its answer. Reads: the connector's token request, the options,
 * the newest refresh token. Gives: a request without records; values and when they end. */
#include "worker/auth/token_private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "protocol/base/json.h"
#include "worker/auth/jwt.h"

enum { TEXT_MAX = 256 << 10 };

struct making {
    struct token *token;
    struct render_input in;
    struct rendered *out;
    struct buf text;
    struct err *err;
};

/* ---- the assertion ---- */

static enum err_code put_member(struct making *m, struct buf *json, const char *name,
                                struct slice value)
{
    enum err_code rc = buf_putc(json, json->len > 1 ? ',' : '{');
    if (!rc)
        rc = json_put_string(json, slice_str(name));
    if (!rc)
        rc = buf_putc(json, ':');
    if (!rc)
        rc = json_put_string(json, value);
    return rc ? err_set(m->err, rc, "no memory for a token request") : ERR_OK;
}

static enum err_code put_templates(struct making *m, struct buf *json,
                                   const struct named_template *list, size_t count)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < count; i++) {
        buf_reset(&m->text);
        rc = render_template(&m->token->context, &list[i].value, &m->in, false, &m->text, m->err);
        if (!rc)
            rc = put_member(m, json, list[i].name, buf_slice(&m->text));
    }
    return rc;
}

static enum err_code make_parts(struct making *m, struct buf *header, struct buf *claims)
{
    const struct token_request *q = m->token->request;
    enum err_code rc = put_member(m, header, "alg", SLICE_LIT("RS256"));
    if (!rc)
        rc = put_member(m, header, "typ", SLICE_LIT("JWT"));
    if (!rc)
        rc = put_templates(m, header, q->jwt_headers, q->jwt_header_count);
    if (!rc)
        rc = put_templates(m, claims, q->jwt_claims, q->jwt_claim_count);
    int64_t now_s = m->in.now_ms / 1000;
    if (!rc && (buf_putc(header, '}') ||
                buf_printf(claims, "%s\"iat\":%lld,\"exp\":%lld}", claims->len ? "," : "{",
                           (long long)now_s, (long long)(now_s + (int64_t)(q->jwt_ms / 1000)))))
        rc = err_set(m->err, ERR_NOMEM, "no memory for a token request");
    return rc;
}

static enum err_code make_assertion(struct making *m)
{
    struct token *t = m->token;
    struct buf header CLEANUP(buf_done), claims CLEANUP(buf_done), whole CLEANUP(buf_done);
    buf_init(&header, TEXT_MAX);
    buf_init(&claims, TEXT_MAX);
    buf_init(&whole, TEXT_MAX);
    enum err_code rc = make_parts(m, &header, &claims);
    buf_reset(&m->text);
    if (!rc)
        rc = render_template(&t->context, &t->request->jwt_key, &m->in, false, &m->text, m->err);
    const char *key = rc ? NULL : buf_cstr(&m->text);
    if (!rc && !key)
        rc = err_set(m->err, ERR_NOMEM, "no memory for a token request");
    if (!rc)
        rc = jwt_put_rs256(&whole, buf_slice(&header), buf_slice(&claims), key, m->err);
    if (m->text.cap)
        OPENSSL_cleanse(m->text.p, m->text.cap);
    if (rc)
        return rc;
    struct slice *fresh =
        arena_alloc(&m->out->arena, t->value_count * sizeof *fresh); /* zeroed: all stay */
    if (!fresh)
        return err_set(m->err, ERR_NOMEM, "no memory for a token request");
    fresh[AUTH_ASSERTION] = buf_slice(&whole);
    rc = token_set(t, fresh);
    m->in.auth_vars = t->values;
    return rc ? err_set(m->err, rc, "no memory for a token request") : ERR_OK;
}

/* ---- address, headers, body ---- */

static enum err_code render_text(struct making *m, const struct template *t, bool encode)
{
    return render_template(&m->token->context, t, &m->in, encode, &m->text, m->err);
}

static enum err_code no_memory(struct making *m, enum err_code rc)
{
    return rc ? err_set(m->err, rc, "no memory for a token request") : ERR_OK;
}

static enum err_code put_pairs(struct making *m, const struct named_template *list, size_t count,
                               char first)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < count; i++) {
        rc = i || first ? no_memory(m, buf_putc(&m->text, i ? '&' : first)) : ERR_OK;
        if (!rc)
            rc = no_memory(m, buf_printf(&m->text, "%s=", list[i].name));
        if (!rc)
            rc = render_text(m, &list[i].value, true);
    }
    return rc;
}

static enum err_code make_url(struct making *m)
{
    const struct step *s = &m->token->request->step;
    buf_reset(&m->text);
    enum err_code rc = render_text(m, &s->url, false);
    if (!rc)
        rc = put_pairs(m, s->query, s->query_count,
                       m->text.len && memchr(m->text.p, '?', m->text.len) ? '&' : '?');
    if (rc)
        return rc;
    m->out->url = arena_str(&m->out->arena, buf_slice(&m->text));
    return no_memory(m, m->out->url ? ERR_OK : ERR_NOMEM);
}

static bool is_clean(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7F)
            return false;
    return true;
}

static enum err_code add_line(struct making *m, const char *name)
{
    if (!is_clean(buf_slice(&m->text)))
        return err_set(m->err, ERR_CONFIG,
                       "the header %s of a token request has a value that HTTP does not allow",
                       name);
    struct slice value = buf_slice(&m->text);
    size_t n = strlen(name);
    char *line = arena_alloc(&m->out->arena, n + value.n + 3);
    if (!line)
        return no_memory(m, ERR_NOMEM);
    memcpy(line, name, n);
    memcpy(line + n, ": ", 2);
    memcpy(line + n + 2, value.p ? value.p : "", value.n);
    m->out->headers[m->out->header_count++] = line;
    return ERR_OK;
}

static enum err_code add_basic(struct making *m)
{
    const struct token_request *q = m->token->request;
    struct buf pair CLEANUP(buf_done);
    buf_init(&pair, TEXT_MAX);
    enum err_code rc = render_template(&m->token->context, &q->user, &m->in, false, &pair, m->err);
    if (!rc)
        rc = no_memory(m, buf_putc(&pair, ':'));
    if (!rc)
        rc = render_template(&m->token->context, &q->password, &m->in, false, &pair, m->err);
    buf_reset(&m->text);
    if (!rc)
        rc = no_memory(m, buf_puts(&m->text, "Basic "));
    if (!rc)
        rc = no_memory(m, buf_reserve(&m->text, pair.len * 4 / 3 + 8));
    if (rc)
        return rc;
    m->text.len += (size_t)EVP_EncodeBlock((unsigned char *)m->text.p + m->text.len,
                                           (const unsigned char *)pair.p, (int)pair.len);
    OPENSSL_cleanse(pair.p, pair.cap);
    return add_line(m, "Authorization");
}

static enum err_code make_headers(struct making *m)
{
    const struct token_request *q = m->token->request;
    const struct step *s = &q->step;
    m->out->headers = arena_alloc(&m->out->arena, (s->header_count + 3) * sizeof(const char *));
    if (!m->out->headers)
        return no_memory(m, ERR_NOMEM);
    enum err_code rc = ERR_OK;
    bool typed = false;
    for (size_t i = 0; !rc && i < s->header_count; i++) {
        buf_reset(&m->text);
        rc = render_text(m, &s->headers[i].value, false);
        if (!rc)
            rc = add_line(m, s->headers[i].name);
        typed |= strcasecmp(s->headers[i].name, "Content-Type") == 0;
    }
    if (!rc && q->basic)
        rc = add_basic(m);
    if (rc || typed || s->body == BODY_NONE)
        return rc;
    buf_reset(&m->text);
    rc = no_memory(m, buf_puts(&m->text, s->body == BODY_FORM ? "application/x-www-form-urlencoded"
                                                              : "application/json"));
    return rc ? rc : add_line(m, "Content-Type");
}

/* A JSON body of texts: what token requests have. */
static enum err_code put_tree(struct making *m, const struct tree *tree)
{
    struct buf *out = &m->out->text;
    enum err_code rc = ERR_OK;
    if (tree->kind == TREE_LITERAL)
        return no_memory(m, buf_puts(out, tree->literal));
    if (tree->kind == TREE_VALUE) {
        buf_reset(&m->text);
        rc = render_text(m, &tree->text, false);
        return rc ? rc : no_memory(m, json_put_string(out, buf_slice(&m->text)));
    }
    if (tree->kind != TREE_OBJECT)
        return err_set(m->err, ERR_CONFIG, "a token request's JSON may hold texts and maps only");
    rc = no_memory(m, buf_putc(out, '{'));
    for (size_t i = 0; !rc && i < tree->count; i++) {
        buf_reset(&m->text);
        rc = render_text(m, &tree->members[i].name, false);
        if (!rc && i)
            rc = no_memory(m, buf_putc(out, ','));
        if (!rc)
            rc = no_memory(m, json_put_string(out, buf_slice(&m->text)));
        if (!rc)
            rc = no_memory(m, buf_putc(out, ':'));
        if (!rc)
            rc = put_tree(m, tree->members[i].value);
    }
    return rc ? rc : no_memory(m, buf_putc(out, '}'));
}

/* Members of a form are the step's; the texts of a token request's form are templates. */
static enum err_code make_form(struct making *m)
{
    const struct step *s = &m->token->request->step;
    enum err_code rc = ERR_OK;
    buf_reset(&m->text);
    for (size_t i = 0; !rc && i < s->form_count; i++) {
        rc = no_memory(m, buf_printf(&m->text, "%s%s=", i ? "&" : "", s->form[i].name));
        if (!rc)
            rc = render_text(m, &s->form[i].text, true);
    }
    return rc ? rc : no_memory(m, buf_put(&m->out->text, m->text.p, m->text.len));
}

static enum err_code make_body(struct making *m)
{
    const struct step *s = &m->token->request->step;
    enum err_code rc = ERR_OK;
    if (s->body == BODY_FORM)
        rc = make_form(m);
    else if (s->body == BODY_JSON_TREE)
        rc = put_tree(m, s->json);
    m->out->body = buf_slice(&m->out->text);
    return rc;
}

enum err_code token_render(struct token *t, const struct delivery *d, struct rendered *out,
                           struct err *err)
{
    rendered_reset(out);
    struct making m = {.token = t, .out = out, .err = err};
    m.in = (struct render_input){.delivery = d, .auth_vars = t->values, .now_ms = d->now_ms};
    buf_init(&m.text, TEXT_MAX);
    out->method = t->request->step.method;
    enum err_code rc = t->request->grant == GRANT_JWT ? make_assertion(&m) : ERR_OK;
    if (!rc)
        rc = make_url(&m);
    if (!rc)
        rc = make_headers(&m);
    if (!rc)
        rc = make_body(&m);
    if (m.text.cap)
        OPENSSL_cleanse(m.text.p, m.text.cap);
    buf_done(&m.text);
    return rc;
}
