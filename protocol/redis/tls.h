/*
 * TLS for the connection to Redis: OpenSSL, TLS 1.2 or later, certificate and host name always
 * checked.
 *
 * Reads an authorities file or the system's; gives sessions for a bufferevent and the reason when
 * one failed. There is no way to switch the checks off. One thread.
 */
#ifndef SLUICE_REDIS_TLS_H
#define SLUICE_REDIS_TLS_H

#include "protocol/base/err.h"

#include <stdbool.h>

struct bufferevent;
struct ssl_ctx_st;
struct ssl_st;

/** ca_file NULL: the system's authorities. Errors: ERR_CONFIG for a file that cannot be used. */
enum err_code tls_context_new(const char *ca_file, struct ssl_ctx_st **ret,
                              struct err *err) MUST_CHECK;

/** A session that accepts only a certificate for host (a name, sent as SNI, or an address). */
enum err_code tls_session_new(struct ssl_ctx_st *ctx, const char *host, struct ssl_st **ret,
                              struct err *err) MUST_CHECK;

/** Why the bufferevent's session failed: ERR_DENIED for a certificate that was refused; false: not
 * by TLS. */
bool tls_failure(struct bufferevent *bev, struct err *ret_err);

#endif
