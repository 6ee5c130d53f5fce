/*
 * A test of a connector's rules, on a header's text or on values of a JSON document.
 *
 * Null counts as not being there. Numbers are compared as numbers, everything else as text. No
 * state of its own; one thread (the patterns).
 */
#ifndef SLUICE_JUDGE_CHECK_H
#define SLUICE_JUDGE_CHECK_H

#include "protocol/connector/connector.h"
#include "worker/judge/doc.h"
#include "worker/deliver/http.h"
#include "worker/judge/pattern.h"

/* A test with its pattern compiled. */
struct check {
    const struct test *test;
    const struct pointer *at; /* JSON only; not given: there is no such test */
    struct pattern *pattern;  /* TEST_MATCHES */
};

static inline bool check_given(const struct check *c)
{
    return c->at && c->at->given;
}

/** Something is there and its text is this. */
bool check_text(const struct check *c, struct slice text);
/** Any of the answer's headers of that name passes; none is there: only `exists: false` does. */
bool check_header(const struct check *c, const struct http_answer *answer, const char *name);
/** Any value that the pointer names passes. Scratch: for texts with escapes; a value that finds no
 * room there does not pass. */
bool check_json(const struct check *c, const struct doc_place *place, struct arena *scratch);

/** The number that a text begins with. */
bool check_number(struct slice text, double *ret);

/** The answer's first header of that name from *at on, which is moved behind it; p NULL: none. */
struct slice header_next(const struct http_answer *answer, const char *name, size_t *at);

#endif
