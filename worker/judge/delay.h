/*
 * How long an answer asks a destination to be left alone, and where it stands towards its limits.
 *
 * Functions of the answer and the moment. Milliseconds, from 0 to DELAY_MAX_MS.
 */
#ifndef SLUICE_JUDGE_DELAY_H
#define SLUICE_JUDGE_DELAY_H

#include "worker/judge/check.h"
#include "worker/judge/zone.h"

#define DELAY_MAX_MS ((int64_t)7 * 86400000)

/* What the readers read. */
struct delay_source {
    const struct http_answer *answer;
    const struct doc_place *json; /* NULL: there is none */
    const struct zone *central;
    int64_t now_ms; /* wall clock */
};

/** Whether any of them reads JSON. */
bool delay_reads_json(const struct delay_readers *readers);
/** Of the first reader that finds something; -1: none does. */
int64_t delay_read(const struct delay_readers *readers, const struct delay_source *source);

/** How long this signal asks for; 0: it does not hold. Errors: ERR_NOMEM. */
enum err_code signal_read(const struct signal *signal, const struct check *check,
                          const struct delay_source *source, struct arena *arena,
                          uint64_t *ret_pause_ms) MUST_CHECK;

#endif
