/* The exchange of a case: comparing requests, and making answers. */
#ifndef SLUICE_GOLDEN_GOLDEN_ANSWER_H
#define SLUICE_GOLDEN_GOLDEN_ANSWER_H

#include "tests/golden/golden.h"
#include "worker/deliver/http.h"
#include "worker/deliver/rendered.h"

enum { GOLDEN_HEADERS_MAX = 64 };

/* An answer with what it borrows. */
struct golden_answer {
    struct http_answer answer;
    struct http_header headers[GOLDEN_HEADERS_MAX];
    char *body;
};

/** Compares what is expected of a request (method, url, headers, body, lines, text). */
void golden_compare_request(struct differences *d, const json_t *expected,
                            const struct rendered *r);
/** What was rendered, as a case says it. Owned: json_decref. */
json_t *golden_request(const struct rendered *r);

/** From `answer: {status:, headers:, body:}` or `no_answer: …`. Owned: golden_answer_done. */
void golden_answer_make(const struct golden *g, const json_t *exchange, int64_t now_ms,
                        struct golden_answer *ret_answer);
void golden_answer_done(struct golden_answer *a);

#endif
