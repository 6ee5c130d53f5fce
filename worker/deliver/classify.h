/*
 * What an answer means for the records of its request, by the rules of the webhook connector.
 *
 * A function of the answer alone: no I/O, no clock, no attempt counts. Whoever settles the batch
 * turns the outcome into verdicts, retries and splits. Everything given lives in the caller's
 * arena.
 */
#ifndef SLUICE_DELIVER_CLASSIFY_H
#define SLUICE_DELIVER_CLASSIFY_H

#include "protocol/base/arena.h"
#include "protocol/wire/batch.h"
#include "protocol/wire/result.h"
#include "worker/deliver/http.h"

enum outcome_kind {
    OUTCOME_ANSWERED, /* accepted, except for the entries */
    OUTCOME_RETRY,    /* an attempt failed */
    OUTCOME_THROTTLE, /* the destination asks to be asked less often */
    OUTCOME_STOP,     /* credentials or address are wrong: the run must end */
    OUTCOME_REFUSED,  /* some record in it is bad; a request of one record: that one */
};

/* A record that was not accepted although the request was. */
struct outcome_entry {
    uint32_t index;       /* position in the request */
    enum verdict verdict; /* OPEN (send it again), REJECTED or NOT_FOUND */
    struct slice message;
};

struct outcome {
    enum outcome_kind kind;
    bool unsure; /* the records may have reached the destination and nothing sure was said */
    bool bug;    /* the answer made no sense; kind is OUTCOME_RETRY */
    int64_t retry_after_ms;              /* -1: the answer named none */
    struct slice message;                /* the remote's words; empty for ANSWERED */
    const struct outcome_entry *entries; /* ascending indexes; ANSWERED only */
    size_t entry_count;
};

/** ops: one per record of the request. Errors: ERR_NOMEM. */
enum err_code classify(struct arena *a, const struct http_answer *answer, const enum record_op *ops,
                       uint32_t records, struct outcome *ret_outcome, struct err *err) MUST_CHECK;

#endif
