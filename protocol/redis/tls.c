#include "protocol/redis/tls.h"

#include <arpa/inet.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

/* OpenSSL's own words for its latest error. */
static const char *last_words(char *out, size_t n)
{
    unsigned long e = ERR_get_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    if (reason)
        return reason;
    ERR_error_string_n(e, out, n);
    return out;
}

enum err_code tls_context_new(const char *ca_file, struct ssl_ctx_st **ret, struct err *err)
{
    char words[256];
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return err_set(err, ERR_NOMEM, "TLS: %s", last_words(words, sizeof words));
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    int ok = ca_file ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL)
                     : SSL_CTX_set_default_verify_paths(ctx);
    if (!ok) {
        SSL_CTX_free(ctx);
        return err_set(err, ERR_CONFIG, "TLS: authorities in %s: %s",
                       ca_file ? ca_file : "the system's store", last_words(words, sizeof words));
    }
    *ret = ctx;
    return ERR_OK;
}

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

enum err_code tls_session_new(struct ssl_ctx_st *ctx, const char *host, struct ssl_st **ret,
                              struct err *err)
{
    char words[256];
    ERR_clear_error();
    SSL *ssl = SSL_new(ctx);
    bool ok = ssl != NULL;
    if (ok && is_address(host)) {
        ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    } else if (ok) {
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        ok = SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
    }
    if (!ok) {
        SSL_free(ssl);
        return err_set(err, ERR_NOMEM, "TLS: %s", last_words(words, sizeof words));
    }
    *ret = ssl;
    return ERR_OK;
}

bool tls_failure(struct bufferevent *bev, struct err *ret_err)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (!ssl)
        return false;
    unsigned long e = bufferevent_get_openssl_error(bev);
    long verdict = SSL_get_verify_result(ssl);
    if (verdict != X509_V_OK) {
        err_set(ret_err, ERR_DENIED, "TLS: its certificate is refused: %s",
                X509_verify_cert_error_string(verdict));
        return true;
    }
    if (!e)
        return false;
    const char *reason = ERR_reason_error_string(e);
    err_set(ret_err, ERR_UNREACHABLE, "TLS: %s", reason ? reason : "failed");
    return true;
}
