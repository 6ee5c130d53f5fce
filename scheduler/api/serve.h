/* From a request of evhttp to the handler of its route: limits, who asks, what they may. */
#ifndef SLUICE_API_SERVE_H
#define SLUICE_API_SERVE_H

struct evhttp_request;

enum { SERVE_HEADERS_MAX = 16 << 10, SERVE_BODY_READ_MAX = 1 << 20, SERVE_TIMEOUT_S = 30 };

/** For evhttp_set_gencb; ctx is a struct endpoint. */
void serve_request(struct evhttp_request *req, void *ctx);

#endif
