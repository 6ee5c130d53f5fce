/*
 * Alerts: tells people when a sync fails, was refused records, is held, is late, and when all is
 * well again. One message per change of state, not per run.
 *
 * Each alert has, per sync, what it has told (kept in state, so that a restart repeats nothing) and
 * what there is to tell now. While the two differ, messages go out one at a time, with growing
 * pauses after trouble; what has passed meanwhile is not told any more. So nothing queues up, and
 * no run waits. A message whose delivery a crash hides is sent again. The loop's thread.
 */
#ifndef SLUICE_REPORT_ALERTS_H
#define SLUICE_REPORT_ALERTS_H

#include "scheduler/service/control.h"

struct alerts;
struct event_base;

/** Reads what was told and how the last runs ended. Errors: ERR_NOMEM and those of state. */
enum err_code alerts_new(struct event_base *base, struct control *c, const struct log *log,
                         struct alerts **ret_alerts, struct err *err) MUST_CHECK;
/** Accepts NULL. */
void alerts_free(struct alerts *a);
/** A run ended or is held. Accepts NULL, as the next does. */
void alerts_run(struct alerts *a, const struct run_record *r);
/** Looks at every sync; twice a second. */
void alerts_turn(struct alerts *a);

#endif
