/*
 * Delivers single messages over HTTP and SMTP on the event loop: libcurl's multi interface over
 * libevent, one connection per message.
 *
 * It neither queues nor repeats: whoever sends does. Redirects are not followed. Addresses and
 * credentials are never in an answer's words. The loop's thread.
 */
#ifndef SLUICE_REPORT_COURIER_H
#define SLUICE_REPORT_COURIER_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

#include <stdint.h>

enum { COURIER_TIMEOUT_MS = 15000, COURIER_WORDS_MAX = 400 };

struct event_base;
struct courier;

struct parcel {
    const char *url; /* http, https: a POST of JSON; smtp, smtps: an e-mail */
    const char *const *headers;
    size_t header_count;
    struct slice body;
    const char *from; /* the rest: of an e-mail */
    const char *const *to;
    size_t to_count;
    const char *user; /* NULL: none */
    const char *password;
    bool encrypted;      /* smtp: not without STARTTLS */
    const char *ca_file; /* NULL: the system's */
};

struct courier_answer {
    long status;            /* of HTTP or SMTP; 0: none came */
    const char *error;      /* NULL: delivered, HTTP with a 2xx; else what went wrong */
    const char *words;      /* the answer's body, cut at COURIER_WORDS_MAX */
    int64_t retry_after_ms; /* -1: the answer named none */
};
/** Borrowed for the call, which may send again but not free the courier. */
typedef void (*courier_cb)(void *ctx, const struct courier_answer *answer);

/** NULL: no memory. */
struct courier *courier_new(struct event_base *base);
/** Drops what is on its way without calling back. Accepts NULL. */
void courier_free(struct courier *c);
/** Everything is copied. cb is called exactly once, later, unless this fails. Errors: ERR_NOMEM. */
enum err_code courier_send(struct courier *c, const struct parcel *p, courier_cb cb, void *ctx,
                           struct err *err) MUST_CHECK;

#endif
