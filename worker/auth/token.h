/*
 * The access token of one destination: got by a request of its own, renewed a little before it
 * ends, shared by the fleet as a sealed value.
 *
 * Reads the connector's `auth.token` and the destination's options; a prelude (prelude.h) to the
 * slots. What the fleet keeps is the newest refresh token as well, where the vendor rotates it: it
 * then is durable, and belongs to the refresh token of the configuration from which it came: a new
 * one there begins anew. One thread; no I/O.
 */
#ifndef SLUICE_AUTH_TOKEN_H
#define SLUICE_AUTH_TOKEN_H

#include "worker/deliver/prelude.h"
#include "worker/deliver/render.h"

enum {
    TOKEN_BYTES_MAX = 32 << 10, /* of everything that one answer gives */
    TOKEN_MARGIN_MS = 60000,    /* renewed this long before it ends, or a tenth of its life */
};

/**
 * context: of the destination; auth->token is given; step and object are not looked at. All of it
 * is borrowed for the prelude's life. seal_key: text of the settings; NULL: every worker renews for
 * itself. Errors: ERR_NOMEM. Owned: prelude->ops->free.
 */
enum err_code token_new(const struct render_context *context, const char *seal_key,
                        struct prelude **ret_prelude, struct err *err) MUST_CHECK;

#endif
