/*
 * What the scheduler tells Prometheus: every sync and every quota, as they are at this moment.
 *
 * Reads the control and state, changes nothing. Counters are the ledger's, which survive restarts,
 * with what runs under way have counted on top. Labels are syncs, quotas and fixed words, so their
 * number is bounded by the project. README.md of this folder lists every metric. The loop's thread.
 */
#ifndef SLUICE_REPORT_METRICS_H
#define SLUICE_REPORT_METRICS_H

#include "protocol/base/buf.h"
#include "scheduler/service/control.h"

/** Appends the text of GET /metrics (content type EXPOSITION_TYPE). Errors: ERR_FULL, ERR_NOMEM,
 * and those of state. */
enum err_code metrics_write(struct control *c, struct buf *out, struct err *err) MUST_CHECK;

#endif
