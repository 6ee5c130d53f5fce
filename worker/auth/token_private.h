/*
 * The inside of a token, for the files of this module: token.c keeps it, token_request.c gets a new
 * one, token_value.c gives it to the fleet. Nobody else includes this.
 */
#ifndef SLUICE_AUTH_TOKEN_PRIVATE_H
#define SLUICE_AUTH_TOKEN_PRIVATE_H

#include "worker/auth/seal.h"
#include "worker/auth/token.h"

struct token {
    struct prelude prelude; /* first: ops get a pointer to it */
    struct render_context context;
    const struct token_request *request;
    char *name; /* auth:DESTINATION */
    struct seal_key key;
    char origin[17];      /* of the configured refresh token: hex of a part of its SHA-256 */
    struct slice *values; /* one per connector->auth_vars; bytes in text */
    size_t value_count;
    struct buf text;
    int64_t ends_ms; /* wall clock; 0: no token */
    int64_t life_ms;
    uint8_t refused[16]; /* of the token that was refused: the same is not learnt again */
    bool has_refused;
};

/** Puts the values in place of the present ones; those with p NULL stay as they are. */
enum err_code token_set(struct token *t, const struct slice *values) MUST_CHECK;

enum err_code token_render(struct token *t, const struct delivery *d, struct rendered *out,
                           struct err *err) MUST_CHECK;
enum err_code token_classify(struct token *t, const struct delivery *d, struct rendered *r,
                             const struct http_answer *answer, struct prelude_answer *ret_answer,
                             struct err *err) MUST_CHECK;
/** Appends what the fleet keeps, sealed. */
enum err_code token_seal(const struct token *t, struct buf *out) MUST_CHECK;
/** False where it is none of ours. */
bool token_unseal(struct token *t, struct slice sealed, int64_t now_ms);

#endif
