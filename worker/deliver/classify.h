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
#include "worker/deliver/http.h"
#include "worker/deliver/outcome.h"

/** ops: one per record of the request. Errors: ERR_NOMEM. */
enum err_code classify(struct arena *a, const struct http_answer *answer, const enum record_op *ops,
                       uint32_t records, struct outcome *ret_outcome, struct err *err) MUST_CHECK;

#endif
