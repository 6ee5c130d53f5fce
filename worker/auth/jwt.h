/*
 * A signed JSON Web Token (RFC 7515, 7519) as OAuth 2.0's JWT bearer grant (RFC 7523) wants it.
 *
 * Takes header and claims as JSON objects' members and a private key in PEM; gives the compact
 * form. RS256 only: what Google's service accounts and Salesforce take. No state.
 */
#ifndef SLUICE_AUTH_JWT_H
#define SLUICE_AUTH_JWT_H

#include "protocol/base/buf.h"

/**
 * Appends the token. header and claims: JSON objects. Errors: ERR_CONFIG where the key is none or
 * another kind, in words without a byte of it; ERR_NOMEM, ERR_FULL.
 */
enum err_code jwt_put_rs256(struct buf *out, struct slice header, struct slice claims,
                            const char *key_pem, struct err *err) MUST_CHECK;

/** Appends bytes in base64url without padding (RFC 4648, section 5). */
enum err_code jwt_put_base64url(struct buf *out, struct slice bytes) MUST_CHECK;

#endif
