/*
 * A tiny HTTP/1.1 server on the test's own event loop that misbehaves on demand.
 *
 * It counts connections and whole requests, and lets the test decide what each request gets.
 */
#ifndef SLUICE_TESTS_WORKER_HTTP_SERVER_H
#define SLUICE_TESTS_WORKER_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"

struct event_base;
struct http_server;

struct http_server_request {
    unsigned number;      /* of all, from 1 */
    unsigned number_here; /* on this connection, from 1 */
    const char *head;     /* NUL-terminated, as received */
    struct slice body;
};

enum http_server_after { SERVER_KEEP, SERVER_CLOSE, SERVER_RESET };

struct http_server_reply {
    const char *bytes; /* the whole answer, or the part of it that is sent; NULL: nothing */
    size_t n;
    uint64_t delay_ms;
    enum http_server_after after;
};

typedef void (*http_server_cb)(void *ctx, const struct http_server_request *r,
                               struct http_server_reply *ret_reply);

struct http_server *http_server_new(struct event_base *base, http_server_cb cb, void *ctx);
void http_server_free(struct http_server *s);
/** http://127.0.0.1:PORT/in */
const char *http_server_url(const struct http_server *s);
unsigned http_server_connections(const struct http_server *s);
unsigned http_server_requests(const struct http_server *s);

/** The value of a header in a request's head, into out; false when it is not there. */
bool http_server_header(const char *head, const char *name, char *out, size_t n);

#endif
