/*
 * A step's rules for the tests of judging, and one answer at a time.
 *
 * Texts such as "/errors/0/id" become pointers that live until judging_done.
 */
#ifndef SLUICE_TESTS_JUDGING_H
#define SLUICE_TESTS_JUDGING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/judge/answer.h"

enum { JUDGING_RECORDS_MAX = 70000 };

struct judging {
    struct arena arena;  /* of rules and requests */
    struct arena answer; /* of what was judged last */
    struct connector connector;
    struct step step;
    struct rendered request;
    struct batch_head head;
    struct slice *updated;
    struct slice object;
    const char *identify_by;
    int64_t now_ms;
    struct answer_rules *rules;
};

void judging_init(struct judging *g);
void judging_done(struct judging *g);

struct pointer judging_pointer(struct judging *g, const char *text);
/** {at: text, equals: value} */
struct json_test judging_equals(struct judging *g, const char *at, const char *value);
struct json_test judging_test(struct judging *g, const char *at, struct test test);
struct pointer_list judging_pointers(struct judging *g, const char *text);
/** The request becomes one of so many records, upserts with ordinals 0, 10, 20… */
void judging_records(struct judging *g, uint32_t count);
/** With these keys, one per record. */
void judging_keys(struct judging *g, const char *const *keys);
/** The step's verdicts become this one source. */
struct verdicts *judging_verdicts(struct judging *g, struct verdict_source source);

/** Judges; the rules are made again when the step was altered since (rules NULL). */
struct judged judging_answer(struct judging *g, const struct http_answer *answer);
/** Of a whole answer with a status and a body. */
struct judged judging_body(struct judging *g, uint32_t status, const char *body);

/** "0:rejected(words) 2:open" */
const char *judging_entries(struct judging *g, const struct judged *v);
void assert_words(struct slice words, const char *expected);

#endif
