/*
 * AWS Signature Version 4 of one request
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html).
 *
 * libcurl's own, as of 7.88, does not sort the query, signs headers that are not sent and leaves
 * out what S3 requires. A function of its arguments; any thread.
 */
#ifndef SLUICE_DELIVER_SIGV4_H
#define SLUICE_DELIVER_SIGV4_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"
#include "worker/deliver/rendered.h"

struct sigv4_request {
    const char *method;
    const char *url;   /* percent-encoded */
    struct slice body; /* as it is sent */
    int64_t now_ms;    /* wall clock */
};

/* Complete header lines that the request needs beside its own. */
struct sigv4_lines {
    char authorization[1024];
    char date[64];
    char content[128]; /* empty: none */
};

/** Errors: ERR_CONFIG (keys or region longer than any), ERR_NOMEM. */
enum err_code sigv4_sign(const struct rendered_sigv4 *keys, const struct sigv4_request *r,
                         struct sigv4_lines *ret_lines, struct err *err) MUST_CHECK;

#endif
