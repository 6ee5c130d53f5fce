/*
 * HTTP requests on the event loop: libcurl's multi interface over libevent.
 *
 * Connections are kept and reused, HTTP/2 is used where a TLS server has it. A request is sent at
 * most once: libcurl's silent resend on a dead connection is stopped. Redirects are not followed.
 * An answer's body is kept up to a limit that the request names. One thread: the loop's.
 */
#ifndef SLUICE_DELIVER_HTTP_H
#define SLUICE_DELIVER_HTTP_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

#include <stdint.h>

enum {
    HTTP_BODY_MAX = 1 << 20,         /* bytes of an answer that are kept, where none are named */
    HTTP_BODY_LARGE_MAX = 64 << 20,  /* where it tells something of many records */
    HTTP_CONNECT_TIMEOUT_MS = 10000, /* or the request's own timeout where that is shorter */
    HTTP_HEADERS_MAX = 100,          /* headers of an answer that are kept, the first ones */
};

struct event_base;
struct http;
struct rendered_sigv4;

struct http_request {
    const char *method; /* NULL: POST */
    const char *url;
    const char *const *headers; /* "Name: value" */
    size_t header_count;
    struct slice body;   /* borrowed until the callback; GET and DELETE without one send none */
    uint64_t timeout_ms; /* of the whole exchange, name resolution and connecting included */
    const char *ca_file; /* authorities for https; NULL: the system's */
    size_t answer_max;   /* bytes of the answer's body that are kept; 0: HTTP_BODY_MAX */
    const struct rendered_sigv4 *sigv4; /* NULL, or without a service: not signed */
};

/* One header of an answer; a name that came twice stands here twice. */
struct http_header {
    const char *name;
    const char *value;
};

struct http_answer {
    uint32_t status;                   /* 0: none came */
    struct slice body;                 /* decoded; borrowed for the callback */
    bool body_cut;                     /* it was longer than what is kept */
    const char *error;                 /* NULL: the whole answer came; else what went wrong */
    bool reached;                      /* the request may have reached the destination */
    int64_t retry_after_ms;            /* -1: the answer named none */
    const char *location;              /* where a redirect points; NULL: nowhere */
    const struct http_header *headers; /* of the final answer; borrowed for the callback */
    size_t header_count;
    uint64_t body_bytes_sent;
    int64_t charge_at_ms; /* clock_mono_ms from which a rate limit's window counts this request */
    uint64_t duration_ms;
};

/** The answer is borrowed for the call. It may send further requests, but not free the http. */
typedef void (*http_cb)(void *ctx, const struct http_answer *answer);

/** connections: how many idle ones are kept. Returns NULL when memory is out. Owned: http_free. */
struct http *http_new(struct event_base *base, size_t connections);
/** Drops what is in flight without calling back. Accepts NULL. */
void http_free(struct http *h);

/** Everything but the body is copied. cb is called exactly once, later, unless this fails. */
enum err_code http_send(struct http *h, const struct http_request *r, http_cb cb, void *ctx,
                        struct err *err) MUST_CHECK;

/**
 * Retry-After (RFC 9110 section 10.2.3): seconds or an HTTP date, the latter measured from
 * now_wall_ms. Gives milliseconds, at least 0 and at most a day; -1 when the text is neither.
 */
int64_t http_retry_after_ms(const char *text, int64_t now_wall_ms);

#endif
