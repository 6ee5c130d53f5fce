/*
 * What the service reports while it runs: totals for metrics, alerts, and logs in the warehouse.
 *
 * Hears the control's events and looks at it twice a second. Nothing here is waited for by a run,
 * and no trouble of a receiver reaches one. The loop's thread.
 */
#ifndef SLUICE_REPORT_REPORT_H
#define SLUICE_REPORT_REPORT_H

#include "scheduler/service/control.h"

struct event_base;
struct report;

struct report_options {
    struct event_base *base;
    struct control *control;
    const struct log *log;
};

/** Begins, and makes up for what ended while nobody listened. Borrows what the options name.
 * Errors: ERR_NOMEM, and those of state. Owned: report_free. */
enum err_code report_start(const struct report_options *options, struct report **ret_report,
                           struct err *err) MUST_CHECK;
/** Before the control goes: what is told to nobody yet is told by the next service. Accepts NULL.
 */
void report_free(struct report *r);
/** The control has another project; the old one is still there. */
void report_reload(struct report *r);

#endif
