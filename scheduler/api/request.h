/*
 * What a request's first line and headers say: path segments, query, cookies, bearer token.
 *
 * Pure functions of foreign bytes. Percent-encoding is undone here and nowhere else, after the path
 * was split, so that a name may hold a slash; what comes out is UTF-8 without NUL.
 */
#ifndef SLUICE_API_REQUEST_H
#define SLUICE_API_REQUEST_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

#include <stdint.h>

enum {
    REQUEST_TARGET_MAX = 8192, /* bytes */
    REQUEST_SEGMENTS_MAX = 8,
    REQUEST_QUERY_MAX = 16,
};

struct request_parameter {
    const char *name;
    const char *value;
};

/* Points into itself: not to be copied. */
struct request_target {
    char bytes[REQUEST_TARGET_MAX + 1];
    const char *segments[REQUEST_SEGMENTS_MAX]; /* of "/a/b": a, b; of "/": none */
    size_t segment_count;
    struct request_parameter query[REQUEST_QUERY_MAX];
    size_t query_count;
};

/** Takes "/path?query", or the same behind "http://host". Errors: ERR_INVALID, with words for the
 * client. */
enum err_code request_target_parse(const char *uri, struct request_target *ret,
                                   struct err *err) MUST_CHECK;
/** The parameter's value; NULL where it was not given. Given twice: the first. */
const char *request_query(const struct request_target *t, const char *name);
/** The parameter as a whole number from min to max; *ret stays where it is not given.
 * ERR_INVALID. */
enum err_code request_query_number(const struct request_target *t, const char *name, uint64_t min,
                                   uint64_t max, uint64_t *ret, struct err *err) MUST_CHECK;

/** The cookie of that name in a Cookie header, which may be NULL (RFC 6265, 4.2). */
bool request_cookie(const char *header, const char *name, struct slice *ret);
/** The token of an Authorization header, which may be NULL (RFC 6750, 2.1). */
bool request_bearer(const char *header, struct slice *ret);
/** The host of a Host header, without port and brackets, into out; false where it is none. */
bool request_host(const char *header, char *out, size_t out_bytes);
/** True where an Origin header names the host (with its port) of the Host header (RFC 6454, 7). */
bool request_origin_is(const char *origin, const char *host);

#endif
