/*
 * What follows from an answer that was judged: verdicts, another request, or another attempt.
 *
 * A pure function of the work, the request, what the answer means and the time. Invariant: every
 * record of the request gets a verdict in the outcome, or stays in the batch that goes on, never
 * both; and whatever the destination says, a batch ends: it gets smaller, or nearer to its last
 * step, or an attempt or a deadline is used up.
 */
#ifndef SLUICE_DRIVE_FOLLOW_H
#define SLUICE_DRIVE_FOLLOW_H

#include "worker/judge/answer.h"
#include "worker/drive/work.h"

enum {
    FOLLOW_PAGES_MAX = 10000, /* of one step */
    FOLLOW_JUMPS_MAX = 16,    /* `goto` to the same or an earlier step, in one attempt */
    /* Refusals of one request in a row for its token. One that had been used before may have ended
     * by its use, or since it was given; a new one that is refused is no good, unless it ends
     * within a request or so: then the next one may be better. */
    FOLLOW_REFUSED_NEW_MAX = 3, /* of a new token, used for it first: the run ends */
    FOLLOW_REFUSALS_MAX = 32,   /* of any: the attempt has failed */
};

struct follow_input {
    const struct work *work;
    const struct delivery *delivery;
    const struct rendered *request;
    const struct judged *judged;
    bool has_token; /* of which another one can be got */
};

/** ret_refused: the token is not good any more. What is returned lives in arena, or as long as the
 * input. Errors: ERR_NOMEM. */
enum err_code follow(const struct follow_input *in, struct arena *a, struct outcome *ret_outcome,
                     bool *ret_refused, struct err *err) MUST_CHECK;

/** Makes o the outcome of a batch that goes on to this step with this progress. Errors: ERR_NOMEM,
 * ERR_FULL (too much is known to be kept). */
enum err_code follow_continue(const struct progress *progress, const struct step *next,
                              struct arena *a, struct outcome *o, struct err *err) MUST_CHECK;

#endif
