#include "scheduler/api/auth.h"

#include "protocol/base/random.h"
#include "protocol/config/listen.h"
#include "scheduler/api/request.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <strings.h>

static void digest_of(struct slice text, uint8_t out[TOKEN_DIGEST_BYTES])
{
    SHA256((const unsigned char *)text.p, text.n, out);
}

/* Looks at all of them, whichever it is. */
static const struct api_token *token_of_digest(const struct settings *s, const uint8_t *digest)
{
    const struct api_token *found = NULL;
    for (size_t i = 0; i < s->token_count; i++)
        if (CRYPTO_memcmp(s->tokens[i].sha256, digest, TOKEN_DIGEST_BYTES) == 0)
            found = &s->tokens[i];
    return found;
}

const struct api_token *auth_token(const struct settings *settings, struct slice token)
{
    uint8_t digest[TOKEN_DIGEST_BYTES];
    digest_of(token, digest);
    return token_of_digest(settings, digest);
}

/* ---- sessions ---- */

static const struct auth_session *session_of(const struct auth *auth, const char *cookie)
{
    struct slice value;
    uint8_t id[TOKEN_DIGEST_BYTES];
    const struct auth_session *found = NULL;
    if (!request_cookie(cookie, AUTH_COOKIE, &value))
        return NULL;
    digest_of(value, id);
    for (size_t i = 0; i < AUTH_SESSIONS; i++)
        if (CRYPTO_memcmp(auth->sessions[i].id, id, sizeof id) == 0)
            found = &auth->sessions[i];
    return found;
}

void auth_login(struct auth *auth, const struct api_token *token, int64_t now_ms,
                char out[2 * AUTH_SESSION_BYTES + 1])
{
    struct auth_session *s = &auth->sessions[0];
    for (size_t i = 1; i < AUTH_SESSIONS; i++)
        if (auth->sessions[i].expires_ms < s->expires_ms)
            s = &auth->sessions[i];
    random_hex(out, 2 * (size_t)AUTH_SESSION_BYTES);
    digest_of(slice_str(out), s->id);
    memcpy(s->token, token->sha256, sizeof s->token);
    s->expires_ms = now_ms + AUTH_SESSION_MS;
}

void auth_logout(struct auth *auth, const char *cookie)
{
    const struct auth_session *s = session_of(auth, cookie);
    if (s)
        auth->sessions[s - auth->sessions] = (struct auth_session){0};
}

/* ---- who ---- */

static void take_token(struct caller *c, enum caller_kind kind, const struct api_token *token)
{
    if (!token)
        return;
    *c = (struct caller){.kind = kind, .role = token->role};
    strncpy(c->name, token->name, TOKEN_NAME_MAX);
    memcpy(c->token, token->sha256, sizeof c->token);
}

void auth_identify(const struct auth *auth, const struct settings *settings,
                   const struct auth_facts *facts, struct caller *ret)
{
    struct slice bearer;
    *ret = (struct caller){.kind = CALLER_UNKNOWN, .name = "nobody"};
    if (facts->local) {
        *ret = (struct caller){.kind = CALLER_LOCAL, .name = "local", .role = ROLE_ADMIN};
    } else if (!settings->token_count) {
        if (facts->loopback)
            *ret = (struct caller){.kind = CALLER_ANYONE, .name = "anyone", .role = ROLE_ADMIN};
    } else if (request_bearer(facts->authorization, &bearer)) {
        take_token(ret, CALLER_TOKEN, auth_token(settings, bearer));
    } else {
        const struct auth_session *s = session_of(auth, facts->cookie);
        if (s && s->expires_ms > facts->now_ms)
            take_token(ret, CALLER_COOKIE, token_of_digest(settings, s->token));
    }
}

bool auth_is_known(const struct settings *settings, const struct caller *who)
{
    switch (who->kind) {
    case CALLER_LOCAL:
        return true;
    case CALLER_ANYONE:
        return !settings->token_count;
    case CALLER_TOKEN:
    case CALLER_COOKIE:
        return token_of_digest(settings, who->token);
    case CALLER_UNKNOWN:
        break;
    }
    return false;
}

/* ---- browsers ---- */

static bool is_json(const char *content_type)
{
    static const char json[] = "application/json";
    size_t n = sizeof json - 1;
    return content_type && strncasecmp(content_type, json, n) == 0 &&
           strchr(" ;", content_type[n]); /* the end too */
}

const char *auth_objection(const struct settings *settings, const struct caller *who,
                           const struct auth_facts *facts)
{
    char host[LISTEN_HOST_BYTES];
    if (facts->local)
        return NULL;
    if (facts->origin && !request_origin_is(facts->origin, facts->host))
        return "the request comes from a page of another site";
    if (!settings->token_count &&
        (!request_host(facts->host, host, sizeof host) || !listen_host_is_loopback(host)))
        return "without tokens only a loopback name may be asked for, such as localhost: "
               "configure settings.tokens to use another";
    if (!facts->changes || who->kind == CALLER_TOKEN || facts->x_sluice)
        return NULL;
    if (who->kind == CALLER_COOKIE)
        return "a request that changes something must send the header X-Sluice: 1";
    return is_json(facts->content_type)
               ? NULL
               : "a request that changes something must send the header X-Sluice: 1, or "
                 "Content-Type: application/json";
}
