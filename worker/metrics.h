/*
 * What a worker counts since its start, per destination and as a whole, and how it is written for
 * Prometheus.
 *
 * Counting allocates only when a destination is met for the first time; past
 * METRICS_DESTINATIONS_MAX of them the rest counts under "other". One thread.
 */
#ifndef SLUICE_WORKER_METRICS_H
#define SLUICE_WORKER_METRICS_H

#include "protocol/base/buf.h"
#include "protocol/base/histogram.h"
#include "worker/deliver/http.h"
#include "worker/settle/plan.h"

enum { METRICS_DESTINATIONS_MAX = 1000 };

enum claim_answer {
    CLAIM_GOT,
    CLAIM_NOTHING,  /* nothing may run now */
    CLAIM_REFUSED,  /* no scheduler holds a permit */
    CLAIM_MISMATCH, /* there is work, but for another configuration */
    CLAIM_FAILED,   /* Redis did not answer */
    CLAIM_ANSWERS,
};

struct meter {
    char *destination;
    uint64_t answered;
    uint64_t unanswered;
    uint64_t throttled; /* of the answered */
    uint64_t bytes;
    uint64_t verdicts[VERDICTS];
    struct histogram durations;
};

struct metrics {
    struct meter *meters;
    size_t meter_count;
    uint64_t claims[CLAIM_ANSWERS];
    uint64_t leases_lost;
};

void metrics_init(struct metrics *m);
void metrics_done(struct metrics *m);

void metrics_claim(struct metrics *m, enum claim_answer answer);
/** A request was answered, or ended without an answer. */
void metrics_request(struct metrics *m, const char *destination, const struct http_answer *answer);
void metrics_throttled(struct metrics *m, const char *destination);
/** plan was carried out for a batch of so many records. */
void metrics_verdicts(struct metrics *m, const char *destination, const struct settle_plan *plan,
                      uint32_t records);

struct engine;
/** Everything the engine can tell, as text. Errors: ERR_FULL, ERR_NOMEM. */
enum err_code metrics_put(const struct engine *e, struct buf *out) MUST_CHECK;

#endif
