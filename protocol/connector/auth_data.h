/*
 * Ways to authenticate, as a connector describes them: headers, signatures, and tokens that are got
 * by a request of their own.
 */
#ifndef SLUICE_CONNECTOR_AUTH_DATA_H
#define SLUICE_CONNECTOR_AUTH_DATA_H

#include "protocol/connector/step_data.h"

enum hmac_encoding { HMAC_HEX, HMAC_BASE64 };
struct hmac_sign {
    const char *header; /* NULL: none */
    const char *query;  /* NULL: none; else it goes there instead */
    const char *algorithm;
    struct template secret;
    bool of_body;
    struct template of;
    enum hmac_encoding encoding;
    struct template prefix;
};

struct sigv4 {
    bool given;
    struct template service, region, key, secret;
};

enum grant { GRANT_REFRESH, GRANT_CLIENT, GRANT_JWT, GRANT_REQUEST };

/* How a token is got: one request. */
struct token_request {
    enum grant grant;
    struct step step; /* method, url, headers, query, body */
    bool basic;
    struct template user, password;
    struct template refresh; /* the first refresh token; count 0: none */
    bool rotates;
    const struct capture *captures; /* var: in auth_vars */
    size_t capture_count;
    uint64_t lifetime_ms; /* where the answer names none */
    /* JWT */
    const char *jwt_algorithm;
    struct template jwt_key; /* PEM */
    const struct named_template *jwt_headers;
    size_t jwt_header_count;
    const struct named_template *jwt_claims;
    size_t jwt_claim_count;
    uint64_t jwt_ms;
};

enum { AUTH_TOKEN, AUTH_EXPIRES, AUTH_REFRESH, AUTH_ASSERTION, AUTH_VARS_FIXED };

struct auth {
    const uint32_t *when; /* options that must be set */
    size_t when_count;
    const struct named_template *headers;
    size_t header_count;
    const struct named_template *query;
    size_t query_count;
    const struct named_template *body;
    size_t body_count;
    bool basic;
    struct template user, password;
    struct hmac_sign hmac;
    struct sigv4 sigv4;
    const struct token_request *token; /* NULL: none */
    struct config_place place;
};

#endif
