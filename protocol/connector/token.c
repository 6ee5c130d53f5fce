/* How a token is got by a request of its own. */
#include "protocol/connector/parts.h"

static const char *const grant_words[] = {"refresh_token", "client_credentials", "jwt_bearer",
                                          "request", NULL};
static const char *const method_words[] = {"POST", "GET", "PUT", NULL};
static const char *const body_words[] = {"form", "json", NULL};
static const char *const jwt_words[] = {"RS256", NULL};

struct token_form {
    struct token_request t;
    int grant, method;
    const struct node *url, *headers, *form, *query, *json, *basic, *refresh, *capture, *jwt;
};

enum { MINUTE_MS = 60000, LIFETIME_MS = 30 * MINUTE_MS };

#define MEMBER(m) .offset = offsetof(struct token_form, m)
static const struct field fields[] = {
    {"grant", FIELD_WORD, MEMBER(grant), .words = grant_words, .required = true},
    {"method", FIELD_WORD, MEMBER(method), .words = method_words},
    {"url", FIELD_NODE, MEMBER(url), .required = true},
    {"headers", FIELD_NODE, MEMBER(headers)},
    {"form", FIELD_NODE, MEMBER(form)},
    {"query", FIELD_NODE, MEMBER(query)},
    {"json", FIELD_NODE, MEMBER(json)},
    {"basic", FIELD_NODE, MEMBER(basic)},
    {"refresh", FIELD_NODE, MEMBER(refresh)},
    {"rotates", FIELD_FLAG, MEMBER(t.rotates)},
    {"capture", FIELD_NODE, MEMBER(capture), .required = true},
    {"lifetime", FIELD_DURATION, MEMBER(t.lifetime_ms), .min = MINUTE_MS, .max = 366ull * 86400000},
    {"jwt", FIELD_NODE, MEMBER(jwt)},
};
static const struct form form = {"`token` map", fields, ARRAY_LEN(fields), false};

/* ---- what a grant sends where nothing is written ---- */

static const struct piece refresh_piece[] = {{.kind = PIECE_AUTH, .index = AUTH_REFRESH}};
static const struct piece assertion_piece[] = {{.kind = PIECE_AUTH, .index = AUTH_ASSERTION}};
#define TEXT_PIECE(name, words)                                                                    \
    static const struct piece name[] = {{.kind = PIECE_TEXT, .text = (words)}}
TEXT_PIECE(refresh_grant, "refresh_token");
TEXT_PIECE(client_grant, "client_credentials");
TEXT_PIECE(jwt_grant, "urn:ietf:params:oauth:grant-type:jwt-bearer"); /* RFC 7523 */
static const struct form_member refresh_form[] = {
    {.name = "grant_type", .text = {.pieces = refresh_grant, .count = 1}},
    {.name = "refresh_token", .text = {.pieces = refresh_piece, .count = 1}},
};
static const struct form_member client_form[] = {
    {.name = "grant_type", .text = {.pieces = client_grant, .count = 1}},
};
static const struct form_member jwt_form[] = {
    {.name = "grant_type", .text = {.pieces = jwt_grant, .count = 1}},
    {.name = "assertion", .text = {.pieces = assertion_piece, .count = 1}},
};

static void standard_form(enum grant grant, struct step *step)
{
    static const struct {
        const struct form_member *form;
        size_t count;
    } forms[] = {
        [GRANT_REFRESH] = {refresh_form, ARRAY_LEN(refresh_form)},
        [GRANT_CLIENT] = {client_form, ARRAY_LEN(client_form)},
        [GRANT_JWT] = {jwt_form, ARRAY_LEN(jwt_form)},
        [GRANT_REQUEST] = {NULL, 0},
    };
    if (!forms[grant].count)
        return;
    step->body = BODY_FORM;
    step->form = forms[grant].form;
    step->form_count = forms[grant].count;
}

/* ---- the request ---- */

static void read_request(struct scope *s, const struct node *map, const struct token_form *f,
                         struct step *step)
{
    (void)only_one_of(s->rd, map, body_words);
    if (f->url)
        (void)url_of(s, f->url, &step->url);
    if (f->headers)
        templates_of(s, f->headers, "headers", &step->headers, &step->header_count);
    if (f->query)
        templates_of(s, f->query, "query", &step->query, &step->query_count);
    if (f->form) {
        form_members_read(s, f->form, step);
    } else if (f->json) {
        step->body = BODY_JSON_TREE;
        step->json = tree_of(s, f->json);
    } else if (!f->query) {
        standard_form((enum grant)f->grant, step);
    }
}

static void read_capture(struct scope *s, const struct token_form *f, struct token_request *t)
{
    if (f->capture)
        captures_read(s, f->capture, &s->auth_vars, true, &t->captures, &t->capture_count);
    bool token = false, refresh = false;
    for (size_t i = 0; i < t->capture_count; i++) {
        token = token || t->captures[i].var == AUTH_TOKEN;
        refresh = refresh || t->captures[i].var == AUTH_REFRESH;
    }
    if (f->capture && f->capture->kind == NODE_MAP && !token && !node_get(f->capture, "token"))
        mistake(s->rd, f->capture->at, "`capture` has no `token`: add it, {json: /access_token}");
    if (t->rotates && f->capture && !refresh)
        mistake(s->rd, f->capture->at,
                "a token that rotates must be captured: add `refresh` to `capture`");
}

/* ---- JWT ---- */

static void read_jwt(struct scope *s, const struct node *node, struct token_request *t)
{
    struct jwt_form {
        const struct node *key, *headers, *claims;
        int algorithm;
        uint64_t expires_ms;
    } f = {.expires_ms = 5 * MINUTE_MS};
    static const struct field known[] = {
        {"algorithm", FIELD_WORD, .offset = offsetof(struct jwt_form, algorithm),
         .words = jwt_words},
        {"key", FIELD_NODE, .offset = offsetof(struct jwt_form, key), .required = true},
        {"headers", FIELD_NODE, .offset = offsetof(struct jwt_form, headers)},
        {"claims", FIELD_NODE, .offset = offsetof(struct jwt_form, claims), .required = true},
        {"expires", FIELD_DURATION, .offset = offsetof(struct jwt_form, expires_ms), .min = 1000,
         .max = 60 * MINUTE_MS},
    };
    static const struct form jwt = {"`jwt` map", known, ARRAY_LEN(known), false};
    struct entry of = {NULL, node->at, node};
    if (!form_read(s->rd, &jwt, &of, &f))
        return;
    t->jwt_algorithm = jwt_words[f.algorithm];
    t->jwt_ms = f.expires_ms;
    if (f.key)
        (void)template_of(s, f.key, "key", &t->jwt_key);
    if (f.headers)
        templates_of(s, f.headers, "headers", &t->jwt_headers, &t->jwt_header_count);
    if (f.claims)
        templates_of(s, f.claims, "claims", &t->jwt_claims, &t->jwt_claim_count);
}

static void check_grant(struct scope *s, const struct entry *of, const struct token_form *f)
{
    if (f->grant == GRANT_REFRESH && !f->refresh)
        mistake(s->rd, of->at,
                "a token by refresh_token needs `refresh`, the first refresh token: add it");
    if (f->grant == GRANT_JWT && !f->jwt)
        mistake(s->rd, of->at, "a token by jwt_bearer needs `jwt`: add it");
    if (f->jwt && f->grant != GRANT_JWT)
        mistake(s->rd, f->jwt->at, "`jwt` belongs to the grant jwt_bearer: remove one");
}

const struct token_request *token_read(struct scope *s, const struct entry *of)
{
    struct token_form f = {.t = {.lifetime_ms = LIFETIME_MS}};
    struct token_request *t = reader_alloc(s->rd, sizeof *t);
    if (!t || !form_read(s->rd, &form, of, &f))
        return NULL;
    for (int i = 0; i < AUTH_VARS_FIXED; i++)
        (void)names_add(&s->auth_vars,
                        (const char *const[]){"token", "expires", "refresh", "assertion"}[i]);
    *t = f.t;
    t->grant = (enum grant)f.grant;
    t->step = (struct step){.name = "token",
                            .method = method_words[f.method],
                            .group = 1,
                            .if_var = -1,
                            .unless_var = -1,
                            .if_option = -1,
                            .unless_option = -1,
                            .gzip_option = -1,
                            .answers = &default_rule_list,
                            .place = of->node->at};
    check_grant(s, of, &f);
    s->token = true;
    if (f.jwt)
        read_jwt(s, f.jwt, t);
    read_request(s, of->node, &f, &t->step);
    if (f.refresh)
        (void)template_of(s, f.refresh, "refresh", &t->refresh);
    if (f.basic)
        t->basic = basic_read(s, f.basic, &t->user, &t->password);
    s->token = false;
    read_capture(s, &f, t);
    return t;
}
