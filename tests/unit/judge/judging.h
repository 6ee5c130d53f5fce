/*
 * One step of a connector for the tests of judging, and one answer at a time.
 *
 * The connector is a built-in one or a text in the grammar; a mistake in it fails the test.
 */
#ifndef SLUICE_TESTS_JUDGING_H
#define SLUICE_TESTS_JUDGING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/connector/connector_text.h"
#include "worker/judge/answer.h"

enum { JUDGING_HEADERS_MAX = 16 };

struct judging {
    struct connector_text text;
    struct arena arena;  /* of requests, and what the test shows */
    struct arena answer; /* of what was judged last */
    const struct step *step;
    uint32_t step_index;
    struct rendered request;
    struct batch_head head;
    const struct slice *updated;
    struct slice object;
    const char *identify_by;
    int64_t now_ms;
    struct answer_rules *rules;
};

/** A connector with one object and one step that has these members in YAML's flow style
 * ("verdicts: {…}, answers: […]"), and what stands beside `objects` (NULL: nothing). Three records,
 * upserts. */
void judging_init(struct judging *g, const char *step, const char *beside);
/** A step of a built-in connector, by its name; NULL: the last one of the request. */
void judging_builtin(struct judging *g, const char *connector, const char *object,
                     enum record_op op, const char *step);
void judging_done(struct judging *g);

/** The request becomes one of so many records with ordinals 0, 10, 20…, all of this op, without
 * keys. */
void judging_records(struct judging *g, uint32_t count, enum record_op op);
/** With these keys, separated by spaces: one record each. */
void judging_keys(struct judging *g, const char *keys, enum record_op op);

struct judged judging_answer(struct judging *g, const struct http_answer *answer);
/** Of a whole answer with a status and a body. */
struct judged judging_body(struct judging *g, uint32_t status, const char *body);
/** With headers: "Name: value" lines. */
struct judged judging_headers(struct judging *g, uint32_t status, const char *headers,
                              const char *body);

/** "0:rejected(words) 2:open" */
const char *judging_entries(struct judging *g, const struct judged *v);
void assert_words(struct slice words, const char *expected);
void assert_entries(struct judging *g, const struct judged *v, const char *expected);

#endif
