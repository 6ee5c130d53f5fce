/*
 * What an answer means, by a connector's rules: which rule holds, what each record's verdict is,
 * how long to wait, what to remember.
 *
 * A function of the step, the request and the answer: no I/O, no clock but the one given. Patterns
 * are compiled once, in answer_rules_new. Foreign bytes: nothing in an answer can make it crash,
 * loop, or accept a record that the answer does not accept.
 */
#ifndef SLUICE_JUDGE_ANSWER_H
#define SLUICE_JUDGE_ANSWER_H

#include "protocol/connector/connector.h"
#include "worker/deliver/http.h"
#include "worker/deliver/outcome.h"
#include "worker/deliver/rendered.h"

struct answer_rules; /* a step's rules with their patterns compiled */

/** All borrowed for its life. step_index: for `step:` conditions. Errors: ERR_CONFIG, ERR_NOMEM. */
enum err_code answer_rules_new(const struct connector *connector, const struct step *step,
                               uint32_t step_index, const char *identify_by,
                               struct answer_rules **ret_rules, struct err *err) MUST_CHECK;
void answer_rules_free(struct answer_rules *rules);

/* What a lookup said about one record, by position. */
struct looked_up {
    bool exists;
    bool skip;         /* `updated` there is later than the record's own timestamp */
    struct slice id;   /* p NULL: none */
    uint64_t left_out; /* bit b: the b-th field that has a policy (other than overwrite; the first
                          64 of them) must not be sent: the destination has a value */
};

struct judged {
    enum rule_do act;
    uint32_t step; /* GOTO */
    bool unsure;
    bool bug;             /* it made no sense; act is RETRY */
    int64_t wait_ms;      /* -1: none named */
    uint64_t pause_ms;    /* of signals */
    struct slice message; /* the destination's words */
    struct slice warning;
    const struct outcome_entry
        *entries; /* OK, DROP: records that are not simply accepted, ascending */
    size_t entry_count;
    bool entry_throttles;          /* one of them asks for the destination to be left alone */
    enum verdict unmentioned;      /* OK: of all others */
    const struct slice *captured;  /* one per capture of the step; p NULL: it was not there */
    struct slice next_page;        /* p NULL: none */
    const struct looked_up *found; /* one per record, where the step looks up */
};

/* What judging needs besides the answer. */
struct judge_input {
    const struct rendered *request;
    const struct http_answer *answer;
    const struct batch_head
        *head;           /* policies; names of fields for lookup values; place in the run */
    struct slice object; /* {{object}}, for captures of what is named like it */
    const struct slice
        *updated;   /* one per record: its own timestamp, for newest_wins; NULL: none */
    int64_t now_ms; /* wall clock */
};

/** Everything given lives in arena. Errors: ERR_NOMEM. */
enum err_code answer_judge(const struct answer_rules *rules, const struct judge_input *in,
                           struct arena *arena, struct judged *ret_judged,
                           struct err *err) MUST_CHECK;

#endif
