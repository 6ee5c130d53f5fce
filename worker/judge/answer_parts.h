/*
 * Inside of judging: a step's rules with their patterns, and what is known of one answer while it
 * is judged.
 */
#ifndef SLUICE_JUDGE_ANSWER_PARTS_H
#define SLUICE_JUDGE_ANSWER_PARTS_H

#include "worker/judge/answer.h"
#include "worker/judge/check.h"
#include "worker/judge/delay.h"
#include "worker/deliver/filter.h"

/* ---- compiled once ---- */

struct listing {
    const struct verdict_source *as;
    struct check in, ok, retryable, accept, not_found, throttle;
    struct pattern *matches;
};

struct verdict_plan {
    const struct verdicts *as;
    const struct listing *sources;
};

struct judge_rule {
    const struct rule *as;
    const struct check *headers; /* one per header of its condition */
    const struct check *json;
    struct pattern *body;                /* NULL: any */
    const struct verdict_plan *verdicts; /* NULL: an answer that is ok accepts all */
};

struct judge_capture {
    const struct capture *as;
    struct pattern *matches;
};

struct answer_rules {
    const struct connector *connector;
    const struct step *step;
    uint32_t step_index;
    const char *identify_by;
    struct arena arena;
    struct judge_rule *rules;
    size_t rule_count;
    const struct verdict_plan *verdicts; /* of the step; NULL: none */
    struct judge_capture *captures;
    struct check *signals; /* one per signal of the connector */
    struct pattern **patterns;
    size_t pattern_count;
    struct filters *filters; /* what keys are compared by */
    struct pattern *next_page;
    struct zone central;
};

/* ---- one answer ---- */

struct judge {
    const struct answer_rules *rules;
    const struct judge_input *in;
    struct arena *arena;
    bool read;     /* the body was looked at */
    bool is_json;  /* whole, and JSON: doc and root hold */
    bool too_much; /* it is deeper or longer than what is looked at: it may say anything */
    bool no_memory;
    struct doc doc;
    struct doc_place root;
};

/** The body as JSON; NULL: it is none, it broke off or was cut, or memory is out. */
const struct doc_place *judge_json(struct judge *j);

/** Whether the place of these values cannot be in the body: then nobody has to look for it. */
bool judge_lacks(const struct judge *j, const struct pointer *at);

/** It turned out otherwise: this is done, without entries; RETRY leaves the records in doubt. */
void judge_instead(struct judged *v, enum rule_do act, struct slice message);
/** Nothing sure was said, and it made no sense. */
void judge_bug(struct judged *v, const char *what);

/** Fills v, which accepts the request, by what the plan reads in the answer. */
void judge_verdicts(struct judge *j, const struct verdict_plan *plan, struct judged *v);
/** Fills v->found. */
void judge_lookup(struct judge *j, struct judged *v);
/** Fills v->captured and v->next_page. */
void judge_captures(struct judge *j, struct judged *v);

/* What an answer, or an entry in it, says in words; n 0: nothing. */
struct slice judge_words(struct judge *j, const struct pointer_list *where);

#endif
