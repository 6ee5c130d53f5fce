/* `settings.tokens`: who may use the API, and as what. Only digests are kept; tokens are seen by
 * nobody but their owners. */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"

#include <stddef.h>

enum { TOKENS_MAX = 200 };

struct token_form {
    const char *name;
    const char *sha256;
    int role;
};

static const char *const roles[] = {
    [ROLE_VIEWER] = "viewer", [ROLE_OPERATOR] = "operator", [ROLE_ADMIN] = "admin", NULL};

#define MEMBER(m) .offset = offsetof(struct token_form, m)
static const struct field fields[] = {
    {"name", FIELD_TEXT, MEMBER(name), .required = true},
    {"role", FIELD_WORD, MEMBER(role), .required = true, .words = roles},
    {"sha256", FIELD_TEXT, MEMBER(sha256), .required = true},
};
static const struct form form = {"token", fields, ARRAY_LEN(fields), false};

const char *role_name(enum role role)
{
    return (size_t)role <= ROLE_ADMIN ? roles[role] : "none";
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'W'
                                                : -1;
}

static bool read_digest(const char *text, uint8_t *out)
{
    if (strlen(text) != 2 * (size_t)TOKEN_DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < TOKEN_DIGEST_BYTES; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static struct config_place place_of(const struct node *node, const char *key)
{
    const struct pair *pair = node_get(node, key);
    return pair ? pair->value->at : node->at;
}

static bool read_token(struct reader *rd, const struct node *node, struct api_token *out)
{
    struct token_form f = {.role = -1};
    struct entry of = {NULL, node->at, node};
    if (!form_read(rd, &form, &of, &f) || !f.name || !f.sha256 || f.role < 0)
        return false;
    if (strlen(f.name) > TOKEN_NAME_MAX || has_control(f.name)) {
        mistake(rd, place_of(node, "name"),
                "a token's `name` must be at most %d bytes without control characters",
                TOKEN_NAME_MAX);
        return false;
    }
    if (!read_digest(f.sha256, out->sha256)) {
        mistake(rd, place_of(node, "sha256"),
                "`sha256` must be the 64 hex digits of the token's SHA-256: `sluice token` makes "
                "a token and this line");
        return false;
    }
    out->name = f.name;
    out->role = (enum role)f.role;
    return true;
}

void tokens_read(struct reader *rd, const struct node *list, struct settings *s)
{
    if (list->broken)
        return;
    if (list->kind != NODE_LIST) {
        wrong_type(rd, list, "tokens", "a list: [{name: ana, role: operator, sha256: …}]");
        return;
    }
    if (list->count > TOKENS_MAX) {
        mistake(rd, list->at, "there are more than %d tokens", TOKENS_MAX);
        return;
    }
    struct api_token *tokens = reader_alloc(rd, (list->count + 1) * sizeof *tokens);
    if (!tokens)
        return;
    for (size_t i = 0; i < list->count; i++) {
        struct api_token token = {0};
        if (!read_token(rd, list->items[i], &token))
            continue;
        for (size_t j = 0; j < s->token_count; j++)
            if (strcmp(tokens[j].name, token.name) == 0)
                mistake(rd, place_of(list->items[i], "name"),
                        "a token named %s stands above: names tell people apart in the audit log",
                        shown_text(rd, token.name));
            else if (memcmp(tokens[j].sha256, token.sha256, sizeof token.sha256) == 0)
                mistake(rd, place_of(list->items[i], "sha256"),
                        "this is the token of %s as well: make another by `sluice token`",
                        shown_text(rd, tokens[j].name));
        tokens[s->token_count++] = token;
    }
    s->tokens = tokens;
}
