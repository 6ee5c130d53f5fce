/*
 * A message of an alert: what happened to a sync, in the form that the receiver takes.
 *
 * Pure: reads the news, gives a parcel. It tells counts, names, the run's own words of an error; no
 * record. One thread.
 */
#ifndef SLUICE_REPORT_MESSAGE_H
#define SLUICE_REPORT_MESSAGE_H

#include "protocol/base/buf.h"
#include "protocol/config/config.h"
#include "scheduler/report/courier.h"
#include "scheduler/state/runs.h"

struct news {
    enum alert_on what;
    unsigned of;                  /* recovered: from which (enum alert_on) */
    const char *sync;             /* NULL: a test */
    const struct run_record *run; /* the last that ended or is held; NULL: none */
    int64_t at_ms;                /* wall clock */
    int64_t fresh_ms;             /* late, recovered: 0: never */
    uint64_t objective_ms;        /* late; 0: it is not for its freshness */
    const char *why;              /* what there is to say beside the run: of its stream; NULL */
    const char *origin;           /* tells installations apart where one receiver has several */
    const char *const *syncs;     /* where the same happened to several: all of them */
    size_t sync_count;            /* 0: to `sync` alone */
};

/* Owns what its parcel borrows, the alert's own texts aside. */
struct message {
    struct parcel parcel;
    struct buf body;
    char signature[100];
    const char *headers[1];
};

/** "failed", "warning", "held", "late" or "recovered". */
const char *news_name(enum alert_on what);
/** Errors: ERR_NOMEM. message_done afterwards, whatever is returned. */
enum err_code message_make(const struct alert *a, const struct news *n, struct message *ret,
                           struct err *err) MUST_CHECK;
void message_done(struct message *m);

#endif
