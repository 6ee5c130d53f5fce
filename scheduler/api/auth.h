/*
 * Who asks, and whether a browser may have been made to ask in their name.
 *
 * Tokens are random and known here by their SHA-256 only; sessions are tokens again, behind a
 * cookie, kept in memory. What is looked at is plain facts of a request, so that every rule is
 * tested without one. One thread.
 *
 *   unix socket              its owner is admin, "local"
 *   tokens configured        Authorization: Bearer TOKEN, or the cookie of POST /api/v1/login
 *   none, bound to loopback  whoever reaches it is admin, "anyone": this machine's users
 *   none, bound elsewhere    nobody (a reload can leave it so: the address stays bound)
 */
#ifndef SLUICE_API_AUTH_H
#define SLUICE_API_AUTH_H

#include "protocol/base/slice.h"
#include "protocol/config/config.h"

#define AUTH_COOKIE "sluice_session"

enum { AUTH_SESSIONS = 256, AUTH_SESSION_BYTES = 32, AUTH_SESSION_MS = 12 * 3600 * 1000 };

struct auth_session {
    uint8_t id[TOKEN_DIGEST_BYTES];    /* SHA-256 of the cookie's value */
    uint8_t token[TOKEN_DIGEST_BYTES]; /* SHA-256 of the token it stands for */
    int64_t expires_ms;                /* monotonic; 0: free */
};

struct auth {
    struct auth_session sessions[AUTH_SESSIONS];
};

/* What a request says of itself; headers are NULL where they were not sent. */
struct auth_facts {
    bool local;    /* through the unix socket */
    bool loopback; /* the address that is listened on */
    bool changes;  /* POST and the like */
    const char *authorization, *cookie, *host, *origin, *x_sluice, *content_type;
    int64_t now_ms; /* monotonic */
};

enum caller_kind { CALLER_UNKNOWN, CALLER_LOCAL, CALLER_ANYONE, CALLER_TOKEN, CALLER_COOKIE };

struct caller {
    enum caller_kind kind;
    char name[TOKEN_NAME_MAX + 1]; /* of the token; a copy: a reload may free the project */
    enum role role;
    uint8_t token[TOKEN_DIGEST_BYTES]; /* of CALLER_TOKEN and CALLER_COOKIE */
};

void auth_identify(const struct auth *auth, const struct settings *settings,
                   const struct auth_facts *facts, struct caller *ret);
/** NULL where the request is no other site's doing; else what is wrong with it, for people. */
const char *auth_objection(const struct settings *settings, const struct caller *who,
                           const struct auth_facts *facts);
/** True while the caller's token is configured. */
bool auth_is_known(const struct settings *settings, const struct caller *who);

/** The configured token of that text; NULL. */
const struct api_token *auth_token(const struct settings *settings, struct slice token);
/** Begins a session of the token; the cookie's value, 64 hex digits, into out. The session used
 * longest ago makes room. */
void auth_login(struct auth *auth, const struct api_token *token, int64_t now_ms,
                char out[2 * AUTH_SESSION_BYTES + 1]);
/** Ends the session of a Cookie header; fine where there is none. */
void auth_logout(struct auth *auth, const char *cookie);

#endif
